//! One item that cannot be read, is too large, or lost its finalizer stops nothing else, and is said. Written with the rights
//! of a tenant where a tenant can write it.

use crate::cluster::plane;
use crate::process::address;
use crate::tenancy::Tenant;
use crate::world::World;
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use oauth_app_operator::crd::FINALIZER;
use serde_json::{Value, json};

/// Go stores it, and Rust's times end a day before.
const NEVER: &str = "9999-12-31T23:59:59Z";

/// A world whose resources are not looked at again by themselves while a test lasts.
async fn quiet(namespace: &str) -> (World, Tenant) {
    let world = World::new(namespace, Flavor::Csp).await;
    world.give_credentials().await;
    world.connect(json!({"resyncInterval": "10h"})).await;
    world.operator().start();
    let tenant = Tenant::of(&world);
    (world, tenant)
}

fn restart(world: &World) {
    world.operator().kill();
    world.operator().start();
}

/// An object as Kubernetes stores it, read without any type.
fn stored(world: &World, what: &[&str]) -> Value {
    serde_json::from_str(&world.kubectl(&[&["get", "-o", "json", "--show-managed-fields"], what].concat())).unwrap()
}

/// New resources are served, and the operator says that it is ready.
async fn assert_served(world: &World, name: &str) {
    world.create(name, json!({})).await;
    world.until_ready(name).await;
    world.assert_credential_works(name).await;
    let address = address(&world.operator().log()).unwrap();
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
    let (world, tenant) = quiet("bad-time").await;
    world.create("bad", json!({})).await;
    world.until_ready("bad").await;
    let fields = json!({"f:spec": {"f:displayName": {}}});
    let app = with_a_time_that_cannot_be_read(stored(&world, &["ooa", "bad"]), "oauth-apps.dev/v1alpha1", fields);
    tenant.kubectl_with(&["replace", "-f", "-"], &app).unwrap();
    assert_cannot_be_read(&stored(&world, &["ooa", "bad"]));
    restart(&world);
    assert_served(&world, "other").await;
}

#[tokio::test]
async fn a_secret_with_a_time_that_cannot_be_read_is_rotated() {
    let (world, _) = quiet("bad-secret").await;
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    let fields = json!({"f:data": {"f:client-id": {}}});
    let secret = with_a_time_that_cannot_be_read(stored(&world, &["secret", "billing"]), "v1", fields);
    plane().kubectl_with_input(&["replace", "-f", "-"], &secret.to_string()).unwrap();
    assert_cannot_be_read(&stored(&world, &["secret", "billing"]));
    let value = || stored(&world, &["secret", "billing"])["data"]["client-secret"].clone();
    let before = value();
    world.annotate("billing", "oauth-apps.dev/rotate-requested-at", "now").await;
    world.until("it is rotated", async || value() != before).await;
}

#[tokio::test]
async fn a_connection_with_a_time_that_cannot_be_read_is_used_after_a_restart() {
    let (world, _) = quiet("bad-connection").await;
    let connection = stored(&world, &["iamc", "bad-connection"]);
    let fields = json!({"f:spec": {"f:resyncInterval": {}}});
    let connection = with_a_time_that_cannot_be_read(connection, "oauth-apps.dev/v1alpha1", fields);
    plane().kubectl_with_input(&["replace", "-f", "-"], &connection.to_string()).unwrap();
    assert_cannot_be_read(&stored(&world, &["iamc", "bad-connection"]));
    restart(&world);
    assert_served(&world, "billing").await;
}

#[tokio::test]
async fn a_status_that_cannot_be_read_stops_nobody_after_a_restart_and_is_written_again() {
    let (world, _) = quiet("bad-status").await;
    world.create("bad", json!({})).await;
    world.until_ready("bad").await;
    let status =
        json!({"status": {"createdAt": NEVER, "rotation": {"rotatedAt": NEVER}, "conditions": null}}).to_string();
    world.kubectl(&["patch", "ooa", "bad", "--subresource=status", "--type=merge", "-p", &status]);
    assert_eq!(stored(&world, &["ooa", "bad"])["status"]["createdAt"], NEVER);
    let credential = world.credential("bad").await;
    restart(&world);
    assert_served(&world, "other").await;
    let repaired = async || stored(&world, &["ooa", "bad"])["status"]["rotation"]["rotatedAt"] != NEVER;
    world.until("status is written again", repaired).await;
    assert_eq!(world.credential("bad").await, credential);
}

#[tokio::test]
async fn a_resource_that_is_too_large_is_said_and_skipped_until_it_is_small_again() {
    let (world, tenant) = quiet("bad-size").await;
    world.create("bad", json!({})).await;
    world.until_ready("bad").await;
    let mut large = stored(&world, &["ooa", "bad"]);
    let finalizers = large["metadata"]["finalizers"].as_array_mut().unwrap();
    finalizers.extend((0..1500).map(|n| json!(format!("{}.example.com/{n}", "a.".repeat(120) + "a"))));
    tenant.kubectl_with(&["replace", "-f", "-"], &large).unwrap();
    let unreadable = [("resource", "orgoauthapps")];
    world.until_metric("unreadable_objects", &unreadable, |count| count == 1.0).await;
    let message = world.until_stalled("bad", "Unreadable").await;
    assert!(message.contains("larger than 256 KiB"), "{message}");
    world.until("an Event says so", async || !world.notes("bad", "Unreadable").is_empty()).await;
    restart(&world);
    assert_served(&world, "other").await;
    world.until_metric("unreadable_objects", &unreadable, |count| count == 1.0).await;
    assert_eq!(world.operator().log().matches("an object cannot be read").count(), 2, "once for each start");
    let small = json!({"metadata": {"finalizers": [FINALIZER]}});
    tenant.kubectl_with(&["patch", "ooa", "bad", "--type=merge", "-p", &small.to_string()], &Value::Null).unwrap();
    world.until_metric("unreadable_objects", &unreadable, |count| count == 0.0).await;
    world.until_ready("bad").await;
}

#[tokio::test]
async fn a_finalizer_that_a_replace_took_off_is_back_without_a_resync() {
    let (world, tenant) = quiet("bad-replace").await;
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    let finalizers = || stored(&world, &["ooa", "billing"])["metadata"]["finalizers"].clone();
    assert_eq!(finalizers(), json!([FINALIZER]));
    tenant.kubectl_with(&["replace", "-f", "-"], &world.manifest("billing", json!({}))).unwrap();
    world.until("the finalizer is back", async || finalizers() == json!([FINALIZER])).await;
    let (id, _) = world.credential("billing").await.unwrap();
    world.delete("billing").await;
    world.until_gone("billing").await;
    assert!(world.remote_app(&id).await.is_none(), "its app went first");
}

#[tokio::test]
async fn a_resource_that_goes_after_a_tenant_took_its_finalizer_off_is_said() {
    let (world, tenant) = quiet("bad-vanish").await;
    for name in ["kept", "lost"] {
        world.create(name, json!({})).await;
        world.until_ready(name).await;
    }
    world.delete("kept").await;
    world.until_gone("kept").await;
    let (id, _) = world.credential("lost").await.unwrap();
    let refuse = Action::Status { status: 503, message: "no".into(), performed: false };
    world.control.fault(Fault::always(refuse).on(Operation::DeleteApps)).await.unwrap();
    world.delete("lost").await;
    let off = json!({"metadata": {"finalizers": null}}).to_string();
    tenant.kubectl_with(&["patch", "ooa", "lost", "--type=merge", "-p", &off], &Value::Null).unwrap();
    world.until_gone("lost").await;
    world.until("an Event says so", async || world.notes("lost", "FinalizerRemoved").len() == 1).await;
    let note = world.notes("lost", "FinalizerRemoved").remove(0);
    assert!(note.contains(&format!("app {id} was not deleted")), "{note}");
    world.until_metric("finalizers_removed_total", &[], |count| count == 1.0).await;
    assert!(world.notes("kept", "FinalizerRemoved").is_empty(), "the operator itself removed that one");
}

#[tokio::test]
async fn three_changes_within_a_minute_are_three_events_with_their_own_fields() {
    let (world, _) = quiet("events-three").await;
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    let changes = [("displayName", json!("Other")), ("description", json!("Other")), ("accessTokenTTL", json!(900))];
    for (field, value) in &changes {
        world.change("billing", json!({ *field: value })).await;
        let told = async || world.notes("billing", "Updated").iter().any(|note| note.contains(field));
        world.until(&format!("an Event names {field}"), told).await;
    }
    assert_eq!(world.notes("billing", "Updated").len(), 3);
}

#[tokio::test]
async fn a_resource_with_the_longest_name_has_its_events() {
    let (world, _) = quiet("events-long").await;
    let name = "a".repeat(244);
    world.create(&name, json!({})).await;
    world.until_ready(&name).await;
    world.until("its Event", async || !world.notes(&name, "Created").is_empty()).await;
}

#[tokio::test]
async fn the_event_after_all_events_were_deleted_is_there() {
    let (world, _) = quiet("events-deleted").await;
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    for display_name in ["One", "Two"] {
        world.change("billing", json!({ "displayName": display_name })).await;
        world.until("an Event", async || !world.notes("billing", "Updated").is_empty()).await;
        world.kubectl(&["delete", "events", "--all"]);
    }
}

#[tokio::test]
async fn the_pod_that_uses_a_secret_is_found_among_many() {
    let (world, _) = quiet("many-pods").await;
    world.create("billing", json!({"deletionPolicy": "DeleteWhenUnused"})).await;
    world.until_ready("billing").await;
    let pod = |name: String, container: Value| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": world.namespace},
            "spec": {"automountServiceAccountToken": false, "containers": [container]},
        })
    };
    let others = (0..45).map(|n| pod(format!("pod-{n:02}"), json!({"name": "c", "image": "none"})));
    let uses = json!({"name": "c", "image": "none", "envFrom": [{"secretRef": {"name": "billing"}}]});
    let all: Vec<Value> = others.chain([pod("the-last".into(), uses)]).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": all});
    plane().kubectl_with_input(&["create", "-f", "-"], &list.to_string()).unwrap();
    world.delete("billing").await;
    let message = world.until_reason("billing", oauth_app_operator::crd::ConditionType::Reconciling, "InUse").await;
    assert!(message.contains("used by pods the-last;"), "{message}");
    world.kubectl(&["delete", "pod", "the-last", "--force", "--grace-period=0"]);
    world.until_gone("billing").await;
}
