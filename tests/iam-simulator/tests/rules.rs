//! Every rule of the documentation: a request that breaks it is refused, its accepted twin goes through.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::*;
use iam_simulator::types::Flavor;
use serde_json::{Map, Value, json};

/// A rule on a body: what is set on top of the least body to break it, part of the message, and the accepted twin.
type Rule = (&'static str, Value, &'static str, Value);

fn merged(base: &Value, patch: &Value) -> Value {
    let mut value = base.clone();
    let map = value.as_object_mut().unwrap();
    for (key, v) in patch.as_object().unwrap() {
        if v == "(absent)" {
            map.remove(key);
        } else {
            map.insert(key.clone(), v.clone());
        }
    }
    value
}

fn code(extra: Value) -> Value {
    merged(&json!({"grantTypes": ["authorization_code"]}), &extra)
}

fn form_rules() -> Vec<Rule> {
    vec![
        ("unknown field", json!({"colour": 1}), "'colour'", json!({})),
        ("missing description", json!({"description": "(absent)"}), "description", json!({"description": "d"})),
        ("missing displayName", json!({"displayName": "(absent)"}), "displayName", json!({"displayName": "d"})),
        ("missing grantTypes", json!({"grantTypes": "(absent)"}), "grantTypes", json!({})),
        ("missing allowedScopes", json!({"allowedScopes": "(absent)"}), "allowedScopes", json!({})),
        ("null", json!({"secret": null}), "secret must not be null", json!({"secret": SECRET})),
        ("wrong type", json!({"accessTokenTTL": "900"}), "int32", json!({"accessTokenTTL": 900})),
        ("too large", json!({"maxGroupsInIdToken": 3_000_000_000_i64}), "int32", json!({"maxGroupsInIdToken": 20})),
        ("wrong item", json!({"grantTypes": [1]}), "grantTypes[0]", json!({})),
    ]
}

fn name_rules() -> Vec<Rule> {
    vec![
        ("id too short", json!({"id": "abcd"}), "at least 5", json!({"id": "abcde"})),
        ("id too long", json!({"id": "i".repeat(257)}), "at most 256", json!({"id": "i".repeat(256)})),
        ("id characters", json!({"id": "a.b.c"}), "characters", json!({"id": "A_b-9"})),
        ("id with a blank", json!({"id": "a b c d"}), "characters", json!({"id": "a-b-c-d"})),
        ("name characters", json!({"displayName": "a/b"}), "displayName", json!({"displayName": "Ü-_.`':@&, 9"})),
        ("empty name", json!({"displayName": " "}), "displayName", json!({"displayName": "x"})),
    ]
}

fn grant_rules() -> Vec<Rule> {
    vec![
        ("unknown grant", json!({"grantTypes": ["password"]}), "password", json!({"grantTypes": ["refresh_token"]})),
        ("service grant", json!({"grantTypes": ["audience_exchange"]}), "service", json!({})),
        ("no grant", json!({"grantTypes": []}), "grantTypes", json!({})),
        ("allowedOrgs of a customer", json!({"allowedOrgs": ["o"]}), "service organizations", json!({})),
        (
            "public with a secret",
            code(json!({"publicClient": true, "secret": SECRET})),
            "secret",
            code(json!({"publicClient": true})),
        ),
        (
            "public with client_credentials",
            json!({"publicClient": true}),
            "client_credentials",
            json!({"publicClient": false}),
        ),
        (
            "redirects without code",
            json!({"redirectUris": ["https://a"]}),
            "redirectUris",
            code(json!({"redirectUris": ["https://a"]})),
        ),
        (
            "logout without code",
            json!({"postLogoutRedirectUris": ["https://a"]}),
            "postLogout",
            code(json!({"postLogoutRedirectUris": ["https://a"]})),
        ),
        (
            "open redirects with redirects",
            code(json!({"allowOpenRedirectUris": true, "redirectUris": []})),
            "redirectUris",
            code(json!({"allowOpenRedirectUris": true})),
        ),
    ]
}

fn time_rules() -> Vec<Rule> {
    vec![
        (
            "access above refresh",
            json!({"accessTokenTTL": 900, "refreshTokenTTL": 900}),
            "below",
            json!({"accessTokenTTL": 899, "refreshTokenTTL": 900}),
        ),
        (
            "access above the default refresh",
            json!({"accessTokenTTL": 7_776_000}),
            "below",
            json!({"accessTokenTTL": 7_775_999}),
        ),
        ("no lifetime", json!({"accessTokenTTL": 0}), "positive", json!({"accessTokenTTL": 1})),
        (
            "negative overlap",
            json!({"secretRotationExpirationInSeconds": -1}),
            "positive",
            json!({"secretRotationExpirationInSeconds": 60}),
        ),
    ]
}

fn organization_scope_rules() -> Vec<Rule> {
    let org = |scope: Value| json!({"allowedScopes": {"organizationScopes": scope}});
    let (role, permission) = (role(), permission());
    vec![
        (
            "unknown scope",
            json!({"allowedScopes": {"serviceScopes": []}}),
            "allowedScopes.serviceScopes",
            json!({"allowedScopes": {"generalScopes": ["openid"]}}),
        ),
        (
            "all roles and roles",
            org(json!({"allRoles": true, "roles": role})),
            "allRoles",
            org(json!({"allRoles": true, "roles": []})),
        ),
        (
            "all permissions and some",
            org(json!({"allPermissions": true, "permissions": permission})),
            "allPermissions",
            org(json!({"permissions": permission})),
        ),
        (
            "kept",
            org(json!({"keptInToken": ["SOME"]})),
            "keptInToken[0]",
            org(json!({"keptInToken": ["ROLES", "PERMISSIONS"]})),
        ),
        ("role without name", org(json!({"roles": [{}]})), "roles[0].name", org(json!({"roles": role}))),
    ]
}

fn service_scope_rules() -> Vec<Rule> {
    let service = |scope: Value| json!({"allowedScopes": {"servicesScopes": [merged(&json!({"serviceDefinitionId": "s"}), &scope)]}});
    let (role, permission) = (role(), permission());
    vec![
        (
            "service without id",
            json!({"allowedScopes": {"servicesScopes": [{}]}}),
            "serviceDefinitionId",
            service(json!({"roles": role})),
        ),
        (
            "service: all roles and roles",
            service(json!({"allRoles": true, "roles": role})),
            "allRoles",
            service(json!({"allRoles": true})),
        ),
        (
            "service: all permissions and some",
            service(json!({"allPermissions": true, "permissions": permission})),
            "allPermissions",
            service(json!({"permissions": permission})),
        ),
        ("external prefix", service(json!({"serviceDefinitionId": "external/s"})), "external", service(json!({}))),
    ]
}

fn role() -> Value {
    json!([{"name": "org_member", "resource": "instance:1"}])
}

fn permission() -> Value {
    json!([{"permissionId": "p", "resources": ["r"]}])
}

fn secret_rules() -> Vec<Rule> {
    let secret = |s: &str| json!({ "secret": s });
    vec![
        ("short", secret("Passw0!"), "8 characters", secret("Passw0r!")),
        ("no lower case", secret("PASSW0RD!"), "lower-case", secret("PASSw0RD!")),
        ("no upper case", secret("passw0rd!"), "upper-case", secret("passW0rd!")),
        ("no digit", secret("Password!"), "digit", secret("Passw0rd]")),
        ("no special, the literal reading", secret("Passw0rdd"), "special", secret("Passw0rd{")),
        ("special of one reading alone: -", secret("Passw0rd-"), "special", secret("Passw0rd-!")),
        ("special of neither reading: \"", secret("Passw0rd\""), "special", secret("Passw0rd\"_")),
        ("line break", secret("Passw0rd!\n"), "special", secret("Passw0rd! ")),
    ]
}

async fn try_rules(env: &TestEnv, flavor: Flavor, base: &Value, rules: Vec<Rule>) {
    let path = if flavor == CSP { format!("orgs/{ORG}/oauth-apps") } else { format!("v2/orgs/{ORG}/oauth-apps") };
    for (name, breaking, message, twin) in rules {
        let refused = env.call(flavor, "POST", &path, merged(base, &breaking)).await;
        assert_eq!(refused.status, 400, "{flavor:?} {name}: {}", refused.body);
        assert!(refused.message().contains(message), "{flavor:?} {name}: {}", refused.body);
        let accepted = env.call(flavor, "POST", &path, merged(base, &twin)).await;
        assert_eq!(accepted.status, 200, "{flavor:?} {name}, twin: {}", accepted.body);
    }
}

#[tokio::test]
async fn csp_create_rules() {
    let env = TestEnv::new().await;
    let fields = [form_rules(), name_rules(), grant_rules(), time_rules(), secret_rules()];
    for rules in fields.into_iter().chain([organization_scope_rules(), service_scope_rules()]) {
        try_rules(&env, CSP, &app(), rules).await;
    }
}

#[tokio::test]
async fn cpn_create_rules() {
    let env = TestEnv::new().await;
    let service = |scope: Value| json!({"allowedScopes": {"servicesScopes": [scope]}});
    let rules: Vec<Rule> = vec![
        ("a field of CSP alone", json!({"grantTypes": ["client_credentials"]}), "grantTypes", json!({})),
        ("id characters", json!({"id": "a b"}), "characters", json!({"id": "a"})),
        (
            "organization-wide allRoles",
            json!({"allowedScopes": {"organizationScopes": {"allRoles": true}}}),
            "allowedScopes.organizationScopes.allRoles",
            json!({"allowedScopes": {"organizationScopes": {"roles": [{"name": "r"}]}}}),
        ),
        (
            "a role's resource",
            service(json!({"roles": [{"name": "r", "resource": "x"}]})),
            "roles[0].resource",
            service(json!({"roles": [{"name": "r"}]})),
        ),
        ("permissions", service(json!({"permissions": []})), "permissions", service(json!({"allRoles": true}))),
        ("wrong type", json!({"ownerOnlySecretRotation": "true"}), "boolean", json!({"ownerOnlySecretRotation": true})),
    ];
    for rules in [rules, secret_rules()] {
        try_rules(&env, CPN, &json!({}), rules).await;
    }
    env.cpn("POST", "oauth-apps?context=CUSTOMER", json!({})).await.ok(400);
    env.cpn("POST", "oauth-apps?context=OPERATOR", json!({})).await.ok(200);
    env.create(CPN, "an-app").await;
    env.cpn("PATCH", "oauth-apps/an-app?context=OPERATOR", json!({})).await.ok(400);
    env.cpn("PATCH", "oauth-apps/an-app?context=PROVIDER", json!({})).await.ok(200);
    env.cpn("PATCH", "oauth-apps/an-app", json!({"id": "an-app"})).await.ok(400);
}

#[tokio::test]
async fn service_organizations_may_more() {
    let env = TestEnv::new().await;
    env.control.seed_org(CSP, ORG, true).await.unwrap();
    let delegate = |ttl: i64| json!({"grantTypes": ["client_delegate"], "refreshTokenTTL": ttl});
    let fortnight = 14 * 24 * 3600;
    let rules: Vec<Rule> = vec![
        ("delegate refresh", delegate(fortnight + 1), "14 days", delegate(fortnight)),
        (
            "empty allowedOrgs",
            json!({"allowedOrgs": []}),
            "allowedOrgs",
            json!({"allowedOrgs": ["o"], "id": "limited"}),
        ),
    ];
    try_rules(&env, CSP, &app(), rules).await;
    let shown = env.csp("GET", "oauth-apps/limited", Value::Null).await.ok(200);
    assert_eq!(shown["allowedOrgs"][0]["id"], "o");
    let patch = json!({"displayName": "App", "description": "", "grantTypes": ["client_credentials"]});
    for one_way in [json!([]), Value::Null] {
        env.csp("PATCH", "oauth-apps/limited", merged(&patch, &json!({ "allowedOrgs": one_way }))).await.ok(400);
    }
    env.csp("PATCH", "oauth-apps/limited", merged(&patch, &json!({"allowedOrgs": ["o", "p"]}))).await.ok(200);
}

#[tokio::test]
async fn production_asks_for_more() {
    let env = TestEnv::new().await;
    env.control.set(|s| s.production = true).await.unwrap();
    let id = json!({"serviceDefinitionId": "s"});
    let rules: Vec<Rule> = vec![
        ("code without a service", code(json!({})), "serviceDefinitionId", code(id.clone())),
        (
            "open redirects",
            merged(&code(json!({"allowOpenRedirectUris": true})), &id),
            "non-production",
            code(id.clone()),
        ),
    ];
    try_rules(&env, CSP, &app(), rules).await;
}

fn update_rules() -> Vec<Rule> {
    vec![
        ("no description", json!({"description": "(absent)"}), "description", json!({})),
        ("no displayName", json!({"displayName": "(absent)"}), "displayName", json!({})),
        ("no grantTypes", json!({"grantTypes": "(absent)"}), "grantTypes", json!({})),
        ("id", json!({"id": "an-app"}), "'id'", json!({})),
        ("publicClient", json!({"publicClient": false}), "'publicClient'", json!({})),
        ("allowOpenRedirectUris", json!({"allowOpenRedirectUris": true}), "'allowOpenRedirectUris'", json!({})),
        ("serviceDefinitionId", json!({"serviceDefinitionId": "s"}), "'serviceDefinitionId'", json!({})),
        (
            "immutable",
            json!({"immutable": true}),
            "'immutable'",
            json!({"useCspIssuerUrl": true, "groupDomainAppendedInIDToken": true}),
        ),
        ("secret", json!({"secret": "weak"}), "secret", json!({"secret": "Str0nger!"})),
        (
            "the result is judged",
            json!({"accessTokenTTL": 7_776_000}),
            "below",
            json!({"refreshTokenTTL": 7_776_001, "accessTokenTTL": 7_776_000}),
        ),
        (
            "redirects without code",
            json!({"redirectUris": ["https://a"]}),
            "redirectUris",
            json!({"redirectUris": ["https://a"], "grantTypes": ["authorization_code"]}),
        ),
        ("code taken away", json!({}), "redirectUris", json!({"redirectUris": []})),
    ]
}

#[tokio::test]
async fn csp_update_rules() {
    let env = TestEnv::new().await;
    env.create(CSP, "an-app").await;
    let triple = json!({"displayName": "App", "description": "", "grantTypes": ["client_credentials"]});
    for (name, breaking, message, twin) in update_rules() {
        let refused = env.csp("PATCH", "oauth-apps/an-app", merged(&triple, &breaking)).await;
        assert!(refused.status == 400 && refused.message().contains(message), "{name}: {}", refused.body);
        let accepted = env.csp("PATCH", "oauth-apps/an-app", merged(&triple, &twin)).await;
        assert_eq!(accepted.status, 200, "{name}, twin: {}", accepted.body);
    }
    env.csp("PATCH", "oauth-apps/nobody", triple).await.ok(404);
}

#[tokio::test]
async fn a_public_client_keeps_no_secret() {
    let env = TestEnv::new().await;
    let made = env
        .csp("POST", "oauth-apps", merged(&app(), &code(json!({"publicClient": true, "id": "public"}))))
        .await
        .ok(200);
    assert_eq!(made["clientSecret"], "");
    let path = "oauth-apps/public/secret";
    env.csp("PUT", path, json!({})).await.ok(400);
    env.csp("POST", path, json!({"newClientSecret": SECRET})).await.ok(400);
    let patch =
        json!({"displayName": "App", "description": "", "grantTypes": ["authorization_code"], "secret": SECRET});
    env.csp("PATCH", "oauth-apps/public", patch).await.ok(400);
    assert!(!env.works(CSP, "public", "").await);
}

const NEW_SECRET: &str = "N3w-secret!";

/// A method, a path, and a body that is refused there.
type Refused = (&'static str, &'static str, Value);

/// So many ids.
fn ids(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("app-{i}")).collect()
}

fn refused_by_csp() -> Vec<Refused> {
    let csp_secret = "oauth-apps/an-app/secret";
    vec![
        ("DELETE", "oauth-apps", json!({"clientIdsToDelete": ids(16)})),
        ("DELETE", "oauth-apps", json!({"clientIdsToDelete": []})),
        ("DELETE", "oauth-apps", json!({"ids": ["an-app"]})),
        ("DELETE", "oauth-apps", json!(["an-app"])),
        ("PUT", csp_secret, Value::Null),
        ("PUT", csp_secret, json!({"secret": "x"})),
        ("POST", csp_secret, json!({"newClientSecret": "weak"})),
        ("POST", csp_secret, json!({"newClientSecret": NEW_SECRET, "secretExpirationTimeInSeconds": 60})),
        ("POST", csp_secret, json!({"newClientSecret": NEW_SECRET, "secretRotationExpirationInSeconds": 0})),
        ("DELETE", csp_secret, json!({})),
        ("GET", "oauth-apps/an-app", json!({})),
        ("GET", "oauth-apps?limit=3", Value::Null),
        ("GET", "oauth-apps?pageLimit=3&pageLimit=4", Value::Null),
        ("GET", "oauth-apps/an-app?context=PROVIDER", Value::Null),
        ("POST", "oauth-apps/search", json!({"pageLimit": 16})),
        ("POST", "oauth-apps/search", json!({"searchType": "LIKE"})),
        ("POST", "clients", json!({"ids": ids(11)})),
        ("POST", "clients", json!({"ids": ["an-app"], "organizationRoles": [{"name": "king"}]})),
    ]
}

fn refused_by_cpn() -> Vec<Refused> {
    vec![
        ("PUT", "oauth-apps/an-app/secret", json!({})),
        ("POST", "oauth-apps/an-app/secret", json!({"newClientSecret": NEW_SECRET})),
        (
            "POST",
            "oauth-apps/an-app/secret",
            json!({"newClientSecret": NEW_SECRET, "secretExpirationTimeInSeconds": "60"}),
        ),
        ("GET", "oauth-apps/an-app", json!({})),
        ("GET", "oauth-apps/an-app?context=PROVIDER", Value::Null),
    ]
}

#[tokio::test]
async fn other_bodies_are_read_as_strictly() {
    let env = TestEnv::new().await;
    env.create(CSP, "an-app").await;
    env.create(CPN, "an-app").await;
    for (method, path, body) in refused_by_csp() {
        let reply = env.csp(method, path, body).await;
        assert_eq!(reply.status, 400, "{method} {path}: {}", reply.body);
    }
    for (method, path, body) in refused_by_cpn() {
        let reply = env.cpn(method, path, body).await;
        assert_eq!(reply.status, 400, "{method} {path}: {}", reply.body);
    }
    env.csp("DELETE", "oauth-apps", json!({"clientIdsToDelete": ids(15)})).await.ok(404);
}

#[tokio::test]
async fn headers_and_paths_are_judged_too() {
    let env = TestEnv::new().await;
    let path = format!("orgs/{ORG}/oauth-apps");
    let text = env.request(CSP, "POST", &path).header("content-type", "text/plain").body(app().to_string());
    assert!(reply(text.send().await.unwrap()).await.message().contains("Content-Type"));
    let none = env.request(CSP, "POST", &path).body(app().to_string());
    assert_eq!(none.send().await.unwrap().status(), 400);
    let charset = env.request(CSP, "POST", &path).header("content-type", "application/json; charset=utf-8");
    assert_eq!(charset.body(app().to_string()).send().await.unwrap().status(), 200);
    let broken = env.request(CSP, "POST", &path).header("content-type", "application/json").body("{");
    assert_eq!(broken.send().await.unwrap().status(), 400);

    let list = env.url(CSP, &path);
    assert_eq!(env.http.get(&list).send().await.unwrap().status(), 401);
    let other = env.http.get(&list).header("csp-auth-token", env.token(CSP));
    assert_eq!(other.send().await.unwrap().status(), 200);
    let both = env.request(CSP, "GET", &path).header("csp-auth-token", env.token(CSP));
    assert_eq!(both.send().await.unwrap().status(), 400);
    let get = env.url(CPN, &format!("v2/orgs/{ORG}/oauth-apps/x"));
    assert_eq!(env.http.get(&get).bearer_auth(env.token(CPN)).send().await.unwrap().status(), 401);
    assert_eq!(env.http.get(&get).header("csp-auth-token", env.token(CSP)).send().await.unwrap().status(), 401);

    env.csp("PUT", "oauth-apps", Value::Null).await.ok(405);
    env.csp("GET", "oauth-apps/", Value::Null).await.ok(404);
    env.call(CSP, "GET", "orgs", Value::Null).await.ok(404);
    env.set(|s| s.org_scoped_tokens = false).await;
    env.call(CSP, "GET", "orgs/nowhere/oauth-apps", Value::Null).await.ok(404);
    env.call(CPN, "GET", "v2/orgs/nowhere/oauth-apps/x", Value::Null).await.ok(403);
}

#[tokio::test]
async fn every_field_of_the_documentation_travels() {
    let env = TestEnv::new().await;
    env.control.seed_org(CSP, ORG, true).await.unwrap();
    env.control
        .set(|s| {
            s.reverse_lists = false;
            s.scope_defaults = false;
        })
        .await
        .unwrap();
    let sent = json!({
        "id": "every-field", "secret": SECRET, "displayName": "Every field", "description": "all of them",
        "grantTypes": ["authorization_code", "refresh_token", "client_credentials"],
        "allowedScopes": {"generalScopes": ["openid"]}, "accessTokenTTL": 1800, "refreshTokenTTL": 3600,
        "redirectUris": ["https://a", "https://b"], "postLogoutRedirectUris": ["https://c"], "forcePkce": true,
        "allowOpenRedirectUris": false, "publicClient": false, "allowedOrgs": ["o"], "serviceDefinitionId": "s",
        "maxCharactersInAccessToken": 9000, "maxGroupsInIdToken": 20, "ownerOnlySecretRotation": true,
        "secretRotationExpirationInSeconds": 60,
    });
    env.csp("POST", "oauth-apps", sent.clone()).await.ok(200);
    let shown = env.csp("GET", "oauth-apps/every-field", Value::Null).await.ok(200);
    let stored: &Map<String, Value> = sent.as_object().unwrap();
    for (name, value) in stored.iter().filter(|(name, _)| !["secret", "allowedOrgs"].contains(&name.as_str())) {
        assert_eq!(&shown[name], value, "{name}");
    }
}
