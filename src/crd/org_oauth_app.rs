//! `OrgOAuthApp`: an OAuth app of an organization, and the Secret that holds its credential.
//! The fields of the remote app keep the names that both APIs give them.

// Each printed column has a type of its own, which clippy takes for a repetition.
#![allow(clippy::duplicated_attributes)]

use super::{
    AllowedScopes, Api, Condition, ConditionType, Context, GoDuration, KeyRef, Role, durations, null_as_default, size,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What a team says about its app.
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
    doc = "An OAuth app of an organization of VMware Cloud Services or VMware Cloud Partner Navigator, and the Secret that holds its credential.",
    selectable = ".spec.id",
    validation = Rule::new("size(self.metadata.name) <= 244").message("metadata.name has at most 244 characters, so that a Secret can be named after it with -rotation appended"),
    validation = Rule::new("!has(self.spec.secret) || !has(self.spec.secret.name) || self.spec.secret.name != self.metadata.name + '-rotation'").message("the Secret named like this resource with -rotation appended holds what a rotation needs: name the other one otherwise").field_path(".spec.secret.name"),
    printcolumn(name = "CLIENT ID", type_ = "string", json_path = ".status.clientId"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "SECRET", type_ = "string", json_path = ".status.secretName"),
    printcolumn(name = "ORG", type_ = "string", json_path = ".spec.orgId", priority = 1),
    printcolumn(name = "CONNECTION", type_ = "string", json_path = ".spec.connectionRef.name", priority = 1),
    printcolumn(name = "NEXT ROTATION", type_ = "string", json_path = ".status.rotation.nextAt", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("has(self.id) == has(oldSelf.id) && (!has(self.id) || self.id == oldSelf.id)").message("id is immutable: delete the resource and create it again").field_path(".id"),
    validation = Rule::new("!has(self.id) || !self.id.startsWith('ooa-') || self.adoptionPolicy != 'Never'").message("ids that begin with ooa- are derived from metadata.uid: choose another id, or adopt that app with adoptionPolicy").field_path(".id"),
    validation = Rule::new("self.adoptionPolicy == 'Never' || has(self.id)").message("adoptionPolicy needs id, the client id of the app to adopt").field_path(".adoptionPolicy"),
    validation = Rule::new("(has(self.publicClient) && self.publicClient) == (has(oldSelf.publicClient) && oldSelf.publicClient)").message("publicClient is immutable: delete the resource and create it again").field_path(".publicClient"),
    validation = Rule::new("!(has(self.publicClient) && self.publicClient) || !has(self.clientSecretRef)").message("a public client has no secret: remove clientSecretRef or publicClient").field_path(".clientSecretRef"),
    validation = Rule::new("!has(self.clientSecretRef) || !has(self.rotation)").message("rotation makes secrets, clientSecretRef brings them: remove one of the two, and to rotate a secret that you bring, change it").field_path(".rotation"),
    validation = Rule::new("self.adoptionPolicy == 'Never' || has(self.grantTypes)").message("adoptionPolicy needs grantTypes: name those that the app has, since without them it would get client_credentials only").field_path(".grantTypes"),
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
    /// The `IamConnection` to use; the one named `default` when absent.
    #[serde(default)]
    pub connection_ref: ConnectionRef,
    /// The id of the organization that owns the app. Immutable.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')").message("orgId consists of letters, digits, -, _ and .: take it from the vendor's console"), validation = Rule::new("self == oldSelf").message("orgId is immutable: delete the resource and create it again"))]
    pub org_id: String,
    /// The kind of organization that calls are about; overrides the `context` of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// The client id: 5 to 256 characters of A-Z, a-z, 0-9, _ and -. Immutable. When absent it is derived from
    /// `metadata.uid`, which needs one call less.
    #[schemars(length(min = 5, max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_-]+$')").message("id consists of letters, digits, _ and -"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name that the vendor's console shows: letters, digits, spaces and any of - _ . ` ' : @ & ,
    /// When absent, the app is created with the name of this resource, and the name is not managed.
    /// The API documents no limit; 256 characters are the operator's.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new(r"self.matches('^[\\p{L}\\p{M}\\p{N} \\-_.`\':@&,]+$') && self.trim() != ''").message("displayName consists of letters, digits, spaces and any of - _ . ` ' : @ & ,"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What the app is for, as the vendor's console shows it. When absent, the app is created with `namespace/name` of this
    /// resource, and the description is not managed. The API documents no limit; 4096 characters are the operator's.
    #[schemars(length(max = 4096))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The OAuth grant types of the app; `[client_credentials]` when absent. `audience_exchange`, `client_delegate` and
    /// `context_switch` are for service organizations.
    #[schemars(length(min = 1, max = 6))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_types: Option<Vec<GrantType>>,
    /// What tokens of the app may carry at most; may be `{}`. Scopes cap, they do not grant: allow each role of `roles` here
    /// too, or no token carries it. When absent, the app is created with `{}`, and its scopes are not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_scopes: Option<AllowedScopes>,
    /// Lifetime of access tokens, in seconds. When absent the API chooses; CloudServices documents 10 minutes.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    #[serde(default, rename = "accessTokenTTL", skip_serializing_if = "Option::is_none")]
    pub access_token_ttl: Option<i32>,
    /// Lifetime of refresh tokens, in seconds; greater than `accessTokenTTL`, at most 14 days with `client_delegate`.
    /// When absent the API chooses; CloudServices documents 90 days.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    #[serde(default, rename = "refreshTokenTTL", skip_serializing_if = "Option::is_none")]
    pub refresh_token_ttl: Option<i32>,
    /// Where an authorization may return to; needs the grant type `authorization_code` and excludes
    /// `allowOpenRedirectUris`.
    // The vendor documents no limits of length, here and below.
    #[schemars(length(max = 256), inner(length(min = 1, max = 2048)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = size::texts("redirectUris", 8 << 10))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uris: Option<Vec<String>>,
    /// Where a logout may return to; needs the grant type `authorization_code`.
    #[schemars(length(max = 256), inner(length(min = 1, max = 2048)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = size::texts("postLogoutRedirectUris", 4 << 10))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// Accepts any redirect URI, for environments that are not production. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_open_redirect_uris: Option<bool>,
    /// An app that cannot keep a secret, such as one in a browser: it has none, must use PKCE, and cannot use
    /// `client_credentials`. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_client: Option<bool>,
    /// Refuses an authorization code flow without PKCE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_pkce: Option<bool>,
    /// Ids of the organizations whose users may log in, for service organizations; unrestricted when absent. Once
    /// restricted, an app cannot become unrestricted.
    #[schemars(length(min = 1, max = 512), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = size::texts("allowedOrgs", 8 << 10))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_orgs: Option<Vec<String>>,
    /// Limit of characters in an access token; 0 is unlimited, less than 0 the same as absent.
    #[schemars(range(min = -2_147_483_648, max = 2_147_483_647))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_characters_in_access_token: Option<i32>,
    /// Limit of groups in an id token.
    #[schemars(range(min = -2_147_483_648, max = 2_147_483_647))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_groups_in_id_token: Option<i32>,
    /// Forbids the app to rotate its own secret; the operator still can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_only_secret_rotation: Option<bool>,
    /// How long the old secret stays valid after a rotation that does not say, in seconds. When absent the API
    /// chooses; CloudServices documents 48 hours.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_rotation_expiration_in_seconds: Option<i32>,
    /// The definition id of the service that uses the app; CloudServices wants it in production for web apps with
    /// `authorization_code`.
    #[schemars(length(min = 1, max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_definition_id: Option<String>,
    /// Masks of additional attributes; the API documents no more than the name.
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = size::texts("additionalAttributeMasks", 2 << 10))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_attribute_masks: Option<Vec<String>>,
    /// The actors that are allowed for `audience_exchange`, a grant type of service organizations.
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = size::texts("allowedActorsAudienceExchange", 2 << 10))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_actors_audience_exchange: Option<Vec<String>>,
    /// The actors that are allowed for `client_delegate`, a grant type of service organizations.
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = size::texts("allowedActorsClientDelegate", 2 << 10))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_actors_client_delegate: Option<Vec<String>>,
    /// Whether access claims across organizations are supported; the API documents no more than the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_org_access_claims_supported: Option<bool>,
    /// Whether the app is hidden; the API documents no more than the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_hidden: Option<bool>,
    /// Whether the domain is appended to groups in an id token; the API documents no more than the name. A create cannot carry
    /// it, so it costs a new app one update.
    #[serde(default, rename = "groupDomainAppendedInIDToken", skip_serializing_if = "Option::is_none")]
    pub group_domain_appended_in_id_token: Option<bool>,
    /// Chooses the issuer of the tokens; the API documents no more than the name. A create cannot carry it, so it costs a new
    /// app one update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_csp_issuer_url: Option<bool>,
    /// A client secret that you provide instead of one that the API generates: a key of a Secret in this namespace,
    /// which must carry the label `oauth-apps.dev/use: "true"`. When it changes, the app's secret is rotated to it. The API
    /// documents that a secret has at least 8 characters, among them a lower case letter, an upper case letter, a digit and
    /// a special character, such as `_`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<KeyRef>,
    /// The Secret that the operator writes in this namespace.
    #[serde(default)]
    pub secret: SecretTarget,
    /// Adds the app to its organization with these roles. A token carries a role only if `allowedScopes` allows it too, and
    /// the default `{}` allows none: name the role in both. Other roles that were given to the app are taken from it; roles
    /// that it inherits count where they are listed here, and stay where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Roles>,
    /// How the client secret is rotated, by interval or on request: the previous one stays valid for a while, and is in a Secret
    /// of its own, named like this resource with `-rotation` appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Whether an app that exists already under `id` is taken over: `Never`, `Adopt` keeps its secret,
    /// `AdoptAndRotate` replaces it once. The API does not show the secret of an app: with `Adopt`, bring it with
    /// `clientSecretRef`.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
    /// What the operator may do at the API: `Full`, or `Observe` to only look and say in status what `Full` would do.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// What becomes of the app at the API when this resource is deleted: `Delete`, or `Retain` to leave the app and
    /// the Secret in place, or `DeleteWhenUnused` to wait until no pod in the namespace uses the Secret or that of the rotation.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Stops everything but deletion.
    #[serde(default)]
    pub suspend: bool,
}

/// Names an `IamConnection`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct ConnectionRef {
    /// The name of the `IamConnection`. Immutable.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()").message("a name consists of lower case letters, digits, - and ."), validation = Rule::new("self == oldSelf").message("connectionRef is immutable: delete the resource and create it again"))]
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
#[x_kube(
    validation = Rule::new("!has(self.template) || !(self.keys.clientId in self.template || self.keys.clientSecret in self.template || self.keys.tokenUrl in self.template)").message("template must not use the keys of clientId, clientSecret and tokenUrl: name its keys otherwise").field_path(".template"),
    validation = size::secret(),
)]
pub struct SecretTarget {
    /// The name of the Secret; that of this resource when absent.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()").message("a name consists of lower case letters, digits, - and ."))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The keys under which id and secret are stored.
    #[serde(default)]
    pub keys: SecretKeys,
    /// Labels to put on the Secret.
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('oauth-apps.dev/') && key != 'app.kubernetes.io/managed-by' && key != 'app.kubernetes.io/instance' && !key.startsWith('argocd.argoproj.io/'))").message("labels that begin with oauth-apps.dev/ or argocd.argoproj.io/, app.kubernetes.io/managed-by and app.kubernetes.io/instance belong to tools: remove them"), validation = Rule::new("self.all(key, !format.qualifiedName().validate(key).hasValue() && !format.labelValue().validate(self[key]).hasValue())").message("labels need keys and values that Kubernetes accepts as a label"))]
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations to put on the Secret.
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 8192}))]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('oauth-apps.dev/') && !key.startsWith('kubectl.kubernetes.io/') && !key.startsWith('argocd.argoproj.io/'))").message("annotations that begin with oauth-apps.dev/, kubectl.kubernetes.io/ or argocd.argoproj.io/ belong to tools: remove them"), validation = Rule::new("self.all(key, !format.qualifiedName().validate(key).hasValue())").message("annotations need keys that Kubernetes accepts"))]
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Further keys of the Secret, each with a template for its value: text and `{{ name | function }}`, and nothing else,
    /// such as `id={{ clientId }}&secret={{ clientSecret | urlencode }}`. Names: `clientId`, `clientSecret`, `orgId`,
    /// `tokenUrl`. Functions: `json`, `base64`, `urlencode`. There is no way to write `{{` or `{%` as text.
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
    /// The key of the URL at which a token is to be had for them; left out where this is empty.
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
    /// How often, such as `720h`; from `1m` to `87600h`. When absent, only on request.
    #[schemars(length(max = 32))]
    #[x_kube(validation = durations::at_least("interval", "1m", "720h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<GoDuration>,
    /// How long the previous secret stays valid, such as `48h`; from `1s` to `87600h`, and shorter than `interval`. When
    /// absent, `secretRotationExpirationInSeconds`, or else 48 hours.
    #[schemars(length(max = 32))]
    #[x_kube(validation = durations::at_least("overlap", "1s", "48h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<GoDuration>,
    /// The workloads in this namespace to restart once a rotation is published, as `kubectl rollout restart` does. Only those whose
    /// pod template uses the Secret are restarted. The operator needs a right for it, which the chart gives with
    /// `rotation.restart: true`.
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "name".into()]))]
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub restart: Vec<Workload>,
}

/// A workload in the namespace of the resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Workload {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()").message("a name consists of lower case letters, digits, - and ."))]
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
    /// It is deleted once no pod in the namespace uses the Secret.
    DeleteWhenUnused,
}

impl OrgOAuthAppSpec {
    /// The grant types of the app, also where the spec names none.
    pub fn grant_types(&self) -> &[GrantType] {
        self.grant_types.as_deref().unwrap_or(&[GrantType::ClientCredentials])
    }
}

impl OrgOAuthApp {
    /// A condition of the present status.
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.status.as_ref()?.conditions.iter().find(|condition| condition.r#type == kind)
    }
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
    /// The operator's signed record that the app is this resource's.
    #[serde(default)]
    pub claim: Option<SignedClaim>,
    /// Whether the app existed before and was taken over.
    #[serde(default)]
    pub adopted: Option<bool>,
    /// The Secret that holds the credential.
    #[serde(default)]
    pub secret_name: Option<String>,
    /// When the remote app was created, as the API says.
    #[serde(default)]
    pub created_at: Option<Time>,
    /// When the remote app was last changed, as the API says.
    #[serde(default)]
    pub last_updated_at: Option<Time>,
    /// When the remote app was last used, as the API says. Of an app that nothing else happens to, it may be old.
    #[serde(default)]
    pub last_used_at: Option<Time>,
    /// The age of the client secret, as the API says; its unit is not documented. Of an app that nothing else happens to, it may
    /// be old.
    #[serde(default)]
    pub secret_age: Option<i64>,
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
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Says that the resource of this uid has this app, signed with a key that only the operator has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedClaim {
    /// The `metadata.uid` of the resource.
    pub uid: String,
    /// The kind of API.
    pub api: Api,
    /// The address of the API when the app was made, normalized.
    pub endpoint: String,
    /// The organization.
    pub org_id: String,
    /// The client id.
    pub client_id: String,
    /// Whether the app was created, adopted or found again under this claim; until then it only records the intent.
    pub created: bool,
    /// Authenticates all of it, and the namespace and name of the resource.
    pub signature: String,
}

/// The state of rotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationStatus {
    /// Counts the secrets that were published since the Secret was created.
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
    /// When the API last issued a token for the current secret; absent for an app that can have none.
    #[serde(default)]
    pub verified_at: Option<Time>,
    /// The revision of the secret for which it did.
    #[serde(default)]
    pub verified_revision: Option<i64>,
    /// The first ten pods that took an earlier secret at their start and run on with it, while the previous one is valid.
    #[serde(default)]
    pub stale_consumers: Option<Vec<String>>,
    /// How many such pods there are.
    #[serde(default)]
    pub stale_consumer_count: Option<i64>,
    /// The revision of the secret for which a Warning Event named them.
    #[serde(default)]
    pub warned_revision: Option<i64>,
}
