//! Verification of the published secret: an app with the `client_credentials` grant is Ready once the API issued a token for it.
//! A token is requested after each change of the Secret, after any change of the app, and every `credentialCheckInterval`.

use super::access::Access;
use super::model::{Observed, Remote, Validity};
use super::resource::{is_verifiable, overlap_of, reconcile_requested};
use super::step::{Call, Next, Step};
use super::time::{add, lag_end, within_api_lag};
use crate::backoff::{SPREAD, fraction};
use crate::crd::{Condition, ConditionStatus, ConditionType, OrgOAuthApp};
use crate::iam::ClientSecret;
use crate::iam::app_fields::Fields;
use crate::outcome::{Outcome, Retry};
use crate::reason::Reason;
use crate::secret::{SecretContents, secret_name};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// A refusal is confirmed by a second one at least this much later, since one answer may be false.
const SECOND_REFUSAL_DELAY: SignedDuration = SignedDuration::from_mins(1);

/// Whether a token is to be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    No,
    /// Yes: none was issued since the Secret was changed.
    Unverified,
    /// Yes: the last one was issued a while ago, or something was changed since.
    Again,
}

/// What is to be done until a token was issued for what the Secret holds.
pub(super) fn step(observed: &Observed, _: &Fields) -> Next {
    let contents = observed.contents();
    // The published secret is about to be replaced.
    let is_replaced = contents.pending.as_ref().is_some_and(|pending| within_api_lag(pending.staged_at, observed.now));
    let Some(current) = published(observed, contents).filter(|_| !is_replaced) else { return Ok(None) };
    let due = due(observed, contents);
    if due == Due::No {
        return Ok(None);
    }
    Ok(match observed.validity(&current) {
        Validity::Valid | Validity::NotVerifiable => None,
        Validity::NotAsked => Some(verify(observed, &current)),
        Validity::Refused(api_message) | Validity::NotKnown(api_message) => match due {
            Due::No => None,
            Due::Unverified => Some(wait_unverified(observed, contents, api_message)),
            Due::Again => {
                standing_refusal(observed, contents).map(|api_message| wait_refused(observed, contents, api_message))
            }
        },
    })
}

/// Requests a token with this secret.
pub(super) fn verify(observed: &Observed, secret: &ClientSecret) -> Step {
    Step::Call(Call::VerifySecret(observed.client_id(), secret.clone()))
}

/// The message of a refusal of the published secret that holds: it is confirmed, or status reports it and no token has been
/// issued since. A first refusal does not count.
pub(crate) fn standing_refusal<'a>(observed: &'a Observed, contents: &SecretContents) -> Option<&'a str> {
    let current = published(observed, contents)?;
    match observed.validity(&current) {
        Validity::Refused(api_message) | Validity::NotKnown(api_message) => {
            if status_reports_refusal(&observed.app) {
                Some(api_message)
            } else {
                confirmed_refusal(observed, contents)
            }
        }
        Validity::NotAsked | Validity::NotVerifiable | Validity::Valid => None,
    }
}

fn status_reports_refusal(app: &OrgOAuthApp) -> bool {
    let ready = app.condition(ConditionType::Ready);
    ready.is_some_and(|c| c.status == ConditionStatus::False && c.reason == Reason::CredentialRefused.as_str())
}

/// Whether the API refused a secret twice, `SECOND_REFUSAL_DELAY` apart.
pub(super) fn is_refused_twice(observed: &Observed, secret: &ClientSecret) -> bool {
    let is_confirmed = second_refusal_at(observed, secret).is_some_and(|at| observed.now >= at);
    is_confirmed && matches!(observed.validity(secret), Validity::Refused(_))
}

/// From when on a second refusal of a secret confirms the first one.
pub(super) fn second_refusal_at(observed: &Observed, secret: &ClientSecret) -> Option<Timestamp> {
    observed.remembered.refused_since(secret)?.checked_add(SECOND_REFUSAL_DELAY).ok()
}

/// The message of a confirmed refusal: the API refused the published secret twice, `SECOND_REFUSAL_DELAY` apart, though it once
/// issued a token for it. Somebody replaced the secret in the console.
pub(super) fn confirmed_refusal<'a>(observed: &'a Observed, contents: &SecretContents) -> Option<&'a str> {
    let current = published(observed, contents)?;
    let was_valid = is_recorded(&observed.app, contents) && !may_be_late(observed, contents);
    match observed.validity(&current) {
        Validity::Refused(api_message) => (was_valid && is_refused_twice(observed, &current)).then_some(api_message),
        Validity::NotKnown(_) | Validity::NotAsked | Validity::NotVerifiable | Validity::Valid => None,
    }
}

/// Whether the API refused the published secret once, which a second token request is to confirm.
pub fn is_refusal_unconfirmed(observed: &Observed) -> bool {
    let current = published(observed, observed.contents());
    let since = current.and_then(|current| observed.remembered.refused_since(&current));
    since.is_some() && is_verifiable(&observed.app) && is_verified(observed)
}

/// Whether status reports a refusal that is not confirmed yet, perhaps written by a process that ended since.
fn status_reports_unconfirmed_refusal(app: &OrgOAuthApp) -> bool {
    let is_true = |kind| app.condition(kind).filter(|c| c.status == ConditionStatus::True);
    let is_doubted = |c: &Condition| c.reason == Reason::SecretNotProven.as_str();
    is_true(ConditionType::Ready).is_some() && is_true(ConditionType::Reconciling).is_some_and(is_doubted)
}

/// Whether the published secret is verified, or no token request can verify it.
pub(crate) fn is_verified(observed: &Observed) -> bool {
    let contents = observed.contents();
    let Some(current) = published(observed, contents) else { return true };
    match observed.validity(&current) {
        Validity::Valid | Validity::NotVerifiable => true,
        Validity::NotAsked | Validity::Refused(_) | Validity::NotKnown(_) => {
            let is_doubted = status_reports_refusal(&observed.app) || confirmed_refusal(observed, contents).is_some();
            is_recorded(&observed.app, contents) && !is_doubted
        }
    }
}

/// When the API last issued a token for the published secret, if it did since the Secret was changed.
pub(crate) fn verified_at(observed: &Observed) -> Option<Timestamp> {
    let contents = observed.contents();
    let current = published(observed, contents)?;
    match observed.validity(&current) {
        Validity::Valid => observed.answered_at(&current),
        Validity::NotAsked | Validity::Refused(_) | Validity::NotKnown(_) | Validity::NotVerifiable => {
            recorded(&observed.app, contents)
        }
    }
}

/// When a token is to be requested next, if nothing changes before.
pub(super) fn next_check(observed: &Observed, contents: &SecretContents) -> Option<Timestamp> {
    let current = published(observed, contents)?;
    let validity = observed.validity(&current);
    if validity == Validity::NotVerifiable {
        return None;
    }
    let Some(second_refusal) = second_refusal_at(observed, &current) else {
        return expires(observed, verified_at(observed)?);
    };
    match validity {
        // The later answer does not confirm the refusal.
        Validity::NotKnown(_) => Some(second_refusal).max(observed.now.checked_add(SECOND_REFUSAL_DELAY).ok()),
        Validity::NotAsked | Validity::Refused(_) | Validity::Valid | Validity::NotVerifiable => Some(second_refusal),
    }
}

fn due(observed: &Observed, contents: &SecretContents) -> Due {
    let Some(verified_at) = recorded(&observed.app, contents).filter(|at| *at <= observed.now) else {
        return Due::Unverified;
    };
    let is_old = expires(observed, verified_at).is_some_and(|at| at <= observed.now);
    let was_refused =
        contents.current.as_ref().is_some_and(|current| observed.remembered.refused_since(current).is_some());
    let is_asked = reconcile_requested(&observed.app).is_some();
    let is_changed = !observed.updated.is_empty() || is_changed_after(observed, verified_at);
    let is_doubted =
        was_refused || status_reports_refusal(&observed.app) || status_reports_unconfirmed_refusal(&observed.app);
    if is_old || is_doubted || is_asked || is_changed { Due::Again } else { Due::No }
}

/// The current secret, if it is the published one. An edited value is verified before it is trusted.
fn published(observed: &Observed, contents: &SecretContents) -> Option<ClientSecret> {
    contents.current.clone().filter(|_| !contents.is_edited(&observed.app))
}

fn is_recorded(app: &OrgOAuthApp, contents: &SecretContents) -> bool {
    recorded(app, contents).is_some()
}

/// When a token was issued for this revision of the secret, by status, if that was after it was published: revisions start again
/// when the Secret was deleted.
fn recorded(app: &OrgOAuthApp, contents: &SecretContents) -> Option<Timestamp> {
    let recorded = app.status.as_ref()?.rotation.as_ref()?;
    let at = recorded.verified_at.as_ref().filter(|_| recorded.verified_revision == Some(contents.revision))?.0;
    contents.rotated_at.is_none_or(|published| published.as_second() <= at.as_second()).then_some(at)
}

/// Whether anyone changed the app in a later second than that. A time in the future is wrong and is ignored.
fn is_changed_after(observed: &Observed, verified_at: Timestamp) -> bool {
    let (Remote::Shown(shown) | Remote::Listed(Some(shown))) = &observed.remote else { return false };
    shown.last_updated_at.is_some_and(|at| at.as_second() > verified_at.as_second() && at <= observed.now)
}

/// When a verification expires. It is early by up to `SPREAD` of the interval, never late, so that apps of one age do not request
/// tokens in one second.
fn expires(observed: &Observed, verified_at: Timestamp) -> Option<Timestamp> {
    let part = SPREAD * fraction(&format!("{} {verified_at}", observed.app.uid_any()));
    let interval = match &observed.access {
        Access::Granted { credential_check_interval, .. } => credential_check_interval.mul_f64(1.0 - part),
        Access::Refused(_) => return None,
    };
    verified_at.checked_add(SignedDuration::try_from(interval).ok()?).ok()
}

/// Whether the API may not know the published secret yet.
fn may_be_late(observed: &Observed, contents: &SecretContents) -> bool {
    contents.rotated_at.is_some_and(|at| within_api_lag(at, observed.now))
}

/// The Secret was published at once; it is Ready once the API knows it.
fn wait_unverified(observed: &Observed, contents: &SecretContents, api_message: &str) -> Step {
    if !may_be_late(observed, contents) {
        return wait_refused(observed, contents, api_message);
    }
    let name = secret_name(&observed.app);
    let message = format!("the API does not issue a token for the client secret in Secret {name} yet: {api_message}");
    wait(observed, contents, Reason::SecretNotProven, message)
}

fn wait_refused(observed: &Observed, contents: &SecretContents, api_message: &str) -> Step {
    let name = secret_name(&observed.app);
    let message = format!("the API does not issue a token for the client secret in Secret {name} now: {api_message}");
    wait(observed, contents, Reason::CredentialRefused, message)
}

fn wait(observed: &Observed, contents: &SecretContents, reason: Reason, message: String) -> Step {
    let known_at = contents.rotated_at.and_then(lag_end);
    let retry = Retry::at_next([known_at, next_check(observed, contents)], observed.now);
    Step::Finish(Outcome::Waiting { reason, message, retry })
}

/// Waits for a token for the pending secret.
pub(super) fn not_verified(observed: &Observed, contents: &SecretContents, api_message: &str) -> Step {
    let message =
        format!("the API does not issue a token for the new client secret yet; keeping the current one: {api_message}");
    let retry = Retry::at_next(deadlines(observed, contents), observed.now);
    Step::Finish(Outcome::Waiting { reason: Reason::SecretNotProven, message, retry })
}

/// When something else may be decided about the pending secret, though the API says the same.
fn deadlines(observed: &Observed, contents: &SecretContents) -> [Option<Timestamp>; 4] {
    let staged_at = contents.pending.as_ref().map(|pending| pending.staged_at);
    let accepted_at = contents.pending.as_ref().and_then(|pending| pending.accepted_at);
    let overlap_end = accepted_at.and_then(|at| add(at, overlap_of(&observed.app)));
    let refused_for_good = contents.current.as_ref().and_then(|current| second_refusal_at(observed, current));
    [staged_at.and_then(lag_end), accepted_at.and_then(lag_end), overlap_end, refused_for_good]
}
