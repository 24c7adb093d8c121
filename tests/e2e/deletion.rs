//! Deletion ends, or reports what to do, whatever else is missing, refused or down.

use crate::env::TenantEnv;
use iam_simulator::types::{Flavor, Human, Operation};
use kube::ResourceExt;
use kube::api::DeleteParams;
use oauth_app_operator::crd::ConditionType;
use serde_json::json;

/// The APIs that document a deletion.
const DELETING: [(&str, Flavor); 2] = [("csp", Flavor::Csp), ("broker", Flavor::Broker)];

async fn provisioned(namespace: &str, flavor: Flavor, spec: serde_json::Value) -> (TenantEnv, String) {
    let env = TenantEnv::running(namespace, flavor).await;
    env.create("billing", spec).await;
    env.until_ready("billing").await;
    let (id, _) = env.credential("billing").await.unwrap();
    (env, id)
}

async fn until_secret_is_collected(env: &TenantEnv) {
    env.until("the Secret is collected", async || env.secret("billing").await.is_none()).await;
}

#[tokio::test]
async fn a_deleted_resource_takes_app_and_secret_along() {
    for (name, flavor) in DELETING {
        let (env, id) = provisioned(&format!("delete-{name}"), flavor, json!({})).await;
        let reads = env.calls(Operation::GetApp).await;
        env.delete("billing").await;
        env.until_gone("billing").await;
        assert!(env.remote_app(&id).await.is_none());
        match flavor {
            Flavor::Csp | Flavor::Cpn => assert_eq!(env.calls(Operation::GetApp).await, 1, "its absence is confirmed"),
            Flavor::Broker => assert!(env.calls(Operation::GetApp).await > reads, "its absence is confirmed"),
        }
        until_secret_is_collected(&env).await;
    }
}

#[tokio::test]
async fn retain_leaves_app_and_secret_without_operator_metadata() {
    let (env, id) = provisioned("retain", Flavor::Csp, json!({"deletionPolicy": "Retain"})).await;
    let calls = env.app_calls().await;
    env.delete("billing").await;
    env.until_gone("billing").await;
    assert_eq!(env.app_calls().await, calls, "nothing is asked of the API");
    assert!(env.remote_app(&id).await.is_some());
    let secret = env.secret("billing").await.unwrap();
    assert!(secret.owner_references().is_empty() && secret.labels().is_empty(), "{:?}", secret.metadata);
    env.assert_credential_works("billing").await;
}

#[tokio::test]
async fn missing_connection_on_deletion_is_reported_and_retain_releases() {
    let (env, id) = provisioned("delete-no-connection", Flavor::Csp, json!({})).await;
    env.connections().delete("delete-no-connection", &DeleteParams::default()).await.unwrap();
    env.delete("billing").await;
    // Before the deletion is seen, the missing connection may be reported as such.
    let says_how = async || {
        let stalled = env.condition("billing", ConditionType::Stalled).await;
        stalled.is_some_and(|stalled| {
            stalled.reason == "ConnectionNotFound" && stalled.message.contains("set spec.deletionPolicy to Retain")
        })
    };
    env.until("status reports how to end it", says_how).await;
    env.change("billing", json!({"deletionPolicy": "Retain"})).await;
    env.until_gone("billing").await;
    assert!(env.remote_app(&id).await.is_some());
}

#[tokio::test]
async fn deletion_of_an_absent_app_succeeds() {
    for (name, flavor) in DELETING {
        let (env, id) = provisioned(&format!("delete-gone-{name}"), flavor, json!({})).await;
        env.control.human(Human::Delete { flavor: env.flavor, id }).await.unwrap();
        env.delete("billing").await;
        env.until_gone("billing").await;
        until_secret_is_collected(&env).await;
    }
}

#[tokio::test]
async fn while_the_api_is_down_deletion_waits_and_then_ends() {
    for (name, flavor) in DELETING {
        let (env, id) = provisioned(&format!("delete-down-{name}"), flavor, json!({})).await;
        env.control.set(|settings| settings.down = true).await.unwrap();
        env.delete("billing").await;
        env.until_reason("billing", ConditionType::Reconciling, "ConnectionUnavailable").await;
        env.control.set(|settings| settings.down = false).await.unwrap();
        env.until_gone("billing").await;
        assert!(env.remote_app(&id).await.is_none());
    }
}

#[tokio::test]
async fn asynchronous_deletion_is_awaited() {
    for (name, flavor) in DELETING {
        let (env, id) = provisioned(&format!("delete-slow-{name}"), flavor, json!({})).await;
        env.control
            .set(|s| {
                s.deletion_runs_ms = 3000;
                s.deleting_visible = true;
            })
            .await
            .unwrap();
        env.delete("billing").await;
        env.until_reason("billing", ConditionType::Reconciling, "Deleting").await;
        env.until_gone("billing").await;
        assert!(env.remote_app(&id).await.is_none());
    }
}

#[tokio::test]
async fn apps_go_first_when_their_namespace_is_deleted() {
    let (env, id) = provisioned("delete-namespace", Flavor::Csp, json!({})).await;
    crate::cluster::plane().kubectl(&["delete", "namespace", "delete-namespace", "--wait=false"]).unwrap();
    env.until("the app is gone", async || env.remote_app(&id).await.is_none()).await;
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(env.client.clone());
    let gone = async || namespaces.get_opt("delete-namespace").await.unwrap().is_none();
    env.until("the namespace is gone", gone).await;
}

#[tokio::test]
async fn unsupported_deletion_is_reported_and_can_be_released() {
    let (env, id) = provisioned("delete-not-offered", Flavor::Cpn, json!({})).await;
    env.delete("billing").await;
    let message = env.until_stalled("billing", "DeletionNotOffered").await;
    assert!(message.contains("delete it in the vendor's console, or set spec.deletionPolicy to Retain"), "{message}");
    assert!(env.remote_app(&id).await.is_some() && env.secret("billing").await.is_some(), "nothing is lost");
    env.control.human(Human::Delete { flavor: env.flavor, id }).await.unwrap();
    // A change of the spec has it looked at again at once.
    env.change("billing", json!({"description": "Deleted in the console"})).await;
    env.until_gone("billing").await;
}

#[tokio::test]
async fn where_navigator_offers_deletion_it_is_used() {
    let (env, id) = provisioned("delete-offered", Flavor::Cpn, json!({})).await;
    env.control.set(|settings| settings.cpn_offers.delete = true).await.unwrap();
    env.delete("billing").await;
    env.until_gone("billing").await;
    assert!(env.remote_app(&id).await.is_none());
}
