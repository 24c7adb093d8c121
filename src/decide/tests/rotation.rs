//! A pending secret on its way to the API, and then to the consumers. What becomes of one that may have been sent is in
//! `resend`.

use super::fixture::*;
use crate::crd::OrgOAuthApp;
use crate::decide::{
    ListCheck, Observed, PendingProgress, Remote, RotationWaits, RotationWrite, WriteReason, previous_end,
    requested_rotation_waits,
};
use crate::iam::Verification;
use crate::outcome::Retry;
use crate::reason::Reason;
use crate::secret::{PendingSecret, ProvidedSecret, RotationMode, SecretContents, SecretState};
use serde_json::json;

#[test]
fn a_staged_secret_goes_to_the_api_and_then_to_the_consumers() {
    let with = |mode, progress| observe(app(synced()), staged(mode), progressed(progress));
    assert_step(with(RotationMode::Replace, PendingProgress::NotSent), replace_secret("next", repeated()));
    assert_step(with(RotationMode::Replace, PendingProgress::MaybeSent), replace_secret("next", repeated()));
    assert_step(with(RotationMode::Replace, PendingProgress::RotationRefused), replace_secret("next", repeated()));
    assert_step(with(RotationMode::Replace, PendingProgress::Accepted), publish(WriteReason::Replaced, "next"));
    assert_step(with(RotationMode::Overlap, PendingProgress::NotSent), rotate("next", 48));
    // That the API accepted it is durable at once, and so is the current one as the previous one.
    let is_accepted = write_rotation(RotationWrite::Accepted, |contents| {
        contents.pending.as_mut().unwrap().accepted_at = Some(at(2));
        contents.previous = previous("current", at(2 + 48));
    });
    assert_step(with(RotationMode::Overlap, PendingProgress::Accepted), is_accepted);
    assert_step(observe(app(synced()), accepted, nothing), verify("next"));
    let valid = |observed: &mut Observed| answer(observed, "next", Verification::Accepted);
    assert_step(observe(app(synced()), accepted, valid), publish(WriteReason::Rotated, "next"));
    // No token request can tell.
    assert_step(observe(app(code()), accepted, nothing), publish(WriteReason::Rotated, "next"));
}

#[test]
fn a_provided_secret_that_is_set_is_not_said_to_be_a_new_one() {
    let with = |provided: &str| {
        let providing = app(merged(synced(), json!({"spec": {"clientSecretRef": {"name": "mine", "key": "value"}}})));
        let same = |app: &OrgOAuthApp| {
            holding(
                app,
                &SecretContents {
                    current: Some(secret("next")),
                    pending: Some(pending(RotationMode::Replace)),
                    ..contents(app)
                },
            )
        };
        observe(providing, same, |observed| {
            progressed(PendingProgress::Accepted)(observed);
            observed.provided = Some(ProvidedSecret::Value(secret(provided)));
        })
    };
    assert_step(with("next"), publish(WriteReason::Provided, "next"));
    // One that was staged before is a new one.
    assert_step(with("other"), publish(WriteReason::Replaced, "next"));
}

#[test]
fn the_overlap_is_what_the_spec_says() {
    let overlap = |rotation: serde_json::Value| {
        observe(one_line(rotation), staged(RotationMode::Overlap), progressed(PendingProgress::NotSent))
    };
    assert_step(overlap(json!({"rotation": {"overlap": "2h"}})), rotate("next", 2));
    assert_step(overlap(json!({"rotation": {"interval": "720h"}})), rotate("next", 48));
    assert_step(overlap(json!({"secretRotationExpirationInSeconds": 3 * 3600})), rotate("next", 3));
    let both = json!({"rotation": {"overlap": "2h"}, "secretRotationExpirationInSeconds": 3 * 3600});
    assert_step(overlap(both), rotate("next", 2));
}

/// What the API says of the pending and of the current secret, at that time; the current one was refused before.
fn answered(
    secrets: impl FnOnce(&OrgOAuthApp) -> Secrets,
    now: k8s_openapi::jiff::Timestamp,
    next: Verification,
    current: Option<Verification>,
) -> Observed {
    observe(app(synced()), secrets, |observed| {
        observed.now = now;
        observed.remote = as_wanted();
        answer(observed, "next", next);
        match current {
            Some(Verification::Refused(_)) => refuse_since(observed, "current", 60),
            Some(verification) => answer(observed, "current", verification),
            None => {}
        }
    })
}

fn waits_for_proof(retry: Retry) -> Expected {
    waits(Reason::SecretNotProven, "token for the new client secret yet; keeping the current one: ", retry)
}

#[test]
fn an_accepted_secret_that_the_api_refuses_is_never_sent_again_while_the_current_one_works() {
    let then = |now, current| answered(accepted, now, refused(), current);
    let works = || Some(Verification::Accepted);
    // The API may not know it yet.
    let known_at = after(at(1), 120);
    assert_step(then(at(1), None), waits_for_proof(Retry::NoLaterThan(known_at)));
    assert_step(then(before(known_at, 1), works()), waits_for_proof(Retry::NoLaterThan(known_at)));
    assert_step(then(known_at, None), verify("current"));
    assert_step(then(known_at, works()), waits_for_proof(Retry::NoLaterThan(at(49))));
    assert_step(then(known_at, Some(not_known())), waits_for_proof(Retry::NoLaterThan(at(49))));
    // Neither works, so it is replaced.
    assert_step(then(known_at, Some(refused())), stage(RotationMode::Replace, "next"));
    // The overlap is over.
    assert_step(then(before(at(49), 1), works()), waits_for_proof(Retry::NoLaterThan(at(49))));
    assert_step(then(at(49), works()), discard());
    assert_step(then(at(49), Some(not_known())), stage(RotationMode::Replace, "next"));
    // What counts is when the API accepted it.
    let staged_long_before = |app: &OrgOAuthApp| {
        let pending = PendingSecret { staged_at: at(0), accepted_at: Some(at(1)), ..pending(RotationMode::Overlap) };
        holding(app, &SecretContents { pending: Some(pending), previous: previous("current", at(49)), ..contents(app) })
    };
    let soon = answered(staged_long_before, before(known_at, 1), refused(), works());
    assert_step(soon, waits_for_proof(Retry::NoLaterThan(known_at)));
}

#[test]
fn a_secret_that_the_api_accepted_is_published_though_tokens_are_refused_for_another_cause() {
    let then = |seconds: i64| answered(accepted, after(at(1), seconds), not_known(), Some(not_known()));
    assert_step(then(119), waits_for_proof(Retry::NoLaterThan(after(at(1), 120))));
    assert_step(then(120), publish(WriteReason::Rotated, "next"));
}

#[test]
fn the_current_secret_is_durable_as_the_previous_one_before_consumers_find_another() {
    let without_previous = |observed: &mut Observed| {
        answer(observed, "next", Verification::Accepted);
        let contents = SecretContents { previous: None, ..observed.contents().clone() };
        observed.hold(holding(&observed.app, &contents));
    };
    let kept = write_rotation(RotationWrite::Accepted, |contents| contents.previous = previous("current", at(1 + 48)));
    assert_step(observe(app(synced()), accepted, without_previous), kept);
}

#[test]
fn a_secret_that_is_not_valid_is_not_kept_as_the_previous_one() {
    let promoted = |current: Option<Verification>, now| {
        observe(app(synced()), accepted, |observed| {
            observed.now = now;
            current.into_iter().for_each(|verification| answer(observed, "current", verification));
            answer(observed, "next", Verification::Accepted);
        })
    };
    let without_previous = || write_rotation(RotationWrite::Accepted, |contents| contents.previous = None);
    for kept in [None, Some(Verification::Accepted), Some(not_known())] {
        assert_step(promoted(kept, at(2)), publish(WriteReason::Rotated, "next"));
    }
    assert_step(promoted(Some(refused()), at(2)), without_previous());
    // The overlap is over.
    assert_step(promoted(None, before(at(49), 1)), publish(WriteReason::Rotated, "next"));
    assert_step(promoted(None, at(49)), without_previous());
}

#[test]
fn a_secret_that_is_not_known_is_recorded_as_the_previous_one_by_its_time() {
    let without_value =
        || write_rotation(RotationWrite::Accepted, |contents| contents.previous = unknown_previous(at(49)));
    let valid = |observed: &mut Observed| answer(observed, "next", Verification::Accepted);
    let edited = |app: &OrgOAuthApp| Secrets { consumers: edited(app).consumers, ..accepted(app) };
    assert_step(observe(app(synced()), edited, valid), without_value());
    // The edited value says nothing about the one that was published.
    let refused_too = |observed: &mut Observed| {
        valid(observed);
        refuse_since(observed, "edited", 60);
    };
    assert_step(observe(app(synced()), edited, refused_too), without_value());
    let adopted = merged(synced(), json!({"spec": {"adoptionPolicy": "Adopt"}, "status": {"adopted": true}}));
    let id_only = |app: &OrgOAuthApp| {
        let pending = PendingSecret { accepted_at: Some(at(1)), base_revision: 0, ..pending(RotationMode::Overlap) };
        let id_only = SecretContents { current: None, checksum: None, rotated_at: None, revision: 0, ..contents(app) };
        holding(app, &SecretContents { pending: Some(pending), ..id_only })
    };
    assert_step(observe(app(adopted), id_only, valid), without_value());
}

#[test]
fn a_rotation_waits_for_a_previous_secret_that_is_not_known_too() {
    let annotation = annotated(crate::crd::ROTATE_REQUESTED, "again");
    let before = app(synced());
    let secrets = holding(&before, &SecretContents { previous: unknown_previous(at(12)), ..contents(&before) });
    let mut observed = observe(
        app(merged(synced(), annotation)),
        |_| secrets,
        |observed| {
            is_shown(observed);
            observed.remembered.consumers_searched = Some((1, observed.now));
        },
    );
    assert_eq!(previous_end(&observed, observed.contents()), Some(at(12)));
    assert_eq!(requested_rotation_waits(&observed), Some(RotationWaits::Previous));
    assert_step(&observed, settled_until(after(at(2), 45 * 60)));
    observed.now = at(12);
    assert_step(observed, stage(RotationMode::Overlap, "generated"));
}

/// The pending secret is published already, in that mode.
fn published_next(mode: RotationMode) -> impl Fn(&OrgOAuthApp) -> Secrets {
    move |app| {
        let contents = contents(app);
        let client_id = contents.client_id.clone().unwrap();
        let published = contents.publish(app, &client_id, Some(secret("next")), at(1));
        let extra = contents.extra;
        let (pending, previous) = (Some(pending(mode)), previous("current", at(49)));
        holding(app, &SecretContents { pending, previous, extra, ..published })
    }
}

#[test]
fn a_pending_secret_that_consumers_find_is_pending_no_more() {
    assert_step(observe(app(synced()), published_next(RotationMode::Overlap), nothing), discard());
    // The former ones are not valid any more.
    for mode in [RotationMode::Replace, RotationMode::Create, RotationMode::Unknown] {
        let nothing_left = |contents: &mut SecretContents| {
            contents.pending = None;
            contents.previous = None;
        };
        let over = write_rotation(RotationWrite::Cleared, nothing_left);
        assert_step(observe(app(synced()), published_next(mode), nothing), over);
    }
    // The published one is sent again.
    let again = |app: &OrgOAuthApp| {
        let pending = Some(PendingSecret { secret: secret("current"), ..pending(RotationMode::Replace) });
        holding(app, &SecretContents { pending, ..contents(app) })
    };
    assert_step(observe(app(synced()), again, nothing), replace_secret("current", repeated()));
}

#[test]
fn a_pending_secret_is_given_up_once_another_one_was_published_or_the_secret_is_deleted() {
    for mode in [RotationMode::Overlap, RotationMode::Replace, RotationMode::Create] {
        let overtaken = |app: &OrgOAuthApp| {
            let client_id = crate::decide::client_id(app);
            let newer = contents(app).publish(app, &client_id, Some(secret("of another process")), at(1));
            Secrets { consumers: holding(app, &newer).consumers, ..staged(mode)(app) }
        };
        assert_step(observe(app(synced()), overtaken, nothing), discard());
        let deleted = |app: &OrgOAuthApp| Secrets { consumers: SecretState::Absent, ..staged(mode)(app) };
        assert_step(observe(app(synced()), deleted, nothing), discard());
    }
}

#[test]
fn a_pending_secret_that_somebody_put_into_the_secret_is_not_published() {
    // Once it is given up, the previous secret stays.
    let with = |current: &'static str, published: &'static str| {
        move |app: &OrgOAuthApp| {
            let secrets = published_next(RotationMode::Replace)(app);
            let published = contents(app).publish(app, &crate::decide::client_id(app), Some(secret(published)), at(1));
            let edited = SecretContents { current: Some(secret(current)), ..published };
            Secrets { consumers: holding(app, &edited).consumers, ..secrets }
        }
    };
    assert_step(observe(app(synced()), with("next", "other"), nothing), discard());
    assert_step(observe(app(synced()), with("edited", "next"), nothing), discard());
}

#[test]
fn a_pending_secret_of_which_nobody_knows_what_became_counts_as_sent_now() {
    let unmarked = |base_revision: i64| {
        move |app: &OrgOAuthApp| {
            let pending = Some(PendingSecret { base_revision, ..pending(RotationMode::Unknown) });
            holding(app, &SecretContents { pending, ..contents(app) })
        }
    };
    for base_revision in [0, 1] {
        let known = write_rotation(RotationWrite::Restored, |contents| {
            contents.pending = Some(PendingSecret { staged_at: at(2), ..pending(RotationMode::Overlap) });
        });
        assert_step(observe(app(synced()), unmarked(base_revision), nothing), known);
    }
}

#[test]
fn a_secret_that_is_staged_for_a_create_never_replaces_one_that_works() {
    let with = |next: Option<Verification>, current: Option<Verification>| {
        observe(app(json!({})), staged(RotationMode::Create), move |observed| {
            observed.observe_remote(as_wanted());
            next.into_iter().for_each(|verification| answer(observed, "next", verification));
            match current {
                Some(Verification::Refused(_)) => refuse_since(observed, "current", 60),
                Some(verification) => answer(observed, "current", verification),
                None => {}
            }
        })
    };
    let (yes, no) = (|| Some(Verification::Accepted), || Some(refused()));
    for remote in [Remote::NotRead, Remote::Listed(None)] {
        let unread = observe(app(json!({})), staged(RotationMode::Create), |observed| observed.remote = remote);
        assert_step(unread, read());
    }
    assert_step(with(None, None), verify("next"));
    // The create took hold.
    assert_step(with(yes(), None), publish(WriteReason::Replaced, "next"));
    assert_step(with(no(), None), verify("current"));
    assert_step(with(Some(not_known()), None), verify("current"));
    // The app was never gone.
    assert_step(with(no(), yes()), discard());
    assert_step(with(no(), no()), replace_secret("next", repeated()));
    assert_step(with(Some(not_known()), yes()), waits_for_proof(Retry::Backoff));
    assert_step(with(no(), Some(not_known())), waits_for_proof(Retry::Backoff));
    // The API may not know it yet.
    let soon = |seconds: i64| answered(staged(RotationMode::Create), after(at(1), seconds), refused(), no());
    assert_step(soon(119), waits_for_proof(Retry::NoLaterThan(after(at(1), 120))));
    assert_step(soon(120), replace_secret("next", repeated()));
    let code = observe(app(code()), staged(RotationMode::Create), is_shown);
    assert_step(
        code,
        replace_secret(
            "next",
            json!({"displayName": "Billing", "description": "Nightly", "grantTypes": ["authorization_code"]}),
        ),
    );
}

#[test]
fn a_secret_that_was_staged_for_a_create_that_was_refused_is_given_up() {
    let is_refused = |progress| {
        observe(app(json!({})), staged(RotationMode::Create), |observed| {
            progressed(progress)(observed);
            observed.creation = crate::decide::Creation::Refused(crate::iam::Error::Conflict("exists".into()));
            observed.observe_remote(as_wanted());
        })
    };
    assert_step(is_refused(PendingProgress::NotSent), discard());
    let is_shown_now = |observed: &mut Observed| {
        progressed(PendingProgress::NotSent)(observed);
        observed.observe_remote(as_wanted());
    };
    assert_step(observe(app(json!({})), staged(RotationMode::Create), is_shown_now), verify("next"));
    // An earlier create with it may have taken hold.
    assert_step(is_refused(PendingProgress::MaybeSent), verify("next"));
    let adopted = claimed(chosen(json!({"spec": {"adoptionPolicy": "Adopt"}, "status": {"adopted": true}})));
    // The app that was adopted instead has a secret of its own.
    assert_step(observe(adopted.clone(), staged_before_create, is_shown), discard());
    assert_step(observe(adopted, staged(RotationMode::Create), is_shown), verify("next"));
    // The app is known to have been created with it all the same.
    let was_created = observe(claimed(chosen(json!({}))), staged_before_create, |observed| {
        is_shown_now(observed);
        observed.creation = crate::decide::Creation::Refused(crate::iam::Error::Conflict("exists".into()));
    });
    assert_step(was_created, replace_secret("next", repeated()));
}

#[test]
fn a_pending_secret_of_an_app_that_is_gone_is_that_of_the_next_one() {
    for mode in [RotationMode::Create, RotationMode::Replace, RotationMode::Overlap] {
        let gone = observe(app(json!({})), staged(mode), |observed| {
            absent(10, ListCheck::NotListed)(observed);
            answer(observed, "current", refused());
        });
        assert_step(gone, create(Some("next")));
    }
}

#[test]
fn one_moment_of_refusals_replaces_no_secret_that_consumers_use() {
    let is_refused = |secrets: fn(&OrgOAuthApp) -> Secrets, seconds: i64| {
        observe(app(synced()), secrets, |observed| {
            observed.remote = as_wanted();
            refuse_since(observed, "current", seconds);
            answer(observed, "next", refused());
        })
    };
    let staged_for_overlap: fn(&OrgOAuthApp) -> Secrets = |app| staged(RotationMode::Overlap)(app);
    let staged_for_create: fn(&OrgOAuthApp) -> Secrets = |app| staged(RotationMode::Create)(app);
    let replaces = || stage(RotationMode::Replace, "next");
    for (secrets, once_neither_is_valid) in [
        (staged_for_overlap, replaces()),
        (staged_for_create, replace_secret("next", repeated())),
        (accepted, replaces()),
    ] {
        let second_refusal = Retry::NoLaterThan(after(at(2), 1));
        assert_step(is_refused(secrets, 59), waits_for_proof(second_refusal));
        assert_step(is_refused(secrets, 60), once_neither_is_valid);
    }
}

#[test]
fn while_a_secret_waits_for_the_api_the_rest_of_the_spec_is_kept_true() {
    let waiting = |remote: Remote| {
        observe(app(synced()), staged(RotationMode::Overlap), |observed| {
            observed.remote = remote;
            answer(observed, "next", not_known());
            answer(observed, "current", Verification::Accepted);
        })
    };
    // Such as the grant type that it waits for.
    let without_grant = merged(repeated(), json!({"grantTypes": []}));
    assert_step(waiting(shown(without_grant)), update(&["grantTypes"], repeated()));
    // However long it takes, it is not sent again.
    assert_step(waiting(as_wanted()), waits_for_proof(Retry::Backoff));
}
