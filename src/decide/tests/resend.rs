//! A pending secret that an earlier reconcile may have sent: it is verified, and sent again only where that harms nobody.

use super::fixture::*;
use crate::crd::OrgOAuthApp;
use crate::decide::{Observed, PendingProgress, RotationWrite};
use crate::iam::Verification;
use crate::outcome::Retry;
use crate::reason::Reason;
use crate::secret::{PendingSecret, RotationMode, SecretContents};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// Its secret is pending, and what else.
fn pending_with(app: OrgOAuthApp, also: impl FnOnce(&mut Observed)) -> Observed {
    observe(app, staged(RotationMode::Overlap), also)
}

/// The current one is durable as the previous one, which ends after an overlap from that time on.
fn kept_since(since: Timestamp) -> Expected {
    write_rotation(RotationWrite::Accepted, move |contents| {
        contents.previous = previous("current", after(since, 48 * 3600))
    })
}

fn waits_for_proof(retry: Retry) -> Expected {
    waits(Reason::SecretNotProven, "keeping the current one", retry)
}

fn waits_for_rotation() -> Expected {
    waits(Reason::RotationRunning, "a rotation of app ooa-uid-1 is in progress", Retry::Backoff)
}

#[test]
fn a_secret_that_may_have_been_sent_is_verified() {
    assert_step(pending_with(app(synced()), nothing), verify("next"));
    let is_valid = |observed: &mut Observed| answer(observed, "next", Verification::Accepted);
    assert_step(pending_with(app(synced()), is_valid), kept_since(at(1)));
    let no_answer = |observed: &mut Observed| {
        is_shown(observed);
        answer(observed, "next", not_known());
    };
    assert_step(pending_with(app(synced()), no_answer), waits_for_proof(Retry::Backoff));
    // The default grant type gives an app tokens of its own.
    assert_step(observe(one_line(json!({})), staged(RotationMode::Overlap), nothing), verify("next"));
    // No token request can tell.
    assert_step(pending_with(app(code()), nothing), rotate("next", 48));
}

#[test]
fn a_secret_that_may_have_been_sent_is_sent_again_once_it_is_refused_and_the_current_one_works() {
    let again = |now, current: Option<Verification>| {
        pending_with(app(synced()), |observed| {
            is_shown_at(now)(observed);
            answer(observed, "next", refused());
            match current {
                Some(Verification::Refused(_)) => refuse_since(observed, "current", 60),
                Some(verification) => answer(observed, "current", verification),
                None => {}
            }
        })
    };
    // The API may not know it yet.
    let known_at = after(at(1), 120);
    for current in [None, Some(Verification::Accepted), Some(refused())] {
        assert_step(again(before(known_at, 1), current), waits_for_proof(Retry::NoLaterThan(known_at)));
    }
    assert_step(again(known_at, None), verify("current"));
    // Staged again, so that the time of a second request is durable too.
    assert_step(again(known_at, Some(Verification::Accepted)), stage(RotationMode::Overlap, "next"));
    assert_step(again(known_at, Some(not_known())), waits_for_proof(Retry::Backoff));
    // Neither works, so it is replaced.
    assert_step(again(known_at, Some(refused())), stage(RotationMode::Replace, "next"));
}

#[test]
fn what_the_time_decides_is_reconciled_as_soon_as_it_does() {
    let refused_after = |seconds: i64| {
        pending_with(app(synced()), |observed| {
            is_shown_at(after(at(1), seconds))(observed);
            answer(observed, "next", refused());
            answer(observed, "current", refused());
        })
    };
    // The API should know it by then.
    assert_step(refused_after(119), waits_for_proof(Retry::NoLaterThan(after(at(1), 120))));
    // And refuses the current one for good after a minute.
    assert_step(refused_after(130), waits_for_proof(Retry::NoLaterThan(after(at(1), 190))));
}

#[test]
fn beside_an_edited_or_unknown_secret_the_pending_one_is_sent_again() {
    let is_refused = |observed: &mut Observed| {
        is_shown(observed);
        answer(observed, "next", refused());
    };
    let beside_edited =
        |app: &OrgOAuthApp| Secrets { consumers: edited(app).consumers, ..staged(RotationMode::Overlap)(app) };
    assert_step(observe(app(synced()), beside_edited, is_refused), stage(RotationMode::Overlap, "next"));
    let beside_unknown = |app: &OrgOAuthApp| {
        let pending = Some(PendingSecret { base_revision: 0, ..pending(RotationMode::Overlap) });
        holding(app, &SecretContents { pending, claim: contents(app).claim, ..SecretContents::default() })
    };
    let adopted = || claimed(chosen(json!({"spec": {"adoptionPolicy": "Adopt"}, "status": {"adopted": true}})));
    assert_step(observe(adopted(), beside_unknown, is_refused), stage(RotationMode::Overlap, "next"));
    // Until then nobody is asked to do what is under way.
    let too_early = |observed: &mut Observed| {
        observed.now = after(at(1), 60);
        is_refused(observed);
    };
    let waits = || waits_for_proof(Retry::NoLaterThan(after(at(1), 120)));
    assert_step(observe(app(synced()), beside_edited, too_early), waits());
    assert_step(observe(adopted(), beside_unknown, too_early), waits());
}

#[test]
fn a_rotation_that_meets_another_one_waits() {
    let conflict = |more: Value, maybe_sent: bool| {
        pending_with(app(more), |observed| {
            observed.remote = shown(Value::Object(observed.desired.as_ref().unwrap().values().clone()));
            progressed(PendingProgress::Conflict { maybe_sent })(observed);
        })
    };
    for maybe_sent in [true, false] {
        assert_step(conflict(synced(), maybe_sent), waits_for_rotation());
    }
    // The present one was refused once, and is asked about again in time.
    let refused_once = pending_with(app(synced()), |observed| {
        observed.remote = as_wanted();
        progressed(PendingProgress::Conflict { maybe_sent: false })(observed);
        refuse_since(observed, "current", 59);
    });
    let in_time = Retry::NoLaterThan(after(refused_once.now, 1));
    assert_step(refused_once, waits(Reason::RotationRunning, "is in progress", in_time));
    // Sent before, and where no token can tell a rotation in progress is that one.
    assert_step(conflict(code(), true), kept_since(at(1)));
    assert_step(conflict(code(), false), waits_for_rotation());
    let replacing = observe(app(synced()), staged(RotationMode::Replace), |observed| {
        observed.remote = as_wanted();
        progressed(PendingProgress::Conflict { maybe_sent: false })(observed);
    });
    assert_step(replacing, waits_for_rotation());
}

#[test]
fn a_rotation_that_replaces_an_invalid_value_does_not_wait_for_another_one() {
    let beside_edited =
        |app: &OrgOAuthApp| Secrets { consumers: edited(app).consumers, ..staged(RotationMode::Overlap)(app) };
    for maybe_sent in [true, false] {
        let conflict = |observed: &mut Observed| {
            observed.remote = as_wanted();
            progressed(PendingProgress::Conflict { maybe_sent })(observed);
        };
        assert_step(observe(app(synced()), beside_edited, conflict), stage(RotationMode::Replace, "next"));
        let is_refused = |observed: &mut Observed| {
            conflict(observed);
            refuse_since(observed, "current", 60);
        };
        assert_step(pending_with(app(synced()), is_refused), stage(RotationMode::Replace, "next"));
    }
}

#[test]
fn a_rotation_that_the_api_refused_is_sent_again_without_waiting() {
    let after_refusal = |more: Value, verification: Option<Verification>| {
        pending_with(app(more), |observed| {
            observed.remembered.pending_not_accepted = Some(secret("next"));
            observed.remote = shown(Value::Object(observed.desired.as_ref().unwrap().values().clone()));
            verification.into_iter().for_each(|verification| answer(observed, "next", verification));
        })
    };
    // Something on the way may have repeated it.
    assert_step(after_refusal(synced(), None), verify("next"));
    // Staged again, so that the time of the request is durable.
    assert_step(after_refusal(synced(), Some(refused())), stage(RotationMode::Overlap, "next"));
    assert_step(after_refusal(synced(), Some(Verification::Accepted)), kept_since(at(1)));
    assert_step(after_refusal(synced(), Some(not_known())), waits_for_proof(Retry::Backoff));
    assert_step(after_refusal(code(), None), stage(RotationMode::Overlap, "next"));
    let replacing = |observed: &mut Observed| observed.remembered.pending_not_accepted = Some(secret("next"));
    assert_step(observe(app(synced()), staged(RotationMode::Replace), replacing), replace_secret("next", repeated()));
    // Another one was refused, so this one may have been sent.
    let another = |observed: &mut Observed| {
        observed.remembered.pending_not_accepted = Some(secret("another"));
        is_shown(observed);
        answer(observed, "next", refused());
    };
    assert_step(pending_with(app(synced()), another), verify("current"));
}
