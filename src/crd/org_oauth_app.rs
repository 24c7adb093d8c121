//! `OrgOAuthApp`: an OAuth app of an organization, and the Secret that holds its credential.
//! The fields of the remote app keep the names that both APIs give them.

use super::{AllowedScopes, Condition, Context, KeyRef, Role};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a team says about its app.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "oauth-apps.dev",
    version = "v1alpha1",
    kind = "OrgOAuthApp",
    plural = "orgoauthapps",
    namespaced,
    status = "OrgOAuthAppStatus",
    shortname = "ooa",
    category = "oauth"
)]
#[serde(rename_all = "camelCase")]
pub struct OrgOAuthAppSpec {
    /// The connection to use.
    #[serde(default)]
    pub connection_ref: ConnectionRef,
    /// The organization that owns the app. Immutable.
    pub org_id: String,
    /// Overrides the connection's `context`. CloudPartnerNavigator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// The client id. Immutable; when absent, derived from `metadata.uid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name that the console shows.
    pub display_name: String,
    /// What the app is for.
    pub description: String,
    /// The OAuth grant types.
    pub grant_types: Vec<GrantType>,
    /// What tokens of the app may carry at most.
    pub allowed_scopes: AllowedScopes,
    /// Lifetime of access tokens, in seconds.
    #[serde(default, rename = "accessTokenTTL", skip_serializing_if = "Option::is_none")]
    pub access_token_ttl: Option<i32>,
    /// Lifetime of refresh tokens, in seconds.
    #[serde(default, rename = "refreshTokenTTL", skip_serializing_if = "Option::is_none")]
    pub refresh_token_ttl: Option<i32>,
    /// Where an authorization may return to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uris: Option<Vec<String>>,
    /// Where a logout may return to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// Accepts any redirect URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_open_redirect_uris: Option<bool>,
    /// An app that keeps no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_client: Option<bool>,
    /// Refuses an authorization code flow without PKCE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_pkce: Option<bool>,
    /// Organizations whose users may log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_orgs: Option<Vec<String>>,
    /// Limit of characters in an access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_characters_in_access_token: Option<i32>,
    /// Limit of groups in an id token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_groups_in_id_token: Option<i32>,
    /// Forbids the app to rotate its own secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_only_secret_rotation: Option<bool>,
    /// Default overlap of rotations, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_rotation_expiration_in_seconds: Option<i32>,
    /// The service that uses the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_definition_id: Option<String>,
    /// The client secret, brought by the user instead of generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<KeyRef>,
    /// The Secret that the operator writes.
    #[serde(default)]
    pub secret: SecretTarget,
    /// Adds the app to its organization with these roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Roles>,
    /// Renews the client secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Whether an app that exists already is taken over.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
    /// What the operator may do at the API.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// What becomes of the remote app when this resource is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Stops everything but deletion.
    #[serde(default)]
    pub suspend: bool,
}

/// Names an `IamConnection`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct ConnectionRef {
    /// The connection's name.
    #[serde(default = "default_connection")]
    pub name: String,
}

fn default_connection() -> String {
    "default".into()
}

impl Default for ConnectionRef {
    fn default() -> Self {
        Self { name: default_connection() }
    }
}

/// The OAuth grant types that the API documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// Users log in.
    AuthorizationCode,
    /// Sessions go on.
    RefreshToken,
    /// The app acts for itself.
    ClientCredentials,
    /// The app acts for users.
    ClientDelegate,
    /// Service organizations only.
    AudienceExchange,
    /// Service organizations only.
    ContextSwitch,
}

/// The Secret that the operator writes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct SecretTarget {
    /// Its name; when absent, that of this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its keys.
    #[serde(default)]
    pub keys: SecretKeys,
    /// Labels for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Further keys, each a template.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub template: BTreeMap<String, String>,
}

/// The keys of the Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeys {
    /// Key of the client id.
    #[serde(default = "default_client_id_key")]
    pub client_id: String,
    /// Key of the client secret.
    #[serde(default = "default_client_secret_key")]
    pub client_secret: String,
}

fn default_client_id_key() -> String {
    "client-id".into()
}

fn default_client_secret_key() -> String {
    "client-secret".into()
}

impl Default for SecretKeys {
    fn default() -> Self {
        Self { client_id: default_client_id_key(), client_secret: default_client_secret_key() }
    }
}

/// Roles of the app in its organization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Roles {
    /// Roles in the organization.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organization_roles: Vec<Role>,
    /// Roles in services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_roles: Vec<ServiceRoles>,
}

/// Roles in one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRoles {
    /// The service.
    pub service_definition_id: String,
    /// Its roles.
    #[serde(default)]
    pub service_roles: Vec<Role>,
}

/// When the client secret is renewed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Rotation {
    /// How often.
    pub interval: String,
    /// How long the previous secret stays valid.
    pub overlap: String,
}

/// Whether an app that exists already is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// It is left alone.
    #[default]
    Never,
    /// It is managed; its secret stays.
    Adopt,
    /// It is managed, and its secret replaced once.
    AdoptAndRotate,
}

/// What the operator may do at the API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ManagementPolicy {
    /// Everything.
    #[default]
    Full,
    /// Nothing but look.
    Observe,
}

/// What becomes of the remote app when the resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It is deleted.
    #[default]
    Delete,
    /// It stays, and so does the Secret.
    Retain,
}

/// What the operator found and did. Absent fields are written as null, so that a merge patch clears them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrgOAuthAppStatus {
    /// The `metadata.generation` that was looked at.
    #[serde(default)]
    pub observed_generation: Option<i64>,
    /// The app's client id. With a `spec.id`, set before the app is created, once the id was found free.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The Secret that holds the credential.
    #[serde(default)]
    pub secret_name: Option<String>,
    /// When the remote app was created, as the API says.
    #[serde(default)]
    pub created_at: Option<Time>,
    /// When the remote app was last changed, as the API says.
    #[serde(default)]
    pub last_updated_at: Option<Time>,
    /// The state of rotation.
    #[serde(default)]
    pub rotation: Option<RotationStatus>,
    /// Fields that differ at the API.
    #[serde(default)]
    pub drift: Option<Vec<String>>,
    /// The last value of `oauth-apps.dev/reconcile-requested-at` that was acted upon.
    #[serde(default)]
    pub last_handled_reconcile_at: Option<String>,
    /// The last value of `oauth-apps.dev/rotate-requested-at` that was acted upon.
    #[serde(default)]
    pub last_handled_rotate_at: Option<String>,
    /// What is observed.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// The state of rotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationStatus {
    /// Counts the secrets that were published.
    #[serde(default)]
    pub revision: Option<i64>,
    /// When the current secret was published.
    #[serde(default)]
    pub rotated_at: Option<Time>,
    /// When the next rotation is due.
    #[serde(default)]
    pub next_at: Option<Time>,
    /// Until when the previous secret is valid.
    #[serde(default)]
    pub previous_expires_at: Option<Time>,
}
