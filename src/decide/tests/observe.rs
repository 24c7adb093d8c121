//! The facts that follow from the answer of the API to a change.

use super::fixture::*;
use crate::decide::{Creation, Observed, PendingProgress, Remote, RoleAssignment};
use crate::iam::Error;
use crate::secret::RotationMode;
use serde_json::json;
use std::time::Instant;

fn unread() -> Observed {
    observe(app(json!({})), free, |observed| observed.remote = Remote::NotRead)
}

#[test]
fn a_create_that_failed_shows_whether_the_app_may_exist() {
    let mut created = unread();
    created.remembered.absent_since = Some(created.now);
    created.observe_created(credentials("issued"));
    assert!(matches!((&created.remote, &created.creation), (Remote::JustCreated, Creation::Issued(_))));
    assert_eq!(created.remembered.absent_since, None);
    let failed = |error: Error| {
        let mut observed = unread();
        observed.remembered.pending_not_accepted = Some(secret("next"));
        let is_fact = observed.observe_failed_create(error).is_ok();
        (is_fact, observed)
    };
    let message = || "no".to_owned();
    for error in [Error::Conflict(message()), Error::Rejected(message())] {
        let (is_fact, observed) = failed(error);
        assert!(is_fact && matches!((&observed.remote, &observed.creation), (Remote::NotRead, Creation::Refused(_))));
    }
    let until = Instant::now();
    let created_nothing = [
        Error::WrongOrganization(message()),
        Error::Forbidden(message()),
        Error::NotFound(message()),
        Error::Credentials(message()),
        Error::Throttled { until },
    ];
    for error in created_nothing {
        let (is_fact, observed) = failed(error);
        assert!(is_fact && matches!((&observed.remote, &observed.creation), (Remote::Absent, Creation::Refused(_))));
        assert_eq!(observed.remembered.absent_since, None, "no read has answered 404");
    }
    let (is_fact, observed) = failed(Error::Unavailable(message()));
    assert!(!is_fact && matches!((&observed.remote, &observed.creation), (Remote::NotRead, Creation::NotTried)));
    assert_eq!(observed.remembered.unanswered_create, Some(observed.now));
    assert_eq!(observed.remembered.pending_not_accepted, None);
}

#[test]
fn an_update_is_remembered_and_what_was_just_created_needs_no_read() {
    let after = |before: Remote, shown| {
        let mut observed = observe(app(json!({})), published, |observed| observed.remote = before);
        observed.observe_updated(vec!["displayName".into()], shown);
        assert_eq!(observed.updated, ["displayName"]);
        assert!(observed.remembered.sent.is_some());
        observed.remote
    };
    let Remote::Shown(shown) = as_wanted() else { panic!("not shown") };
    assert!(matches!(after(drifted(), Some(shown)), Remote::Shown(_)));
    assert!(matches!(after(drifted(), None), Remote::NotRead));
    assert!(matches!(after(Remote::JustCreated, None), Remote::JustCreated));
}

#[test]
fn only_a_refusal_of_a_secret_that_was_not_sent_before_shows_that_the_api_does_not_know_it() {
    let after = |progress: Option<PendingProgress>, answer: Result<(), Error>| {
        let mut observed = observe(app(json!({})), staged(RotationMode::Overlap), nothing);
        progress.into_iter().for_each(|progress| observed.record_progress(&secret("next"), progress));
        let is_fact = observed.observe_secret_answer(&secret("next"), answer).is_ok();
        (is_fact, observed.remembered.pending_not_accepted.is_some(), observed.progress(&secret("next")))
    };
    let (conflict, rejected) = (|| Error::Conflict("no".into()), || Error::Rejected("no".into()));
    let not_sent = Some(PendingProgress::NotSent);
    assert_eq!(after(not_sent, Ok(())), (true, false, PendingProgress::Accepted));
    assert_eq!(after(not_sent, Err(conflict())), (true, true, PendingProgress::Conflict { maybe_sent: false }));
    assert_eq!(after(None, Err(conflict())), (true, false, PendingProgress::Conflict { maybe_sent: true }));
    assert_eq!(after(not_sent, Err(rejected())), (false, true, PendingProgress::NotSent));
    assert_eq!(after(None, Err(rejected())), (false, false, PendingProgress::MaybeSent));
    let unanswered = Err(Error::Unavailable("no".into()));
    assert_eq!(after(not_sent, unanswered), (false, false, PendingProgress::NotSent));
}

#[test]
fn a_refused_addition_counts_unless_the_app_is_a_member() {
    let refused = || RoleAssignment::AdditionRefused(Error::Rejected("addition".into()));
    let after = |before: RoleAssignment, held| {
        let mut observed = observe(app(json!({})), published, |observed| observed.roles = before);
        observed.observe_roles(held).map_err(|error| error.to_string())
    };
    let forbidden = || Err(Error::Forbidden("read".into()));
    assert_eq!(after(RoleAssignment::NotRead, Ok(None)), Ok(()));
    assert_eq!(after(RoleAssignment::NotRead, forbidden()), Err("read".into()));
    assert_eq!(after(refused(), Ok(None)), Err("addition".into()));
    assert_eq!(after(refused(), forbidden()), Err("addition".into()));
    assert_eq!(after(refused(), Err(Error::Unavailable("late".into()))), Err("late".into()));
}
