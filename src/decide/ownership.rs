//! Whose the app is: an id derived from the uid is the resource's by itself, any other one only by a claim that the
//! operator signed. Nothing that a tenant can write proves anything, and what is not ours is never changed or deleted.

use super::absence::confirm_free;
use super::creation::try_secret;
use super::model::{Validity, client_id, is_provable};
use super::{
    Access, Blocked, Call, ClaimOrigin, ClaimProgress, Creation, IdOwner, Next, Observed, Outcome, Remote, Retry, Step,
    after_fault,
};
use crate::claim::{ApiAddress, ClaimKey};
use crate::crd::{AdoptionPolicy, DERIVED_ID, OrgOAuthApp, SignedClaim};
use crate::definition::Fields;
use crate::iam::{ClientId, ClientSecret};
use crate::reason::Reason;
use crate::secret::SecretState;
use kube::ResourceExt;

/// Whose the app of a resource's client id is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The resource's.
    Ours,
    /// The resource is about to create it, or did and did not hear of it.
    Intended,
    /// The resource's, at another API than the one that the connection names now.
    Elsewhere {
        /// The address where it was made.
        endpoint: String,
    },
    /// Not known to be the resource's.
    Unproven,
}

/// What is to be done until the app is ours to change.
pub fn step(observed: &Observed, _: &Fields) -> Next {
    match ownership(observed) {
        Ownership::Ours => Ok(None),
        Ownership::Intended => intended(observed, observed.client_id()),
        Ownership::Elsewhere { endpoint } => Err(endpoint_changed(observed, &endpoint)),
        Ownership::Unproven => claim(observed, observed.client_id()).map(Some),
    }
}

/// Whose the app is, as far as it was observed.
pub fn ownership(observed: &Observed) -> Ownership {
    match (claim_on_app(observed), observed.address()) {
        (Some(claim), Some(address)) if !address.made(&claim) => Ownership::Elsewhere { endpoint: claim.endpoint },
        _ if is_derived(observed) || is_created(observed) => Ownership::Ours,
        _ if holds_claim(observed) => Ownership::Intended,
        _ => Ownership::Unproven,
    }
}

/// Whether the app is known to be the resource's.
pub fn is_ours(observed: &Observed) -> bool {
    ownership(observed) == Ownership::Ours
}

/// The claim in status, else the one on the Secret.
fn claim_on_app(observed: &Observed) -> Option<SignedClaim> {
    status_claim(observed).cloned().or_else(|| restored_claim(observed))
}

/// Whether the app was made under the claim in status, as that claim, the one on the Secret or the create in this reconcile
/// says. Without a claim in status another resource may have claimed the app meanwhile.
fn is_created(observed: &Observed) -> bool {
    let on_secret = || restored_claim(observed).is_some_and(|claim| observed.app.uid().as_ref() == Some(&claim.uid));
    let now = || matches!(observed.remote, Remote::AsDefined);
    status_claim(observed).is_some_and(|claim| claim.created || on_secret() || now())
}

/// Whether status has a claim that only records the intent to create an app.
pub fn is_intent(observed: &Observed) -> bool {
    status_claim(observed).is_some_and(|claim| !claim.created)
}

/// Whether status has a claim of this resource that the operator signed.
pub fn holds_claim(observed: &Observed) -> bool {
    status_claim(observed).is_some()
}

/// The client id that a claim gives the resource, where the spec chooses none.
pub fn claimed_id(observed: &Observed) -> Option<ClientId> {
    claim_on_app(observed).map(|claim| ClientId(claim.client_id))
}

/// The claim on an app that is ours, or about to be created, as the operator signs it now.
pub fn signed_claim(observed: &Observed) -> Option<SignedClaim> {
    let address = observed.address()?;
    let created = match ownership(observed) {
        Ownership::Ours => true,
        Ownership::Intended => false,
        Ownership::Elsewhere { .. } | Ownership::Unproven => return None,
    };
    Some(observed.key.sign(&observed.app, address, &observed.client_id(), created))
}

/// The claim in status of a resource, if the operator signed it for this uid and for the id that the spec chooses.
pub fn recorded_claim(app: &OrgOAuthApp, key: &ClaimKey) -> Option<SignedClaim> {
    let claim = app.status.as_ref()?.claim.as_ref()?;
    let is_ours = app.uid().as_ref() == Some(&claim.uid) && key.verifies(app, claim) && fits(app, claim);
    is_ours.then(|| claim.clone())
}

fn status_claim(observed: &Observed) -> Option<&SignedClaim> {
    observed.recorded_claim.as_ref()
}

/// The claim that the operator left on the Secret for a resource of this namespace and name; the guard of Secrets has
/// verified it.
pub fn restored_claim(observed: &Observed) -> Option<SignedClaim> {
    let targets = [&observed.previous_target, &observed.secret].into_iter().flatten();
    let mut claims = targets.filter_map(|target: &SecretState| target.contents(&observed.app).claim);
    claims.find(|claim| claim.created && fits(&observed.app, claim))
}

fn fits(app: &OrgOAuthApp, claim: &SignedClaim) -> bool {
    app.spec.id.as_ref().is_none_or(|id| *id == claim.client_id)
}

fn is_derived(observed: &Observed) -> bool {
    observed.app.spec.id.is_none() && observed.client_id() == client_id(&observed.app)
}

/// Before an id without a claim is used, no other resource may have it and the operator may not call as it; then the API
/// must say that it is free, or the app must be adopted or be found again. The claim is durable before anything is
/// created. The finalizer comes last, so that a resource which never gets the id can be deleted without the API.
fn claim(observed: &Observed, id: ClientId) -> Result<Step, Blocked> {
    match (&observed.id_owner, &observed.remote) {
        (IdOwner::Unread, _) => Ok(Step::FindIdOwner),
        (IdOwner::Has(other), _) => Err(id_conflict(observed, &id, other)),
        (IdOwner::None, Remote::Unread | Remote::Listed(_)) => Ok(Step::Call(Call::Read(id))),
        (IdOwner::None, Remote::Shown(app)) if app.is_caller => Err(id_of_the_operator(&id)),
        (IdOwner::None, Remote::Absent) => Ok(match &observed.creation {
            Creation::Refused(fault) => Step::Finish(after_fault(&observed.app, fault.clone())),
            Creation::NotTried | Creation::Issued(_) | Creation::Stored => {
                let first = confirm_free(observed).or_else(|| try_secret(observed));
                first.unwrap_or(Step::Claim { id, origin: ClaimOrigin::New })
            }
        }),
        (IdOwner::None, Remote::Shown(_) | Remote::AsDefined) => claim_existing(observed, id),
    }
}

/// Between the claim and the answer to the create anybody may have created an app with the id, so what is there is the
/// resource's only if it has the secret that was staged before the create. Where no token can tell, the claim has to do.
fn intended(observed: &Observed, id: ClientId) -> Next {
    if let IdOwner::Has(other) = &observed.id_owner {
        return Err(id_conflict(observed, &id, other));
    }
    match (&observed.remote, proof_of_creation(observed)) {
        (Remote::Unread | Remote::Listed(_), _) => Ok(Some(Step::Call(Call::Read(id)))),
        (Remote::Absent | Remote::AsDefined, _) => Ok(None),
        (Remote::Shown(app), _) if app.is_caller => Err(id_of_the_operator(&id)),
        (Remote::Shown(_), Possession::Unknown(secret)) => Ok(Some(Step::Call(Call::VerifySecret(id, secret)))),
        (Remote::Shown(_), Possession::Refused) => Ok(Some(Step::Unclaim)),
        (Remote::Shown(_), Possession::NotKnown(said)) => Ok(Some(Step::Finish(owner_not_known(&id, &said)))),
        (Remote::Shown(_), Possession::Proven) => Ok(Some(Step::Claim { id, origin: ClaimOrigin::Created })),
        (Remote::Shown(_), Possession::NotProvable) => Ok(Some(match observed.claim {
            // It was free when the claim was recorded, and the create was refused.
            ClaimProgress::Recorded(_) => Step::Unclaim,
            ClaimProgress::Unchanged | ClaimProgress::TakenBack => Step::Claim { id, origin: ClaimOrigin::Created },
        })),
    }
}

/// What a token request says of a secret and an app.
pub enum Possession {
    /// It was not asked.
    Unknown(ClientSecret),
    /// The app has the secret.
    Proven,
    /// It does not, or there is no secret to ask with.
    Refused,
    /// The API issued no token for another cause, in its words.
    NotKnown(String),
    /// The app can have no token of its own.
    NotProvable,
}

/// Whether an app under the id is the one that this resource created.
pub fn proof_of_creation(observed: &Observed) -> Possession {
    let staged = observed.contents().pending.map(|pending| pending.secret);
    possession(observed, observed.provided_secret().cloned().or(staged))
}

/// Whether an app under the id has the secret that consumers find.
pub fn proof_of_restore(observed: &Observed) -> Possession {
    let content = observed.contents();
    possession(observed, content.current.filter(|_| content.client_id.as_ref() == Some(&observed.client_id())))
}

fn possession(observed: &Observed, secret: Option<ClientSecret>) -> Possession {
    let Some(secret) = secret else {
        return if is_provable(&observed.app) { Possession::Refused } else { Possession::NotProvable };
    };
    match observed.validity(&secret) {
        Validity::NotProvable => Possession::NotProvable,
        Validity::Valid => Possession::Proven,
        Validity::Invalid(_) => Possession::Refused,
        Validity::NotKnown(said) => Possession::NotKnown(said.to_owned()),
        Validity::NotAsked => Possession::Unknown(secret),
    }
}

/// The app exists: it was the resource's before a restore, as the possession of a credential that works says, or a claim on
/// the Secret where no token can tell; or the spec adopts it. A claim alone is not enough, since it may be a copy from before
/// the app was deleted and made again by somebody else.
fn claim_existing(observed: &Observed, id: ClientId) -> Result<Step, Blocked> {
    match proof_of_restore(observed) {
        Possession::Unknown(secret) => return Ok(Step::Call(Call::VerifySecret(id, secret))),
        Possession::Proven => return Ok(Step::Claim { id, origin: ClaimOrigin::Restored }),
        Possession::NotKnown(said) if restored_claim(observed).is_some() => {
            return Ok(Step::Finish(owner_not_known(&id, &said)));
        }
        Possession::NotProvable if restored_claim(observed).is_some() => {
            return Ok(Step::Claim { id, origin: ClaimOrigin::Restored });
        }
        Possession::NotProvable | Possession::Refused | Possession::NotKnown(_) => {}
    }
    match observed.app.spec.adoption_policy {
        AdoptionPolicy::Adopt | AdoptionPolicy::AdoptAndRotate if may_adopt(observed) => {
            Ok(Step::Claim { id, origin: ClaimOrigin::Adopted })
        }
        AdoptionPolicy::Adopt | AdoptionPolicy::AdoptAndRotate => Err(adoption_not_allowed(observed)),
        AdoptionPolicy::Never => Err(id_taken(&id)),
    }
}

/// Whether the app is this resource's is found out later.
pub fn owner_not_known(id: &ClientId, said: &str) -> Outcome {
    let message = format!("app {id} exists, and a token request does not say whether it is this resource's: {said}");
    Outcome::Waiting { reason: Reason::SecretNotProven, message, retry: Retry::Backoff }
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

/// Whether the app existed before and was adopted, so that its secret is not the operator's to replace unasked.
fn is_adopted(app: &OrgOAuthApp) -> bool {
    app.status.as_ref().is_some_and(|status| status.adopted == Some(true))
}

/// Whether the app was adopted, or would be if something were done, and its secret may not be replaced: somebody uses it.
pub fn is_adopted_without_secret(observed: &Observed) -> bool {
    let keeps_secret = match observed.app.spec.adoption_policy {
        AdoptionPolicy::Never | AdoptionPolicy::Adopt => true,
        AdoptionPolicy::AdoptAndRotate => false,
    };
    keeps_secret && (is_adopted(&observed.app) || ownership(observed) == Ownership::Unproven)
}

/// Whether another resource has a claim on the client id at this API.
pub fn has_claim(
    other: &OrgOAuthApp,
    id: &ClientId,
    (ours, theirs): (&ApiAddress, Option<&ApiAddress>),
    key: &ClaimKey,
) -> bool {
    let made_here = |claim: &SignedClaim| {
        ours.made(claim) || theirs.is_some_and(|theirs| theirs.made(claim) && theirs.is_same(ours))
    };
    recorded_claim(other, key).is_some_and(|claim| claim.client_id == id.0 && made_here(&claim))
}

/// The claim in status is this resource's and does not verify: the key that signed it is gone.
pub fn key_is_lost(observed: &Observed) -> bool {
    let claim = observed.app.status.as_ref().and_then(|status| status.claim.as_ref());
    let is_own = claim.is_some_and(|claim| observed.app.uid().as_ref() == Some(&claim.uid));
    is_own && !holds_claim(observed) && !is_derived(observed)
}

/// Whether another resource, of which neither has a claim, comes first to a client id: it derives it from its uid, or chose the
/// same and is older.
pub fn comes_first(app: &OrgOAuthApp, id: &ClientId, other: &OrgOAuthApp) -> bool {
    let age = |app: &OrgOAuthApp| (app.creation_timestamp(), app.uid());
    client_id(other) == *id && (other.spec.id.is_none() || age(other) < age(app))
}

/// A tenant learns no more of another one than that it is there. The deletion of a resource that intends to create an app
/// may find that it has created it.
fn id_conflict(observed: &Observed, id: &ClientId, other: &OrgOAuthApp) -> Blocked {
    let other = match observed.app.namespace() == other.namespace() {
        true => format!("OrgOAuthApp {}", other.name_any()),
        false => "an OrgOAuthApp of another namespace".to_owned(),
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
    let message = match id.0.starts_with(DERIVED_ID) {
        true => {
            format!("app {id} exists and nothing proves that it is this resource's; adopt it with spec.adoptionPolicy")
        }
        false => format!(
            "an app with spec.id {id} exists that this resource did not create; delete this resource and create it again with another id, or adopt the app with spec.adoptionPolicy"
        ),
    };
    Blocked::new(Reason::IdTaken, message)
}

/// The same id at another address names another app.
pub fn endpoint_changed(observed: &Observed, made_at: &str) -> Blocked {
    let connection = &observed.app.spec.connection_ref.name;
    let message = format!(
        "app {} was made at {made_at}, and IamConnection {connection} names another API now; restore the connection, or add that address to its spec.formerEndpoints if both are the same API",
        observed.client_id()
    );
    Blocked::new(Reason::EndpointChanged, message)
}
