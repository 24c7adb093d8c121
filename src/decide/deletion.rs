//! For a resource that is being deleted: runs before anything else is resolved, and ends.
//! The finalizer goes only when the API no longer shows the app, or when the spec says to leave it.

use super::absence::{is_seen_twice, second_read};
use super::model::{has_finalizer, is_observe_only, is_recent, lag_end};
use super::ownership::{
    Ownership, Possession, endpoint_changed, holds_claim, key_is_lost, owner_not_known, ownership, proof_of_creation,
    proof_of_restore, restored_claim,
};
use super::secrets::{names as secret_names, read as read_secrets};
use super::{Access, Blocked, Call, IdOwner, Observed, Outcome, Remote, Retry, Step};
use crate::crd::DeletionPolicy;
use crate::iam::{ClientId, Deletion};
use crate::reason::Reason;
use crate::secret::{OwnedSecret, SecretState};

/// So many pods are named; who finds these finds the others.
const NAMED_PODS: usize = 5;
/// How to delete a resource whose app cannot be deleted.
const RETAIN_HINT: &str = "to delete this resource without its app, set spec.deletionPolicy to Retain";

/// The next step of a deletion.
pub fn step(observed: &Observed) -> Result<Step, Blocked> {
    let app = &observed.app;
    if !has_finalizer(app) {
        return Ok(Step::Finish(Outcome::Gone));
    }
    match app.spec.deletion_policy {
        // Who only observes writes nothing to the API, deletion included.
        _ if is_observe_only(app) => Ok(release(observed)),
        DeletionPolicy::Retain => Ok(release(observed)),
        DeletionPolicy::Delete | DeletionPolicy::DeleteWhenUnused => delete(observed),
    }
}

/// Where status does not say at which API the app was made, the claim on the Secret may.
fn delete(observed: &Observed) -> Result<Step, Blocked> {
    if !holds_claim(observed)
        && let Some(step) = read_secrets(observed)
    {
        return Ok(step);
    }
    match ownership(observed) {
        Ownership::Ours => delete_app(observed),
        Ownership::Intended => delete_proven(observed, proof_of_creation(observed)),
        Ownership::Unproven if key_is_lost(observed) => Err(with_retain_hint(&lost_key(observed))),
        Ownership::Elsewhere { endpoint } => Err(with_retain_hint(&endpoint_changed(observed, &endpoint))),
        Ownership::Unproven => delete_restored(observed),
    }
}

/// An app on which status has no claim is deleted by the claim on the Secret only; without one it is left as it is.
fn delete_restored(observed: &Observed) -> Result<Step, Blocked> {
    if restored_claim(observed).is_none() {
        return Ok(remove_secrets(observed));
    }
    match &observed.id_owner {
        IdOwner::Unread => Ok(Step::FindIdOwner),
        IdOwner::Has(_) => Ok(Step::DropFinalizer),
        IdOwner::None => delete_proven(observed, proof_of_restore(observed)),
    }
}

/// Whether an app under the id is this resource's is found out by the secret that only this resource and its app have.
fn delete_proven(observed: &Observed, possession: Possession) -> Result<Step, Blocked> {
    if let Some(step) = read_secrets(observed) {
        return Ok(step);
    }
    match (&observed.access, &observed.remote, possession) {
        (Access::Refused(blocked), _, _) => Err(with_retain_hint(blocked)),
        _ if observed.deletion.is_some() => delete_app(observed),
        (_, Remote::Shown(shown), _) if shown.is_caller => Ok(Step::DropFinalizer),
        (_, Remote::Unread | Remote::Listed(_), _) => Ok(Step::Call(Call::Read(observed.client_id()))),
        (_, Remote::Absent, _) => Ok(drop_absent(observed)),
        (_, Remote::AsDefined, _) => delete_app(observed),
        (_, Remote::Shown(_), Possession::Unknown(secret)) => {
            Ok(Step::Call(Call::VerifySecret(observed.client_id(), secret)))
        }
        (_, Remote::Shown(_), Possession::Proven | Possession::NotProvable) => delete_app(observed),
        (_, Remote::Shown(_), Possession::Refused) => Ok(remove_secrets(observed)),
        (_, Remote::Shown(_), Possession::NotKnown(said)) => {
            Ok(Step::Finish(outcome_with_retain_hint(owner_not_known(&observed.client_id(), &said))))
        }
    }
}

/// An app that is not proven to be this resource's is never deleted unseen: what one 404 denies may be an app of others. What a
/// create made whose answer was lost is shown in time.
fn drop_absent(observed: &Observed) -> Step {
    let pending = observed.contents().pending;
    let may_appear = pending.is_some_and(|pending| is_recent(pending.since, observed.now));
    match is_seen_twice(observed) && !may_appear {
        true => remove_secrets(observed),
        false => absent_once(observed),
    }
}

fn lost_key(observed: &Observed) -> Blocked {
    let message = format!(
        "the claim on app {} in status does not verify, since the key that signed it is not the operator's any more; restore that key",
        observed.client_id()
    );
    Blocked::new(Reason::IdTaken, message)
}

fn delete_app(observed: &Observed) -> Result<Step, Blocked> {
    let waits_for_users = observed.app.spec.deletion_policy == DeletionPolicy::DeleteWhenUnused;
    match &observed.users {
        // A Secret of others has pods of others.
        None if waits_for_users => {
            Ok(read_secrets(observed).unwrap_or_else(|| Step::FindUsers(secret_names(observed))))
        }
        Some(users) if waits_for_users && !users.is_empty() => Ok(Step::Finish(in_use(observed, users))),
        Some(_) | None => delete_remote(observed, observed.client_id()),
    }
}

/// Whatever the API says to a deletion, the app is gone only when the API no longer shows it.
fn delete_remote(observed: &Observed, id: ClientId) -> Result<Step, Blocked> {
    if let Access::Refused(blocked) = &observed.access {
        return Err(with_retain_hint(blocked));
    }
    let was_absent = observed.remembered.deletion_sent && observed.remembered.absent_since.is_some();
    match (&observed.deletion, &observed.remote) {
        // A second read is to confirm the first one, and nothing has to be deleted before.
        (None, Remote::Unread | Remote::Listed(_)) if was_absent => {
            Ok(if is_known_absent(observed) { Step::Call(Call::Read(id)) } else { absent_once(observed) })
        }
        (None, Remote::Absent) if was_absent && is_known_absent(observed) => Ok(remove_secrets(observed)),
        (None, _) => Ok(Step::Call(Call::Delete(id))),
        (Some(_), Remote::Unread | Remote::Listed(_)) => Ok(Step::Call(Call::Read(id))),
        (Some(Deletion::Accepted), Remote::Absent) => Ok(remove_secrets(observed)),
        (Some(Deletion::NotFound | Deletion::Failed | Deletion::NotOffered), Remote::Absent) => {
            Ok(if is_known_absent(observed) { remove_secrets(observed) } else { absent_once(observed) })
        }
        (Some(Deletion::NotOffered), Remote::Shown(_) | Remote::AsDefined) if !was_accepted(observed) => {
            Err(deletion_not_offered(&id))
        }
        (
            Some(Deletion::Accepted | Deletion::NotFound | Deletion::Failed | Deletion::NotOffered),
            Remote::Shown(_) | Remote::AsDefined,
        ) => Ok(still_shown(&id)),
    }
}

/// Whether the app is gone, and no create without an answer can bring it to light.
fn is_known_absent(observed: &Observed) -> bool {
    let may_appear = observed.remembered.unanswered_create.is_some_and(|at| is_recent(at, observed.now));
    is_seen_twice(observed) && !may_appear
}

/// Whether the API accepted a deletion so short a while ago that it may still show the app.
fn was_accepted(observed: &Observed) -> bool {
    observed.remembered.deletion_accepted.is_some_and(|at| is_recent(at, observed.now))
}

fn still_shown(id: &ClientId) -> Step {
    let message = format!("app {id} is being deleted; the API still shows it");
    Step::Finish(Outcome::Waiting { reason: Reason::Deleting, message, retry: Retry::Backoff })
}

/// The Secrets that Kubernetes does not delete with the resource go before the finalizer.
fn remove_secrets(observed: &Observed) -> Step {
    let left = |secret: &&OwnedSecret| !secret.is_collected(&observed.app);
    read_secrets(observed).unwrap_or_else(|| match owned_secrets(observed).find(left) {
        Some(secret) => Step::RemoveSecret(secret.clone()),
        None => Step::DropFinalizer,
    })
}

/// The Secrets outlive the resource, but for a previous secret, which nobody needs: it would be in the way of a resource of the
/// same name.
fn release(observed: &Observed) -> Step {
    if let Some(step) = read_secrets(observed) {
        return step;
    }
    match (&observed.rotation_secret, owned_secrets(observed).next()) {
        (Some(SecretState::Owned(rotation)), _) if observed.contents().pending.is_none() => {
            Step::RemoveSecret(rotation.clone())
        }
        (Some(_) | None, Some(secret)) => Step::ReleaseSecret(secret.clone()),
        (Some(_) | None, None) => Step::DropFinalizer,
    }
}

fn owned_secrets(observed: &Observed) -> impl Iterator<Item = &OwnedSecret> {
    [&observed.secret, &observed.rotation_secret, &observed.previous_target].into_iter().flatten().filter_map(
        |target| match target {
            SecretState::Owned(secret) => Some(secret),
            SecretState::Absent | SecretState::Foreign { .. } => None,
        },
    )
}

fn in_use(observed: &Observed, users: &[String]) -> Outcome {
    let more = users.len().saturating_sub(NAMED_PODS);
    let mut named = users.iter().take(NAMED_PODS).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 {
        named.push_str(&format!(" and {more} more"));
    }
    Outcome::Waiting {
        reason: Reason::InUse,
        message: format!(
            "Secret {} is used by pods {named}; the app is deleted when they are gone, or at once with spec.deletionPolicy Delete",
            secret_names(observed).join(" or ")
        ),
        retry: Retry::Backoff,
    }
}

/// The same with the words that say how to delete the resource where its app cannot be deleted.
pub fn with_retain_hint(blocked: &Blocked) -> Blocked {
    Blocked::new(blocked.reason, format!("{}; {RETAIN_HINT}", blocked.message))
}

/// The same for an outcome that is no progress.
pub fn outcome_with_retain_hint(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Blocked(blocked) => Outcome::Blocked(with_retain_hint(&blocked)),
        Outcome::Waiting { reason, message, retry } => {
            Outcome::Waiting { reason, message: format!("{message}; {RETAIN_HINT}"), retry }
        }
        outcome @ (Outcome::Settled { .. } | Outcome::Observed(_) | Outcome::Suspended | Outcome::Gone) => outcome,
    }
}

fn absent_once(observed: &Observed) -> Step {
    let id = observed.client_id();
    let message = format!("the API answers 404 for app {id}; a second read is to confirm that it is gone");
    let may_appear = observed.remembered.unanswered_create.or(observed.contents().pending.map(|pending| pending.since));
    let retry = Retry::at_next([second_read(observed), may_appear.and_then(lag_end)], observed.now);
    Step::Finish(Outcome::Waiting { reason: Reason::Deleting, message, retry })
}

fn deletion_not_offered(id: &ClientId) -> Blocked {
    let message = format!(
        "the API has no operation to delete app {id}; delete it in the vendor's console, or set spec.deletionPolicy to Retain"
    );
    Blocked::new(Reason::DeletionNotOffered, message)
}
