//! A rotation with an overlap: the API is given the pending secret beside the current one, then it is verified, then consumers
//! find it. Each of these is durable, and what is not known is asked before anything is sent again.

use super::model::{Observed, PendingProgress, Validity};
use super::proof::{is_refused_for_good, not_verified, refused, verify};
use super::replacement::rotation_in_progress;
use super::resource::{is_provable, overlap_of};
use super::step::{Call, RotationWrite, Step, WriteReason};
use super::time::{add, is_recent};
use super::writes::{discard, stage, write_published, write_rotation};
use crate::iam::ClientSecret;
use crate::secret::{PendingSecret, PreviousSecret, RotationMode, SecretContents};
use k8s_openapi::jiff::Timestamp;

/// The step that brings the pending secret to the API beside the current one, and then to the consumers.
pub fn overlap(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Step {
    if let Some(at) = pending.accepted_at {
        return overlap_accepted(observed, contents, &pending.secret, at);
    }
    match observed.progress(&pending.secret) {
        PendingProgress::Staged => send_rotation(observed, &pending.secret),
        PendingProgress::Found => overlap_perhaps_sent(observed, contents, pending),
        PendingProgress::Refused => overlap_refused(observed, contents, pending),
        PendingProgress::Accepted => record_acceptance(observed, contents, pending),
        PendingProgress::Conflict { was_found } => overlap_in_progress(observed, contents, pending, was_found),
    }
}

/// That the API accepted it is durable at once, so that it is never sent again while the API may not know it yet.
fn record_acceptance(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Step {
    let accepted = PendingSecret { accepted_at: Some(observed.now), ..pending.clone() };
    let previous = previous_from(observed, contents, observed.now);
    let contents = SecretContents { pending: Some(accepted), previous, ..contents.clone() };
    write_rotation(observed, contents, RotationWrite::Accepted)
}

fn overlap_in_progress(
    observed: &Observed,
    contents: &SecretContents,
    pending: &PendingSecret,
    was_found: bool,
) -> Step {
    // Sent before, and a rotation is in progress: that is it, as far as anybody can tell.
    if was_found && !is_provable(&observed.app) {
        return promote(observed, contents, &pending.secret, pending.since);
    }
    // What consumers find is not valid, so the other rotation is not waited for.
    if contents.is_edited(&observed.app) || refused(observed, contents).is_some() {
        stage(observed, contents, &pending.secret, RotationMode::Replace)
    } else {
        rotation_in_progress(observed)
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
    match observed.validity(secret) {
        Validity::NotAsked => verify(observed, secret),
        Validity::Valid | Validity::NotProvable => promote(observed, contents, secret, at),
        Validity::NotKnown(said) => match is_recent(at, observed.now) {
            true => not_verified(observed, contents, said),
            // The API accepted it, and says for another cause that it issues no token; the current one ends with the overlap.
            false => promote(observed, contents, secret, at),
        },
        Validity::Invalid(said) => overlap_accepted_but_refused(observed, contents, secret, at, said),
    }
}

fn overlap_accepted_but_refused(
    observed: &Observed,
    contents: &SecretContents,
    secret: &ClientSecret,
    at: Timestamp,
    said: &str,
) -> Step {
    let has_ended = add(at, overlap_of(&observed.app)).is_none_or(|end| observed.now >= end);
    match works_instead(observed, contents, at) {
        Instead::Nothing => stage(observed, contents, secret, RotationMode::Replace),
        Instead::TooEarly => not_verified(observed, contents, said),
        Instead::Ask(current) => verify(observed, &current),
        Instead::NotKnown => {
            if has_ended {
                stage(observed, contents, secret, RotationMode::Replace)
            } else {
                not_verified(observed, contents, said)
            }
        }
        Instead::Current => {
            if has_ended {
                discard(observed, contents)
            } else {
                not_verified(observed, contents, said)
            }
        }
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
        Instead::TooEarly | Instead::NotKnown => not_verified(observed, contents, said),
        Instead::Ask(current) => verify(observed, &current),
        // Staged again, so that the time of the second send is durable too.
        Instead::Current => stage(observed, contents, secret, RotationMode::Overlap),
        Instead::Nothing => stage(observed, contents, secret, RotationMode::Replace),
    }
}

/// What works while the API refuses the pending secret.
enum Instead {
    /// The API may not know the pending one yet.
    TooEarly,
    /// The API does not say, or said so once only.
    NotKnown,
    /// The API has to be asked about the current secret.
    Ask(ClientSecret),
    /// The current secret, as far as is known.
    Current,
    /// Nothing.
    Nothing,
}

fn works_instead(observed: &Observed, contents: &SecretContents, since: Timestamp) -> Instead {
    if is_recent(since, observed.now) {
        return Instead::TooEarly;
    }
    // An adopted app has a secret that is not known.
    let Some(current) = contents.current.as_ref().filter(|_| !contents.is_edited(&observed.app)) else {
        return Instead::Current;
    };
    match observed.validity(current) {
        Validity::NotAsked => Instead::Ask(current.clone()),
        Validity::Valid | Validity::NotProvable => Instead::Current,
        // One refusal may be false.
        Validity::Invalid(_) => {
            if is_refused_for_good(observed, current) {
                Instead::Nothing
            } else {
                Instead::NotKnown
            }
        }
        Validity::NotKnown(_) => Instead::NotKnown,
    }
}

/// Consumers find the pending secret once the present one is durable as the previous one, so that it is never lost.
fn promote(observed: &Observed, contents: &SecretContents, secret: &ClientSecret, since: Timestamp) -> Step {
    let previous = previous_from(observed, contents, since);
    if contents.previous != previous {
        return write_rotation(observed, SecretContents { previous, ..contents.clone() }, RotationWrite::Accepted);
    }
    write_published(observed, contents, secret, WriteReason::Rotated)
}

/// The secret that consumers have used stays beside the new one until the API stops to accept it, at the earliest
/// `since` and the overlap. One that is not valid is not kept; one that is not known, because the app was adopted or the Secret was
/// edited, is valid all the same.
fn previous_from(observed: &Observed, contents: &SecretContents, since: Timestamp) -> Option<PreviousSecret> {
    let secret = contents.current.clone().filter(|_| !contents.is_edited(&observed.app));
    if secret.as_ref().is_some_and(|secret| matches!(observed.validity(secret), Validity::Invalid(_))) {
        return None;
    }
    let expires_at = add(since, overlap_of(&observed.app)).filter(|at| *at > observed.now)?;
    Some(PreviousSecret { secret, expires_at })
}
