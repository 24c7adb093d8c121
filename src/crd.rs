//! The two custom resources, `OrgOAuthApp` and `IamConnection`: schema, defaults, limits and CEL rules.
//! There is no logic here; names that the cluster sees (group, finalizer, labels, annotations) are constants here.

mod conditions;
mod connection;
mod org_oauth_app;
mod scopes;

pub use conditions::{Condition, ConditionStatus, ConditionType};
pub use connection::*;
pub use org_oauth_app::*;
pub use scopes::*;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// The API group of both kinds.
pub const GROUP: &str = "oauth-apps.dev";
/// The field manager of every write, and the reporting controller of every Event.
pub const FIELD_MANAGER: &str = "oauth-app-operator";
/// Keeps an `OrgOAuthApp` until its remote app is gone.
pub const FINALIZER: &str = "oauth-apps.dev/remote-app";
/// On a Secret that the operator writes: the `metadata.uid` of its `OrgOAuthApp`.
pub const OWNER_LABEL: &str = "oauth-apps.dev/owner-uid";
/// On a Secret that a user hands to the operator: `"true"` is the owner's consent that the operator reads it.
pub const USE_LABEL: &str = "oauth-apps.dev/use";

/// Both definitions, as `cargo xtask crds` writes them into `crds/`.
pub fn definitions() -> [CustomResourceDefinition; 2] {
    [IamConnection::crd(), OrgOAuthApp::crd()]
}
