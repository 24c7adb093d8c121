//! What has lost its counterpart is found, and nothing is changed.

use super::schema::assert_matches;
use super::{Ran, run, run_as};
use crate::cluster::plane;
use crate::env::{EACH, TenantEnv};
use iam_simulator::types::{Flavor, Human, Operation};
use oauth_app_operator::crd::ConditionType;
use serde_json::{Value, json};

const NOBODYS: &str = "ooa-0b0e7c4e-1111-4000-8000-000000000000";

impl TenantEnv {
    fn orphans(&self, more: &[&str]) -> Ran {
        run(&[&["orphans", "--connection", &self.connection_name()][..], more].concat())
    }
}

/// Those of the list that are about this namespace, by a field.
fn named(report: &Value, list: &str, namespace: &str, field: &str) -> Vec<String> {
    let items = report[list].as_array().unwrap();
    let ours = items.iter().filter(|item| item.get("namespace").is_none_or(|other| other == namespace));
    ours.map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn apps_resources_and_secrets_without_their_counterpart_are_found() {
    for (name, flavor) in EACH {
        let env = TenantEnv::running(&format!("orphans-{name}"), flavor).await;
        env.control.set(|settings| settings.cpn_offers.list = true).await.unwrap();
        env.create("kept", json!({})).await;
        env.create("lost", json!({})).await;
        env.until_ready("kept").await;
        env.until_ready("lost").await;
        let clean = env.orphans(&["-o", "json"]).json();
        assert_eq!((&clean["apps"], &clean["resources"], &clean["notChecked"]), (&json!([]), &json!([]), &json!([])));
        let (id, _) = env.credential("lost").await.unwrap();
        env.change("lost", json!({"suspend": true})).await;
        let synced = async || env.condition("lost", ConditionType::Synced).await;
        env.until("lost is suspended", async || synced().await.is_some_and(|c| c.reason == "Suspended")).await;
        env.control.human(Human::Delete { flavor, id }).await.unwrap();
        let by_name = if flavor == Flavor::Broker { "client_id" } else { "id" };
        let fields = json!({by_name: NOBODYS, "displayName": "Left", "grantTypes": ["client_credentials"]});
        let (org_id, fields) = (env.org.clone(), fields.as_object().unwrap().clone());
        env.control.human(Human::Create { flavor, org_id, fields }).await.unwrap();
        let labels = json!({"oauth-apps.dev/owner-uid": "0b0e7c4e-2222-4000-8000-000000000000"});
        let metadata = json!({"name": "left", "namespace": env.namespace, "labels": labels});
        plane().apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})).unwrap();
        env.control.clear_calls().await.unwrap();
        let found = env.orphans(&["-o", "json"]);
        let report = found.json();
        assert_eq!(found.status, 2);
        assert_matches("orphans", &report);
        assert_eq!(named(&report, "apps", &env.namespace, "clientId"), [NOBODYS]);
        assert_eq!(named(&report, "resources", &env.namespace, "name"), ["lost"]);
        assert_eq!(named(&report, "secrets", &env.namespace, "name"), ["left"]);
        for operation in [Operation::DeleteApps, Operation::UpdateApp, Operation::CreateApp] {
            assert_eq!(env.calls(operation).await, 0);
        }
        let text = env.orphans(&[]).out;
        for said in ["an app of\nanother cluster looks the same", "set spec.suspend to false", "delete secret left"] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(env.secret("left").await.is_some() && env.remote_app(NOBODYS).await.is_some());
    }
}

#[tokio::test]
async fn an_organization_that_no_resource_names_is_checked_on_request() {
    let env = TenantEnv::new("orphans-org", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({})).await;
    let fields = json!({"id": NOBODYS, "displayName": "Left", "grantTypes": ["client_credentials"]});
    let (flavor, org_id, fields) = (env.flavor, env.org.clone(), fields.as_object().unwrap().clone());
    env.control.human(Human::Create { flavor, org_id, fields }).await.unwrap();
    assert_eq!(env.orphans(&["-o", "json"]).json()["apps"], json!([]));
    let report = env.orphans(&["-o", "json", "--org", &env.org]).json();
    assert_eq!(named(&report, "apps", &env.namespace, "displayName"), ["Left"]);
    let unknown = env.orphans(&["-o", "json", "--org", "org-of-nobody"]);
    assert_eq!(unknown.status, 2);
    let what = unknown.json()["notChecked"][0]["what"].clone();
    assert_eq!(what, format!("organization org-of-nobody of IamConnection {}", env.connection_name()));
}

#[tokio::test]
async fn the_right_to_see_all_resources_is_needed() {
    let env = TenantEnv::new("orphans-rights", Flavor::Csp).await;
    let tenant = plane().namespace_editor(&env.namespace).unwrap();
    let found = run_as(&tenant, &["orphans"]);
    assert!(found.status == 1 && found.err.contains("cannot list the IamConnections: you lack a right"), "{found:?}");
}
