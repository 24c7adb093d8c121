//! What follows from the resource alone: its client id and organization, its policies, and what its status has recorded. Nothing
//! here needs the rest of the observed state.

use crate::crd::{
    ConditionStatus, ConditionType, DERIVED_ID, FINALIZER, GoDuration, GrantType, ManagementPolicy, OrgOAuthApp,
    RECONCILE_REQUESTED, RETIRE_REQUESTED,
};
use crate::iam::{ClientId, OrgId};
use kube::ResourceExt;
use std::time::Duration;

/// The overlap of a rotation where nothing says another one. [csp-struct]
pub(super) const DEFAULT_OVERLAP: Duration = Duration::from_secs(172_800);

/// The client id that a resource begins with: chosen by the user, or derived from the uid.
pub fn client_id(app: &OrgOAuthApp) -> ClientId {
    ClientId(app.spec.id.clone().unwrap_or_else(|| format!("{DERIVED_ID}{}", app.uid_any())))
}

/// Whether this is the client id that a resource begins with.
pub(crate) fn begins_with_id(app: &OrgOAuthApp, id: &str) -> bool {
    match &app.spec.id {
        Some(chosen) => chosen == id,
        None => id.strip_prefix(DERIVED_ID).is_some_and(|uid| app.uid_any() == uid),
    }
}

pub(crate) fn org_id(app: &OrgOAuthApp) -> OrgId {
    OrgId(app.spec.org_id.clone())
}

/// Whether the spec says to write nothing to the API.
pub(crate) fn is_observe_only(app: &OrgOAuthApp) -> bool {
    app.spec.management_policy == ManagementPolicy::Observe
}

/// Whether the app has no secret.
pub(super) fn is_public(app: &OrgOAuthApp) -> bool {
    app.spec.public_client == Some(true)
}

/// Whether a token request can show that a secret is valid.
pub(super) fn is_verifiable(app: &OrgOAuthApp) -> bool {
    app.spec.grant_types().contains(&GrantType::ClientCredentials)
}

pub(crate) fn has_finalizer(app: &OrgOAuthApp) -> bool {
    app.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

pub(super) fn is_being_deleted(app: &OrgOAuthApp) -> bool {
    app.metadata.deletion_timestamp.is_some()
}

/// A value of the request annotation that was not acted upon yet.
pub(crate) fn reconcile_requested(app: &OrgOAuthApp) -> Option<&String> {
    let handled = app.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    app.annotations().get(RECONCILE_REQUESTED).filter(|asked| handled != Some(asked))
}

/// A value of the annotation that requests the end of the overlap, if it was not acted upon yet.
pub(super) fn retire_requested(app: &OrgOAuthApp) -> Option<&String> {
    let handled = app.status.as_ref().and_then(|status| status.last_handled_retire_at.as_ref());
    app.annotations().get(RETIRE_REQUESTED).filter(|asked| handled != Some(asked))
}

/// Whether status reports that the API has the present spec.
pub(super) fn is_synced(app: &OrgOAuthApp) -> bool {
    let generation = app.metadata.generation;
    let synced = app.condition(ConditionType::Synced);
    app.status.as_ref().is_some_and(|status| status.observed_generation == generation)
        && synced.is_some_and(|c| c.status == ConditionStatus::True && c.observed_generation == generation)
}

/// How long the previous secret stays valid after a rotation.
pub(super) fn overlap_of(app: &OrgOAuthApp) -> Duration {
    let overlap = app.spec.rotation.as_ref().and_then(|rotation| rotation.overlap.as_ref()).map(GoDuration::get);
    let seconds = app.spec.secret_rotation_expiration_in_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    overlap.or(seconds.map(Duration::from_secs)).unwrap_or(DEFAULT_OVERLAP)
}
