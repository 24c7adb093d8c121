//! One item that cannot be read, is too large, or lost its finalizer stops nothing else, and is reported. Written with the rights
//! of a tenant where a tenant can write it.

use crate::cluster::plane;
use crate::env::TenantEnv;
use crate::tenancy::Tenant;
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use oauth_app_operator::crd::FINALIZER;
use serde_json::{Value, json};

/// Go stores it, and Rust's times end a day before.
const NEVER: &str = "9999-12-31T23:59:59Z";

/// An environment whose resources are not looked at again by themselves while a test lasts.
async fn quiet(namespace: &str) -> (TenantEnv, Tenant) {
    let env = TenantEnv::new(namespace, Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"resyncInterval": "10h"})).await;
    env.operator().start().unwrap();
    let tenant = Tenant::of(&env);
    (env, tenant)
}

fn restart(env: &TenantEnv) {
    env.operator().kill().unwrap();
    env.operator().start().unwrap();
}

/// An object as Kubernetes stores it, read without any type.
fn stored(env: &TenantEnv, what: &[&str]) -> Value {
    serde_json::from_str(&env.kubectl(&[&["get", "-o", "json", "--show-managed-fields"], what].concat())).unwrap()
}

/// New resources are served, and the operator says that it is ready.
async fn assert_served(env: &TenantEnv, name: &str) {
    env.create(name, json!({})).await;
    env.until_ready(name).await;
    env.assert_credential_works(name).await;
    let address = env.operator().address().unwrap();
    assert_eq!(reqwest::get(format!("http://{address}/readyz")).await.unwrap().status().as_u16(), 200);
}

/// Puts an owner of fields into the object that wrote them at a time that cannot be read.
fn with_a_time_that_cannot_be_read(mut object: Value, api_version: &str, fields: Value) -> Value {
    object["metadata"]["managedFields"] = json!([{
        "manager": "somebody", "operation": "Update", "time": NEVER, "apiVersion": api_version,
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    }]);
    object
}

fn assert_cannot_be_read(object: &Value) {
    let fields = object["metadata"]["managedFields"].as_array().unwrap();
    assert!(fields.iter().any(|field| field["time"] == NEVER), "Kubernetes does not store it: {fields:?}");
}

#[tokio::test]
async fn a_time_in_managed_fields_that_cannot_be_read_stops_nobody_after_a_restart() {
    let (env, tenant) = quiet("bad-time").await;
    env.create("bad", json!({})).await;
    env.until_ready("bad").await;
    let fields = json!({"f:spec": {"f:displayName": {}}});
    let app = with_a_time_that_cannot_be_read(stored(&env, &["ooa", "bad"]), "oauth-apps.dev/v1alpha1", fields);
    tenant.kubectl_with(&["replace", "-f", "-"], &app).unwrap();
    assert_cannot_be_read(&stored(&env, &["ooa", "bad"]));
    restart(&env);
    assert_served(&env, "other").await;
}

#[tokio::test]
async fn a_secret_with_a_time_that_cannot_be_read_is_rotated() {
    let (env, _) = quiet("bad-secret").await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let fields = json!({"f:data": {"f:client-id": {}}});
    let secret = with_a_time_that_cannot_be_read(stored(&env, &["secret", "billing"]), "v1", fields);
    plane().kubectl_with_input(&["replace", "-f", "-"], &secret.to_string()).unwrap();
    assert_cannot_be_read(&stored(&env, &["secret", "billing"]));
    let value = || stored(&env, &["secret", "billing"])["data"]["client-secret"].clone();
    let before = value();
    env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "now").await;
    env.until("it is rotated", async || value() != before).await;
}

#[tokio::test]
async fn a_connection_with_a_time_that_cannot_be_read_is_used_after_a_restart() {
    let (env, _) = quiet("bad-connection").await;
    let connection = stored(&env, &["iamc", "bad-connection"]);
    let fields = json!({"f:spec": {"f:resyncInterval": {}}});
    let connection = with_a_time_that_cannot_be_read(connection, "oauth-apps.dev/v1alpha1", fields);
    plane().kubectl_with_input(&["replace", "-f", "-"], &connection.to_string()).unwrap();
    assert_cannot_be_read(&stored(&env, &["iamc", "bad-connection"]));
    restart(&env);
    assert_served(&env, "billing").await;
}

#[tokio::test]
async fn a_status_that_cannot_be_read_stops_nobody_after_a_restart_and_is_written_again() {
    let (env, _) = quiet("bad-status").await;
    env.create("bad", json!({})).await;
    env.until_ready("bad").await;
    let status =
        json!({"status": {"createdAt": NEVER, "rotation": {"rotatedAt": NEVER}, "conditions": null}}).to_string();
    env.kubectl(&["patch", "ooa", "bad", "--subresource=status", "--type=merge", "-p", &status]);
    assert_eq!(stored(&env, &["ooa", "bad"])["status"]["createdAt"], NEVER);
    let credential = env.credential("bad").await;
    restart(&env);
    assert_served(&env, "other").await;
    let repaired = async || stored(&env, &["ooa", "bad"])["status"]["rotation"]["rotatedAt"] != NEVER;
    env.until("status is written again", repaired).await;
    assert_eq!(env.credential("bad").await, credential);
}

#[tokio::test]
async fn oversized_resource_is_reported_and_skipped_until_it_is_small_again() {
    let (env, tenant) = quiet("bad-size").await;
    env.create("bad", json!({})).await;
    env.until_ready("bad").await;
    let mut large = stored(&env, &["ooa", "bad"]);
    let finalizers = large["metadata"]["finalizers"].as_array_mut().unwrap();
    finalizers.extend((0..1500).map(|n| json!(format!("{}.example.com/{n}", "a.".repeat(120) + "a"))));
    tenant.kubectl_with(&["replace", "-f", "-"], &large).unwrap();
    let unreadable = [("resource", "orgoauthapps")];
    env.until_metric("unreadable_objects", &unreadable, |count| count == 1.0).await;
    let message = env.until_stalled("bad", "Unreadable").await;
    assert!(message.contains("larger than 256 KiB"), "{message}");
    env.until("an Event says so", async || !env.notes("bad", "Unreadable").is_empty()).await;
    restart(&env);
    assert_served(&env, "other").await;
    env.until_metric("unreadable_objects", &unreadable, |count| count == 1.0).await;
    assert_eq!(env.operator().log().matches("an object cannot be read").count(), 2, "once for each start");
    let small = json!({"metadata": {"finalizers": [FINALIZER]}});
    tenant.kubectl_with(&["patch", "ooa", "bad", "--type=merge", "-p", &small.to_string()], &Value::Null).unwrap();
    env.until_metric("unreadable_objects", &unreadable, |count| count == 0.0).await;
    env.until_ready("bad").await;
}

#[tokio::test]
async fn removed_finalizer_is_restored_without_a_resync() {
    let (env, tenant) = quiet("bad-replace").await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let finalizers = || stored(&env, &["ooa", "billing"])["metadata"]["finalizers"].clone();
    assert_eq!(finalizers(), json!([FINALIZER]));
    tenant.kubectl_with(&["replace", "-f", "-"], &env.manifest("billing", json!({}))).unwrap();
    env.until("the finalizer is back", async || finalizers() == json!([FINALIZER])).await;
    let (id, _) = env.credential("billing").await.unwrap();
    env.delete("billing").await;
    env.until_gone("billing").await;
    assert!(env.remote_app(&id).await.is_none(), "its app went first");
}

#[tokio::test]
async fn deletion_after_finalizer_removal_is_reported() {
    let (env, tenant) = quiet("bad-vanish").await;
    for name in ["kept", "lost"] {
        env.create(name, json!({})).await;
        env.until_ready(name).await;
    }
    env.delete("kept").await;
    env.until_gone("kept").await;
    let (id, _) = env.credential("lost").await.unwrap();
    let refuse = Action::Status { status: 503, message: "no".into(), performed: false };
    env.control.fault(Fault::always(refuse).on(Operation::DeleteApps)).await.unwrap();
    env.delete("lost").await;
    let off = json!({"metadata": {"finalizers": null}}).to_string();
    tenant.kubectl_with(&["patch", "ooa", "lost", "--type=merge", "-p", &off], &Value::Null).unwrap();
    env.until_gone("lost").await;
    env.until("an Event says so", async || env.notes("lost", "FinalizerRemoved").len() == 1).await;
    let note = env.notes("lost", "FinalizerRemoved").remove(0);
    assert!(note.contains(&format!("app {id} was not deleted")), "{note}");
    env.until_metric("finalizers_removed_total", &[], |count| count == 1.0).await;
    assert!(env.notes("kept", "FinalizerRemoved").is_empty(), "the operator itself removed that one");
}

#[tokio::test]
async fn three_changes_within_a_minute_are_three_events_with_their_own_fields() {
    let (env, _) = quiet("events-three").await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let changes = [("displayName", json!("Other")), ("description", json!("Other")), ("accessTokenTTL", json!(900))];
    for (field, value) in &changes {
        env.change("billing", json!({ *field: value })).await;
        let noted = async || env.notes("billing", "Updated").iter().any(|note| note.contains(field));
        env.until(&format!("an Event names {field}"), noted).await;
    }
    assert_eq!(env.notes("billing", "Updated").len(), 3);
}

#[tokio::test]
async fn a_resource_with_the_longest_name_has_its_events() {
    let (env, _) = quiet("events-long").await;
    let name = "a".repeat(244);
    env.create(&name, json!({})).await;
    env.until_ready(&name).await;
    env.until("its Event", async || !env.notes(&name, "Created").is_empty()).await;
}

#[tokio::test]
async fn the_event_after_all_events_were_deleted_is_there() {
    let (env, _) = quiet("events-deleted").await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    for display_name in ["One", "Two"] {
        env.change("billing", json!({ "displayName": display_name })).await;
        env.until("an Event", async || !env.notes("billing", "Updated").is_empty()).await;
        env.kubectl(&["delete", "events", "--all"]);
    }
}

#[tokio::test]
async fn the_pod_that_uses_a_secret_is_found_among_many() {
    let (env, _) = quiet("many-pods").await;
    env.create("billing", json!({"deletionPolicy": "DeleteWhenUnused"})).await;
    env.until_ready("billing").await;
    let pod = |name: String, container: Value| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": env.namespace},
            "spec": {"automountServiceAccountToken": false, "containers": [container]},
        })
    };
    let others = (0..45).map(|n| pod(format!("pod-{n:02}"), json!({"name": "c", "image": "none"})));
    let uses = json!({"name": "c", "image": "none", "envFrom": [{"secretRef": {"name": "billing"}}]});
    let all: Vec<Value> = others.chain([pod("the-last".into(), uses)]).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": all});
    plane().kubectl_with_input(&["create", "-f", "-"], &list.to_string()).unwrap();
    env.delete("billing").await;
    let message = env.until_reason("billing", oauth_app_operator::crd::ConditionType::Reconciling, "InUse").await;
    assert!(message.contains("used by pods the-last;"), "{message}");
    env.kubectl(&["delete", "pod", "the-last", "--force", "--grace-period=0"]);
    env.until_gone("billing").await;
}
