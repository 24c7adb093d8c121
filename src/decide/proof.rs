//! Ready means proven: for an app that can have tokens of its own, the API issued one for what the Secret holds. It is asked
//! after each change of the Secret, after each change of the app by whomever, and from time to time.

use super::access::Access;
use super::model::{Observed, Remote, Validity};
use super::resource::{is_provable, overlap_of, reconcile_requested};
use super::step::{Call, Next, Step};
use super::time::{add, is_recent, lag_end};
use crate::backoff::{SPREAD, fraction};
use crate::crd::{Condition, ConditionStatus, ConditionType, OrgOAuthApp};
use crate::iam::ClientSecret;
use crate::iam::app_fields::Fields;
use crate::outcome::{Outcome, Retry};
use crate::reason::Reason;
use crate::secret::{SecretContents, secret_name};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

/// A refusal counts only if another one follows this much later, since one answer may be false.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// Whether a token is to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// No.
    No,
    /// None was issued since the Secret was changed.
    Unproven,
    /// One was issued, a while ago.
    Again,
}

/// What is to be done until a token was issued for what the Secret holds.
pub fn step(observed: &Observed, _: &Fields) -> Next {
    let contents = observed.contents();
    // One that is about to be replaced waits for what comes of that.
    let is_replaced = contents.pending.as_ref().is_some_and(|pending| is_recent(pending.since, observed.now));
    let Some(current) = published(observed, &contents).filter(|_| !is_replaced) else { return Ok(None) };
    let due = due(observed, &contents);
    if due == Due::No {
        return Ok(None);
    }
    Ok(match observed.validity(&current) {
        Validity::Valid | Validity::NotProvable => None,
        Validity::NotAsked => Some(verify(observed, &current)),
        Validity::Invalid(said) | Validity::NotKnown(said) => match due {
            Due::No => None,
            Due::Unproven => Some(unproven(observed, &contents, said)),
            Due::Again => refusal(observed, &contents).map(|said| invalid(observed, &contents, said)),
        },
    })
}

/// Asks for a token with this secret.
pub fn verify(observed: &Observed, secret: &ClientSecret) -> Step {
    Step::Call(Call::VerifySecret(observed.client_id(), secret.clone()))
}

/// Why the published secret counts as refused, in the API's words: it was refused for good, or was said to be and no token has been
/// issued since. One answer by itself says nothing.
pub fn refusal<'a>(observed: &'a Observed, contents: &SecretContents) -> Option<&'a str> {
    let current = published(observed, contents)?;
    match observed.validity(&current) {
        Validity::Invalid(said) | Validity::NotKnown(said) => {
            if is_reported_refused(&observed.app) {
                Some(said)
            } else {
                refused(observed, contents)
            }
        }
        Validity::NotAsked | Validity::NotProvable | Validity::Valid => None,
    }
}

fn is_reported_refused(app: &OrgOAuthApp) -> bool {
    let ready = app.condition(ConditionType::Ready);
    ready.is_some_and(|c| c.status == ConditionStatus::False && c.reason == Reason::CredentialRefused.as_str())
}

/// Whether the API refused a secret twice, a while apart.
pub fn is_refused_for_good(observed: &Observed, secret: &ClientSecret) -> bool {
    let is_confirmed = refused_for_good_at(observed, secret).is_some_and(|at| observed.now >= at);
    is_confirmed && matches!(observed.validity(secret), Validity::Invalid(_))
}

/// From when on a further refusal of a secret that was refused counts.
pub fn refused_for_good_at(observed: &Observed, secret: &ClientSecret) -> Option<Timestamp> {
    observed.remembered.refused_since(secret)?.checked_add(PAUSE).ok()
}

/// What the API refuses, in its words, if it refused the published secret twice, a while apart, though it once issued a token
/// for it: somebody replaced it at the API.
pub fn refused<'a>(observed: &'a Observed, contents: &SecretContents) -> Option<&'a str> {
    let current = published(observed, contents)?;
    let was_valid = is_recorded(&observed.app, contents) && !may_be_late(observed, contents);
    match observed.validity(&current) {
        Validity::Invalid(said) => (was_valid && is_refused_for_good(observed, &current)).then_some(said),
        Validity::NotKnown(_) | Validity::NotAsked | Validity::NotProvable | Validity::Valid => None,
    }
}

/// Whether the API refused the published secret and is asked again before that counts.
pub fn is_refused_once(observed: &Observed) -> bool {
    let current = published(observed, &observed.contents());
    let since = current.and_then(|current| observed.remembered.refused_since(&current));
    since.is_some() && is_provable(&observed.app) && is_proven(observed)
}

/// Whether status says that the API is to be asked again, also by a process that ended since.
fn is_reported_refused_once(app: &OrgOAuthApp) -> bool {
    let is_true = |kind| app.condition(kind).filter(|c| c.status == ConditionStatus::True);
    let is_doubted = |c: &Condition| c.reason == Reason::SecretNotProven.as_str();
    is_true(ConditionType::Ready).is_some() && is_true(ConditionType::Reconciling).is_some_and(is_doubted)
}

/// Whether the published secret is known to be valid, or nothing can tell.
pub fn is_proven(observed: &Observed) -> bool {
    let contents = observed.contents();
    let Some(current) = published(observed, &contents) else { return true };
    match observed.validity(&current) {
        Validity::Valid | Validity::NotProvable => true,
        Validity::NotAsked | Validity::Invalid(_) | Validity::NotKnown(_) => {
            let is_doubted = is_reported_refused(&observed.app) || refused(observed, &contents).is_some();
            is_recorded(&observed.app, &contents) && !is_doubted
        }
    }
}

/// When the API last issued a token for the published secret, if it did since the Secret was changed.
pub fn proven_at(observed: &Observed) -> Option<Timestamp> {
    let contents = observed.contents();
    let current = published(observed, &contents)?;
    match observed.validity(&current) {
        Validity::Valid => observed.answered_at(&current),
        Validity::NotAsked | Validity::Invalid(_) | Validity::NotKnown(_) | Validity::NotProvable => {
            recorded(&observed.app, &contents)
        }
    }
}

/// When a token is to be asked for next, if nothing happens before.
pub fn next_check(observed: &Observed, contents: &SecretContents) -> Option<Timestamp> {
    let current = published(observed, contents)?;
    let validity = observed.validity(&current);
    if validity == Validity::NotProvable {
        return None;
    }
    let Some(second_refusal) = refused_for_good_at(observed, &current) else {
        return expires(observed, proven_at(observed)?);
    };
    match validity {
        // What was answered since does not confirm the refusal.
        Validity::NotKnown(_) => Some(second_refusal).max(observed.now.checked_add(PAUSE).ok()),
        Validity::NotAsked | Validity::Invalid(_) | Validity::Valid | Validity::NotProvable => Some(second_refusal),
    }
}

fn due(observed: &Observed, contents: &SecretContents) -> Due {
    let Some(proven_at) = recorded(&observed.app, contents).filter(|at| *at <= observed.now) else {
        return Due::Unproven;
    };
    let is_old = expires(observed, proven_at).is_some_and(|at| at <= observed.now);
    let was_refused =
        contents.current.as_ref().is_some_and(|current| observed.remembered.refused_since(current).is_some());
    let is_asked = reconcile_requested(&observed.app).is_some();
    let is_changed = !observed.updated.is_empty() || is_changed_after(observed, proven_at);
    let is_doubted = was_refused || is_reported_refused(&observed.app) || is_reported_refused_once(&observed.app);
    if is_old || is_doubted || is_asked || is_changed { Due::Again } else { Due::No }
}

/// The secret that consumers find, if it is the one that was published. One that was edited is verified before it is trusted.
fn published(observed: &Observed, contents: &SecretContents) -> Option<ClientSecret> {
    contents.current.clone().filter(|_| !contents.is_edited(&observed.app))
}

fn is_recorded(app: &OrgOAuthApp, contents: &SecretContents) -> bool {
    recorded(app, contents).is_some()
}

/// When status says that a token was issued for this revision of the secret, since it was published: revisions start again when
/// the Secret was deleted.
fn recorded(app: &OrgOAuthApp, contents: &SecretContents) -> Option<Timestamp> {
    let said = app.status.as_ref()?.rotation.as_ref()?;
    let at = said.verified_at.as_ref().filter(|_| said.verified_revision == Some(contents.revision))?.0;
    contents.rotated_at.is_none_or(|published| published.as_second() <= at.as_second()).then_some(at)
}

/// Whether the API changed the app in a later second than that, by whomever. A time that is yet to come is wrong, and says
/// nothing.
fn is_changed_after(observed: &Observed, proven_at: Timestamp) -> bool {
    let (Remote::Shown(shown) | Remote::Listed(Some(shown))) = &observed.remote else { return false };
    shown.last_updated_at.is_some_and(|at| at.as_second() > proven_at.as_second() && at <= observed.now)
}

/// When a proof of then is to be repeated; spread, so that apps of one age don't ask in one second.
fn expires(observed: &Observed, proven_at: Timestamp) -> Option<Timestamp> {
    let part = SPREAD * fraction(&format!("{} {proven_at}", observed.app.uid().unwrap_or_default()));
    let interval = match &observed.access {
        Access::Granted { credential_check_interval, .. } => credential_check_interval.mul_f64(1.0 - part),
        Access::Refused(_) => return None,
    };
    proven_at.checked_add(SignedDuration::try_from(interval).ok()?).ok()
}

/// Whether the API may not know the published secret yet.
fn may_be_late(observed: &Observed, contents: &SecretContents) -> bool {
    contents.rotated_at.is_some_and(|at| is_recent(at, observed.now))
}

/// The Secret was published at once; it is Ready once the API knows it.
fn unproven(observed: &Observed, contents: &SecretContents, said: &str) -> Step {
    if may_be_late(observed, contents) {
        waiting(observed, contents, Reason::SecretNotProven, "yet", said)
    } else {
        invalid(observed, contents, said)
    }
}

fn invalid(observed: &Observed, contents: &SecretContents, said: &str) -> Step {
    waiting(observed, contents, Reason::CredentialRefused, "now", said)
}

fn waiting(observed: &Observed, contents: &SecretContents, reason: Reason, when: &str, said: &str) -> Step {
    let name = secret_name(&observed.app);
    let message = format!("the API does not issue a token for the client secret in Secret {name} {when}: {said}");
    let known_at = contents.rotated_at.and_then(lag_end);
    let retry = Retry::at_next([known_at, next_check(observed, contents)], observed.now);
    Step::Finish(Outcome::Waiting { reason, message, retry })
}

/// Waits for a token for the pending secret.
pub fn not_verified(observed: &Observed, contents: &SecretContents, said: &str) -> Step {
    let message =
        format!("the API does not issue a token for the new client secret yet; keeping the current one: {said}");
    let retry = Retry::at_next(deadlines(observed, contents), observed.now);
    Step::Finish(Outcome::Waiting { reason: Reason::SecretNotProven, message, retry })
}

/// When something else may be decided about the pending secret, though the API says the same.
fn deadlines(observed: &Observed, contents: &SecretContents) -> [Option<Timestamp>; 4] {
    let staged_at = contents.pending.as_ref().map(|pending| pending.since);
    let accepted_at = contents.pending.as_ref().and_then(|pending| pending.accepted_at);
    let overlap_end = accepted_at.and_then(|at| add(at, overlap_of(&observed.app)));
    let refused_for_good = contents.current.as_ref().and_then(|current| refused_for_good_at(observed, current));
    [staged_at.and_then(lag_end), accepted_at.and_then(lag_end), overlap_end, refused_for_good]
}
