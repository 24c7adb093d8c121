//! `OrgOAuthApp`: an OAuth app of an organization, and the Secret that holds its credentials.
//! The fields of the app have the names that VMware Cloud Services gives them.

// Clippy mistakes the types of the printed columns for repetitions.
#![allow(clippy::duplicated_attributes)]

use super::{
    AllowedScopes, Api, Condition, ConditionType, Context, GoDuration, KeyRef, Role, durations, names, null_as_default,
    size,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Desired state of the OAuth app. Fields you omit are not managed: the API's value is kept and not checked for
/// drift.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "oauth-apps.dev",
    version = "v1alpha1",
    kind = "OrgOAuthApp",
    plural = "orgoauthapps",
    namespaced,
    status = "OrgOAuthAppStatus",
    shortname = "ooa",
    category = "oauth",
    doc = "An OAuth app of an organization of VMware Cloud Services or VMware Cloud Partner Navigator, or of a tenant of the VCF Identity Broker, and the Secret that holds its credentials.",
    selectable = ".spec.id",
    selectable = ".spec.orgId",
    selectable = ".spec.connectionRef.name",
    validation = Rule::new("size(self.metadata.name) <= 244").message("metadata.name has at most 244 characters, so that a Secret can be named after it with -rotation appended"),
    validation = Rule::new("!has(self.spec.secret) || !has(self.spec.secret.name) || self.spec.secret.name != self.metadata.name + '-rotation'").message("the Secret named like this resource with -rotation appended is that of its rotation: choose another secret.name").field_path(".spec.secret.name"),
    printcolumn(name = "CLIENT ID", type_ = "string", json_path = ".status.clientId"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "SECRET", type_ = "string", json_path = ".status.secretName"),
    printcolumn(name = "ORG", type_ = "string", json_path = ".spec.orgId", priority = 1),
    printcolumn(name = "CONNECTION", type_ = "string", json_path = ".spec.connectionRef.name", priority = 1),
    printcolumn(name = "NEXT ROTATION", type_ = "string", json_path = ".status.rotation.nextAt", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1)
)]
#[x_kube(
    validation = Rule::new("has(self.id) == has(oldSelf.id) && (!has(self.id) || self.id == oldSelf.id)").message("id is immutable: delete the resource and create it again").field_path(".id"),
    validation = Rule::new("!has(self.id) || !self.id.startsWith('ooa-') || self.adoptionPolicy != 'Never'").message("ids that begin with ooa- are derived from metadata.uid: choose another id, or adopt that app with adoptionPolicy").field_path(".id"),
    validation = Rule::new("self.adoptionPolicy == 'Never' || has(self.id)").message("adoptionPolicy needs id, the client id of the app to adopt").field_path(".adoptionPolicy"),
    validation = Rule::new("(has(self.publicClient) && self.publicClient) == (has(oldSelf.publicClient) && oldSelf.publicClient)").message("publicClient is immutable: delete the resource and create it again").field_path(".publicClient"),
    validation = Rule::new("!(has(self.publicClient) && self.publicClient) || !has(self.clientSecretRef)").message("a public client has no secret: remove clientSecretRef or publicClient").field_path(".clientSecretRef"),
    validation = Rule::new("!has(self.clientSecretRef) || !has(self.rotation)").message("rotation generates client secrets, clientSecretRef provides one: remove one of the two; to rotate a secret that you provide, change its value").field_path(".rotation"),
    validation = Rule::new("self.adoptionPolicy == 'Never' || has(self.grantTypes)").message("adoptionPolicy needs grantTypes: list those of the app, since without them it would get client_credentials only").field_path(".grantTypes"),
    validation = Rule::new("!(has(self.publicClient) && self.publicClient) || has(self.grantTypes)").message("a public client needs grantTypes, since the default is client_credentials, which it cannot use: set grantTypes, such as [authorization_code], or remove publicClient").field_path(".grantTypes"),
    validation = Rule::new("!(has(self.publicClient) && self.publicClient) || !has(self.grantTypes) || !('client_credentials' in self.grantTypes)").message("a public client cannot use client_credentials: remove it from grantTypes, or remove publicClient").field_path(".grantTypes"),
    validation = Rule::new("!(has(self.publicClient) && self.publicClient) || !has(self.rotation)").message("a public client has no secret to rotate: remove rotation or publicClient").field_path(".rotation"),
    validation = Rule::new("!(has(self.publicClient) && self.publicClient) || self.adoptionPolicy != 'AdoptAndRotate'").message("a public client has no secret to rotate: set adoptionPolicy to Adopt").field_path(".adoptionPolicy"),
    validation = Rule::new("!(has(self.allowOpenRedirectUris) && self.allowOpenRedirectUris) || !has(self.redirectUris)").message("allowOpenRedirectUris excludes redirectUris: remove one of the two").field_path(".redirectUris"),
    validation = Rule::new("(has(self.allowOpenRedirectUris) && self.allowOpenRedirectUris) == (has(oldSelf.allowOpenRedirectUris) && oldSelf.allowOpenRedirectUris)").message("allowOpenRedirectUris is immutable: delete the resource and create it again").field_path(".allowOpenRedirectUris"),
    validation = Rule::new("!has(self.redirectUris) || size(self.redirectUris) == 0 || (has(self.grantTypes) && 'authorization_code' in self.grantTypes)").message("redirectUris need the grant type authorization_code: add it to grantTypes or remove redirectUris").field_path(".redirectUris"),
    validation = Rule::new("!has(self.postLogoutRedirectUris) || size(self.postLogoutRedirectUris) == 0 || (has(self.grantTypes) && 'authorization_code' in self.grantTypes)").message("postLogoutRedirectUris need the grant type authorization_code: add it to grantTypes or remove postLogoutRedirectUris").field_path(".postLogoutRedirectUris"),
    validation = Rule::new("!has(self.accessTokenTTL) || !has(self.refreshTokenTTL) || self.accessTokenTTL < self.refreshTokenTTL").message("refreshTokenTTL must be greater than accessTokenTTL").field_path(".refreshTokenTTL"),
    validation = Rule::new("!has(self.refreshTokenTTL) || !has(self.grantTypes) || !('client_delegate' in self.grantTypes) || self.refreshTokenTTL <= 1209600").message("with the grant type client_delegate refreshTokenTTL is at most 1209600, which is 14 days").field_path(".refreshTokenTTL"),
    validation = durations::default_overlap(),
    validation = Rule::new("!has(oldSelf.allowedOrgs) || has(self.allowedOrgs)").message("an app that is restricted to allowedOrgs cannot become unrestricted: delete the resource and create it again").field_path(".allowedOrgs"),
)]
#[serde(rename_all = "camelCase")]
pub struct OrgOAuthAppSpec {
    /// The `IamConnection` to use. Defaults to the one named `default`.
    #[serde(default)]
    pub connection_ref: ConnectionRef,
    /// The id of the organization that owns the app; with IdentityBroker the tenant, usually `CUSTOMER`. Immutable.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')").message("orgId consists of letters, digits, -, _ and .: copy it from the console"), validation = Rule::new("self == oldSelf").message("orgId is immutable: delete the resource and create it again"))]
    pub org_id: String,
    /// The kind of the organization. Overrides the `context` of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// The client id: 5 to 256 characters of A-Z, a-z, 0-9, _ and -. Immutable. Defaults to one that is derived from
    /// `metadata.uid`, which saves a request.
    #[schemars(length(min = 5, max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_-]+$')").message("id consists of letters, digits, _ and -"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name that the console shows: letters, digits, spaces and any of - _ . ` ' : @ & , If omitted, the app is
    /// created with the name of this resource, with IdentityBroker without one, and the name is not managed. The limit
    /// of 256 characters is the operator's; the API documents none.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new(r"self.matches('^[\\p{L}\\p{M}\\p{N} \\-_.`\':@&,]+$') && self.trim() != ''").message("displayName consists of letters, digits, spaces and any of - _ . ` ' : @ & ,"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What the app is for, as the console shows it. If omitted, the app is created with `namespace/name` of this
    /// resource, with IdentityBroker without one, and the description is not managed. The limit of 4096 characters is
    /// the operator's; the API documents none.
    #[schemars(length(max = 4096))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The OAuth grant types of the app. Defaults to `[client_credentials]`. `audience_exchange`, `client_delegate` and
    /// `context_switch` are for service organizations.
    #[schemars(length(min = 1, max = 6))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_types: Option<Vec<GrantType>>,
    /// The scopes that tokens of the app may carry at most; may be `{}`. They limit and do not grant: a token carries
    /// a role of `roles` only if it is allowed here too. If omitted, the app is created with `{}`, and its scopes are
    /// not managed. IdentityBroker requires a general scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_scopes: Option<AllowedScopes>,
    /// Lifetime of access tokens, in seconds; with IdentityBroker a multiple of 60. Defaults to what the API chooses;
    /// CloudServices documents 10 minutes.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    #[serde(default, rename = "accessTokenTTL", skip_serializing_if = "Option::is_none")]
    pub access_token_ttl: Option<i32>,
    /// Lifetime of refresh tokens, in seconds; greater than `accessTokenTTL`, at most 14 days with `client_delegate`,
    /// with IdentityBroker a multiple of 60. Defaults to what the API chooses; CloudServices documents 90 days.
    /// IdentityBroker requires it for the grant type `refresh_token`.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    #[serde(default, rename = "refreshTokenTTL", skip_serializing_if = "Option::is_none")]
    pub refresh_token_ttl: Option<i32>,
    /// Lifetime of a refresh token that is not used, in seconds; a multiple of 60, and shorter than `refreshTokenTTL`.
    /// The API requires it for the grant type `refresh_token`.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    #[serde(default, rename = "refreshTokenIdleTTL", skip_serializing_if = "Option::is_none")]
    pub refresh_token_idle_ttl: Option<i32>,
    /// URIs to which users may be redirected after they log in. Requires the grant type `authorization_code`;
    /// excludes `allowOpenRedirectUris`.
    // The vendor documents no limits of length, here and below.
    #[schemars(length(max = 256), inner(length(min = 1, max = 2048)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = size::texts("redirectUris", 8 << 10))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uris: Option<Vec<String>>,
    /// URIs to which users may be redirected after they log out. Requires the grant type `authorization_code`.
    #[schemars(length(max = 256), inner(length(min = 1, max = 2048)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = size::texts("postLogoutRedirectUris", 4 << 10))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// Whether any redirect URI is accepted; not for production. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_open_redirect_uris: Option<bool>,
    /// Whether the app is a public client, one that cannot keep a secret, such as an app in a browser: it has no
    /// client secret, must use PKCE, and cannot use `client_credentials`. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_client: Option<bool>,
    /// Whether the authorization code flow requires PKCE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_pkce: Option<bool>,
    /// Ids of the organizations whose users may log in; for service organizations. If omitted, logins are not
    /// restricted. A restricted app cannot become unrestricted.
    #[schemars(length(min = 1, max = 512), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = size::texts("allowedOrgs", 8 << 10))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_orgs: Option<Vec<String>>,
    /// The most characters in an access token; 0 is unlimited, less than 0 is the same as omitted.
    #[schemars(range(min = -2_147_483_648, max = 2_147_483_647))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_characters_in_access_token: Option<i32>,
    /// The most groups in an id token.
    #[schemars(range(min = -2_147_483_648, max = 2_147_483_647))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_groups_in_id_token: Option<i32>,
    /// Whether the app is forbidden to rotate its own client secret. The operator still can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_only_secret_rotation: Option<bool>,
    /// How long the previous client secret stays valid after a rotation that does not specify it, in seconds.
    /// Defaults to what the API chooses; CloudServices documents 48 hours.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_rotation_expiration_in_seconds: Option<i32>,
    /// The definition id of the service that uses the app. In production, CloudServices requires it for web apps with
    /// `authorization_code`.
    #[schemars(length(min = 1, max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_definition_id: Option<String>,
    /// Masks of additional attributes. The API documents only the name of this field.
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = size::texts("additionalAttributeMasks", 2 << 10))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_attribute_masks: Option<Vec<String>>,
    /// The actors that `audience_exchange`, a grant type of service organizations, allows.
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = size::texts("allowedActorsAudienceExchange", 2 << 10))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_actors_audience_exchange: Option<Vec<String>>,
    /// The actors that `client_delegate`, a grant type of service organizations, allows.
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = size::texts("allowedActorsClientDelegate", 2 << 10))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_actors_client_delegate: Option<Vec<String>>,
    /// Whether access claims across organizations are supported. The API documents only the name of this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_org_access_claims_supported: Option<bool>,
    /// Whether the app is hidden. The API documents only the name of this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_hidden: Option<bool>,
    /// Whether the domain is appended to groups in an id token. The API documents only the name of this field, and
    /// accepts it in an update only: a new app costs one more request.
    #[serde(default, rename = "groupDomainAppendedInIDToken", skip_serializing_if = "Option::is_none")]
    pub group_domain_appended_in_id_token: Option<bool>,
    /// Whether the CSP issuer URL is used. The API documents only the name of this field, and accepts it in an update
    /// only: a new app costs one more request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_csp_issuer_url: Option<bool>,
    /// The rule sets of the app, which are the permissions that its tokens have in the API, such as
    /// `READ_ONLY_TENANT_ADMIN`.
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = size::texts("ruleSetNames", 2 << 10))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_set_names: Option<Vec<String>>,
    /// A client secret that you provide instead of a generated one: a key of a Secret in this namespace, which must
    /// have the label `oauth-apps.dev/use: "true"`. When its value changes, the client secret is rotated to it.
    /// CloudServices and CloudPartnerNavigator require at least 8 characters, among them a lower case letter, an upper
    /// case letter, a digit and a special character, such as `_`; IdentityBroker requires printable ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<KeyRef>,
    /// The Secret in this namespace to which the operator writes the credentials.
    #[serde(default)]
    pub secret: SecretTarget,
    /// The roles of the app in its organization. A token carries a role only if `allowedScopes` allows it too, and
    /// the default `{}` allows none: list the role in both. Other roles that were assigned to the app are removed;
    /// inherited ones count where they are listed here, and stay where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Roles>,
    /// How the client secret is rotated, by interval or on request. The previous one stays valid for the overlap, and
    /// is in a Secret of its own, named like this resource with `-rotation` appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Whether an existing app with the client id `id` is adopted: `Never`; `Adopt`, which keeps its client secret;
    /// or `AdoptAndRotate`, which replaces it once. The API does not show the client secret of an app: with `Adopt`,
    /// provide it with `clientSecretRef`.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
    /// What the operator may do in the API: `Full`, or `Observe` to change nothing and report in status what `Full`
    /// would do.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// What happens to the app in the API when this resource is deleted: `Delete`; `Retain`, which keeps the app and
    /// the Secret; or `DeleteWhenUnused`, which waits until no pod in the namespace uses the Secret or that of the
    /// rotation.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Whether reconciliation is suspended. A deletion is reconciled nevertheless.
    #[serde(default)]
    pub suspend: bool,
}

/// Reference to an `IamConnection`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct ConnectionRef {
    /// The name of the `IamConnection`. Immutable.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = names::object(), validation = Rule::new("self == oldSelf").message("connectionRef is immutable: delete the resource and create it again"))]
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
    /// Refreshes access tokens without another login.
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

/// The Secret to which the operator writes the credentials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("!has(self.template) || !(self.keys.clientId in self.template || self.keys.clientSecret in self.template || self.keys.tokenUrl in self.template)").message("template must not use the keys of clientId, clientSecret and tokenUrl: choose other keys").field_path(".template"),
    validation = size::secret(),
)]
pub struct SecretTarget {
    /// The name of the Secret. Defaults to the name of this resource.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = names::object())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The keys of the Secret.
    #[serde(default)]
    pub keys: SecretKeys,
    /// Labels of the Secret.
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('oauth-apps.dev/') && key != 'app.kubernetes.io/managed-by' && key != 'app.kubernetes.io/instance' && !key.startsWith('argocd.argoproj.io/'))").message("labels that begin with oauth-apps.dev/ or argocd.argoproj.io/, app.kubernetes.io/managed-by and app.kubernetes.io/instance are reserved for tools: remove them"), validation = names::labels())]
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Secret.
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 8192}))]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('oauth-apps.dev/') && !key.startsWith('kubectl.kubernetes.io/') && !key.startsWith('argocd.argoproj.io/'))").message("annotations that begin with oauth-apps.dev/, kubectl.kubernetes.io/ or argocd.argoproj.io/ are reserved for tools: remove them"), validation = names::annotations())]
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Further keys of the Secret, each with a template for its value, such as `id={{ clientId }}&secret={{
    /// clientSecret | urlencode }}`. A template consists of text and `{{ name | function }}`. Names: `clientId`,
    /// `clientSecret`, `orgId`, `tokenUrl`. Functions: `json`, `base64`, `urlencode`. `{{` and `{%` cannot be
    /// escaped.
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 4096}))]
    #[x_kube(validation = Rule::new("self.all(key, key.matches('^[-._a-zA-Z0-9]{1,253}$') && key != '.' && key != '..')").message("keys of template consist of at most 253 letters, digits, -, _ and ."), validation = Rule::new(r"self.all(key, self[key].matches(r'^([^{]|\{[^{%]|\{\{[ \t\r\n]*(clientId|clientSecret|orgId|tokenUrl)[ \t\r\n]*(\|[ \t\r\n]*(json|base64|urlencode)[ \t\r\n]*){0,8}\}\})*\{?$'))").message("a template is text and {{ name }} or {{ name | function }}, and nothing else: names are clientId, clientSecret, orgId and tokenUrl, functions json, base64 and urlencode, at most 8 in a row"))]
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub template: BTreeMap<String, String>,
}

/// The keys of the Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("self.clientId != self.clientSecret && self.clientId != self.tokenUrl && self.clientSecret != self.tokenUrl").message("clientId, clientSecret and tokenUrl need different keys").field_path(".clientSecret"),
)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeys {
    /// The key of the client id.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && self != '..'").message("a key consists of letters, digits, -, _ and ."))]
    #[serde(default = "default_client_id_key")]
    pub client_id: String,
    /// The key of the client secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && self != '..'").message("a key consists of letters, digits, -, _ and ."))]
    #[serde(default = "default_client_secret_key")]
    pub client_secret: String,
    /// The key of the token URL; empty to omit it.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]*$') && self != '.' && self != '..'").message("a key consists of letters, digits, -, _ and ."))]
    #[serde(default = "default_token_url_key")]
    pub token_url: String,
}

fn default_client_id_key() -> String {
    "client-id".into()
}

fn default_client_secret_key() -> String {
    "client-secret".into()
}

fn default_token_url_key() -> String {
    "token-url".into()
}

impl Default for SecretKeys {
    fn default() -> Self {
        Self {
            client_id: default_client_id_key(),
            client_secret: default_client_secret_key(),
            token_url: default_token_url_key(),
        }
    }
}

/// Roles of the app in its organization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = size::roles())]
#[serde(rename_all = "camelCase")]
pub struct Roles {
    /// Roles in the organization.
    #[schemars(length(max = 512))]
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub organization_roles: Vec<Role>,
    /// Roles in services.
    #[schemars(length(max = 64))]
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub service_roles: Vec<ServiceRoles>,
}

/// Roles in one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRoles {
    /// The definition id of the service.
    #[schemars(length(min = 1, max = 256))]
    pub service_definition_id: String,
    /// The roles in it.
    #[schemars(length(max = 128))]
    #[serde(default)]
    pub service_roles: Vec<Role>,
}

/// How the client secret is rotated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = durations::overlap(),
)]
pub struct Rotation {
    /// How often the client secret is rotated, such as `720h`; from `1m` to `87600h`. A rotation may come up to a
    /// tenth of it early. If omitted, only on request.
    #[schemars(length(max = 32))]
    #[x_kube(validation = durations::at_least("interval", "1m", "720h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<GoDuration>,
    /// How long the previous client secret stays valid, such as `48h`; from `1s` to `87600h`, and shorter than
    /// `interval`; with IdentityBroker whole minutes and at most `168h`. Defaults to
    /// `secretRotationExpirationInSeconds`, or else 48 hours.
    #[schemars(length(max = 32))]
    #[x_kube(validation = durations::at_least("overlap", "1s", "48h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<GoDuration>,
    /// The workloads in this namespace to restart after a rotation, as `kubectl rollout restart` does. Only those
    /// whose pod template uses the Secret are restarted. Requires the chart value `rotation.restart: true`, which
    /// permits the operator to do so.
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "name".into()]))]
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub restart: Vec<Workload>,
}

/// A workload in the namespace of the resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Workload {
    /// Kind of the workload: `Deployment`, `StatefulSet` or `DaemonSet`.
    pub kind: WorkloadKind,
    /// Name of the workload.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = names::object())]
    pub name: String,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.name)
    }
}

/// The kinds of workloads that can be restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadKind {
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
}

/// Whether an existing app is adopted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// It is not changed.
    #[default]
    Never,
    /// It is managed; its secret stays.
    Adopt,
    /// It is managed, and its secret replaced once.
    AdoptAndRotate,
}

/// What the operator may do in the API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ManagementPolicy {
    /// Everything.
    #[default]
    Full,
    /// Read only.
    Observe,
}

/// What happens to the app when the resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It is deleted.
    #[default]
    Delete,
    /// It stays, and so does the Secret.
    Retain,
    /// It is deleted once no pod in the namespace uses the Secret.
    DeleteWhenUnused,
}

impl OrgOAuthAppSpec {
    /// The grant types of the app, also where the spec names none.
    pub(crate) fn grant_types(&self) -> &[GrantType] {
        self.grant_types.as_deref().unwrap_or(&[GrantType::ClientCredentials])
    }
}

impl OrgOAuthApp {
    /// The namespace; the API server gives every resource one, and a reconcile of one without ends at once.
    pub(crate) fn namespace_any(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The uid, likewise.
    pub(crate) fn uid_any(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// A condition of the current status.
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.status.as_ref()?.conditions.iter().find(|condition| condition.r#type == kind)
    }
}

/// Observed state of the OAuth app. Absent fields are written as null, so that a merge patch clears them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrgOAuthAppStatus {
    /// The `metadata.generation` of the last reconciliation.
    #[serde(default)]
    pub observed_generation: Option<i64>,
    /// The client id of the app. With `spec.id`, set before the app is created, once the id is known to be free.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The operator's signed record that the app is this resource's.
    #[serde(default)]
    pub claim: Option<SignedClaim>,
    /// Whether the app was adopted.
    #[serde(default)]
    pub adopted: Option<bool>,
    /// The Secret that holds the credentials.
    #[serde(default)]
    pub secret_name: Option<String>,
    /// When the app was created, according to the API.
    #[serde(default)]
    pub created_at: Option<Time>,
    /// When the app was last changed, according to the API.
    #[serde(default)]
    pub last_updated_at: Option<Time>,
    /// When the app was last used, according to the API. Only updated together with another change of status.
    #[serde(default)]
    pub last_used_at: Option<Time>,
    /// The age of the client secret, according to the API, which does not document the unit. Only updated together
    /// with another change of status.
    #[serde(default)]
    pub secret_age: Option<i64>,
    /// The state of rotation.
    #[serde(default)]
    pub rotation: Option<RotationStatus>,
    /// Fields whose value in the API differs from the spec.
    #[serde(default)]
    pub drift: Option<Vec<String>>,
    /// The last value of the annotation `oauth-apps.dev/reconcile-requested-at` that was handled.
    #[serde(default)]
    pub last_handled_reconcile_at: Option<String>,
    /// The last value of the annotation `oauth-apps.dev/rotate-requested-at` that was handled.
    #[serde(default)]
    pub last_handled_rotate_at: Option<String>,
    /// The last value of the annotation `oauth-apps.dev/retire-previous-at` that was handled.
    #[serde(default)]
    pub last_handled_retire_at: Option<String>,
    /// The conditions `Ready`, `Reconciling`, `Stalled`, `Synced` and `SecretPublished`.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Record that the resource of this uid owns the app, signed with a key that only the operator has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedClaim {
    /// The `metadata.uid` of the resource.
    pub uid: String,
    /// The kind of API.
    pub api: Api,
    /// The address of the API when the app was created, normalized.
    pub endpoint: String,
    /// The organization.
    pub org_id: String,
    /// The client id.
    pub client_id: String,
    /// Whether the app was created, adopted or found again; until then the claim only records the intent.
    pub created: bool,
    /// Signature over the other fields, and the namespace and name of the resource.
    pub signature: String,
}

/// The state of rotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationStatus {
    /// Number of client secrets that were published since the Secret was created.
    #[serde(default)]
    pub revision: Option<i64>,
    /// When the current client secret was published.
    #[serde(default)]
    pub rotated_at: Option<Time>,
    /// When the next rotation is due.
    #[serde(default)]
    pub next_at: Option<Time>,
    /// When the previous client secret expires.
    #[serde(default)]
    pub previous_expires_at: Option<Time>,
    /// When the API last issued a token for the current client secret; absent for an app that can get none.
    #[serde(default)]
    pub verified_at: Option<Time>,
    /// The `revision` at `verifiedAt`.
    #[serde(default)]
    pub verified_revision: Option<i64>,
    /// The first ten pods that still use an earlier client secret, which they read at their start, while the previous
    /// one is valid.
    #[serde(default)]
    pub stale_consumers: Option<Vec<String>>,
    /// How many such pods there are.
    #[serde(default)]
    pub stale_consumer_count: Option<i64>,
    /// The `revision` for which an Event `ConsumersStale` was published.
    #[serde(default)]
    pub warned_revision: Option<i64>,
}
