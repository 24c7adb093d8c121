//! Deletion ends, or says what to do: whatever else is missing, refused or down.

use crate::world::World;
use iam_simulator::types::{Flavor, Human, Operation};
use kube::ResourceExt;
use kube::api::DeleteParams;
use oauth_app_operator::crd::ConditionType;
use serde_json::json;

async fn provisioned(namespace: &str, flavor: Flavor, spec: serde_json::Value) -> (World, String) {
    let world = World::running(namespace, flavor).await;
    world.create("billing", spec).await;
    world.until_ready("billing").await;
    let (id, _) = world.credential("billing").await.unwrap();
    (world, id)
}

async fn until_secret_is_collected(world: &World) {
    world.until("the Secret is collected", async || world.secret("billing").await.is_none()).await;
}

#[tokio::test]
async fn a_deleted_resource_takes_app_and_secret_along() {
    let (world, id) = provisioned("delete", Flavor::Csp, json!({})).await;
    world.delete("billing").await;
    world.until_gone("billing").await;
    assert!(world.remote_app(&id).await.is_none());
    assert_eq!(world.calls(Operation::GetApp).await, 1, "its absence is confirmed");
    until_secret_is_collected(&world).await;
}

#[tokio::test]
async fn retain_leaves_app_and_secret_without_the_marks_of_the_operator() {
    let (world, id) = provisioned("retain", Flavor::Csp, json!({"deletionPolicy": "Retain"})).await;
    let calls = world.app_calls().await;
    world.delete("billing").await;
    world.until_gone("billing").await;
    assert_eq!(world.app_calls().await, calls, "nothing is asked of the API");
    assert!(world.remote_app(&id).await.is_some());
    let secret = world.secret("billing").await.unwrap();
    assert!(secret.owner_references().is_empty() && secret.labels().is_empty(), "{:?}", secret.metadata);
    world.assert_credential_works("billing").await;
}

#[tokio::test]
async fn without_its_connection_status_says_how_to_let_go_and_retain_does() {
    let (world, id) = provisioned("delete-no-connection", Flavor::Csp, json!({})).await;
    world.connections().delete("delete-no-connection", &DeleteParams::default()).await.unwrap();
    world.delete("billing").await;
    // Before the deletion is seen, the missing connection may be reported as such.
    let says_how = async || {
        let stalled = world.condition("billing", ConditionType::Stalled).await;
        stalled.is_some_and(|stalled| {
            stalled.reason == "ConnectionNotFound" && stalled.message.contains("set spec.deletionPolicy to Retain")
        })
    };
    world.until("status reports how to end it", says_how).await;
    world.change("billing", json!({"deletionPolicy": "Retain"})).await;
    world.until_gone("billing").await;
    assert!(world.remote_app(&id).await.is_some());
}

#[tokio::test]
async fn an_app_that_is_gone_already_is_no_obstacle() {
    let (world, id) = provisioned("delete-gone", Flavor::Csp, json!({})).await;
    world.control.human(Human::Delete { flavor: world.flavor, id }).await.unwrap();
    world.delete("billing").await;
    world.until_gone("billing").await;
    until_secret_is_collected(&world).await;
}

#[tokio::test]
async fn while_the_api_is_down_deletion_waits_and_then_ends() {
    let (world, id) = provisioned("delete-down", Flavor::Csp, json!({})).await;
    world.control.set(|settings| settings.down = true).await.unwrap();
    world.delete("billing").await;
    world.until_reason("billing", ConditionType::Reconciling, "ConnectionUnavailable").await;
    world.control.set(|settings| settings.down = false).await.unwrap();
    world.until_gone("billing").await;
    assert!(world.remote_app(&id).await.is_none());
}

#[tokio::test]
async fn a_deletion_that_runs_on_is_waited_for() {
    let (world, id) = provisioned("delete-slow", Flavor::Csp, json!({})).await;
    world.control.set(|s| (s.deletion_runs_ms, s.deleting_visible) = (3000, true)).await.unwrap();
    world.delete("billing").await;
    world.until_reason("billing", ConditionType::Reconciling, "Deleting").await;
    world.until_gone("billing").await;
    assert!(world.remote_app(&id).await.is_none());
}

#[tokio::test]
async fn apps_go_first_when_their_namespace_is_deleted() {
    let (world, id) = provisioned("delete-namespace", Flavor::Csp, json!({})).await;
    crate::cluster::plane().kubectl(&["delete", "namespace", "delete-namespace", "--wait=false"]).unwrap();
    world.until("the app is gone", async || world.remote_app(&id).await.is_none()).await;
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(world.client.clone());
    let gone = async || namespaces.get_opt("delete-namespace").await.unwrap().is_none();
    world.until("the namespace is gone", gone).await;
}

#[tokio::test]
async fn where_the_api_cannot_delete_status_says_so_and_a_person_can_end_it() {
    let (world, id) = provisioned("delete-not-offered", Flavor::Cpn, json!({})).await;
    world.delete("billing").await;
    let message = world.until_stalled("billing", "DeletionNotOffered").await;
    assert!(message.contains("delete it in the vendor's console, or set spec.deletionPolicy to Retain"), "{message}");
    assert!(world.remote_app(&id).await.is_some() && world.secret("billing").await.is_some(), "nothing is lost");
    world.control.human(Human::Delete { flavor: world.flavor, id }).await.unwrap();
    // A change of the spec has it looked at again at once.
    world.change("billing", json!({"description": "Deleted in the console"})).await;
    world.until_gone("billing").await;
}

#[tokio::test]
async fn where_navigator_offers_deletion_it_is_used() {
    let (world, id) = provisioned("delete-offered", Flavor::Cpn, json!({})).await;
    world.control.set(|settings| settings.cpn_offers.delete = true).await.unwrap();
    world.delete("billing").await;
    world.until_gone("billing").await;
    assert!(world.remote_app(&id).await.is_none());
}
