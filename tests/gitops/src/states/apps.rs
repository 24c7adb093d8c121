//! Every state of an `OrgOAuthApp`.

use super::{Class, State, at, default_status};
use oauth_app_operator::claim::{ApiAddress, ClaimKey};
use oauth_app_operator::crd::{Api, OrgOAuthApp};
use oauth_app_operator::decide::{Access, Observed, Remote, Step, client_id, decide, is_refusal_unconfirmed};
use oauth_app_operator::iam::{ClientSecret, RemoteApp, Verification};
use oauth_app_operator::outcome::{Outcome, Retry};
use oauth_app_operator::reason::{Blocked, Kind, Reason};
use oauth_app_operator::secret::{SecretContents, SecretState, SecretWrite, guard};
use oauth_app_operator::status;
use serde_json::{Map, json};

/// What a pass finds before it ends.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    was_ready: bool,
    deleting: bool,
    secret: Secret,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Secret {
    NotRead,
    Missing,
    Published,
}

/// Each of them, and each after a further change of the spec.
pub fn apps() -> Vec<State> {
    let mut states: Vec<State> = scenarios().into_iter().flat_map(states_of).collect();
    let later: Vec<State> = states.iter().filter(|state| state.class != Class::Deleting).map(State::behind).collect();
    states.extend(later);
    states.push(State::new("new".into(), Class::New, &app(false)));
    states.push(claimed());
    states
}

fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for was_ready in [false, true] {
        for deleting in [false, true] {
            for secret in [Secret::NotRead, Secret::Missing, Secret::Published] {
                scenarios.push(Scenario { was_ready, deleting, secret });
            }
        }
    }
    scenarios
}

/// New as the API server makes it, or as a pass left it that found nothing to do.
fn app(was_ready: bool) -> OrgOAuthApp {
    let mut app: OrgOAuthApp = serde_json::from_value(json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
        "metadata": {"name": "billing", "namespace": "team", "uid": "uid-1", "generation": 3},
        "spec": {"orgId": "o", "displayName": "d", "description": "d", "grantTypes": ["client_credentials"], "allowedScopes": {},
                 "secret": {"keys": {"tokenUrl": ""}}},
        "status": default_status("OrgOAuthApp"),
    }))
    .unwrap();
    if was_ready {
        let scenario = Scenario { was_ready: false, deleting: false, secret: Secret::Published };
        app.status = Some(status::after(&seen(app.clone(), scenario), &Outcome::Settled { wake: None }, at(1)));
    }
    app
}

/// With an id of its own, recorded before anything is asked of the API.
fn claimed() -> State {
    let mut app = app(false);
    app.spec.id = Some("chosen".into());
    let claim = key().sign(&app, &address(), &client_id(&app), true);
    let status = app.status.as_mut().unwrap();
    status.client_id = Some("chosen".into());
    status.claim = Some(claim);
    State::new("claimed".into(), Class::New, &app)
}

fn address() -> ApiAddress {
    ApiAddress::new(Api::CloudServices, "https://iam.example.com", &[])
}

fn key() -> ClaimKey {
    ClaimKey::new(&[1; 32], []).expect("a key of 32 bytes is long enough")
}

fn seen(mut app: OrgOAuthApp, scenario: Scenario) -> Observed {
    if scenario.deleting {
        let deleted = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        app.metadata.deletion_timestamp = serde_json::from_value(deleted["deletionTimestamp"].clone()).unwrap();
    }
    let claim = Some(key().sign(&app, &address(), &client_id(&app), true));
    let published =
        SecretContents::default().publish(&app, &client_id(&app), Some(ClientSecret::new("value".into())), at(0));
    let content = SecretContents { claim, ..published };
    let written = match SecretState::Absent.write(&app, &content) {
        Some(SecretWrite::Create(secret)) => secret,
        other => panic!("{other:?}"),
    };
    let secret = match scenario.secret {
        Secret::NotRead => None,
        Secret::Missing => Some(SecretState::Absent),
        Secret::Published => Some(guard(&app, &key(), Some(written))),
    };
    let access = Access::Granted {
        address: address(),
        context: None,
        adoption: true,
        credential_check_interval: std::time::Duration::from_secs(86_400),
    };
    let mut seen = Observed::new(app, access, key(), at(0), ClientSecret::new("fresh".into()));
    if let Some(secret) = secret {
        seen.observe_secret(secret);
    }
    seen.authenticated = true;
    seen.record_token_answer(&ClientSecret::new("value".into()), Verification::Accepted, at(0));
    seen
}

/// The API refused what consumers find, and is to be asked again.
fn refused_once(app: OrgOAuthApp, scenario: Scenario) -> Observed {
    let mut seen = seen(app, scenario);
    seen.record_token_answer(&ClientSecret::new("value".into()), Verification::Refused("no".into()), at(0));
    seen
}

fn states_of(scenario: Scenario) -> Vec<State> {
    let app = app(scenario.was_ready);
    let mut ends: Vec<(Observed, Outcome)> = Vec::new();
    for outcome in Reason::ALL.iter().filter_map(|reason| ends_with(*reason)) {
        ends.push((seen(app.clone(), scenario), outcome));
    }
    if !scenario.deleting {
        ends.push((seen(app.clone(), scenario), Outcome::Settled { wake: None }));
        ends.push((refused_once(app.clone(), scenario), Outcome::Settled { wake: None }));
        let mut suspended = app.clone();
        suspended.spec.suspend = true;
        ends.push((seen(suspended, scenario), Outcome::Suspended));
        ends.extend(observed(&app, scenario));
    }
    let state = |(seen, outcome): (Observed, Outcome)| {
        let class = class(&seen, &outcome, scenario)?;
        let status = status::after(&seen, &outcome, at(9));
        Some(State::new(
            format!("{outcome:?} in {scenario:?}"),
            class,
            &OrgOAuthApp { status: Some(status), ..seen.app },
        ))
    };
    ends.into_iter().filter_map(state).collect()
}

/// What the state means; none where nothing of the resource is left.
fn class(seen: &Observed, outcome: &Outcome, scenario: Scenario) -> Option<Class> {
    let keeps_credential = scenario.was_ready && scenario.secret != Secret::Missing;
    Some(match outcome {
        Outcome::Gone => return None,
        Outcome::Blocked(_) | Outcome::Waiting { .. } if scenario.deleting => Class::Deleting,
        Outcome::Settled { .. } if is_refusal_unconfirmed(seen) => Class::Waiting,
        Outcome::Settled { .. } => Class::Settled,
        Outcome::Blocked(_) => Class::Stalled,
        Outcome::Waiting { .. } => Class::Waiting,
        Outcome::Suspended if keeps_credential => Class::SuspendedWithCredential,
        Outcome::Suspended => Class::SuspendedWithoutCredential,
        Outcome::PlanOnly(plan) if scenario.secret == Secret::Published && plan.leaves_credential() => {
            Class::ObservedWithCredential
        }
        Outcome::PlanOnly(_) => Class::ObservedWithoutCredential,
    })
}

/// How a pass ends that gives this reason; nothing where only an Event or a connection does.
fn ends_with(reason: Reason) -> Option<Outcome> {
    let message = format!("what {} says", reason.as_str());
    match reason.kind() {
        Kind::State | Kind::Paused | Kind::Event => None,
        Kind::Waiting(_) => Some(Outcome::Waiting { reason, message, retry: Retry::Backoff }),
        Kind::Blocked(_) => Some(Outcome::Blocked(Blocked::new(reason, message))),
    }
}

/// What `Observe` plans, in the words of the policy itself: an app to create, a field to change, a secret to replace.
fn observed(app: &OrgOAuthApp, scenario: Scenario) -> Vec<(Observed, Outcome)> {
    let mut app = app.clone();
    app.spec.management_policy = oauth_app_operator::crd::ManagementPolicy::Observe;
    let fields = json!({"displayName": "another", "description": "d", "grantTypes": ["client_credentials"]});
    let fields: Map<_, _> = fields.as_object().unwrap().clone();
    let shown = RemoteApp { id: client_id(&app), fields, created_at: None, last_updated_at: None, is_caller: false };
    let remotes = [Remote::Absent, Remote::Shown(shown)];
    let planned = remotes.into_iter().filter_map(|remote| {
        let mut seen = seen(app.clone(), scenario);
        seen.remote = remote;
        match decide(&seen) {
            Step::Finish(outcome @ Outcome::PlanOnly(_)) => Some((seen, outcome)),
            _ => None,
        }
    });
    planned.collect()
}
