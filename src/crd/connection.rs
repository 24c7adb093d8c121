//! `IamConnection`: one API, the credentials for it, and who may use it.
//! Cluster-scoped, so that only a platform administrator writes it.

// Clippy mistakes the types of the printed columns for repetitions.
#![allow(clippy::duplicated_attributes)]

use super::{Condition, ConditionType, GoDuration, GrantType, durations, names, null_as_default, size};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Desired connection settings.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "oauth-apps.dev",
    version = "v1alpha1",
    kind = "IamConnection",
    plural = "iamconnections",
    status = "IamConnectionStatus",
    shortname = "iamc",
    category = "oauth",
    doc = "An IAM API of VMware Cloud Services, VMware Cloud Partner Navigator or the VCF Identity Broker, the credentials for it, and who may use it.",
    printcolumn(name = "API", type_ = "string", json_path = ".spec.api"),
    printcolumn(name = "ENDPOINT", type_ = "string", json_path = ".spec.endpoint"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "APPS", type_ = "integer", json_path = ".status.apps.total"),
    printcolumn(name = "APPS READY", type_ = "integer", json_path = ".status.apps.ready"),
    printcolumn(name = "EXPIRES", type_ = "string", json_path = ".status.credentials.expiresAt"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "MESSAGE",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].message",
        priority = 1
    )
)]
#[x_kube(
    validation = Rule::new("self.api != 'IdentityBroker' || has(self.credentials.clientCredentials)").message("IdentityBroker takes client credentials only: set credentials.clientCredentials").field_path(".credentials"),
    validation = Rule::new("!has(self.context) || self.api == 'CloudPartnerNavigator'").message("context is for CloudPartnerNavigator only: remove it").field_path(".context"),
)]
#[serde(rename_all = "camelCase")]
pub struct IamConnectionSpec {
    /// The kind of API at `endpoint`: `CloudServices`, `CloudPartnerNavigator`, or `IdentityBroker`, the VCF Identity
    /// Broker.
    pub api: Api,
    /// The base URL of the API: https, without query or fragment, such as `https://console.cloud.vmware.com`. For
    /// CloudServices the operator appends `/csp/gateway/am/api/...`; for CloudPartnerNavigator `/v2/...`, so there
    /// the path prefix `/cphub/api/auth` is part of it; for IdentityBroker `/acs/t/...`, so it is the address of the
    /// vCenter or VCF instance.
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^https://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?(/[^?#\s]*)?$') && isURL(self)").message("endpoint is an https URL without user, query or fragment, such as https://console.cloud.vmware.com"))]
    pub endpoint: String,
    /// Earlier values of `endpoint` for the same API. An app that was created at another address is not reconciled
    /// until that address is listed here.
    #[schemars(length(min = 1, max = 16), inner(length(max = 2048)))]
    #[x_kube(validation = Rule::new(r"self.all(url, url.matches(r'^https://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?(/[^?#\s]*)?$') && isURL(url))").message("formerEndpoints are https URLs without user, query or fragment, such as https://console.cloud.vmware.com"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_endpoints: Option<Vec<String>>,
    /// A private certificate authority, in the operator's namespace, to trust instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<CaBundle>,
    /// The operator's own credentials for the API.
    pub credentials: CredentialsSpec,
    /// The kind of the organizations, unless an app overrides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// Which namespaces may use this connection for which organizations, and what their resources may ask for.
    /// Without a matching grant no request is sent to the API.
    #[schemars(length(max = 256))]
    #[x_kube(validation = size::grants())]
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// Limits of the requests to the API.
    #[serde(default)]
    pub limits: Limits,
    /// How often each app is checked for drift, such as `10m`; from `1s` to `87600h`.
    #[schemars(length(max = 32))]
    #[x_kube(validation = durations::at_least("resyncInterval", "1s", "10m"))]
    #[serde(default = "default_resync_interval")]
    pub resync_interval: GoDuration,
    /// How often the credentials in each Secret are verified with a token request, such as `24h`; from `1s` to
    /// `87600h`.
    #[schemars(length(max = 32))]
    #[x_kube(validation = durations::at_least("credentialCheckInterval", "1s", "24h"))]
    #[serde(default = "default_credential_check_interval")]
    pub credential_check_interval: GoDuration,
}

fn default_credential_check_interval() -> GoDuration {
    GoDuration::hours(24)
}

fn default_resync_interval() -> GoDuration {
    GoDuration::minutes(10)
}

/// The APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Api {
    /// VMware Cloud Services.
    CloudServices,
    /// VMware Cloud Partner Navigator.
    CloudPartnerNavigator,
    /// The VCF Identity Broker, which is part of vCenter 8.0 U2 and later and of VCF 9.
    IdentityBroker,
}

// The kind of organization that a call is about. [cpn-create]
/// The kind of an organization. That of an app overrides that of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Context {
    /// An operator's organization.
    Operator,
    /// A provider's organization.
    Provider,
    /// A tenant's organization.
    Tenant,
}

/// Reference to a private certificate authority in the operator's namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.configMapRef) != has(self.secretRef)").message("caBundle needs exactly one of configMapRef and secretRef"),
)]
#[serde(rename_all = "camelCase")]
pub struct CaBundle {
    /// A key of a ConfigMap with PEM certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<KeyRef>,
    /// A key of a Secret with PEM certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<KeyRef>,
}

/// One key of a Secret or ConfigMap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct KeyRef {
    /// The name of the object.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = names::object())]
    pub name: String,
    /// The key in its data.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && self != '..'").message("a key consists of letters, digits, -, _ and ."))]
    pub key: String,
}

/// The operator's own credentials for the API: exactly one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.apiToken) != has(self.clientCredentials)").message("credentials need exactly one of apiToken and clientCredentials"),
)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsSpec {
    /// Client id and client secret of an OAuth app with the grant type `client_credentials` and the role `developer`;
    /// recommended. It gets an access token for each organization to which it was added; with CloudPartnerNavigator
    /// and IdentityBroker for its own only. With IdentityBroker it needs permission to manage clients instead of a
    /// role, see docs/identity-broker.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_credentials: Option<ClientCredentialsSpec>,
    /// An API token of a user. It belongs to one organization: apps of others are `Stalled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_token: Option<ApiTokenSpec>,
    /// Where the Secret is: `Operator`, in the operator's namespace; or `Tenant`, in the namespace of each app, where
    /// it must have the label `oauth-apps.dev/use: "true"`.
    #[serde(default)]
    pub source: CredentialSource,
}

/// An API token of a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiTokenSpec {
    /// The Secret and its key that holds the token.
    pub secret_ref: KeyRef,
}

/// Client id and client secret of an OAuth app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCredentialsSpec {
    /// The Secret and its two keys.
    pub secret_ref: ClientCredentialsRef,
}

/// Reference to a Secret with the client id and the client secret of an OAuth app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("self.clientIdKey != self.clientSecretKey").message("clientIdKey and clientSecretKey need different keys").field_path(".clientSecretKey"),
)]
#[serde(rename_all = "camelCase")]
pub struct ClientCredentialsRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = names::object())]
    pub name: String,
    /// The key of the client id.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && self != '..'").message("a key consists of letters, digits, -, _ and ."))]
    pub client_id_key: String,
    /// The key of the client secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && self != '..'").message("a key consists of letters, digits, -, _ and ."))]
    pub client_secret_key: String,
}

/// Where the Secret with the credentials is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CredentialSource {
    /// A Secret in the operator's namespace.
    #[default]
    Operator,
    /// The Secret of that name in the app's own namespace, which must have the label `oauth-apps.dev/use: "true"`.
    Tenant,
}

/// Permits namespaces to use the connection for organizations, within bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Grant {
    /// The namespaces.
    pub namespaces: NamespaceGrant,
    /// The organizations.
    pub orgs: OrgGrant,
    /// What resources in these namespaces may ask for. Defaults to every grant type, redirect URI and general scope
    /// but `admin` of IdentityBroker, and to no role, no rule set and no adoption. One grant must allow everything
    /// that a resource asks for; grants do not add up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Allow>,
}

/// What resources may ask for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Allow {
    /// The OAuth grant types. If omitted, every one.
    #[schemars(length(min = 1, max = 6))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_types: Option<Vec<GrantType>>,
    /// The general scopes in `allowedScopes`. If omitted, every one but `admin` of IdentityBroker. `"*"` is every one,
    /// including that.
    #[schemars(length(max = 128), inner(length(min = 1, max = 256)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub general_scopes: Option<Vec<String>>,
    /// The roles in the organization, in `roles` and in `allowedScopes`. If omitted, none. `"*"` is every role, and
    /// every permission in the organization as well.
    #[schemars(length(max = 128), inner(length(min = 1, max = 256)))]
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub organization_roles: Vec<String>,
    /// The roles in services, in `roles` and in `allowedScopes`. If omitted, none.
    #[schemars(length(max = 32))]
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub service_roles: Vec<AllowedServiceRoles>,
    /// The rule sets in `ruleSetNames`. If omitted, none. `"*"` is every one.
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub rule_set_names: Vec<String>,
    /// Patterns of the URIs to which users may be redirected. If omitted, every URI, and `allowOpenRedirectUris`.
    /// `https://*.example.com/app/*` matches every URI of that scheme whose host has exactly one label before
    /// `.example.com` and whose path begins with `/app/`. A path without `*` at its end must be equal. A port must be
    /// part of the pattern. A URI with user, fragment, `%`, `\`, `*` or a path segment `.` or `..` matches no
    /// pattern.
    #[schemars(length(max = 16), inner(length(min = 1, max = 192)))]
    #[x_kube(validation = Rule::new("self.all(uri, uri.matches('^[a-z][a-z0-9+.-]*://([*][.])?[a-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&()+,=:@/-]*[*]?)?$'))").message("a pattern of redirectUris is a scheme, a host in lower case, perhaps with *. before it, and a path, perhaps with * at its end, such as https://*.example.com/*"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uris: Option<Vec<String>>,
    /// Whether resources may adopt an existing app with `adoptionPolicy`. Such an app keeps all roles and scopes that
    /// it has, even those that are not allowed here.
    #[serde(default)]
    pub adoption: bool,
}

/// Roles that resources may ask for in one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedServiceRoles {
    /// The definition id of the service; `"*"` is every service.
    #[schemars(length(min = 1, max = 256))]
    pub service_definition_id: String,
    /// The roles in it; `"*"` is every role, and every permission in the service as well.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 256)))]
    pub names: Vec<String>,
}

/// The namespaces of a grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("(self.from == 'Selector') == has(self.selector)").message("selector goes with from: Selector, and only with it").field_path(".selector"),
    validation = Rule::new("(self.from == 'Names') == has(self.names)").message("names go with from: Names, and only with it").field_path(".names"),
)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceGrant {
    /// How they are selected: `All`, `Selector` or `Names`.
    pub from: NamespacesFrom,
    /// With `from: Selector`: the labels that a namespace must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// With `from: Names`: the names of the namespaces.
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 63)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
}

/// How the namespaces of a grant are selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// Every namespace.
    All,
    /// Those whose labels match.
    Selector,
    /// Those that are named.
    Names,
}

/// A Kubernetes label selector, except that an empty one is refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && size(self.matchExpressions) > 0)").message("an empty selector would select every namespace: add labels, or set from: All"),
)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels with the values that they must have.
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Requirements on labels; all of them must be met.
    #[schemars(length(max = 16))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_expressions: Option<Vec<LabelRequirement>>,
}

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("(self.operator in ['In', 'NotIn']) == has(self.values)").message("values go with the operators In and NotIn, and only with them").field_path(".values"),
)]
pub struct LabelRequirement {
    /// The key of the label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// How it is compared: `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: LabelOperator,
    /// The values, for `In` and `NotIn`.
    #[schemars(length(min = 1, max = 32), inner(length(max = 63)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// Its value is one of `values`.
    In,
    /// It is absent, or its value is none of `values`.
    NotIn,
    /// The label exists.
    Exists,
    /// The label does not exist.
    DoesNotExist,
}

/// The organizations of a grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("(self.from == 'Ids') == has(self.ids)").message("ids go with from: Ids, and only with it").field_path(".ids"),
)]
pub struct OrgGrant {
    /// How they are selected: `All` or `Ids`.
    pub from: OrgsFrom,
    /// With `from: Ids`: the ids of the organizations.
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 256)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
}

/// How the organizations of a grant are selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OrgsFrom {
    /// Every organization.
    All,
    /// Those that are listed.
    Ids,
}

/// Limits of the requests to the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// The most in-flight requests to the API.
    #[schemars(range(min = 1, max = 256))]
    #[serde(default = "default_max_in_flight")]
    pub max_in_flight: u16,
    /// The most requests per second. If omitted, there is no such limit.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// The timeout of a request, such as `10s`; from `1s` to `2m`.
    #[schemars(length(max = 32))]
    #[x_kube(validation = durations::between("timeout", ("1s", "2m"), "10s"))]
    #[serde(default = "default_timeout")]
    pub timeout: GoDuration,
}

fn default_max_in_flight() -> u16 {
    8
}

fn default_timeout() -> GoDuration {
    GoDuration::seconds(10)
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_in_flight: default_max_in_flight(), requests_per_second: None, timeout: default_timeout() }
    }
}

/// Observed state of the connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IamConnectionStatus {
    /// The `metadata.generation` of the last reconciliation.
    #[serde(default)]
    pub observed_generation: Option<i64>,
    /// The organization of the access token: that of the API token, or the one that owns the OAuth app of
    /// `clientCredentials`, which gets a token of its own for each other organization. Absent if the token does not
    /// name it.
    #[schemars(length(max = 256))]
    #[serde(default)]
    pub organization: Option<String>,
    /// The roles in that organization that the access token carries, at most 32 of them. `csp:developer` suffices for
    /// apps and their secrets.
    #[schemars(length(max = 32), inner(length(max = 256)))]
    #[serde(default)]
    pub roles: Option<Vec<String>>,
    /// What is known of the operator's own credentials.
    #[serde(default)]
    pub credentials: Option<CredentialsStatus>,
    /// Number of resources that use this connection and that a grant covers. Not counted by an operator that watches
    /// some namespaces only.
    #[serde(default)]
    pub apps: Option<AppCounts>,
    /// The conditions `Ready`, `Reconciling` and `Stalled`, and `CredentialsExpiring` if the expiry of the credentials
    /// is known.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

impl IamConnectionStatus {
    /// A condition of it.
    pub(crate) fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.r#type == kind)
    }
}

/// What is known of the credentials of a connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsStatus {
    /// When they expire, according to the annotation `oauth-apps.dev/expires-at` of their Secret, else to the API token
    /// itself, else to CloudServices.
    #[serde(default)]
    pub expires_at: Option<Time>,
}

/// Number of resources that use a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct AppCounts {
    /// All.
    #[serde(default)]
    pub total: i64,
    /// Those that are Ready.
    #[serde(default)]
    pub ready: i64,
}
