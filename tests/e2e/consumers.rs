//! Consumers that read the Secret only at their start: pods that missed a rotation are named and warned of once, and workloads
//! are restarted once per rotation, where the operator has the right to.

use crate::cluster::{OPERATOR_NAMESPACE, plane};
use crate::world::World;
use iam_simulator::types::Flavor;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use oauth_app_operator::crd::RotationStatus;
use serde_json::{Value, json};

const ROTATE: &str = "oauth-apps.dev/rotate-requested-at";
const LONG_AGO: &str = "2026-01-01T00:00:00Z";

/// A pod of one container that uses the Secret in some way, which has run since then, as the kubelet would say.
pub fn run_pod(world: &World, name: &str, uses: Value, since: &str) {
    let mut container = json!({"name": "main", "image": "none"});
    container.as_object_mut().unwrap().extend(uses.as_object().unwrap().clone());
    let volume = json!({"name": "credential", "secret": {"secretName": "billing"}});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": world.namespace},
        "spec": {"serviceAccountName": "default", "containers": [container], "volumes": [volume]},
    });
    plane().kubectl_with_input(&["apply", "-f", "-"], &pod.to_string()).unwrap();
    started(world, name, since);
}

/// The container of the pod started at that time.
fn started(world: &World, name: &str, since: &str) {
    let container = json!({
        "name": "main", "image": "none", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": since}},
    });
    let status = json!({"status": {"phase": "Running", "startTime": since, "containerStatuses": [container]}});
    world.kubectl(&["patch", "pod", name, "--subresource=status", "--type=merge", "-p", &status.to_string()]);
}

pub fn from_env() -> Value {
    json!({"envFrom": [{"secretRef": {"name": "billing"}}]})
}

fn mounted(sub_path: Value) -> Value {
    json!({"volumeMounts": [{"name": "credential", "mountPath": "/credential", "subPath": sub_path}]})
}

/// Has the secret rotated, and waits until the reconcile that did it has ended.
async fn rotate(world: &World) {
    world.annotate("billing", ROTATE, "now").await;
    let rotated = async || rotation(world).await.is_some_and(|rotation| rotation.revision == Some(2));
    world.until("it is rotated", rotated).await;
}

/// Moves the last rotation back by so many hours, while the operator is away; the previous secret ends 48 hours from now.
pub async fn rotated_hours_ago(world: &World, hours: i64) {
    rotate(world).await;
    world.operator().kill();
    let at = (Timestamp::now() - SignedDuration::from_hours(hours)).to_string();
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"oauth-apps.dev/rotated-at": at}}}));
    world.secrets().patch("billing", &PatchParams::default(), &patch).await.unwrap();
    world.operator().start();
}

async fn rotation(world: &World) -> Option<RotationStatus> {
    world.app("billing").await.status?.rotation
}

async fn until_stale(world: &World, names: &[&str]) {
    let are = async || rotation(world).await.and_then(|said| said.stale_consumers).unwrap_or_default() == names;
    world.until(&format!("the stale consumers are {names:?}"), are).await;
}

/// Another process of the operator has seen a change of the resource through.
async fn reconciled_again(world: &World) {
    world.operator().kill();
    world.operator().start();
    world.change("billing", json!({"description": "Changed"})).await;
    let settled = async || {
        let app = world.app("billing").await;
        app.status.and_then(|status| status.observed_generation) == app.metadata.generation
    };
    world.until("the change is done", settled).await;
    world.until_ready("billing").await;
}

async fn with_an_app(namespace: &str, rotation: Value) -> World {
    let world = World::running(namespace, Flavor::Csp).await;
    world.create("billing", json!({ "rotation": rotation })).await;
    world.until_ready("billing").await;
    world
}

#[tokio::test]
async fn pods_that_hold_the_previous_secret_are_named_and_warned_of_once() {
    let world = with_an_app("stale", json!({"overlap": "48h"})).await;
    run_pod(&world, "web", from_env(), LONG_AGO);
    run_pod(&world, "file", mounted("client-secret".into()), LONG_AGO);
    run_pod(&world, "sees-it", mounted(Value::Null), LONG_AGO);
    rotated_hours_ago(&world, 48).await;
    until_stale(&world, &["file", "web"]).await;
    assert_eq!(world.notes("billing", "ConsumersStale"), [""; 0], "half of the overlap is left");
    world.operator().kill();
    started(&world, "file", &Timestamp::now().to_string());
    world.operator().start();
    until_stale(&world, &["web"]).await;
    rotated_hours_ago(&world, 200).await;
    let warned = async || world.notes("billing", "ConsumersStale").len() == 1;
    world.until("it is warned of", warned).await;
    let note = world.notes("billing", "ConsumersStale").remove(0);
    assert!(note.starts_with("Pods web still hold the previous client secret of app ooa-"), "{note}");
    assert!(note.ends_with("restart them before, or name their workloads in spec.rotation.restart."), "{note}");
    // Neither another look nor another operator says it again.
    let back = world.app("billing").await;
    world.operator().kill();
    started(&world, "web", &Timestamp::now().to_string());
    world.operator().start();
    until_stale(&world, &[]).await;
    world.operator().kill();
    started(&world, "web", LONG_AGO);
    world.operator().start();
    until_stale(&world, &["web"]).await;
    world.until_ready("billing").await;
    assert_eq!(world.notes("billing", "ConsumersStale").len(), 1);
    let status = |app: &oauth_app_operator::crd::OrgOAuthApp| app.status.clone().unwrap().rotation;
    assert_eq!(status(&world.app("billing").await), status(&back), "the same state gives the same status");
}

#[tokio::test]
async fn while_nothing_is_rotated_no_pods_are_looked_for() {
    let world = with_an_app("stale-quiet", json!({"overlap": "48h"})).await;
    run_pod(&world, "web", from_env(), LONG_AGO);
    reconciled_again(&world).await;
    assert_eq!(world.audit(|record| record.resource == "pods").len(), 0);
}

/// The right that the chart gives with `rotation.restart: true`, in this namespace.
fn allow_restarts(world: &World) {
    let workloads = "--resource=deployments.apps,statefulsets.apps,daemonsets.apps";
    world.kubectl(&["create", "role", "restart", "--verb=get,patch", workloads]);
    let operator = format!("--serviceaccount={OPERATOR_NAMESPACE}:oauth-app-operator");
    world.kubectl(&["create", "rolebinding", "restart", "--role=restart", &operator]);
}

fn apply_workload(world: &World, kind: &str, name: &str, secret: &str) {
    let labels = json!({"app": name});
    let container = json!({"name": "main", "image": "none", "envFrom": [{"secretRef": {"name": secret}}]});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
    let workload = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": world.namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    });
    plane().kubectl_with_input(&["create", "-f", "-"], &workload.to_string()).unwrap();
}

fn restarted_at(world: &World, workload: &str) -> String {
    let path = r"-o=jsonpath={.spec.template.metadata.annotations.kubectl\.kubernetes\.io/restartedAt}";
    world.kubectl(&["get", workload, path])
}

fn restarts(world: &World) -> usize {
    world.audit(|record| record.group == "apps" && record.verb == "patch").len()
}

#[tokio::test]
async fn workloads_that_use_the_secret_are_restarted_once_per_rotation() {
    let named = [("Deployment", "web"), ("StatefulSet", "queue"), ("DaemonSet", "agent")];
    let mut all: Vec<Value> = named.iter().map(|(kind, name)| json!({"kind": kind, "name": name})).collect();
    all.extend([json!({"kind": "Deployment", "name": "stranger"}), json!({"kind": "Deployment", "name": "missing"})]);
    let world = with_an_app("restart-consumers", json!({"overlap": "48h", "restart": all})).await;
    allow_restarts(&world);
    named.iter().for_each(|(kind, name)| apply_workload(&world, kind, name, "billing"));
    apply_workload(&world, "Deployment", "stranger", "of-somebody-else");
    assert_eq!(restarts(&world), 0, "the first secret restarts nothing");
    rotate(&world).await;
    let at = rotation(&world).await.unwrap().rotated_at.unwrap().0.to_string();
    for workload in ["deployment/web", "statefulset/queue", "daemonset/agent"] {
        assert_eq!(restarted_at(&world, workload), at, "{workload}");
    }
    assert_eq!(restarted_at(&world, "deployment/stranger"), "");
    let told = async || !world.notes("billing", "ConsumersNotRestarted").is_empty();
    world.until("what was not restarted is told", told).await;
    let note = world.notes("billing", "ConsumersNotRestarted").remove(0);
    assert_eq!(
        note,
        "Not restarted after the rotation: Deployment stranger does not use Secret billing in its pod template; Deployment missing does not exist."
    );
    let rotated = world.notes("billing", "Rotated").remove(0);
    assert!(rotated.contains("Deployment web is restarted. StatefulSet queue is restarted."), "{rotated}");
    reconciled_again(&world).await;
    assert_eq!(restarts(&world), 3, "once each");
    assert_eq!(world.notes("billing", "ConsumersNotRestarted").len(), 1);
}

#[tokio::test]
async fn without_the_right_to_restart_the_rotation_is_done_and_it_is_told_once() {
    let all = json!([{"kind": "Deployment", "name": "web"}, {"kind": "Deployment", "name": "other"}]);
    let world = with_an_app("restart-no-right", json!({"overlap": "48h", "restart": all})).await;
    apply_workload(&world, "Deployment", "web", "billing");
    rotate(&world).await;
    let told = async || !world.notes("billing", "ConsumersNotRestarted").is_empty();
    world.until("it is told", told).await;
    let note = world.notes("billing", "ConsumersNotRestarted").remove(0);
    assert!(note.contains("Deployment web is out of reach"), "{note}");
    assert!(
        note.contains("rotation.restart: true of the chart gives: deployments.apps \"web\" is forbidden"),
        "{note}"
    );
    assert!(!note.contains("other"), "{note}");
    world.until_ready("billing").await;
    world.assert_credential_works("billing").await;
    reconciled_again(&world).await;
    assert_eq!(world.audit(|record| record.group == "apps").len(), 1, "it is tried once");
    assert_eq!(world.notes("billing", "ConsumersNotRestarted").len(), 1);
    assert_eq!(restarted_at(&world, "deployment/web"), "");
}
