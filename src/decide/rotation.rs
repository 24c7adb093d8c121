//! The rotation: a secret is pending in the Secret before the API hears of it, then the API has it, then it is verified, then
//! consumers find it. What the API did with a pending secret that was found is asked before it is sent again.

use super::model::{PendingProgress, is_provable};
use super::ownership::is_adopted_without_secret;
use super::remote_app::update_fields;
use super::{Call, Observed, Outcome, Remote, Step, WriteReason, creation};
use crate::crd::OrgOAuthApp;
use crate::definition::{self, Fields};
use crate::duration;
use crate::reason::Reason;
use crate::remote::{ClientSecret, Update, Verification};
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
        RotationMode::Replace if contents.current.is_none() && is_adopted_without_secret(observed) => {
            // Pending for a create that did not come about; the app that was adopted instead has a secret of its own.
            Some(write(observed, SecretContents { pending: None, ..contents.clone() }, WriteReason::Expired))
        }
        RotationMode::Replace | RotationMode::Overlap if is_gone => Some(creation::create(observed, fields)),
        RotationMode::Replace => replace(observed, contents, pending, fields),
        RotationMode::Overlap => Some(overlap(observed, contents, pending)),
    }
}

fn replace(observed: &Observed, contents: &SecretContents, pending: &PendingSecret, fields: &Fields) -> Option<Step> {
    let (id, secret) = (observed.client_id(), &pending.secret);
    match observed.progress(secret) {
        PendingProgress::Accepted => {
            let published = contents.publish(&observed.app, &id, Some(secret.clone()), observed.now);
            Some(Step::WriteSecret(published, WriteReason::Replaced))
        }
        PendingProgress::Conflict { .. } => Some(rotation_in_progress(observed)),
        PendingProgress::Found | PendingProgress::Staged => send_replacement(observed, fields, secret),
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

/// Sending it a second time could retire the one that consumers use, so where a token request can tell, it is asked
/// first whether an earlier reconcile got through.
fn overlap(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Step {
    let secret = &pending.secret;
    let verify = || Step::Call(Call::VerifySecret(observed.client_id(), secret.clone()));
    let send = || Step::Call(Call::Rotate(observed.client_id(), secret.clone(), overlap_of(&observed.app)));
    let promote_since = |since| promote(observed, contents, secret, since);
    match (observed.progress(secret), observed.verification(secret), is_provable(&observed.app)) {
        (PendingProgress::Staged, _, _) => send(),
        (PendingProgress::Found, Some(Verification::Accepted), _) => promote_since(pending.since),
        (PendingProgress::Found, None, true) => verify(),
        (PendingProgress::Found, Some(Verification::Refused(_)), _) | (PendingProgress::Found, None, false) => send(),
        (PendingProgress::Accepted, Some(Verification::Refused(said)), _) => not_verified(said),
        (PendingProgress::Accepted, None, true) => verify(),
        (PendingProgress::Accepted, Some(Verification::Accepted), _) | (PendingProgress::Accepted, None, false) => {
            promote_since(observed.now)
        }
        // Sent before, and a rotation is in progress: that is it, as far as anybody can tell.
        (PendingProgress::Conflict { was_found: true }, _, false) => promote_since(pending.since),
        (PendingProgress::Conflict { was_found: false }, _, _) | (PendingProgress::Conflict { .. }, _, true) => {
            rotation_in_progress(observed)
        }
    }
}

/// The secret that consumers have used stays beside the new one until the API stops to accept it, at the earliest
/// `since` and the overlap.
fn promote(observed: &Observed, contents: &SecretContents, secret: &ClientSecret, since: Timestamp) -> Step {
    let app = &observed.app;
    let good = contents.current.clone().filter(|_| !contents.is_edited(app));
    let previous = good.zip(add(since, overlap_of(app)));
    let previous = previous.map(|(secret, expires_at)| PreviousSecret { secret, expires_at });
    let published = contents.publish(app, &observed.client_id(), Some(secret.clone()), observed.now);
    let previous = previous.filter(|previous| previous.expires_at > observed.now);
    Step::WriteSecret(SecretContents { previous, ..published }, WriteReason::Rotated)
}

/// The step that makes a secret pending.
pub fn stage(observed: &Observed, contents: &SecretContents, secret: &ClientSecret, mode: RotationMode) -> Step {
    Step::WriteSecret(with_pending(observed, contents, secret, mode), WriteReason::Staged)
}

/// The same contents with this secret pending.
pub fn with_pending(
    observed: &Observed,
    contents: &SecretContents,
    secret: &ClientSecret,
    mode: RotationMode,
) -> SecretContents {
    let pending = Some(PendingSecret { secret: secret.clone(), mode, since: observed.now });
    SecretContents { client_id: Some(observed.client_id()), pending, ..contents.clone() }
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
    Step::Finish(Outcome::Waiting { reason: Reason::RotationRunning, message, until: None })
}

fn not_verified(said: &str) -> Step {
    let message = format!(
        "the API accepted the new secret but does not issue a token for it; keeping the current secret: {said}"
    );
    Step::Finish(Outcome::Waiting { reason: Reason::SecretNotProven, message, until: None })
}
