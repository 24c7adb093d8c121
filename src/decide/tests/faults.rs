//! What follows a call that failed.

use super::fixture::*;
use crate::decide::{Step, after_fault};
use crate::iam;
use crate::outcome::{Outcome, Retry};
use crate::reason::{Blocked, Reason};
use serde_json::json;
use std::time::Instant;

#[test]
fn every_fault_says_whether_a_person_is_needed() {
    let text = || "said".to_string();
    let until = Instant::now();
    let observed = observe(app(json!({})), free, nothing);
    for (fault, expected) in [
        (
            iam::Error::Unavailable(text()),
            waits(Reason::ConnectionUnavailable, "IamConnection default: said", Retry::Backoff),
        ),
        (iam::Error::Throttled { until }, waits(Reason::Throttled, "the API asks to wait", Retry::NotBefore(until))),
        (
            iam::Error::Credentials(text()),
            waits(Reason::CredentialsUnavailable, "said; ask the platform team to correct the Secret", Retry::Backoff),
        ),
        (iam::Error::Conflict(text()), waits(Reason::ApiConflict, "said", Retry::Backoff)),
        (iam::Error::Forbidden(text()), blocked(Reason::Forbidden, "IamConnection default: said")),
        (iam::Error::WrongOrganization(text()), blocked(Reason::WrongOrganization, "IamConnection default: said")),
        (iam::Error::Rejected(text()), blocked(Reason::Rejected, "said")),
        (
            iam::Error::NotFound(text()),
            blocked(Reason::OrgNotFound, "said; check that organization org-1 (spec.orgId) exists"),
        ),
    ] {
        let step = Step::Finish(after_fault(&observed.app, fault.clone()));
        assert_eq!(Shown(step.clone()), Shown(expected.step(&observed, &step)));
        assert!(!format!("{step:?}").contains("deletionPolicy"), "only a deletion can be ended so: {step:?}");
        let (Outcome::Blocked(Blocked { message, .. }) | Outcome::Waiting { message, .. }) =
            after_fault(&deleting(json!({})), fault)
        else {
            panic!("a fault settles nothing");
        };
        assert!(message.contains("set spec.deletionPolicy to Retain"), "a deletion says how to end it: {message}");
    }
}
