//! Confirms that an app is gone: one 404 may be false, and a new secret for an app that exists would break its consumers. So a
//! second read must agree after `SECOND_READ_DELAY`, the list where the API has one, and a refused token request where the app
//! has `client_credentials`.

use super::model::{ListCheck, Observed, Validity};
use super::resource::is_verifiable;
use super::step::{Call, Step};
use super::time::{lag_end, within_api_lag};
use crate::outcome::{Outcome, Retry};
use crate::reason::Reason;
use crate::secret::SecretContents;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How long after the first 404 a second read may confirm it.
pub(crate) const SECOND_READ_DELAY: SignedDuration = SignedDuration::from_secs(10);

/// Whether the API has not shown the app for a while.
pub(super) fn is_seen_twice(observed: &Observed) -> bool {
    second_read(observed).is_some_and(|at| observed.now >= at)
}

/// When a second read may confirm that the API does not show the app.
pub(super) fn second_read(observed: &Observed) -> Option<Timestamp> {
    observed.remembered.absent_since?.checked_add(SECOND_READ_DELAY).ok()
}

/// The step that confirms that the app is gone, or waits for it; `None` once it is confirmed.
pub(super) fn confirm(observed: &Observed) -> Option<Step> {
    let (id, contents) = (observed.client_id(), observed.contents());
    // Where a token request can tell, a secret that was staged for the create never replaces one that works.
    if !is_verifiable(&observed.app) && contents.rotated_at.is_some_and(|at| within_api_lag(at, observed.now)) {
        return Some(too_early(observed, contents));
    }
    if !is_seen_twice(observed) {
        return Some(absent_once(observed));
    }
    match observed.list {
        ListCheck::NotAsked => {
            let since = observed.remembered.absent_since.unwrap_or(observed.now);
            let age = Duration::try_from(observed.now.duration_since(since)).unwrap_or_default();
            return Some(Step::Call(Call::ConfirmAbsence(id, age)));
        }
        ListCheck::Listed => return Some(not_shown(observed, "the list of its organization shows it")),
        ListCheck::Unsupported | ListCheck::NotListed => {}
    }
    let current = contents.current.as_ref()?;
    match observed.validity(current) {
        Validity::NotAsked => Some(Step::Call(Call::VerifySecret(id, current.clone()))),
        Validity::Valid => Some(not_shown(observed, "it issues tokens for its client secret")),
        // Whatever the cause is that the API issues none.
        Validity::Refused(_) | Validity::NotKnown(_) | Validity::NotVerifiable => None,
    }
}

/// The step that makes sure that a chosen id is free; `None` once it is. Where no token request can tell afterwards whose an
/// app is, one false 404 could make an app of others look like one that was created.
pub(super) fn confirm_free(observed: &Observed) -> Option<Step> {
    if is_verifiable(&observed.app) {
        return None;
    }
    match observed.list {
        ListCheck::NotAsked => Some(Step::Call(Call::ConfirmAbsence(observed.client_id(), Duration::ZERO))),
        ListCheck::Listed => Some(not_shown(observed, "the list of its organization shows it")),
        ListCheck::Unsupported => (!is_seen_twice(observed)).then(|| absent_once(observed)),
        ListCheck::NotListed => None,
    }
}

fn too_early(observed: &Observed, contents: &SecretContents) -> Step {
    let retry = Retry::at_next([contents.rotated_at.and_then(lag_end)], observed.now);
    wait(observed, "it was created or changed less than two minutes ago", retry)
}

fn absent_once(observed: &Observed) -> Step {
    wait(observed, "a second read is to confirm it", Retry::at_next([second_read(observed)], observed.now))
}

fn not_shown(observed: &Observed, why: &str) -> Step {
    wait(observed, why, Retry::Backoff)
}

fn wait(observed: &Observed, why: &str, retry: Retry) -> Step {
    let message = format!("the API answers 404 for app {}, and {why}; nothing is changed", observed.client_id());
    Step::Finish(Outcome::Waiting { reason: Reason::AppNotShown, message, retry })
}
