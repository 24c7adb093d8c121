//! The rotation: a secret is pending in a Secret of its own before the API hears of it, then the API has it, then it is verified,
//! then consumers find it. Each of these is durable, and what is not known is asked before anything is sent again.

use super::model::{PendingProgress, Validity, is_provable, is_recent, lag_end};
use super::proof::{is_refused_for_good, refused, refused_for_good_at};
use super::remote_app::update_fields;
use super::{Call, Observed, Outcome, Remote, Retry, RotationWrite, Step, WriteReason, creation};
use crate::crd::OrgOAuthApp;
use crate::definition::{self, Fields};
use crate::duration;
use crate::iam::{ClientSecret, Update};
use crate::reason::Reason;
use crate::secret::{PendingSecret, PreviousSecret, RotationMode, SecretContents};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The overlap of a rotation where nothing says another one. [csp-struct]
pub const DEFAULT_OVERLAP: Duration = Duration::from_secs(172_800);

/// The step that brings the pending secret to the API and then to the consumers.
pub fn apply_pending(
    observed: &Observed,
    fields: &Fields,
    contents: &SecretContents,
    pending: &PendingSecret,
) -> Option<Step> {
    let is_gone = matches!(observed.remote, Remote::Absent);
    match (standing(observed, contents, pending), pending.mode, is_gone) {
        (Standing::Published, mode, _) => Some(finish(observed, contents, mode)),
        (Standing::Next | Standing::Overtaken, RotationMode::Unknown, _) => Some(date(observed, contents, pending)),
        (Standing::Overtaken, RotationMode::Create | RotationMode::Replace | RotationMode::Overlap, _) => {
            Some(discard(observed, contents))
        }
        (Standing::Next, RotationMode::Create, _) => creation::staged(observed, fields, contents, pending),
        (Standing::Next, RotationMode::Replace | RotationMode::Overlap, true) => {
            Some(creation::create_again(observed, fields))
        }
        (Standing::Next, RotationMode::Replace, false) => replace(observed, contents, pending, fields),
        (Standing::Next, RotationMode::Overlap, false) => Some(overlap(observed, contents, pending)),
    }
}

/// How the pending secret stands to the one that consumers find.
enum Standing {
    /// It is to follow it.
    Next,
    /// It is the one that consumers find, since it was staged.
    Published,
    /// Another process published a secret meanwhile, or somebody deleted the Secret in order to end all former ones.
    Overtaken,
}

fn standing(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Standing {
    let is_published = contents.current.as_ref() == Some(&pending.secret)
        && contents.was_published(&observed.app, &pending.secret)
        && contents.revision > pending.follows;
    match (is_published, pending.follows == contents.revision) {
        (true, _) => Standing::Published,
        (false, true) => Standing::Next,
        (false, false) => Standing::Overtaken,
    }
}

/// Perhaps it was sent, nobody knows when; from now on it is known.
fn date(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Step {
    let (mode, follows, since) = (RotationMode::Overlap, contents.revision, observed.now);
    let pending = Some(PendingSecret { mode, follows, since, ..pending.clone() });
    write_rotation(observed, SecretContents { pending, ..contents.clone() }, RotationWrite::PutBack)
}

/// Whether consumers find a value that was edited, or that the API refuses.
fn is_edited_or_refused(observed: &Observed, contents: &SecretContents) -> bool {
    contents.is_edited(&observed.app) || refused(observed, contents).is_some()
}

/// The step that gives the pending secret up.
pub fn discard(observed: &Observed, contents: &SecretContents) -> Step {
    write_rotation(observed, SecretContents { pending: None, ..contents.clone() }, RotationWrite::Over)
}

/// Nothing is pending any more. Whatever replaced the former secret ended its validity, unless it was to overlap.
fn finish(observed: &Observed, contents: &SecretContents, mode: RotationMode) -> Step {
    let previous = match mode {
        RotationMode::Overlap => contents.previous.clone(),
        RotationMode::Replace | RotationMode::Create | RotationMode::Unknown => None,
    };
    write_rotation(observed, SecretContents { pending: None, previous, ..contents.clone() }, RotationWrite::Over)
}

/// The step after which consumers find this secret, and the one before is not valid any more.
pub fn publish(observed: &Observed, contents: &SecretContents, secret: &ClientSecret) -> Step {
    let reason = match observed.provided_secret() == Some(secret) {
        true => WriteReason::Provided,
        false => WriteReason::Replaced,
    };
    write_published(observed, contents, secret, reason)
}

/// The step after which consumers find this secret.
pub fn write_published(
    observed: &Observed,
    contents: &SecretContents,
    secret: &ClientSecret,
    reason: WriteReason,
) -> Step {
    let published = contents.publish(&observed.app, &observed.client_id(), Some(secret.clone()), observed.now);
    Step::WriteSecret(published, reason)
}

/// Makes the pending secret the only valid one.
pub fn replace(
    observed: &Observed,
    contents: &SecretContents,
    pending: &PendingSecret,
    fields: &Fields,
) -> Option<Step> {
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
        (PendingProgress::Conflict { was_found }, None) => overlap_in_progress(observed, contents, pending, was_found),
        (_, Some(at)) => overlap_accepted(observed, contents, secret, at),
    }
}

fn overlap_in_progress(
    observed: &Observed,
    contents: &SecretContents,
    pending: &PendingSecret,
    was_found: bool,
) -> Step {
    let secret = &pending.secret;
    match (was_found && !is_provable(&observed.app), is_edited_or_refused(observed, contents)) {
        // Sent before, and a rotation is in progress: that is it, as far as anybody can tell.
        (true, _) => promote(observed, contents, secret, pending.since),
        // What consumers find is not valid, so the other rotation is not waited for.
        (false, true) => stage(observed, contents, secret, RotationMode::Replace),
        (false, false) => rotation_in_progress(observed),
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
        Validity::NotKnown(said) => {
            return match is_recent(at, observed.now) {
                true => not_verified(observed, contents, said),
                // The API accepted it, and says for another cause that it issues no token; the current one ends with the overlap.
                false => promote(observed, contents, secret, at),
            };
        }
        Validity::Invalid(said) => said,
    };
    let has_ended = add(at, overlap_of(&observed.app)).is_none_or(|end| observed.now >= end);
    match (works_instead(observed, contents, at), has_ended) {
        (Instead::Nothing, _) | (Instead::NotKnown, true) => stage(observed, contents, secret, RotationMode::Replace),
        (Instead::TooEarly, _) | (Instead::NotKnown | Instead::Current, false) => {
            not_verified(observed, contents, said)
        }
        (Instead::Ask(current), _) => verify(observed, &current),
        (Instead::Current, true) => discard(observed, contents),
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
    match (observed.validity(current), is_refused_for_good(observed, current)) {
        (Validity::NotAsked, _) => Instead::Ask(current.clone()),
        (Validity::Valid | Validity::NotProvable, _) => Instead::Current,
        (Validity::Invalid(_), true) => Instead::Nothing,
        // One refusal may be false.
        (Validity::Invalid(_), false) | (Validity::NotKnown(_), _) => Instead::NotKnown,
    }
}

/// Asks for a token with this secret.
pub fn verify(observed: &Observed, secret: &ClientSecret) -> Step {
    Step::Call(Call::VerifySecret(observed.client_id(), secret.clone()))
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

/// Waits for a token for the pending secret.
pub fn not_verified(observed: &Observed, contents: &SecretContents, said: &str) -> Step {
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
