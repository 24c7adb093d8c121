//! The upkeep of a credential that is in the Secret: whether another secret is wanted and what holds it up, whether an edited
//! value is valid, and whether the Secret holds what it should.

use super::consumers;
use super::first_secret;
use super::model::{SecretWriteProgress, Validity, is_public};
use super::ownership::is_adopted_without_secret;
use super::proof::{next_check, refused};
use super::rotation::{DEFAULT_OVERLAP, add, apply_pending, overlap_of, stage, write, write_published, write_rotation};
use super::validate::with_template_keys;
use super::{Blocked, Call, Next, Observed, Outcome, Retry, RotationWrite, Step, WriteReason, signed_claim};
use crate::backoff::fraction;
use crate::crd::{OrgOAuthApp, ROTATE_REQUESTED, RotationStatus};
use crate::definition::Fields;
use crate::duration;
use crate::iam::ClientSecret;
use crate::reason::Reason;
use crate::secret::{RotationMode, SecretContents, SecretState, secret_name};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

/// Rotations come early by up to this part of their interval, so that apps of one age do not rotate in one second.
const SPREAD: f64 = 0.1;
/// The least time between two rotations, however often they are requested.
const ROTATION_PACE: SignedDuration = SignedDuration::from_secs(60);

/// What is to be done until the Secret holds a credential that is neither due nor requested to be replaced.
pub fn step(observed: &Observed, fields: &Fields) -> Next {
    let contents = observed.contents();
    if let Some(step) = migrate_secret(observed, &contents) {
        return Ok(Some(step));
    }
    match (&contents.pending, is_complete(observed, &contents)) {
        (Some(pending), _) => Ok(apply_pending(observed, fields, &contents, pending)),
        (None, true) => maintain(observed, contents),
        (None, false) => first_secret::issue(observed, fields).map(Some),
    }
}

/// While the old Secret exists it is authoritative; the one under the new name may be stale.
fn migrate_secret(observed: &Observed, contents: &SecretContents) -> Option<Step> {
    let Some(SecretState::Owned(old)) = &observed.previous_target else { return None };
    let moved = SecretState::Owned(old.clone()).contents(&observed.app);
    // The claim is made again, and the rotation is in another Secret, so they are not compared.
    let SecretContents { claim, pending, previous, .. } = contents.clone();
    let moved = SecretContents { client_id: Some(observed.client_id()), claim, pending, previous, ..moved };
    if *contents == moved || !is_complete(observed, &moved) {
        return Some(Step::RemovePreviousTarget(old.clone()));
    }
    Some(Step::WriteSecret(moved, WriteReason::Moved))
}

fn is_complete(observed: &Observed, contents: &SecretContents) -> bool {
    let needs_none =
        is_public(&observed.app) || (is_adopted_without_secret(observed) && observed.provided_secret().is_none());
    contents.current.is_some() || (needs_none && contents.client_id.is_some())
}

/// The Secret holds a credential: is it time for another one, and does the Secret hold what it should?
fn maintain(observed: &Observed, contents: SecretContents) -> Next {
    if let Some(step) = rotation_step(observed, &contents) {
        return Ok(Some(step));
    }
    if contents.previous.is_some() && !previous_is_valid(observed, &contents) {
        let contents = SecretContents { previous: None, ..contents };
        return Ok(Some(write_rotation(observed, contents, RotationWrite::Over)));
    }
    if let Some(step) = verify_edited_value(observed, &contents) {
        return Ok(Some(step));
    }
    match sign_rotation(observed, &contents) {
        Some(step) => Ok(Some(step)),
        None => restore(observed, contents),
    }
}

/// The Secret of the rotation may be there for long, and its claim says whose it is.
fn sign_rotation(observed: &Observed, contents: &SecretContents) -> Option<Step> {
    let Some(SecretState::Owned(secret)) = &observed.rotation_secret else { return None };
    let is_signed_otherwise = signed_claim(observed).is_some_and(|claim| secret.claim() != Some(&claim));
    is_signed_otherwise.then(|| write_rotation(observed, contents.clone(), RotationWrite::PutBack))
}

/// What differs from what it should be is written again, unless Kubernetes made it so.
fn restore(observed: &Observed, contents: SecretContents) -> Next {
    let app = &observed.app;
    let wanted = with_template_keys(observed, SecretContents { client_id: Some(observed.client_id()), ..contents })?;
    let may_differ = match observed.secret_write {
        SecretWriteProgress::Written | SecretWriteProgress::Overridden => false,
        SecretWriteProgress::Unknown | SecretWriteProgress::Accepted => true,
    };
    Ok(match &observed.secret {
        Some(SecretState::Owned(secret)) if may_differ && !secret.matches(app, &wanted) => {
            let as_signed = SecretContents { claim: secret.claim().cloned(), ..wanted.clone() };
            let is_signed_anew = secret.matches(app, &as_signed);
            let reason = if is_signed_anew { WriteReason::Signed } else { WriteReason::PutBack };
            Some(Step::WriteSecret(wanted, reason))
        }
        Some(SecretState::Owned(_) | SecretState::Absent | SecretState::Foreign { .. }) | None => None,
    })
}

/// Which secret is wanted instead of the current one.
enum Wanted<'a> {
    /// None.
    Current,
    /// The current one again, which was edited.
    Restored(&'a ClientSecret),
    /// The one that the user provides now.
    Provided(&'a ClientSecret, RotationMode),
    /// A generated one.
    Generated,
}

fn wanted<'a>(observed: &'a Observed, contents: &SecretContents) -> Wanted<'a> {
    let app = &observed.app;
    let is_requested = is_requested(app, contents);
    let is_due = next_rotation(app, contents).is_some_and(|at| at <= observed.now);
    // The secret of an app that was adopted is not the operator's to replace unasked.
    let is_refused = !is_adopted_without_secret(observed) && refused(observed, contents).is_some();
    if is_public(app) {
        return Wanted::Current;
    }
    match (observed.provided_secret(), is_requested || is_refused, is_due) {
        (Some(secret), is_to_be_replaced, _) => wanted_of_provided(app, contents, secret, is_to_be_replaced),
        (None, false, false) => Wanted::Current,
        (None, true, _) | (None, false, true) => Wanted::Generated,
    }
}

fn wanted_of_provided<'a>(
    app: &OrgOAuthApp,
    contents: &SecretContents,
    secret: &'a ClientSecret,
    is_to_be_replaced: bool,
) -> Wanted<'a> {
    match (contents.was_published(app, secret), is_to_be_replaced, contents.is_edited(app)) {
        (false, _, _) => Wanted::Provided(secret, RotationMode::Overlap),
        (true, true, _) => Wanted::Provided(secret, RotationMode::Replace),
        (true, false, true) => Wanted::Restored(secret),
        (true, false, false) => Wanted::Current,
    }
}

/// While the previous secret is valid the API may refuse a further one, so that is waited out; and requests have a pace.
fn rotation_step(observed: &Observed, contents: &SecretContents) -> Option<Step> {
    let previous_is_valid = previous_is_valid(observed, contents);
    let has_pace = paced_until(observed, contents).is_none();
    match (wanted(observed, contents), previous_is_valid, has_pace) {
        (Wanted::Current, _, _) => None,
        (Wanted::Restored(_), true, _) => None,
        (Wanted::Restored(secret), false, _) => {
            let contents = SecretContents { current: Some(secret.clone()), ..contents.clone() };
            Some(write(observed, contents, WriteReason::PutBack))
        }
        (Wanted::Provided(..) | Wanted::Generated, _, false) => None,
        (Wanted::Provided(secret, mode), false, true) => Some(stage(observed, contents, secret, mode)),
        (Wanted::Provided(secret, _), true, true) => {
            is_replaced_at_once(observed, contents).then(|| stage(observed, contents, secret, RotationMode::Replace))
        }
        (Wanted::Generated, false, true) => {
            Some(stage(observed, contents, &observed.generated_secret, RotationMode::Overlap))
        }
        // The published value is already invalid, so it is replaced without waiting for the overlap.
        (Wanted::Generated, true, true) => is_replaced_at_once(observed, contents)
            .then(|| stage(observed, contents, &observed.generated_secret, RotationMode::Replace)),
    }
}

/// Whether consumers find a value that is not valid and is to be replaced, by request or because the API refuses it.
fn is_replaced_at_once(observed: &Observed, contents: &SecretContents) -> bool {
    let app = &observed.app;
    (is_requested(app, contents) && contents.is_edited(app)) || refused(observed, contents).is_some()
}

fn is_requested(app: &OrgOAuthApp, contents: &SecretContents) -> bool {
    app.annotations().get(ROTATE_REQUESTED).is_some_and(|asked| contents.rotate_requested.as_ref() != Some(asked))
}

fn previous_is_valid(observed: &Observed, contents: &SecretContents) -> bool {
    previous_end(observed, contents).is_some_and(|end| end > observed.now)
}

/// When the previous secret ends: as status says since it was published, also where the Secret of the rotation was deleted, since
/// the API accepts the secret all the same; else as that Secret says. A later end there than a rotation gives is an edit.
pub fn previous_end(observed: &Observed, contents: &SecretContents) -> Option<Timestamp> {
    let said = recorded_rotation(observed, contents);
    let recorded = said.and_then(|said| said.previous_expires_at.as_ref()).map(|at| at.0);
    match (&contents.previous, recorded, &contents.pending) {
        (None, recorded, _) | (Some(_), recorded @ Some(_), None) => recorded,
        (Some(previous), None, _) | (Some(previous), Some(_), Some(_)) => {
            Some(previous.expires_at.min(latest_end(observed, contents)?))
        }
    }
}

/// What status says of the rotation that published the present secret.
fn recorded_rotation<'a>(observed: &'a Observed, contents: &SecretContents) -> Option<&'a RotationStatus> {
    let said = observed.app.status.as_ref()?.rotation.as_ref();
    said.filter(|said| said.revision == Some(contents.revision))
}

/// The latest end that a rotation gives, though the overlap in the spec may have been shortened since.
fn latest_end(observed: &Observed, contents: &SecretContents) -> Option<Timestamp> {
    let said = recorded_rotation(observed, contents).and_then(|said| said.rotated_at.as_ref());
    let published = said.map(|at| at.0).or(contents.rotated_at);
    let accepted = contents.pending.as_ref().map(|pending| pending.accepted_at.unwrap_or(pending.since));
    // A time that is yet to come is wrong, and says nothing.
    let last = [published, accepted].into_iter().flatten().filter(|at| *at <= observed.now).max();
    add(last.unwrap_or(observed.now), overlap_of(&observed.app).max(DEFAULT_OVERLAP))
}

/// Until when no rotation may follow the last one. What a tenant edits in the Secret does not bring it forward, since
/// status says too when that was; the first secret is no rotation.
fn paced_until(observed: &Observed, contents: &SecretContents) -> Option<Timestamp> {
    let said = observed.app.status.as_ref().and_then(|status| status.rotation.clone()).unwrap_or_default();
    let revision = contents.revision.max(said.revision.unwrap_or_default());
    let times = [contents.rotated_at, said.rotated_at.map(|at| at.0)];
    // A time that is yet to come is wrong, and says nothing.
    let last = times.into_iter().flatten().filter(|at| *at <= observed.now).max()?;
    last.checked_add(ROTATION_PACE).ok().filter(|until| revision > 1 && *until > observed.now)
}

/// When the secret is due to be rotated; the same for every process that asks.
pub fn next_rotation(app: &OrgOAuthApp, contents: &SecretContents) -> Option<Timestamp> {
    let interval = duration::parse(app.spec.rotation.as_ref()?.interval.as_ref()?).ok()?;
    let part = SPREAD * fraction((app.uid(), contents.revision));
    add(contents.rotated_at?, interval.mul_f64(1.0 - part))
}

/// When something in the Secret is to change next.
pub fn next_deadline(observed: &Observed) -> Option<Timestamp> {
    let contents = observed.contents();
    let expiry = previous_end(observed, &contents);
    let is_wanted = is_requested(&observed.app, &contents) || refused(observed, &contents).is_some();
    let paced = is_wanted.then(|| paced_until(observed, &contents)).flatten();
    let check = next_check(observed, &contents);
    let look = consumers::next_look(observed, &contents);
    let deadlines = [next_rotation(&observed.app, &contents), expiry, paced, check, look];
    // What is due and waits for something else is no reason to look again at once.
    deadlines.into_iter().flatten().filter(|at| *at > observed.now).min()
}

/// Why a rotation that somebody asked for has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationWaits {
    /// Until the previous secret ends.
    ForPrevious,
    /// Until a minute has passed since the last rotation.
    ForPace,
}

/// Whether somebody asked for a rotation that has to wait, and why.
pub fn requested_rotation_waits(observed: &Observed) -> Option<RotationWaits> {
    let contents = observed.contents();
    if is_public(&observed.app) || contents.pending.is_some() || !is_requested(&observed.app, &contents) {
        return None;
    }
    // What was edited is replaced without waiting for the previous secret to end.
    match previous_is_valid(observed, &contents) && !contents.is_edited(&observed.app) {
        true => Some(RotationWaits::ForPrevious),
        false => paced_until(observed, &contents).map(|_| RotationWaits::ForPace),
    }
}

/// A value that is not the published one may still be one that the API accepts, such as one pasted from the console.
fn verify_edited_value(observed: &Observed, contents: &SecretContents) -> Option<Step> {
    let app = &observed.app;
    let current = contents.current.as_ref().filter(|_| contents.is_edited(app))?;
    let trust = || Some(write_published(observed, contents, current, WriteReason::Proven));
    match observed.validity(current) {
        Validity::Valid => trust(),
        Validity::Invalid(_) | Validity::NotKnown(_) => None,
        Validity::NotAsked => Some(Step::Call(Call::VerifySecret(observed.client_id(), current.clone()))),
        // Nothing says what was published, and nothing can say what the API accepts.
        Validity::NotProvable => contents.checksum.is_none().then(trust).flatten(),
    }
}

/// What is reported when nothing else is left to do, and the credential is still not a good one.
pub fn final_check(observed: &Observed) -> Next {
    let contents = observed.contents();
    if contents.is_edited(&observed.app) {
        return match requested_rotation_waits(observed) {
            Some(RotationWaits::ForPace) => Ok(Some(paced(observed, &contents))),
            Some(RotationWaits::ForPrevious) | None => Err(secret_edited(&observed.app)),
        };
    }
    if contents.current.is_none() && !is_public(&observed.app) {
        return Err(secret_unknown(observed));
    }
    Ok(None)
}

fn paced(observed: &Observed, contents: &SecretContents) -> Step {
    let name = secret_name(&observed.app);
    Step::Finish(Outcome::Waiting {
        reason: Reason::RotationRunning,
        message: format!(
            "the client secret in Secret {name} was edited; the requested rotation, which replaces it, waits until a minute has passed since the last one (status.rotation.rotatedAt)"
        ),
        retry: Retry::at_next([paced_until(observed, contents)], observed.now),
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
