//! A resource that is being deleted: when its app is deleted, and when the finalizer goes.

use super::fixture::*;
use crate::claim::ApiAddress;
use crate::crd::{Api, OrgOAuthApp};
use crate::decide::{Access, IdOwner, ListCheck, Observed, Remote, Step, client_id, outcome_with_retain_hint};
use crate::iam::{Deletion, Verification};
use crate::outcome::{Outcome, Retry};
use crate::reason::{Blocked, Reason};
use crate::secret::{RotationMode, SecretContents, SecretState, guard};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

const ALL: [Deletion; 4] = [Deletion::Accepted, Deletion::NotFound, Deletion::Failed, Deletion::NotOffered];

fn with(app: OrgOAuthApp, also: impl FnOnce(&mut Observed)) -> Observed {
    observe(app, free, also)
}

fn answered(deletion: Deletion, remote: Remote) -> impl FnOnce(&mut Observed) {
    move |observed| {
        observed.deletion = Some(deletion);
        observed.remote = remote;
    }
}

fn waits_to_see(words: &str, retry: Retry) -> Expected {
    waits(Reason::Deleting, words, retry)
}

fn second_read(retry: Retry) -> Expected {
    waits_to_see("a second read is to confirm that it is gone", retry)
}

fn still_shown() -> Expected {
    waits_to_see("is being deleted; the API still shows it", Retry::Backoff)
}

#[test]
fn a_deleted_resource_goes_once_the_api_no_longer_shows_its_app() {
    assert_step(with(deleting(json!({})), nothing), delete());
    for deletion in ALL {
        let after = |remote| with(deleting(json!({})), answered(deletion.clone(), remote));
        assert_step(after(Remote::NotRead), read());
        assert_step(after(Remote::Listed(None)), read());
        let accepted = deletion == Deletion::Accepted;
        assert_step(after(Remote::Absent), if accepted { drop_finalizer() } else { second_read(Retry::Backoff) });
        let not_offered = || blocked(Reason::DeletionNotOffered, "the API has no operation to delete app ooa-uid-1");
        let offered = deletion != Deletion::NotOffered;
        assert_step(after(as_wanted()), if offered { still_shown() } else { not_offered() });
    }
    let accepted_before = |seconds| {
        with(deleting(json!({})), |observed| {
            answered(Deletion::NotOffered, as_wanted())(observed);
            observed.remembered.deletion_accepted = Some(before(observed.now, seconds));
        })
    };
    // The API may show it later.
    assert_step(accepted_before(119), still_shown());
    assert_step(accepted_before(120), blocked(Reason::DeletionNotOffered, "set spec.deletionPolicy to Retain"));
}

#[test]
fn an_app_is_gone_after_two_reads_unless_a_create_may_come_to_light() {
    for deletion in ALL {
        let twice = |seconds: i64, unanswered_create: Option<i64>| {
            with(deleting(json!({})), |observed| {
                absent(seconds, ListCheck::NotAsked)(observed);
                observed.deletion = Some(deletion.clone());
                observed.remembered.unanswered_create = unanswered_create.map(|seconds| before(observed.now, seconds));
            })
        };
        let unless_accepted = |expected: Expected| match deletion {
            Deletion::Accepted => drop_finalizer(),
            Deletion::NotFound | Deletion::Failed | Deletion::NotOffered => expected,
        };
        let in_a_second = Retry::NoLaterThan(after(at(2), 1));
        assert_step(twice(9, None), unless_accepted(second_read(in_a_second)));
        assert_step(twice(10, None), drop_finalizer());
        assert_step(twice(10, Some(119)), unless_accepted(second_read(in_a_second)));
        assert_step(twice(10, Some(120)), drop_finalizer());
    }
}

#[test]
fn a_deletion_that_was_sent_is_not_sent_again_while_the_app_is_not_shown() {
    let sent = |seconds: i64, remote: Remote, sent: bool| {
        with(deleting(json!({})), |observed| {
            observed.remembered.absent_since = Some(before(observed.now, seconds));
            observed.remembered.deletion_sent = sent;
            observed.remote = remote;
        })
    };
    assert_step(sent(9, Remote::NotRead, true), second_read(Retry::NoLaterThan(after(at(2), 1))));
    assert_step(sent(10, Remote::NotRead, true), read());
    assert_step(sent(10, Remote::Absent, true), drop_finalizer());
    assert_step(sent(9, Remote::Absent, true), delete());
    assert_step(sent(10, as_wanted(), true), delete());
    for seconds in [9, 10] {
        assert_step(sent(seconds, Remote::NotRead, false), delete());
        assert_step(sent(seconds, Remote::Absent, false), delete());
    }
    // The API was not asked since.
    assert_step(with(deleting(json!({})), |observed| observed.remembered.deletion_sent = true), delete());
}

#[test]
fn an_app_that_is_not_proven_to_be_this_resources_is_never_deleted_unseen() {
    let intending = || intending(deleting(json!({"spec": {"id": "chosen"}})));
    let unseen = |seconds| with(intending(), absent(seconds, ListCheck::NotAsked));
    assert_step(with(intending(), nothing), read());
    assert_step(unseen(0), second_read(Retry::NoLaterThan(after(at(2), 10))));
    assert_step(unseen(10), drop_finalizer());
    let soon = |seconds| {
        observe(intending(), staged_before_create, |observed| {
            observed.now = after(at(1), seconds);
            absent(10, ListCheck::NotAsked)(observed);
        })
    };
    // A create may still come to light.
    assert_step(soon(119), second_read(Retry::NoLaterThan(after(at(1), 120))));
    assert_step(soon(120), remove_secret("billing-rotation"));
    let unknown = |observed: &mut Observed| {
        is_shown(observed);
        answer(observed, "next", not_known());
    };
    let words = "whether it is this resource's: unauthorized_client; to delete this resource without its app";
    assert_step(
        observe(intending(), staged_before_create, unknown),
        waits(Reason::SecretNotProven, words, Retry::Backoff),
    );
    // Once the deletion was sent, its answer counts.
    let sent = |observed: &mut Observed| answered(Deletion::Accepted, Remote::Absent)(observed);
    assert_step(observe(intending(), staged_before_create, sent), remove_secret("billing-rotation"));
}

#[test]
fn an_id_that_was_never_claimed_is_never_deleted() {
    let chosen = |more: Value| deleting(merged(json!({"spec": {"id": "chosen"}}), more));
    assert_step(observe(chosen(json!({})), free, nothing), drop_finalizer());
    assert_step(observe(chosen(json!({})), foreign, nothing), drop_finalizer());
    // It may be forged.
    assert_step(observe(chosen(json!({"status": {"clientId": "chosen"}})), free, nothing), drop_finalizer());
    assert_step(observe(claimed(chosen(json!({}))), free, nothing), delete());
}

#[test]
fn a_restored_resource_deletes_its_app_only_by_the_claim_on_its_secret() {
    let chosen = || deleting(json!({"spec": {"id": "chosen"}}));
    // A Secret with the client id proves nothing.
    let forged = |app: &OrgOAuthApp| holding(app, &SecretContents { claim: None, ..contents(app) });
    assert_step(observe(chosen(), forged, nothing), drop_finalizer());
    let mut before = chosen();
    before.metadata.uid = Some("uid-0".into());
    let with = |id_owner, remote, verification: Option<Verification>| {
        let restored = |_: &OrgOAuthApp| published(&before);
        observe(chosen(), restored, |observed| {
            observed.id_owner = id_owner;
            observed.remote = remote;
            verification.into_iter().for_each(|verification| answer(observed, "current", verification));
        })
    };
    assert_step(with(IdOwner::NotRead, Remote::NotRead, None), find_id_owner());
    assert_step(with(IdOwner::Has(Box::new(chosen())), Remote::NotRead, None), drop_finalizer());
    assert_step(with(IdOwner::None, Remote::NotRead, None), read());
    assert_step(with(IdOwner::None, as_wanted(), None), verify("current"));
    assert_step(with(IdOwner::None, as_wanted(), Some(Verification::Accepted)), delete());
    // Somebody else created it again. The Secret is of a resource before this one, so that Kubernetes does not collect it.
    assert_step(with(IdOwner::None, as_wanted(), Some(refused())), remove_secret("billing"));
    assert_step(with(IdOwner::None, operators_own(), None), drop_finalizer());
}

#[test]
fn where_a_404_may_come_from_anywhere_the_list_has_to_say_that_the_app_is_gone() {
    let gone = |list| {
        let mut observed = observe(deleting(json!({})), free, |observed| {
            answered(Deletion::NotFound, Remote::NotRead)(observed);
            absent(10, list)(observed);
        });
        observed.access = access(ApiAddress::new(Api::IdentityBroker, "https://iam.example.com", &[]), true);
        observed.recorded_claim =
            Some(key().sign(&observed.app, observed.address().unwrap(), &client_id(&observed.app), true));
        observed
    };
    assert_step(gone(ListCheck::NotAsked), confirm_absence(0));
    assert_step(gone(ListCheck::Listed), waits(Reason::Deleting, "the API still shows it", Retry::Backoff));
    assert_step(gone(ListCheck::NotListed), drop_finalizer());
}

#[test]
fn a_secret_that_kubernetes_does_not_collect_is_removed_with_its_app() {
    let gone = |policy: &str, secrets: fn(&OrgOAuthApp) -> Secrets| {
        observe(deleting(json!({"spec": {"deletionPolicy": policy}})), secrets, |observed| {
            answered(Deletion::Accepted, Remote::Absent)(observed);
            observed.pods_using = Some(Vec::new());
        })
    };
    assert_step(gone("DeleteWhenUnused", published), remove_secret("billing"));
    assert_step(gone("DeleteWhenUnused", free), drop_finalizer());
    let rotation_only: fn(&OrgOAuthApp) -> Secrets =
        |app| Secrets { rotation: staged(RotationMode::Overlap)(app).rotation, ..free(app) };
    assert_step(gone("DeleteWhenUnused", rotation_only), remove_secret("billing-rotation"));
    // Kubernetes collects it.
    assert_step(gone("Delete", published), drop_finalizer());
}

#[test]
fn an_app_that_is_in_use_is_deleted_when_it_is_not_any_more() {
    let used_by = |users: Option<&[&str]>| {
        let deleting = deleting(json!({"spec": {"deletionPolicy": "DeleteWhenUnused"}}));
        with(deleting, |observed| {
            observed.pods_using = users.map(|users| users.iter().map(ToString::to_string).collect())
        })
    };
    let in_use = |pods: &str| {
        let words =
            format!("Secret billing or billing-rotation is used by pods {pods}; the app is deleted when they are gone");
        waits(Reason::InUse, &words, Retry::Backoff)
    };
    assert_step(used_by(None), find_users(&["billing", "billing-rotation"]));
    assert_step(used_by(Some(&[])), delete());
    assert_step(used_by(Some(&["a"])), in_use("a"));
    assert_step(used_by(Some(&["a", "b", "c", "d", "e"])), in_use("a, b, c, d, e"));
    assert_step(used_by(Some(&["a", "b", "c", "d", "e", "f", "g"])), in_use("a, b, c, d, e and 2 more"));
    let beside_others = |app: &OrgOAuthApp| Secrets { rotation: SecretState::Foreign { app: None }, ..published(app) };
    let deleting_used = deleting(json!({"spec": {"deletionPolicy": "DeleteWhenUnused"}}));
    assert_step(observe(deleting_used, beside_others, nothing), find_users(&["billing"]));
    // Otherwise pods are not looked for.
    assert_step(with(deleting(json!({})), |observed| observed.pods_using = Some(vec!["a".into()])), delete());
}

#[test]
fn deletion_without_a_connection_says_how_to_release_the_app() {
    let refused = || Access::Refused(Blocked::new(Reason::ConnectionNotFound, "there is no IamConnection x"));
    let begin = |app| Observed::new(app, refused(), key(), at(2), secret("generated"));
    let hint =
        "there is no IamConnection x; to delete this resource without its app, set spec.deletionPolicy to Retain";
    let not_found = || blocked(Reason::ConnectionNotFound, hint);
    assert_step(begin(claimed(deleting(json!({})))), not_found());
    assert_step(observe(deleting(json!({})), published, |observed| connect(observed, refused())), not_found());
    let mut intending = begin(intending(deleting(json!({"spec": {"id": "chosen"}}))));
    assert_step(&intending, read_secrets());
    intending.hold(Secrets::only(crate::secret::SecretState::Absent));
    assert_step(intending, not_found());
    let retained = begin(claimed(deleting(json!({"spec": {"deletionPolicy": "Retain"}}))));
    assert_steps(
        retained,
        [
            (read_secrets(), |observed| observed.hold(published(&observed.app))),
            (release_secret("billing"), |observed| {
                observed.hold(Secrets::only(guard(&observed.app, &key(), Some(Secret::default()))));
            }),
            (drop_finalizer(), nothing),
        ],
    );
}

#[test]
fn of_a_released_resource_the_secret_stays_and_the_one_of_a_rotation_only_while_something_is_pending() {
    let retained = || deleting(json!({"spec": {"deletionPolicy": "Retain"}}));
    let with_previous =
        |app: &OrgOAuthApp| holding(app, &SecretContents { previous: previous("before", at(49)), ..contents(app) });
    assert_step(observe(retained(), published, nothing), release_secret("billing"));
    assert_step(observe(retained(), with_previous, nothing), remove_secret("billing-rotation"));
    assert_step(observe(retained(), staged(RotationMode::Overlap), nothing), release_secret("billing"));
}

#[test]
fn only_an_outcome_that_is_no_progress_says_how_to_release_the_app() {
    for outcome in [Outcome::Settled { wake: None }, Outcome::Suspended, Outcome::Gone] {
        assert_eq!(Step::Finish(outcome_with_retain_hint(outcome.clone())), Step::Finish(outcome));
    }
}
