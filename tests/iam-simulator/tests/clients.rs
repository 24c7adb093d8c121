//! The clients of an organization: how they are listed, and what roles they have and from where.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::*;
use iam_simulator::types::{Flavor, Human, Membership};
use serde_json::{Value, json};

/// A simulator with an app in each API.
async fn with_an_app() -> TestEnv {
    let env = TestEnv::new().await;
    for flavor in [CSP, CPN] {
        env.create(flavor, "an-app").await;
    }
    env
}

impl TestEnv {
    async fn add(&self, body: Value) -> Value {
        self.csp("POST", "clients", body).await.ok(200)
    }

    async fn only_client(&self) -> Value {
        let page = self.csp("GET", "clients", Value::Null).await.ok(200);
        assert_eq!(page["totalResults"], 1);
        page["results"][0].clone()
    }

    async fn inherit(&self, flavor: Flavor, role: &str, membership: Membership) {
        let deed = Human::InheritRoles { flavor, id: "an-app".into(), roles: vec![role.into()], membership };
        self.control.human(deed).await.unwrap();
    }

    async fn patch_roles(&self, flavor: Flavor, organization_roles: Value) -> Reply {
        let path = match flavor {
            CSP => format!("clients/an-app/orgs/{ORG}/roles"),
            CPN => format!("v2/clients/an-app/orgs/{ORG}/roles"),
            BROKER => unreachable!("Identity Broker has no roles of organizations"),
        };
        self.call(flavor, "PATCH", &path, json!({ "organizationRoles": organization_roles })).await
    }

    async fn csp_roles(&self) -> Reply {
        self.call(CSP, "GET", &format!("clients/an-app/orgs/{ORG}/roles"), Value::Null).await
    }
}

/// An organization role as the list shows it.
fn org_role(name: &str, resource: Value, membership: &str) -> Value {
    json!({"name": name, "displayName": name, "resource": resource, "expiresAt": null, "membershipType": membership})
}

#[tokio::test]
async fn an_entry_can_have_a_client_id_and_names_of_roles_only() {
    let env = TestEnv::new().await;
    env.set(|s| s.expanded_clients = false).await;
    env.create(CSP, "an-app").await;
    env.add(json!({"ids": ["an-app"], "organizationRoles": [{"name": "developer", "resource": "instance:1"}]})).await;
    let roles = json!([{"name": "developer"}]);
    assert_eq!(env.only_client().await, json!({"clientId": "an-app", "organizationRoles": roles, "serviceRoles": []}));
}

#[tokio::test]
async fn an_entry_has_all_that_is_documented() {
    let env = with_an_app().await;
    env.add(json!({
        "ids": ["an-app"], "organizationRoles": [{"name": "developer"}], "customRoles": [{"name": "auditor"}],
        "serviceRoles": [{"serviceDefinitionId": "svc", "serviceRoles": [{"name": "user"}]}],
    }))
    .await;
    let role = |name: &str| json!({"name": name, "resource": null, "expiresAt": null, "membershipType": "DIRECT"});
    let services = json!([{
        "serviceDefinitionId": "svc", "serviceRoleNames": ["user"], "serviceRoles": [role("user")],
    }]);
    let expected = json!({
        "id": "an-app", "displayName": "App", "organizationRoles": [org_role("developer", Value::Null, "DIRECT")],
        "serviceRoles": services, "customRoles": [role("auditor")],
    });
    assert_eq!(env.only_client().await, expected);
}

#[tokio::test]
async fn an_inherited_role_says_how_it_is_inherited() {
    let env = with_an_app().await;
    for (membership, shown) in
        [(Membership::Group, "GROUP"), (Membership::Nested, "NESTED"), (Membership::Bundle, "BUNDLE")]
    {
        env.inherit(CSP, shown, membership).await;
        let roles = env.only_client().await["organizationRoles"].as_array().unwrap().clone();
        assert!(roles.contains(&org_role(shown, Value::Null, shown)), "{roles:?}");
    }
}

#[tokio::test]
async fn an_inherited_role_cannot_be_removed() {
    let env = with_an_app().await;
    for flavor in [CSP, CPN] {
        env.inherit(flavor, "developer", Membership::Group).await;
        let change = json!({"rolesToAdd": [{"name": "org_member"}], "rolesToRemove": [{"name": "developer"}]});
        let refused = env.patch_roles(flavor, change).await;
        assert!(refused.status == 400 && refused.message().contains("inherited"), "{}", refused.body);
        let roles = env.control.app(flavor, "an-app").await.unwrap().unwrap().roles.unwrap();
        assert_eq!(roles["organizationRoles"], json!([{"name": "developer"}]), "nothing is changed");
    }
}

#[tokio::test]
async fn a_role_that_is_direct_and_inherited_stays_inherited_when_it_is_removed() {
    let env = with_an_app().await;
    env.inherit(CSP, "developer", Membership::Group).await;
    env.patch_roles(CSP, json!({"rolesToAdd": [{"name": "developer"}]})).await.ok(200);
    assert_eq!(env.only_client().await["organizationRoles"].as_array().unwrap().len(), 2);
    env.patch_roles(CSP, json!({"rolesToRemove": [{"name": "developer"}]})).await.ok(200);
    let inherited = org_role("developer", Value::Null, "GROUP");
    assert_eq!(env.only_client().await["organizationRoles"], json!([inherited]));
}

#[tokio::test]
async fn an_inherited_role_counts_in_tokens() {
    let env = with_an_app().await;
    env.inherit(CPN, "developer", Membership::Group).await;
    let scopes = json!({"organizationScopes": {"roles": [{"name": "developer"}]}});
    env.cpn("PATCH", "oauth-apps/an-app", json!({ "allowedScopes": scopes })).await.ok(200);
    let token = env.control.token(CPN, ORG, "an-app", SECRET).await.unwrap();
    assert_eq!(claims(&token)["perms"], json!(["csp:developer"]));
    assert_eq!(env.status_with(&token, CPN, ORG).await, 404);
}

#[tokio::test]
async fn a_role_can_be_given_on_a_resource_and_taken_from_it() {
    let env = with_an_app().await;
    let on = |resource: &str| json!({"name": "developer", "resource": resource});
    env.add(json!({"ids": ["an-app"], "organizationRoles": [on("instance:1")]})).await;
    env.patch_roles(CSP, json!({"rolesToAdd": [on("instance:2")], "rolesToRemove": [on("instance:1")]})).await.ok(200);
    let left = org_role("developer", json!("instance:2"), "DIRECT");
    assert_eq!(env.only_client().await["organizationRoles"], json!([left]));
}

#[tokio::test]
async fn clients_are_counted_from_1() {
    let env = with_an_app().await;
    env.create(CSP, "b-app").await;
    env.add(json!({"ids": ["an-app", "b-app"]})).await;
    let page = async |query: &str| env.csp("GET", &format!("clients?{query}"), Value::Null).await.ok(200);
    let first = page("pageStart=1&pageLimit=1").await;
    assert_eq!((&first["results"][0]["id"], &first["totalResults"]), (&json!("an-app"), &json!(2)));
    assert!(first["nextLink"].as_str().unwrap().ends_with("?pageStart=2&pageLimit=1"));
    let second = page("pageStart=2&pageLimit=1").await;
    assert_eq!(second["results"][0]["id"], json!("b-app"));
    assert!(second["prevLink"].as_str().unwrap().ends_with("?pageStart=1&pageLimit=1"));
    let last = page("pageStart=3&pageLimit=1").await;
    assert_eq!((&last["results"], last.get("nextLink")), (&json!([]), None));
}

#[tokio::test]
async fn a_page_of_clients_has_200_by_default_and_at_most() {
    let env = with_an_app().await;
    let page = env.csp("GET", "clients?pageStart=2", Value::Null).await.ok(200);
    assert!(page["prevLink"].as_str().unwrap().ends_with("?pageStart=1&pageLimit=200"));
    env.csp("GET", "clients?pageLimit=200", Value::Null).await.ok(200);
    for query in ["pageLimit=201", "pageLimit=0", "pageStart=0"] {
        env.csp("GET", &format!("clients?{query}"), Value::Null).await.ok(400);
    }
}

#[tokio::test]
async fn the_roles_of_one_client_can_be_unreadable() {
    let env = with_an_app().await;
    env.set(|s| s.client_roles_readable = false).await;
    env.add(json!({"ids": ["an-app"]})).await;
    env.csp_roles().await.ok(404);
}

#[tokio::test]
async fn the_roles_of_one_client_can_be_read() {
    let env = with_an_app().await;
    env.csp_roles().await.ok(404);
    env.add(json!({"ids": ["an-app"], "organizationRoles": [{"name": "developer"}]})).await;
    let roles = env.csp_roles().await.ok(200);
    assert_eq!(roles["organizationRoles"], json!([org_role("developer", Value::Null, "DIRECT")]));
    assert_eq!((&roles["serviceRoles"], &roles["customRoles"]), (&json!([]), &json!([])));
}

/// Adds a client that is a member already, together with one that is none.
async fn add_again(env: &TestEnv, flavor: Flavor) -> Reply {
    for id in ["an-app", "b-app"] {
        env.create(flavor, id).await;
    }
    env.org_call(flavor, "POST", "clients", json!({"ids": ["an-app"]})).await.ok(200);
    env.org_call(flavor, "POST", "clients", json!({"ids": ["an-app", "b-app"]})).await
}

async fn is_member(env: &TestEnv, flavor: Flavor, id: &str) -> bool {
    env.control.app(flavor, id).await.unwrap().unwrap().roles.is_some()
}

#[tokio::test]
async fn adding_a_member_again_is_refused_with_the_status_that_is_set() {
    for status in [400, 409] {
        let env = TestEnv::new().await;
        env.set(|s| s.already_member_status = status).await;
        for flavor in [CSP, CPN] {
            let refused = add_again(&env, flavor).await;
            assert!(refused.message().contains("already a member"), "{}", refused.body);
            assert_eq!(refused.status, status);
            assert!(!is_member(&env, flavor, "b-app").await, "no client is added");
        }
    }
}

#[tokio::test]
async fn adding_a_member_again_can_be_a_failure_beside_a_success() {
    let env = TestEnv::new().await;
    env.set(|s| s.already_member_status = 200).await;
    for flavor in [CSP, CPN] {
        let failures = add_again(&env, flavor).await.ok(200)["failures"].as_array().unwrap().clone();
        assert_eq!((failures.len(), &failures[0]["id"]), (1, &json!("an-app")));
        assert!(failures[0]["message"].as_str().unwrap().contains("already a member"));
        assert!(is_member(&env, flavor, "b-app").await);
    }
}
