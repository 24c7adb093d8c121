//! What a grant allows a tenant to ask for: refused before any call, with what is allowed instead.
//! Tenants are users with the rights of their namespace only.

use crate::cluster::plane;
use crate::env::TenantEnv;
use crate::tenancy::Tenant;
use iam_simulator::types::{CallFilter, Flavor};
use serde_json::{Value, json};

/// For the namespace and the organization of a test.
fn grant(env: &TenantEnv, allow: Value) -> Value {
    json!([{"namespaces": {"from": "Names", "names": [env.namespace]}, "orgs": {"from": "Ids", "ids": [env.org]},
            "allow": allow}])
}

/// A connection that allows so much, an operator that runs, and a tenant.
async fn allowing(namespace: &str, flavor: Flavor, allow: Value) -> (TenantEnv, Tenant) {
    let env = TenantEnv::new(namespace, flavor).await;
    env.give_credentials().await;
    env.connect(json!({"grants": grant(&env, allow), "resyncInterval": "10m"})).await;
    env.operator().start().unwrap();
    let tenant = Tenant::of(&env);
    (env, tenant)
}

/// A security team's grant.
fn narrow() -> Value {
    json!({
        "grantTypes": ["client_credentials", "authorization_code"], "generalScopes": ["openid"],
        "organizationRoles": ["org_member"], "serviceRoles": [{"serviceDefinitionId": "service-1", "names": ["viewer"]}],
        "redirectUris": ["https://*.example.com/*"],
    })
}

fn organization_scopes(scopes: Value) -> Value {
    json!({"allowedScopes": {"organizationScopes": scopes}})
}

fn web(more: Value) -> Value {
    let mut spec = json!({"grantTypes": ["authorization_code"]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

#[tokio::test]
async fn a_tenant_is_given_no_right_that_its_grant_does_not_allow_and_no_call_is_made() {
    let (env, tenant) = allowing("allow-refuses", Flavor::Csp, narrow()).await;
    let owner = || json!([{"name": "org_owner"}]);
    let permission = json!([{"permissionId": "p-1"}]);
    let admin = json!({"serviceDefinitionId": "service-1", "roles": [{"name": "admin"}]});
    let other_service =
        json!({"serviceRoles": [{"serviceDefinitionId": "service-2", "serviceRoles": [{"name": "viewer"}]}]});
    for (name, asks, says) in [
        (
            "roles",
            json!({"roles": {"organizationRoles": owner()}}),
            "organizationRoles org_owner (allowed: org_member)",
        ),
        ("scopes", organization_scopes(json!({"roles": owner()})), "organizationRoles org_owner (allowed: org_member)"),
        (
            "all-roles",
            organization_scopes(json!({"allRoles": true})),
            "organizationRoles * for allRoles (allowed: org_member)",
        ),
        ("all-permissions", organization_scopes(json!({"allPermissions": true})), "* for allPermissions (allowed"),
        ("permissions", organization_scopes(json!({"permissions": permission})), "* for permissions (allowed"),
        (
            "service",
            json!({"allowedScopes": {"servicesScopes": [admin]}}),
            "admin of service-1 (allowed: viewer of service-1)",
        ),
        (
            "other-service",
            json!({"roles": other_service}),
            "serviceRoles any of service-2, viewer of service-2 (allowed",
        ),
        ("general", json!({"allowedScopes": {"generalScopes": ["email"]}}), "generalScopes email (allowed: openid)"),
        (
            "delegate",
            json!({"grantTypes": ["client_delegate"]}),
            "grantTypes client_delegate (allowed: client_credentials",
        ),
        ("elsewhere", web(json!({"redirectUris": ["https://evil.test/cb"]})), "(allowed: https://*.example.com/*)"),
        (
            "logout",
            web(json!({"postLogoutRedirectUris": ["https://a.example.com@evil.test/"]})),
            "redirectUris https://a.",
        ),
        ("open", web(json!({"allowOpenRedirectUris": true})), "redirectUris any for allowOpenRedirectUris (allowed"),
    ] {
        tenant.apply(&env.manifest(name, asks)).unwrap();
        let message = env.until_stalled(name, "NotAllowed").await;
        assert!(message.contains(says), "{name}: {message}");
        assert!(
            message.contains("ask the platform team to allow more in its spec.grants[].allow"),
            "{name}: {message}"
        );
    }
    assert_eq!(env.app_calls().await, 0);
    let within = json!({
        "grantTypes": ["client_credentials", "authorization_code"], "redirectUris": ["https://a.example.com/cb"],
        "roles": {"organizationRoles": [{"name": "org_member"}]},
        "allowedScopes": {"generalScopes": ["openid"], "organizationScopes": {"roles": [{"name": "org_member"}]}},
    });
    tenant.apply(&env.manifest("within", within)).unwrap();
    env.until_ready("within").await;
}

#[tokio::test]
async fn without_allow_a_tenant_has_no_role() {
    let env = TenantEnv::new("allow-absent", Flavor::Csp).await;
    env.give_credentials().await;
    let grant = json!([{"namespaces": {"from": "All"}, "orgs": {"from": "Ids", "ids": [env.org]}}]);
    env.connect(json!({ "grants": grant })).await;
    env.operator().start().unwrap();
    let tenant = Tenant::of(&env);
    let member = json!({"roles": {"organizationRoles": [{"name": "org_member"}]}});
    tenant.apply(&env.manifest("member", member)).unwrap();
    let message = env.until_stalled("member", "NotAllowed").await;
    assert!(message.contains("organizationRoles org_member (allowed: none)"), "{message}");
    assert_eq!(env.app_calls().await, 0);
    let scopes = json!({"allowedScopes": {"generalScopes": ["openid", "email"]}});
    tenant.apply(&env.manifest("plain", scopes)).unwrap();
    env.until_ready("plain").await;
}

#[tokio::test]
async fn a_grant_that_is_narrowed_stops_changes_leaves_the_app_and_lets_it_be_deleted() {
    let (env, tenant) = allowing("allow-narrowed", Flavor::Csp, json!({"organizationRoles": ["org_owner"]})).await;
    let owner = |description: &str| json!({"description": description, "roles": {"organizationRoles": [{"name": "org_owner"}]}});
    tenant.apply(&env.manifest("billing", owner("Nightly"))).unwrap();
    env.until_ready("billing").await;
    let id = env.app("billing").await.status.unwrap().client_id.unwrap();
    let remote = async || serde_json::to_value(env.remote_app(&id).await.unwrap()).unwrap();
    let (app, secret) = (remote().await, env.secret("billing").await.unwrap());
    env.connect(json!({"grants": grant(&env, json!({"organizationRoles": ["org_member"]}))})).await;
    let message = env.until_stalled("billing", "NotAllowed").await;
    assert!(message.contains("organizationRoles org_owner (allowed: org_member)"), "{message}");
    let calls = env.app_calls().await;
    tenant.apply(&env.manifest("billing", owner("Changed"))).unwrap();
    let generation = env.app("billing").await.metadata.generation;
    let seen = async || env.app("billing").await.status.unwrap().observed_generation == generation;
    env.until("the change is seen", seen).await;
    assert_eq!((remote().await, env.app_calls().await), (app, calls), "the app is left as it is");
    assert_eq!(env.secret("billing").await.unwrap(), secret, "so is its Secret");
    env.assert_credential_works("billing").await;
    tenant.kubectl(&["-n", "allow-narrowed", "delete", "ooa", "billing", "--wait=false"]).unwrap();
    env.until_gone("billing").await;
    assert_eq!(env.control.apps().await.unwrap().len(), 0, "deletion asks for nothing");
}

#[tokio::test]
async fn a_resource_without_a_grant_causes_no_call_not_even_the_check_of_its_connection() {
    let env = TenantEnv::new("allow-no-call", Flavor::Cpn).await;
    env.give_credentials().await;
    let elsewhere = json!([{"namespaces": {"from": "Names", "names": ["elsewhere"]}, "orgs": {"from": "All"}}]);
    env.connect(json!({ "grants": elsewhere })).await;
    let tenant = Tenant::of(&env);
    // The first of all organizations, so that the connection would be checked with it; and there before the operator, so
    // that its first look would be about it.
    tenant.apply(&env.manifest("ungranted", json!({"orgId": "0-of-somebody-else"}))).unwrap();
    env.operator().start().unwrap();
    env.until_stalled("ungranted", "NotGranted").await;
    let calls = async || env.control.calls(&CallFilter::default()).await.unwrap();
    assert_eq!(calls().await.len(), 0, "{:?}", calls().await);
    env.connect(json!({"grants": grant(&env, json!({}))})).await;
    tenant.apply(&env.manifest("granted", json!({}))).unwrap();
    env.until_ready("granted").await;
    env.until_connection("Ready", "True", "Provisioned").await;
    let about_others: Vec<_> =
        calls().await.into_iter().filter(|call| format!("{call:?}").contains("0-of-somebody-else")).collect();
    assert!(about_others.is_empty(), "{about_others:?}");
    env.until_stalled("ungranted", "NotGranted").await;
}

#[tokio::test]
async fn kubectl_refuses_an_empty_selector_and_says_what_to_write() {
    let env = TenantEnv::new("allow-selector", Flavor::Csp).await;
    let parts = [
        json!({}),
        json!({"matchLabels": {}}),
        json!({"matchLabels": {}, "matchExpressions": []}),
        json!({"matchLabels": null}),
    ];
    for selector in parts {
        let grant = json!([{"namespaces": {"from": "Selector", "selector": selector}, "orgs": {"from": "All"}}]);
        let manifest = env.connection(json!({ "grants": grant })).to_string();
        for arguments in [&["apply", "-f", "-"][..], &["apply", "--server-side", "-f", "-"]] {
            let refused = plane().kubectl_with_input(arguments, &manifest).unwrap_err().to_string();
            assert!(refused.contains("add labels, or set from: All"), "{refused}");
        }
    }
}
