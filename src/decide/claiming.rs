//! The steps until the app is the resource's, which `ownership` decides: before an id is used, no other resource may have it, and
//! the claim on it is durable before anything is created. An app that exists is found again, adopted, or left alone.

use super::absence::confirm_free;
use super::access::Access;
use super::faults::after_fault;
use super::model::{ClaimOrigin, ClaimProgress, Creation, IdOwner, Observed, Remote};
use super::ownership::{
    Ownership, Possession, endpoint_changed, owner_not_known, ownership, proof_of_creation, proof_of_restore,
};
use super::step::{Call, Next, Step};
use super::writes::dry_run_secret;
use crate::crd::{AdoptionPolicy, DERIVED_ID, OrgOAuthApp};
use crate::iam::ClientId;
use crate::iam::app_fields::Fields;
use crate::reason::{Blocked, Reason};
use kube::ResourceExt;

/// What is to be done until the app is ours to change.
pub(super) fn step(observed: &Observed, _: &Fields) -> Next {
    match ownership(observed) {
        Ownership::Ours => Ok(None),
        Ownership::Intended => intended(observed, observed.client_id()),
        Ownership::Elsewhere { endpoint } => Err(endpoint_changed(observed, &endpoint)),
        Ownership::Unproven => claim(observed, observed.client_id()).map(Some),
    }
}

/// Before an id without a claim is used, no other resource may have it and the operator may not call as it; then the API
/// must say that it is free, or the app must be adopted or be found again. The finalizer comes last, so that a resource which
/// never gets the id can be deleted without the API.
fn claim(observed: &Observed, id: ClientId) -> Result<Step, Blocked> {
    match &observed.id_owner {
        IdOwner::NotRead => return Ok(Step::FindIdOwner),
        IdOwner::Has(other) => return Err(id_conflict(observed, &id, other)),
        IdOwner::None => {}
    }
    match &observed.remote {
        Remote::NotRead | Remote::Listed(_) => Ok(Step::Call(Call::Read(id))),
        Remote::Absent => Ok(claim_free(observed, id)),
        Remote::Shown(app) => {
            if app.is_caller {
                Err(id_of_the_operator(&id))
            } else {
                claim_existing(observed, id)
            }
        }
        Remote::JustCreated => claim_existing(observed, id),
    }
}

fn claim_free(observed: &Observed, id: ClientId) -> Step {
    match &observed.creation {
        Creation::Refused(fault) => Step::Finish(after_fault(&observed.app, fault.clone())),
        Creation::NotTried | Creation::Issued(_) | Creation::Stored => {
            let first = confirm_free(observed).or_else(|| dry_run_secret(observed));
            first.unwrap_or(Step::Claim { id, origin: ClaimOrigin::New })
        }
    }
}

/// The app exists: it was the resource's before a restore, as the possession of a credential that works says, or a claim on the
/// Secret where no token request can tell; or the spec adopts it. A claim alone is not enough, since it may be a copy from
/// before the app was deleted and made again by somebody else.
fn claim_existing(observed: &Observed, id: ClientId) -> Result<Step, Blocked> {
    let has_claim = observed.restored_claim().is_some();
    match proof_of_restore(observed) {
        Possession::Unknown(secret) => Ok(Step::Call(Call::VerifySecret(id, secret))),
        Possession::Proven => Ok(Step::Claim { id, origin: ClaimOrigin::Restored }),
        Possession::NotKnown(api_message) => {
            if has_claim {
                Ok(Step::Finish(owner_not_known(&id, &api_message)))
            } else {
                adopt(observed, id)
            }
        }
        Possession::NotVerifiable => {
            if has_claim {
                Ok(Step::Claim { id, origin: ClaimOrigin::Restored })
            } else {
                adopt(observed, id)
            }
        }
        Possession::Refused => adopt(observed, id),
    }
}

fn adopt(observed: &Observed, id: ClientId) -> Result<Step, Blocked> {
    match observed.app.spec.adoption_policy {
        AdoptionPolicy::Adopt | AdoptionPolicy::AdoptAndRotate => {
            if may_adopt(observed) {
                Ok(Step::Claim { id, origin: ClaimOrigin::Adopted })
            } else {
                Err(adoption_not_allowed(observed))
            }
        }
        AdoptionPolicy::Never => Err(id_taken(&id)),
    }
}

/// Between the claim and the answer to the create anybody may have created an app with the id, so what is there is the
/// resource's only if it has the secret that was staged before the create. Where no token request can tell, the claim is
/// sufficient.
fn intended(observed: &Observed, id: ClientId) -> Next {
    if let IdOwner::Has(other) = &observed.id_owner {
        return Err(id_conflict(observed, &id, other));
    }
    match &observed.remote {
        Remote::NotRead | Remote::Listed(_) => Ok(Some(Step::Call(Call::Read(id)))),
        Remote::Absent | Remote::JustCreated => Ok(None),
        Remote::Shown(app) => {
            if app.is_caller {
                Err(id_of_the_operator(&id))
            } else {
                Ok(Some(claim_created(observed, id)))
            }
        }
    }
}

fn claim_created(observed: &Observed, id: ClientId) -> Step {
    match proof_of_creation(observed) {
        Possession::Unknown(secret) => Step::Call(Call::VerifySecret(id, secret)),
        Possession::Refused => Step::Unclaim,
        Possession::NotKnown(api_message) => Step::Finish(owner_not_known(&id, &api_message)),
        Possession::Proven => Step::Claim { id, origin: ClaimOrigin::Created },
        Possession::NotVerifiable => match observed.claim {
            // It was free when the claim was recorded, and the create was refused.
            ClaimProgress::Recorded(_) => Step::Unclaim,
            ClaimProgress::Unchanged | ClaimProgress::TakenBack => Step::Claim { id, origin: ClaimOrigin::Created },
        },
    }
}

fn may_adopt(observed: &Observed) -> bool {
    match &observed.access {
        Access::Granted { adoption, .. } => *adoption,
        Access::Refused(_) => false,
    }
}

fn adoption_not_allowed(observed: &Observed) -> Blocked {
    let connection = &observed.app.spec.connection_ref.name;
    let message = format!(
        "IamConnection {connection} does not allow adoption; ask the platform team to set adoption in its spec.grants[].allow, or delete this resource and create it again with another id"
    );
    Blocked::new(Reason::NotAllowed, message)
}

/// A tenant learns no more of another one than that it is there. The deletion of a resource that intends to create an app
/// may find that it has created it.
fn id_conflict(observed: &Observed, id: &ClientId, other: &OrgOAuthApp) -> Blocked {
    let other = if observed.app.namespace() == other.namespace() {
        format!("OrgOAuthApp {}", other.name_any())
    } else {
        "an OrgOAuthApp of another namespace".to_owned()
    };
    let leaves_app = match ownership(observed) {
        Ownership::Unproven => ", which leaves the app as it is,",
        Ownership::Ours | Ownership::Intended | Ownership::Elsewhere { .. } => "",
    };
    let message =
        format!("{other} has the id {id}; delete this resource{leaves_app} and create it again with another id");
    Blocked::new(Reason::IdConflict, message)
}

/// Otherwise whoever may use the connection could have its own secret replaced, and read it.
fn id_of_the_operator(id: &ClientId) -> Blocked {
    let message = format!(
        "app {id} is the operator's own OAuth client and cannot be adopted; delete this resource and create it again with another id"
    );
    Blocked::new(Reason::IdTaken, message)
}

fn id_taken(id: &ClientId) -> Blocked {
    let message = if id.0.starts_with(DERIVED_ID) {
        format!("app {id} exists and nothing proves that it is this resource's; adopt it with spec.adoptionPolicy")
    } else {
        format!(
            "an app with spec.id {id} exists that this resource did not create; delete this resource and create it again with another id, or adopt the app with spec.adoptionPolicy"
        )
    };
    Blocked::new(Reason::IdTaken, message)
}
