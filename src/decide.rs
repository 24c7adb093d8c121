//! The only place with policy: from what was observed to the one next step. Pure; every step is derived again from what is
//! seen, so a crash between two steps is the same as a restart.

mod absence;
mod blocked;
mod consumers;
mod creation;
mod deletion;
mod faults;
mod first_secret;
mod model;
mod ownership;
mod plan;
mod proof;
mod remote_app;
mod roles;
mod rotation;
mod secrets;
mod settled;
mod step;
mod upkeep;
mod validate;

pub use blocked::Blocked;
pub use consumers::{overlap_ending, stale_consumers};
pub use deletion::outcome_with_retain_hint;
pub use faults::after_fault;
pub use model::{
    Access, ClaimOrigin, ClaimProgress, Creation, IdOwner, ListWitness, Observed, PendingProgress, Remembered, Remote,
    RoleAssignment, SecretWriteProgress, SentChange, Validity, client_id, has_finalizer, is_observe_only, org_id,
    reconcile_requested,
};
pub use ownership::{comes_first, has_claim, holds_claim, is_ours, recorded_claim, signed_claim};
pub use plan::Plan;
pub use proof::{is_proven, is_refused_once, proven_at, refusal};
pub use remote_app::drift;
pub use roles::may_be_old;
pub use settled::{is_settled, recorded_deadline};
pub use step::{Call, Outcome, Retry, RotationWrite, Step, WriteReason};
pub use upkeep::{RotationWaits, next_rotation, previous_end, requested_rotation_waits};

use crate::definition::Fields;
use step::Effect;

/// A step, or `None` where nothing is to be done.
type Next = Result<Option<Step>, Blocked>;

/// One thing that is seen to.
type Part = fn(&Observed, &Fields) -> Next;

/// What the parts that follow do while one waits for something.
#[derive(Clone, Copy)]
enum WhileWaiting {
    /// They wait too, since they depend on it.
    Stop,
    /// They go on.
    GoOn,
}

/// What is seen to, in this order: the next part has its turn when the one before has nothing left to do.
const PARTS: [(Part, WhileWaiting); 8] = [
    (secrets::step, WhileWaiting::Stop),
    (creation::publish_issued, WhileWaiting::Stop),
    (ownership::step, WhileWaiting::Stop),
    (upkeep::step, WhileWaiting::GoOn),
    (consumers::step, WhileWaiting::GoOn),
    (remote_app::step, WhileWaiting::Stop),
    (roles::step, WhileWaiting::Stop),
    (proof::step, WhileWaiting::GoOn),
];

/// The next step.
pub fn decide(observed: &Observed) -> Step {
    let step = next(observed).and_then(|step| validate::complete(observed, step));
    enforce(observed, step.unwrap_or_else(|blocked| Step::Finish(Outcome::Blocked(blocked))))
}

/// What is to be done next, whatever has to be done before.
fn next(observed: &Observed) -> Result<Step, Blocked> {
    if observed.app.metadata.deletion_timestamp.is_some() {
        return deletion::step(observed);
    }
    if observed.app.spec.suspend {
        return Ok(Step::Finish(Outcome::Suspended));
    }
    let fields = observed.desired.as_ref().map_err(Blocked::clone)?;
    let (mut plan, mut waiting) = (Plan::default(), None);
    for (part, while_waiting) in PARTS {
        let Some(step) = part(observed, fields)? else { continue };
        if let (Step::Finish(Outcome::Waiting { .. }), WhileWaiting::GoOn) = (&step, while_waiting) {
            waiting.get_or_insert(step);
            continue;
        }
        match (is_observe_only(&observed.app), step.effect()) {
            (false, _) | (true, Effect::Nothing | Effect::Settled) => return Ok(step),
            // Nothing is kept true for an app that is still to be created or adopted.
            (true, Effect::Kubernetes) if plan.is_empty() => return Ok(step),
            (true, Effect::Kubernetes) => {}
            (true, Effect::Remote(planned)) => plan.add(planned),
        }
        if plan.creates() {
            break;
        }
    }
    if !plan.is_empty() {
        return Ok(Step::Finish(Outcome::Observed(plan)));
    }
    let deadline = upkeep::next_deadline(observed);
    let settled = Step::Finish(Outcome::Settled { wake: deadline });
    // What waits goes on by itself, so nobody is asked to do anything about the credential.
    let last = if waiting.is_some() { waiting } else { upkeep::final_check(observed)? };
    Ok(last.map_or(settled, |step| step.no_later_than(deadline)))
}

/// What has to be done before a step: the finalizer is there before something depends on it, and nothing is created or changed
/// at the API from a cache that may lag. Who only observes changes nothing, and has nothing to clean up.
fn enforce(observed: &Observed, step: Step) -> Step {
    let is_deleted = observed.app.metadata.deletion_timestamp.is_some();
    match (step.effect(), is_observe_only(&observed.app)) {
        (Effect::Remote(planned), true) => {
            let mut plan = Plan::default();
            plan.add(planned);
            Step::Finish(Outcome::Observed(plan))
        }
        (Effect::Nothing | Effect::Settled | Effect::Kubernetes, true) => step,
        // A deletion is never taken back, so no cache is too old for it.
        (_, false) if is_deleted => step,
        (Effect::Nothing, false) => protect(observed).unwrap_or(step),
        (Effect::Settled | Effect::Kubernetes, false) => ensure_finalizer(observed).unwrap_or(step),
        (Effect::Remote(_), false) => ensure_finalizer(observed).or_else(|| require_uncached(observed)).unwrap_or(step),
    }
}

/// An app that exists has its finalizer back before anything else, whether the API answers or not.
fn protect(observed: &Observed) -> Option<Step> {
    let exists = observed.contents().client_id.is_some() && is_ours(observed);
    (exists && !has_finalizer(&observed.app)).then_some(Step::AddFinalizer)
}

/// A token comes before the finalizer, so that a resource whose connection never worked can be deleted without it.
fn ensure_finalizer(observed: &Observed) -> Option<Step> {
    let add = || match observed.authenticated {
        true => Step::AddFinalizer,
        false => Step::Call(Call::Authenticate),
    };
    protect(observed).or_else(|| (!has_finalizer(&observed.app)).then(add))
}

/// A cache that lags could show a resource that is already gone.
fn require_uncached(observed: &Observed) -> Option<Step> {
    (!observed.is_uncached).then_some(Step::ReadResource)
}

#[cfg(test)]
mod tests;
