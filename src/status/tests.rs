//! Status, case by case: what tools that read conditions see.

use super::*;
use crate::crd::Api;
use crate::credentials::{Content, guard};
use crate::decide::Access;
use crate::remote::{ClientId, ClientSecret};
use serde_json::json;

fn app() -> OrgOAuthApp {
    serde_json::from_value(json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
        "metadata": {"name": "billing", "namespace": "team", "uid": "uid-1", "generation": 3},
        "spec": {"orgId": "o", "displayName": "d", "description": "d", "grantTypes": ["client_credentials"], "allowedScopes": {}},
    }))
    .unwrap()
}

fn seen(app: OrgOAuthApp, published: bool) -> Observed {
    let id = ClientId("ooa-uid-1".into());
    let content = Content::default().publish(&app, &id, Some(ClientSecret::new("value".into())), at(0));
    let secret = match Target::Free.write(&app, &content) {
        Some(crate::credentials::SecretWrite::Create(secret)) if published => Some(secret),
        _ => None,
    };
    let target = guard(&app, secret);
    let mut seen = Observed::new(
        app,
        Access::Granted { api: Api::CloudServices, context: None, endpoint: "https://iam.example.com".into() },
        at(0),
        ClientSecret::new("fresh".into()),
    );
    seen.secret = Some(target);
    seen
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn waiting() -> Outcome {
    Outcome::Waiting { reason: Reason::ConnectionUnavailable, message: "no answer".into(), until: None }
}

fn blocked() -> Outcome {
    Outcome::Blocked(Blocked::new(Reason::Rejected, "create app: 400: no"))
}

/// Ready, Reconciling, Stalled, Synced, SecretPublished, each as the first letter of its status, then Ready's reason.
fn short(status: &OrgOAuthAppStatus) -> String {
    let letters = status.conditions.iter().map(|condition| format!("{:?}", condition.status)[..1].to_owned());
    format!("{} {}", letters.collect::<String>(), status.conditions[0].reason)
}

#[test]
fn each_outcome_reads_as_kstatus_expects() {
    for (outcome, published, expected) in [
        (Outcome::Settled { wake: None }, true, "TFFTT Provisioned"),
        (blocked(), false, "FFTFF Rejected"),
        (blocked(), true, "FFTFT Rejected"),
        (waiting(), false, "FTFUF ConnectionUnavailable"),
    ] {
        assert_eq!(short(&after(&seen(app(), published), &outcome, at(1))), expected);
    }
}

#[test]
fn while_the_api_is_down_ready_keeps_its_last_truth() {
    let mut ready = app();
    ready.status = Some(after(&seen(app(), true), &Outcome::Settled { wake: None }, at(1)));
    assert_eq!(short(&after(&seen(ready.clone(), true), &waiting(), at(2))), "TTFUT Provisioned");
    assert_eq!(short(&after(&seen(ready, false), &waiting(), at(2))), "FTFUF ConnectionUnavailable");
}

#[test]
fn the_same_state_gives_the_same_status() {
    let mut app = app();
    let first = after(&seen(app.clone(), true), &Outcome::Settled { wake: None }, at(1));
    app.status = Some(first.clone());
    assert_eq!(after(&seen(app, true), &Outcome::Settled { wake: None }, at(99)), first);
}

#[test]
fn a_transition_time_moves_only_with_its_condition() {
    let mut app = app();
    app.status = Some(after(&seen(app.clone(), false), &waiting(), at(1)));
    let later = after(&seen(app, false), &blocked(), at(5));
    let times: Vec<i64> = later.conditions.iter().map(|c| c.last_transition_time.0.as_second()).collect();
    assert_eq!(times, [1, 5, 5, 5, 1]);
}

#[test]
fn a_published_credential_is_named_with_the_generation_that_was_looked_at() {
    let status = after(&seen(app(), true), &Outcome::Settled { wake: None }, at(1));
    assert_eq!(status.client_id.as_deref(), Some("ooa-uid-1"));
    assert_eq!(status.secret_name.as_deref(), Some("billing"));
    assert_eq!(status.observed_generation, Some(3));
    assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(3)));
    assert_eq!(after(&seen(app(), false), &waiting(), at(1)).client_id, None);
}
