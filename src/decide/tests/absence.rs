//! What it takes until an app counts as gone, and an id as free.

use super::fixture::*;
use crate::crd::OrgOAuthApp;
use crate::decide::{ClaimOrigin, IdOwner, ListCheck, Observed, Remote};
use crate::iam::Verification;
use crate::outcome::Retry;
use crate::reason::Reason;
use crate::secret::RotationMode;
use serde_json::json;

fn waits_for(words: &str, retry: Retry) -> Expected {
    waits(Reason::AppNotShown, words, retry)
}

#[test]
fn one_404_changes_nothing_and_an_app_is_gone_once_a_pause_the_list_and_a_token_request_say_so() {
    let with = |witnesses: &dyn Fn(&mut Observed)| observe(app(json!({})), published, witnesses);
    let second_read = |seconds| waits_for("a second read is to confirm it", Retry::NoLaterThan(after(at(2), seconds)));
    assert_step(with(&|observed| observed.observe_remote(Remote::Absent)), second_read(10));
    assert_step(with(&absent(9, ListCheck::NotListed)), second_read(1));
    assert_step(with(&absent(10, ListCheck::NotAsked)), confirm_absence(10));
    assert_step(
        with(&absent(10, ListCheck::Listed)),
        waits_for("the list of its organization shows it", Retry::Backoff),
    );
    for list in [ListCheck::Unsupported, ListCheck::NotListed] {
        let answered = |verification: Verification| {
            with(&move |observed: &mut Observed| {
                absent(10, list)(observed);
                answer(observed, "current", verification.clone());
            })
        };
        assert_step(with(&absent(10, list)), verify("current"));
        let accepted = observe(app(json!({})), published, |observed| {
            answer(observed, "current", Verification::Accepted);
            absent(10, list)(observed);
        });
        assert_step(accepted, waits_for("it issues tokens for its client secret", Retry::Backoff));
        // What issues tokens is there, so the absence begins again.
        let begins_again = waits_for("a second read is to confirm it", Retry::Backoff);
        assert_step(answered(Verification::Accepted), begins_again);
        // The new secret is durable before the app is created again.
        assert_step(answered(refused()), stage(RotationMode::Create, "generated"));
        assert_step(answered(not_known()), stage(RotationMode::Create, "generated"));
    }
    // Nothing can be lost.
    assert_step(observe(app(json!({})), free, absent(0, ListCheck::NotAsked)), create(None));
}

#[test]
fn where_no_token_can_tell_an_app_is_not_gone_just_after_it_was_created() {
    let gone = |seconds| {
        observe(app(code()), published, |observed| {
            observed.now = after(at(0), seconds);
            absent(10, ListCheck::NotListed)(observed);
        })
    };
    let words = "it was created or changed less than two minutes ago";
    assert_step(gone(119), waits_for(words, Retry::NoLaterThan(second(120))));
    assert_step(gone(120), stage(RotationMode::Create, "generated"));
    // Where a token request can tell, nothing has to be waited for.
    let provable = observe(app(json!({})), published, |observed| {
        observed.now = second(60);
        absent(10, ListCheck::NotListed)(observed);
    });
    assert_step(provable, verify("current"));
}

#[test]
fn the_first_read_that_does_not_show_an_app_counts_until_the_app_is_shown() {
    let mut observed = observe(app(json!({})), published, nothing);
    for (hour, remote, since) in [
        (2, Remote::Absent, Some(at(2))),
        (3, Remote::Absent, Some(at(2))),
        (4, Remote::Listed(None), Some(at(2))),
        (5, Remote::NotRead, Some(at(2))),
        (6, as_wanted(), None),
        (7, Remote::Absent, Some(at(7))),
        (8, listed(as_wanted()), None),
        (9, Remote::Absent, Some(at(9))),
        (10, Remote::JustCreated, None),
    ] {
        observed.now = at(hour);
        observed.observe_remote(remote);
        assert_eq!(observed.remembered.absent_since, since, "in hour {hour}");
    }
    observed.observe_remote(Remote::Absent);
    answer(&mut observed, "current", refused());
    assert_eq!(observed.remembered.absent_since, Some(at(10)));
    answer(&mut observed, "current", Verification::Accepted);
    assert_eq!(observed.remembered.absent_since, None);
}

#[test]
fn a_chosen_id_of_an_app_without_tokens_of_its_own_needs_two_witnesses_that_it_is_free() {
    let with = |app: OrgOAuthApp, seconds, list| {
        observe(app, free, |observed| {
            absent(seconds, list)(observed);
            observed.id_owner = IdOwner::None;
        })
    };
    let id = || chosen(code());
    assert_step(with(id(), 0, ListCheck::NotAsked), confirm_absence(0));
    let shows = waits_for("the list of its organization shows it", Retry::Backoff);
    assert_step(with(id(), 0, ListCheck::Listed), shows);
    assert_step(with(id(), 0, ListCheck::NotListed), claim(ClaimOrigin::New));
    let second_read = waits_for("a second read is to confirm it", Retry::NoLaterThan(after(at(2), 10)));
    assert_step(with(id(), 0, ListCheck::Unsupported), second_read);
    assert_step(with(id(), 10, ListCheck::Unsupported), claim(ClaimOrigin::New));
    // A token tells afterwards whose an app is.
    assert_step(with(chosen(json!({})), 0, ListCheck::NotAsked), claim(ClaimOrigin::New));
}
