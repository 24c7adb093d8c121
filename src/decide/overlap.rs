//! A rotation with an overlap: the API gets the pending secret beside the current one, a token request verifies it, and then it
//! is published. Each step is durable; the API is asked before a secret is sent again, where the app has `client_credentials`.

use super::model::{Observed, PendingProgress, Validity};
use super::replacement::rotation_in_progress;
use super::resource::{is_verifiable, overlap_of};
use super::step::{Call, RotationWrite, Step, WriteReason};
use super::time::{add, within_api_lag};
use super::verification::{confirmed_refusal, is_refused_twice, not_verified, verify};
use super::writes::{discard, publish, stage, write_rotation};
use crate::iam::ClientSecret;
use crate::secret::{PendingSecret, PreviousSecret, RotationMode, SecretContents};
use k8s_openapi::jiff::Timestamp;

/// The step that brings the pending secret to the API beside the current one, and then to the consumers.
pub(super) fn overlap(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Step {
    if let Some(at) = pending.accepted_at {
        return overlap_accepted(observed, contents, &pending.secret, at);
    }
    match observed.progress(&pending.secret) {
        PendingProgress::NotSent => send_rotation(observed, &pending.secret),
        PendingProgress::MaybeSent => overlap_perhaps_sent(observed, contents, pending),
        PendingProgress::RotationRefused => overlap_refused(observed, contents, pending),
        PendingProgress::Accepted => record_acceptance(observed, contents, pending),
        PendingProgress::Conflict { maybe_sent } => overlap_in_progress(observed, contents, pending, maybe_sent),
    }
}

/// The acceptance is stored at once, so that the secret is never sent again while the API may not know it yet.
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
    maybe_sent: bool,
) -> Step {
    // The secret may be sent, and a rotation is in progress: as far as is known, it is that one.
    if maybe_sent && !is_verifiable(&observed.app) {
        return promote(observed, contents, &pending.secret, pending.staged_at);
    }
    // What consumers find is not valid, so the other rotation is not waited for.
    if contents.is_edited(&observed.app) || confirmed_refusal(observed, contents).is_some() {
        stage(observed, contents, &pending.secret, RotationMode::Replace)
    } else {
        rotation_in_progress(observed)
    }
}

/// The API refused every request with the secret, and may know it nevertheless if a proxy repeated one. It is staged again,
/// so that the time of the next request is durable before it.
fn overlap_refused(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Step {
    let secret = &pending.secret;
    match observed.validity(secret) {
        Validity::NotAsked => verify(observed, secret),
        Validity::Valid => promote(observed, contents, secret, pending.staged_at),
        Validity::NotKnown(api_message) => not_verified(observed, contents, api_message),
        Validity::Refused(_) | Validity::NotVerifiable => stage(observed, contents, secret, RotationMode::Overlap),
    }
}

fn send_rotation(observed: &Observed, secret: &ClientSecret) -> Step {
    Step::Call(Call::Rotate(observed.client_id(), secret.clone(), overlap_of(&observed.app)))
}

/// The secret is published once the API issues a token for it. One that the API accepted is not sent again while the current one
/// is valid; if neither is, somebody replaced the secret in the console.
fn overlap_accepted(observed: &Observed, contents: &SecretContents, secret: &ClientSecret, at: Timestamp) -> Step {
    match observed.validity(secret) {
        Validity::NotAsked => verify(observed, secret),
        Validity::Valid | Validity::NotVerifiable => promote(observed, contents, secret, at),
        Validity::NotKnown(api_message) if within_api_lag(at, observed.now) => {
            not_verified(observed, contents, api_message)
        }
        // The API accepted it, and says for another cause that it issues no token; the current one ends with the overlap.
        Validity::NotKnown(_) => promote(observed, contents, secret, at),
        Validity::Refused(api_message) => overlap_accepted_but_refused(observed, contents, secret, at, api_message),
    }
}

fn overlap_accepted_but_refused(
    observed: &Observed,
    contents: &SecretContents,
    secret: &ClientSecret,
    at: Timestamp,
    api_message: &str,
) -> Step {
    let has_ended = add(at, overlap_of(&observed.app)).is_none_or(|end| observed.now >= end);
    match check_current_secret(observed, contents, at) {
        CurrentSecretCheck::Refused => stage(observed, contents, secret, RotationMode::Replace),
        CurrentSecretCheck::TooEarly => not_verified(observed, contents, api_message),
        CurrentSecretCheck::Ask(current) => verify(observed, &current),
        CurrentSecretCheck::NotKnown => {
            if has_ended {
                stage(observed, contents, secret, RotationMode::Replace)
            } else {
                not_verified(observed, contents, api_message)
            }
        }
        CurrentSecretCheck::Valid => {
            if has_ended {
                discard(observed, contents)
            } else {
                not_verified(observed, contents, api_message)
            }
        }
    }
}

/// An earlier reconcile may have sent the secret. A second request could end the one that consumers use, so it is sent
/// again only if the API has had time to know it, refuses it, and accepts the current one. Where no token can tell, it is sent
/// again at once: the API then refuses, or ends a secret that no consumer has yet.
fn overlap_perhaps_sent(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Step {
    let secret = &pending.secret;
    let api_message = match observed.validity(secret) {
        Validity::NotAsked => return verify(observed, secret),
        Validity::NotVerifiable => return send_rotation(observed, secret),
        Validity::Valid => return promote(observed, contents, secret, pending.staged_at),
        Validity::NotKnown(api_message) => return not_verified(observed, contents, api_message),
        Validity::Refused(api_message) => api_message,
    };
    match check_current_secret(observed, contents, pending.staged_at) {
        CurrentSecretCheck::TooEarly | CurrentSecretCheck::NotKnown => not_verified(observed, contents, api_message),
        CurrentSecretCheck::Ask(current) => verify(observed, &current),
        // Staged again, so that the time of the second send is durable too.
        CurrentSecretCheck::Valid => stage(observed, contents, secret, RotationMode::Overlap),
        CurrentSecretCheck::Refused => stage(observed, contents, secret, RotationMode::Replace),
    }
}

/// Whether the current secret is valid while the API refuses the pending one.
enum CurrentSecretCheck {
    /// The API may not know the pending secret yet, so the current one is not checked.
    TooEarly,
    /// The API did not say, or refused the current secret only once.
    NotKnown,
    /// A token is to be requested with the current secret.
    Ask(ClientSecret),
    /// The current secret is valid as far as is known.
    Valid,
    /// The API refuses the current secret too.
    Refused,
}

fn check_current_secret(observed: &Observed, contents: &SecretContents, since: Timestamp) -> CurrentSecretCheck {
    if within_api_lag(since, observed.now) {
        return CurrentSecretCheck::TooEarly;
    }
    // An adopted app has a secret that is not known.
    let Some(current) = contents.current.as_ref().filter(|_| !contents.is_edited(&observed.app)) else {
        return CurrentSecretCheck::Valid;
    };
    match observed.validity(current) {
        Validity::NotAsked => CurrentSecretCheck::Ask(current.clone()),
        Validity::Valid | Validity::NotVerifiable => CurrentSecretCheck::Valid,
        // One refusal may be false.
        Validity::Refused(_) => {
            if is_refused_twice(observed, current) {
                CurrentSecretCheck::Refused
            } else {
                CurrentSecretCheck::NotKnown
            }
        }
        Validity::NotKnown(_) => CurrentSecretCheck::NotKnown,
    }
}

/// Two durable writes, in two calls: the first call stores the current secret as the previous one, so that it is never lost; the
/// next call, which finds it stored, publishes the pending secret.
fn promote(observed: &Observed, contents: &SecretContents, secret: &ClientSecret, since: Timestamp) -> Step {
    let previous = previous_from(observed, contents, since);
    if contents.previous != previous {
        return write_rotation(observed, SecretContents { previous, ..contents.clone() }, RotationWrite::Accepted);
    }
    publish(observed, contents, secret, WriteReason::Rotated)
}

/// The secret that consumers have used stays beside the new one until the API stops to accept it, at the earliest `since` and
/// the overlap. One that is not valid is not kept; one that is not known, because the app was adopted or the Secret was edited,
/// is valid all the same.
fn previous_from(observed: &Observed, contents: &SecretContents, since: Timestamp) -> Option<PreviousSecret> {
    let secret = contents.current.clone().filter(|_| !contents.is_edited(&observed.app));
    if secret.as_ref().is_some_and(|secret| matches!(observed.validity(secret), Validity::Refused(_))) {
        return None;
    }
    let expires_at = add(since, overlap_of(&observed.app)).filter(|at| *at > observed.now)?;
    Some(PreviousSecret { secret, expires_at })
}
