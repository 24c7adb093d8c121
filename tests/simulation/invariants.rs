//! The ten invariants of the contract, as far as a simulation can see them, each under its name.
//! Some hold at every instant and are checked after every step of a schedule, the others when it came to rest.

use crate::env::TestEnv;
use kube::ResourceExt;
use oauth_app_operator::crd::{ConditionStatus, ConditionType, OrgOAuthApp};
use oauth_app_operator::reason::{Kind, Reason};
use oauth_app_operator::secret::rotation_secret_name;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What people wrote, to compare with.
#[derive(Default)]
pub(crate) struct Written {
    /// By name, the specs.
    pub specs: BTreeMap<String, Value>,
    /// Ids of apps of others that no spec ever adopted.
    pub foreign_apps: Vec<String>,
    /// Names of Secrets of others.
    pub foreign_secrets: Vec<String>,
}

/// What holds at every instant.
pub(crate) fn assert_always(env: &TestEnv, written: &Written) {
    env.assert_one_app_each();
    not_ours_not_touched(env, written);
    foreign_secrets_stay_foreign(env, written);
    the_spec_is_the_users(env, written);
    no_value_leaks(env);
    one_api_each(env);
    reasons_are_of_their_kind(env);
}

/// `docs/reasons.md` says of each reason whether the operator retries by itself or someone has to act.
fn reasons_are_of_their_kind(env: &TestEnv) {
    for app in env.resources() {
        for (kind, is_expected) in [
            (ConditionType::Reconciling, (|kind| matches!(kind, Kind::Waiting(_))) as fn(Kind) -> bool),
            (ConditionType::Stalled, |kind| matches!(kind, Kind::Blocked(_))),
        ] {
            let Some(condition) = app.condition(kind).filter(|c| c.status == ConditionStatus::True) else { continue };
            let reason = Reason::named(&condition.reason).expect("no such reason");
            assert!(is_expected(reason.kind()), "{condition:?}");
        }
    }
}

/// Invariant 1: an app is made at one API, whatever its connection says later.
fn one_api_each(env: &TestEnv) {
    let backend = env.backend();
    let both = backend.elsewhere.creations.keys().find(|id| backend.iam.creations.contains_key(*id));
    assert!(both.is_none(), "invariant 1, one app: made at both APIs: {both:?}");
}

fn not_ours_not_touched(env: &TestEnv, written: &Written) {
    for id in &written.foreign_apps {
        let app = env.remote(id).expect("invariant 3, not ours, not touched: a foreign app was deleted");
        assert_eq!(app.secret.as_deref(), Some("foreign"), "invariant 3, not ours, not touched");
        assert!(app.fields.is_empty() && app.roles.is_none(), "invariant 3, not ours, not touched");
    }
}

fn foreign_secrets_stay_foreign(env: &TestEnv, written: &Written) {
    for name in &written.foreign_secrets {
        let backend = env.backend();
        let secret = backend.cluster.secrets.get(name).expect("invariant 4, foreign Secrets stay foreign: removed");
        assert!(
            secret.owner_references().is_empty() && secret.annotations().is_empty() && secret.labels().is_empty(),
            "invariant 4, foreign Secrets"
        );
    }
}

fn the_spec_is_the_users(env: &TestEnv, written: &Written) {
    for app in env.resources() {
        let expected = &written.specs[&app.name_any()];
        assert_eq!(&serde_json::to_value(&app.spec).unwrap(), expected, "invariant 6, the spec is the user's");
    }
}

fn no_value_leaks(env: &TestEnv) {
    let backend = env.backend();
    let statuses = backend.cluster.apps().into_iter().map(|app| json!(app.status).to_string());
    for text in statuses.chain(backend.events.iter().cloned()) {
        for value in ["created-", "fresh-", "provided-", "by-hand-"] {
            assert!(!text.contains(value), "invariant 7, no value leaks: {text}");
        }
    }
}

/// What holds when nobody changes anything any more and nothing fails.
pub(crate) async fn assert_settled(env: &TestEnv, written: &Written) {
    assert_always(env, written);
    for app in env.resources() {
        no_issued_secret_is_lost(env, &app);
    }
    let effects = env.effects();
    env.reconcile_all().await;
    assert_eq!(env.effects(), effects, "invariant 5, quiet when settled");
}

/// Invariants 2, 9 and 10: whatever the others are like, each app has a credential that works, or waits for a person.
fn no_issued_secret_is_lost(env: &TestEnv, app: &OrgOAuthApp) {
    let ready = app.condition(ConditionType::Ready).expect("a Ready condition");
    if ready.status != ConditionStatus::True {
        let persons = [
            "IdTaken",
            "IdConflict",
            "SecretUnknown",
            "SecretConflict",
            "SecretRefInvalid",
            "TemplateInvalid",
            "EndpointChanged",
        ];
        assert!(persons.contains(&ready.reason.as_str()), "invariant 2, nothing is lost: {} {ready:?}", app.name_any());
        return;
    }
    let keys = &app.spec.secret.keys;
    let id = app.status.as_ref().and_then(|status| status.client_id.clone()).expect("a client id");
    let name = app.status.as_ref().unwrap().secret_name.clone().expect("a Secret");
    let value = env.data(&name, &keys.client_secret);
    assert_eq!(env.data(&name, &keys.client_id), Some(id.clone()), "invariant 2, nothing is lost");
    let remote =
        env.remote(&id).unwrap_or_else(|| panic!("invariant 2, nothing is lost: the app {id} exists: {app:?}"));
    let value = value.expect("invariant 2, nothing is lost: a secret");
    let now = env.backend().now;
    assert!(
        remote.accepts(&value, now),
        "invariant 2, nothing is lost: {} has {value}: {app:?} {remote:?}",
        app.name_any()
    );
    assert_eq!(env.data(&rotation_secret_name(app), "pending"), None, "nothing is left half done");
    let filled = app.spec.secret.template.get("url").map(|_| format!("{id}:{value}"));
    assert_eq!(env.data(&name, "url"), filled, "what a template says is in the Secret");
}
