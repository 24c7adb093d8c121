//! Whose the app is: derived ids are ours by themselves, chosen ones only once they were found free and claimed, or adopted.
//! Nothing that is not ours is ever changed, rotated or deleted.

use super::{Blocked, Call, Next, Observed, Remote, Rival, Step, attach, client_id, go_live};
use crate::crd::{AdoptionPolicy, OrgOAuthApp};
use crate::reason::Reason;
use crate::remote::ClientId;
use kube::ResourceExt;

/// What is to be done until the app is ours to change.
pub fn step(seen: &Observed) -> Next {
    let id = client_id(&seen.app);
    if is_ours(seen, &id) {
        return Ok(attach(seen));
    }
    claim(seen, id).map(Some)
}

/// Before a chosen id is used, no other resource may have it, the API must say that it is free or the spec that the app
/// is to be adopted, and the intent must be durable. The finalizer comes last, so that a resource which never gets the
/// id can be deleted without the API.
fn claim(seen: &Observed, id: ClientId) -> Result<Step, Blocked> {
    let adopts = match seen.app.spec.adoption_policy {
        AdoptionPolicy::Never => false,
        AdoptionPolicy::Adopt | AdoptionPolicy::AdoptAndRotate => true,
    };
    match (&seen.rival, &seen.remote) {
        (Rival::Unread, _) => Ok(Step::FindRival),
        (Rival::Has(other), _) => Err(id_conflict(&id, other)),
        (Rival::None, Remote::Unread | Remote::Listed(_)) => Ok(Step::Call(Call::Read(id))),
        (Rival::None, Remote::Shown(_) | Remote::AsDefined) if !adopts => Err(id_taken(&id)),
        (Rival::None, Remote::Shown(app)) if app.is_caller => Err(id_of_the_operator(&id)),
        (Rival::None, remote) => {
            let adopt = !matches!(remote, Remote::Absent);
            Ok(attach(seen).or_else(|| go_live(seen)).unwrap_or(Step::Claim { id, adopt }))
        }
    }
}

/// An id derived from the uid is ours by itself; a chosen one only once it was claimed or published.
pub fn is_ours(seen: &Observed, id: &ClientId) -> bool {
    let published = seen.content().client_id.as_ref() == Some(id);
    seen.app.spec.id.is_none() || has_claimed(&seen.app, id) || published
}

/// Whether status records that the id is used by this resource.
pub fn has_claimed(app: &OrgOAuthApp, id: &ClientId) -> bool {
    app.status.as_ref().and_then(|status| status.client_id.as_ref()) == Some(&id.0)
}

/// Whether the app existed before and was taken over, so that its secret is not the operator's to replace unasked.
pub fn is_adopted(app: &OrgOAuthApp) -> bool {
    app.status.as_ref().is_some_and(|status| status.adopted == Some(true))
}

/// Whether another resource at the same API has the same client id and comes first: it has claimed the id, or neither has
/// and it is older. Its id may be a derived one, so that nobody adopts the app of a resource that is there.
pub fn rival(app: &OrgOAuthApp, other: &OrgOAuthApp) -> bool {
    let id = client_id(app);
    let age = |app: &OrgOAuthApp| (app.creation_timestamp(), app.uid());
    let comes_first = has_claimed(other, &id) || (!has_claimed(app, &id) && age(other) < age(app));
    other.uid() != app.uid() && client_id(other) == id && comes_first
}

fn id_conflict(id: &ClientId, other: &str) -> Blocked {
    Blocked::new(Reason::IdConflict, format!("OrgOAuthApp {other} has the id {id}; delete one of the two"))
}

/// Else whoever may use the connection could have its own secret replaced, and read it.
fn id_of_the_operator(id: &ClientId) -> Blocked {
    let message = format!("app {id} is the one as which the operator calls the API, and is not adopted through itself");
    Blocked::new(Reason::IdTaken, message)
}

fn id_taken(id: &ClientId) -> Blocked {
    let message = format!(
        "an app with spec.id {id} exists that this resource did not create; choose another id, or take it over with spec.adoptionPolicy"
    );
    Blocked::new(Reason::IdTaken, message)
}
