//! When another secret is wanted, and what a rotation waits for.

use super::fixture::*;
use crate::crd::{OrgOAuthApp, ROTATE_REQUESTED};
use crate::decide::{Observed, RotationWaits, next_rotation, previous_end, requested_rotation_waits};
use crate::iam::Verification;
use crate::outcome::Retry;
use crate::reason::Reason;
use crate::secret::{PendingSecret, RotationMode, SecretContents};
use serde_json::{Value, json};

fn generated() -> Expected {
    stage(RotationMode::Overlap, "generated")
}

/// A previous secret is valid until hour 12.
fn with_previous(app: &OrgOAuthApp) -> Secrets {
    holding(app, &SecretContents { previous: previous("before", at(12)), ..contents(app) })
}

#[test]
fn a_secret_is_rotated_when_it_is_due_and_not_while_the_one_before_is_valid() {
    let due = next_rotation(&app(overlapping("10h", "2h")), &contents(&app(json!({})))).unwrap();
    assert!(at(9) <= due && due <= at(10), "{due}");
    let rotating = |secrets: fn(&OrgOAuthApp) -> Secrets, now| {
        observe(app(overlapping("10h", "12h")), secrets, |observed| {
            is_shown_at(now)(observed);
            observed.remembered.consumers_searched = Some((1, now));
        })
    };
    assert_step(rotating(published, at(8)), settled_until(due));
    assert_step(rotating(published, due), generated());
    assert_step(rotating(with_previous, due), settled_until(after(due, 45 * 60)));
    assert_step(rotating(with_previous, before(at(12), 1)), settled_until(at(12)));
    assert_step(rotating(with_previous, at(12)), generated());
    // Without an interval nothing is due.
    let years_later = |observed: &mut Observed| {
        is_shown_at(at(100_000))(observed);
        answer(observed, "current", Verification::Accepted);
    };
    let overlap_only = one_line(json!({"rotation": {"overlap": "2h"}}));
    assert_step(observe(overlap_only, published, years_later), settled());
}

#[test]
fn what_is_due_and_waits_for_the_previous_secret_to_end_is_reconciled_when_that_ends() {
    let overlapping =
        |app: &OrgOAuthApp| holding(app, &SecretContents { previous: previous("current", at(49)), ..contents(app) });
    let rotating = || app(super::fixture::overlapping("10h", "49h"));
    let due = next_rotation(&rotating(), &contents(&rotating())).unwrap();
    for now in [due, at(20)] {
        assert_step(observe(rotating(), overlapping, is_shown_at(now)), settled_until(at(49)));
    }
}

#[test]
fn rotations_of_apps_of_one_age_are_spread() {
    let due = |uid: &str| {
        let app = app(merged(overlapping("1000h", "2h"), json!({"metadata": {"uid": uid}})));
        next_rotation(&app, &contents(&app)).unwrap().as_second() / 3600
    };
    let hours: std::collections::BTreeSet<_> = (0..1000).map(|n| due(&format!("uid-{n}"))).collect();
    assert!(hours.len() > 50 && hours.iter().all(|hour| (900..=1000).contains(hour)), "{hours:?}");
}

fn asked(value: &str) -> Value {
    merged(synced(), annotated(ROTATE_REQUESTED, value))
}

#[test]
fn a_request_to_rotate_is_fulfilled_once_per_value() {
    let before = |_: &OrgOAuthApp| published(&app(synced()));
    assert_step(observe(app(asked("1")), before, nothing), generated());
    let fulfilled = |_: &OrgOAuthApp| published(&app(asked("1")));
    assert_step(observe(app(asked("1")), fulfilled, is_shown), settled());
    assert_step(observe(app(asked("2")), fulfilled, is_shown), generated());
    // An interval is not needed.
    let mut one_line = one_line(json!({"rotation": {"overlap": "2h"}}));
    let before = published(&one_line);
    one_line.metadata.annotations = app(asked("1")).metadata.annotations;
    assert_step(observe(one_line, |_| before, nothing), generated());
    let public = json!({"spec": {"publicClient": true, "grantTypes": ["authorization_code"]}});
    let id_only = |_: &OrgOAuthApp| {
        let app = app(public.clone());
        holding(
            &app,
            &SecretContents { current: None, checksum: None, rotated_at: None, revision: 0, ..contents(&app) },
        )
    };
    let observed = observe(app(merged(annotated(ROTATE_REQUESTED, "1"), public.clone())), id_only, |observed| {
        observed.remote = shown(merged(repeated(), public["spec"].clone()));
    });
    assert_eq!(requested_rotation_waits(&observed), None);
    assert_step(observed, settled());
}

/// A Secret of this revision that says that it was rotated at that second, observed at second 1000 by an app that asks.
fn asked_again(revision: i64, rotated_at: i64, status: Value) -> Observed {
    let asked = app(merged(asked("2"), json!({"status": {"rotation": status}})));
    let before = app(synced());
    let contents = SecretContents { revision, rotated_at: Some(second(rotated_at)), ..contents(&before) };
    observe(asked, |_| holding(&before, &contents), is_shown_at(second(1000)))
}

#[test]
fn a_requested_rotation_waits_until_a_minute_has_passed_since_the_last_one() {
    for (revision, rotated_at, waits, expected) in [
        (2, 940, None, generated()),
        (2, 941, Some(RotationWaits::MinInterval), settled_until(second(1001))),
        // The first secret is no rotation.
        (1, 999, None, generated()),
        // A time that is yet to come is wrong.
        (2, 2000, None, generated()),
    ] {
        let observed = asked_again(revision, rotated_at, json!({}));
        assert_eq!(requested_rotation_waits(&observed), waits, "{revision} {rotated_at}");
        assert_step(observed, expected);
    }
}

#[test]
fn an_edited_value_is_replaced_on_request_and_no_more_often_than_once_a_minute() {
    let after = |rotated_at, previous_until: Option<i64>| {
        let mut observed = asked_again(2, rotated_at, json!({}));
        let extra = contents(&observed.app).extra;
        let previous = previous_until.and_then(|at| previous("before", second(at)));
        let edited = SecretContents { current: Some(secret("edited")), extra, previous, ..observed.contents().clone() };
        observed.hold(holding(&observed.app, &edited));
        answer(&mut observed, "edited", refused());
        observed
    };
    assert_step(after(940, None), generated());
    let words = "the client secret in Secret billing was edited; the requested rotation, which replaces it, waits";
    let paced = || waits(Reason::RotationRunning, words, Retry::NoLaterThan(second(1001)));
    assert_step(after(941, None), paced());
    // What consumers find is not valid, so the previous secret is not waited for.
    assert_step(after(940, Some(5000)), stage(RotationMode::Replace, "generated"));
    assert_step(after(941, Some(5000)), paced());
    assert_eq!(requested_rotation_waits(&after(941, Some(5000))), Some(RotationWaits::MinInterval));
}

#[test]
fn what_is_edited_in_the_secret_brings_no_rotation_forward() {
    let last = json!({"revision": 7, "rotatedAt": "1970-01-01T00:16:00Z"});
    for (revision, rotated_at) in [(1, 0), (7, 0), (1, 960), (0, 2000)] {
        let waits = requested_rotation_waits(&asked_again(revision, rotated_at, last.clone()));
        assert_eq!(waits, Some(RotationWaits::MinInterval), "{revision} {rotated_at}");
    }
}

#[test]
fn the_previous_secret_is_waited_for_also_when_its_secret_was_deleted() {
    let reported = |revision: i64, hour: i64| {
        let rotation = json!({"revision": revision, "previousExpiresAt": at(hour)});
        let asked = app(merged(annotated(ROTATE_REQUESTED, "2"), json!({"status": {"rotation": rotation}})));
        observe(
            asked,
            |_| published(&app(json!({}))),
            |observed| {
                is_shown(observed);
                observed.observe_refused_end();
            },
        )
    };
    let waiting = reported(1, 3);
    assert_eq!(requested_rotation_waits(&waiting), Some(RotationWaits::Previous));
    assert_eq!(previous_end(&waiting, waiting.contents()), Some(at(3)));
    assert_step(waiting, settled_until(at(3)));
    // It has ended, or was beside another one.
    for over in [reported(1, 2), reported(2, 3)] {
        assert_eq!(requested_rotation_waits(&over), None);
        assert_step(over, generated());
    }
}

#[test]
fn a_previous_secret_ends_no_later_than_a_rotation_gave_it_whatever_is_written_into_its_secret() {
    let far = at(1_000_000);
    let ends_with = |overlap: &str, rotation: Value, contents: &dyn Fn(SecretContents) -> SecretContents| {
        let app = app(json!({"spec": {"rotation": {"overlap": overlap}}, "status": {"rotation": rotation}}));
        let contents = contents(SecretContents { previous: previous("before", far), ..super::fixture::contents(&app) });
        let observed = observe(app, |app| holding(app, &contents), nothing);
        previous_end(&observed, observed.contents()).unwrap()
    };
    let ends =
        |rotation: Value, contents: &dyn Fn(SecretContents) -> SecretContents| ends_with("90h", rotation, contents);
    assert_eq!(ends(json!({}), &|contents| contents), at(90), "the overlap after it was published");
    let recorded = || json!({"revision": 1, "previousExpiresAt": at(400)});
    assert_eq!(ends(recorded(), &|contents| contents), at(400), "the overlap that the spec had then");
    let in_the_past = |contents| SecretContents { previous: previous("before", at(1)), ..contents };
    assert_eq!(ends(recorded(), &in_the_past), at(400), "an earlier end is an edit too");
    assert_eq!(ends(json!({}), &in_the_past), at(1));
    let of_another = json!({"revision": 0, "previousExpiresAt": at(400)});
    assert_eq!(ends(of_another, &|contents| contents), at(90));
    let published_in_future = |contents| SecretContents { rotated_at: Some(far), ..contents };
    assert_eq!(ends(json!({"revision": 1, "rotatedAt": at(1)}), &published_in_future), at(91), "status says when");
    assert_eq!(ends(json!({}), &published_in_future), at(92), "the overlap from now on");
    let published_long_ago = |contents| SecretContents { rotated_at: Some(at(-900)), ..contents };
    assert_eq!(ends(json!({}), &published_long_ago), at(-810));
    // It is about to be published.
    let is_pending = |accepted_at| {
        move |contents: SecretContents| {
            let pending = Some(PendingSecret { accepted_at, ..pending(RotationMode::Overlap) });
            published_long_ago(SecretContents { pending, ..contents })
        }
    };
    assert_eq!(ends(json!({}), &is_pending(Some(at(2)))), at(92));
    assert_eq!(ends(json!({}), &is_pending(None)), at(91));
    assert_eq!(ends(recorded(), &is_pending(None)), at(91), "status speaks of the one before");
    // The overlap may have been shortened since.
    assert_eq!(ends_with("1h", json!({}), &|contents| contents), at(48));
}

#[test]
fn a_request_waits_for_nothing_once_it_is_on_its_way_or_fulfilled() {
    let fulfilled = observe(app(asked("1")), published, nothing);
    assert_eq!(requested_rotation_waits(&fulfilled), None);
    let on_its_way = |app: &OrgOAuthApp| {
        let contents = SecretContents { previous: previous("before", at(12)), ..contents(app) };
        holding(app, &SecretContents { pending: Some(pending(RotationMode::Overlap)), ..contents })
    };
    let secrets = on_its_way(&app(synced()));
    assert_eq!(requested_rotation_waits(&observe(app(asked("1")), |_| secrets, nothing)), None);
    let waiting = with_previous(&app(synced()));
    let refused = |observed: &mut Observed| observed.observe_refused_end();
    let waits = requested_rotation_waits(&observe(app(asked("1")), |_| waiting, refused));
    assert_eq!(waits, Some(RotationWaits::Previous));
}
