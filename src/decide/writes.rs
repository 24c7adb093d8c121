//! The steps that write the two Secrets: the one that consumers use, and the one of the rotation, which is written before the API
//! hears of a secret.

use super::model::{Observed, SecretWriteProgress};
use super::resource::is_public;
use super::step::{RotationWrite, Step, WriteReason};
use crate::iam::ClientSecret;
use crate::secret::{PendingSecret, RotationMode, SecretContents};

/// A Secret that Kubernetes would refuse is found out before the API hears of the app.
pub fn try_secret(observed: &Observed) -> Option<Step> {
    if observed.secret_write != SecretWriteProgress::Unknown {
        return None;
    }
    let sample = (!is_public(&observed.app)).then(|| observed.generated_secret.clone());
    let contents = observed.contents().publish(&observed.app, &observed.client_id(), sample, observed.now);
    Some(Step::TrySecret(contents))
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

/// The step that gives the pending secret up.
pub fn discard(observed: &Observed, contents: &SecretContents) -> Step {
    write_rotation(observed, SecretContents { pending: None, ..contents.clone() }, RotationWrite::Over)
}

/// The step after which consumers find this secret, and the one before is not valid any more.
pub fn publish(observed: &Observed, contents: &SecretContents, secret: &ClientSecret) -> Step {
    let reason = if observed.provided_secret() == Some(secret) { WriteReason::Provided } else { WriteReason::Replaced };
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
