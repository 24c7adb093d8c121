//! Whether a pod uses a Secret: mounted, projected, in its environment, or for pulling images.
//! Pods that have finished use nothing any more.

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

/// Whether a pod that has not finished refers to the Secret.
pub fn uses(pod: &Pod, secret: &str) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let finished = matches!(phase, Some("Succeeded" | "Failed"));
    !finished && serde_json::to_value(&pod.spec).is_ok_and(|spec| names(&spec, secret))
}

/// A pod can name a Secret in two dozen places; these are the fields that do so in all of them.
fn names(value: &Value, secret: &str) -> bool {
    let named = |value: &Value| value.get("name").is_some_and(|name| name == secret);
    match value {
        Value::Object(fields) => fields.iter().any(|(field, value)| match (field.as_str(), value) {
            ("secretName", name) => name == secret,
            ("imagePullSecrets", Value::Array(items)) => items.iter().any(named),
            ("secret" | "secretRef" | "secretKeyRef" | "nodePublishSecretRef", value) if named(value) => true,
            (_, value) => names(value, secret),
        }),
        Value::Array(items) => items.iter().any(|item| names(item, secret)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn uses_it(spec: Value, phase: &str) -> bool {
        uses(&serde_json::from_value(json!({"spec": spec, "status": {"phase": phase}})).unwrap(), "billing")
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
    fn another_secret_or_a_mere_namesake_does_not_count() {
        for spec in [
            json!({"containers": [{"name": "billing", "envFrom": [{"configMapRef": {"name": "billing"}}]}]}),
            json!({"containers": [], "volumes": [{"name": "billing", "secret": {"secretName": "other"}}]}),
        ] {
            assert!(!uses_it(spec.clone(), "Running"), "{spec}");
        }
    }
}
