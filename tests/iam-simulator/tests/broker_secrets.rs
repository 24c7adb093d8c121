//! Secrets and tokens of VCF Identity Broker: rotations, updates of a secret, token requests, and what a token allows.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::*;
use iam_simulator::sha256_hex;
use iam_simulator::types::{AppView, SecretUpdate};
use serde_json::{Value, json};

const SECOND: &str = "second secret";
const THIRD: &str = "third secret";
const DAY: u64 = 24 * 3600;

async fn rotate(env: &TestEnv, body: Value) -> Reply {
    env.broker("POST", "oauth-apps/an-app?action=start-rotate-secret", body).await
}

async fn view(env: &TestEnv) -> AppView {
    env.control.app(BROKER, "an-app").await.unwrap().unwrap()
}

/// Which of the three secrets work.
async fn valid(env: &TestEnv) -> [bool; 3] {
    let mut valid = [false; 3];
    for (at, secret) in [SECRET, SECOND, THIRD].into_iter().enumerate() {
        valid[at] = env.works(BROKER, "an-app", secret).await;
    }
    valid
}

async fn with_client() -> TestEnv {
    let env = TestEnv::new().await;
    env.create(BROKER, "an-app").await;
    env
}

#[tokio::test]
async fn both_secrets_work_until_the_primary_one_retires() {
    let env = with_client().await;
    env.rotate(BROKER, "an-app", SECOND, 600).await.ok(204);
    assert_eq!(valid(&env).await, [true, true, false]);
    let shown = env.broker("GET", "oauth-apps/an-app", Value::Null).await.ok(200);
    let ends = view(&env).await.previous_expires_at.unwrap();
    assert_eq!(
        (&shown["rotate_secret"], &shown["primary_secret_auto_retires_at"]),
        (&json!(true), &json!(ends / 1000))
    );
    assert_eq!(shown["last_secret_rotated_at"], (ends - 600_000) / 1000);
    env.control.advance_clock(Duration::from_secs(600)).await.unwrap();
    assert_eq!(valid(&env).await, [false, true, false]);
    let shown = env.broker("GET", "oauth-apps/an-app", Value::Null).await.ok(200);
    assert_eq!((&shown["rotate_secret"], shown.get("primary_secret_auto_retires_at")), (&json!(false), None));
    assert!(shown["last_secret_rotated_at"].is_u64());
}

#[tokio::test]
async fn the_primary_secret_can_be_retired_once() {
    let env = with_client().await;
    env.end_overlap(BROKER, "an-app").await.ok(400);
    env.rotate(BROKER, "an-app", SECOND, 600).await.ok(204);
    env.end_overlap(BROKER, "an-app").await.ok(204);
    assert_eq!(valid(&env).await, [false, true, false]);
    env.end_overlap(BROKER, "an-app").await.ok(400);
    env.rotate(BROKER, "an-app", THIRD, 600).await.ok(204);
    let retire = "oauth-apps/an-app?action=retire-primary-secret";
    env.broker("POST", retire, json!({ "secondary_secret": THIRD })).await.ok(400);
    env.broker("POST", retire, json!({})).await.ok(204);
    assert_eq!(valid(&env).await, [false, false, true]);
}

#[tokio::test]
async fn a_rotation_lasts_a_day_by_default_and_a_week_at_most() {
    let env = with_client().await;
    for minutes in [-1, 7 * 24 * 60 + 1] {
        let body = json!({"secondary_secret": SECOND, "primary_secret_auto_retire_duration": minutes});
        rotate(&env, body).await.ok(400);
    }
    let begun = view(&env).await.created_at;
    let lasts = async |body: Value| {
        rotate(&env, body).await.ok(204);
        let ends = view(&env).await.previous_expires_at.unwrap();
        env.end_overlap(BROKER, "an-app").await.ok(204);
        (ends - begun) / 1000 / DAY
    };
    assert_eq!(lasts(json!({ "secondary_secret": SECOND })).await, 1);
    assert_eq!(lasts(json!({"secondary_secret": SECOND, "primary_secret_auto_retire_duration": 10_080})).await, 7);
}

#[tokio::test]
async fn a_rotation_of_no_minutes_retires_the_primary_secret_at_once() {
    let env = with_client().await;
    env.rotate(BROKER, "an-app", SECOND, 0).await.ok(204);
    assert_eq!(valid(&env).await, [false, true, false]);
    env.end_overlap(BROKER, "an-app").await.ok(400);
}

#[tokio::test]
async fn a_primary_secret_can_retire_later_than_announced() {
    let env = with_client().await;
    env.set(|s| s.broker.retires_late_ms = 3_600_000).await;
    env.rotate(BROKER, "an-app", SECOND, 600).await.ok(204);
    env.control.advance_clock(Duration::from_secs(3600)).await.unwrap();
    let fresh = env.control.token(BROKER, ORG, "operator", "Oper@t0r").await.unwrap();
    let media_type = "application/vnd.vmware.horizon.manager.accesscontrol.broker.oauth2client.with.rule.sets+json";
    let get = env.request_with(&fresh, BROKER, "GET", &format!("{ORG}/broker/oauth2-clients/an-app"));
    let shown = reply(get.header("accept", media_type).send().await.unwrap()).await.ok(200);
    let ends = view(&env).await.previous_expires_at.unwrap();
    assert_eq!(
        (&shown["rotate_secret"], &shown["primary_secret_auto_retires_at"]),
        (&json!(true), &json!(ends / 1000 - 3600))
    );
    assert_eq!(valid(&env).await, [true, true, false]);
    env.control.advance_clock(Duration::from_secs(600)).await.unwrap();
    assert_eq!(valid(&env).await, [false, true, false]);
}

#[tokio::test]
async fn a_rotation_is_read_strictly() {
    let env = with_client().await;
    for body in [
        json!({}),
        json!({"secondary_secret": ""}),
        json!({"secondary_secret": "ünprintable"}),
        json!({"secondary_secret": null}),
        json!({"secondary_secret": SECOND, "secret": SECOND}),
        json!({"secondary_secret": SECOND, "primary_secret_auto_retire_duration": "60"}),
    ] {
        rotate(&env, body).await.ok(400);
    }
    let good = json!({ "secondary_secret": SECOND });
    for query in ["?action=rotate", "?action=", "?action=start-rotate-secret&force=true"] {
        env.broker("POST", &format!("oauth-apps/an-app{query}"), good.clone()).await.ok(400);
    }
    assert_eq!(valid(&env).await, [true, false, false]);
}

#[tokio::test]
async fn an_update_replaces_the_secret_at_once() {
    let env = with_client().await;
    env.broker("PATCH", "oauth-apps/an-app", json!({ "secret": SECOND })).await.ok(200);
    assert_eq!(valid(&env).await, [false, true, false]);
    assert_eq!(view(&env).await.secret_changes, 1);
}

/// A client whose rotation to the second secret runs, and an update to the third.
async fn updated_while_rotating(reading: SecretUpdate) -> (TestEnv, u16) {
    let env = with_client().await;
    env.set(|s| s.broker.secret_update = reading).await;
    env.rotate(BROKER, "an-app", SECOND, 600).await.ok(204);
    let body = json!({"secret": THIRD, "description": "changed"});
    let status = env.broker("PATCH", "oauth-apps/an-app", body).await.status;
    (env, status)
}

#[tokio::test]
async fn an_update_of_the_secret_while_a_rotation_runs_is_refused_whole() {
    let (env, status) = updated_while_rotating(SecretUpdate::Refused).await;
    assert_eq!((status, valid(&env).await), (400, [true, true, false]));
    assert_eq!(view(&env).await.fields.get("description"), None);
    env.broker("PATCH", "oauth-apps/an-app", json!({"description": "changed"})).await.ok(200);
}

#[tokio::test]
async fn an_update_of_the_secret_can_end_the_rotation() {
    let (env, status) = updated_while_rotating(SecretUpdate::EndsRotation).await;
    assert_eq!((status, valid(&env).await), (200, [false, false, true]));
    env.end_overlap(BROKER, "an-app").await.ok(400);
}

#[tokio::test]
async fn an_update_of_the_secret_can_replace_the_primary_one_which_retires_all_the_same() {
    let (env, status) = updated_while_rotating(SecretUpdate::ReplacesPrimary).await;
    assert_eq!((status, valid(&env).await), (200, [false, true, true]));
    assert_eq!(view(&env).await.previous_secret_sha256, Some(sha256_hex(THIRD)));
    env.control.advance_clock(Duration::from_secs(600)).await.unwrap();
    assert_eq!(valid(&env).await, [false, true, false]);
}

/// A token request with these form fields, and perhaps with Basic credentials.
async fn token(env: &TestEnv, basic: Option<(&str, &str)>, form: &[(&str, &str)]) -> Reply {
    let mut request = env.http.post(env.url(BROKER, &format!("{ORG}/token")));
    if let Some((id, secret)) = basic {
        request = request.basic_auth(id, Some(secret));
    }
    let mut all = vec![("grant_type", "client_credentials")];
    all.extend(form);
    reply(request.form(&all).send().await.unwrap()).await
}

#[tokio::test]
async fn a_token_is_had_by_basic_credentials_or_by_those_in_the_form() {
    let env = TestEnv::new().await;
    let body = with(&client(), "client_id", json!("an-app"), "access_token_ttl", json!(10));
    env.broker("POST", "oauth-apps", with(&body, "secret", json!(SECRET), "scope", json!(["user", "openid"])))
        .await
        .ok(201);
    let form = [("client_id", "an-app"), ("client_secret", SECRET)];
    for reply in [token(&env, Some(("an-app", SECRET)), &[]).await, token(&env, None, &form).await] {
        let body = reply.ok(200);
        assert_eq!((&body["token_type"], &body["scope"]), (&json!("Bearer"), &json!("user openid")));
        assert_eq!(body["expires_in"], 599, "the lifetime is in minutes");
        let claims = claims(body["access_token"].as_str().unwrap());
        assert_eq!(claims["sub"], format!("an-app@{ORG}"));
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 600);
        assert_eq!((claims.get("context_name"), claims.get("perms")), (None, None));
    }
    let both = token(&env, Some(("an-app", SECRET)), &form).await;
    assert_eq!(both.ok(400)["error"], "invalid_request");
}

#[tokio::test]
async fn a_token_request_that_is_refused_has_the_form_of_oauth() {
    let env = with_client().await;
    let code = json!({"client_id": "code", "scope": ["user"], "grant_types": ["authorization_code"],
        "redirect_uris": ["https://a"], "secret": SECRET});
    env.broker("POST", "oauth-apps", code).await.ok(201);
    for (reply, status, error) in [
        (token(&env, Some(("an-app", "wrong")), &[]).await, 401, "invalid_client"),
        (token(&env, Some(("nobody", SECRET)), &[]).await, 401, "invalid_client"),
        (token(&env, None, &[]).await, 401, "invalid_client"),
        (token(&env, Some(("code", SECRET)), &[]).await, 400, "unauthorized_client"),
        (token(&env, Some(("an-app", SECRET)), &[("orgId", ORG)]).await, 400, "invalid_request"),
    ] {
        let body = reply.ok(status);
        assert_eq!(body["error"], error);
        assert!(body["error_description"].is_string());
    }
    let request = env.http.post(env.url(BROKER, &format!("{ORG}/token"))).basic_auth("an-app", Some(SECRET));
    let password = reply(request.form(&[("grant_type", "password")]).send().await.unwrap()).await;
    assert_eq!(password.ok(400)["error"], "unsupported_grant_type");
    env.set(|s| {
        s.broker.bad_client_status = 400;
        s.broker.bare_errors = true;
    })
    .await;
    assert_eq!(token(&env, Some(("an-app", "wrong")), &[]).await.ok(400)["error"], "invalid_client");
}

#[tokio::test]
async fn an_api_token_is_taken_where_that_is_switched_on() {
    let env = with_client().await;
    env.control.seed_api_token(BROKER, ORG, "an-api-token").await.unwrap();
    let exchange = async |api_token: &str| {
        let form = [("grant_type", "urn:custom:vcf:params:oauth:grant-type:api-token"), ("api_token", api_token)];
        reply(env.http.post(env.url(BROKER, &format!("{ORG}/token"))).form(&form).send().await.unwrap()).await
    };
    assert_eq!(exchange("an-api-token").await.ok(400)["error"], "unsupported_grant_type");
    env.set(|s| s.broker.api_tokens = true).await;
    assert_eq!(exchange("another").await.ok(400)["error"], "invalid_grant");
    let body = exchange("an-api-token").await.ok(200);
    assert_eq!(env.status_with(body["access_token"].as_str().unwrap(), BROKER, ORG).await, 406);
}

/// The statuses of a read and of a change with the token of these credentials and scopes.
async fn allowed(env: &TestEnv, id: &str, secret: &str, scope: &str) -> [u16; 2] {
    let body = token(env, Some((id, secret)), &[("scope", scope)]).await.ok(200);
    let token = body["access_token"].as_str().unwrap();
    let media_type = "application/vnd.vmware.horizon.manager.accesscontrol.broker.oauth2client.with.rule.sets+json";
    let mut statuses = [0; 2];
    for (at, (method, body)) in [("GET", String::new()), ("PATCH", "{}".to_string())].into_iter().enumerate() {
        let request = env.request_with(token, BROKER, method, &format!("{ORG}/broker/oauth2-clients/an-app"));
        let request = request.header("accept", media_type).header("content-type", media_type);
        statuses[at] = request.body(body).send().await.unwrap().status().as_u16();
    }
    statuses
}

#[tokio::test]
async fn managing_clients_takes_the_scope_admin_and_a_rule_set() {
    let env = with_client().await;
    for (scope, rule_sets, expected) in [
        (json!(["admin", "openid"]), json!(["TENANT_ADMIN"]), [200, 200]),
        (json!(["admin"]), json!(["READ_ONLY_TENANT_ADMIN"]), [200, 403]),
        (json!(["admin"]), json!(["IDP_AND_DIRECTORY_ADMIN"]), [403, 403]),
        (json!(["admin"]), json!([]), [403, 403]),
        (json!(["user"]), json!(["TENANT_ADMIN"]), [403, 403]),
    ] {
        let body = json!({"client_id": "manager", "scope": scope, "rule_set_names": rule_sets, "secret": SECRET,
            "grant_types": ["client_credentials"]});
        env.broker("POST", "oauth-apps", body.clone()).await.ok(201);
        assert_eq!(allowed(&env, "manager", SECRET, "").await, expected, "{body}");
        env.delete(BROKER, "manager").await.ok(204);
    }
    assert_eq!(allowed(&env, "operator", "Oper@t0r", "openid").await, [403, 403], "a token of fewer scopes");
    env.control.seed_perms(BROKER, "operator", &["READ_ONLY_TENANT_ADMIN"]).await.unwrap();
    assert_eq!(allowed(&env, "operator", "Oper@t0r", "").await, [200, 403]);
}

#[tokio::test]
async fn a_token_comes_in_the_authorization_header_and_ends() {
    let env = with_client().await;
    let get = |token: &str| {
        let request = env.http.get(env.url(BROKER, &format!("{ORG}/broker/oauth2-clients/an-app")));
        (request.try_clone().unwrap().bearer_auth(token), request.header("csp-auth-token", token))
    };
    let (bearer, other) = get(env.token(BROKER));
    assert_eq!(bearer.send().await.unwrap().status(), 406, "judged after the token");
    assert_eq!(other.send().await.unwrap().status(), 401);
    env.control.advance_clock(Duration::from_secs(1800)).await.unwrap();
    env.broker("GET", "oauth-apps/an-app", Value::Null).await.ok(401);
    let fresh = env.control.token(BROKER, ORG, "operator", "Oper@t0r").await.unwrap();
    assert_eq!(get(&fresh).0.send().await.unwrap().status(), 406);
    env.control.revoke_tokens().await.unwrap();
    assert_eq!(get(&fresh).0.send().await.unwrap().status(), 401);
}
