//! Every field of both create requests travels there and back: each alone, and all at once.
//! The bodies are written down here, apart from the operator's and the simulator's own lists.

use crate::env::{CPN, CSP, TestEnv, id, least, map, org};
use iam_simulator::types::{Flavor, Operation};
use oauth_app_operator::crd::{Api, OrgOAuthAppSpec};
use oauth_app_operator::iam::app_fields::{self, Fields};
use oauth_app_operator::iam::{Iam, NewApp, OrgId};
use serde_json::{Map, Value, json};

/// What Cloud Partner Navigator has.
fn navigator() -> Map<String, Value> {
    map(json!({
        "accessTokenTTL": 900,
        "allowedScopes": {
            "generalScopes": ["openid", "profile"],
            "organizationScopes": {"roles": [{"name": "org_member"}, {"name": "org_owner"}]},
            "servicesScopes": [{"serviceDefinitionId": "endpoint-1", "allRoles": false, "roles": [{"name": "user"}]}],
        },
        "description": "Nightly export",
        "displayName": "Billing export",
        "ownerOnlySecretRotation": true,
        "secretRotationExpirationInSeconds": 3600,
    }))
}

/// What Cloud Services has, in an app that may have all of it at once.
fn services() -> Map<String, Value> {
    let roles = json!([{"name": "org_member", "resource": "instance:1"}]);
    let permissions = json!([{"permissionId": "p-1", "resources": ["r-1", "r-2"]}]);
    map(json!({
        "description": "Nightly export",
        "grantTypes": ["authorization_code", "refresh_token", "client_credentials"],
        "displayName": "Billing export",
        "allowedScopes": {
            "generalScopes": ["openid"],
            "organizationScopes": {"keptInToken": ["ROLES"], "roles": roles, "permissions": permissions},
            "servicesScopes": [
                {"serviceDefinitionId": "s-1", "allRoles": true, "keptInToken": ["PERMISSIONS"], "allPermissions": true},
                {"serviceDefinitionId": "s-2", "roles": roles, "permissions": permissions},
            ],
        },
        "accessTokenTTL": 900,
        "allowedOrgs": ["org-1", "endpoint-org"],
        "forcePkce": true,
        "allowOpenRedirectUris": false,
        "maxCharactersInAccessToken": 4000,
        "maxGroupsInIdToken": 50,
        "ownerOnlySecretRotation": true,
        "postLogoutRedirectUris": ["https://app.example.com/bye"],
        "publicClient": false,
        "redirectUris": ["https://app.example.com/a", "https://app.example.com/b"],
        "refreshTokenTTL": 86_400,
        "secretRotationExpirationInSeconds": 3600,
        "serviceDefinitionId": "endpoint-1",
        "additionalAttributeMasks": ["mask-1", "mask-2"],
        "allowedActorsAudienceExchange": ["actor-1"],
        "allowedActorsClientDelegate": ["actor-1", "actor-2"],
        "crossOrgAccessClaimsSupported": true,
        "isHidden": true,
    }))
}

/// The fields of an app, the client secret apart, which this version does not send.
fn cases(flavor: Flavor, all: Map<String, Value>) -> Vec<(String, Map<String, Value>)> {
    let mut cases = vec![("all".to_owned(), all.clone())];
    for (name, value) in all {
        let mut fields = least(flavor);
        if name.ends_with("edirectUris") {
            fields.insert("grantTypes".into(), json!(["authorization_code"]));
        }
        fields.insert(name.clone(), value);
        cases.push((name, fields));
    }
    let mut more = |name: &str, values: Value| {
        let mut fields = least(flavor);
        fields.extend(map(values));
        cases.push((name.into(), fields));
    };
    if flavor == CSP {
        let code = json!(["authorization_code"]);
        more("openRedirects", json!({"grantTypes": code, "allowOpenRedirectUris": true}));
        let uris = json!(["https://app.example.com"]);
        more("public", json!({"grantTypes": code, "publicClient": true, "redirectUris": uris}));
        let grants = json!(["client_delegate", "audience_exchange", "context_switch"]);
        more("delegate", json!({"grantTypes": grants, "refreshTokenTTL": 1_000_000}));
    }
    cases
}

/// What a list is like in any order, and an organization by its id.
fn set(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let item = |item: &Value| set(if item.get("displayName").is_some() { &item["id"] } else { item });
            let mut items: Vec<Value> = items.iter().map(item).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), set(value))).collect(),
        value => value.clone(),
    }
}

async fn travels(flavor: Flavor, all: Map<String, Value>) {
    let env = TestEnv::new().await;
    env.control.seed_org(flavor, "endpoint-org", true).await.unwrap();
    let (iam, org) = (env.iam(flavor), OrgId("endpoint-org".into()));
    for (number, (name, fields)) in cases(flavor, all).into_iter().enumerate() {
        let id = id(&format!("app-{number}-of-all"));
        let new = NewApp { id: id.clone(), context: None, fields: fields.clone(), secret: None };
        iam.create(&org, &new).await.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let mut sent = fields.clone();
        sent.insert("id".into(), id.0.clone().into());
        assert_eq!(env.calls(Operation::CreateApp).await.pop().unwrap().body, Value::Object(sent), "{name}");
        let stored = env.control.app(flavor, &id.0).await.unwrap().unwrap();
        for (field, value) in &fields {
            assert_eq!(set(&stored.fields[field]), set(value), "{name}: {field} as stored");
        }
        for scope_defaults in [true, false] {
            env.control.set(|settings| settings.scope_defaults = scope_defaults).await.unwrap();
            let shown = iam.read(&org, &id).await.unwrap().unwrap();
            for (field, value) in fields.iter().filter(|(field, _)| *field != "allowedScopes" || !scope_defaults) {
                assert_eq!(set(&shown.fields[field]), set(value), "{name}: {field} as shown");
            }
            assert_eq!(app_fields::differences(&fields, &shown.fields), Vec::<String>::new(), "{name}");
        }
    }
}

#[tokio::test]
async fn every_field_of_cloud_services_travels() {
    assert_eq!(services().len() + 3, 25, "all but id and secret, and one that stands for itself");
    travels(CSP, services()).await;
}

#[tokio::test]
async fn every_field_of_cloud_partner_navigator_travels() {
    assert_eq!(navigator().len() + 2, 8, "all but id and secret");
    travels(CPN, navigator()).await;
}

/// From a manifest to the record in the API, through the operator's own reading of the spec.
#[tokio::test]
async fn a_spec_with_every_field_arrives() {
    let env = TestEnv::new().await;
    for (flavor, api, fields) in [(CSP, Api::CloudServices, services()), (CPN, Api::CloudPartnerNavigator, navigator())]
    {
        let mut manifest = fields.clone();
        manifest.insert("orgId".into(), "org-1".into());
        if flavor == CPN {
            manifest.insert("grantTypes".into(), json!(["client_credentials"]));
        } else {
            manifest.remove("allowedOrgs");
        }
        let spec: OrgOAuthAppSpec = serde_json::from_value(Value::Object(manifest.clone())).unwrap();
        let sent = Fields::of(api, &spec).unwrap().values().clone();
        let new = NewApp { id: id("billing-export"), context: None, fields: sent.clone(), secret: None };
        let iam = env.iam(flavor);
        iam.create(&org(), &new).await.unwrap();
        let stored = env.control.app(flavor, "billing-export").await.unwrap().unwrap();
        manifest.retain(|name, _| name != "orgId" && !(flavor == CPN && name == "grantTypes"));
        assert_eq!(sent, manifest);
        for (name, value) in &manifest {
            assert_eq!(set(&stored.fields[name]), set(value), "{flavor:?} {name}");
        }
    }
}
