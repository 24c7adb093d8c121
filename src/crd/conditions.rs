//! The conditions of both statuses, as kstatus and `kubectl wait` read them.
//! A type of our own, since that of k8s-openapi has strings for `type` and `status`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One observation about a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The type of the condition.
    pub r#type: ConditionType,
    /// Whether the condition is met: `True`, `False` or `Unknown`.
    pub status: ConditionStatus,
    /// The reason in one word; docs/reasons.md explains each and what to do.
    pub reason: String,
    /// What is the case, or what is wrong and what to do.
    pub message: String,
    /// The `metadata.generation` of the last reconciliation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last changed.
    pub last_transition_time: Time,
}

/// The kinds of condition that the operator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionType {
    /// The app exists and its credentials are in the Secret.
    Ready,
    /// The operator is reconciling, or retries by itself.
    Reconciling,
    /// Nothing changes until someone acts.
    Stalled,
    /// The API matches the spec.
    Synced,
    /// The Secret holds the credentials of the app.
    SecretPublished,
    /// The credentials of a connection expire soon.
    CredentialsExpiring,
}

/// Whether a condition is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It is met.
    True,
    /// It is not met.
    False,
    /// It is not known.
    Unknown,
}
