//! Verification of the published secret: when a token is asked for with the published secret, and what its refusal means.

use super::fixture::*;
use crate::crd::RECONCILE_REQUESTED;
use crate::decide::plan::Planned;
use crate::decide::{Observed, Remote, is_refusal_unconfirmed, is_verified, standing_refusal, verified_at};
use crate::iam::Verification;
use crate::outcome::Retry;
use crate::reason::Reason;
use crate::secret::{ProvidedSecret, RotationMode, SecretContents};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

/// A resource whose Secret was published at hour 0 and for which a token was issued at the hour that is given.
fn verified_in_hour(hour: Option<i64>, more: Value, also: impl FnOnce(&mut Observed)) -> Observed {
    let mut app = app(more);
    let rotation = app.status.get_or_insert_default().rotation.get_or_insert_default();
    rotation.verified_at = hour.map(|hour| Time(at(hour)));
    rotation.verified_revision = Some(1);
    let secrets = published(&app);
    let mut observed = begin(app, secrets);
    observed.remote = as_wanted();
    also(&mut observed);
    observed
}

fn waits_for_proof(retry: Retry) -> Expected {
    let words = "the API does not issue a token for the client secret in Secret billing yet: ";
    waits(Reason::SecretNotProven, words, retry)
}

fn is_refused_now(retry: Retry) -> Expected {
    let words = "the API does not issue a token for the client secret in Secret billing now: ";
    waits(Reason::CredentialRefused, words, retry)
}

#[test]
fn an_app_is_ready_once_the_api_issued_a_token_for_what_its_secret_holds() {
    let after = |seconds: i64, verification: Verification| {
        verified_in_hour(None, json!({}), |observed| {
            observed.now = second(seconds);
            answer(observed, "current", verification);
        })
    };
    assert_step(verified_in_hour(None, json!({}), nothing), verify("current"));
    assert_step(after(1, Verification::Accepted), settled());
    assert_step(after(1, refused()), waits_for_proof(Retry::NoLaterThan(second(61))));
    assert_step(after(1, not_known()), waits_for_proof(Retry::NoLaterThan(second(120))));
    assert_step(after(119, refused()), waits_for_proof(Retry::NoLaterThan(second(120))));
    // It goes on by itself, and is not replaced.
    assert_step(after(120, refused()), is_refused_now(Retry::NoLaterThan(second(180))));
    assert_step(after(120, not_known()), is_refused_now(Retry::Backoff));
    // A time that is yet to come is wrong, and one from before the Secret was published was about another one.
    assert_step(verified_in_hour(Some(2), json!({}), nothing), settled());
    assert_step(verified_in_hour(Some(3), json!({}), nothing), verify("current"));
    assert_step(verified_in_hour(Some(-1), json!({}), nothing), verify("current"));
    let of_another_revision = |observed: &mut Observed| {
        observed.app.status.as_mut().unwrap().rotation.as_mut().unwrap().verified_revision = Some(2);
    };
    assert_step(verified_in_hour(Some(1), json!({}), of_another_revision), verify("current"));
}

#[test]
fn where_no_token_can_tell_nothing_is_asked() {
    let authorized = merged(repeated(), code()["spec"].clone());
    let shown = |observed: &mut Observed| observed.remote = shown(authorized);
    let observed = verified_in_hour(None, code(), shown);
    assert!(is_verified(&observed));
    assert_eq!((verified_at(&observed), standing_refusal(&observed, observed.contents())), (None, None));
    assert_step(observed, settled());
}

#[test]
fn a_secret_is_verified_again_periodically_and_when_the_app_was_changed() {
    let last_updated = |seconds: i64| {
        move |observed: &mut Observed| {
            let Remote::Shown(app) = &mut observed.remote else { panic!("it is shown") };
            app.last_updated_at = Some(after(at(1), seconds));
        }
    };
    let in_list = |observed: &mut Observed| {
        last_updated(1)(observed);
        observed.remote = listed(observed.remote.clone());
    };
    let with = |also: &dyn Fn(&mut Observed)| verified_in_hour(Some(1), json!({}), also);
    assert_step(with(&nothing), settled());
    assert_step(with(&last_updated(0)), settled());
    assert_step(with(&last_updated(1)), verify("current"));
    assert_step(with(&in_list), verify("current"));
    // A time that is yet to come is wrong.
    assert_step(with(&last_updated(3600)), verify("current"));
    assert_step(with(&last_updated(3601)), settled());
    // By the operator.
    assert_step(with(&|observed| observed.updated = vec!["description".into()]), verify("current"));
    assert_step(verified_in_hour(Some(1), annotated(RECONCILE_REQUESTED, "now"), nothing), verify("current"));
    let later = |hours: i64| with(&move |observed: &mut Observed| observed.now = at(1 + hours));
    assert_step(later(799), settled());
    let once_old = |seconds| with(&move |observed: &mut Observed| observed.now = before(next_check(), seconds));
    assert_step(once_old(1), settled_until(next_check()));
    assert_step(once_old(0), verify("current"));
    // It is not asked again at once.
    let no_answer = |observed: &mut Observed| {
        observed.now = at(1001);
        answer(observed, "current", not_known());
    };
    assert_step(with(&no_answer), settled());
}

#[test]
fn a_secret_that_is_about_to_be_replaced_waits_for_what_comes_of_that() {
    let waiting = |seconds: i64| {
        let mut observed = begin(app(json!({})), staged(RotationMode::Overlap)(&app(json!({}))));
        is_shown_at(after(at(1), seconds))(&mut observed);
        answer(&mut observed, "next", not_known());
        observed
    };
    let keeps = |retry| waits(Reason::SecretNotProven, "keeping the current one", retry);
    assert_step(waiting(119), keeps(Retry::NoLaterThan(after(at(1), 120))));
    assert_step(waiting(120), verify("current"));
}

#[test]
fn a_secret_that_the_api_ceases_to_accept_is_rotated_once_it_was_refused_twice_a_minute_apart() {
    let is_refused = |seconds: i64| move |observed: &mut Observed| refuse_since(observed, "current", seconds);
    let generated = || stage(RotationMode::Overlap, "generated");
    assert_step(verified_in_hour(Some(1), json!({}), is_refused(59)), settled_until(after(at(2), 1)));
    assert_step(verified_in_hour(Some(1), json!({}), is_refused(60)), generated());
    let observing = json!({"spec": {"managementPolicy": "Observe"}});
    assert_step(verified_in_hour(Some(1), observing, is_refused(60)), plans([Planned::RotateSecret]));
    // It may be valid.
    let no_reason = |observed: &mut Observed| {
        is_refused(60)(observed);
        answer(observed, "current", not_known());
    };
    assert_step(verified_in_hour(Some(1), json!({}), no_reason), settled_until(after(at(2), 60)));
    // One that was never valid is not replaced.
    let words = |observed: &mut Observed| is_refused(60)(observed);
    assert_step(verified_in_hour(None, json!({}), words), is_refused_now(Retry::Backoff));
    // Rotations have a pace.
    let just_rotated = |observed: &mut Observed| {
        is_refused(60)(observed);
        let rotation = observed.app.status.as_mut().unwrap().rotation.as_mut().unwrap();
        rotation.revision = Some(2);
        rotation.rotated_at = Some(Time(observed.now));
    };
    assert_step(
        verified_in_hour(Some(1), json!({}), just_rotated),
        is_refused_now(Retry::NoLaterThan(after(at(2), 60))),
    );
}

#[test]
fn a_refusal_is_asked_about_again_after_a_minute() {
    let remembered = |seconds: i64| {
        verified_in_hour(Some(1), json!({}), |observed| {
            observed.remembered.first_token_refusal = Some((secret("current"), before(observed.now, seconds)));
        })
    };
    assert_step(remembered(1), verify("current"));
    let of_another =
        |observed: &mut Observed| observed.remembered.first_token_refusal = Some((secret("another"), at(2)));
    assert_step(verified_in_hour(Some(1), json!({}), of_another), settled());
    let mut observed = verified_in_hour(Some(1), json!({}), nothing);
    answer(&mut observed, "current", refused());
    assert_eq!(observed.remembered.first_token_refusal, Some((secret("current"), at(2))));
    observed.now = at(3);
    answer(&mut observed, "current", refused());
    assert_eq!(observed.remembered.first_token_refusal, Some((secret("current"), at(2))), "since the first one");
    answer(&mut observed, "another", Verification::Accepted);
    assert_eq!(observed.remembered.first_token_refusal, Some((secret("current"), at(2))));
    answer(&mut observed, "current", Verification::Accepted);
    assert_eq!(observed.remembered.first_token_refusal, None);
    answer(&mut observed, "another", refused());
    assert_eq!(observed.remembered.first_token_refusal, None, "only of the one that consumers find");
}

/// A resource with a secret that the API refused twice, though it was valid before.
fn refused_twice(more: Value, also: impl FnOnce(&mut Observed)) -> Observed {
    verified_in_hour(Some(1), more, |observed| {
        also(observed);
        refuse_since(observed, "current", 60);
    })
}

#[test]
fn a_provided_secret_that_is_refused_is_sent_again_also_while_the_previous_one_is_valid() {
    let provided = json!({"spec": {"clientSecretRef": {"name": "mine", "key": "value"}}});
    let with_previous = |observed: &mut Observed| {
        observed.provided = Some(ProvidedSecret::Value(secret("current")));
        let contents = SecretContents { previous: previous("before", at(49)), ..contents(&observed.app) };
        observed.hold(holding(&observed.app, &contents));
    };
    assert_step(refused_twice(provided.clone(), with_previous), stage(RotationMode::Replace, "current"));
    let without = |observed: &mut Observed| observed.provided = Some(ProvidedSecret::Value(secret("current")));
    assert_step(refused_twice(provided, without), stage(RotationMode::Replace, "current"));
    // So is a generated one replaced without waiting for the previous one.
    let generated = |observed: &mut Observed| {
        let contents = SecretContents { previous: previous("before", at(49)), ..contents(&observed.app) };
        observed.hold(holding(&observed.app, &contents));
    };
    assert_step(refused_twice(json!({}), generated), stage(RotationMode::Replace, "generated"));
}

#[test]
fn the_secret_of_an_adopted_app_is_not_replaced_unasked_when_it_is_refused() {
    let adopted = |policy: &str| {
        let spec = json!({"id": "chosen", "adoptionPolicy": policy});
        refused_twice(json!({"spec": spec, "status": {"adopted": true}}), |observed| {
            observed.observe_app(claimed(observed.app.clone()));
            observed.hold(published(&observed.app));
        })
    };
    assert_step(adopted("Adopt"), is_refused_now(Retry::Backoff));
    assert_step(adopted("AdoptAndRotate"), stage(RotationMode::Overlap, "generated"));
}

/// Status says so of Ready.
fn reported(status: &str, reason: &str, also: impl FnOnce(&mut Observed)) -> Observed {
    let ready = condition("Ready", status, reason);
    verified_in_hour(Some(1), json!({"status": {"conditions": [ready]}}), also)
}

fn reported_refused(also: impl FnOnce(&mut Observed)) -> Observed {
    reported("False", "CredentialRefused", also)
}

#[test]
fn what_was_reported_as_refused_is_ready_again_only_with_a_token() {
    let after = |verification: Verification| reported_refused(|observed| answer(observed, "current", verification));
    assert_step(reported_refused(nothing), verify("current"));
    assert_step(reported("False", "Rejected", nothing), settled());
    assert_step(reported("True", "CredentialRefused", nothing), settled());
    assert_step(after(not_known()), is_refused_now(Retry::NoLaterThan(next_check())));
    // Also after a restart.
    assert_step(after(refused()), is_refused_now(Retry::NoLaterThan(super::fixture::after(at(2), 60))));
    assert_step(after(Verification::Accepted), settled());
}

#[test]
fn a_process_that_starts_after_one_refusal_asks_again() {
    let reported = |ready: &str, reconciling: &str, reason: &str| {
        let conditions = [condition("Ready", ready, "Provisioned"), condition("Reconciling", reconciling, reason)];
        verified_in_hour(Some(1), json!({"status": {"conditions": conditions}}), nothing)
    };
    assert_step(reported("True", "True", "SecretNotProven"), verify("current"));
    assert_step(reported("True", "True", "Updating"), settled());
    assert_step(reported("True", "False", "SecretNotProven"), settled());
    // It waits for something else.
    assert_step(reported("False", "True", "SecretNotProven"), settled());
}

#[test]
fn one_refusal_is_asked_about_again_before_it_counts() {
    let once = |hour, seconds: i64| {
        is_refusal_unconfirmed(&verified_in_hour(hour, json!({}), |observed| {
            refuse_since(observed, "current", seconds)
        }))
    };
    assert!(once(Some(1), 59));
    assert!(!once(Some(1), 60), "it counts");
    assert!(!once(None, 59), "it was never valid");
    let code = json!({"spec": {"grantTypes": ["authorization_code"]}});
    let unprovable = verified_in_hour(Some(1), code, |observed| {
        observed.remembered.first_token_refusal = Some((secret("current"), observed.now));
    });
    assert!(!is_refusal_unconfirmed(&unprovable), "it is not asked about any more");
    assert!(!is_refusal_unconfirmed(&verified_in_hour(Some(1), json!({}), nothing)));
}

/// When a token is asked for again, unless something happens before.
fn next_check() -> k8s_openapi::jiff::Timestamp {
    let observed = verified_in_hour(Some(1), json!({}), nothing);
    let next = crate::decide::maintenance::next_deadline(&observed).unwrap();
    assert!(at(1 + 800) <= next && next <= at(1 + 1000), "{next}");
    next
}

#[test]
fn a_secret_counts_as_proven_until_its_refusal_counts() {
    let observed = |hour, also: &dyn Fn(&mut Observed)| verified_in_hour(hour, json!({}), also);
    let what = |observed: Observed| {
        let refusal = standing_refusal(&observed, observed.contents()).map(ToOwned::to_owned);
        (is_verified(&observed), verified_at(&observed), refusal)
    };
    let said = || Some("invalid_client".to_owned());
    assert_eq!(what(observed(None, &nothing)), (false, None, None));
    assert_eq!(what(observed(Some(1), &nothing)), (true, Some(at(1)), None));
    let is_valid = |observed: &mut Observed| answer(observed, "current", Verification::Accepted);
    assert_eq!(what(observed(None, &is_valid)), (true, Some(at(2)), None));
    let no_answer = |observed: &mut Observed| answer(observed, "current", not_known());
    assert_eq!(what(observed(None, &no_answer)), (false, None, None));
    assert_eq!(what(observed(Some(1), &no_answer)), (true, Some(at(1)), None));
    let once = |observed: &mut Observed| answer(observed, "current", refused());
    assert_eq!(what(observed(Some(1), &once)), (true, Some(at(1)), None));
    let twice = |observed: &mut Observed| refuse_since(observed, "current", 60);
    assert_eq!(what(observed(Some(1), &twice)), (false, Some(at(1)), said()));
    assert_eq!(what(observed(None, &twice)), (false, None, None), "it was never valid");
    let too_early = |observed: &mut Observed| {
        let app = observed.app.clone();
        let contents = SecretContents { rotated_at: Some(at(1)), ..contents(&app) };
        observed.hold(holding(&app, &contents));
        observed.now = after(at(1), 119);
        refuse_since(observed, "current", 60);
    };
    assert_eq!(what(observed(Some(1), &too_early)), (true, Some(at(1)), None), "the API may not know it yet");
    assert_eq!(what(reported_refused(nothing)), (false, Some(at(1)), None));
    assert_eq!(what(reported_refused(once)), (false, Some(at(1)), said()));
    // What was edited is not what was published, and is verified before it is trusted.
    let is_edited = |observed: &mut Observed| observed.hold(edited(&observed.app));
    assert_eq!(what(observed(Some(1), &is_edited)), (true, None, None));
    let none = |observed: &mut Observed| observed.hold(Secrets::only(crate::secret::SecretState::Absent));
    assert_eq!(what(observed(Some(1), &none)), (true, None, None));
}
