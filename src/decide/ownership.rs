//! Whose the app is: an id derived from the uid is the resource's by itself, any other one only by a claim that the
//! operator signed. Nothing that a tenant can write proves anything, and what is not ours is never changed or deleted.

use super::{
    Access, Blocked, Call, ClaimOrigin, Next, Observed, Remote, Rival, Step, after_fault, attach, client_id, go_live,
    is_provable,
};
use crate::claim::{ApiAddress, ClaimKey};
use crate::crd::{AdoptionPolicy, DERIVED_ID, OrgOAuthApp, SignedClaim};
use crate::credentials::Target;
use crate::reason::Reason;
use crate::remote::{ClientId, Proof};
use kube::ResourceExt;

/// Whose the app of a resource's client id is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The resource's.
    Ours,
    /// The resource's, at another API than the one that the connection names now.
    Elsewhere {
        /// The address where it was made.
        endpoint: String,
    },
    /// Not known to be the resource's.
    Unproven,
}

/// What is to be done until the app is ours to change.
pub fn step(seen: &Observed) -> Next {
    match ownership(seen) {
        Ownership::Ours => Ok(attach(seen)),
        Ownership::Elsewhere { endpoint } => Err(endpoint_changed(seen, &endpoint)),
        Ownership::Unproven => claim(seen, seen.client_id()).map(Some),
    }
}

/// Whose the app is, as far as it was seen.
pub fn ownership(seen: &Observed) -> Ownership {
    let claim = status_claim(seen).or_else(|| restored_claim(seen));
    match (claim, address(seen)) {
        (Some(claim), Some(address)) if !address.made(&claim) => Ownership::Elsewhere { endpoint: claim.endpoint },
        _ if holds_claim(seen) || is_derived(seen) => Ownership::Ours,
        _ => Ownership::Unproven,
    }
}

/// Whether status has a claim of this resource that the operator signed.
pub fn holds_claim(seen: &Observed) -> bool {
    status_claim(seen).is_some()
}

/// The client id that a claim gives the resource, where the spec chooses none.
pub fn claimed_id(seen: &Observed) -> Option<ClientId> {
    let claim = status_claim(seen).or_else(|| restored_claim(seen))?;
    Some(ClientId(claim.client_id))
}

/// The claim on an app that is ours, as the operator signs it now.
pub fn signed_claim(seen: &Observed) -> Option<SignedClaim> {
    let address = address(seen)?;
    (ownership(seen) == Ownership::Ours).then(|| seen.key.sign(&seen.app, address, &seen.client_id()))
}

/// The claim in status of a resource, if the operator signed it for this uid and for the id that the spec chooses.
pub fn recorded_claim(app: &OrgOAuthApp, key: &ClaimKey) -> Option<SignedClaim> {
    let claim = app.status.as_ref()?.claim.as_ref()?;
    let is_ours = app.uid().as_ref() == Some(&claim.uid) && key.verifies(app, claim) && fits(app, claim);
    is_ours.then(|| claim.clone())
}

fn status_claim(seen: &Observed) -> Option<SignedClaim> {
    recorded_claim(&seen.app, &seen.key)
}

/// The claim that the operator left on the Secret for a resource of this namespace and name; the guard of Secrets has
/// verified it.
pub fn restored_claim(seen: &Observed) -> Option<SignedClaim> {
    let targets = [&seen.former, &seen.secret].into_iter().flatten();
    let mut claims = targets.filter_map(|target: &Target| target.content(&seen.app).claim);
    claims.find(|claim| fits(&seen.app, claim))
}

fn fits(app: &OrgOAuthApp, claim: &SignedClaim) -> bool {
    app.spec.id.as_ref().is_none_or(|id| *id == claim.client_id)
}

fn is_derived(seen: &Observed) -> bool {
    seen.app.spec.id.is_none() && seen.client_id() == client_id(&seen.app)
}

fn address(seen: &Observed) -> Option<&ApiAddress> {
    match &seen.access {
        Access::Granted { address, .. } => Some(address),
        Access::Refused(_) => None,
    }
}

/// Before an id without a claim is used, no other resource may have it and the operator may not call as it; then the API
/// must say that it is free, or the app must be adopted or be found again. The claim is durable before anything is
/// created. The finalizer comes last, so that a resource which never gets the id can be deleted without the API.
fn claim(seen: &Observed, id: ClientId) -> Result<Step, Blocked> {
    match (&seen.rival, &seen.remote) {
        (Rival::Unread, _) => Ok(Step::FindRival),
        (Rival::Has(other), _) => Err(id_conflict(&seen.app, &id, other)),
        (Rival::None, Remote::Unread | Remote::Listed(_)) => Ok(Step::Call(Call::Read(id))),
        (Rival::None, Remote::Shown(app)) if app.is_caller => Err(id_of_the_operator(&id)),
        (Rival::None, Remote::Absent) => Ok(match &seen.create_refused {
            Some(fault) => Step::Finish(after_fault(&seen.app, fault.clone())),
            None => claim_as(seen, id, ClaimOrigin::New),
        }),
        (Rival::None, Remote::Shown(_) | Remote::AsDefined) => claim_existing(seen, id),
    }
}

fn claim_as(seen: &Observed, id: ClientId, origin: ClaimOrigin) -> Step {
    attach(seen).or_else(|| go_live(seen)).unwrap_or(Step::Claim { id, origin })
}

/// The app exists: it was the resource's before a restore, as a claim on the Secret says or the possession of a credential
/// that works; or the spec adopts it.
fn claim_existing(seen: &Observed, id: ClientId) -> Result<Step, Blocked> {
    if restored_claim(seen).is_some() {
        return Ok(claim_as(seen, id, ClaimOrigin::Restored));
    }
    match seen.app.spec.adoption_policy {
        AdoptionPolicy::Adopt | AdoptionPolicy::AdoptAndRotate if may_adopt(seen) => {
            Ok(claim_as(seen, id, ClaimOrigin::Adopted))
        }
        AdoptionPolicy::Adopt | AdoptionPolicy::AdoptAndRotate => Err(adoption_not_allowed(seen)),
        AdoptionPolicy::Never => claim_possessed(seen, id),
    }
}

fn may_adopt(seen: &Observed) -> bool {
    match &seen.access {
        Access::Granted { adoption, .. } => *adoption,
        Access::Refused(_) => false,
    }
}

fn adoption_not_allowed(seen: &Observed) -> Blocked {
    let connection = &seen.app.spec.connection_ref.name;
    let message = format!(
        "IamConnection {connection} does not allow adoption; ask the platform team to set adoption in its spec.grants[].allow, or choose another spec.id"
    );
    Blocked::new(Reason::NotAllowed, message)
}

fn claim_possessed(seen: &Observed, id: ClientId) -> Result<Step, Blocked> {
    let content = seen.content();
    let possessed = content.current.filter(|_| content.client_id.as_ref() == Some(&id) && is_provable(&seen.app));
    match (possessed, &seen.proof) {
        (Some(secret), None) => Ok(Step::Call(Call::Prove(id, secret))),
        (Some(_), Some(Proof::Accepted)) => Ok(claim_as(seen, id, ClaimOrigin::Restored)),
        (Some(_), Some(Proof::Refused(_))) | (None, _) => Err(id_taken(&id)),
    }
}

/// Whether the app existed before and was adopted, so that its secret is not the operator's to replace unasked.
pub fn is_adopted(app: &OrgOAuthApp) -> bool {
    app.status.as_ref().is_some_and(|status| status.adopted == Some(true))
}

/// Whether another resource has a claim on the client id at this API.
pub fn has_claim(other: &OrgOAuthApp, id: &ClientId, address: &ApiAddress, key: &ClaimKey) -> bool {
    recorded_claim(other, key).is_some_and(|claim| claim.client_id == id.0 && address.made(&claim))
}

/// Whether another resource, of which neither has a claim, comes first to a client id: it derives it from its uid, or chose the
/// same and is older.
pub fn comes_first(app: &OrgOAuthApp, id: &ClientId, other: &OrgOAuthApp) -> bool {
    let age = |app: &OrgOAuthApp| (app.creation_timestamp(), app.uid());
    client_id(other) == *id && (other.spec.id.is_none() || age(other) < age(app))
}

/// A tenant learns no more of another one than that it is there.
fn id_conflict(app: &OrgOAuthApp, id: &ClientId, other: &OrgOAuthApp) -> Blocked {
    let message = match app.namespace() == other.namespace() {
        true => format!("OrgOAuthApp {} has the id {id}; delete one of the two", other.name_any()),
        false => format!("an OrgOAuthApp of another namespace has the id {id}; choose another id"),
    };
    Blocked::new(Reason::IdConflict, message)
}

/// Otherwise whoever may use the connection could have its own secret replaced, and read it.
fn id_of_the_operator(id: &ClientId) -> Blocked {
    Blocked::new(Reason::IdTaken, format!("app {id} is the operator's own OAuth client and cannot be adopted"))
}

fn id_taken(id: &ClientId) -> Blocked {
    let message = match id.0.starts_with(DERIVED_ID) {
        true => {
            format!("app {id} exists and nothing proves that it is this resource's; adopt it with spec.adoptionPolicy")
        }
        false => format!(
            "an app with spec.id {id} exists that this resource did not create; choose another id, or adopt it with spec.adoptionPolicy"
        ),
    };
    Blocked::new(Reason::IdTaken, message)
}

/// The same id at another address names another app.
pub fn endpoint_changed(seen: &Observed, made_at: &str) -> Blocked {
    let connection = &seen.app.spec.connection_ref.name;
    let message = format!(
        "app {} was made at {made_at}, and IamConnection {connection} names another API now; restore the connection, or add that address to its spec.formerEndpoints if both are the same API",
        seen.client_id()
    );
    Blocked::new(Reason::EndpointChanged, message)
}
