//! The main job: a manifest becomes an app and a credential that works, and stays so.

use crate::env::TenantEnv;
use iam_simulator::sha256_hex;
use iam_simulator::types::{CallFilter, Flavor, Operation};
use k8s_openapi::ByteString;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use oauth_app_operator::crd::{ConditionStatus, ConditionType};
use serde_json::{Value, json};

/// The body of the one create that the simulator has seen, with what came before and after it.
async fn body_of_create(env: &TenantEnv) -> Value {
    let calls = env.control.calls(&CallFilter::operation(Operation::CreateApp)).await.unwrap();
    assert_eq!(calls.len(), 1, "one create");
    calls[0].body.clone()
}

async fn assert_whole(env: &TenantEnv, name: &str) {
    let app = env.app(name).await;
    let uid = app.uid().unwrap();
    let status = app.status.clone().unwrap();
    assert_eq!(status.observed_generation, app.metadata.generation);
    assert_eq!(status.client_id, Some(format!("ooa-{uid}")));
    assert_eq!(status.secret_name.as_deref(), Some(name));
    use ConditionType::{Ready, Reconciling, SecretPublished, Stalled, Synced};
    for (kind, expected) in [
        (Ready, ConditionStatus::True),
        (Reconciling, ConditionStatus::False),
        (Stalled, ConditionStatus::False),
        (Synced, ConditionStatus::True),
        (SecretPublished, ConditionStatus::True),
    ] {
        assert_eq!(env.condition(name, kind).await.unwrap().status, expected, "{kind:?}");
    }
    let secret = env.secret(name).await.unwrap();
    assert_eq!(secret.data.unwrap().into_keys().collect::<Vec<_>>(), ["client-id", "client-secret", "token-url"]);
    let owner = &secret.metadata.owner_references.unwrap()[0];
    assert_eq!((owner.uid.as_str(), owner.controller), (uid.as_str(), Some(true)));
    env.assert_credential_works(name).await;
}

#[tokio::test]
async fn a_manifest_becomes_an_app_of_cloud_services_and_a_credential() {
    let env = TenantEnv::running("main-csp", Flavor::Csp).await;
    let spec = json!({
        "grantTypes": ["client_credentials", "authorization_code"], "redirectUris": ["https://a.example.com"],
        "allowedScopes": {"organizationScopes": {"roles": [{"name": "org_member"}]}}, "accessTokenTTL": 1800,
    });
    let manifest = env.manifest("billing", spec);
    crate::cluster::plane().apply(&manifest).unwrap();
    env.until_ready("billing").await;
    assert_whole(&env, "billing").await;
    let id = env.credential("billing").await.unwrap().0;
    let expected = json!({
        "id": id, "displayName": "Billing export", "description": "Nightly", "accessTokenTTL": 1800,
        "grantTypes": ["client_credentials", "authorization_code"], "redirectUris": ["https://a.example.com"],
        "allowedScopes": {"organizationScopes": {"roles": [{"name": "org_member"}]}},
    });
    assert_eq!(body_of_create(&env).await, expected, "exactly the fields that the spec sets");
    crate::cluster::plane()
        .kubectl(&["-n", "main-csp", "wait", "--for=condition=Ready", "ooa/billing", "--timeout=30s"])
        .unwrap();
}

#[tokio::test]
async fn a_manifest_becomes_an_app_of_cloud_partner_navigator_and_a_credential() {
    let env = TenantEnv::new("main-cpn", Flavor::Cpn).await;
    env.give_credentials().await;
    env.connect(json!({"context": "PROVIDER"})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({"ownerOnlySecretRotation": true})).await;
    env.until_ready("billing").await;
    assert_whole(&env, "billing").await;
    let id = env.credential("billing").await.unwrap().0;
    let expected = json!({"id": id, "displayName": "Billing export", "description": "Nightly", "allowedScopes": {}, "ownerOnlySecretRotation": true});
    assert_eq!(body_of_create(&env).await, expected, "exactly the fields that the spec sets");
    let calls = env.control.calls(&CallFilter::operation(Operation::CreateApp)).await.unwrap();
    assert_eq!(calls[0].query, "context=PROVIDER");
}

#[tokio::test]
async fn the_operator_may_use_an_api_token_of_the_organization() {
    for (namespace, flavor) in [("token-csp", Flavor::Csp), ("token-cpn", Flavor::Cpn)] {
        let env = TenantEnv::new(namespace, flavor).await;
        let credentials = env.give_api_token().await;
        env.connect(credentials).await;
        env.operator().start().unwrap();
        env.create("billing", json!({})).await;
        env.until_ready("billing").await;
        env.assert_credential_works("billing").await;
    }
}

#[tokio::test]
async fn a_created_app_costs_three_writes_one_event_one_remote_write_and_one_token_request() {
    let env = TenantEnv::new("cost", Flavor::Csp).await;
    env.give_credentials().await;
    // So that no look for drift comes in between, however slow the machine is.
    env.connect(json!({"resyncInterval": "10m"})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let described = |record: control_plane::AuditRecord| match record.subresource.as_str() {
        "" => format!("{} {}", record.verb, record.resource),
        subresource => format!("{} {}/{subresource}", record.verb, record.resource),
    };
    env.until("the audit log has the Event", async || !env.audit(|r| r.resource == "events").is_empty()).await;
    let mut writes: Vec<String> = env.audit(control_plane::AuditRecord::is_write).into_iter().map(described).collect();
    writes.sort();
    assert_eq!(writes, ["create events", "create secrets", "patch orgoauthapps", "patch orgoauthapps/status"]);
    let stats = env.control.stats().await.unwrap();
    assert_eq!(stats.by_operation.keys().collect::<Vec<_>>(), ["createApp 200", "token 200"], "nothing else was asked");
    // One token of the operator's own, and one with the app's credential.
    assert_eq!((stats.by_operation["createApp 200"], stats.by_operation["token 200"]), (1, 2));
}

#[tokio::test]
async fn a_large_resource_is_created_changed_and_deleted_like_any_other() {
    let env = TenantEnv::running("large", Flavor::Csp).await;
    env.create("billing", json!({"description": "x".repeat(4096), "secret": {"labels": {"team": "a"}}})).await;
    env.until_ready("billing").await;
    env.assert_credential_works("billing").await;
    let (id, _) = env.credential("billing").await.unwrap();
    let shown = async || env.remote_app(&id).await.unwrap().fields;
    assert_eq!(shown().await["description"], "x".repeat(4096));
    env.change("billing", json!({"description": "y".repeat(4096)})).await;
    env.until("the change", async || shown().await["description"] == "y".repeat(4096)).await;
    let writes = || env.audit(control_plane::AuditRecord::is_write).len();
    env.until("it is reported", async || env.app("billing").await.status.unwrap().observed_generation == Some(2)).await;
    env.until("the Events", async || env.audit(|r| r.resource == "events").len() == 2).await;
    let (before, looked) = (writes(), || env.audit(|r| r.resource == "secrets" && r.verb == "get").len());
    let looked_before = looked();
    env.until("it was looked at again", async || looked() >= looked_before + 5).await;
    assert_eq!(writes(), before, "it is quiet when settled");
    env.delete("billing").await;
    env.until_gone("billing").await;
    assert!(env.remote_app(&id).await.is_none());
}

#[tokio::test]
async fn settled_apps_cause_no_write_on_either_side() {
    let env = TenantEnv::running("settled", Flavor::Csp).await;
    for name in ["a", "b", "c"] {
        env.create(name, json!({"rotation": {"interval": "720h", "overlap": "48h"}})).await;
    }
    for name in ["a", "b", "c"] {
        env.until_ready(name).await;
    }
    env.until("three Events", async || env.audit(|r| r.resource == "events").len() == 3).await;
    let looked = || env.audit(|r| r.resource == "secrets" && r.verb == "get").len();
    let looked_before = looked();
    let remote_writes = async || env.calls(Operation::CreateApp).await + env.calls(Operation::UpdateApp).await;
    let writes = env.audit(control_plane::AuditRecord::is_write).len();
    env.until("each app was looked at twenty times", async || looked() >= looked_before + 60).await;
    assert_eq!(env.audit(control_plane::AuditRecord::is_write).len(), writes);
    assert_eq!((remote_writes().await, env.calls(Operation::GetApp).await), (3, 0), "lists are enough");
}

#[tokio::test]
async fn a_restart_writes_nothing() {
    let env = TenantEnv::running("restart", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    env.until("the Event", async || !env.audit(|r| r.resource == "events").is_empty()).await;
    let writes = env.audit(control_plane::AuditRecord::is_write).len();
    env.operator().kill().unwrap();
    let looked = || env.audit(|r| r.resource == "secrets" && r.verb == "get").len();
    let before = looked();
    env.operator().start().unwrap();
    env.until("the app was looked at again", async || looked() >= before + 3).await;
    assert_eq!((env.calls(Operation::CreateApp).await, env.calls(Operation::UpdateApp).await), (1, 0));
    assert_eq!(env.calls(Operation::GetApp).await, 0, "a list is enough");
    assert_eq!(env.audit(control_plane::AuditRecord::is_write).len(), writes);
}

#[tokio::test]
async fn two_hundred_apps_whose_connection_changed_cost_a_restarted_operator_one_list_and_no_write() {
    let env = TenantEnv::new("restart-list", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"resyncInterval": "30m"})).await;
    env.control.set(|settings| settings.max_page_limit = 50).await.unwrap();
    env.operator().start().unwrap();
    let names: Vec<String> = (0..200).map(|n| format!("app-{n}")).collect();
    for name in &names {
        env.create(name, json!({})).await;
    }
    for name in &names {
        env.until_ready(name).await;
    }
    env.until("an Event for each", async || env.audit(|r| r.resource == "events").len() == 200).await;
    env.operator().kill().unwrap();
    let writes = env.audit(control_plane::AuditRecord::is_write).len();
    let looked = || env.audit(|r| r.resource == "secrets" && r.verb == "get").len();
    let looked_before = looked();
    env.control.clear_calls().await.unwrap();
    // So that each is looked at at once.
    env.connect(json!({"resyncInterval": "30m", "limits": {"timeout": "6s"}})).await;
    env.operator().start().unwrap();
    env.until("each app was looked at", async || looked() >= looked_before + 200).await;
    env.until("the list was read", async || env.calls(Operation::ListApps).await >= 4).await;
    assert_eq!(env.operator().stop().unwrap().code(), Some(0));
    assert_eq!(env.audit(control_plane::AuditRecord::is_write).len(), writes);
    let stats = env.control.stats().await.unwrap();
    assert_eq!((env.calls(Operation::ListApps).await, env.calls(Operation::GetApp).await), (4, 0), "{stats:?}");
    assert_eq!(env.app_calls().await, 4, "the pages");
}

#[tokio::test]
async fn a_deleted_secret_is_written_again_for_the_same_client_id() {
    let env = TenantEnv::running("secret-deleted", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let before = env.credential("billing").await.unwrap();
    env.secrets().delete("billing", &DeleteParams::default()).await.unwrap();
    env.until("the Secret is back", async || env.credential("billing").await.is_some()).await;
    let after = env.credential("billing").await.unwrap();
    assert_eq!(after.0, before.0);
    assert_ne!(after.1, before.1);
    env.assert_credential_works("billing").await;
    assert_eq!(env.calls(Operation::CreateApp).await, 1);
    env.until("an Event says so", async || env.kubectl(&["get", "events"]).contains("Regenerated")).await;
}

#[tokio::test]
async fn edited_id_or_label_is_restored_with_the_same_secret() {
    let env = TenantEnv::running("secret-edited", Flavor::Csp).await;
    env.create("billing", json!({"secret": {"labels": {"team": "a"}}})).await;
    env.until_ready("billing").await;
    let before = env.credential("billing").await.unwrap();
    let wrong = serde_json::to_value(ByteString(b"wrong".to_vec())).unwrap();
    let edit = Patch::Merge(json!({"data": {"client-id": wrong}, "metadata": {"labels": {"team": "b"}}}));
    env.secrets().patch("billing", &PatchParams::default(), &edit).await.unwrap();
    env.until("the edit is reverted", async || {
        let secret = env.secret("billing").await.unwrap();
        env.credential("billing").await.as_ref() == Some(&before) && secret.labels()["team"] == "a"
    })
    .await;
    assert_eq!(env.calls(Operation::UpdateApp).await, 0);
}

#[tokio::test]
async fn an_app_deleted_by_hand_with_its_secret_is_created_again_with_the_same_id() {
    let env = TenantEnv::running("both-deleted", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let (id, _) = env.credential("billing").await.unwrap();
    let human = iam_simulator::types::Human::Delete { flavor: env.flavor, id: id.clone() };
    env.control.human(human).await.unwrap();
    env.secrets().delete("billing", &DeleteParams::default()).await.unwrap();
    env.until("the Secret is back", async || env.credential("billing").await.is_some()).await;
    assert_eq!(env.credential("billing").await.unwrap().0, id);
    env.assert_credential_works("billing").await;
}

#[tokio::test]
async fn a_public_client_has_an_id_and_no_secret() {
    let env = TenantEnv::running("public", Flavor::Csp).await;
    let spec =
        json!({"publicClient": true, "grantTypes": ["authorization_code"], "redirectUris": ["https://a.example.com"]});
    env.create("billing", spec).await;
    env.until_ready("billing").await;
    let data = env.secret("billing").await.unwrap().data.unwrap();
    assert_eq!(data.into_keys().collect::<Vec<_>>(), ["client-id", "token-url"]);
}

#[tokio::test]
async fn the_secret_has_the_name_keys_and_labels_that_the_spec_asks_for() {
    let env = TenantEnv::running("secret-shape", Flavor::Csp).await;
    let secret = json!({"name": "other", "keys": {"clientId": "ID", "clientSecret": "SECRET_OF_APP"}, "labels": {"team": "a"}, "annotations": {"note": "b"}});
    env.create("billing", json!({ "secret": secret })).await;
    env.until_ready("billing").await;
    let secret = env.secrets().get("other").await.unwrap();
    assert_eq!((secret.labels()["team"].as_str(), secret.annotations()["note"].as_str()), ("a", "b"));
    let data = secret.data.unwrap();
    let value = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
    let app = env.remote_app(&value("ID")).await.unwrap();
    assert_eq!(app.secret_sha256, sha256_hex(&value("SECRET_OF_APP")));
}
