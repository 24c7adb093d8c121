//! The steps that write the two Secrets: the one that consumers use, and the one of the rotation. The latter is written before
//! a secret is sent to the API.

use super::model::{Observed, SecretWriteProgress};
use super::resource::is_public;
use super::schedule::has_ended_early;
use super::step::{RotationWrite, Step, WriteReason};
use crate::iam::ClientSecret;
use crate::secret::{PendingSecret, RotationMode, SecretContents};

/// Whether Kubernetes would accept the Secret is found out by a dry run before the app is created.
pub(super) fn dry_run_secret(observed: &Observed) -> Option<Step> {
    if observed.secret_write != SecretWriteProgress::Unknown {
        return None;
    }
    let sample = (!is_public(&observed.app)).then(|| observed.generated_secret.clone());
    let contents = observed.contents().publish(&observed.app, &observed.client_id(), sample, observed.now);
    Some(Step::DryRunSecret(contents))
}

/// The step that stages a secret: it is pending from then on.
pub(super) fn stage(observed: &Observed, contents: &SecretContents, secret: &ClientSecret, mode: RotationMode) -> Step {
    let pending = PendingSecret {
        secret: secret.clone(),
        mode,
        base_revision: contents.revision,
        staged_at: observed.now,
        accepted_at: None,
    };
    let pending = Some(pending);
    // The secret of an overlap that was ended is no previous one any more.
    let previous = contents.previous.clone().filter(|_| !has_ended_early(observed, contents));
    write_rotation(observed, SecretContents { pending, previous, ..contents.clone() }, RotationWrite::Staged)
}

/// The step that writes what these contents say of the rotation.
pub(super) fn write_rotation(observed: &Observed, contents: SecretContents, reason: RotationWrite) -> Step {
    Step::WriteRotation(SecretContents { client_id: Some(observed.client_id()), ..contents }, reason)
}

/// The step that writes these contents under the client id of the resource.
pub(super) fn write(observed: &Observed, contents: SecretContents, reason: WriteReason) -> Step {
    Step::WriteSecret(SecretContents { client_id: Some(observed.client_id()), ..contents }, reason)
}

/// The step that discards the pending secret.
pub(super) fn discard(observed: &Observed, contents: &SecretContents) -> Step {
    write_rotation(observed, SecretContents { pending: None, ..contents.clone() }, RotationWrite::Cleared)
}

/// The step that publishes a secret which ended the one before, so that there is no previous secret.
pub(super) fn publish_replacing(observed: &Observed, contents: &SecretContents, secret: &ClientSecret) -> Step {
    let reason = if observed.provided_secret() == Some(secret) { WriteReason::Provided } else { WriteReason::Replaced };
    publish(observed, contents, secret, reason)
}

/// The step that publishes a secret: consumers find it from then on.
pub(super) fn publish(
    observed: &Observed,
    contents: &SecretContents,
    secret: &ClientSecret,
    reason: WriteReason,
) -> Step {
    let published = contents.publish(&observed.app, &observed.client_id(), Some(secret.clone()), observed.now);
    Step::WriteSecret(published, reason)
}
