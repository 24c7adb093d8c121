//! The words of the control API, shared by the simulator's server and its client.
//! Everything here travels as JSON under `/control/`; nothing here is part of the simulated APIs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which of the two APIs a call speaks; each has organizations, apps and tokens of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Flavour {
    /// Cloud Services Platform, beneath `/csp/gateway/am/api`.
    Csp,
    /// Cloud Partner Navigator, beneath `/cphub/api/auth`.
    Cpn,
}

/// The operations of both APIs, by the name under which they are logged and matched.
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
    /// C5, P8.
    DeleteApps,
    /// C6, P4: a new secret beside the old one.
    RotateSecret,
    /// C8, P5: a new secret instead of the old one.
    RegenerateSecret,
    /// C7, P9.
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
    /// CPN: the roles that can be given.
    OrgRoles,
    /// P6: the app rotates its own secret.
    SelfRotate,
    /// Any of the token endpoints.
    Token,
    /// A path that neither API has.
    Unknown,
}

/// How the simulator behaves where the documentation is silent, and how its clock and lists are set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Closes the connection of every call that is not for the control API.
    pub down: bool,
    /// Added to every call, in milliseconds.
    pub latency_ms: u64,
    /// Lifetime of the tokens of seeded identities, in seconds; an app's own come from its `accessTokenTTL`.
    pub token_lifetime_seconds: u64,
    /// Answer to an API token that is not known: 400 or 404, since both are documented `[auth-apitok]`.
    pub bad_api_token_status: u16,
    /// Answer to a create with an id that exists: unknown, so 409 or 400.
    pub existing_id_status: u16,
    /// Which of the undocumented CPN operations exist.
    pub cpn_offers: CpnOffers,
    /// Answer to an operation that is not offered: 404 or 405.
    pub not_offered_status: u16,
    /// How long a deletion runs on after its answer, in milliseconds; a create of that id is refused meanwhile.
    pub deletion_runs_ms: u64,
    /// Whether GET and list still show an app whose deletion runs.
    pub deleting_visible: bool,
    /// CSP: a second rotation during an overlap is refused with 409.
    pub rotation_conflict: bool,
    /// CSP: what a deletion of ids that are all unknown answers.
    pub missing_on_delete: MissingOnDelete,
    /// What the entries of `failed` look like in the answer to a deletion.
    pub failed_form: FailedForm,
    /// Lists of an app come back in the reverse of the order in which they were sent.
    pub reverse_lists: bool,
    /// Production: open redirects are refused, and code flow apps need a `serviceDefinitionId`.
    pub production: bool,
    /// Whether a CSP update may carry `serviceDefinitionId`; the stored pages do not show it.
    pub update_takes_service_definition_id: bool,
    /// Page size of a list that asks for none.
    pub default_page_limit: usize,
    /// Largest page; a larger `pageLimit` is cut to it.
    pub max_page_limit: usize,
    /// Unit of `createdAt` and `lastUpdatedAt`, which is not documented.
    pub timestamps: TimeUnit,
    /// Organization roles that let an app manage the apps of its organization.
    pub managing_roles: Vec<String>,
    /// Organization roles that can be given.
    pub org_roles: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Self {
            down: false,
            latency_ms: 0,
            token_lifetime_seconds: 1800,
            bad_api_token_status: 404,
            existing_id_status: 409,
            cpn_offers: CpnOffers::default(),
            not_offered_status: 405,
            deletion_runs_ms: 0,
            deleting_visible: true,
            rotation_conflict: true,
            missing_on_delete: MissingOnDelete::NotFound,
            failed_form: FailedForm::Ids,
            reverse_lists: true,
            production: false,
            update_takes_service_definition_id: false,
            default_page_limit: 20,
            max_page_limit: 200,
            timestamps: TimeUnit::Milliseconds,
            managing_roles: names(&["org_owner", "org_admin", "developer"]),
            org_roles: names(&["org_member", "org_owner", "org_admin", "developer", "support_user"]),
        }
    }
}

/// The CPN operations of which no stored page exists (P7, P8, P9); none is offered unless switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct CpnOffers {
    /// `GET` on the collection, paged as in CSP.
    pub list: bool,
    /// `DELETE` on the collection with `clientIdsToDelete`, as in CSP.
    pub delete: bool,
    /// `DELETE …/{id}/secret`, as in CSP.
    pub end_overlap: bool,
}

/// What a deletion of ids that are all unknown answers; the documentation allows both readings `[csp-delete]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MissingOnDelete {
    /// 404.
    NotFound,
    /// 200 with the ids in `failed`.
    Failed,
}

/// The form of an entry of `failed`, which is not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailedForm {
    /// `"id"`.
    Ids,
    /// `{"id", "message"}`, as in the answers about clients.
    Objects,
}

/// The unit of a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimeUnit {
    /// Since the epoch, in milliseconds.
    Milliseconds,
    /// Since the epoch, in seconds.
    Seconds,
}

/// What a simulator knows before the first call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Seed {
    /// Organizations.
    pub orgs: Vec<OrgSeed>,
    /// API tokens of people who manage apps.
    pub api_tokens: Vec<ApiTokenSeed>,
    /// Clients that manage apps by client credentials.
    pub clients: Vec<ClientSeed>,
}

/// An organization.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrgSeed {
    /// The API in which it exists.
    pub flavour: Flavour,
    /// Its id.
    pub id: String,
    /// A service organization: more grant types and `allowedOrgs` are open to it (seed 3).
    #[serde(default)]
    pub service: bool,
}

/// An API token; tokens that it gives may manage `orgs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiTokenSeed {
    /// The API that knows it.
    pub flavour: Flavour,
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
}

/// A client that is no app of the simulator and may manage `orgs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientSeed {
    /// The API that knows it.
    pub flavour: Flavour,
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// Its owner organization.
    pub org_id: String,
    /// The organizations that it may manage; every one when absent.
    #[serde(default)]
    pub orgs: Option<Vec<String>>,
}

/// An order to misbehave: which calls, how often, and what then happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// The calls that it is about.
    #[serde(default)]
    pub on: Target,
    /// Lets that many matching calls pass first.
    #[serde(default)]
    pub skip: u32,
    /// How many calls it hits; all when absent.
    #[serde(default)]
    pub times: Option<u32>,
    /// How long it hits, in milliseconds since its first hit; no limit when absent.
    #[serde(default)]
    pub for_ms: Option<u64>,
    /// The share of the matching calls that it hits, 0 to 1; all when absent.
    #[serde(default)]
    pub probability: Option<f64>,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// Hits every call, until narrowed.
    #[must_use]
    pub fn always(action: Action) -> Self {
        Self { on: Target::default(), skip: 0, times: None, for_ms: None, probability: None, action }
    }

    /// Hits one call.
    #[must_use]
    pub fn once(action: Action) -> Self {
        Self::always(action).times(1)
    }

    /// Narrows it to an operation.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.on.operation = Some(operation);
        self
    }

    /// Narrows it to one API.
    #[must_use]
    pub fn flavour(mut self, flavour: Flavour) -> Self {
        self.on.flavour = Some(flavour);
        self
    }

    /// Narrows it to an organization.
    #[must_use]
    pub fn org(mut self, org_id: impl Into<String>) -> Self {
        self.on.org_id = Some(org_id.into());
        self
    }

    /// Narrows it to a client id, in the path or in the body.
    #[must_use]
    pub fn client(mut self, client_id: impl Into<String>) -> Self {
        self.on.client_id = Some(client_id.into());
        self
    }

    /// Limits the number of hits.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Lets the first `skip` matching calls pass.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Ends it that many milliseconds after its first hit.
    #[must_use]
    pub fn for_ms(mut self, for_ms: u64) -> Self {
        self.for_ms = Some(for_ms);
        self
    }

    /// Hits that share of the matching calls, 0 to 1.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }
}

/// Narrows a fault or a question about calls; what is absent matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// The operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// The API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flavour: Option<Flavour>,
    /// The organization in the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// A client id in the path, the body or the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// What a fault does to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// Waits before anything else, in milliseconds; goes together with another fault.
    Latency {
        /// Milliseconds.
        ms: u64,
    },
    /// 429; the change is not made.
    TooManyRequests {
        /// The `Retry-After` header, in seconds; none when absent.
        retry_after: Option<u64>,
    },
    /// A status with the API's error form.
    Status {
        /// The status.
        status: u16,
        /// The message in the body.
        message: String,
        /// Whether the change is made all the same.
        #[serde(default)]
        performed: bool,
    },
    /// The change is made and the connection closed without an answer.
    ResponseLost,
    /// The connection is reset before the change.
    ConnectionReset,
    /// 401, as for a token that has expired.
    ExpiredToken,
    /// The change is made and the answer's body comes in small pieces.
    SlowBody {
        /// How long the body takes, in milliseconds; it never ends when absent.
        ms: Option<u64>,
    },
    /// The change is made and the answer is 200 with broken JSON.
    MalformedBody,
    /// No answer, ever.
    Hang {
        /// Whether the change is made.
        #[serde(default)]
        performed: bool,
    },
}

/// A fault that was ordered, and how often it hit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultState {
    /// The order.
    pub fault: Fault,
    /// Calls that matched, those let pass included.
    pub seen: u32,
    /// Calls that it hit.
    pub hits: u32,
}

/// What a person does in the vendor's console, past the operator and without the rules of the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Human {
    /// Adds an app; answers with its secret.
    Create {
        /// The API.
        flavour: Flavour,
        /// The organization.
        org_id: String,
        /// Fields of the create request, `id` and `secret` among them.
        fields: Map<String, Value>,
    },
    /// Overwrites fields of an app; `null` takes a field away.
    Edit {
        /// The API.
        flavour: Flavour,
        /// The app.
        id: String,
        /// The fields.
        fields: Map<String, Value>,
    },
    /// Deletes an app.
    Delete {
        /// The API.
        flavour: Flavour,
        /// The app.
        id: String,
    },
    /// Replaces an app's secret; answers with the new one.
    Regenerate {
        /// The API.
        flavour: Flavour,
        /// The app.
        id: String,
    },
    /// Gives an app organization roles, adding it to its organization if need be.
    GrantRoles {
        /// The API.
        flavour: Flavour,
        /// The app.
        id: String,
        /// Names of organization roles.
        roles: Vec<String>,
    },
}

/// An app with everything that the simulator knows of it; secrets as SHA-256 in lower-case hex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppView {
    /// The API.
    pub flavour: Flavour,
    /// The client id.
    pub id: String,
    /// The organization that owns it.
    pub org_id: String,
    /// The fields as stored, defaults filled in, under the API's names.
    pub fields: Map<String, Value>,
    /// The current secret.
    pub secret_sha256: String,
    /// The previous secret while an overlap runs.
    pub previous_secret_sha256: Option<String>,
    /// When the overlap ends, in milliseconds since the epoch.
    pub previous_expires_at: Option<u64>,
    /// Who created it: a seeded identity, a client id, or `human`.
    pub created_by: String,
    /// In milliseconds since the epoch.
    pub created_at: u64,
    /// In milliseconds since the epoch.
    pub last_updated_at: u64,
    /// How often its secret was changed since it was created.
    pub secret_changes: u64,
    /// Whether its deletion runs.
    pub deleting: bool,
    /// Its roles in its organization; absent while it has not been added.
    pub roles: Option<Value>,
}

/// A call that reached the simulator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallView {
    /// Counts from 1.
    pub seq: u64,
    /// When it arrived, in milliseconds since the simulator started.
    pub at_ms: u64,
    /// When its answer was ready, in milliseconds since the simulator started.
    pub done_ms: Option<u64>,
    /// The operation.
    pub operation: Operation,
    /// The API; absent for a path that neither has.
    pub flavour: Option<Flavour>,
    /// The method.
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// The query as it was sent.
    pub query: String,
    /// The organization in the path.
    pub org_id: Option<String>,
    /// The client ids in path, body or credentials.
    pub client_ids: Vec<String>,
    /// The body, secret values replaced by `sha256:<hex>`.
    pub body: Value,
    /// The status that was sent; absent while it waits or when no answer was given.
    pub status: Option<u16>,
    /// Whether the operation ran and succeeded, whatever was answered.
    pub performed: bool,
    /// The fault that hit it.
    pub fault: Option<Action>,
}

/// Which calls to list or count; what is absent matches everything.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct CallFilter {
    /// Operation, API, organization and client.
    pub on: Target,
    /// The status that was sent.
    pub status: Option<u16>,
    /// Whether the operation took hold.
    pub performed: Option<bool>,
    /// Only calls with a larger `seq`.
    pub after: u64,
}

impl CallFilter {
    /// The calls of one operation.
    #[must_use]
    pub fn operation(operation: Operation) -> Self {
        Self { on: Target { operation: Some(operation), ..Target::default() }, ..Self::default() }
    }
}

/// Numbers over the whole run, or since the log was cleared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Calls seen.
    pub calls: u64,
    /// Calls by operation and status, as `createApp 200`; `-` where none was sent.
    pub by_operation: BTreeMap<String, u64>,
    /// Calls being served now.
    pub in_flight: u64,
    /// Most calls served at once.
    pub max_in_flight: u64,
    /// Access tokens issued since the last reset.
    pub tokens_issued: u64,
    /// How often an app of that id was created through the API since the last reset, by id.
    pub creations: BTreeMap<String, u64>,
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
    /// The file with the CA's certificate, as PEM.
    pub ca_file: String,
}
