//! The early end of an overlap: by request, and before a requested rotation that would wait for it.

use super::fixture::*;
use crate::claim::ApiAddress;
use crate::consumers::StaleConsumers;
use crate::crd::{Api, OrgOAuthApp, RETIRE_REQUESTED, ROTATE_REQUESTED};
use crate::decide::plan::Planned;
use crate::decide::{
    Access, Call, Observed, OverlapEnd, RotationWaits, RotationWrite, Step, client_id, decide, handled_retire_request,
    previous_end, previous_is_doubted, previous_is_refused, requested_rotation_waits,
};
use crate::iam::Verification;
use crate::outcome::Retry;
use crate::reason::Reason;
use crate::secret::{PreviousSecret, RotationMode, SecretContents};
use serde_json::{Value, json};

/// A previous secret is valid until hour 12.
fn in_overlap(app: &OrgOAuthApp) -> Secrets {
    holding(app, &SecretContents { previous: previous("before", at(12)), ..contents(app) })
}

fn requesting(annotation: &str) -> OrgOAuthApp {
    app(merged(recorded(), annotated(annotation, "1")))
}

/// Status knows the rotation.
fn recorded() -> Value {
    merged(synced(), json!({"status": {"rotation": {"revision": 1}}}))
}

/// An app of the Identity Broker.
fn of_broker(observed: &mut Observed) {
    let broker = ApiAddress::new(Api::IdentityBroker, "https://iam.example.com", &[]);
    observed.app.spec.allowed_scopes = serde_json::from_value(json!({"generalScopes": ["user"]})).unwrap();
    connect(observed, access(broker, true));
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
    observed.observe_refused_end();
    assert_eq!(handled_retire_request(&observed), Some("1".into()));
}

#[test]
fn after_the_end_the_previous_secret_is_forgotten() {
    let mut observed = observe(requesting(RETIRE_REQUESTED), in_overlap, accepted);
    observed.observe_overlap_end();
    assert_eq!(previous_end(&observed, observed.contents()), None);
    assert_eq!(handled_retire_request(&observed), Some("1".into()));
    assert_step(observed, write_rotation(RotationWrite::Cleared, |contents| contents.previous = None));
}

#[test]
fn a_refused_end_leaves_the_overlap_as_it_is() {
    let mut observed = observe(requesting(RETIRE_REQUESTED), in_overlap, accepted);
    observed.observe_refused_end();
    assert_eq!(previous_end(&observed, observed.contents()), Some(at(12)));
    assert_step(observed, overlap_goes_on());
}

/// The API refused to end the overlap now, and a token for the previous secret now and first so many seconds ago.
fn end_refused_and_token_too(seconds: i64) -> Observed {
    let mut observed = observe(requesting(RETIRE_REQUESTED), in_overlap, accepted);
    observed.remembered.previous_token_refusal = Some((secret("before"), before(observed.now, seconds)));
    answer(&mut observed, "before", refused());
    observed
}

#[test]
fn a_refused_previous_secret_has_ended_once_a_second_refusal_a_minute_later_confirms_it() {
    for (seconds, is_confirmed) in [(0, false), (59, false), (60, true)] {
        let observed = end_refused_and_token_too(seconds);
        assert_eq!(previous_is_refused(&observed), is_confirmed, "{seconds}");
        assert_eq!(previous_is_doubted(&observed), !is_confirmed, "{seconds}");
    }
    let mut valid = end_refused_and_token_too(60);
    answer(&mut valid, "before", Verification::Accepted);
    assert!(!previous_is_refused(&valid) && !previous_is_doubted(&valid));
    assert_eq!(valid.remembered.previous_token_refusal, None);
}

#[test]
fn a_doubted_end_keeps_the_previous_secret_and_is_requested_again_after_a_minute() {
    let mut doubted = end_refused_and_token_too(0);
    doubted.overlap_end = OverlapEnd::Doubted;
    assert_eq!(previous_end(&doubted, doubted.contents()), Some(at(12)));
    assert_eq!(handled_retire_request(&doubted), None);
    assert_step(&doubted, settled_until(after(at(2), 60)));
    let later = |seconds| {
        let mut observed = observe(requesting(RETIRE_REQUESTED), in_overlap, accepted);
        observed.remembered.previous_token_refusal = Some((secret("before"), before(observed.now, seconds)));
        observed
    };
    assert_step(later(59), settled_until(after(at(2), 1)));
    assert_step(later(60), end_rotation());
}

#[test]
fn without_a_previous_secret_the_request_is_handled_and_nothing_is_sent() {
    let observed = observe(requesting(RETIRE_REQUESTED), published, accepted);
    assert_eq!(handled_retire_request(&observed), Some("1".into()));
    assert_step(observed, settled());
}

#[test]
fn a_previous_secret_that_only_status_reports_is_ended_and_only_by_request() {
    let reported = merged(synced(), json!({"status": {"rotation": {"revision": 1, "previousExpiresAt": at(12)}}}));
    let requested = app(merged(reported.clone(), annotated(RETIRE_REQUESTED, "1")));
    let observed = observe(requested, |_| published(&app(synced())), accepted);
    assert_step(&observed, end_rotation());
    assert!(observed.end_may_have_taken_effect());
    let unasked = observe(app(reported), published, accepted);
    assert_step(unasked, settled_until(at(12)));
}

#[test]
fn a_handled_request_is_not_repeated() {
    let handled = merged(annotated(RETIRE_REQUESTED, "1"), json!({"status": {"lastHandledRetireAt": "1"}}));
    let observed = observe(app(merged(recorded(), handled)), in_overlap, accepted);
    assert_step(observed, overlap_goes_on());
}

#[test]
fn a_requested_rotation_ends_the_overlap_first_where_the_api_can() {
    let before = |_: &OrgOAuthApp| in_overlap(&app(synced()));
    assert_step(observe(requesting(ROTATE_REQUESTED), before, accepted), end_rotation());
    let mut refused = observe(requesting(ROTATE_REQUESTED), before, accepted);
    refused.observe_refused_end();
    assert_step(refused, overlap_goes_on());
}

#[test]
fn the_overlap_of_the_next_rotation_is_not_taken_for_the_one_that_was_ended() {
    let mut observed = observe(requesting(ROTATE_REQUESTED), in_overlap, accepted);
    observed.observe_overlap_end();
    let next = SecretContents { previous: previous("current", at(40)), revision: 2, ..observed.contents().clone() };
    observed.hold(holding(&observed.app, &next));
    assert_eq!(previous_end(&observed, observed.contents()), Some(at(40)));
}

#[test]
fn a_refused_end_is_requested_again_after_an_hour_at_the_earliest() {
    let before = |_: &OrgOAuthApp| in_overlap(&app(synced()));
    let later = |minutes: i64| {
        let mut observed = observe(requesting(ROTATE_REQUESTED), before, accepted);
        observed.remembered.end_refused = Some((1, crate::decide::tests::fixture::before(observed.now, minutes * 60)));
        observed
    };
    assert_step(later(59), overlap_goes_on());
    assert_step(later(61), end_rotation());
}

#[test]
fn what_was_ended_is_no_previous_secret_of_the_next_rotation() {
    let before = |_: &OrgOAuthApp| in_overlap(&app(synced()));
    let mut ended = observe(requesting(ROTATE_REQUESTED), before, accepted);
    ended.observe_overlap_end();
    match decide(&ended) {
        Step::WriteRotation(staged, RotationWrite::Staged) => assert_eq!(staged.previous, None),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_secret_that_consumers_use_is_never_ended() {
    let under_way =
        |app: &OrgOAuthApp| holding(app, &SecretContents { previous: previous("current", at(12)), ..contents(app) });
    assert_step(observe(requesting(RETIRE_REQUESTED), under_way, accepted), settled_until(at(12)));
}

#[test]
fn a_request_from_before_a_rotation_does_not_end_its_overlap() {
    let published_now = |app: &OrgOAuthApp| {
        holding(app, &SecretContents { revision: 2, previous: previous("before", at(12)), ..contents(app) })
    };
    let observed = observe(requesting(RETIRE_REQUESTED), published_now, accepted);
    assert_eq!(handled_retire_request(&observed), Some("1".into()));
    let is_ended = matches!(decide(&observed), Step::Call(Call::EndRotation(_)));
    assert!(!is_ended);
}

#[test]
fn consumers_that_are_known_to_hold_the_previous_secret_are_waited_for() {
    let before = |_: &OrgOAuthApp| in_overlap(&app(synced()));
    let stale = |observed: &mut Observed| {
        accepted(observed);
        observed.stale_consumers = Some(StaleConsumers { first: vec!["web-1".into()], count: 1 });
    };
    let is_ended =
        matches!(decide(&observe(requesting(ROTATE_REQUESTED), before, stale)), Step::Call(Call::EndRotation(_)));
    assert!(!is_ended);
}

#[test]
fn an_api_that_retires_late_is_asked_to_end_each_overlap_on_time() {
    let mut over = observe(app(synced()), in_overlap, accepted);
    over.now = at(13);
    let step = |observed: &Observed| crate::decide::overlap_end::step(observed, observed.contents());
    assert_eq!(step(&over), None);
    of_broker(&mut over);
    let id = client_id(&over.app);
    assert_eq!(step(&over), Some(Step::Call(Call::EndRotation(id))));
    over.observe_refused_end();
    assert_eq!(step(&over), None);
}

#[test]
fn a_requested_rotation_that_waits_for_a_minute_only_does_not_say_that_it_waits_for_the_previous_secret() {
    let just_rotated = |app: &OrgOAuthApp| {
        let contents = SecretContents { previous: previous("before", at(12)), ..contents(app) };
        holding(app, &SecretContents { revision: 2, rotated_at: Some(before(at(2), 10)), ..contents })
    };
    let observed = observe(requesting(ROTATE_REQUESTED), |_| just_rotated(&app(synced())), accepted);
    assert_eq!(requested_rotation_waits(&observed), Some(RotationWaits::MinInterval));
}

/// No previous secret is recorded any more, and a request that ends an overlap got no answer so many seconds ago.
fn end_unanswered(app: OrgOAuthApp, secrets: impl FnOnce(&OrgOAuthApp) -> Secrets, seconds: i64) -> Observed {
    observe(app, secrets, |observed| {
        accepted(observed);
        observed.observe_unanswered_end(before(observed.now, seconds));
    })
}

#[test]
fn no_rotation_begins_while_a_request_that_would_end_its_overlap_may_arrive() {
    let rotation = || stage(RotationMode::Overlap, "generated");
    let requested = |seconds| end_unanswered(requesting(ROTATE_REQUESTED), |_| published(&app(synced())), seconds);
    assert_eq!(requested_rotation_waits(&requested(119)), Some(RotationWaits::LateEnd));
    assert_step(requested(119), settled_until(after(at(2), 1)));
    assert_eq!(requested_rotation_waits(&requested(120)), None);
    assert_step(requested(120), rotation());
    let due = |seconds| {
        let each_hour = merged(synced(), json!({"spec": {"rotation": {"interval": "1h"}}}));
        end_unanswered(app(each_hour), published, seconds)
    };
    assert_step(due(119), settled_until(after(at(2), 1)));
    assert_step(due(120), rotation());
}

#[test]
fn the_end_of_an_overlap_that_got_no_answer_is_requested_again_and_its_success_does_not_let_the_rotation_begin() {
    let before = |_: &OrgOAuthApp| in_overlap(&app(synced()));
    let mut unanswered = end_unanswered(requesting(ROTATE_REQUESTED), before, 10);
    assert_step(&unanswered, end_rotation());
    unanswered.observe_overlap_end();
    assert_eq!(requested_rotation_waits(&unanswered), Some(RotationWaits::LateEnd));
    assert_step(unanswered, write_rotation(RotationWrite::Cleared, |contents| contents.previous = None));
}

#[test]
fn an_edited_value_waits_for_that_end_too_unless_it_is_replaced_without_an_overlap() {
    let edited = |previous: Option<PreviousSecret>| {
        let before = app(synced());
        let contents = SecretContents { current: Some(secret("edited")), previous, ..contents(&before) };
        let mut observed = end_unanswered(requesting(ROTATE_REQUESTED), |_| holding(&before, &contents), 60);
        answer(&mut observed, "edited", refused());
        observed
    };
    let words = "the requested rotation, which replaces it, waits until two minutes have passed since a request to end";
    assert_step(edited(None), waits(Reason::RotationRunning, words, Retry::NoLaterThan(after(at(2), 60))));
    assert_step(edited(previous("before", at(12))), stage(RotationMode::Replace, "generated"));
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
    let unasked = |observed: &mut Observed| {
        is_shown(observed);
        observed.remembered.consumers_searched = Some((1, observed.now));
    };
    let observing = merged(json!({"spec": {"managementPolicy": "Observe"}}), annotated(RETIRE_REQUESTED, "1"));
    let observed = observe(app(merged(recorded(), observing)), in_overlap, unasked);
    assert_step(observed, plans([Planned::EndOverlap]));
}
