//! Maps an IAM error to the outcome: retry, or block until someone acts. While a resource is being deleted, the message also
//! says how to delete it without its app. The pace of a retry is that of its reason, in `reason`.

use super::resource::is_being_deleted;
use crate::crd::OrgOAuthApp;
use crate::iam;
use crate::outcome::{Outcome, Retry};
use crate::reason::{Blocked, Reason};

/// How to delete a resource whose app cannot be deleted.
const RETAIN_HINT: &str = "to delete this resource without its app, set spec.deletionPolicy to Retain";

/// The outcome of a reconcile in which a call failed.
pub(crate) fn after_fault(app: &OrgOAuthApp, fault: iam::Error) -> Outcome {
    let outcome = outcome_of(app, fault);
    if is_being_deleted(app) { outcome_with_retain_hint(outcome) } else { outcome }
}

fn outcome_of(app: &OrgOAuthApp, fault: iam::Error) -> Outcome {
    let waiting = |reason, message, retry| Outcome::Waiting { reason, message, retry };
    let blocked = |reason, message: String| Outcome::Blocked(Blocked { reason, message });
    let text = fault.to_string();
    let connection = &app.spec.connection_ref.name;
    match fault {
        iam::Error::Unavailable(_) => {
            waiting(Reason::ConnectionUnavailable, format!("IamConnection {connection}: {text}"), Retry::Backoff)
        }
        iam::Error::Throttled { until } => waiting(Reason::Throttled, text, Retry::NotBefore(until)),
        iam::Error::Credentials(_) => {
            let message = format!(
                "IamConnection {connection}: {text}; ask the platform team to correct the Secret that its spec.credentials names (with source Tenant it is in the namespace of the app)"
            );
            waiting(Reason::CredentialsUnavailable, message, Retry::Backoff)
        }
        iam::Error::Conflict(_) => waiting(Reason::ApiConflict, text, Retry::Backoff),
        iam::Error::WrongOrganization(_) => {
            blocked(Reason::WrongOrganization, format!("IamConnection {connection}: {text}"))
        }
        iam::Error::Forbidden(_) => blocked(Reason::Forbidden, format!("IamConnection {connection}: {text}")),
        iam::Error::Rejected(_) => blocked(Reason::Rejected, text),
        iam::Error::NotFound(_) => {
            let org = &app.spec.org_id;
            let message = format!(
                "{text}; check that organization {org} (spec.orgId) exists and that the credentials of IamConnection {connection} are for it"
            );
            blocked(Reason::OrgNotFound, message)
        }
    }
}

/// The same with the words that say how to delete the resource where its app cannot be deleted.
pub(super) fn with_retain_hint(blocked: &Blocked) -> Blocked {
    Blocked::new(blocked.reason, format!("{}; {RETAIN_HINT}", blocked.message))
}

/// The same for an outcome that is no progress.
pub(crate) fn outcome_with_retain_hint(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Blocked(blocked) => Outcome::Blocked(with_retain_hint(&blocked)),
        Outcome::Waiting { reason, message, retry } => {
            Outcome::Waiting { reason, message: format!("{message}; {RETAIN_HINT}"), retry }
        }
        outcome @ (Outcome::Settled { .. } | Outcome::PlanOnly(_) | Outcome::Suspended | Outcome::Gone) => outcome,
    }
}
