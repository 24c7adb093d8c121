//! The rotation: a secret is pending in a Secret of its own before the API hears of it, then the API has it, then it is verified,
//! then consumers find it. Each of these is durable, and what is not known is asked before anything is sent again.

use super::model::{Creation, PendingProgress, Validity, is_provable, is_recent, lag_end};
use super::ownership::is_adopted_without_secret;
use super::proof::{is_refused_for_good, refused, refused_for_good_at};
use super::remote_app::update_fields;
use super::{Call, Observed, Outcome, Remote, Retry, RotationWrite, Step, WriteReason, creation};
use crate::crd::OrgOAuthApp;
use crate::definition::{self, Fields};
use crate::duration;
use crate::reason::Reason;
use crate::remote::{ClientSecret, Update};
use crate::secret::{PendingSecret, PreviousSecret, RotationMode, SecretContents};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The overlap of a rotation where nothing says another one. [csp-struct]
const DEFAULT_OVERLAP: Duration = Duration::from_secs(172_800);

/// The step that brings the pending secret to the API and then to the consumers.
pub fn apply_pending(
    observed: &Observed,
    fields: &Fields,
    contents: &SecretContents,
    pending: &PendingSecret,
) -> Option<Step> {
    let is_gone = matches!(observed.remote, Remote::Absent);
    match pending.mode {
        mode if is_published(observed, contents, pending) => Some(finish(observed, contents, mode)),
        // Perhaps sent, nobody knows when; from now on it is known.
        RotationMode::Unknown => {
            let (mode, follows, since) = (RotationMode::Overlap, contents.revision, observed.now);
            let pending = Some(PendingSecret { mode, follows, since, ..pending.clone() });
            Some(write_rotation(observed, SecretContents { pending, ..contents.clone() }, RotationWrite::PutBack))
        }
        // Another process published a secret meanwhile, or somebody deleted the Secret in order to end all former ones.
        RotationMode::Create | RotationMode::Replace | RotationMode::Overlap
            if pending.follows != contents.revision =>
        {
            Some(discard(observed, contents))
        }
        RotationMode::Create if contents.current.is_none() && is_adopted_without_secret(observed) => {
            // The create did not come about; the app that was adopted instead has a secret of its own.
            Some(discard(observed, contents))
        }
        RotationMode::Create | RotationMode::Replace | RotationMode::Overlap if is_gone => {
            Some(creation::create_again(observed, fields))
        }
        RotationMode::Create => created(observed, fields, contents, pending),
        RotationMode::Replace => replace(observed, contents, pending, fields),
        RotationMode::Overlap => Some(overlap(observed, contents, pending)),
    }
}

/// The app exists, so either the create with this secret took hold and its answer was lost, or the app was never gone.
fn created(observed: &Observed, fields: &Fields, contents: &SecretContents, pending: &PendingSecret) -> Option<Step> {
    if let Remote::Unread | Remote::Listed(_) = &observed.remote {
        return Some(Step::Call(Call::Read(observed.client_id())));
    }
    let is_denied = matches!(observed.creation, Creation::Refused(_));
    if is_denied && contents.current.is_some() && observed.progress(&pending.secret) == PendingProgress::Staged {
        // The only create with this secret was refused.
        return Some(discard(observed, contents));
    }
    let Some(current) = &contents.current else { return replace(observed, contents, pending, fields) };
    match (observed.validity(&pending.secret), observed.validity(current)) {
        (Validity::NotProvable, _) | (_, Validity::NotProvable) => replace(observed, contents, pending, fields),
        (Validity::NotAsked, _) => Some(verify(observed, &pending.secret)),
        (Validity::Valid, _) => Some(publish(observed, contents, &pending.secret)),
        (Validity::Invalid(_) | Validity::NotKnown(_), Validity::NotAsked) => Some(verify(observed, current)),
        (Validity::Invalid(_), Validity::Valid) => Some(discard(observed, contents)),
        (Validity::Invalid(_), Validity::Invalid(_))
            if !is_recent(pending.since, observed.now) && is_refused_for_good(observed, current) =>
        {
            replace(observed, contents, pending, fields)
        }
        (Validity::Invalid(said) | Validity::NotKnown(said), _) => Some(not_verified(observed, contents, said)),
    }
}

/// Whether consumers find a value that is known not to be valid.
fn is_invalid(observed: &Observed, contents: &SecretContents) -> bool {
    contents.is_edited(&observed.app) || refused(observed, contents).is_some()
}

fn discard(observed: &Observed, contents: &SecretContents) -> Step {
    write_rotation(observed, SecretContents { pending: None, ..contents.clone() }, RotationWrite::Over)
}

/// Whether consumers find the pending secret already, since it was staged.
fn is_published(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> bool {
    contents.current.as_ref() == Some(&pending.secret)
        && contents.was_published(&observed.app, &pending.secret)
        && contents.revision > pending.follows
}

/// Nothing is pending any more. Whatever replaced the former secret ended its validity, unless it was to overlap.
fn finish(observed: &Observed, contents: &SecretContents, mode: RotationMode) -> Step {
    let previous = match mode {
        RotationMode::Overlap => contents.previous.clone(),
        RotationMode::Replace | RotationMode::Create | RotationMode::Unknown => None,
    };
    write_rotation(observed, SecretContents { pending: None, previous, ..contents.clone() }, RotationWrite::Over)
}

fn publish(observed: &Observed, contents: &SecretContents, secret: &ClientSecret) -> Step {
    let published = contents.publish(&observed.app, &observed.client_id(), Some(secret.clone()), observed.now);
    Step::WriteSecret(published, WriteReason::Replaced)
}

fn replace(observed: &Observed, contents: &SecretContents, pending: &PendingSecret, fields: &Fields) -> Option<Step> {
    let secret = &pending.secret;
    match observed.progress(secret) {
        PendingProgress::Accepted => Some(publish(observed, contents, secret)),
        PendingProgress::Conflict { .. } => Some(rotation_in_progress(observed)),
        PendingProgress::Found | PendingProgress::Staged | PendingProgress::Refused => {
            send_replacement(observed, fields, secret)
        }
    }
}

/// What the API wants with each update and the spec leaves out is read before, so that it stays as it is.
fn send_replacement(observed: &Observed, fields: &Fields, secret: &ClientSecret) -> Option<Step> {
    let id = observed.client_id();
    match &observed.remote {
        Remote::Unread | Remote::Listed(_) if definition::update_repeats_shown(observed.address()?.api, fields) => {
            Some(Step::Call(Call::Read(id)))
        }
        Remote::Unread | Remote::Listed(_) | Remote::Absent | Remote::Shown(_) | Remote::AsDefined => {
            let fields = update_fields(observed, fields, &[])?;
            let update = Update { context: observed.context(), fields, secret: Some(secret.clone()) };
            Some(Step::Call(Call::Replace(id, update)))
        }
    }
}

/// That the API accepted it is durable at once, so that it is never sent again while the API may not know it yet.
fn overlap(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Step {
    let secret = &pending.secret;
    match (observed.progress(secret), pending.accepted_at) {
        (PendingProgress::Staged, None) => send_rotation(observed, secret),
        (PendingProgress::Found, None) => overlap_perhaps_sent(observed, contents, pending),
        (PendingProgress::Refused, None) => overlap_refused(observed, contents, pending),
        (PendingProgress::Accepted, None) => {
            let accepted = PendingSecret { accepted_at: Some(observed.now), ..pending.clone() };
            let previous = previous_from(observed, contents, observed.now);
            let contents = SecretContents { pending: Some(accepted), previous, ..contents.clone() };
            write_rotation(observed, contents, RotationWrite::Accepted)
        }
        // Sent before, and a rotation is in progress: that is it, as far as anybody can tell.
        (PendingProgress::Conflict { was_found: true }, None) if !is_provable(&observed.app) => {
            promote(observed, contents, secret, pending.since)
        }
        // What consumers find is not valid, so the other rotation is not waited for.
        (PendingProgress::Conflict { .. }, None) if is_invalid(observed, contents) => {
            stage(observed, contents, secret, RotationMode::Replace)
        }
        (PendingProgress::Conflict { .. }, None) => rotation_in_progress(observed),
        (_, Some(at)) => overlap_accepted(observed, contents, secret, at),
    }
}

/// The API refused every request with it, and may know it all the same if something on the way repeated one. It is staged again,
/// so that the time of the next request is durable before it.
fn overlap_refused(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Step {
    let secret = &pending.secret;
    match observed.validity(secret) {
        Validity::NotAsked => verify(observed, secret),
        Validity::Valid => promote(observed, contents, secret, pending.since),
        Validity::NotKnown(said) => not_verified(observed, contents, said),
        Validity::Invalid(_) | Validity::NotProvable => stage(observed, contents, secret, RotationMode::Overlap),
    }
}

fn send_rotation(observed: &Observed, secret: &ClientSecret) -> Step {
    Step::Call(Call::Rotate(observed.client_id(), secret.clone(), overlap_of(&observed.app)))
}

/// Consumers find it once the API issues a token for it. One that the API accepted is not sent again while the current one
/// works; if neither does, somebody replaced the secret in the console.
fn overlap_accepted(observed: &Observed, contents: &SecretContents, secret: &ClientSecret, at: Timestamp) -> Step {
    let said = match observed.validity(secret) {
        Validity::NotAsked => return verify(observed, secret),
        Validity::Valid | Validity::NotProvable => return promote(observed, contents, secret, at),
        Validity::NotKnown(said) if is_recent(at, observed.now) => return not_verified(observed, contents, said),
        // The API accepted it, and says for another cause that it issues no token; the current one ends with the overlap.
        Validity::NotKnown(_) => return promote(observed, contents, secret, at),
        Validity::Invalid(said) => said,
    };
    let has_ended = add(at, overlap_of(&observed.app)).is_none_or(|end| observed.now >= end);
    match works_instead(observed, contents, at) {
        Instead::NotKnownYet if has_ended && !is_recent(at, observed.now) => {
            stage(observed, contents, secret, RotationMode::Replace)
        }
        Instead::NotKnownYet => not_verified(observed, contents, said),
        Instead::Ask(current) => verify(observed, &current),
        Instead::Current if has_ended => discard(observed, contents),
        Instead::Current => not_verified(observed, contents, said),
        Instead::Nothing => stage(observed, contents, secret, RotationMode::Replace),
    }
}

/// An earlier reconcile may have sent it. To send it a second time could retire the one that consumers use, so it is sent
/// again only if the API has had time to know it, refuses it, and accepts the current one.
fn overlap_perhaps_sent(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Step {
    let secret = &pending.secret;
    let said = match observed.validity(secret) {
        Validity::NotAsked => return verify(observed, secret),
        Validity::NotProvable => return send_rotation(observed, secret),
        Validity::Valid => return promote(observed, contents, secret, pending.since),
        Validity::NotKnown(said) => return not_verified(observed, contents, said),
        Validity::Invalid(said) => said,
    };
    match works_instead(observed, contents, pending.since) {
        Instead::NotKnownYet => not_verified(observed, contents, said),
        Instead::Ask(current) => verify(observed, &current),
        // Staged again, so that the time of the second send is durable too.
        Instead::Current => stage(observed, contents, secret, RotationMode::Overlap),
        Instead::Nothing => stage(observed, contents, secret, RotationMode::Replace),
    }
}

/// What works while the API refuses the pending secret.
enum Instead {
    /// Not known: the API may not know the pending one yet, or does not say.
    NotKnownYet,
    /// The API has to be asked about the current secret.
    Ask(ClientSecret),
    /// The current secret, as far as is known.
    Current,
    /// Nothing.
    Nothing,
}

fn works_instead(observed: &Observed, contents: &SecretContents, since: Timestamp) -> Instead {
    if is_recent(since, observed.now) {
        return Instead::NotKnownYet;
    }
    // An adopted app has a secret that is not known.
    let Some(current) = contents.current.as_ref().filter(|_| !contents.is_edited(&observed.app)) else {
        return Instead::Current;
    };
    match observed.validity(current) {
        Validity::NotAsked => Instead::Ask(current.clone()),
        Validity::Valid | Validity::NotProvable => Instead::Current,
        Validity::Invalid(_) if is_refused_for_good(observed, current) => Instead::Nothing,
        // One refusal may be false.
        Validity::NotKnown(_) | Validity::Invalid(_) => Instead::NotKnownYet,
    }
}

fn verify(observed: &Observed, secret: &ClientSecret) -> Step {
    Step::Call(Call::VerifySecret(observed.client_id(), secret.clone()))
}

/// Consumers find the pending secret once the present one is durable as the previous one, so that it is never lost.
fn promote(observed: &Observed, contents: &SecretContents, secret: &ClientSecret, since: Timestamp) -> Step {
    let previous = previous_from(observed, contents, since);
    if contents.previous != previous {
        return write_rotation(observed, SecretContents { previous, ..contents.clone() }, RotationWrite::Accepted);
    }
    let published = contents.publish(&observed.app, &observed.client_id(), Some(secret.clone()), observed.now);
    Step::WriteSecret(published, WriteReason::Rotated)
}

/// The secret that consumers have used stays beside the new one until the API stops to accept it, at the earliest
/// `since` and the overlap. One that is not valid is not kept.
fn previous_from(observed: &Observed, contents: &SecretContents, since: Timestamp) -> Option<PreviousSecret> {
    let app = &observed.app;
    let good = contents.current.clone().filter(|_| !contents.is_edited(app));
    let good = good.filter(|secret| !matches!(observed.validity(secret), Validity::Invalid(_)));
    let previous = good.zip(add(since, overlap_of(app)));
    let previous = previous.map(|(secret, expires_at)| PreviousSecret { secret, expires_at });
    previous.filter(|previous| previous.expires_at > observed.now)
}

/// The step that makes a secret pending.
pub fn stage(observed: &Observed, contents: &SecretContents, secret: &ClientSecret, mode: RotationMode) -> Step {
    let (follows, since) = (contents.revision, observed.now);
    let pending = Some(PendingSecret { secret: secret.clone(), mode, follows, since, accepted_at: None });
    write_rotation(observed, SecretContents { pending, ..contents.clone() }, RotationWrite::Staged)
}

/// The step that writes what these contents say of the rotation.
pub fn write_rotation(observed: &Observed, contents: SecretContents, reason: RotationWrite) -> Step {
    Step::WriteRotation(SecretContents { client_id: Some(observed.client_id()), ..contents }, reason)
}

/// The step that writes these contents under the client id of the resource.
pub fn write(observed: &Observed, contents: SecretContents, reason: WriteReason) -> Step {
    Step::WriteSecret(SecretContents { client_id: Some(observed.client_id()), ..contents }, reason)
}

/// How long the previous secret stays valid after a rotation.
pub fn overlap_of(app: &OrgOAuthApp) -> Duration {
    let said = app.spec.rotation.as_ref().and_then(|rotation| duration::parse(rotation.overlap.as_ref()?).ok());
    let seconds = app.spec.secret_rotation_expiration_in_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    said.or(seconds.map(Duration::from_secs)).unwrap_or(DEFAULT_OVERLAP)
}

/// An instant so much later.
pub fn add(at: Timestamp, duration: Duration) -> Option<Timestamp> {
    at.checked_add(SignedDuration::try_from(duration).ok()?).ok()
}

fn rotation_in_progress(observed: &Observed) -> Step {
    let message =
        format!("the API says that a rotation of app {} is in progress; the next one waits", observed.client_id());
    Step::Finish(Outcome::Waiting { reason: Reason::RotationRunning, message, retry: Retry::Backoff })
}

fn not_verified(observed: &Observed, contents: &SecretContents, said: &str) -> Step {
    let message =
        format!("the API does not issue a token for the new client secret yet; keeping the current one: {said}");
    let retry = Retry::at_next(deadlines(observed, contents), observed.now);
    Step::Finish(Outcome::Waiting { reason: Reason::SecretNotProven, message, retry })
}

/// When something else may be decided about the pending secret, though the API says the same.
fn deadlines(observed: &Observed, contents: &SecretContents) -> [Option<Timestamp>; 4] {
    let staged_at = contents.pending.as_ref().map(|pending| pending.since);
    let accepted_at = contents.pending.as_ref().and_then(|pending| pending.accepted_at);
    let overlap_end = accepted_at.and_then(|at| add(at, overlap_of(&observed.app)));
    let refused_for_good = contents.current.as_ref().and_then(|current| refused_for_good_at(observed, current));
    [staged_at.and_then(lag_end), accepted_at.and_then(lag_end), overlap_end, refused_for_good]
}
