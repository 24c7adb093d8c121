//! The condition of a status, as kstatus and `kubectl wait` read it.
//! A local type, because the one of k8s-openapi leaves status and type as bare strings.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One observation about a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is observed.
    pub r#type: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One word for machines; docs/reasons.md says for each what it means and what to do.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
    /// The `metadata.generation` that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last changed.
    pub last_transition_time: Time,
}

/// The kinds of condition that the operator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionType {
    /// The app exists and its credential is in the Secret.
    Ready,
    /// The operator is at work, or waits to try again by itself.
    Reconciling,
    /// Nothing will happen until a person changes something.
    Stalled,
    /// The API has what the spec says.
    Synced,
    /// The Secret holds a credential of the app.
    SecretPublished,
    /// The credentials of a connection end soon.
    CredentialsExpiring,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known.
    Unknown,
}
