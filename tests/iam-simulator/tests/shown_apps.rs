//! What an app looks like when it is shown: nested defaults and timestamps.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::*;
use iam_simulator::types::{Flavor, TimeUnit};
use serde_json::{Value, json};

async fn shown(env: &TestEnv, flavor: Flavor) -> Value {
    env.org_call(flavor, "GET", "oauth-apps/an-app", Value::Null).await.ok(200)
}

/// A simulator with an app in each API that has these scopes.
async fn scoped(scopes: &Value) -> TestEnv {
    let env = TestEnv::new().await;
    env.csp("POST", "oauth-apps", with(&app(), "id", json!("an-app"), "allowedScopes", scopes.clone())).await.ok(200);
    env.cpn("POST", "oauth-apps", json!({"id": "an-app", "allowedScopes": scopes})).await.ok(200);
    env
}

fn some_scopes() -> Value {
    json!({
        "organizationScopes": {"roles": [{"name": "org_member"}]},
        "servicesScopes": [{"serviceDefinitionId": "svc", "roles": [{"name": "user"}]}],
    })
}

#[tokio::test]
async fn without_defaults_scopes_are_shown_as_they_were_sent() {
    let env = scoped(&some_scopes()).await;
    env.set(|s| s.scope_defaults = false).await;
    for flavor in [CSP, CPN] {
        assert_eq!(shown(&env, flavor).await["allowedScopes"], some_scopes());
    }
}

#[tokio::test]
async fn csp_fills_defaults_into_scopes_at_every_depth() {
    let env = scoped(&some_scopes()).await;
    let scope = |role: &str| {
        json!({
            "allRoles": false, "allPermissions": false, "keptInToken": [], "permissions": [],
            "roles": [{"name": role, "resource": null}],
        })
    };
    let service = with(&scope("user"), "serviceDefinitionId", json!("svc"), "allRoles", json!(false));
    let expected = json!({"generalScopes": [], "organizationScopes": scope("org_member"), "servicesScopes": [service]});
    assert_eq!(shown(&env, CSP).await["allowedScopes"], expected);
}

#[tokio::test]
async fn cpn_fills_the_defaults_that_it_knows_into_scopes() {
    let env = scoped(&some_scopes()).await;
    let expected = json!({
        "generalScopes": [], "organizationScopes": {"roles": [{"name": "org_member"}]},
        "servicesScopes": [{"serviceDefinitionId": "svc", "allRoles": false, "roles": [{"name": "user"}]}],
    });
    assert_eq!(shown(&env, CPN).await["allowedScopes"], expected);
}

#[tokio::test]
async fn scopes_without_anything_are_filled_too() {
    let env = scoped(&json!({})).await;
    assert_eq!(shown(&env, CSP).await["allowedScopes"]["organizationScopes"]["roles"], json!([]));
    let cpn = json!({"generalScopes": [], "organizationScopes": {"roles": []}, "servicesScopes": []});
    assert_eq!(shown(&env, CPN).await["allowedScopes"], cpn);
    env.cpn("POST", "oauth-apps", json!({"id": "bare"})).await.ok(200);
    assert_eq!(env.cpn("GET", "oauth-apps/bare", Value::Null).await.ok(200)["allowedScopes"], cpn);
}

#[tokio::test]
async fn what_was_given_is_kept_beside_the_defaults() {
    let given =
        json!({"generalScopes": ["openid"], "servicesScopes": [{"serviceDefinitionId": "svc", "allRoles": true}]});
    let env = scoped(&given).await;
    for flavor in [CSP, CPN] {
        let scopes = shown(&env, flavor).await["allowedScopes"].clone();
        assert_eq!(scopes["generalScopes"], json!(["openid"]));
        assert_eq!(scopes["servicesScopes"][0]["allRoles"], true);
    }
}

#[tokio::test]
async fn lists_show_the_defaults_of_scopes_too() {
    let env = scoped(&some_scopes()).await;
    let listed = env.csp("GET", "oauth-apps", Value::Null).await.ok(200);
    assert_eq!(listed["results"][0]["allowedScopes"], shown(&env, CSP).await["allowedScopes"]);
}

/// The seconds since the epoch at which both apps were created and, ten seconds later, updated.
async fn created_and_updated(env: &TestEnv) -> [(u64, u64); 2] {
    env.control.advance_clock(Duration::from_secs(10)).await.unwrap();
    let triple = json!({"displayName": "App", "description": "new", "grantTypes": ["client_credentials"]});
    env.csp("PATCH", "oauth-apps/an-app", triple).await.ok(200);
    env.cpn("PATCH", "oauth-apps/an-app", json!({"description": "new"})).await.ok(200);
    let mut times = [(0, 0); 2];
    for (at, flavor) in [CSP, CPN].into_iter().enumerate() {
        let app = env.control.app(flavor, "an-app").await.unwrap().unwrap();
        times[at] = (app.created_at, app.last_updated_at);
    }
    times
}

#[tokio::test]
async fn timestamps_come_in_milliseconds_or_seconds() {
    let env = scoped(&json!({})).await;
    let times = created_and_updated(&env).await;
    for (unit, ms) in [(TimeUnit::Milliseconds, 1), (TimeUnit::Seconds, 1000)] {
        env.set(|s| s.timestamps = unit).await;
        for (flavor, (created, updated)) in [CSP, CPN].into_iter().zip(times) {
            let app = shown(&env, flavor).await;
            assert_eq!((&app["createdAt"], &app["lastUpdatedAt"]), (&json!(created / ms), &json!(updated / ms)));
        }
    }
}

#[tokio::test]
async fn timestamps_come_as_text() {
    let env = scoped(&json!({})).await;
    created_and_updated(&env).await;
    env.set(|s| s.timestamps = TimeUnit::Text).await;
    for flavor in [CSP, CPN] {
        let app = shown(&env, flavor).await;
        let (created, updated) = (app["createdAt"].as_str().unwrap(), app["lastUpdatedAt"].as_str().unwrap());
        assert_eq!((created.len(), &created[10..11], &created[23..]), ("2026-11-27T00:00:00.000Z".len(), "T", "Z"));
        assert!(created < updated, "RFC 3339 sorts as text: {created} {updated}");
    }
}
