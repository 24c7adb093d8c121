//! What the API server makes of manifests at the edges of the schema: nulls, and more than a cluster can hold.

use crate::cluster::plane;
use crate::env::TenantEnv;
use crate::tenancy::Tenant;
use iam_simulator::types::Flavor;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, CustomResourceExt, Resource};
use oauth_app_operator::crd::{IamConnection, OrgOAuthApp, definitions};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One step from a spec towards a field.
#[derive(Clone, Debug)]
enum Step {
    Field(String),
    Item,
}

type Path = Vec<Step>;

/// Every field beneath `schema` that may be left out.
fn optional(schema: &JSONSchemaProps, path: &[Step]) -> Vec<Path> {
    let required = schema.required.clone().unwrap_or_default();
    let mut found = Vec::new();
    for (name, property) in schema.properties.iter().flatten() {
        let path = [path, &[Step::Field(name.clone())]].concat();
        if !required.contains(name) {
            found.push(path.clone());
        }
        found.extend(optional(property, &path));
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &property.items {
            found.extend(optional(items, &[path, vec![Step::Item]].concat()));
        }
    }
    found
}

fn optional_of_spec(definition: &CustomResourceDefinition) -> Vec<Path> {
    let schema = definition.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
    optional(&schema.properties.unwrap()["spec"], &[])
}

/// A spec with null at the path; `None` where it has nothing on the way there.
fn with_null(mut spec: Value, path: &[Step]) -> Option<Value> {
    let (last, way) = path.split_last()?;
    let mut at = &mut spec;
    for step in way {
        at = match step {
            Step::Field(name) => at.get_mut(name)?,
            Step::Item => at.get_mut(0)?,
        };
    }
    let Step::Field(name) = last else { return None };
    at.as_object_mut()?.insert(name.clone(), Value::Null);
    Some(spec)
}

fn object(resource: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "oauth-apps.dev/v1alpha1", "kind": resource, "metadata": {"name": name}, "spec": spec})
}

/// Applies each optional field as null to each of the specs that can have it, of which one must be accepted: by server-side
/// apply of a new object, and by a merge patch of one that is there.
async fn check<K: CustomResourceExt + Resource + DeserializeOwned>(
    api: &Api<DynamicObject>,
    paths: &[Path],
    specs: &[Value],
) {
    let kind = K::api_resource().kind;
    let applying = PatchParams { dry_run: true, ..PatchParams::apply("test").force() };
    let patching = PatchParams { dry_run: true, ..PatchParams::default() };
    for (n, spec) in specs.iter().enumerate() {
        let there = serde_json::from_value(object(&kind, &format!("nulls-{n}"), spec.clone())).unwrap();
        api.create(&PostParams::default(), &there).await.unwrap();
    }
    let mut wrong = Vec::new();
    for path in paths {
        let mut refused = Vec::new();
        let mut accepted = false;
        for (n, spec) in specs.iter().enumerate() {
            let Some(spec) = with_null(spec.clone(), path) else { continue };
            let whole = object(&kind, "nulls-new", spec.clone());
            let name = format!("nulls-{n}");
            let applied = api.patch("nulls-new", &applying, &Patch::Apply(&whole)).await;
            let patched = api.patch(&name, &patching, &Patch::Merge(json!({ "spec": spec }))).await;
            match (applied, patched) {
                (Ok(applied), Ok(patched)) => {
                    applied.try_parse::<K>().unwrap_or_else(|error| panic!("{path:?} is not read: {error}"));
                    patched.try_parse::<K>().unwrap_or_else(|error| panic!("{path:?} is not read: {error}"));
                    accepted = true;
                }
                (applied, patched) => refused.extend([applied.err(), patched.err()].into_iter().flatten()),
            }
        }
        if !accepted {
            wrong.push(format!("{path:?}: {refused:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {}", wrong.len(), paths.len(), wrong.join("\n"));
}

async fn namespace(name: &str) -> Client {
    plane().kubectl(&["create", "namespace", name]).unwrap();
    plane().admin_client().await.unwrap()
}

#[tokio::test]
async fn every_optional_field_of_an_app_may_be_null() {
    let api = Api::namespaced_with(namespace("schema-nulls").await, "schema-nulls", &OrgOAuthApp::api_resource());
    let role = || json!([{"name": "a"}]);
    let scopes = || json!({"roles": role(), "permissions": [{"permissionId": "p"}]});
    let mut service = scopes();
    service["serviceDefinitionId"] = "s".into();
    let spec = json!({
        "connectionRef": {}, "orgId": "org-1", "displayName": "A", "description": "", "grantTypes": ["client_credentials"],
        "allowedScopes": {"organizationScopes": scopes(), "servicesScopes": [service]},
        "roles": {"organizationRoles": role(), "serviceRoles": [{"serviceDefinitionId": "s", "serviceRoles": role()}]},
        "secret": {"keys": {}}, "rotation": {"interval": "72h", "overlap": "1h", "restart": [{"kind": "Deployment", "name": "a"}]},
    });
    let paths = optional_of_spec(&definitions()[1]);
    assert!(paths.len() > 50, "the fields were not found: {paths:?}");
    check::<OrgOAuthApp>(&api, &paths, &[spec]).await;
    // A null is in the index of the field by which resources with one id are found, too.
    let null = object("OrgOAuthApp", "null-id", json!({"orgId": "o", "id": null}));
    api.patch("null-id", &PatchParams::apply("test"), &Patch::Apply(&null)).await.unwrap();
    let found = api.list(&ListParams::default().fields("spec.id=somebody-elses")).await.unwrap();
    assert_eq!(found.items.len(), 0);
}

#[tokio::test]
async fn every_optional_field_of_a_connection_may_be_null() {
    let api = Api::all_with(plane().admin_client().await.unwrap(), &IamConnection::api_resource());
    let (reference, rest) =
        (|| json!({"name": "a", "key": "b"}), json!({"name": "a", "clientIdKey": "b", "clientSecretKey": "c"}));
    let selector = json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]});
    let allow = json!({"serviceRoles": [{"serviceDefinitionId": "s", "names": ["*"]}]});
    let one = json!({
        "api": "CloudPartnerNavigator", "endpoint": "https://iam.example.com", "limits": {},
        "credentials": {"clientCredentials": {"secretRef": rest}}, "caBundle": {"secretRef": reference()},
        "grants": [{"namespaces": {"from": "Selector", "selector": selector}, "orgs": {"from": "All"}, "allow": allow}],
    });
    let other = json!({
        "api": "CloudServices", "endpoint": "https://iam.example.com",
        "credentials": {"apiToken": {"secretRef": reference()}}, "caBundle": {"configMapRef": reference()},
        "grants": [{"namespaces": {"from": "All"}, "orgs": {"from": "All"}}],
    });
    let paths = optional_of_spec(&definitions()[0]);
    assert!(paths.len() > 25, "the fields were not found: {paths:?}");
    check::<IamConnection>(&api, &paths, &[one, other]).await;
}

#[tokio::test]
async fn a_null_changes_nothing_of_what_the_operator_does() {
    let env = TenantEnv::running("schema-null-app", Flavor::Csp).await;
    let nulls = [
        "id",
        "displayName",
        "description",
        "grantTypes",
        "context",
        "accessTokenTTL",
        "redirectUris",
        "roles",
        "rotation",
        "publicClient",
        "secret",
    ];
    let mut manifest = env.manifest("billing", json!({}));
    for name in nulls {
        manifest["spec"][name] = Value::Null;
    }
    manifest["spec"]["allowedScopes"]["generalScopes"] = Value::Null;
    plane().kubectl_with_input(&["apply", "--server-side", "-f", "-"], &manifest.to_string()).unwrap();
    env.until_ready("billing").await;
    env.assert_credential_works("billing").await;
    plane().kubectl_with_input(&["apply", "--server-side", "-f", "-"], &manifest.to_string()).unwrap();
    env.until_ready("billing").await;
}

#[tokio::test]
async fn a_resource_that_would_fill_the_memory_of_the_operator_is_refused() {
    let env = TenantEnv::new("schema-size", Flavor::Csp).await;
    let tenant = Tenant::of(&env);
    let apply = |name: &str, spec: Value| {
        let file = plane().directory().join(format!("{name}.json"));
        std::fs::write(&file, env.manifest(name, spec).to_string()).unwrap();
        // Client-side apply would add an annotation that is too large.
        tenant.kubectl(&["-n", "schema-size", "create", "-f", &file.display().to_string()])
    };
    let refused = apply("description", json!({"description": "x".repeat(1_400_000)})).unwrap_err();
    assert!(refused.contains("spec.description: Too long: may not be more than 4096"), "{refused}");
    // Every part at its limit, in bytes.
    let list = |count: usize, length: usize| -> Vec<String> { (0..count).map(|n| format!("{n:0length$}")).collect() };
    let roles: Vec<Value> = list(31, 256).into_iter().map(|name| json!({ "name": name })).collect();
    let annotations = json!({"a": "x".repeat(8000), "b": "x".repeat(8000)});
    let most = json!({
        "displayName": "x".repeat(256), "description": "x".repeat(4096), "grantTypes": ["authorization_code"],
        "allowedScopes": {"generalScopes": list(62, 256)}, "roles": {"organizationRoles": roles},
        "redirectUris": list(3, 2048), "postLogoutRedirectUris": list(1, 2048), "allowedOrgs": list(31, 256),
        "secret": {"annotations": annotations},
    });
    apply("most", most.clone()).unwrap();
    let size = serde_json::to_string(&env.app("most").await.spec).unwrap().len();
    assert!((60_000..80_000).contains(&size), "{size}");
    for (field, more) in [
        ("allowedScopes", json!({"generalScopes": list(63, 256)})),
        ("redirectUris", json!(list(4, 2048))),
        ("allowedOrgs", json!(list(32, 256))),
    ] {
        let mut spec = most.clone();
        spec[field] = more;
        let refused = apply("more", spec).unwrap_err();
        assert!(refused.contains(&format!("{field} must hold at most")), "{refused}");
    }
}

#[tokio::test]
async fn a_secret_that_kubernetes_would_not_store_is_refused_before_any_call() {
    let env = TenantEnv::running("schema-secret", Flavor::Csp).await;
    let tenant = Tenant::of(&env);
    let filled = |keys: usize| {
        let key = |n| (format!("key-{n}"), json!("{{ clientSecret | urlencode }}".repeat(20)));
        let template: serde_json::Map<String, Value> = (0..keys).map(key).collect();
        json!({"secret": {"template": template}})
    };
    tenant.apply(&env.manifest("large", filled(18))).unwrap();
    let message = env.until_stalled("large", "SecretTooLarge").await;
    assert!(message.contains("Kubernetes stores 1048576 at most; shorten spec.secret.template"), "{message}");
    assert_eq!((env.app_calls().await, env.secret("large").await), (0, None));
    tenant.apply(&env.manifest("large", filled(2))).unwrap();
    env.until_ready("large").await;
}
