//! Rotation, tokens and rights.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::*;
use iam_simulator::types::{ApiTokenSeed, Human, Seed};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NEW: &str = "N3w-secret!";

#[tokio::test]
async fn csp_rotates_with_overlap() {
    let env = TestEnv::new().await;
    env.create(CSP, "an-app").await;
    let path = "oauth-apps/an-app/secret";
    let rotate =
        |secret: &str, seconds: i64| json!({"newClientSecret": secret, "secretRotationExpirationInSeconds": seconds});
    assert_eq!(env.csp("POST", path, rotate(NEW, 60)).await.ok(200), "");
    assert!(env.works(CSP, "an-app", SECRET).await && env.works(CSP, "an-app", NEW).await);
    env.csp("POST", path, rotate("Th1rd-one!", 60)).await.ok(409);
    env.csp("DELETE", path, Value::Null).await.ok(200);
    assert!(!env.works(CSP, "an-app", SECRET).await && env.works(CSP, "an-app", NEW).await);

    env.csp("POST", path, rotate("Th1rd-one!", 1)).await.ok(200);
    assert!(env.control.app(CSP, "an-app").await.unwrap().unwrap().previous_secret_sha256.is_some());
    tokio::time::sleep(std::time::Duration::from_millis(1050)).await;
    assert!(!env.works(CSP, "an-app", NEW).await && env.works(CSP, "an-app", "Th1rd-one!").await);

    env.csp("POST", path, json!({"newClientSecret": NEW})).await.ok(200);
    let regenerated = env.csp("PUT", path, json!({})).await.ok(200);
    assert_eq!(regenerated["clientId"], "an-app");
    assert!(!env.works(CSP, "an-app", NEW).await, "a running rotation is reset");
    assert!(env.works(CSP, "an-app", regenerated["clientSecret"].as_str().unwrap()).await);
    env.control.set(|s| s.rotation_conflict = false).await.unwrap();
    env.csp("POST", path, rotate(NEW, 60)).await.ok(200);
    env.csp("POST", path, rotate(SECRET, 60)).await.ok(200);
}

#[tokio::test]
async fn cpn_rotates_by_owner_and_by_itself() {
    let env = TestEnv::new().await;
    env.create(CPN, "an-app").await;
    let rotate = |secret: &str| json!({"newClientSecret": secret, "secretExpirationTimeInSeconds": 60});
    env.cpn("POST", "oauth-apps/an-app/secret", rotate(NEW)).await.ok(200);
    assert!(env.works(CPN, "an-app", SECRET).await && env.works(CPN, "an-app", NEW).await);
    let regenerated = env.cpn("PUT", "oauth-apps/an-app/secret", Value::Null).await.ok(200);
    let secret = regenerated["clientSecret"].as_str().unwrap();
    assert!(!env.works(CPN, "an-app", NEW).await && env.works(CPN, "an-app", secret).await);

    let itself = async |secret: &str| {
        let url = env.url(CPN, "v2/clients/an-app/secret");
        let request = env.http.post(url).basic_auth("an-app", Some(secret)).json(&rotate("S3lf-made!"));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(itself("Wr0ng-one!").await, 401);
    assert_eq!(itself(secret).await, 200);
    assert!(env.works(CPN, "an-app", "S3lf-made!").await);
    env.cpn("PATCH", "oauth-apps/an-app", json!({"ownerOnlySecretRotation": true})).await.ok(200);
    assert_eq!(itself("S3lf-made!").await, 403);
}

#[tokio::test]
async fn csp_tokens() {
    let env = TestEnv::new().await;
    env.control.seed_api_token(CSP, ORG, "api-token-1").await.unwrap();
    let form = async |path: &str, fields: &[(&str, &str)]| {
        reply(env.http.post(env.url(CSP, path)).form(fields).send().await.unwrap()).await
    };
    let by_token = "auth/api-tokens/authorize";
    let set = form(by_token, &[("api_token", "api-token-1")]).await.ok(200);
    assert_eq!((&set["expires_in"], &set["token_type"]), (&json!(1799), &json!("bearer")));
    let claims_of = claims(set["access_token"].as_str().unwrap());
    assert_eq!(claims_of["context_name"], ORG);
    assert_eq!(claims_of["exp"].as_u64().unwrap() - claims_of["iat"].as_u64().unwrap(), 1800);
    form(by_token, &[("refresh_token", "api-token-1"), ("passcode", "1")]).await.ok(200);
    let wrong = form(by_token, &[("api_token", "nonsense")]).await;
    assert!(wrong.status == 404 && wrong.message().starts_with("invalid_grant"));
    env.control.set(|s| s.bad_api_token_status = 400).await.unwrap();
    form(by_token, &[("api_token", "nonsense")]).await.ok(400);
    form(by_token, &[]).await.ok(400);
    form(by_token, &[("api_token", "api-token-1"), ("grant_type", "x")]).await.ok(400);
    form("auth/api-tokens/authorize?api_token=api-token-1", &[]).await.ok(400);

    env.create(CSP, "an-app").await;
    let basic = async |path: &str, secret: &str, fields: &[(&str, &str)]| {
        let request = env.http.post(env.url(CSP, path)).basic_auth("an-app", Some(secret)).form(fields);
        reply(request.send().await.unwrap()).await
    };
    let grant = ("grant_type", "client_credentials");
    for path in ["auth/authorize", "auth/token"] {
        assert_eq!(basic(path, SECRET, &[grant, ("orgId", ORG)]).await.ok(200)["expires_in"], 599);
        basic(path, NEW, &[grant]).await.ok(401);
        basic(path, SECRET, &[("grant_type", "password")]).await.ok(400);
        basic(path, SECRET, &[grant, ("orgId", "org-2")]).await.ok(403);
    }
    let short = basic("auth/token", SECRET, &[grant, ("accessTokenValiditySeconds", "60")]).await.ok(200);
    assert_eq!(short["expires_in"], 59);
    basic("auth/authorize", SECRET, &[grant, ("accessTokenValiditySeconds", "60")]).await.ok(400);
}

#[tokio::test]
async fn csp_can_take_api_tokens_in_the_older_form_only() {
    let env = TestEnv::new().await;
    env.control.seed_api_token(CSP, ORG, "api-token-1").await.unwrap();
    let form = async |fields: &[(&str, &str)]| {
        let url = env.url(CSP, "auth/api-tokens/authorize");
        reply(env.http.post(url).form(fields).send().await.unwrap()).await
    };
    let (grant, token) = (("grant_type", "refresh_token"), ("refresh_token", "api-token-1"));
    form(&[grant, token]).await.ok(400);
    env.control.set(|s| s.older_api_token_form = true).await.unwrap();
    let set = form(&[grant, token]).await.ok(200);
    assert_eq!(claims(set["access_token"].as_str().unwrap())["context_name"], ORG);
    let refused: [&[(&str, &str)]; 5] = [
        &[("api_token", "api-token-1")],
        &[token],
        &[grant],
        &[("grant_type", "client_credentials"), token],
        &[grant, token, ("api_token", "api-token-1")],
    ];
    for fields in refused {
        form(fields).await.ok(400);
    }
    form(&[grant, ("refresh_token", "nonsense")]).await.ok(404);
}

#[tokio::test]
async fn the_details_of_an_api_token_tell_when_it_expires_until_it_has() {
    let env = TestEnv::new().await;
    let details = async |body: Value| {
        let request = env.http.post(env.url(CSP, "auth/api-tokens/details")).json(&body);
        reply(request.send().await.unwrap()).await
    };
    let authorize = async |token: &str| {
        let request = env.http.post(env.url(CSP, "auth/api-tokens/authorize")).form(&[("api_token", token)]);
        reply(request.send().await.unwrap()).await
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let end = u64::try_from((now + Duration::from_secs(3600)).as_millis()).unwrap();
    env.control.seed_expiring_api_token(CSP, ORG, "expires", Some(end)).await.unwrap();
    env.control.seed_api_token(CSP, ORG, "never").await.unwrap();
    let shown = details(json!({"tokenValue": "expires"})).await.ok(200);
    assert_eq!((&shown["expiresAt"], &shown["orgId"]), (&json!(end), &json!(ORG)));
    assert_eq!(details(json!({"tokenValue": "never"})).await.ok(200).get("expiresAt"), None);
    details(json!({"tokenValue": "nonsense"})).await.ok(404);
    details(json!({"tokenValue": "expires", "x": 1})).await.ok(400);
    env.control.advance_clock(Duration::from_secs(3601)).await.unwrap();
    details(json!({"tokenValue": "expires"})).await.ok(404);
    authorize("expires").await.ok(404);
    authorize("never").await.ok(200);
}

#[tokio::test]
async fn cpn_tokens() {
    let env = TestEnv::new().await;
    let token = ApiTokenSeed {
        flavor: CPN,
        value: "api-token-1".into(),
        org_id: ORG.into(),
        orgs: Some(vec![ORG.into()]),
        passcode: Some("123".into()),
        expires_at: None,
    };
    env.control.seed(&Seed { api_tokens: vec![token], ..Seed::default() }).await.unwrap();
    let post = async |body: Value| {
        let request = env.http.post(env.url(CPN, "v1/authn/accesstoken")).json(&body);
        reply(request.send().await.unwrap()).await
    };
    post(json!({"refreshToken": "api-token-1"})).await.ok(400);
    let set = post(json!({"refreshToken": "api-token-1", "passcode": "123"})).await.ok(201);
    assert_eq!(set.get("expires_in"), None);
    let access = set["accessToken"].as_str().unwrap();
    assert!(claims(access)["exp"].is_u64());
    env.control.seed_org(CPN, "org-2", false).await.unwrap();
    for (org, status) in [(ORG, 200), ("org-2", 403)] {
        let url = env.url(CPN, &format!("v2/orgs/{org}/oauth-apps"));
        let sent = env.http.post(url).header("csp-auth-token", access).send().await.unwrap();
        assert_eq!(sent.status(), status);
    }
    env.create(CPN, "an-app").await;
    let v2 = |query: &str| env.http.post(env.url(CPN, &format!("v2/authn/authorize{query}")));
    let form = [("grant_type", "client_credentials")];
    let sent = v2(&format!("?orgId={ORG}")).basic_auth("an-app", Some(SECRET)).form(&form).send().await.unwrap();
    assert!(reply(sent).await.ok(200)["accessToken"].is_string());
    assert_eq!(v2("").basic_auth("an-app", Some(SECRET)).form(&form).send().await.unwrap().status(), 400);
    assert_eq!(v2("?orgId=x").form(&form).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn tokens_expire_and_are_revoked() {
    let env = TestEnv::new().await;
    let issued = async || env.control.stats().await.unwrap().tokens_issued;
    let before = issued().await;
    env.control.set(|s| s.token_lifetime_seconds = 1).await.unwrap();
    let token = env.control.token(CSP, ORG, "operator", "Oper@t0r").await.unwrap();
    let list = async |token: &str| {
        let url = env.url(CSP, &format!("orgs/{ORG}/oauth-apps"));
        env.http.get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    tokio::time::sleep(std::time::Duration::from_millis(1050)).await;
    assert_eq!(list(&token).await, 401);
    assert_eq!(list(env.token(CSP)).await, 200);
    env.control.revoke_tokens().await.unwrap();
    assert_eq!(list(env.token(CSP)).await, 401);
    assert_eq!(issued().await, before + 1);
}

#[tokio::test]
async fn roles_give_rights_as_far_as_scopes_let_them() {
    let env = TestEnv::new().await;
    let mut body = with(&app(), "id", json!("an-app"), "secret", json!(SECRET));
    body["allowedScopes"] = json!({
        "organizationScopes": {"roles": [{"name": "org_owner"}]},
        "servicesScopes": [{"serviceDefinitionId": "svc", "allRoles": true}],
    });
    env.csp("POST", "oauth-apps", body).await.ok(200);
    let perms = async || claims(&env.control.token(CSP, ORG, "an-app", SECRET).await.unwrap())["perms"].clone();
    assert_eq!(perms().await, json!([]));
    let add = json!({
        "ids": ["an-app", "stranger"], "organizationRoles": [{"name": "org_member"}],
        "serviceRoles": [{"serviceDefinitionId": "svc", "serviceRoles": [{"name": "user"}]}],
    });
    let added = env.csp("POST", "clients", add.clone()).await.ok(200);
    assert_eq!(added["failures"][0]["id"], "stranger");
    env.csp("POST", "clients", add).await.ok(400);
    assert_eq!(perms().await, json!(["external/svc/user"]));

    let create = async |name: &str| {
        let token = env.control.token(CSP, ORG, "an-app", SECRET).await.unwrap();
        let request = env.http.post(env.url(CSP, &format!("orgs/{ORG}/oauth-apps"))).bearer_auth(token);
        request.json(&with(&app(), "id", json!(name), "description", json!(""))).send().await.unwrap().status()
    };
    assert_eq!(create("by-app").await, 403);
    let patch = json!({"organizationRoles": {"rolesToAdd": [{"name": "org_owner"}], "rolesToRemove": [{"name": "org_member"}]}});
    env.call(CSP, "PATCH", &format!("clients/an-app/orgs/{ORG}/roles"), patch).await.ok(200);
    assert_eq!(perms().await, json!(["csp:org_owner", "external/svc/user"]));
    assert_eq!(create("by-app").await, 200);
    let listed = env.csp("GET", "clients", Value::Null).await.ok(200);
    assert_eq!(listed["results"][0]["organizationRoles"][0]["name"], "org_owner");
    let removed = env.csp("DELETE", "clients", json!({"ids": ["an-app", "nobody"]})).await.ok(200);
    assert_eq!(removed, json!({"succeeded": ["an-app"], "failed": ["nobody"]}));
}

#[tokio::test]
async fn cpn_members() {
    let env = TestEnv::new().await;
    env.create(CPN, "an-app").await;
    env.cpn("GET", "clients/an-app", Value::Null).await.ok(404);
    let add = json!({"ids": ["an-app"], "orgRoleBindingOrgs": [], "organizationRoles": [{"name": "org_member"}]});
    assert_eq!(env.cpn("POST", "clients?context=TENANT", add).await.ok(200), json!({"failures": []}));
    let roles = vec!["org_owner".to_string()];
    env.control.human(Human::GrantRoles { flavor: CPN, id: "an-app".into(), roles }).await.unwrap();
    let member = env.cpn("GET", "clients/an-app", Value::Null).await.ok(200);
    assert_eq!(member["organizationRoles"], json!([{"name": "org_member"}, {"name": "org_owner"}]));
    env.cpn("DELETE", "clients", json!({"ids": ["an-app"]})).await.ok(405);
    let roles = env.call(CPN, "GET", &format!("v1/orgs/{ORG}/org-roles?context=PROVIDER"), Value::Null).await.ok(200);
    assert_eq!(roles[0]["name"], "org_member");
}
