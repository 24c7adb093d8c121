//! Consumers that read the Secret only at their start: named workloads are restarted once a secret is published, and pods that
//! still hold the previous one are searched while it is valid. Nothing here delays another rule.

use super::model::Observed;
use super::schedule::previous_end;
use super::step::{Next, Step};
use crate::consumers::{Overlap, RestartResult, StaleConsumers};
use crate::crd::RotationStatus;
use crate::iam::app_fields::Fields;
use crate::secret::{PreviousSecret, SecretContents};
use k8s_openapi::jiff::Timestamp;

/// The next restart or search, if one is due.
pub(super) fn step(observed: &Observed, _: &Fields) -> Next {
    let contents = observed.contents();
    let search = || {
        let is_due = next_search(observed, contents).is_some_and(|at| at <= observed.now);
        contents.rotated_at.filter(|_| is_due).map(Step::FindStaleConsumers)
    };
    Ok(restart(observed, contents).or_else(search))
}

/// A secret was published since status was last written, so this is tried once: status then reports its revision. Without the
/// right to it nothing further is tried.
fn restart(observed: &Observed, contents: &SecretContents) -> Option<Step> {
    let recorded = recorded_rotation(observed)?;
    let revision = recorded.revision?;
    let before = recorded.rotated_at.as_ref().map(|at| at.0);
    // Revisions start again when the Secret was deleted.
    let is_new = |at: Timestamp| contents.revision > revision || before.is_some_and(|before| at > before);
    let rotated_at = contents.rotated_at.filter(|at| *at <= observed.now && is_new(*at))?;
    if observed.restarts.iter().any(|(_, result)| matches!(result, RestartResult::Forbidden(_))) {
        return None;
    }
    let workloads = &observed.app.spec.rotation.as_ref()?.restart;
    let is_tried = |workload| observed.restarts.iter().any(|(tried, _)| tried == workload);
    let next = workloads.iter().find(|workload| !is_tried(*workload))?;
    Some(Step::RestartConsumer(next.clone(), rotated_at))
}

pub(super) fn next_search(observed: &Observed, contents: &SecretContents) -> Option<Timestamp> {
    let last = observed.remembered.consumers_searched.filter(|(revision, _)| *revision == contents.revision);
    let some_are_stale = stale_consumers(observed).is_some();
    running(observed, contents)?.next_search(last.map(|(_, at)| at), some_are_stale)
}

/// The pods that hold an earlier secret, as far as is known, while the previous one is valid.
pub(crate) fn stale_consumers(observed: &Observed) -> Option<StaleConsumers> {
    let contents = observed.contents();
    running(observed, contents)?;
    let known = || {
        let recorded = recorded_rotation(observed).filter(|recorded| recorded.revision == Some(contents.revision))?;
        let count = usize::try_from(recorded.stale_consumer_count?).ok()?;
        Some(StaleConsumers { first: recorded.stale_consumers.clone()?, count })
    };
    observed.stale_consumers.clone().or_else(known).filter(|stale| stale.count > 0)
}

/// The overlap, if only a quarter of it is left.
pub(crate) fn overlap_ending(observed: &Observed) -> Option<Overlap> {
    running(observed, observed.contents()).filter(|overlap| overlap.last_quarter() <= observed.now)
}

/// Before the new secret is published, the one that is to be the previous one is still the one that consumers find.
fn running(observed: &Observed, contents: &SecretContents) -> Option<Overlap> {
    let is_current = |previous: &PreviousSecret| previous.secret.is_some() && previous.secret == contents.current;
    if contents.pending.is_some() || contents.previous.as_ref().is_none_or(is_current) {
        return None;
    }
    let overlap = Overlap { began: contents.rotated_at?, ends: previous_end(observed, contents)? };
    Some(overlap).filter(|overlap| overlap.runs(observed.now))
}

fn recorded_rotation(observed: &Observed) -> Option<&RotationStatus> {
    observed.app.status.as_ref()?.rotation.as_ref()
}
