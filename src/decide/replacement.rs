//! The replacement of a secret: an update of the app makes the pending secret the only valid one.

use super::drift::update_fields;
use super::model::{Observed, PendingProgress, Remote};
use super::step::{Call, Step};
use super::writes::publish_replacing;
use crate::iam::app_fields::Fields;
use crate::iam::{ClientSecret, Update};
use crate::outcome::{Outcome, Retry};
use crate::reason::Reason;
use crate::secret::{PendingSecret, SecretContents};

/// Makes the pending secret the only valid one.
pub(super) fn replace(
    observed: &Observed,
    contents: &SecretContents,
    pending: &PendingSecret,
    fields: &Fields,
) -> Option<Step> {
    let secret = &pending.secret;
    match observed.progress(secret) {
        PendingProgress::Accepted => Some(publish_replacing(observed, contents, secret)),
        PendingProgress::Conflict { .. } => Some(rotation_in_progress(observed)),
        PendingProgress::MaybeSent | PendingProgress::NotSent | PendingProgress::RotationRefused => {
            send_replacement(observed, fields, secret)
        }
    }
}

/// What the API wants with each update and the spec leaves out is read before, so that it stays as it is.
fn send_replacement(observed: &Observed, fields: &Fields, secret: &ClientSecret) -> Option<Step> {
    let id = observed.client_id();
    let is_unread = match &observed.remote {
        Remote::NotRead | Remote::Listed(_) => true,
        Remote::Absent | Remote::Shown(_) | Remote::JustCreated => false,
    };
    if is_unread && fields.update_repeats_shown() {
        return Some(Step::Call(Call::Read(id)));
    }
    let fields = update_fields(observed, fields, &[]);
    let update = Update { context: observed.context(), fields, secret: Some(secret.clone()) };
    Some(Step::Call(Call::Replace(id, update)))
}

/// Waits until another rotation has ended.
pub(super) fn rotation_in_progress(observed: &Observed) -> Step {
    let message =
        format!("the API says that a rotation of app {} is in progress; the next one waits", observed.client_id());
    Step::Finish(Outcome::Waiting { reason: Reason::RotationRunning, message, retry: Retry::Backoff })
}
