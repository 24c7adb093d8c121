//! The deletion of a resource, which replaces all other rules.
//! The finalizer is removed only when the API no longer shows the app, or when the spec says to leave the app in place.

use super::absence::{is_seen_twice, second_read};
use super::access::Access;
use super::faults::{outcome_with_retain_hint, with_retain_hint};
use super::model::{IdOwner, ListCheck, Observed, Remote};
use super::ownership::{
    Ownership, Possession, endpoint_changed, holds_claim, key_is_lost, owner_not_known, ownership, proof_of_creation,
    proof_of_restore,
};
use super::resource::{has_finalizer, is_observe_only};
use super::secrets;
use super::step::{Call, Step};
use super::time::{lag_end, within_api_lag};
use crate::crd::DeletionPolicy;
use crate::iam::flavor::flavor;
use crate::iam::{ClientId, Deletion};
use crate::outcome::{Outcome, Retry};
use crate::reason::{Blocked, Reason};
use crate::secret::{OwnedSecret, SecretState};
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;

/// How many pods are named at most.
const NAMED_PODS: usize = 5;

pub(super) fn step(observed: &Observed) -> Result<Step, Blocked> {
    let app = &observed.app;
    if !has_finalizer(app) {
        return Ok(Step::Finish(Outcome::Gone));
    }
    // With `managementPolicy: Observe` the operator writes nothing to the API, deletion included.
    if is_observe_only(app) {
        return Ok(release(observed));
    }
    match app.spec.deletion_policy {
        DeletionPolicy::Retain => Ok(release(observed)),
        DeletionPolicy::Delete | DeletionPolicy::DeleteWhenUnused => delete(observed),
    }
}

/// Where status does not say at which API the app was made, the claim on the Secret may.
fn delete(observed: &Observed) -> Result<Step, Blocked> {
    if !holds_claim(observed)
        && let Some(step) = secrets::read(observed)
    {
        return Ok(step);
    }
    match ownership(observed) {
        Ownership::Ours => delete_app(observed),
        Ownership::Intended => delete_proven(observed, proof_of_creation(observed)),
        Ownership::Elsewhere { endpoint } => Err(with_retain_hint(&endpoint_changed(observed, &endpoint))),
        Ownership::Unproven => {
            if key_is_lost(observed) {
                Err(with_retain_hint(&lost_key(observed)))
            } else {
                delete_restored(observed)
            }
        }
    }
}

/// An app on which status has no claim is deleted by the claim on the Secret only; without one it is left as it is.
fn delete_restored(observed: &Observed) -> Result<Step, Blocked> {
    if observed.restored_claim().is_none() {
        return Ok(remove_secrets(observed));
    }
    match &observed.id_owner {
        IdOwner::NotRead => Ok(Step::FindIdOwner),
        IdOwner::Has(_) => Ok(Step::DropFinalizer),
        IdOwner::None => delete_proven(observed, proof_of_restore(observed)),
    }
}

/// Whether an app under the id is this resource's is found out by the secret that only this resource and its app have.
fn delete_proven(observed: &Observed, possession: Possession) -> Result<Step, Blocked> {
    if let Some(step) = secrets::read(observed) {
        return Ok(step);
    }
    if let Access::Refused(blocked) = &observed.access {
        return Err(with_retain_hint(blocked));
    }
    if observed.deletion.is_some() {
        return delete_app(observed);
    }
    match &observed.remote {
        Remote::NotRead | Remote::Listed(_) => Ok(Step::Call(Call::Read(observed.client_id()))),
        Remote::Absent => Ok(drop_absent(observed)),
        Remote::JustCreated => delete_app(observed),
        Remote::Shown(shown) => {
            if shown.is_caller {
                Ok(Step::DropFinalizer)
            } else {
                delete_possessed(observed, possession)
            }
        }
    }
}

fn delete_possessed(observed: &Observed, possession: Possession) -> Result<Step, Blocked> {
    match possession {
        Possession::Unknown(secret) => Ok(Step::Call(Call::VerifySecret(observed.client_id(), secret))),
        Possession::Proven | Possession::NotVerifiable => delete_app(observed),
        Possession::Refused => Ok(remove_secrets(observed)),
        Possession::NotKnown(api_message) => {
            Ok(Step::Finish(outcome_with_retain_hint(owner_not_known(&observed.client_id(), &api_message))))
        }
    }
}

/// An app that is not proven to be this resource's is never deleted unseen: what one 404 denies may be an app of others. What a
/// create made whose answer was lost is shown in time.
fn drop_absent(observed: &Observed) -> Step {
    let staged_at = observed.contents().pending.as_ref().map(|pending| pending.staged_at);
    let may_appear = staged_at.is_some_and(|at| within_api_lag(at, observed.now));
    if is_seen_twice(observed) && !may_appear { remove_absent(observed) } else { absent_once(observed, staged_at) }
}

fn lost_key(observed: &Observed) -> Blocked {
    let message = format!(
        "the claim on app {} in status does not verify, since the key that signed it is not the operator's any more; restore that key",
        observed.client_id()
    );
    Blocked::new(Reason::IdTaken, message)
}

fn delete_app(observed: &Observed) -> Result<Step, Blocked> {
    let waits_for_pods = match observed.app.spec.deletion_policy {
        DeletionPolicy::DeleteWhenUnused => wait_for_pods(observed),
        DeletionPolicy::Delete | DeletionPolicy::Retain => None,
    };
    waits_for_pods.map_or_else(|| delete_remote(observed, observed.client_id()), Ok)
}

/// Until no pod uses a Secret of the app. A Secret of others has pods of others.
fn wait_for_pods(observed: &Observed) -> Option<Step> {
    match &observed.pods_using {
        None => Some(secrets::read(observed).unwrap_or_else(|| Step::FindPodsUsing(secrets::names(observed)))),
        Some(pods) => (!pods.is_empty()).then(|| Step::Finish(in_use(observed, pods))),
    }
}

/// Whatever the API says to a deletion, the app is gone only when the API no longer shows it.
fn delete_remote(observed: &Observed, id: ClientId) -> Result<Step, Blocked> {
    match (&observed.access, &observed.deletion) {
        (Access::Refused(blocked), _) => Err(with_retain_hint(blocked)),
        (Access::Granted { .. }, None) => Ok(send_deletion(observed, id)),
        (Access::Granted { .. }, Some(deletion)) => confirm_deletion(observed, id, deletion),
    }
}

/// Where an earlier reconcile sent it and the app was absent since, a second read is to confirm that, and nothing is deleted
/// before.
fn send_deletion(observed: &Observed, id: ClientId) -> Step {
    let was_absent = observed.remembered.deletion_sent && observed.remembered.absent_since.is_some();
    if !was_absent {
        return Step::Call(Call::Delete(id));
    }
    match &observed.remote {
        Remote::NotRead | Remote::Listed(_) => {
            if is_known_absent(observed) {
                Step::Call(Call::Read(id))
            } else {
                absent_once(observed, observed.remembered.unanswered_create)
            }
        }
        Remote::Absent => {
            if is_known_absent(observed) {
                remove_absent(observed)
            } else {
                Step::Call(Call::Delete(id))
            }
        }
        Remote::Shown(_) | Remote::JustCreated => Step::Call(Call::Delete(id)),
    }
}

fn confirm_deletion(observed: &Observed, id: ClientId, deletion: &Deletion) -> Result<Step, Blocked> {
    let was_accepted_now = *deletion == Deletion::Accepted;
    let is_not_offered = *deletion == Deletion::NotOffered;
    match &observed.remote {
        Remote::NotRead | Remote::Listed(_) => Ok(Step::Call(Call::Read(id))),
        Remote::Absent => Ok(if was_accepted_now {
            remove_secrets(observed)
        } else if is_known_absent(observed) {
            remove_absent(observed)
        } else {
            absent_once(observed, observed.remembered.unanswered_create)
        }),
        Remote::Shown(_) | Remote::JustCreated => {
            if is_not_offered && !was_accepted(observed) {
                Err(deletion_not_offered(&id))
            } else {
                Ok(still_shown(&id))
            }
        }
    }
}

/// Whether the app is gone, and no create without an answer can bring it to light.
fn is_known_absent(observed: &Observed) -> bool {
    let may_appear = observed.remembered.unanswered_create.is_some_and(|at| within_api_lag(at, observed.now));
    is_seen_twice(observed) && !may_appear
}

/// Whether the API accepted a deletion so short a while ago that it may still show the app.
fn was_accepted(observed: &Observed) -> bool {
    observed.remembered.deletion_accepted.is_some_and(|at| within_api_lag(at, observed.now))
}

fn still_shown(id: &ClientId) -> Step {
    let message = format!("app {id} is being deleted; the API still shows it");
    Step::Finish(Outcome::Waiting { reason: Reason::Deleting, message, retry: Retry::Backoff })
}

/// The API answers that there is no such app, and accepted no deletion.
fn remove_absent(observed: &Observed) -> Step {
    let needs_list = observed.address().is_some_and(|address| flavor(address.api).confirms_absence_by_list());
    match observed.list {
        ListCheck::NotAsked if needs_list => Step::Call(Call::ConfirmAbsence(observed.client_id(), Duration::ZERO)),
        ListCheck::Listed => still_shown(&observed.client_id()),
        ListCheck::NotAsked | ListCheck::Unsupported | ListCheck::NotListed => remove_secrets(observed),
    }
}

/// The Secrets that Kubernetes does not delete with the resource go before the finalizer.
fn remove_secrets(observed: &Observed) -> Step {
    let is_left = |secret: &&OwnedSecret| !secret.is_collected(&observed.app);
    secrets::read(observed).unwrap_or_else(|| match observed.owned_secrets().find(is_left) {
        Some(secret) => Step::RemoveSecret(secret.clone()),
        None => Step::DropFinalizer,
    })
}

/// The Secrets outlive the resource, but for a previous secret, which nobody needs: it would be in the way of a resource of the
/// same name.
fn release(observed: &Observed) -> Step {
    if let Some(step) = secrets::read(observed) {
        return step;
    }
    if observed.contents().pending.is_none()
        && let Some(SecretState::Owned(rotation)) = observed.rotation_secret()
    {
        return Step::RemoveSecret(rotation.clone());
    }
    match observed.owned_secrets().next() {
        Some(secret) => Step::ReleaseSecret(secret.clone()),
        None => Step::DropFinalizer,
    }
}

fn in_use(observed: &Observed, pods: &[String]) -> Outcome {
    let more = pods.len().saturating_sub(NAMED_PODS);
    let mut named = pods.iter().take(NAMED_PODS).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 {
        named.push_str(&format!(" and {more} more"));
    }
    Outcome::Waiting {
        reason: Reason::InUse,
        message: format!(
            "Secret {} is used by pods {named}; the app is deleted when they are gone, or at once with spec.deletionPolicy Delete",
            secrets::names(observed).join(" or ")
        ),
        retry: Retry::Backoff,
    }
}

/// A second read is to confirm it, and that of an app which a create at that time may have made.
fn absent_once(observed: &Observed, created_at: Option<Timestamp>) -> Step {
    let id = observed.client_id();
    let message = format!("the API answers 404 for app {id}; a second read is to confirm that it is gone");
    let retry = Retry::at_next([second_read(observed), created_at.and_then(lag_end)], observed.now);
    Step::Finish(Outcome::Waiting { reason: Reason::Deleting, message, retry })
}

fn deletion_not_offered(id: &ClientId) -> Blocked {
    let message = format!(
        "the API has no operation to delete app {id}; delete it in the vendor's console, or set spec.deletionPolicy to Retain"
    );
    Blocked::new(Reason::DeletionNotOffered, message)
}
