//! Which Secrets a pod uses: mounted, projected, in its environment, or for pulling images; and which it took at its start.
//! Pods that have finished use nothing any more. Nothing else of a pod is kept.

use super::consumers::taken;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;

/// A pod, as far as it matters here.
#[derive(Clone, Debug)]
pub(super) struct PodSecrets {
    /// Only the name.
    metadata: ObjectMeta,
    secrets: Vec<String>,
    /// The Secrets that a container read at its start, with the time of the start.
    taken: Vec<(String, Timestamp)>,
}

impl PodSecrets {
    /// Whether the pod has not finished and refers to one of the Secrets.
    pub(super) fn uses(&self, secrets: &[String]) -> bool {
        self.secrets.iter().any(|name| secrets.contains(name))
    }

    /// Whether the pod runs on, and took the Secret at a start up to that time.
    pub(super) fn took(&self, secret: &str, until: Timestamp) -> bool {
        self.taken.iter().any(|(name, at)| name == secret && *at <= until)
    }
}

#[derive(Deserialize)]
struct Whole {
    metadata: Metadata,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    deletion_timestamp: Option<IgnoredAny>,
}

impl<'de> Deserialize<'de> for PodSecrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Whole { metadata, spec, status } = Whole::deserialize(deserializer)?;
        let has_finished = matches!(status["phase"].as_str(), Some("Succeeded" | "Failed"));
        let is_leaving = has_finished || metadata.deletion_timestamp.is_some();
        Ok(Self {
            metadata: ObjectMeta { name: metadata.name, ..ObjectMeta::default() },
            secrets: if has_finished { Vec::new() } else { secrets_in(&spec) },
            taken: if is_leaving { Vec::new() } else { taken(&spec, &status) },
        })
    }
}

/// The Secrets that a pod, or a part of one, names.
pub(super) fn secrets_in(value: &Value) -> Vec<String> {
    let mut secrets = Vec::new();
    collect(value, &mut secrets);
    secrets
}

/// A pod can name a Secret in two dozen places; these are the fields that do so in all of them.
fn collect(value: &Value, secrets: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                match (field.as_str(), value) {
                    ("secretName", Value::String(name)) => secrets.push(name.clone()),
                    ("imagePullSecrets", Value::Array(items)) => secrets.extend(items.iter().filter_map(name)),
                    ("secret" | "secretRef" | "secretKeyRef" | "nodePublishSecretRef", value) => {
                        secrets.extend(name(value));
                        collect(value, secrets);
                    }
                    (_, value) => collect(value, secrets),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn name(reference: &Value) -> Option<String> {
    reference.get("name")?.as_str().map(str::to_owned)
}

impl Resource for PodSecrets {
    type DynamicType = ();
    type Scope = <Pod as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        Pod::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Pod::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Pod::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Pod::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn uses_it(spec: Value, phase: &str) -> bool {
        let time = "9999-12-31T23:59:59Z";
        let pod = json!({"metadata": {"name": "p", "managedFields": [{"time": time}]}, "spec": spec, "status": {"phase": phase}});
        serde_json::from_value::<PodSecrets>(pod).unwrap().uses(&["billing-rotation".into(), "billing".into()])
    }

    #[test]
    fn every_way_to_use_a_secret_counts_until_the_pod_has_finished() {
        let env = json!({"name": "A", "valueFrom": {"secretKeyRef": {"name": "billing", "key": "client-id"}}});
        for spec in [
            json!({"containers": [], "volumes": [{"name": "v", "secret": {"secretName": "billing"}}]}),
            json!({"containers": [], "volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "billing"}}]}}]}),
            json!({"containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "billing"}}]}]}),
            json!({"containers": [{"name": "c", "env": [env]}]}),
            json!({"containers": [], "initContainers": [{"name": "c", "env": [env]}]}),
            json!({"containers": [], "imagePullSecrets": [{"name": "billing"}]}),
        ] {
            assert!(uses_it(spec.clone(), "Running"), "{spec}");
            assert!(!uses_it(spec.clone(), "Succeeded"), "{spec}");
        }
    }

    #[test]
    fn a_pod_that_is_leaving_holds_nothing_stale() {
        let time = "2026-03-01T12:00:00Z";
        let took_it = |metadata: Value, phase: &str| {
            let container = json!({"name": "c", "envFrom": [{"secretRef": {"name": "billing"}}]});
            let state = json!({"running": {"startedAt": time}});
            let status = json!({"phase": phase, "containerStatuses": [{"name": "c", "state": state}]});
            let pod = json!({"metadata": metadata, "spec": {"containers": [container]}, "status": status});
            serde_json::from_value::<PodSecrets>(pod).unwrap().took("billing", time.parse().unwrap())
        };
        assert!(took_it(json!({"name": "p"}), "Running"));
        assert!(!took_it(json!({"name": "p"}), "Failed"));
        assert!(!took_it(json!({"name": "p", "deletionTimestamp": time}), "Running"));
    }

    #[test]
    fn another_secret_or_a_mere_namesake_does_not_count() {
        for spec in [
            json!({"containers": [{"name": "billing", "envFrom": [{"configMapRef": {"name": "billing"}}]}]}),
            json!({"containers": [], "volumes": [{"name": "billing", "secret": {"secretName": "other"}}]}),
        ] {
            assert!(!uses_it(spec.clone(), "Running"), "{spec}");
        }
    }
}
