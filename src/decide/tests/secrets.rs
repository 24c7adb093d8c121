//! The Secrets are known before anything is decided about the app, and only those of the resource are touched.

use super::fixture::*;
use crate::crd::{KeyRef, OrgOAuthApp, ROTATE_REQUESTED};
use crate::decide::{Observed, RotationWrite, WriteReason};
use crate::iam::ClientId;
use crate::outcome::Retry;
use crate::reason::Reason;
use crate::secret::{
    ProvidedSecret, ProvidedSecretError, RotationMode, SecretContents, SecretState, SecretWrite, guard,
};
use serde_json::{Value, json};

#[test]
fn a_provided_secret_that_cannot_be_used_is_reported_before_any_call() {
    let providing = |provided| {
        let providing = app(json!({"spec": {"clientSecretRef": {"name": "mine", "key": "value"}}}));
        observe(providing, free, |observed| observed.provided = provided)
    };
    assert_step(providing(None), read_provided_secret());
    let error = ProvidedSecretError::MissingKey(KeyRef { name: "mine".into(), key: "value".into() });
    let missing = ProvidedSecret::Missing(error);
    let invalid = blocked(Reason::SecretRefInvalid, "Secret mine has no key value");
    assert_step(providing(Some(missing)), invalid);
    assert_step(providing(Some(ProvidedSecret::Value(secret("provided")))), create(Some("provided")));
}

#[test]
fn the_secret_of_the_rotation_is_guarded_like_the_other_one() {
    let foreign = |app: &OrgOAuthApp| Secrets { rotation: SecretState::Foreign { app: None }, ..published(app) };
    // Nothing has to be written there.
    assert_step(observe(app(json!({})), foreign, is_shown), settled());
    let before = |_: &OrgOAuthApp| foreign(&app(json!({})));
    let asked = app(annotated(ROTATE_REQUESTED, "now"));
    let conflict = blocked(Reason::SecretConflict, "Secret billing-rotation, which a rotation needs, exists");
    assert_step(observe(asked, before, is_shown), conflict);
}

#[test]
fn nobody_is_told_to_remove_a_secret_that_may_be_in_use() {
    let controlled = |controller: Option<&str>| SecretState::Foreign { app: controller.map(str::to_owned) };
    let conflict = |controller, words: &str| {
        let taken = observe(app(json!({})), |_| Secrets::only(controlled(controller)), nothing);
        assert_step(
            taken,
            blocked(
                Reason::SecretConflict,
                &format!("Secret billing exists and is not controlled by this resource{words}"),
            ),
        );
    };
    let unless_unused = "; choose another spec.secret.name, or remove the Secret if nothing uses it";
    conflict(None, unless_unused);
    // An earlier resource of this name.
    conflict(Some("billing"), unless_unused);
    conflict(Some("other"), " but by OrgOAuthApp other; choose another spec.secret.name");
    let conflict = |controller, words: &str| {
        let rotation = |_: &OrgOAuthApp| Secrets { rotation: controlled(controller), ..published(&app(json!({}))) };
        let asked = observe(app(annotated(ROTATE_REQUESTED, "now")), rotation, is_shown);
        let before = "Secret billing-rotation, which a rotation needs, exists and is not controlled by this resource";
        assert_step(asked, blocked(Reason::SecretConflict, &format!("{before}{words}")));
    };
    conflict(None, "; give it another name, or remove it if nothing uses it");
    let there = " but by OrgOAuthApp billing-rotation; set another spec.secret.name there";
    conflict(Some("billing-rotation"), there);
}

#[test]
fn the_claim_on_the_secret_of_the_rotation_is_renewed() {
    let unsigned = |app: &OrgOAuthApp| {
        let contents = SecretContents { previous: previous("before", at(3)), ..contents(app) };
        let rotation = holding(app, &SecretContents { claim: None, ..contents.clone() }).rotation;
        Secrets { rotation, ..holding(app, &contents) }
    };
    assert_step(observe(app(json!({})), unsigned, nothing), write_rotation(RotationWrite::Restored, |_| {}));
}

/// The same Secret as one that is being deleted and kept by a finalizer.
fn being_deleted(app: &OrgOAuthApp, write: Option<SecretWrite>) -> SecretState {
    let Some(SecretWrite::Create(secret)) = write else { panic!("{write:?}") };
    let mut secret = json!(secret);
    secret["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    guard(app, &key(), Some(serde_json::from_value(secret).unwrap()))
}

#[test]
fn a_secret_that_is_being_deleted_is_waited_for() {
    let waits_for = |name: &str| {
        let words = format!("Secret {name} is being deleted and kept by a finalizer");
        waits(Reason::SecretNotWritten, &words, Retry::Backoff)
    };
    let consumers =
        |app: &OrgOAuthApp| Secrets::only(being_deleted(app, SecretState::Absent.write(app, &contents(app))));
    assert_step(observe(app(json!({})), consumers, nothing), waits_for("billing"));
    let rotation = |app: &OrgOAuthApp| {
        let contents = SecretContents { previous: previous("before", at(3)), ..contents(app) };
        let rotation = being_deleted(app, SecretState::Absent.write_rotation(app, &contents));
        Secrets { rotation, ..holding(app, &contents) }
    };
    assert_step(observe(app(json!({})), rotation, nothing), waits_for("billing-rotation"));
}

fn renamed(more: Value) -> OrgOAuthApp {
    app(merged(merged(synced(), json!({"spec": {"secret": {"name": "new"}}})), more))
}

#[test]
fn a_credential_under_an_earlier_name_is_moved_and_then_removed_there() {
    let with = |secrets: fn(&OrgOAuthApp) -> Secrets, former: Option<SecretState>| {
        observe(renamed(json!({})), secrets, |observed| observed.old_name_secret = former)
    };
    let former = || published(&app(json!({}))).consumers;
    assert_step(with(free, None), read_old_name_secret("billing"));
    let SecretContents { client_id, checksum, revision, rotated_at, .. } = contents(&app(json!({})));
    let moved = write_secret(WriteReason::Moved, move |contents| {
        contents.client_id.clone_from(&client_id);
        contents.checksum.clone_from(&checksum);
        contents.current = Some(secret("current"));
        contents.revision = revision;
        contents.rotated_at = rotated_at;
    });
    assert_step(with(free, Some(former())), moved);
    assert_step(with(published, Some(former())), remove_old_name_secret("billing"));
    assert_step(with(published, Some(SecretState::Foreign { app: None })), find_in_list());
    assert_step(with(published, Some(SecretState::Absent)), find_in_list());
}

#[test]
fn while_the_old_secret_exists_it_is_authoritative() {
    let stale = |app: &OrgOAuthApp| holding(app, &SecretContents { current: Some(secret("stale")), ..contents(app) });
    let former = published(&app(json!({}))).consumers;
    let observed =
        observe(renamed(json!({})), stale, |observed: &mut Observed| observed.old_name_secret = Some(former));
    let moved = write_secret(WriteReason::Moved, |contents| contents.current = Some(secret("current")));
    assert_step(observed, moved);
    // One that holds no credential has nothing to say.
    let empty = app(json!({}));
    let empty = holding(&empty, &SecretContents { current: None, ..contents(&empty) }).consumers;
    let observed = observe(renamed(json!({})), published, |observed| observed.old_name_secret = Some(empty));
    assert_step(observed, remove_old_name_secret("billing"));
}

#[test]
fn a_credential_that_was_moved_is_not_moved_again() {
    let with = |secrets: fn(&OrgOAuthApp) -> Secrets, former: fn(&mut SecretContents)| {
        let before = app(json!({}));
        let mut contents = contents(&before);
        former(&mut contents);
        let former = holding(&before, &contents).consumers;
        observe(renamed(json!({})), secrets, |observed| observed.old_name_secret = Some(former))
    };
    let rotating = |app: &OrgOAuthApp| {
        let previous = previous("before", at(3));
        holding(app, &SecretContents { pending: Some(pending(RotationMode::Overlap)), previous, ..contents(app) })
    };
    for moved in [
        with(published, |former| former.claim = None),
        with(published, |former| former.client_id = Some(ClientId("edited".into()))),
        with(rotating, |_| {}),
    ] {
        assert_step(moved, remove_old_name_secret("billing"));
    }
}
