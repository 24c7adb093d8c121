//! Consumers that read the Secret only at their start: pods that missed a rotation are named and warned of once, and workloads
//! are restarted once per rotation, where the operator has the right to.

use crate::cluster::{OPERATOR_NAMESPACE, plane};
use crate::env::TenantEnv;
use iam_simulator::types::Flavor;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use oauth_app_operator::crd::RotationStatus;
use serde_json::{Value, json};

const ROTATE: &str = "oauth-apps.dev/rotate-requested-at";
const LONG_AGO: &str = "2026-01-01T00:00:00Z";

/// A pod of one container that uses the Secret in some way, which has run since then, as the kubelet would say.
pub(crate) fn run_pod(env: &TenantEnv, name: &str, uses: Value, since: &str) {
    let mut container = json!({"name": "main", "image": "none"});
    container.as_object_mut().unwrap().extend(uses.as_object().unwrap().clone());
    let volume = json!({"name": "credential", "secret": {"secretName": "billing"}});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": env.namespace},
        "spec": {"serviceAccountName": "default", "containers": [container], "volumes": [volume]},
    });
    plane().apply(&pod).unwrap();
    started(env, name, since);
}

/// The container of the pod started at that time.
fn started(env: &TenantEnv, name: &str, since: &str) {
    let container = json!({
        "name": "main", "image": "none", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": since}},
    });
    let status = json!({"status": {"phase": "Running", "startTime": since, "containerStatuses": [container]}});
    env.kubectl(&["patch", "pod", name, "--subresource=status", "--type=merge", "-p", &status.to_string()]);
}

pub(crate) fn from_env() -> Value {
    json!({"envFrom": [{"secretRef": {"name": "billing"}}]})
}

fn mounted(sub_path: Value) -> Value {
    json!({"volumeMounts": [{"name": "credential", "mountPath": "/credential", "subPath": sub_path}]})
}

/// Has the secret rotated, and waits until the reconcile that did it has ended.
async fn rotate(env: &TenantEnv) {
    env.annotate("billing", ROTATE, "now").await;
    let rotated = async || rotation(env).await.is_some_and(|rotation| rotation.revision == Some(2));
    env.until("it is rotated", rotated).await;
}

/// Moves the last rotation back by so many hours, while the operator is away; the previous secret ends 48 hours from now.
pub(crate) async fn rotated_hours_ago(env: &TenantEnv, hours: i64) {
    rotate(env).await;
    env.operator().kill().unwrap();
    let at = (Timestamp::now() - SignedDuration::from_hours(hours)).to_string();
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"oauth-apps.dev/rotated-at": at}}}));
    env.secrets().patch("billing", &PatchParams::default(), &patch).await.unwrap();
    env.operator().start().unwrap();
}

async fn rotation(env: &TenantEnv) -> Option<RotationStatus> {
    env.app("billing").await.status?.rotation
}

async fn until_stale(env: &TenantEnv, names: &[&str]) {
    let are = async || rotation(env).await.and_then(|said| said.stale_consumers).unwrap_or_default() == names;
    env.until(&format!("the stale consumers are {names:?}"), are).await;
}

/// Another process of the operator has seen a change of the resource through.
async fn reconciled_again(env: &TenantEnv) {
    env.operator().kill().unwrap();
    env.operator().start().unwrap();
    env.change("billing", json!({"description": "Changed"})).await;
    let settled = async || {
        let app = env.app("billing").await;
        app.status.and_then(|status| status.observed_generation) == app.metadata.generation
    };
    env.until("the change is done", settled).await;
    env.until_ready("billing").await;
}

async fn with_an_app(namespace: &str, rotation: Value) -> TenantEnv {
    let env = TenantEnv::running(namespace, Flavor::Csp).await;
    env.create("billing", json!({ "rotation": rotation })).await;
    env.until_ready("billing").await;
    env
}

#[tokio::test]
async fn stale_pods_are_named_and_warned_about_once() {
    let env = with_an_app("stale", json!({"overlap": "48h"})).await;
    run_pod(&env, "web", from_env(), LONG_AGO);
    run_pod(&env, "file", mounted("client-secret".into()), LONG_AGO);
    run_pod(&env, "sees-it", mounted(Value::Null), LONG_AGO);
    rotated_hours_ago(&env, 48).await;
    until_stale(&env, &["file", "web"]).await;
    assert_eq!(env.notes("billing", "ConsumersStale"), [""; 0], "half of the overlap is left");
    env.operator().kill().unwrap();
    started(&env, "file", &Timestamp::now().to_string());
    env.operator().start().unwrap();
    until_stale(&env, &["web"]).await;
    rotated_hours_ago(&env, 200).await;
    let warned = async || env.notes("billing", "ConsumersStale").len() == 1;
    env.until("it is warned of", warned).await;
    let note = env.notes("billing", "ConsumersStale").remove(0);
    assert!(note.starts_with("pods web still use the previous client secret of app ooa-"), "{note}");
    assert!(note.ends_with("restart them before, or name their workloads in spec.rotation.restart"), "{note}");
    // Neither another reconcile nor another operator reports it again.
    let back = env.app("billing").await;
    env.operator().kill().unwrap();
    started(&env, "web", &Timestamp::now().to_string());
    env.operator().start().unwrap();
    until_stale(&env, &[]).await;
    env.operator().kill().unwrap();
    started(&env, "web", LONG_AGO);
    env.operator().start().unwrap();
    until_stale(&env, &["web"]).await;
    env.until_ready("billing").await;
    assert_eq!(env.notes("billing", "ConsumersStale").len(), 1);
    let status = |app: &oauth_app_operator::crd::OrgOAuthApp| app.status.clone().unwrap().rotation;
    assert_eq!(status(&env.app("billing").await), status(&back), "the same state gives the same status");
}

#[tokio::test]
async fn pods_are_listed_only_after_a_rotation() {
    let env = with_an_app("stale-quiet", json!({"overlap": "48h"})).await;
    run_pod(&env, "web", from_env(), LONG_AGO);
    reconciled_again(&env).await;
    assert_eq!(env.audit(|record| record.resource == "pods").len(), 0);
}

/// The right that the chart gives with `rotation.restart: true`, in this namespace.
fn allow_restarts(env: &TenantEnv) {
    let workloads = "--resource=deployments.apps,statefulsets.apps,daemonsets.apps";
    env.kubectl(&["create", "role", "restart", "--verb=get,patch", workloads]);
    let operator = format!("--serviceaccount={OPERATOR_NAMESPACE}:oauth-app-operator");
    env.kubectl(&["create", "rolebinding", "restart", "--role=restart", &operator]);
}

fn apply_workload(env: &TenantEnv, kind: &str, name: &str, secret: &str) {
    let labels = json!({"app": name});
    let container = json!({"name": "main", "image": "none", "envFrom": [{"secretRef": {"name": secret}}]});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
    let workload = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": env.namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    });
    plane().kubectl_with_input(&["create", "-f", "-"], &workload.to_string()).unwrap();
}

fn restarted_at(env: &TenantEnv, workload: &str) -> String {
    let path = r"-o=jsonpath={.spec.template.metadata.annotations.kubectl\.kubernetes\.io/restartedAt}";
    env.kubectl(&["get", workload, path])
}

fn restarts(env: &TenantEnv) -> usize {
    env.audit(|record| record.group == "apps" && record.verb == "patch").len()
}

#[tokio::test]
async fn workloads_that_use_the_secret_are_restarted_once_per_rotation() {
    let named = [("Deployment", "web"), ("StatefulSet", "queue"), ("DaemonSet", "agent")];
    let mut all: Vec<Value> = named.iter().map(|(kind, name)| json!({"kind": kind, "name": name})).collect();
    all.extend([json!({"kind": "Deployment", "name": "stranger"}), json!({"kind": "Deployment", "name": "missing"})]);
    let env = with_an_app("restart-consumers", json!({"overlap": "48h", "restart": all})).await;
    allow_restarts(&env);
    named.iter().for_each(|(kind, name)| apply_workload(&env, kind, name, "billing"));
    apply_workload(&env, "Deployment", "stranger", "of-somebody-else");
    assert_eq!(restarts(&env), 0, "the first secret restarts nothing");
    rotate(&env).await;
    let at = rotation(&env).await.unwrap().rotated_at.unwrap().0.to_string();
    for workload in ["deployment/web", "statefulset/queue", "daemonset/agent"] {
        assert_eq!(restarted_at(&env, workload), at, "{workload}");
    }
    assert_eq!(restarted_at(&env, "deployment/stranger"), "");
    let reported = async || !env.notes("billing", "ConsumersNotRestarted").is_empty();
    env.until("what was not restarted is reported", reported).await;
    let note = env.notes("billing", "ConsumersNotRestarted").remove(0);
    assert_eq!(
        note,
        "workloads not restarted after the rotation: Deployment stranger does not use Secret billing in its pod template; Deployment missing does not exist"
    );
    let rotated = env.notes("billing", "Rotated").remove(0);
    assert!(rotated.contains("Restarted Deployment web. Restarted StatefulSet queue."), "{rotated}");
    reconciled_again(&env).await;
    assert_eq!(restarts(&env), 3, "once each");
    assert_eq!(env.notes("billing", "ConsumersNotRestarted").len(), 1);
}

#[tokio::test]
async fn rotation_without_the_right_to_restart_succeeds_and_is_reported_once() {
    let all = json!([{"kind": "Deployment", "name": "web"}, {"kind": "Deployment", "name": "other"}]);
    let env = with_an_app("restart-no-right", json!({"overlap": "48h", "restart": all})).await;
    apply_workload(&env, "Deployment", "web", "billing");
    rotate(&env).await;
    let reported = async || !env.notes("billing", "ConsumersNotRestarted").is_empty();
    env.until("it is reported", reported).await;
    let note = env.notes("billing", "ConsumersNotRestarted").remove(0);
    assert!(note.contains("Deployment web cannot be restarted"), "{note}");
    assert!(
        note.contains("rotation.restart: true of the chart gives: deployments.apps \"web\" is forbidden"),
        "{note}"
    );
    assert!(!note.contains("other"), "{note}");
    env.until_ready("billing").await;
    env.assert_credential_works("billing").await;
    reconciled_again(&env).await;
    assert_eq!(env.audit(|record| record.group == "apps").len(), 1, "it is tried once");
    assert_eq!(env.notes("billing", "ConsumersNotRestarted").len(), 1);
    assert_eq!(restarted_at(&env, "deployment/web"), "");
}
