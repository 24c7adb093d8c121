//! For a resource that is being deleted: runs before anything else is resolved, and ends.
//! The finalizer goes only when the API no longer shows the app, or when the spec says to leave it.

use super::ownership::{has_claimed, is_ours};
use super::{Access, Blocked, Call, Observed, Outcome, Remote, Step, client_id, observes};
use crate::crd::{DeletionPolicy, FINALIZER};
use crate::credentials::{Target, secret_name};
use crate::reason::Reason;
use crate::remote::{ClientId, Deletion};
use kube::ResourceExt;

/// So many pods are named; who finds these finds the others.
const NAMED_PODS: usize = 5;

/// The next step of a deletion.
pub fn step(seen: &Observed) -> Result<Step, Blocked> {
    let app = &seen.app;
    if !app.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(Step::Finish(Outcome::Gone));
    }
    let id = client_id(app);
    match app.spec.deletion_policy {
        // Who only observes writes nothing to the API, deletion included.
        _ if observes(app) => Ok(release(seen)),
        DeletionPolicy::Retain => Ok(release(seen)),
        DeletionPolicy::Delete | DeletionPolicy::DeleteWhenUnused
            if app.spec.id.is_some() && !may_have_created(seen, &id) =>
        {
            Ok(if seen.secret.is_none() { Step::ReadSecret } else { Step::DropFinalizer })
        }
        DeletionPolicy::Delete => delete_remote(seen, id),
        DeletionPolicy::DeleteWhenUnused => match &seen.users {
            None => Ok(Step::FindUsers),
            Some(users) if users.is_empty() => delete_remote(seen, id),
            Some(users) => Ok(Step::Finish(in_use(seen, users))),
        },
    }
}

fn may_have_created(seen: &Observed, id: &ClientId) -> bool {
    has_claimed(&seen.app, id) || seen.secret.as_ref().is_some_and(|_| is_ours(seen, id))
}

/// Whatever the API says to a deletion, the app is gone only when the API no longer shows it.
fn delete_remote(seen: &Observed, id: ClientId) -> Result<Step, Blocked> {
    if let Access::Refused(blocked) = &seen.access {
        return Err(let_go_hint(blocked));
    }
    match (&seen.deletion, &seen.remote) {
        (None, _) => Ok(Step::Call(Call::Delete(id))),
        (Some(_), Remote::Unread | Remote::Listed(_)) => Ok(Step::Call(Call::Read(id))),
        (Some(_), Remote::Absent) => Ok(Step::DropFinalizer),
        (Some(Deletion::NotOffered), Remote::Shown(_) | Remote::AsDefined) => Err(deletion_not_offered(&id)),
        (Some(Deletion::Accepted | Deletion::NotFound | Deletion::Failed), Remote::Shown(_) | Remote::AsDefined) => {
            Ok(Step::Finish(Outcome::Waiting {
                reason: Reason::Deleting,
                message: format!("app {id} is being deleted; the API still shows it"),
                until: None,
            }))
        }
    }
}

fn release(seen: &Observed) -> Step {
    match &seen.secret {
        None => Step::ReadSecret,
        Some(Target::Ours(secret)) => Step::ReleaseSecret(secret.clone()),
        Some(Target::Free | Target::Foreign) => Step::DropFinalizer,
    }
}

fn in_use(seen: &Observed, users: &[String]) -> Outcome {
    let more = users.len().saturating_sub(NAMED_PODS);
    let mut named = users.iter().take(NAMED_PODS).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 {
        named.push_str(&format!(" and {more} more"));
    }
    Outcome::Waiting {
        reason: Reason::InUse,
        message: format!(
            "Secret {} is used by pods {named}; the app is deleted when they are gone, or at once with spec.deletionPolicy Delete",
            secret_name(&seen.app)
        ),
        until: None,
    }
}

/// The words that say how to delete the resource where its app cannot be.
pub fn let_go_hint(blocked: &Blocked) -> Blocked {
    let message = format!("{}; to delete this resource without it, set spec.deletionPolicy to Retain", blocked.message);
    Blocked::new(blocked.reason, message)
}

fn deletion_not_offered(id: &ClientId) -> Blocked {
    let message = format!(
        "the API has no operation to delete app {id}; delete it in the vendor's console, or set spec.deletionPolicy to Retain"
    );
    Blocked::new(Reason::DeletionNotOffered, message)
}
