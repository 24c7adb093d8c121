//! The early end of an overlap: by request, or so that a requested rotation need not wait for it, where the API has such an
//! operation. It happens only while the current secret is valid as far as is known, so that no consumer is left without one.

use super::model::{Observed, OverlapEnd, Validity};
use super::resource::retire_requested;
use super::schedule::{can_end_overlap, is_requested, min_interval_end, previous_is_valid};
use super::step::{Call, Step};
use super::verification::verify;
use crate::secret::SecretContents;

/// Ends the overlap, if that is requested.
pub(super) fn step(observed: &Observed, contents: &SecretContents) -> Option<Step> {
    let is_wanted = retire_requested(&observed.app).is_some() || is_in_the_way(observed, contents);
    if !is_wanted || !can_be_ended(observed, contents) {
        return None;
    }
    let current = contents.current.as_ref()?;
    match observed.validity(current) {
        Validity::NotAsked => Some(verify(observed, current)),
        Validity::Valid | Validity::NotVerifiable => Some(Step::Call(Call::EndRotation(observed.client_id()))),
        Validity::Refused(_) | Validity::NotKnown(_) => None,
    }
}

/// A rotation is requested, and waits for nothing but the end of the previous secret.
fn is_in_the_way(observed: &Observed, contents: &SecretContents) -> bool {
    can_end_overlap(observed) && is_requested(&observed.app, contents) && min_interval_end(observed, contents).is_none()
}

fn can_be_ended(observed: &Observed, contents: &SecretContents) -> bool {
    match observed.overlap_end {
        OverlapEnd::NotTried => previous_is_valid(observed, contents) && !contents.is_edited(&observed.app),
        OverlapEnd::Ended(_) | OverlapEnd::Refused => false,
    }
}

/// The request to end the overlap, if it was handled: the API has answered, or there is nothing to end.
pub fn handled_request(observed: &Observed) -> Option<String> {
    let contents = observed.contents();
    let is_handled = match observed.overlap_end {
        OverlapEnd::Ended(_) | OverlapEnd::Refused => true,
        OverlapEnd::NotTried => {
            observed.secret().is_some() && contents.pending.is_none() && !previous_is_valid(observed, contents)
        }
    };
    retire_requested(&observed.app).filter(|_| is_handled).cloned()
}
