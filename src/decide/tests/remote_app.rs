//! Whether the API has what the spec says, and what is sent where it has not.

use super::fixture::*;
use crate::crd::{Api, OrgOAuthApp, RECONCILE_REQUESTED};
use crate::decide::model::SentChange;
use crate::decide::{Observed, Remote, drift};
use crate::iam::Verification;
use crate::iam::app_fields::Fields;
use crate::outcome::Retry;
use crate::reason::Reason;
use crate::secret::RotationMode;
use serde_json::{Value, json};

/// The API shows the published app so.
fn showing(app: OrgOAuthApp, remote: Remote) -> Observed {
    observe(app, published, |observed| observed.remote = remote)
}

/// Sends again what the drifted name should be.
fn rename() -> Expected {
    update(&["displayName"], repeated())
}

/// The fields of the fixture with a description.
fn described(description: &str) -> Fields {
    Fields::of(Api::CloudServices, &app(json!({"spec": {"description": description}})).spec).unwrap()
}

#[test]
fn a_changed_spec_is_compared_with_what_the_api_shows() {
    assert_step(showing(app(json!({})), Remote::NotRead), read());
    assert_step(showing(app(json!({})), as_wanted()), settled());
    assert_step(showing(app(json!({})), drifted()), rename());
}

/// The spec was sent so many seconds ago, and the API shows something else.
fn sent(seconds: i64) -> impl Fn(&mut Observed) {
    move |observed| {
        let (desired, at) = (observed.desired.clone().unwrap(), before(observed.now, seconds));
        observed.remembered.sent = Some(SentChange { desired, at, is_shown: false });
        observed.observe_remote(drifted());
    }
}

#[test]
fn a_change_that_the_api_does_not_show_yet_is_not_sent_twice() {
    let after = |seconds| observe(app(json!({})), published, sent(seconds));
    let shown_by = Retry::NoLaterThan(super::fixture::after(at(2), 1));
    assert_step(after(119), waits(Reason::Updating, "spec.displayName and does not show it yet", shown_by));
    let not_taken = || blocked(Reason::ChangeNotTaken, "spec.displayName and still shows it otherwise");
    assert_step(after(120), not_taken());
    assert_step(after(599), not_taken());
    // After a while it is tried again.
    assert_step(after(600), rename());
    // A further change does not wait.
    let earlier = |observed: &mut Observed| {
        sent(1)(observed);
        observed.remembered.sent.as_mut().unwrap().desired = described("Nightly");
    };
    let respecified = observe(app(json!({"spec": {"description": "Daily"}})), published, earlier);
    assert_step(
        respecified,
        update(&["description", "displayName"], merged(repeated(), json!({"description": "Daily"}))),
    );
    // What was shown and differs again is drift.
    let shown_meanwhile = |observed: &mut Observed| {
        sent(1)(observed);
        observed.observe_remote(as_wanted());
        observed.observe_remote(drifted());
    };
    assert_step(observe(app(json!({})), published, shown_meanwhile), rename());
    // What the API shows may be from before the change for as long as that, and is remembered no longer.
    let remembered = |seconds| {
        let shown = |observed: &mut Observed| {
            sent(seconds)(observed);
            observed.observe_remote(as_wanted());
        };
        observe(app(json!({})), published, shown).remembered.sent.map(|sent| sent.is_shown)
    };
    assert_eq!((remembered(119), remembered(120)), (Some(true), None));
}

#[test]
fn a_change_that_is_taken_back_is_sent_though_the_api_shows_what_was_before() {
    let taken_back = |seconds, remote| {
        observe(app(json!({})), published, move |observed| {
            sent(seconds)(observed);
            observed.remembered.sent.as_mut().unwrap().desired = described("Daily");
            observed.observe_remote(remote);
        })
    };
    assert_step(taken_back(119, as_wanted()), update(&["description"], repeated()));
    assert_step(taken_back(119, drifted()), update(&["displayName", "description"], repeated()));
    assert_step(taken_back(120, as_wanted()), settled());
    assert_step(taken_back(120, drifted()), rename());
}

#[test]
fn what_a_list_shows_otherwise_is_read_before_anything_is_done() {
    assert_step(showing(app(synced()), Remote::NotRead), find_in_list());
    assert_step(showing(app(synced()), listed(as_wanted())), settled());
    for doubtful in [listed(drifted()), Remote::Listed(None)] {
        assert_step(showing(app(synced()), doubtful), read());
    }
    // A request gets no old list.
    let asked = merged(synced(), annotated(RECONCILE_REQUESTED, "1"));
    assert_step(showing(app(asked.clone()), Remote::NotRead), read());
    let handled = merged(asked, json!({"status": {"lastHandledReconcileAt": "1"}}));
    assert_step(showing(app(handled), Remote::NotRead), find_in_list());
}

#[test]
fn a_list_will_do_only_where_status_says_that_the_api_has_the_present_spec() {
    let synced_condition = |status: &str, generation: i64| {
        let observed_generation = json!({"observedGeneration": generation});
        json!({"conditions": [merged(condition("Synced", status, "Provisioned"), observed_generation)]})
    };
    let status = |generation: i64, more: Value| {
        showing(app(json!({"status": merged(json!({"observedGeneration": generation}), more)})), Remote::NotRead)
    };
    assert_step(status(1, synced_condition("True", 1)), find_in_list());
    assert_step(status(0, synced_condition("True", 1)), read());
    assert_step(status(1, synced_condition("False", 1)), read());
    assert_step(status(1, synced_condition("True", 0)), read());
    assert_step(status(1, json!({})), read());
}

#[test]
fn an_organization_that_ceased_to_exist_is_sent_to_the_api_once() {
    let restricted = |more: Value| app(merged(more, json!({"spec": {"allowedOrgs": ["org-2", "gone"]}})));
    let exists = json!({"allowedOrgs": [{"id": "org-2", "name": "two", "displayName": "Two"}]});
    let vanished = || shown(merged(repeated(), exists.clone()));
    let carried = merged(repeated(), json!({"allowedOrgs": ["org-2", "gone"]}));
    assert_step(showing(restricted(json!({})), vanished()), update(&["allowedOrgs"], carried));
    let updated = |observed: &mut Observed| {
        observed.remote = vanished();
        observed.updated = vec!["allowedOrgs".into()];
        answer(observed, "current", Verification::Accepted);
    };
    assert_step(observe(restricted(json!({})), published, updated), settled());
    assert_step(showing(restricted(synced()), listed(vanished())), settled());
}

#[test]
fn a_name_that_somebody_gave_an_app_survives_changes_of_what_the_spec_says() {
    let fields = || json!({"displayName": "Renamed", "description": "By hand", "grantTypes": ["client_credentials"]});
    assert_step(showing(one_line(json!({})), shown(fields())), settled());
    let lifetime = json!({"accessTokenTTL": 60});
    let carried = merged(fields(), lifetime.clone());
    assert_step(showing(one_line(lifetime), shown(fields())), update(&["accessTokenTTL"], carried));
    // A secret is replaced by an update too.
    let replacing =
        |remote| observe(one_line(json!({})), staged(RotationMode::Replace), |observed| observed.remote = remote);
    assert_step(replacing(Remote::NotRead), read());
    assert_step(replacing(listed(shown(fields()))), read());
    assert_step(replacing(shown(fields())), replace_secret("next", fields()));
}

#[test]
fn what_a_create_cannot_carry_follows_in_one_update() {
    let created = |more: Value, updated: &[&str]| {
        observe(one_line(more), published, |observed| {
            observed.remote = Remote::JustCreated;
            observed.updated = updated.iter().map(ToString::to_string).collect();
            answer(observed, "current", Verification::Accepted);
        })
    };
    let more = || json!({"useCspIssuerUrl": false, "accessTokenTTL": 60});
    let carried = json!({"displayName": "billing", "description": "team/billing", "useCspIssuerUrl": false,
                         "grantTypes": ["client_credentials"]});
    assert_step(created(more(), &[]), update(&["useCspIssuerUrl"], carried));
    assert_step(created(more(), &["useCspIssuerUrl"]), settled());
    assert_step(created(json!({}), &[]), settled());
}

#[test]
fn drift_is_what_the_api_shows_otherwise_than_the_spec() {
    let drift = |app: OrgOAuthApp, remote| drift(&showing(app, remote));
    for remote in [drifted(), listed(drifted())] {
        assert_eq!(drift(app(json!({})), remote), ["displayName"]);
    }
    for remote in [as_wanted(), Remote::NotRead, Remote::Listed(None), Remote::Absent, Remote::JustCreated] {
        assert!(drift(app(json!({})), remote.clone()).is_empty(), "{remote:?}");
    }
    let more = || one_line(json!({"useCspIssuerUrl": false}));
    assert_eq!(drift(more(), Remote::JustCreated), ["useCspIssuerUrl"]);
    let mut updated = showing(more(), Remote::JustCreated);
    updated.updated = vec!["useCspIssuerUrl".into()];
    assert!(super::super::drift(&updated).is_empty());
    assert!(drift(app(json!({"spec": {"context": "TENANT"}})), drifted()).is_empty(), "what is refused is not sent");
}

#[test]
fn a_field_that_no_update_can_carry_is_reported() {
    let open = || shown(merged(repeated(), json!({"publicClient": true})));
    let closed = app(json!({"spec": {"publicClient": false}}));
    assert_step(showing(closed, open()), blocked(Reason::ImmutableField, "cannot change spec.publicClient"));
    let both = app(json!({"spec": {"publicClient": false, "allowOpenRedirectUris": true}}));
    let fields = "cannot change spec.allowOpenRedirectUris, spec.publicClient of";
    assert_step(showing(both, open()), blocked(Reason::ImmutableField, fields));
}
