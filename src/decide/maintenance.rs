//! The maintenance of a credential that is in the Secret: whether another secret is wanted, whether an edited value is valid, and
//! whether the Secret holds what it should.

use super::consumers;
use super::fill_in::with_template_keys;
use super::first_secret;
use super::model::{Observed, SecretWriteProgress, Validity};
use super::overlap_end;
use super::ownership::{is_adopted_without_secret, signed_claim};
use super::resource::is_public;
use super::rotation::apply_pending;
use super::schedule::{
    RotationWaits, is_requested, late_end, min_interval_end, next_rotation, previous_end, previous_is_valid,
    requested_rotation_waits,
};
use super::step::{Next, RotationWrite, Step, WriteReason};
use super::verification::{confirmed_refusal, next_check, verify};
use super::writes::{stage, write, write_rotation};
use crate::crd::{OrgOAuthApp, ROTATE_REQUESTED};
use crate::iam::ClientSecret;
use crate::iam::app_fields::Fields;
use crate::outcome::{Outcome, Retry};
use crate::reason::{Blocked, Reason};
use crate::secret::{RotationMode, SecretContents, SecretState, secret_name};
use k8s_openapi::jiff::Timestamp;

/// What is to be done until the Secret holds a credential, and no rotation of it is due or requested.
pub(super) fn step(observed: &Observed, fields: &Fields) -> Next {
    let contents = observed.contents();
    if let Some(step) = migrate_secret(observed, contents) {
        return Ok(Some(step));
    }
    if let Some(pending) = &contents.pending {
        return Ok(apply_pending(observed, fields, contents, pending));
    }
    if has_credential(observed, contents) {
        maintain(observed, contents)
    } else {
        first_secret::issue(observed, fields).map(Some)
    }
}

/// While the old Secret exists it is authoritative; the one under the new name may be stale.
fn migrate_secret(observed: &Observed, contents: &SecretContents) -> Option<Step> {
    let old = observed.old_name_secret.as_ref()?.owned()?;
    let moved = old.contents();
    // The claim is made again, and the rotation is in another Secret, so they are not compared.
    let SecretContents { claim, pending, previous, .. } = contents.clone();
    let moved = SecretContents { client_id: Some(observed.client_id()), claim, pending, previous, ..moved };
    if *contents == moved || !has_credential(observed, &moved) {
        return Some(Step::RemoveOldNameSecret(old.clone()));
    }
    Some(Step::WriteSecret(moved, WriteReason::Moved))
}

fn has_credential(observed: &Observed, contents: &SecretContents) -> bool {
    let needs_none =
        is_public(&observed.app) || (is_adopted_without_secret(observed) && observed.provided_secret().is_none());
    contents.current.is_some() || (needs_none && contents.client_id.is_some())
}

/// The Secret holds a credential: is it time for another one, and does the Secret hold what it should?
fn maintain(observed: &Observed, contents: &SecretContents) -> Next {
    if let Some(step) = overlap_end::step(observed, contents) {
        return Ok(Some(step));
    }
    if let Some(step) = rotation_step(observed, contents) {
        return Ok(Some(step));
    }
    if contents.previous.is_some() && !previous_is_valid(observed, contents) {
        let contents = SecretContents { previous: None, ..contents.clone() };
        return Ok(Some(write_rotation(observed, contents, RotationWrite::Cleared)));
    }
    if let Some(step) = verify_edited_value(observed, contents) {
        return Ok(Some(step));
    }
    match sign_rotation(observed, contents) {
        Some(step) => Ok(Some(step)),
        None => restore(observed, contents),
    }
}

/// The Secret of the rotation may be there for long, and its claim says whose it is.
fn sign_rotation(observed: &Observed, contents: &SecretContents) -> Option<Step> {
    let secret = observed.rotation_secret()?.owned()?;
    let is_signed_otherwise = signed_claim(observed).is_some_and(|claim| secret.claim() != Some(&claim));
    is_signed_otherwise.then(|| write_rotation(observed, contents.clone(), RotationWrite::Restored))
}

/// What differs from what it should be is written again, unless Kubernetes made it so.
fn restore(observed: &Observed, contents: &SecretContents) -> Next {
    let app = &observed.app;
    let contents = SecretContents { client_id: Some(observed.client_id()), ..contents.clone() };
    let wanted = with_template_keys(observed, contents)?;
    let is_left = match observed.secret_write {
        SecretWriteProgress::Written | SecretWriteProgress::Overridden => true,
        SecretWriteProgress::Unknown | SecretWriteProgress::Accepted => false,
    };
    let Some(secret) = observed.secret().and_then(SecretState::owned) else { return Ok(None) };
    if is_left || secret.matches(app, &wanted) {
        return Ok(None);
    }
    let as_signed = SecretContents { claim: secret.claim().cloned(), ..wanted.clone() };
    let reason = if secret.matches(app, &as_signed) { WriteReason::Signed } else { WriteReason::Restored };
    Ok(Some(Step::WriteSecret(wanted, reason)))
}

/// Which secret is wanted instead of the current one.
enum Wanted<'a> {
    /// None.
    Current,
    /// The current one again, which was edited.
    Restored(&'a ClientSecret),
    /// Another one.
    Other(&'a ClientSecret, RotationMode),
}

fn wanted<'a>(observed: &'a Observed, contents: &SecretContents) -> Wanted<'a> {
    let app = &observed.app;
    if is_public(app) {
        return Wanted::Current;
    }
    // The secret of an app that was adopted is not the operator's to replace unasked.
    let is_refused = !is_adopted_without_secret(observed) && confirmed_refusal(observed, contents).is_some();
    let is_to_be_replaced = is_requested(app, contents) || is_refused;
    if let Some(secret) = observed.provided_secret() {
        return wanted_of_provided(app, contents, secret, is_to_be_replaced);
    }
    let is_due = next_rotation(app, contents).is_some_and(|at| at <= observed.now);
    if is_to_be_replaced || is_due {
        Wanted::Other(&observed.generated_secret, RotationMode::Overlap)
    } else {
        Wanted::Current
    }
}

fn wanted_of_provided<'a>(
    app: &OrgOAuthApp,
    contents: &SecretContents,
    secret: &'a ClientSecret,
    is_to_be_replaced: bool,
) -> Wanted<'a> {
    if !contents.was_published(app, secret) {
        return Wanted::Other(secret, RotationMode::Overlap);
    }
    if is_to_be_replaced {
        return Wanted::Other(secret, RotationMode::Replace);
    }
    if contents.is_edited(app) { Wanted::Restored(secret) } else { Wanted::Current }
}

/// The step that leads to the secret that is wanted. A rotation waits while the
/// previous secret is valid, since the API may refuse a further one, for the least interval between two rotations, and while a
/// request may arrive that would end its overlap.
fn rotation_step(observed: &Observed, contents: &SecretContents) -> Option<Step> {
    let previous_is_valid = previous_is_valid(observed, contents);
    match wanted(observed, contents) {
        Wanted::Current => None,
        Wanted::Restored(secret) => {
            let contents = SecretContents { current: Some(secret.clone()), ..contents.clone() };
            (!previous_is_valid).then(|| write(observed, contents, WriteReason::Restored))
        }
        Wanted::Other(secret, mode) => {
            if min_interval_end(observed, contents).is_some() {
                return None;
            }
            if !previous_is_valid {
                let may_begin = mode != RotationMode::Overlap || late_end(observed).is_none();
                return may_begin.then(|| stage(observed, contents, secret, mode));
            }
            // The published value is already invalid, so it is replaced without waiting for the overlap.
            is_replaced_at_once(observed, contents).then(|| stage(observed, contents, secret, RotationMode::Replace))
        }
    }
}

/// Whether consumers find a value that is not valid and is to be replaced, by request or because the API refuses it.
fn is_replaced_at_once(observed: &Observed, contents: &SecretContents) -> bool {
    let app = &observed.app;
    (is_requested(app, contents) && contents.is_edited(app)) || confirmed_refusal(observed, contents).is_some()
}

/// When something in the Secret is to change next.
pub(super) fn next_deadline(observed: &Observed) -> Option<Timestamp> {
    let contents = observed.contents();
    let expiry = previous_end(observed, contents);
    let is_wanted = is_requested(&observed.app, contents) || confirmed_refusal(observed, contents).is_some();
    let interval_end = is_wanted.then(|| min_interval_end(observed, contents)).flatten();
    let check = next_check(observed, contents);
    let search = consumers::next_search(observed, contents);
    let end = overlap_end::confirmation(observed, contents);
    let rotation = next_rotation(&observed.app, contents);
    let deadlines = [rotation, expiry, interval_end, late_end(observed), end, check, search];
    // What is due and waits for something else is no reason to look again at once.
    deadlines.into_iter().flatten().filter(|at| *at > observed.now).min()
}

/// A value that is not the published one may still be one that the API accepts, such as one pasted from the console.
fn verify_edited_value(observed: &Observed, contents: &SecretContents) -> Option<Step> {
    let app = &observed.app;
    let current = contents.current.as_ref().filter(|_| contents.is_edited(app))?;
    let trust = || {
        let published = contents.publish(app, &observed.client_id(), Some(current.clone()), observed.now);
        // A rotation that is requested is still to be done.
        let rotate_requested = contents.rotate_requested.clone();
        Some(write(observed, SecretContents { rotate_requested, ..published }, WriteReason::Verified))
    };
    match observed.validity(current) {
        Validity::Valid => trust(),
        Validity::Refused(_) | Validity::NotKnown(_) => None,
        Validity::NotAsked => Some(verify(observed, current)),
        // Nothing says what was published, and nothing can say what the API accepts.
        Validity::NotVerifiable => contents.checksum.is_none().then(trust).flatten(),
    }
}

/// What is reported when nothing else is left to do, and the credential is still not a good one.
pub(super) fn final_check(observed: &Observed) -> Next {
    let contents = observed.contents();
    if contents.is_edited(&observed.app) {
        return match requested_rotation_waits(observed) {
            Some(RotationWaits::MinInterval) => {
                let until = "a minute has passed since the last one (status.rotation.rotatedAt)";
                Ok(Some(replacement_waits(observed, until, min_interval_end(observed, contents))))
            }
            Some(RotationWaits::LateEnd) => {
                let until = "two minutes have passed since a request to end an overlap got no response";
                Ok(Some(replacement_waits(observed, until, late_end(observed))))
            }
            Some(RotationWaits::Previous) | None => Err(secret_edited(&observed.app)),
        };
    }
    if contents.current.is_none() && !is_public(&observed.app) {
        return Err(secret_unknown(observed));
    }
    Ok(None)
}

fn replacement_waits(observed: &Observed, until: &str, end: Option<Timestamp>) -> Step {
    let name = secret_name(&observed.app);
    Step::Finish(Outcome::Waiting {
        reason: Reason::RotationRunning,
        message: format!(
            "the client secret in Secret {name} was edited; the requested rotation, which replaces it, waits until {until}"
        ),
        retry: Retry::at_next([end], observed.now),
    })
}

fn secret_edited(app: &OrgOAuthApp) -> Blocked {
    let message = format!(
        "the client secret in Secret {} was edited, and the API does not show what it was; set the annotation {ROTATE_REQUESTED} to a new value to replace it",
        secret_name(app)
    );
    Blocked::new(Reason::SecretTampered, message)
}

fn secret_unknown(observed: &Observed) -> Blocked {
    let message = format!(
        "app {} is adopted and Secret {} holds its id only, since the API does not show its secret; provide it with spec.clientSecretRef, replace it with spec.adoptionPolicy AdoptAndRotate, or rotate it with the annotation {ROTATE_REQUESTED}, which leaves the present one valid for the overlap",
        observed.client_id(),
        secret_name(&observed.app),
    );
    Blocked::new(Reason::SecretUnknown, message)
}
