//! The words of the control API, shared by the simulator's server and its client.
//! Everything here travels as JSON under `/control/`; nothing here is part of the simulated APIs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod fault;
mod settings;
mod view;

pub use fault::{Action, Fault, FaultState, Spelling, Target};
pub use settings::{
    BrokerReadings, CpnOffers, FailedForm, LastPage, MissingOnDelete, Replication, SecretUpdate, Settings, TimeUnit,
};
pub use view::{AppView, CallFilter, CallView, Stats};

/// Which of the three APIs a call speaks; each has organizations, apps and tokens of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Flavor {
    /// Cloud Services Platform, beneath `/csp/gateway/am/api`.
    Csp,
    /// Cloud Partner Navigator, beneath `/cphub/api/auth`.
    Cpn,
    /// VCF Identity Broker, beneath `/acs/t/{tenant}`. Its organizations are tenants, its apps OAuth 2.0 clients; each
    /// tenant has clients and tokens of its own.
    Broker,
}

impl Flavor {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Csp, Self::Cpn, Self::Broker];
}

/// The operations of all APIs, by the name under which they are logged and matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// C1, P1.
    CreateApp,
    /// C3, P2.
    GetApp,
    /// C2, P7.
    ListApps,
    /// C4, P3.
    UpdateApp,
    /// C5, P8; in Identity Broker of one client.
    DeleteApps,
    /// C6, P4, `start-rotate-secret`: a new secret beside the old one.
    RotateSecret,
    /// C8, P5: a new secret instead of the old one.
    RegenerateSecret,
    /// C7, P9, `retire-primary-secret`.
    EndOverlap,
    /// C9.
    SearchApps,
    /// Adds apps to their organization.
    AddClients,
    /// CPN: one app of an organization with its roles.
    GetClient,
    /// CSP: the apps that were added to an organization.
    ListClients,
    /// CSP: takes apps out of an organization.
    RemoveClients,
    /// Adds and removes roles of an app.
    PatchClientRoles,
    /// CSP: the roles of one app.
    GetClientRoles,
    /// CPN: the roles that can be given.
    OrgRoles,
    /// P6: the app rotates its own secret.
    SelfRotate,
    /// Any of the token endpoints.
    Token,
    /// CSP: what an API token is.
    ApiTokenDetails,
    /// A path that no API has.
    Unknown,
}

/// What a simulator knows before the first call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Seed {
    pub orgs: Vec<OrgSeed>,
    /// API tokens of people who manage apps.
    pub api_tokens: Vec<ApiTokenSeed>,
    /// Clients that manage apps by client credentials.
    pub clients: Vec<ClientSeed>,
    /// Roles of these identities, where they are not to have `csp:org_owner`.
    pub perms: Vec<PermsSeed>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrgSeed {
    /// The API in which it exists.
    pub flavor: Flavor,
    pub id: String,
    /// A service organization: more grant types and `allowedOrgs` are open to it [csp-struct].
    #[serde(default)]
    pub service: bool,
}

/// An API token; tokens that it gives may manage `orgs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiTokenSeed {
    /// The API that knows it.
    pub flavor: Flavor,
    /// The token itself.
    pub value: String,
    /// The organization in which it was made; `context_name` of the tokens that it gives.
    pub org_id: String,
    /// The organizations that it may manage; every one when absent.
    #[serde(default)]
    pub orgs: Option<Vec<String>>,
    /// Asked for where multi-factor authentication is on `[cpn-guide]`.
    #[serde(default)]
    pub passcode: Option<String>,
    /// When it expires, in milliseconds since the epoch; never when absent.
    #[serde(default)]
    pub expires_at: Option<u64>,
}

/// A client that is no app of the simulator and may manage `orgs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientSeed {
    /// The API that knows it.
    pub flavor: Flavor,
    pub id: String,
    pub secret: String,
    /// Its owner organization.
    pub org_id: String,
    /// The organizations that it may manage; every one when absent.
    #[serde(default)]
    pub orgs: Option<Vec<String>>,
}

/// The roles that the tokens of a seeded identity carry; without a managing role they manage nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PermsSeed {
    /// The API that knows it.
    pub flavor: Flavor,
    /// The client's id, or the API token itself.
    pub identity: String,
    /// What the claim `perms` says, such as `csp:org_member`; in Identity Broker the names of rule sets, for the tenants
    /// that exist.
    pub perms: Vec<String>,
}

/// How an app has a role; one that is not direct is inherited and cannot be removed `[tcsp-role-binding]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Membership {
    /// Given to the app itself.
    Direct,
    /// Through a group.
    Group,
    /// Through a group within a group.
    Nested,
    /// Through a bundle of roles.
    Bundle,
}

/// What a person does in the vendor's console, past the operator and without the rules of the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Human {
    /// Adds an app; answers with its secret.
    Create {
        flavor: Flavor,
        org_id: String,
        /// Fields of the create request, id and secret among them.
        fields: Map<String, Value>,
    },
    /// Overwrites fields of an app; `null` takes a field away.
    Edit {
        flavor: Flavor,
        /// The app.
        id: String,
        fields: Map<String, Value>,
    },
    /// Deletes an app.
    Delete {
        flavor: Flavor,
        /// The app.
        id: String,
    },
    /// Replaces an app's secret; answers with the new one.
    Regenerate {
        flavor: Flavor,
        /// The app.
        id: String,
    },
    /// Puts an app into a group that has these organization roles, adding it to its organization if need be.
    InheritRoles {
        flavor: Flavor,
        /// The app.
        id: String,
        /// Names of organization roles.
        roles: Vec<String>,
        /// How they are inherited.
        membership: Membership,
    },
    /// Gives an app organization roles, adding it to its organization if need be.
    GrantRoles {
        flavor: Flavor,
        /// The app.
        id: String,
        /// Names of organization roles.
        roles: Vec<String>,
    },
}

/// Puts the simulator's clock forward.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClockChange {
    /// By that many milliseconds, on top of earlier changes.
    pub advance_ms: u64,
}

/// Where a simulator listens; the binary prints it as one line when it is ready.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listening {
    /// Scheme, host and port.
    pub url: String,
    /// `spec.endpoint` for CSP.
    pub csp_endpoint: String,
    /// `spec.endpoint` for CPN.
    pub cpn_endpoint: String,
    /// `spec.endpoint` for Identity Broker.
    pub broker_endpoint: String,
    /// The file with the CA's certificate, as PEM.
    pub ca_file: String,
}
