//! The main job: a manifest becomes an app and a credential that works, and stays so.

use crate::world::World;
use iam_simulator::sha256_hex;
use iam_simulator::types::{CallFilter, Flavor, Operation};
use k8s_openapi::ByteString;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use oauth_app_operator::crd::{ConditionStatus, ConditionType};
use serde_json::{Value, json};

/// The body of the one create that the simulator has seen, with what came before and after it.
async fn body_of_create(world: &World) -> Value {
    let calls = world.control.calls(&CallFilter::operation(Operation::CreateApp)).await.unwrap();
    assert_eq!(calls.len(), 1, "one create");
    calls[0].body.clone()
}

async fn assert_whole(world: &World, name: &str) {
    let app = world.app(name).await;
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
        assert_eq!(world.condition(name, kind).await.unwrap().status, expected, "{kind:?}");
    }
    let secret = world.secret(name).await.unwrap();
    assert_eq!(secret.data.unwrap().into_keys().collect::<Vec<_>>(), ["client-id", "client-secret", "token-url"]);
    let owner = &secret.metadata.owner_references.unwrap()[0];
    assert_eq!((owner.uid.as_str(), owner.controller), (uid.as_str(), Some(true)));
    world.assert_credential_works(name).await;
}

#[tokio::test]
async fn a_manifest_becomes_an_app_of_cloud_services_and_a_credential() {
    let world = World::running("main-csp", Flavor::Csp).await;
    let spec = json!({
        "grantTypes": ["client_credentials", "authorization_code"], "redirectUris": ["https://a.example.com"],
        "allowedScopes": {"organizationScopes": {"roles": [{"name": "org_member"}]}}, "accessTokenTTL": 1800,
    });
    let manifest = world.manifest("billing", spec);
    crate::cluster::plane().kubectl_with_input(&["apply", "-f", "-"], &manifest.to_string()).unwrap();
    world.until_ready("billing").await;
    assert_whole(&world, "billing").await;
    let id = world.credential("billing").await.unwrap().0;
    let expected = json!({
        "id": id, "displayName": "Billing export", "description": "Nightly", "accessTokenTTL": 1800,
        "grantTypes": ["client_credentials", "authorization_code"], "redirectUris": ["https://a.example.com"],
        "allowedScopes": {"organizationScopes": {"roles": [{"name": "org_member"}]}},
    });
    assert_eq!(body_of_create(&world).await, expected, "exactly the fields that the spec sets");
    crate::cluster::plane()
        .kubectl(&["-n", "main-csp", "wait", "--for=condition=Ready", "ooa/billing", "--timeout=30s"])
        .unwrap();
}

#[tokio::test]
async fn a_manifest_becomes_an_app_of_cloud_partner_navigator_and_a_credential() {
    let world = World::new("main-cpn", Flavor::Cpn).await;
    world.give_credentials().await;
    world.connect(json!({"context": "PROVIDER"})).await;
    world.operator().start();
    world.create("billing", json!({"ownerOnlySecretRotation": true})).await;
    world.until_ready("billing").await;
    assert_whole(&world, "billing").await;
    let id = world.credential("billing").await.unwrap().0;
    let expected = json!({"id": id, "displayName": "Billing export", "description": "Nightly", "allowedScopes": {}, "ownerOnlySecretRotation": true});
    assert_eq!(body_of_create(&world).await, expected, "exactly the fields that the spec sets");
    let calls = world.control.calls(&CallFilter::operation(Operation::CreateApp)).await.unwrap();
    assert_eq!(calls[0].query, "context=PROVIDER");
}

#[tokio::test]
async fn the_operator_may_use_an_api_token_of_the_organization() {
    for (namespace, flavor) in [("token-csp", Flavor::Csp), ("token-cpn", Flavor::Cpn)] {
        let world = World::new(namespace, flavor).await;
        let credentials = world.give_api_token().await;
        world.connect(credentials).await;
        world.operator().start();
        world.create("billing", json!({})).await;
        world.until_ready("billing").await;
        world.assert_credential_works("billing").await;
    }
}

#[tokio::test]
async fn a_created_app_costs_three_writes_one_event_one_remote_write_and_one_token_request() {
    let world = World::new("cost", Flavor::Csp).await;
    world.give_credentials().await;
    // So that no look for drift comes in between, however slow the machine is.
    world.connect(json!({"resyncInterval": "10m"})).await;
    world.operator().start();
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    let described = |record: control_plane::AuditRecord| match record.subresource.as_str() {
        "" => format!("{} {}", record.verb, record.resource),
        subresource => format!("{} {}/{subresource}", record.verb, record.resource),
    };
    world.until("the audit log has the Event", async || !world.audit(|r| r.resource == "events").is_empty()).await;
    let mut writes: Vec<String> =
        world.audit(control_plane::AuditRecord::is_write).into_iter().map(described).collect();
    writes.sort();
    assert_eq!(writes, ["create events", "create secrets", "patch orgoauthapps", "patch orgoauthapps/status"]);
    let stats = world.control.stats().await.unwrap();
    assert_eq!(stats.by_operation.keys().collect::<Vec<_>>(), ["createApp 200", "token 200"], "nothing else was asked");
    // One token of the operator's own, and one with the app's credential.
    assert_eq!((stats.by_operation["createApp 200"], stats.by_operation["token 200"]), (1, 2));
}

#[tokio::test]
async fn a_large_resource_is_created_changed_and_deleted_like_any_other() {
    let world = World::running("large", Flavor::Csp).await;
    world.create("billing", json!({"description": "x".repeat(4096), "secret": {"labels": {"team": "a"}}})).await;
    world.until_ready("billing").await;
    world.assert_credential_works("billing").await;
    let (id, _) = world.credential("billing").await.unwrap();
    let shown = async || world.remote_app(&id).await.unwrap().fields;
    assert_eq!(shown().await["description"], "x".repeat(4096));
    world.change("billing", json!({"description": "y".repeat(4096)})).await;
    world.until("the change", async || shown().await["description"] == "y".repeat(4096)).await;
    let writes = || world.audit(control_plane::AuditRecord::is_write).len();
    world
        .until("it is reported", async || world.app("billing").await.status.unwrap().observed_generation == Some(2))
        .await;
    world.until("the Events", async || world.audit(|r| r.resource == "events").len() == 2).await;
    let (before, looked) = (writes(), || world.audit(|r| r.resource == "secrets" && r.verb == "get").len());
    let looked_before = looked();
    world.until("it was looked at again", async || looked() >= looked_before + 5).await;
    assert_eq!(writes(), before, "it is quiet when settled");
    world.delete("billing").await;
    world.until_gone("billing").await;
    assert!(world.remote_app(&id).await.is_none());
}

#[tokio::test]
async fn settled_apps_cause_no_write_on_either_side() {
    let world = World::running("settled", Flavor::Csp).await;
    for name in ["a", "b", "c"] {
        world.create(name, json!({"rotation": {"interval": "720h", "overlap": "48h"}})).await;
    }
    for name in ["a", "b", "c"] {
        world.until_ready(name).await;
    }
    world.until("three Events", async || world.audit(|r| r.resource == "events").len() == 3).await;
    let looked = || world.audit(|r| r.resource == "secrets" && r.verb == "get").len();
    let looked_before = looked();
    let remote_writes = async || world.calls(Operation::CreateApp).await + world.calls(Operation::UpdateApp).await;
    let writes = world.audit(control_plane::AuditRecord::is_write).len();
    world.until("each app was looked at twenty times", async || looked() >= looked_before + 60).await;
    assert_eq!(world.audit(control_plane::AuditRecord::is_write).len(), writes);
    assert_eq!((remote_writes().await, world.calls(Operation::GetApp).await), (3, 0), "lists are enough");
}

#[tokio::test]
async fn a_restart_writes_nothing() {
    let world = World::running("restart", Flavor::Csp).await;
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    world.until("the Event", async || !world.audit(|r| r.resource == "events").is_empty()).await;
    let writes = world.audit(control_plane::AuditRecord::is_write).len();
    world.operator().kill();
    let looked = || world.audit(|r| r.resource == "secrets" && r.verb == "get").len();
    let before = looked();
    world.operator().start();
    world.until("the app was looked at again", async || looked() >= before + 3).await;
    assert_eq!((world.calls(Operation::CreateApp).await, world.calls(Operation::UpdateApp).await), (1, 0));
    assert_eq!(world.calls(Operation::GetApp).await, 0, "a list is enough");
    assert_eq!(world.audit(control_plane::AuditRecord::is_write).len(), writes);
}

#[tokio::test]
async fn two_hundred_apps_whose_connection_changed_cost_a_restarted_operator_one_list_and_no_write() {
    let world = World::new("restart-list", Flavor::Csp).await;
    world.give_credentials().await;
    world.connect(json!({"resyncInterval": "30m"})).await;
    world.control.set(|settings| settings.max_page_limit = 50).await.unwrap();
    world.operator().start();
    let names: Vec<String> = (0..200).map(|n| format!("app-{n}")).collect();
    for name in &names {
        world.create(name, json!({})).await;
    }
    for name in &names {
        world.until_ready(name).await;
    }
    world.until("an Event for each", async || world.audit(|r| r.resource == "events").len() == 200).await;
    world.operator().kill();
    let writes = world.audit(control_plane::AuditRecord::is_write).len();
    let looked = || world.audit(|r| r.resource == "secrets" && r.verb == "get").len();
    let looked_before = looked();
    world.control.clear_calls().await.unwrap();
    // So that each is looked at at once.
    world.connect(json!({"resyncInterval": "30m", "limits": {"timeout": "6s"}})).await;
    world.operator().start();
    world.until("each app was looked at", async || looked() >= looked_before + 200).await;
    world.until("the list was read", async || world.calls(Operation::ListApps).await >= 4).await;
    assert_eq!(world.operator().stop().code(), Some(0));
    assert_eq!(world.audit(control_plane::AuditRecord::is_write).len(), writes);
    let stats = world.control.stats().await.unwrap();
    assert_eq!((world.calls(Operation::ListApps).await, world.calls(Operation::GetApp).await), (4, 0), "{stats:?}");
    assert_eq!(world.app_calls().await, 4, "the pages");
}

#[tokio::test]
async fn a_deleted_secret_is_written_again_for_the_same_client_id() {
    let world = World::running("secret-deleted", Flavor::Csp).await;
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    let before = world.credential("billing").await.unwrap();
    world.secrets().delete("billing", &DeleteParams::default()).await.unwrap();
    world.until("the Secret is back", async || world.credential("billing").await.is_some()).await;
    let after = world.credential("billing").await.unwrap();
    assert_eq!(after.0, before.0);
    assert_ne!(after.1, before.1);
    world.assert_credential_works("billing").await;
    assert_eq!(world.calls(Operation::CreateApp).await, 1);
    world.until("an Event says so", async || world.kubectl(&["get", "events"]).contains("Regenerated")).await;
}

#[tokio::test]
async fn an_edited_id_or_label_is_put_back_with_the_same_secret() {
    let world = World::running("secret-edited", Flavor::Csp).await;
    world.create("billing", json!({"secret": {"labels": {"team": "a"}}})).await;
    world.until_ready("billing").await;
    let before = world.credential("billing").await.unwrap();
    let wrong = serde_json::to_value(ByteString(b"wrong".to_vec())).unwrap();
    let edit = Patch::Merge(json!({"data": {"client-id": wrong}, "metadata": {"labels": {"team": "b"}}}));
    world.secrets().patch("billing", &PatchParams::default(), &edit).await.unwrap();
    world
        .until("the edit is put back", async || {
            let secret = world.secret("billing").await.unwrap();
            world.credential("billing").await.as_ref() == Some(&before) && secret.labels()["team"] == "a"
        })
        .await;
    assert_eq!(world.calls(Operation::UpdateApp).await, 0);
}

#[tokio::test]
async fn an_app_deleted_by_hand_with_its_secret_is_created_again_with_the_same_id() {
    let world = World::running("both-deleted", Flavor::Csp).await;
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    let (id, _) = world.credential("billing").await.unwrap();
    let human = iam_simulator::types::Human::Delete { flavor: world.flavor, id: id.clone() };
    world.control.human(human).await.unwrap();
    world.secrets().delete("billing", &DeleteParams::default()).await.unwrap();
    world.until("the Secret is back", async || world.credential("billing").await.is_some()).await;
    assert_eq!(world.credential("billing").await.unwrap().0, id);
    world.assert_credential_works("billing").await;
}

#[tokio::test]
async fn a_public_client_has_an_id_and_no_secret() {
    let world = World::running("public", Flavor::Csp).await;
    let spec =
        json!({"publicClient": true, "grantTypes": ["authorization_code"], "redirectUris": ["https://a.example.com"]});
    world.create("billing", spec).await;
    world.until_ready("billing").await;
    let data = world.secret("billing").await.unwrap().data.unwrap();
    assert_eq!(data.into_keys().collect::<Vec<_>>(), ["client-id", "token-url"]);
}

#[tokio::test]
async fn the_secret_has_the_name_keys_and_labels_that_the_spec_asks_for() {
    let world = World::running("secret-shape", Flavor::Csp).await;
    let secret = json!({"name": "other", "keys": {"clientId": "ID", "clientSecret": "SECRET_OF_APP"}, "labels": {"team": "a"}, "annotations": {"note": "b"}});
    world.create("billing", json!({ "secret": secret })).await;
    world.until_ready("billing").await;
    let secret = world.secrets().get("other").await.unwrap();
    assert_eq!((secret.labels()["team"].as_str(), secret.annotations()["note"].as_str()), ("a", "b"));
    let data = secret.data.unwrap();
    let value = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
    let app = world.remote_app(&value("ID")).await.unwrap();
    assert_eq!(app.secret_sha256, sha256_hex(&value("SECRET_OF_APP")));
}
