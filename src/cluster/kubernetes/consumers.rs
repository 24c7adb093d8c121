//! Which pods took the value of a Secret at a start, and whether a workload is to be restarted because of a Secret.
//! A pod that mounts a Secret as a whole sees each change of it, by its environment or a `subPath` it sees none.

use super::pods::secrets_in;
use crate::consumers::RestartResult;
use crate::crd::WorkloadKind;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::HashMap;

/// What `kubectl rollout restart` sets in a pod template.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Where the API server has the workloads of a kind in a namespace.
pub(super) fn path(kind: WorkloadKind, namespace: &str) -> String {
    let plural = match kind {
        WorkloadKind::Deployment => "deployments",
        WorkloadKind::StatefulSet => "statefulsets",
        WorkloadKind::DaemonSet => "daemonsets",
    };
    format!("/apis/apps/v1/namespaces/{namespace}/{plural}")
}

/// Why a workload is not to be restarted, if that is so. Only a consumer of the Secret is.
pub(super) fn no_restart(workload: &Value, secret: &str, since: Timestamp) -> Option<RestartResult> {
    let template = &workload["spec"]["template"];
    let restarted_at = template["metadata"]["annotations"][RESTARTED_AT].as_str().map(str::parse::<Timestamp>);
    if !secrets_in(&template["spec"]).iter().any(|name| name == secret) {
        return Some(RestartResult::NotAConsumer);
    }
    if matches!(restarted_at, Some(Ok(at)) if at >= since) {
        return Some(RestartResult::NotNeeded);
    }
    (workload["spec"]["paused"] == true).then_some(RestartResult::Paused)
}

/// The patch that restarts a workload as it was read. It holds the time when the secret was published, so that it is the same each time.
pub(super) fn restart(workload: &Value, since: Timestamp) -> Value {
    let read = &workload["metadata"];
    json!({
        "metadata": {"uid": read["uid"], "resourceVersion": read["resourceVersion"]},
        "spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: since.to_string()}}}},
    })
}

/// Which Secrets the running containers of a pod took at their start, and when. What an init container did with a Secret
/// remains when it has ended. Of what is mounted the first start counts, so that many mounts of many Secrets stay few.
pub(super) fn taken(spec: &Value, status: &Value) -> Vec<(String, Timestamp)> {
    let mut taken = Vec::new();
    let mut mounted = HashMap::<&str, Timestamp>::new();
    for (kind, statuses, states) in [
        ("initContainers", "initContainerStatuses", &["running", "terminated"][..]),
        ("containers", "containerStatuses", &["running"]),
        ("ephemeralContainers", "ephemeralContainerStatuses", &["running"]),
    ] {
        let started: HashMap<&str, Timestamp> = items(status, statuses)
            .filter_map(|status| Some((status["name"].as_str()?, started(&status["state"], states)?)))
            .collect();
        for container in items(spec, kind) {
            let Some(at) = container["name"].as_str().and_then(|name| started.get(name)) else { continue };
            let from_env = ["env", "envFrom"].into_iter().flat_map(|field| secrets_in(&container[field]));
            taken.extend(from_env.map(|secret| (secret, *at)));
            let mounts = items(container, "volumeMounts").filter(|mount| is_sub_path(mount));
            for volume in mounts.filter_map(|mount| mount["name"].as_str()) {
                mounted.entry(volume).and_modify(|first| *first = (*first).min(*at)).or_insert(*at);
            }
        }
    }
    for volume in items(spec, "volumes") {
        let Some(at) = volume["name"].as_str().and_then(|name| mounted.get(name)) else { continue };
        taken.extend(secrets_in(volume).into_iter().map(|secret| (secret, *at)));
    }
    taken
}

/// A container that waits takes the value that is there when it starts.
fn started(state: &Value, states: &[&str]) -> Option<Timestamp> {
    states.iter().find_map(|name| state[name]["startedAt"].as_str()?.parse().ok())
}

fn is_sub_path(mount: &Value) -> bool {
    ["subPath", "subPathExpr"].iter().any(|field| mount[field].as_str().is_some_and(|path| !path.is_empty()))
}

fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROTATED: &str = "2026-03-01T12:00:00Z";

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn from_env() -> Value {
        json!({"name": "c", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "billing", "key": "k"}}}]})
    }

    /// The Secrets that a pod took up to the rotation, of which the one container is in this state.
    fn stale(container: Value, state: Value) -> Vec<String> {
        let volumes = json!([
            {"name": "plain", "secret": {"secretName": "billing"}},
            {"name": "projected", "projected": {"sources": [{"secret": {"name": "billing"}}]}},
            {"name": "other", "emptyDir": {}},
        ]);
        let spec = json!({"containers": [container], "volumes": volumes});
        let status = json!({"containerStatuses": [{"name": "c", "state": state}]});
        let taken = taken(&spec, &status).into_iter();
        taken.filter(|(_, started)| *started <= at(ROTATED)).map(|(secret, _)| secret).collect()
    }

    fn running_since(time: &str) -> Value {
        json!({"running": {"startedAt": time}})
    }

    fn before() -> Value {
        running_since("2026-03-01T11:59:59Z")
    }

    #[test]
    fn what_is_taken_at_a_start_is_stale_after_it_and_a_mounted_volume_is_not() {
        let mount = |volume: &str, more: Value| {
            let mut mount = json!({"name": volume, "mountPath": "/x"});
            mount.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"name": "c", "volumeMounts": [mount]})
        };
        for (container, is_stale) in [
            (from_env(), true),
            (json!({"name": "c", "envFrom": [{"secretRef": {"name": "billing"}}]}), true),
            (mount("plain", json!({"subPath": "client-secret"})), true),
            (mount("projected", json!({"subPathExpr": "$(KEY)"})), true),
            (mount("plain", json!({})), false),
            (mount("projected", json!({"subPath": ""})), false),
            (mount("other", json!({"subPath": "client-secret"})), false),
            (json!({"name": "c", "envFrom": [{"configMapRef": {"name": "billing"}}]}), false),
            (json!({"name": "c"}), false),
        ] {
            assert_eq!(stale(container.clone(), before()) == ["billing"], is_stale, "{container}");
        }
    }

    #[test]
    fn it_is_the_start_of_the_container_that_counts() {
        assert!(!stale(from_env(), running_since(ROTATED)).is_empty(), "in the same second it may have come first");
        assert!(stale(from_env(), running_since("2026-03-01T12:00:01Z")).is_empty());
        assert!(stale(from_env(), json!({"waiting": {"reason": "CrashLoopBackOff"}})).is_empty());
        assert!(stale(from_env(), json!({"terminated": {"startedAt": "2026-03-01T11:00:00Z"}})).is_empty());
        assert!(stale(from_env(), Value::Null).is_empty());
        assert!(stale(json!({"name": "other", "envFrom": []}), before()).is_empty());
    }

    #[test]
    fn an_init_container_that_has_ended_leaves_what_it_made() {
        let spec = json!({"initContainers": [from_env()], "containers": []});
        let status = json!({"initContainerStatuses": [{"name": "c", "state": {"terminated": {"startedAt": ROTATED}}}]});
        assert_eq!(taken(&spec, &status), [("billing".into(), at(ROTATED))]);
    }

    #[test]
    fn many_mounts_of_a_volume_of_many_secrets_are_no_product() {
        let many = |each: &dyn Fn(usize) -> Value| (0..300).map(each).collect::<Vec<_>>();
        let sources = many(&|n| json!({"secret": {"name": format!("secret-{n}")}}));
        let mounts = many(&|n| json!({"name": "all", "mountPath": format!("/{n}"), "subPath": "key"}));
        let containers = many(&|n| json!({"name": format!("c-{n}"), "volumeMounts": mounts}));
        let second = |n: usize| at(ROTATED) + k8s_openapi::jiff::SignedDuration::from_secs(300 - n as i64);
        let state = |n: usize| json!({"running": {"startedAt": second(n).to_string()}});
        let statuses = many(&|n| json!({"name": format!("c-{n}"), "state": state(n)}));
        let volumes = json!([{"name": "all", "projected": {"sources": sources}}]);
        let taken =
            taken(&json!({"containers": containers, "volumes": volumes}), &json!({"containerStatuses": statuses}));
        assert_eq!(taken.len(), 300);
        assert!(taken.iter().all(|(_, at)| *at == second(299)), "the first start counts");
    }

    #[test]
    fn a_consumer_is_restarted_once_and_nothing_else_is() {
        let workload = |spec: Value, restarted_at: Value, paused: bool| {
            let template = json!({"metadata": {"annotations": {RESTARTED_AT: restarted_at}}, "spec": spec});
            json!({"metadata": {"uid": "u", "resourceVersion": "7"}, "spec": {"template": template, "paused": paused}})
        };
        let uses = json!({"containers": [from_env()]});
        let mounts = json!({"volumes": [{"name": "v", "secret": {"secretName": "billing"}}]});
        let no = |spec: &Value, restarted_at: Value, paused| {
            no_restart(&workload(spec.clone(), restarted_at, paused), "billing", at(ROTATED))
        };
        for spec in [&uses, &mounts] {
            assert_eq!(no(spec, Value::Null, false), None);
        }
        assert_eq!(no(&uses, "2026-03-01T12:59:59+01:00".into(), false), None, "restarted before");
        assert_eq!(no(&uses, "no time".into(), false), None);
        assert_eq!(no(&uses, ROTATED.into(), false), Some(RestartResult::NotNeeded));
        assert_eq!(
            no(&uses, "2026-03-01T14:00:00+01:00".into(), true),
            Some(RestartResult::NotNeeded),
            "by someone else"
        );
        assert_eq!(no(&uses, Value::Null, true), Some(RestartResult::Paused));
        assert_eq!(no(&json!({"containers": []}), Value::Null, false), Some(RestartResult::NotAConsumer));
        assert_eq!(no_restart(&json!({}), "billing", at(ROTATED)), Some(RestartResult::NotAConsumer));
        let patch = restart(&workload(uses, Value::Null, false), at(ROTATED));
        assert_eq!(patch["spec"]["template"]["metadata"]["annotations"][RESTARTED_AT], ROTATED);
        assert_eq!(patch["metadata"], json!({"uid": "u", "resourceVersion": "7"}));
    }
}
