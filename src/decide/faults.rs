//! What a call that provided nothing means for the pass: wait, or tell a person.
//! Pure; how long to wait is `backoff`'s business.

use super::deletion::outcome_with_retain_hint;
use super::{Blocked, Outcome, Retry};
use crate::crd::OrgOAuthApp;
use crate::iam;
use crate::reason::Reason;

/// What a call that provided nothing means for the pass.
pub fn after_fault(app: &OrgOAuthApp, fault: iam::Error) -> Outcome {
    let outcome = outcome_of(app, fault);
    if app.metadata.deletion_timestamp.is_some() { outcome_with_retain_hint(outcome) } else { outcome }
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
