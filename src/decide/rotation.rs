//! The rotation: a secret is pending in a Secret of its own before the API hears of it. How it stands to the one that consumers find,
//! and how it is to become valid, says what is done with it.

use super::creation;
use super::model::{Observed, Remote};
use super::overlap::overlap;
use super::replacement::replace;
use super::step::{RotationWrite, Step};
use super::writes::{discard, write_rotation};
use crate::iam::app_fields::Fields;
use crate::secret::{PendingSecret, RotationMode, SecretContents};

/// The step that brings the pending secret to the API and then to the consumers.
pub fn apply_pending(
    observed: &Observed,
    fields: &Fields,
    contents: &SecretContents,
    pending: &PendingSecret,
) -> Option<Step> {
    match standing(observed, contents, pending) {
        Standing::Published => Some(finish(observed, contents, pending.mode)),
        Standing::Overtaken => Some(match pending.mode {
            RotationMode::Unknown => date(observed, contents, pending),
            RotationMode::Create | RotationMode::Replace | RotationMode::Overlap => discard(observed, contents),
        }),
        Standing::Next => apply_next(observed, fields, contents, pending),
    }
}

fn apply_next(
    observed: &Observed,
    fields: &Fields,
    contents: &SecretContents,
    pending: &PendingSecret,
) -> Option<Step> {
    let is_gone = matches!(observed.remote, Remote::Absent);
    match pending.mode {
        RotationMode::Unknown => Some(date(observed, contents, pending)),
        RotationMode::Create => creation::staged(observed, fields, contents, pending),
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

/// How the pending secret stands to the one that consumers find.
enum Standing {
    /// It is to follow it.
    Next,
    /// It is the one that consumers find, since it was staged.
    Published,
    /// Another process published a secret meanwhile, or somebody deleted the Secret in order to end all earlier ones.
    Overtaken,
}

fn standing(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Standing {
    let is_current = contents.current.as_ref() == Some(&pending.secret);
    let was_published = contents.was_published(&observed.app, &pending.secret);
    if is_current && was_published && contents.revision > pending.follows {
        return Standing::Published;
    }
    if contents.revision == pending.follows { Standing::Next } else { Standing::Overtaken }
}

/// Perhaps it was sent, nobody knows when; from now on it is known.
fn date(observed: &Observed, contents: &SecretContents, pending: &PendingSecret) -> Step {
    let (mode, follows, since) = (RotationMode::Overlap, contents.revision, observed.now);
    let pending = Some(PendingSecret { mode, follows, since, ..pending.clone() });
    write_rotation(observed, SecretContents { pending, ..contents.clone() }, RotationWrite::Restored)
}

/// Nothing is pending any more. Whatever replaced the earlier secret ended its validity, unless it was to overlap.
fn finish(observed: &Observed, contents: &SecretContents, mode: RotationMode) -> Step {
    let previous = match mode {
        RotationMode::Overlap => contents.previous.clone(),
        RotationMode::Replace | RotationMode::Create | RotationMode::Unknown => None,
    };
    write_rotation(observed, SecretContents { pending: None, previous, ..contents.clone() }, RotationWrite::Over)
}
