//! What the inspection API shows: apps, calls and numbers.
//! Secrets appear as hashes only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Action, Flavor, Operation, Target};

/// An app with everything that the simulator knows of it; secrets as SHA-256 in lower-case hex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppView {
    pub flavor: Flavor,
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
    pub operation: Operation,
    /// The API; absent for a path that none has.
    pub flavor: Option<Flavor>,
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
    /// The trace that the caller says it belongs to.
    pub traceparent: Option<String>,
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
