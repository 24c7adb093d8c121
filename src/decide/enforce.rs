//! The preconditions of a step, whichever rule decided it: the finalizer is there before something depends on it, and nothing is
//! created or changed in the API from a cache that may lag.

use super::model::Observed;
use super::ownership::is_ours;
use super::plan::{Plan, Planned};
use super::resource::{has_finalizer, is_being_deleted};
use super::step::{Call, Effect, Step};
use crate::outcome::Outcome;

/// The step, or what has to be done before it. With `managementPolicy: Observe`, or in a preview, nothing is changed, and there is
/// nothing to clean up.
pub(super) fn enforce(observed: &Observed, step: Step) -> Step {
    let effect = effect(observed, &step);
    if observed.is_plan_only() {
        return match effect {
            Effect::Remote(planned) => {
                let mut plan = Plan::default();
                plan.add(planned);
                Step::Finish(Outcome::PlanOnly(plan))
            }
            Effect::Nothing | Effect::Settled | Effect::Kubernetes => step,
        };
    }
    // A deletion is never taken back, so no cache is too old for it.
    if is_being_deleted(&observed.app) {
        return step;
    }
    let before = match effect {
        Effect::Nothing => protect(observed),
        Effect::Settled | Effect::Kubernetes => ensure_finalizer(observed),
        Effect::Remote(_) => ensure_finalizer(observed).or_else(|| require_uncached(observed)),
    };
    before.unwrap_or(step)
}

/// What a step affects. A preview writes what Kubernetes has to memory, the claim of an adoption too: what follows depends on it.
pub(super) fn effect(observed: &Observed, step: &Step) -> Effect {
    match step.effect() {
        Effect::Remote(Planned::Adopt) if observed.writes_in_memory() => Effect::Kubernetes,
        effect => effect,
    }
}

/// An app that exists has its finalizer back before anything else, whether the API answers or not.
fn protect(observed: &Observed) -> Option<Step> {
    let exists = observed.contents().client_id.is_some() && is_ours(observed);
    (exists && !has_finalizer(&observed.app)).then_some(Step::AddFinalizer)
}

/// A token comes before the finalizer, so that a resource whose connection never worked can be deleted without it.
fn ensure_finalizer(observed: &Observed) -> Option<Step> {
    let add = || if observed.authenticated { Step::AddFinalizer } else { Step::Call(Call::Authenticate) };
    protect(observed).or_else(|| (!has_finalizer(&observed.app)).then(add))
}

/// A cache that lags could show a resource that is already gone.
fn require_uncached(observed: &Observed) -> Option<Step> {
    (!observed.is_uncached).then_some(Step::ReadResource)
}
