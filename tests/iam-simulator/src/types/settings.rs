//! How a simulator behaves where the documentation is silent, and how its clock and lists are set.
//! The defaults are the stricter or the more awkward of the readings; further readings are off unless switched on.

use serde::{Deserialize, Serialize};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Closes the connection of every call that is not for the control API.
    pub down: bool,
    /// Added to every call, in milliseconds.
    pub latency_ms: u64,
    /// Lifetime of the tokens of seeded identities, in seconds; an app's own come from its `accessTokenTTL`.
    pub token_lifetime_seconds: u64,
    /// A token is good for the organization to which it belongs and no other; a CSP app may be added to further
    /// organizations and gets tokens for them by `orgId` `[csp-index]`.
    pub org_scoped_tokens: bool,
    /// CSP: `orgId` in a token request has no effect, as where nobody knows it (undocumented).
    pub ignore_org_id: bool,
    /// Access tokens say nothing of themselves (undocumented).
    pub opaque_tokens: bool,
    /// CSP, CPN: answer to an API token that is not known: 400 or 404, since both are documented `[auth-apitok]`.
    pub bad_api_token_status: u16,
    /// CSP: an API token is taken only with `grant_type=refresh_token`, in the field `refresh_token` `[omnissa-connect]`;
    /// `api_token` alone is refused with 400 (undocumented).
    pub older_api_token_form: bool,
    /// Answer to a create with an id that exists: unknown, so 409 or 400.
    pub existing_id_status: u16,
    /// Which of the undocumented CPN operations exist.
    pub cpn_offers: CpnOffers,
    /// How Identity Broker behaves where its documentation is silent.
    pub broker: BrokerReadings,
    /// Answer to an operation that is not offered: 404 or 405.
    pub not_offered_status: u16,
    /// How long a deletion runs on after its answer, in milliseconds; a create of that id is refused meanwhile.
    pub deletion_runs_ms: u64,
    /// How long a write takes to reach what reads, lists and the token endpoint show (undocumented).
    pub replication: Replication,
    /// Whether GET and list still show an app whose deletion runs.
    pub deleting_visible: bool,
    /// CSP: a second rotation during an overlap is refused with 409.
    pub rotation_conflict: bool,
    /// CPN: the same, where no page says what happens (undocumented). An accepted one ends the previous secret,
    /// and the current one becomes the previous.
    pub cpn_rotation_conflict: bool,
    /// CSP: what a deletion of ids that are all unknown answers.
    pub missing_on_delete: MissingOnDelete,
    /// What the entries of `failed` look like in the answer to a deletion.
    pub failed_form: FailedForm,
    /// Lists of an app come back in the reverse of the order in which they were sent.
    pub reverse_lists: bool,
    /// `allowedScopes` are shown with every field that the API knows, at every depth (undocumented).
    pub scope_defaults: bool,
    /// Production: open redirects are refused, and code flow apps need a `serviceDefinitionId`.
    pub production: bool,
    /// Whether a CSP update may carry `serviceDefinitionId`; no page was found that shows it.
    pub update_takes_service_definition_id: bool,
    /// Page size of a list that asks for none.
    pub default_page_limit: usize,
    /// Largest page; a larger `pageLimit` is cut to it, a larger `page_size` refused (undocumented).
    pub max_page_limit: usize,
    /// CSP, CPN: how a list ends.
    pub last_page: LastPage,
    /// CSP, CPN: whether a page says how many entries the whole list has `[csp-paged]`.
    pub shows_total: bool,
    /// CSP: the clients of an organization are listed from 1 by up to 200, with all that is documented of them, and
    /// their roles can be bound to resources `[csp-clients]`, `[py-perf]`.
    pub expanded_clients: bool,
    /// Answer to adding a client that is a member already: 400 in CSP `[csp-clients]`, in CPN undocumented. 200 says so
    /// in `failures`, and adds the others.
    pub already_member_status: u16,
    /// CSP: whether the roles of one client can be read `[py-csptools]`; 404 otherwise.
    pub client_roles_readable: bool,
    /// CSP, CPN: unit of `createdAt` and `lastUpdatedAt`, which is not documented.
    pub timestamps: TimeUnit,
    /// Organization roles that let an app manage the apps of its organization.
    pub managing_roles: Vec<String>,
    /// Organization roles that can be given.
    pub org_roles: Vec<String>,
}

impl Settings {
    /// Whether an organization role lets its holder manage apps.
    pub(crate) fn is_managing(&self, role: &str) -> bool {
        self.managing_roles.iter().any(|managing| managing == role)
    }
}

impl Default for Settings {
    fn default() -> Self {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Self {
            down: false,
            latency_ms: 0,
            token_lifetime_seconds: 1800,
            org_scoped_tokens: true,
            ignore_org_id: false,
            opaque_tokens: false,
            bad_api_token_status: 404,
            older_api_token_form: false,
            existing_id_status: 409,
            cpn_offers: CpnOffers::default(),
            broker: BrokerReadings::default(),
            not_offered_status: 405,
            deletion_runs_ms: 0,
            replication: Replication::default(),
            deleting_visible: true,
            rotation_conflict: true,
            cpn_rotation_conflict: false,
            missing_on_delete: MissingOnDelete::NotFound,
            failed_form: FailedForm::Ids,
            reverse_lists: true,
            scope_defaults: true,
            production: false,
            update_takes_service_definition_id: false,
            default_page_limit: 20,
            max_page_limit: 200,
            last_page: LastPage::Empty,
            shows_total: true,
            expanded_clients: true,
            already_member_status: 400,
            client_roles_readable: true,
            timestamps: TimeUnit::Milliseconds,
            managing_roles: names(&["org_owner", "org_admin", "developer"]),
            org_roles: names(&["org_member", "org_owner", "org_admin", "developer", "support_user"]),
        }
    }
}

/// The CPN operations of which no page was found (P7, P8, P9); none is offered unless switched on.
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

/// Readings of the documentation of Identity Broker; by default it does the least that any of them allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct BrokerReadings {
    /// `Accept` may be absent or a wildcard, as in the samples of its pages, and need not name the media type.
    pub wildcard_accept: bool,
    /// No error has a body, as its pages say; the getting-started guide of its sibling shows one (`[vib-errors]`). 404
    /// never has one `[vib-read]`.
    pub bare_errors: bool,
    /// Answer to a token request whose client or secret is wrong: 401 `[kb-414489]`, or 400 as for any other error of
    /// that endpoint `[vib-sibling]`.
    pub bad_client_status: u16,
    /// The token endpoint takes API tokens, as since VCF 9.1 `[vib-api-token]`.
    pub api_tokens: bool,
    /// The answer to a create repeats a secret that the request named.
    pub repeats_secret: bool,
    /// How much later than announced a primary secret retires by itself, in milliseconds; up to an hour `[vib-rotate]`.
    pub retires_late_ms: u64,
    /// What a new secret in an update does while a rotation runs.
    pub secret_update: SecretUpdate,
    /// A list shows more of a client than its id and scopes, as since VCF 9.1 `[vib-changes]`.
    pub full_summaries: bool,
    /// A page after the last one is empty instead of refused.
    pub empty_page_after_last: bool,
}

impl Default for BrokerReadings {
    fn default() -> Self {
        Self {
            wildcard_accept: false,
            bare_errors: false,
            bad_client_status: 401,
            api_tokens: false,
            repeats_secret: false,
            retires_late_ms: 0,
            secret_update: SecretUpdate::Refused,
            full_summaries: false,
            empty_page_after_last: false,
        }
    }
}

/// What a new secret in an update does while a rotation runs (undocumented).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretUpdate {
    /// It is refused with 400.
    Refused,
    /// It becomes the only secret, and the rotation is over.
    EndsRotation,
    /// It replaces the primary secret, which still retires in favor of the secondary one.
    ReplacesPrimary,
}

/// Replication lags, in milliseconds; for so long after a write the state of before is shown, and 0 is no lag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Replication {
    /// Of the reads of one app or one client.
    pub reads_ms: u64,
    /// Of the lists and the search.
    pub lists_ms: u64,
    /// Of the credentials and roles that the token endpoints know.
    pub tokens_ms: u64,
}

impl Replication {
    /// The time whose credentials the token endpoints know.
    pub(crate) fn tokens_show(self, now: u64) -> u64 {
        now.saturating_sub(self.tokens_ms)
    }

    /// The time whose state the reads show.
    pub(crate) fn reads_show(self, now: u64) -> u64 {
        now.saturating_sub(self.reads_ms)
    }

    /// The time whose state the lists show.
    pub(crate) fn lists_show(self, now: u64) -> u64 {
        now.saturating_sub(self.lists_ms)
    }

    pub(crate) fn longest_ms(self) -> u64 {
        self.reads_ms.max(self.lists_ms).max(self.tokens_ms)
    }
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

/// How a list ends; clients are seen to rely on either of the first two `[csp-paged]`, `[py-csptools]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LastPage {
    /// The page with the last entry has no `nextLink`.
    NoLink,
    /// Each page that has entries has a `nextLink`, so the last page is empty.
    Empty,
    /// Each page has a `nextLink`, the empty ones after the last entry too.
    Growing,
}

/// The unit of a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimeUnit {
    /// Since the epoch, in milliseconds.
    Milliseconds,
    /// Since the epoch, in seconds.
    Seconds,
    /// RFC 3339, in UTC.
    Text,
}
