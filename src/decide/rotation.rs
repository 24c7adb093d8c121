//! What is done with a pending secret, which is stored in the Secret of the rotation before it is sent to the API. One that is
//! published is cleared, one that is overtaken is discarded, and any other one is applied as its `RotationMode` says.

use super::creation;
use super::model::{Observed, Remote};
use super::overlap::overlap;
use super::replacement::replace;
use super::step::{RotationWrite, Step};
use super::writes::{discard, write_rotation};
use crate::iam::app_fields::Fields;
use crate::secret::{PendingSecret, RotationMode, SecretContents};

/// The step that brings the pending secret to the API and then to the consumers.
pub(super) fn apply_pending(
    observed: &Observed,
    fields: &Fields,
    contents: &SecretContents,
    pending: &PendingSecret,
) -> Option<Step> {
    match standing(observed, contents, pending) {
        Standing::Published => Some(clear_pending(observed, contents, pending.mode)),
        Standing::Overtaken => Some(match pending.mode {
            RotationMode::Unknown => restage_unknown_as_overlap(observed, contents, pending),
            RotationMode::Create | RotationMode::Replace | RotationMode::Overlap => discard(observed, contents),
        }),
        Standing::Pending => apply_in_mode(observed, fields, contents, pending),
    }
}

fn apply_in_mode(
    observed: &Observed,
    fields: &Fields,
    contents: &SecretContents,
    pending: &PendingSecret,
) -> Option<Step> {
    let is_gone = matches!(observed.remote, Remote::Absent);
    match pending.mode {
        RotationMode::Unknown => Some(restage_unknown_as_overlap(observed, contents, pending)),
        RotationMode::Create => creation::apply_pending_create(observed, fields, contents, pending),
        RotationMode::Replace => {
            if is_gone {
                Some(creation::create_again(observed, fields))
            } else {
                replace(observed, contents, pending, fields)
            }
        }
        RotationMode::Overlap => {
            Some(if is_gone { creation::create_again(observed, fields) } else { overlap(observed, contents, pending) })
        }
    }
}

/// How the pending secret relates to the published one.
enum Standing {
    /// It is to be published next.
    Pending,
    /// It was published after it was staged.
    Published,
    /// Another process published a secret meanwhile, or somebody deleted the Secret in order to end all earlier ones.
    Overtaken,
}

fn standing(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Standing {
    let is_current = contents.current.as_ref() == Some(&pending.secret);
    let was_published = contents.was_published(&observed.app, &pending.secret);
    if is_current && was_published && contents.revision > pending.base_revision {
        return Standing::Published;
    }
    if contents.revision == pending.base_revision { Standing::Pending } else { Standing::Overtaken }
}

/// It may have been sent at a time that is not known, so it is staged again with the present time.
fn restage_unknown_as_overlap(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Step {
    let pending = PendingSecret {
        mode: RotationMode::Overlap,
        base_revision: contents.revision,
        staged_at: observed.now,
        ..pending.clone()
    };
    let pending = Some(pending);
    write_rotation(observed, SecretContents { pending, ..contents.clone() }, RotationWrite::Restored)
}

/// Ends a rotation: nothing is pending any more. Only an overlap leaves a previous secret that is valid.
fn clear_pending(observed: &Observed, contents: &SecretContents, mode: RotationMode) -> Step {
    let previous = match mode {
        RotationMode::Overlap => contents.previous.clone(),
        RotationMode::Replace | RotationMode::Create | RotationMode::Unknown => None,
    };
    write_rotation(observed, SecretContents { pending: None, previous, ..contents.clone() }, RotationWrite::Cleared)
}
