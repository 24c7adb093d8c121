//! How a reconciliation ends, with everything that follows from it: the labels of the metrics and the next attempt.
//! Status, Events, metrics and the controller ask it here, so that they cannot disagree.

use crate::crd::DeletionPolicy;
use crate::decide::Plan;
use crate::metrics::ReconcileOutcome;
use crate::reason::{Blocked, Reason};
use k8s_openapi::jiff::Timestamp;
use std::time::Instant;

/// How a reconciliation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is as the spec says.
    Settled {
        /// When something is to be done before the next resync.
        wake: Option<Timestamp>,
    },
    /// `managementPolicy: Observe` keeps the API as it is; this is what would be changed.
    PlanOnly(Plan),
    /// `spec.suspend` is set.
    Suspended,
    /// The resource has no finalizer of the operator any more.
    Gone,
    /// Someone has to act.
    Blocked(Blocked),
    /// The operator goes on by itself later.
    Waiting {
        reason: Reason,
        /// What is wrong, then what to do.
        message: String,
        retry: Retry,
    },
}

/// When a reconciliation that waits is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After a delay that grows with each attempt.
    Backoff,
    /// The same, but not later than then, when something else is to be done.
    NoLaterThan(Timestamp),
    /// Not before, since the API asks for that.
    NotBefore(Instant),
}

impl Outcome {
    /// Why it ended so. A resource that is gone leaves its app in place or not, as its policy says.
    pub(crate) fn reason(&self, policy: DeletionPolicy) -> Reason {
        match self {
            Self::Settled { .. } => Reason::Provisioned,
            Self::PlanOnly(_) => Reason::PlanPending,
            Self::Suspended => Reason::Suspended,
            Self::Gone => match policy {
                DeletionPolicy::Retain => Reason::Released,
                DeletionPolicy::Delete | DeletionPolicy::DeleteWhenUnused => Reason::Deleted,
            },
            Self::Blocked(blocked) => blocked.reason,
            Self::Waiting { reason, .. } => *reason,
        }
    }

    /// The labels `outcome` and `reason` of the metrics.
    pub(crate) fn labels(&self, policy: DeletionPolicy) -> (ReconcileOutcome, &'static str) {
        let outcome = match self {
            Self::Settled { .. } => ReconcileOutcome::Settled,
            Self::PlanOnly(_) => ReconcileOutcome::Observed,
            Self::Suspended => ReconcileOutcome::Suspended,
            Self::Gone => ReconcileOutcome::Gone,
            Self::Blocked(_) => ReconcileOutcome::Blocked,
            Self::Waiting { .. } => ReconcileOutcome::Waiting,
        };
        (outcome, self.reason(policy).as_str())
    }

    /// Why and when it is retried; nothing where the next resync is soon enough.
    pub(crate) fn retry(&self) -> Option<(Reason, Retry)> {
        match self {
            Self::Settled { .. } | Self::PlanOnly(_) | Self::Suspended | Self::Gone => None,
            Self::Blocked(blocked) => Some((blocked.reason, Retry::Backoff)),
            Self::Waiting { reason, retry, .. } => Some((*reason, *retry)),
        }
    }

    /// When something is to be done before the next resync.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Settled { wake } => *wake,
            Self::PlanOnly(_) | Self::Suspended | Self::Gone | Self::Blocked(_) | Self::Waiting { .. } => None,
        }
    }
}

impl Retry {
    /// At the first of these times that is yet to come.
    pub(crate) fn at_next(times: impl IntoIterator<Item = Option<Timestamp>>, now: Timestamp) -> Self {
        let next = times.into_iter().flatten().filter(|at| *at > now).min();
        next.map_or(Self::Backoff, Self::NoLaterThan)
    }

    /// At that time too, unless the API asked not to.
    pub(crate) fn no_later_than(self, time: Timestamp) -> Self {
        match self {
            Self::Backoff => Self::NoLaterThan(time),
            Self::NoLaterThan(at) => Self::NoLaterThan(at.min(time)),
            Self::NotBefore(at) => Self::NotBefore(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_that_is_gone_is_labeled_by_its_deletion_policy() {
        let reason = |policy| Outcome::Gone.labels(policy).1;
        let policies = [DeletionPolicy::Delete, DeletionPolicy::DeleteWhenUnused, DeletionPolicy::Retain];
        assert_eq!(policies.map(reason), ["Deleted", "Deleted", "Released"]);
    }

    #[test]
    fn only_what_is_not_done_is_retried_before_the_next_resync() {
        let blocked = Outcome::Blocked(Blocked::new(Reason::Rejected, "no"));
        assert_eq!(blocked.retry(), Some((Reason::Rejected, Retry::Backoff)));
        for done in [Outcome::Settled { wake: None }, Outcome::PlanOnly(Plan::default()), Outcome::Suspended] {
            assert_eq!(done.retry(), None);
        }
    }
}
