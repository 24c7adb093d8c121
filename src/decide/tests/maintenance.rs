//! The maintenance of a credential that is in the Secret: an edited Secret is restored, an edited value is verified. When another
//! secret is wanted is in `schedule`.

use super::fixture::*;
use crate::crd::{OrgOAuthApp, ROTATE_REQUESTED};
use crate::decide::{Observed, RotationWrite, SecretWriteProgress, Step, WriteReason, client_id, decide};
use crate::iam::{ClientId, Verification};
use crate::reason::Reason;
use crate::secret::{ProvidedSecret, RotationMode, SecretContents, SecretState, SecretWrite, guard};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

fn labeled(team: &str) -> OrgOAuthApp {
    app(merged(synced(), json!({"spec": {"secret": {"labels": {"team": team}}}})))
}

/// The Secrets of a resource with another label.
fn relabeled(_: &OrgOAuthApp) -> Secrets {
    published(&labeled("a"))
}

#[test]
fn what_was_edited_in_the_secret_is_restored() {
    assert_step(observe(labeled("b"), relabeled, nothing), write_secret(WriteReason::Restored, |_| {}));
    let of_another_app = |app: &OrgOAuthApp| {
        holding(app, &SecretContents { client_id: Some(ClientId("other".into())), ..contents(app) })
    };
    assert_step(observe(app(synced()), of_another_app, nothing), write_secret(WriteReason::Restored, |_| {}));
    let without_key = |app: &OrgOAuthApp| holding(app, &SecretContents { extra: Default::default(), ..contents(app) });
    assert_step(observe(app(synced()), without_key, nothing), write_secret(WriteReason::Restored, |_| {}));
    let without_claim = |app: &OrgOAuthApp| holding(app, &SecretContents { claim: None, ..contents(app) });
    assert_step(observe(app(synced()), without_claim, nothing), write_secret(WriteReason::Signed, |_| {}));
}

#[test]
fn what_kubernetes_makes_of_the_secret_is_not_fought_over() {
    for progress in [SecretWriteProgress::Unknown, SecretWriteProgress::Accepted] {
        let observed = observe(labeled("b"), relabeled, |observed| observed.secret_write = progress);
        assert_step(observed, write_secret(WriteReason::Restored, |_| {}));
    }
    for progress in [SecretWriteProgress::Written, SecretWriteProgress::Overridden] {
        let written = |observed: &mut Observed| {
            observed.secret_write = progress;
            observed.remote = as_wanted();
        };
        assert_step(observe(labeled("b"), relabeled, written), settled());
    }
}

fn immutable_secret(app: &OrgOAuthApp) -> SecretState {
    match SecretState::Absent.write(app, &contents(app)) {
        Some(SecretWrite::Create(secret)) => guard(app, &key(), Some(Secret { immutable: Some(true), ..secret })),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_immutable_secret_with_a_credential_is_fine_and_is_replaced_whole_when_it_must_change() {
    let immutable = |app: &OrgOAuthApp| Secrets::only(immutable_secret(app));
    assert_step(observe(app(json!({})), immutable, is_shown), settled());
    let due = app(overlapping("10h", "2h"));
    assert_step(observe(due.clone(), immutable, is_shown_at(at(11))), stage(RotationMode::Overlap, "generated"));
    let next = contents(&due).publish(&due, &client_id(&due), Some(secret("next")), at(11));
    let rotated = immutable_secret(&due).write(&due, &next);
    let Some(SecretWrite::Recreate { new, .. }) = rotated else { panic!("{rotated:?}") };
    assert_eq!(new.data.unwrap()["client-secret"].0, b"next", "in one step");
    assert_eq!((new.immutable, new.metadata.resource_version), (None, None));
    let relabeled = immutable_secret(&labeled("b")).write(&labeled("b"), &contents(&labeled("b")));
    assert!(matches!(relabeled, Some(SecretWrite::Replace(_))), "its labels can be changed");
}

#[test]
fn a_previous_secret_that_is_no_longer_valid_is_removed() {
    let with_previous = |app: &OrgOAuthApp| {
        holding(app, &SecretContents { previous: previous("before", at(12)), revision: 2, ..contents(app) })
    };
    let over = write_rotation(RotationWrite::Cleared, |contents| contents.previous = None);
    assert_step(observe(app(json!({})), with_previous, is_shown_at(at(12))), over);
    let just_before = |observed: &mut Observed| {
        is_shown_at(before(at(12), 1))(observed);
        observed.remembered.consumers_searched = Some((2, observed.now));
    };
    assert_step(observe(app(json!({})), with_previous, just_before), settled_until(at(12)));
}

#[test]
fn an_edited_value_is_verified_or_reported() {
    let with = |verification: Option<Verification>| {
        observe(app(json!({})), edited, |observed| {
            observed.remote = as_wanted();
            verification.into_iter().for_each(|verification| answer(observed, "edited", verification));
        })
    };
    assert_step(with(None), verify("edited"));
    assert_step(with(Some(Verification::Accepted)), publish(WriteReason::Verified, "edited"));
    let secret_edited = || blocked(Reason::SecretTampered, "the client secret in Secret billing was edited");
    assert_step(with(Some(refused())), secret_edited());
    assert_step(with(Some(not_known())), secret_edited());
}

#[test]
fn a_rotation_that_is_requested_is_not_taken_for_done_when_an_edited_value_turns_out_to_be_valid() {
    let before = app(synced());
    let contents = SecretContents { current: Some(secret("edited")), revision: 2, ..contents(&before) };
    let contents = SecretContents { rotated_at: Some(at(2)), rotate_requested: Some("1".into()), ..contents };
    let secrets = holding(&before, &contents);
    let asked = app(merged(synced(), annotated(ROTATE_REQUESTED, "2")));
    let observed = observe(
        asked,
        |_| secrets,
        |observed| {
            is_shown(observed);
            answer(observed, "edited", Verification::Accepted);
        },
    );
    match decide(&observed) {
        Step::WriteSecret(written, WriteReason::Verified) => assert_eq!(written.rotate_requested, Some("1".into())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn where_no_token_can_tell_an_edited_value_is_trusted_only_if_nothing_says_what_was_published() {
    let shown = |observed: &mut Observed| observed.remote = shown(merged(repeated(), code()["spec"].clone()));
    let secret_edited = blocked(Reason::SecretTampered, "set the annotation oauth-apps.dev/rotate-requested-at");
    assert_step(observe(app(code()), edited, shown), secret_edited);
    let unmarked = |app: &OrgOAuthApp| {
        holding(app, &SecretContents { current: Some(secret("edited")), checksum: None, ..contents(app) })
    };
    assert_step(observe(app(code()), unmarked, nothing), publish(WriteReason::Verified, "edited"));
}

/// A resource with a provided secret.
fn providing(name: &str, also: impl FnOnce(&mut Observed)) -> Observed {
    let providing = app(json!({"spec": {"clientSecretRef": {"name": "mine", "key": "value"}}}));
    observe(providing, published, |observed| {
        observed.remote = as_wanted();
        observed.provided = Some(ProvidedSecret::Value(secret(name)));
        also(observed);
    })
}

#[test]
fn a_provided_secret_is_the_one_that_consumers_find() {
    assert_step(providing("current", nothing), settled());
    assert_step(providing("provided", nothing), stage(RotationMode::Overlap, "provided"));
    let asked = |observed: &mut Observed| {
        observed.app.metadata.annotations = Some([(ROTATE_REQUESTED.to_owned(), "now".to_owned())].into());
    };
    assert_step(providing("current", asked), stage(RotationMode::Replace, "current"));
    // An interval is not for a secret that is provided.
    let due = |observed: &mut Observed| {
        observed.app.spec.rotation = app(overlapping("10h", "2h")).spec.rotation;
        observed.now = at(11);
    };
    // While the previous one is valid the API may refuse a further one.
    let overlapping = |observed: &mut Observed| {
        let contents = SecretContents { previous: previous("before", at(12)), ..contents(&observed.app) };
        observed.hold(holding(&observed.app, &contents));
        observed.remembered.consumers_searched = Some((1, at(2)));
    };
    assert_step(providing("provided", overlapping), settled_until(after(at(2), 45 * 60)));
    let next = stage(RotationMode::Overlap, "provided");
    assert_step(providing("provided", due), next);
    assert_step(providing("current", due), settled());
    let public = |observed: &mut Observed| observed.app.spec.public_client = Some(true);
    assert_step(providing("provided", public), settled());
}

#[test]
fn a_provided_secret_that_was_edited_is_restored_once_the_previous_one_has_ended() {
    let is_edited = |previous_until: Option<i64>| {
        providing("current", |observed| {
            let previous = previous_until.and_then(|hour| previous("before", at(hour)));
            let current = Some(secret("edited"));
            let contents = SecretContents { current, previous, ..contents(&observed.app) };
            observed.hold(holding(&observed.app, &contents));
        })
    };
    let restored = || write_secret(WriteReason::Restored, |contents| contents.current = Some(secret("current")));
    assert_step(is_edited(None), restored());
    assert_step(is_edited(Some(2)), restored());
    assert_step(is_edited(Some(3)), verify("edited"));
}
