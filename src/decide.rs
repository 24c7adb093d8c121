//! The only place with policy: from what was observed to the one next step. Pure; every step is derived again from what is
//! observed, so a crash between two steps is the same as a restart. `RULES` is the order; each rule is a file, which uses only
//! the files before it in `tests/direction.rs`.
//!
//! Paths through the files:
//! - creation: `secrets`, `claiming`, `maintenance` to `first_secret`, `creation`
//! - rotation: `schedule` says when, `maintenance` wants it, `writes` stages it, `rotation` applies it by `overlap` or `replacement`,
//!   `overlap_end` ends it early
//! - change and drift: `remote_app`, with `drift`; then `roles`
//! - whether a secret is valid: `verification`; whether an app is gone: `absence`
//! - deletion: `deletion`; which app is the resource's: `claims`, `ownership`

mod absence;
mod access;
mod claiming;
mod claims;
mod consumers;
mod creation;
mod deletion;
mod drift;
mod enforce;
mod faults;
mod fill_in;
mod first_secret;
mod maintenance;
mod model;
mod observe;
mod overlap;
mod overlap_end;
mod ownership;
mod plan;
mod remote_app;
mod replacement;
mod resource;
mod role_note;
mod roles;
mod rotation;
mod schedule;
mod secrets;
mod settled;
mod step;
mod time;
mod validate;
mod verification;
mod writes;

pub(crate) use absence::SECOND_READ_DELAY;
pub use access::Access;
pub(crate) use claims::{comes_first, has_claim, recorded_claim};
pub(crate) use consumers::{overlap_ending, stale_consumers};
pub(crate) use drift::drift;
pub(crate) use faults::{after_fault, outcome_with_retain_hint};
pub(crate) use model::{
    ClaimOrigin, ClaimProgress, Creation, IdOwner, ListCheck, OverlapEnd, PendingProgress, Remembered, RoleAssignment,
    SecretWriteProgress, Validity,
};
pub use model::{Observed, Remote};
pub use overlap_end::handled_request as handled_retire_request;
pub(crate) use overlap_end::{previous_is_doubted, previous_is_refused};
pub(crate) use ownership::{holds_claim, is_ours, signed_claim};
pub use plan::{Plan, Planned};
pub use resource::client_id;
pub(crate) use resource::{begins_with_id, has_finalizer, is_observe_only, org_id, reconcile_requested};
pub(crate) use role_note::role_note;
pub(crate) use roles::may_be_old;
pub(crate) use schedule::{RotationWaits, next_rotation, previous_end, requested_rotation_waits};
pub(crate) use settled::{is_settled, recorded_deadline};
pub use step::Step;
pub(crate) use step::{Call, RotationWrite, WriteReason};
pub(crate) use time::API_LAG;
pub(crate) use validate::fill_with;
pub use verification::is_refusal_unconfirmed;
pub(crate) use verification::{is_verified, standing_refusal, verified_at};

use crate::iam::app_fields::Fields;
use crate::outcome::Outcome;
use crate::reason::Blocked;
use resource::is_being_deleted;
use step::{Effect, Next};

/// A part of the policy: its next step, or `None` if it has nothing left to do.
type Rule = fn(&Observed, &Fields) -> Next;

/// What the later rules do while this one waits for something.
#[derive(Clone, Copy)]
enum WhileWaiting {
    /// They wait too, since they depend on this one.
    Stop,
    /// They are applied nevertheless. What blocks this one, blocks them too.
    Continue,
}

/// The rules in their order: each one decides when those before it have nothing left to do.
const RULES: [(Rule, WhileWaiting); 8] = [
    (secrets::step, WhileWaiting::Stop),
    (creation::publish_issued, WhileWaiting::Stop),
    (claiming::step, WhileWaiting::Stop),
    (maintenance::step, WhileWaiting::Continue),
    (consumers::step, WhileWaiting::Continue),
    (remote_app::step, WhileWaiting::Stop),
    (roles::step, WhileWaiting::Stop),
    (verification::step, WhileWaiting::Continue),
];

pub fn decide(observed: &Observed) -> Step {
    let step = next(observed).and_then(|step| fill_in::fill_in(observed, step));
    enforce::enforce(observed, step.unwrap_or_else(|blocked| Step::Finish(Outcome::Blocked(blocked))))
}

/// What is to be done next, whatever has to be done before.
fn next(observed: &Observed) -> Result<Step, Blocked> {
    if is_being_deleted(&observed.app) {
        return deletion::step(observed);
    }
    if observed.app.spec.suspend {
        return Ok(Step::Finish(Outcome::Suspended));
    }
    let fields = observed.desired.as_ref().map_err(Blocked::clone)?;
    let (mut plan, mut waiting) = (Plan::begun(observed), None);
    for (rule, while_waiting) in RULES {
        let Some(step) = rule(observed, fields)? else { continue };
        if let (Step::Finish(Outcome::Waiting { .. }), WhileWaiting::Continue) = (&step, while_waiting) {
            waiting.get_or_insert(step);
            continue;
        }
        if !observed.is_plan_only() {
            return Ok(step);
        }
        match enforce::effect(observed, &step) {
            Effect::Nothing | Effect::Settled => return Ok(step),
            // Nothing is kept true for an app that is still to be created or adopted.
            Effect::Kubernetes => {
                if plan.is_empty() || observed.writes_in_memory() {
                    return Ok(step);
                }
            }
            Effect::Remote(planned) => plan.add(planned),
        }
        if plan.creates() {
            break;
        }
    }
    if plan.is_empty() { conclude(observed, waiting) } else { Ok(Step::Finish(Outcome::PlanOnly(plan))) }
}

/// No rule has anything left to do now. What waits continues by itself, so no action on the credential is asked for.
fn conclude(observed: &Observed, waiting: Option<Step>) -> Result<Step, Blocked> {
    let deadline = maintenance::next_deadline(observed);
    let last = if waiting.is_some() { waiting } else { maintenance::final_check(observed)? };
    let settled = Step::Finish(Outcome::Settled { wake: deadline });
    Ok(last.map_or(settled, |step| step.no_later_than(deadline)))
}

#[cfg(test)]
mod tests;
