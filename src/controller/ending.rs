//! How a pass ended, as the metrics say it.

use crate::cluster;
use crate::crd::{DeletionPolicy, OrgOAuthApp};
use crate::decide::Outcome;
use crate::metrics::Ending;
use crate::reason::Reason;

/// The outcome and its reason.
pub fn of(app: &OrgOAuthApp, result: &Result<Outcome, cluster::Error>) -> (Ending, &'static str) {
    let (ending, reason) = match result {
        Ok(Outcome::Settled { .. }) => (Ending::Settled, Reason::Provisioned),
        Ok(Outcome::Observed(_)) => (Ending::Observed, Reason::PlanPending),
        Ok(Outcome::Suspended) => (Ending::Suspended, Reason::Suspended),
        Ok(Outcome::Gone) => match app.spec.deletion_policy {
            DeletionPolicy::Retain => (Ending::Gone, Reason::Released),
            DeletionPolicy::Delete | DeletionPolicy::DeleteWhenUnused => (Ending::Gone, Reason::Deleted),
        },
        Ok(Outcome::Blocked(blocked)) => (Ending::Blocked, blocked.reason),
        Ok(Outcome::Waiting { reason, .. }) => (Ending::Waiting, *reason),
        Err(cluster::Error::Stale) => return (Ending::Failed, "Stale"),
        Err(cluster::Error::Refused(_)) => return (Ending::Failed, "Refused"),
        Err(cluster::Error::Unavailable(_)) => return (Ending::Failed, "Unavailable"),
    };
    (ending, reason.as_str())
}
