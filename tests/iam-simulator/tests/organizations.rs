//! Tokens belong to one organization, and say which and with what roles.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::*;
use iam_simulator::types::Flavor;
use serde_json::{Value, json};

const OTHER: &str = "org-2";

/// A simulator with two organizations whose tokens belong to one.
async fn scoped() -> TestEnv {
    let env = TestEnv::new().await;
    for flavor in [CSP, CPN] {
        env.control.seed_org(flavor, OTHER, false).await.unwrap();
    }
    env
}

async fn operator_token(env: &TestEnv, flavor: Flavor, org: &str) -> String {
    env.control.token(flavor, org, "operator", "Oper@t0r").await.unwrap()
}

/// The answer of CSP's token endpoint to client credentials, for `org` or the owner organization.
async fn csp_token(env: &TestEnv, id: &str, secret: &str, org: Option<&str>) -> Reply {
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(org.map(|org| ("orgId", org)));
    let request = env.http.post(env.url(CSP, "auth/token")).basic_auth(id, Some(secret)).form(&form);
    reply(request.send().await.unwrap()).await
}

fn access_token(reply: Reply) -> String {
    reply.ok(200)["access_token"].as_str().unwrap().to_string()
}

#[tokio::test]
async fn off_a_token_manages_every_organization_of_its_identity() {
    let env = scoped().await;
    env.set(|s| s.org_scoped_tokens = false).await;
    for flavor in [CSP, CPN] {
        assert_eq!(env.status_with(env.token(flavor), flavor, OTHER).await, 404);
    }
}

#[tokio::test]
async fn a_token_can_say_nothing_of_itself() {
    let env = scoped().await;
    env.set(|s| s.opaque_tokens = true).await;
    for flavor in [CSP, CPN] {
        let token = operator_token(&env, flavor, OTHER).await;
        assert!(!token.contains('.'), "{token}");
        assert_eq!(env.status_with(&token, flavor, OTHER).await, 404);
    }
}

#[tokio::test]
async fn a_token_of_another_organization_is_forbidden() {
    let env = scoped().await;
    for flavor in [CSP, CPN] {
        assert_eq!(env.status_with(env.token(flavor), flavor, ORG).await, 404);
        for org in [OTHER, "no-such-org"] {
            assert_eq!(env.status_with(env.token(flavor), flavor, org).await, 403);
        }
    }
}

#[tokio::test]
async fn an_api_token_belongs_to_the_organization_in_which_it_was_made() {
    let env = scoped().await;
    for flavor in [CSP, CPN] {
        env.control.seed_api_token(flavor, OTHER, "api-token").await.unwrap();
        let token = env.exchange(flavor, "api-token").await;
        assert_eq!(claims(&token)["context_name"], OTHER);
        assert_eq!(env.status_with(&token, flavor, OTHER).await, 404);
        assert_eq!(env.status_with(&token, flavor, ORG).await, 403);
    }
}

#[tokio::test]
async fn client_credentials_give_a_token_for_the_owner_organization() {
    let env = scoped().await;
    let token = access_token(csp_token(&env, "operator", "Oper@t0r", None).await);
    assert_eq!(claims(&token)["context_name"], ORG);
}

#[tokio::test]
async fn client_credentials_give_a_token_for_the_organization_that_is_asked_for() {
    let env = scoped().await;
    for flavor in [CSP, CPN] {
        let token = operator_token(&env, flavor, OTHER).await;
        assert_eq!(claims(&token)["context_name"], OTHER);
        assert_eq!(env.status_with(&token, flavor, OTHER).await, 404);
        assert_eq!(env.status_with(&token, flavor, ORG).await, 403);
    }
}

#[tokio::test]
async fn the_organization_that_is_asked_for_can_be_ignored() {
    let env = scoped().await;
    env.set(|s| s.ignore_org_id = true).await;
    assert_eq!(claims(&operator_token(&env, CSP, OTHER).await)["context_name"], ORG);
}

#[tokio::test]
async fn no_token_is_given_for_an_organization_that_does_not_exist() {
    let env = scoped().await;
    for flavor in [CSP, CPN] {
        assert!(env.control.token(flavor, "no-such-org", "operator", "Oper@t0r").await.is_err());
    }
}

#[tokio::test]
async fn a_csp_app_gets_tokens_for_the_organizations_to_which_it_was_added() {
    let env = scoped().await;
    let mut body = with(&app(), "id", json!("an-app"), "secret", json!(SECRET));
    body["allowedScopes"] = json!({"organizationScopes": {"allRoles": true}});
    env.csp("POST", "oauth-apps", body).await.ok(200);
    csp_token(&env, "an-app", SECRET, Some(OTHER)).await.ok(403);

    let add = json!({"ids": ["an-app"], "organizationRoles": [{"name": "developer"}]});
    let manager = operator_token(&env, CSP, OTHER).await;
    let added = env.request_with(&manager, CSP, "POST", &in_org(CSP, OTHER, "clients")).json(&add);
    assert_eq!(reply(added.send().await.unwrap()).await.ok(200), json!({"failures": []}));

    let token = access_token(csp_token(&env, "an-app", SECRET, Some(OTHER)).await);
    assert_eq!(claims(&token)["context_name"], OTHER);
    assert_eq!(claims(&token)["perms"], json!(["csp:developer"]));
    assert_eq!(env.status_with(&token, CSP, OTHER).await, 404);
    let own = access_token(csp_token(&env, "an-app", SECRET, None).await);
    assert_eq!((&claims(&own)["context_name"], &claims(&own)["perms"]), (&json!(ORG), &json!([])));
}

#[tokio::test]
async fn a_cpn_app_cannot_be_added_to_another_organization() {
    let env = scoped().await;
    env.create(CPN, "an-app").await;
    let manager = operator_token(&env, CPN, OTHER).await;
    let add = env.request_with(&manager, CPN, "POST", &in_org(CPN, OTHER, "clients")).json(&json!({"ids": ["an-app"]}));
    assert_eq!(reply(add.send().await.unwrap()).await.ok(200)["failures"][0]["id"], "an-app");
    assert!(env.control.token(CPN, OTHER, "an-app", SECRET).await.is_err());
}

#[tokio::test]
async fn the_perms_of_an_identity_can_be_set() {
    let env = scoped().await;
    for flavor in [CSP, CPN] {
        assert_eq!(claims(&operator_token(&env, flavor, ORG).await)["perms"], json!(["csp:org_owner"]));
        env.control.seed_api_token(flavor, ORG, "api-token").await.unwrap();
        for identity in ["operator", "api-token"] {
            env.control.seed_perms(flavor, identity, &["csp:developer", "external/svc/user"]).await.unwrap();
        }
        for token in [operator_token(&env, flavor, ORG).await, env.exchange(flavor, "api-token").await] {
            assert_eq!(claims(&token)["perms"], json!(["csp:developer", "external/svc/user"]));
        }
    }
}

#[tokio::test]
async fn a_token_without_a_managing_role_is_forbidden() {
    let env = scoped().await;
    for flavor in [CSP, CPN] {
        for (perms, status) in [(["csp:org_member"], 403), (["csp:developer"], 404)] {
            env.control.seed_perms(flavor, "operator", &perms).await.unwrap();
            let token = operator_token(&env, flavor, ORG).await;
            assert_eq!(env.status_with(&token, flavor, ORG).await, status, "{perms:?}");
        }
    }
}

#[tokio::test]
async fn deleting_an_app_takes_it_out_of_every_organization() {
    let env = scoped().await;
    env.create(CSP, "an-app").await;
    let manager = operator_token(&env, CSP, OTHER).await;
    let clients = in_org(CSP, OTHER, "clients");
    let add = env.request_with(&manager, CSP, "POST", &clients).json(&json!({"ids": ["an-app"]}));
    reply(add.send().await.unwrap()).await.ok(200);
    env.csp("DELETE", "oauth-apps", json!({"clientIdsToDelete": ["an-app"]})).await.ok(200);
    let listed = env.request_with(&manager, CSP, "GET", &clients).send().await.unwrap();
    assert_eq!(reply(listed).await.ok(200)["results"], Value::Array(vec![]));
}
