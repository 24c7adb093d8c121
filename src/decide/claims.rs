//! Claims by the resource alone, without anything else observed: which claim its status records, and which of two resources has
//! an id. Whose an app is by all that was observed is in `ownership`; how a claim is made is in `claiming`.

use super::resource::client_id;
use crate::claim::{ApiAddress, ClaimKey};
use crate::crd::{OrgOAuthApp, SignedClaim};
use crate::iam::ClientId;
use kube::ResourceExt;

/// The claim in status of a resource, if the operator signed it for this uid and for the id that the spec chooses.
pub(crate) fn recorded_claim(app: &OrgOAuthApp, key: &ClaimKey) -> Option<SignedClaim> {
    let claim = app.status.as_ref()?.claim.as_ref()?;
    let is_ours = app.uid().as_ref() == Some(&claim.uid) && fits(app, claim) && key.verifies(app, claim);
    is_ours.then(|| claim.clone())
}

/// Whether a claim is on the id that the spec chooses, if it chooses one.
pub(super) fn fits(app: &OrgOAuthApp, claim: &SignedClaim) -> bool {
    app.spec.id.as_ref().is_none_or(|id| *id == claim.client_id)
}

/// Whether another resource has a claim on the client id at this API.
pub(crate) fn has_claim(
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

/// Whether another resource, of which neither has a claim, comes first to a client id: it derives it from its uid, or chose the
/// same and is older.
pub(crate) fn comes_first(app: &OrgOAuthApp, id: &ClientId, other: &OrgOAuthApp) -> bool {
    let age = |app: &OrgOAuthApp| (app.creation_timestamp(), app.uid());
    client_id(other) == *id && (other.spec.id.is_none() || age(other) < age(app))
}
