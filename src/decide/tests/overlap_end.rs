//! The early end of an overlap: by request, and before a requested rotation that would wait for it.

use super::fixture::*;
use crate::claim::ApiAddress;
use crate::crd::{Api, OrgOAuthApp, RETIRE_REQUESTED, ROTATE_REQUESTED};
use crate::decide::plan::Planned;
use crate::decide::{
    Access, Observed, OverlapEnd, RotationWaits, RotationWrite, handled_retire_request, previous_end,
    requested_rotation_waits,
};
use crate::iam::Verification;
use crate::secret::{RotationMode, SecretContents};
use serde_json::json;

/// A previous secret is valid until hour 12.
fn in_overlap(app: &OrgOAuthApp) -> Secrets {
    holding(app, &SecretContents { previous: previous("before", at(12)), ..contents(app) })
}

fn requesting(annotation: &str) -> OrgOAuthApp {
    app(merged(synced(), annotated(annotation, "1")))
}

/// Nothing is done before the next search for stale consumers.
fn overlap_goes_on() -> Expected {
    settled_until(after(at(2), 45 * 60))
}

fn accepted(observed: &mut Observed) {
    is_shown(observed);
    observed.remembered.consumers_searched = Some((1, observed.now));
    answer(observed, "current", Verification::Accepted);
}

#[test]
fn a_requested_end_is_sent_once_the_current_secret_is_known_to_be_valid() {
    assert_step(observe(requesting(RETIRE_REQUESTED), in_overlap, is_shown), verify("current"));
    assert_step(observe(requesting(RETIRE_REQUESTED), in_overlap, accepted), end_rotation());
    let refused = |observed: &mut Observed| {
        is_shown(observed);
        answer(observed, "current", refused());
    };
    let mut observed = observe(requesting(RETIRE_REQUESTED), in_overlap, refused);
    assert_eq!(handled_retire_request(&observed), None, "it is tried again");
    observed.overlap_end = OverlapEnd::Refused;
    assert_eq!(handled_retire_request(&observed), Some("1".into()));
}

#[test]
fn after_the_end_the_previous_secret_is_forgotten() {
    let mut observed = observe(requesting(RETIRE_REQUESTED), in_overlap, accepted);
    observed.overlap_end = OverlapEnd::Ended(observed.contents().previous.clone());
    assert_eq!(previous_end(&observed, observed.contents()), None);
    assert_eq!(handled_retire_request(&observed), Some("1".into()));
    assert_step(observed, write_rotation(RotationWrite::Cleared, |contents| contents.previous = None));
}

#[test]
fn a_refused_end_leaves_the_overlap_as_it_is() {
    let mut observed = observe(requesting(RETIRE_REQUESTED), in_overlap, accepted);
    observed.overlap_end = OverlapEnd::Refused;
    assert_eq!(previous_end(&observed, observed.contents()), Some(at(12)));
    assert_step(observed, overlap_goes_on());
}

#[test]
fn without_a_previous_secret_the_request_is_handled_and_nothing_is_sent() {
    let observed = observe(requesting(RETIRE_REQUESTED), published, accepted);
    assert_eq!(handled_retire_request(&observed), Some("1".into()));
    assert_step(observed, settled());
}

#[test]
fn a_handled_request_is_not_repeated() {
    let handled = merged(annotated(RETIRE_REQUESTED, "1"), json!({"status": {"lastHandledRetireAt": "1"}}));
    let observed = observe(app(merged(synced(), handled)), in_overlap, accepted);
    assert_step(observed, overlap_goes_on());
}

#[test]
fn a_requested_rotation_ends_the_overlap_first_where_the_api_can() {
    let before = |_: &OrgOAuthApp| in_overlap(&app(synced()));
    assert_step(observe(requesting(ROTATE_REQUESTED), before, accepted), end_rotation());
    let mut ended = observe(requesting(ROTATE_REQUESTED), before, accepted);
    ended.overlap_end = OverlapEnd::Ended(ended.contents().previous.clone());
    assert_step(ended, stage(RotationMode::Overlap, "generated"));
    let mut refused = observe(requesting(ROTATE_REQUESTED), before, accepted);
    refused.overlap_end = OverlapEnd::Refused;
    assert_step(refused, overlap_goes_on());
}

#[test]
fn the_overlap_of_the_next_rotation_is_not_taken_for_the_one_that_was_ended() {
    let mut observed = observe(requesting(ROTATE_REQUESTED), in_overlap, accepted);
    observed.overlap_end = OverlapEnd::Ended(observed.contents().previous.clone());
    let next = SecretContents { previous: previous("current", at(40)), revision: 2, ..observed.contents().clone() };
    observed.hold(holding(&observed.app, &next));
    assert_eq!(previous_end(&observed, observed.contents()), Some(at(40)));
}

#[test]
fn a_requested_rotation_that_waits_for_a_minute_only_does_not_say_that_it_waits_for_the_previous_secret() {
    let just_rotated = |app: &OrgOAuthApp| {
        let contents = SecretContents { previous: previous("before", at(12)), ..contents(app) };
        holding(app, &SecretContents { revision: 2, rotated_at: Some(before(at(2), 10)), ..contents })
    };
    let observed = observe(requesting(ROTATE_REQUESTED), |_| just_rotated(&app(synced())), accepted);
    assert_eq!(requested_rotation_waits(&observed), Some(RotationWaits::ForMinInterval));
}

#[test]
fn a_requested_rotation_waits_where_the_api_cannot_end_an_overlap() {
    let navigator = ApiAddress::new(Api::CloudPartnerNavigator, "https://iam.example.com", &[]);
    let asked = requesting(ROTATE_REQUESTED);
    let access: Access = access(navigator, true);
    let desired = crate::decide::validate::validate(&asked, &access);
    let observed = observe(
        asked,
        |_| in_overlap(&app(synced())),
        |observed| {
            accepted(observed);
            observed.desired = desired;
        },
    );
    assert_step(observed, overlap_goes_on());
}

#[test]
fn an_observed_app_keeps_its_overlap() {
    let observing = merged(json!({"spec": {"managementPolicy": "Observe"}}), annotated(RETIRE_REQUESTED, "1"));
    let observed = observe(app(merged(synced(), observing)), in_overlap, accepted);
    assert_step(observed, plans([Planned::EndOverlap]));
}
