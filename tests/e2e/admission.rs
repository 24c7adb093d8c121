//! What the real API server accepts and refuses: for every rule of both kinds one manifest of each sort.
//! A refusal is a sentence with what to do, so the tables hold the sentences.

mod apps;
mod connections;

use crate::cluster::plane;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, CustomResourceExt};
use oauth_app_operator::crd::{IamConnection, OrgOAuthApp, definitions};
use serde_json::{Value, json};
use test_environment::manifests::merge;

/// A patch to the spec of the base.
type Spec = fn() -> Value;

/// A rule: a spec that is accepted, and one that is refused with the sentence.
struct Row {
    name: &'static str,
    /// What both are changes of, where the rule is about a change; else both are new objects.
    from: Option<Spec>,
    accepted: Spec,
    refused: Spec,
    sentence: &'static str,
}

/// A rule on one object.
const fn row(name: &'static str, accepted: Spec, refused: Spec, sentence: &'static str) -> Row {
    Row { name, from: None, accepted, refused, sentence }
}

/// A rule on a change.
const fn change(name: &'static str, from: Spec, accepted: Spec, refused: Spec, sentence: &'static str) -> Row {
    Row { name, from: Some(from), accepted, refused, sentence }
}

fn merged(mut base: Value, patch: Value) -> Value {
    merge(&mut base, patch);
    base
}

/// One kind on the API server.
struct Kind {
    api: Api<DynamicObject>,
    base: fn() -> Value,
}

impl Kind {
    fn object(&self, name: &str, patch: Value) -> DynamicObject {
        let mut object = merged((self.base)(), json!({ "spec": patch }));
        object["metadata"]["name"] = name.into();
        serde_json::from_value(object).unwrap()
    }

    async fn create(&self, name: &str, patch: Value, dry_run: bool) -> Result<DynamicObject, String> {
        let params = PostParams { dry_run, ..PostParams::default() };
        self.api.create(&params, &self.object(name, patch)).await.map_err(refusal)
    }

    /// Replaces the whole spec without effect, so that a field can be left out.
    async fn change(&self, name: &str, patch: Value) -> Result<DynamicObject, String> {
        let object = self.object(name, patch);
        let patch = json!([{"op": "replace", "path": "/spec", "value": object.data["spec"]}]);
        let patch: Patch<()> = Patch::Json(serde_json::from_value(patch).unwrap());
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        self.api.patch(name, &params, &patch).await.map_err(refusal)
    }

    async fn check(&self, tables: &[&[Row]]) {
        let mut wrong = Vec::new();
        for (number, row) in tables.iter().copied().flatten().enumerate() {
            wrong.extend(self.wrong_with(number, row).await.into_iter().map(|why| format!("{}: {why}", row.name)));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// What the API server does otherwise than the row says.
    async fn wrong_with(&self, number: usize, row: &Row) -> Vec<String> {
        let name = if row.from.is_some() { format!("row-{number}") } else { "row".to_owned() };
        if let Some(from) = row.from
            && let Err(said) = self.create(&name, from(), false).await
        {
            return vec![format!("cannot start: {said}")];
        }
        let attempt = async |patch| match row.from {
            Some(_) => self.change(&name, patch).await,
            None => self.create(&name, patch, true).await,
        };
        let accepted = attempt((row.accepted)()).await.err().map(|said| format!("not accepted: {said}"));
        let refused = match attempt((row.refused)()).await {
            Err(said) if said.contains(row.sentence) => None,
            Err(said) => Some(format!("refused, but with: {said}")),
            Ok(_) => Some("not refused".to_owned()),
        };
        accepted.into_iter().chain(refused).collect()
    }
}

fn refusal(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => panic!("no answer of the API server: {other}"),
    }
}

async fn client() -> Client {
    plane().admin_client().await.unwrap()
}

async fn namespace(client: &Client, name: &str) {
    let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
}

async fn apps(name_of_namespace: &str) -> Kind {
    let client = client().await;
    namespace(&client, name_of_namespace).await;
    let resource = OrgOAuthApp::api_resource();
    Kind { api: Api::namespaced_with(client, name_of_namespace, &resource), base: apps::base }
}

async fn connections() -> Kind {
    Kind { api: Api::all_with(client().await, &IamConnection::api_resource()), base: connections::base }
}

#[tokio::test]
async fn every_rule_on_an_app_has_a_manifest_that_is_refused_with_its_sentence() {
    apps("admission-apps").await.check(apps::TABLES).await;
}

#[tokio::test]
async fn every_rule_on_a_connection_has_a_manifest_that_is_refused_with_its_sentence() {
    connections().await.check(connections::TABLES).await;
}

/// A row has no name of its own.
const LONG_NAME: &str =
    "metadata.name has at most 244 characters, so that a Secret can be named after it with -rotation appended";

#[tokio::test]
async fn a_resource_is_named_so_that_a_secret_can_be_named_after_it() {
    let kind = apps("admission-names").await;
    let name = |length: usize| "a".repeat(length);
    assert!(kind.create(&name(244), json!({}), true).await.is_ok());
    let said = kind.create(&name(245), json!({}), true).await.unwrap_err();
    assert!(said.contains(LONG_NAME), "{said}");
}

#[test]
fn every_rule_of_the_schema_has_its_row() {
    let rows = apps::TABLES.iter().chain(connections::TABLES).copied().flatten();
    let sentences: Vec<_> = rows.map(|row| row.sentence).chain([LONG_NAME]).collect();
    let schema = serde_json::to_value(definitions()).unwrap();
    let mut messages = Vec::new();
    collect_messages(&schema, &mut messages);
    assert!(messages.len() > 20, "the rules were not found: {messages:?}");
    let missing: Vec<_> = messages.iter().filter(|message| !sentences.contains(&message.as_str())).collect();
    assert!(missing.is_empty(), "no row for: {missing:#?}");
}

fn collect_messages(schema: &Value, messages: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                messages.push(rule["message"].as_str().expect("each rule has a sentence").to_owned());
            }
            fields.values().for_each(|value| collect_messages(value, messages));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_messages(item, messages)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_field_has_a_description() {
    for definition in definitions() {
        let schema = definition.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        let mut bare = Vec::new();
        find_bare(&serde_json::to_value(schema).unwrap(), ".", &mut bare);
        assert!(bare.is_empty(), "{}: no description for {bare:?}", definition.spec.names.kind);
    }
}

fn find_bare(schema: &Value, path: &str, bare: &mut Vec<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}{name}.");
        if property["description"].as_str().unwrap_or_default().is_empty() {
            bare.push(path.clone());
        }
        find_bare(property, &path, bare);
        find_bare(&property["items"], &path, bare);
    }
}

#[tokio::test]
async fn new_objects_are_pending_before_the_first_reconcile() {
    let created = apps("admission-pending").await.create("new", json!({}), false).await.unwrap();
    let connection = connections().await.create("admission-pending", json!({}), false).await.unwrap();
    for object in [created, connection] {
        let conditions = object.data["status"]["conditions"].as_array().expect("conditions by default");
        assert_eq!(conditions.len(), 1);
        assert_eq!((&conditions[0]["type"], &conditions[0]["status"]), (&json!("Ready"), &json!("Unknown")));
        assert_eq!(conditions[0]["reason"], "Pending");
    }
}

#[tokio::test]
async fn null_fields_are_absent() {
    let apps = apps("admission-null").await;
    let mut object = apps.object("nulls", json!({}));
    object.data["spec"]["id"] = Value::Null;
    object.data["spec"]["publicClient"] = Value::Null;
    let created = apps.api.create(&PostParams::default(), &object).await.unwrap();
    let read: OrgOAuthApp = created.try_parse().unwrap();
    assert_eq!((read.spec.id, read.spec.public_client), (None, None));
}

#[tokio::test]
async fn kubectl_shows_what_a_user_looks_for() {
    apps("admission-kubectl").await.create("shown", json!({}), false).await.unwrap();
    connections().await.create("admission-kubectl", json!({}), false).await.unwrap();
    let kubectl =
        |arguments: &[&str]| plane().kubectl(&[&["-n", "admission-kubectl", "get"], arguments].concat()).unwrap();
    let wide = kubectl(&["ooa", "-o", "wide"]);
    for column in ["CLIENT ID", "READY", "REASON", "SECRET", "AGE", "ORG", "CONNECTION", "NEXT ROTATION", "MESSAGE"] {
        assert!(wide.lines().next().unwrap().contains(column), "{wide}");
    }
    assert!(wide.contains("Pending") && wide.contains("The operator has not reconciled this resource yet."), "{wide}");
    let wide = kubectl(&["iamc", "admission-kubectl", "-o", "wide"]);
    assert!(wide.contains("MESSAGE") && wide.contains("The operator has not checked this connection yet."), "{wide}");
    assert!(!kubectl(&["ooa"]).contains("MESSAGE"));
    assert!(!kubectl(&["all"]).contains("shown"));
    let oauth = kubectl(&["oauth"]);
    assert!(oauth.contains("orgoauthapp.oauth-apps.dev/shown"), "{oauth}");
    assert!(oauth.contains("iamconnection.oauth-apps.dev/admission-kubectl"), "{oauth}");
}

#[tokio::test]
async fn kubectl_selects_apps_by_organization_and_connection() {
    let apps = apps("admission-select").await;
    apps.create("plain", json!({"orgId": "org-a", "connectionRef": null}), false).await.unwrap();
    apps.create("other", json!({"orgId": "org-b", "connectionRef": {"name": "other"}}), false).await.unwrap();
    let selected = |fields: &str| {
        let selector = format!("--field-selector={fields}");
        let found = plane().kubectl(&["-n", "admission-select", "get", "ooa", "-o", "name", &selector]).unwrap();
        found.lines().map(|line| line.rsplit_once('/').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(selected("spec.orgId=org-a"), ["plain"]);
    assert_eq!(selected("spec.connectionRef.name=other"), ["other"]);
    assert_eq!(selected("spec.connectionRef.name=default"), ["plain"], "the manifest names none");
    assert_eq!(selected("spec.connectionRef.name!=default,spec.orgId=org-a"), [""; 0]);
}
