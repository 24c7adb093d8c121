//! Whether the app is the resource's, without any step: an id derived from the uid is by itself, any other one only by a claim
//! that the operator signed. Nothing that a tenant can write proves anything, and an app of others is never changed or deleted.

use super::model::{Observed, Remote, Validity};
use super::resource::{client_id, is_verifiable};
use crate::crd::{AdoptionPolicy, OrgOAuthApp, SignedClaim};
use crate::iam::{ClientId, ClientSecret};
use crate::outcome::{Outcome, Retry};
use crate::reason::{Blocked, Reason};
use kube::ResourceExt;

/// Whose the app of a resource's client id is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ownership {
    Ours,
    /// The resource is about to create it, or did and did not hear of it.
    Intended,
    /// The resource's, at another API than the one that the connection names now.
    Elsewhere {
        /// The address where it was made.
        endpoint: String,
    },
    Unproven,
}

pub(super) fn ownership(observed: &Observed) -> Ownership {
    if let (Some(claim), Some(address)) = (observed.claim_on_app(), observed.address())
        && !address.made(claim)
    {
        return Ownership::Elsewhere { endpoint: claim.endpoint.clone() };
    }
    if is_derived(observed) || is_created(observed) {
        return Ownership::Ours;
    }
    if holds_claim(observed) { Ownership::Intended } else { Ownership::Unproven }
}

pub(crate) fn is_ours(observed: &Observed) -> bool {
    ownership(observed) == Ownership::Ours
}

fn is_derived(observed: &Observed) -> bool {
    observed.app.spec.id.is_none() && observed.client_id() == client_id(&observed.app)
}

/// Whether the app was made under the claim in status, as that claim, the one on the Secret or the create in this reconcile
/// says. Without a claim in status another resource may have claimed the app meanwhile.
fn is_created(observed: &Observed) -> bool {
    let Some(recorded) = &observed.recorded_claim else { return false };
    let is_on_secret = || observed.restored_claim().is_some_and(|claim| claim.uid == recorded.uid);
    recorded.created || is_on_secret() || matches!(observed.remote, Remote::JustCreated)
}

/// Whether status has a claim that only records the intent to create an app.
pub(super) fn is_intent(observed: &Observed) -> bool {
    observed.recorded_claim.as_ref().is_some_and(|claim| !claim.created)
}

/// Whether status has a claim of this resource that the operator signed.
pub(crate) fn holds_claim(observed: &Observed) -> bool {
    observed.recorded_claim.is_some()
}

/// The claim in status is this resource's and does not verify: the key that signed it is gone.
pub(super) fn key_is_lost(observed: &Observed) -> bool {
    let claim = observed.app.status.as_ref().and_then(|status| status.claim.as_ref());
    let is_own = claim.is_some_and(|claim| observed.app.uid().as_ref() == Some(&claim.uid));
    is_own && !holds_claim(observed) && !is_derived(observed)
}

/// The claim on an app that is ours, or about to be created, as the operator signs it now.
pub(crate) fn signed_claim(observed: &Observed) -> Option<SignedClaim> {
    let address = observed.address()?;
    let created = match ownership(observed) {
        Ownership::Ours => true,
        Ownership::Intended => false,
        Ownership::Elsewhere { .. } | Ownership::Unproven => return None,
    };
    Some(observed.key.sign(&observed.app, address, &observed.client_id(), created))
}

/// Whether the app existed before and was adopted, so that its secret is not the operator's to replace unasked.
fn is_adopted(app: &OrgOAuthApp) -> bool {
    app.status.as_ref().is_some_and(|status| status.adopted == Some(true))
}

/// Whether the app was adopted, or would be if something were done, and its secret may not be replaced: somebody uses it.
pub(super) fn is_adopted_without_secret(observed: &Observed) -> bool {
    let keeps_secret = match observed.app.spec.adoption_policy {
        AdoptionPolicy::Never | AdoptionPolicy::Adopt => true,
        AdoptionPolicy::AdoptAndRotate => false,
    };
    keeps_secret && (is_adopted(&observed.app) || ownership(observed) == Ownership::Unproven)
}

/// Whether the app has a secret, by a token request.
pub(super) enum Possession {
    /// No token was requested with this secret.
    Unknown(ClientSecret),
    Proven,
    /// The app does not have the secret, or there is no secret to request a token with.
    Refused,
    /// The API issued no token for another cause, with its message.
    NotKnown(String),
    /// The app has no `client_credentials` grant.
    NotVerifiable,
}

/// Whether an app under the id is the one that this resource created.
pub(super) fn proof_of_creation(observed: &Observed) -> Possession {
    let pending = observed.contents().pending.as_ref().map(|pending| pending.secret.clone());
    possession(observed, observed.provided_secret().cloned().or(pending))
}

/// Whether an app under the id has the secret that consumers find.
pub(super) fn proof_of_restore(observed: &Observed) -> Possession {
    let contents = observed.contents();
    let current = contents.current.clone().filter(|_| contents.client_id.as_ref() == Some(&observed.client_id()));
    possession(observed, current)
}

fn possession(observed: &Observed, secret: Option<ClientSecret>) -> Possession {
    let Some(secret) = secret else {
        return if is_verifiable(&observed.app) { Possession::Refused } else { Possession::NotVerifiable };
    };
    match observed.validity(&secret) {
        Validity::NotVerifiable => Possession::NotVerifiable,
        Validity::Valid => Possession::Proven,
        Validity::Refused(_) => Possession::Refused,
        Validity::NotKnown(api_message) => Possession::NotKnown(api_message.to_owned()),
        Validity::NotAsked => Possession::Unknown(secret),
    }
}

/// Whether the app is this resource's is found out later.
pub(super) fn owner_not_known(id: &ClientId, api_message: &str) -> Outcome {
    let message =
        format!("app {id} exists, and a token request does not say whether it is this resource's: {api_message}");
    Outcome::Waiting { reason: Reason::SecretNotProven, message, retry: Retry::Backoff }
}

/// The same id at another address names another app.
pub(super) fn endpoint_changed(observed: &Observed, made_at: &str) -> Blocked {
    let connection = &observed.app.spec.connection_ref.name;
    let message = format!(
        "app {} was made at {made_at}, and IamConnection {connection} names another API now; restore the connection, or add that address to its spec.formerEndpoints if both are the same API",
        observed.client_id()
    );
    Blocked::new(Reason::EndpointChanged, message)
}
