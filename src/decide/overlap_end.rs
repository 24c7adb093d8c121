//! The end of an overlap before the API ends it: by request, so that a requested rotation need not wait for it, or on time where
//! the API would be late. It happens only while the current secret is valid as far as is known, so that no consumer is left
//! without one.

use super::model::{Observed, OverlapEnd, Validity};
use super::resource::retire_requested;
use super::schedule::{is_requested, may_end_overlap, min_interval_end, previous_is_valid, recorded_rotation};
use super::step::{Call, Step};
use super::verification::{is_refused_twice, second_refusal_at, verify};
use crate::iam::app_fields::Fields;
use crate::secret::SecretContents;
use k8s_openapi::jiff::Timestamp;

/// Ends the overlap, if that is due.
pub(super) fn step(observed: &Observed, contents: &SecretContents) -> Option<Step> {
    if !is_due(observed, contents) || !is_beside_current(observed, contents) {
        return None;
    }
    let current = contents.current.as_ref()?;
    let end = || Some(Step::Call(Call::EndRotation(observed.client_id())));
    // That is a plan only, for which nothing need be asked.
    if observed.is_plan_only() {
        return end();
    }
    match observed.validity(current) {
        Validity::NotAsked => Some(verify(observed, current)),
        Validity::Valid | Validity::NotVerifiable => end(),
        Validity::Refused(_) | Validity::NotKnown(_) => None,
    }
}

fn is_due(observed: &Observed, contents: &SecretContents) -> bool {
    if previous_is_valid(observed, contents) {
        let is_asked = retire_requested(&observed.app).is_some() && recorded_rotation(observed, contents).is_some();
        is_asked || is_in_the_way(observed, contents)
    } else {
        observed.desired.as_ref().is_ok_and(Fields::api_retires_late) && !observed.is_plan_only()
    }
}

/// A rotation is requested, and waits for nothing but the end of the previous secret.
fn is_in_the_way(observed: &Observed, contents: &SecretContents) -> bool {
    may_end_overlap(observed, contents)
        && is_requested(&observed.app, contents)
        && min_interval_end(observed, contents).is_none()
}

/// The previous secret is not the one that consumers use, as it is while a rotation is under way.
fn is_beside_current(observed: &Observed, contents: &SecretContents) -> bool {
    let is_other = match &contents.previous {
        Some(previous) => previous.secret != contents.current,
        // Status reports it beside the published one, as after a crash between the end and its report.
        None => previous_is_valid(observed, contents),
    };
    let is_tried = match observed.overlap_end {
        OverlapEnd::NotTried => {
            let is_doubted = confirmation(observed, contents).is_some_and(|at| at > observed.now);
            is_doubted || observed.end_was_refused(contents.revision)
        }
        OverlapEnd::Ended(_) | OverlapEnd::Refused | OverlapEnd::Doubted => true,
    };
    is_other && contents.pending.is_none() && !is_tried && !contents.is_edited(&observed.app)
}

/// Whether the API refused the previous secret twice, a minute apart, so that it has ended.
pub(crate) fn previous_is_refused(observed: &Observed) -> bool {
    observed.contents().previous_secret().is_some_and(|previous| is_refused_twice(observed, previous))
}

/// Whether the API refused the previous secret, which a second refusal is to confirm.
pub(crate) fn previous_is_doubted(observed: &Observed) -> bool {
    let previous = observed.contents().previous_secret();
    let is_refused = |previous| matches!(observed.validity(previous), Validity::Refused(_));
    previous.is_some_and(is_refused) && !previous_is_refused(observed)
}

/// From when on a second refusal of the previous secret confirms the first one.
pub(super) fn confirmation(observed: &Observed, contents: &SecretContents) -> Option<Timestamp> {
    second_refusal_at(observed, contents.previous_secret()?)
}

/// The request to end the overlap, if it was handled: the API has answered, or there is nothing to end. What is asked together with
/// a rotation is not about the overlap that this one begins.
pub fn handled_request(observed: &Observed) -> Option<String> {
    let contents = observed.contents();
    let is_handled = match observed.overlap_end {
        OverlapEnd::Ended(_) | OverlapEnd::Refused => true,
        OverlapEnd::Doubted => false,
        OverlapEnd::NotTried => {
            let is_new = contents.revision > 0 && recorded_rotation(observed, contents).is_none();
            let is_over = is_new || !previous_is_valid(observed, contents);
            observed.secret().is_some() && contents.pending.is_none() && is_over
        }
    };
    retire_requested(&observed.app).filter(|_| is_handled).cloned()
}
