//! How a pass ended, as the metrics say it.

use crate::cluster;
use crate::crd::{DeletionPolicy, OrgOAuthApp};
use crate::decide::Outcome;
use crate::metrics::ReconcileOutcome;
use crate::reason::Reason;

/// The outcome and its reason.
pub fn of(app: &OrgOAuthApp, result: &Result<Outcome, cluster::Error>) -> (ReconcileOutcome, &'static str) {
    let (ending, reason) = match result {
        Ok(Outcome::Settled { .. }) => (ReconcileOutcome::Settled, Reason::Provisioned),
        Ok(Outcome::Observed(_)) => (ReconcileOutcome::Observed, Reason::PlanPending),
        Ok(Outcome::Suspended) => (ReconcileOutcome::Suspended, Reason::Suspended),
        Ok(Outcome::Gone) => match app.spec.deletion_policy {
            DeletionPolicy::Retain => (ReconcileOutcome::Gone, Reason::Released),
            DeletionPolicy::Delete | DeletionPolicy::DeleteWhenUnused => (ReconcileOutcome::Gone, Reason::Deleted),
        },
        Ok(Outcome::Blocked(blocked)) => (ReconcileOutcome::Blocked, blocked.reason),
        Ok(Outcome::Waiting { reason, .. }) => (ReconcileOutcome::Waiting, *reason),
        Err(cluster::Error::Stale) => return (ReconcileOutcome::Failed, "Stale"),
        Err(cluster::Error::Refused(_)) => return (ReconcileOutcome::Failed, "Refused"),
        Err(cluster::Error::Unavailable(_)) => return (ReconcileOutcome::Failed, "Unavailable"),
    };
    (ending, reason.as_str())
}
