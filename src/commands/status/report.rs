//! What a status shows. No value of a Secret is in it; `screen` has the text.

use crate::crd::{Api, Condition, ConditionStatus, OrgOAuthApp};
use schemars::JsonSchema;
use serde::Serialize;

/// The state of an app.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    pub namespace: String,
    pub name: String,
    /// The condition `Ready`; absent until the operator has reconciled the resource.
    pub ready: Option<ConditionReport>,
    /// What to do about the reason, if anything.
    pub what_to_do: Option<String>,
    /// Whether the resource is being deleted.
    pub is_deleting: bool,
    /// Whether `spec.suspend` is set.
    pub suspended: bool,
    pub connection: ConnectionReport,
    pub grant: GrantReport,
    /// The app in the API.
    pub app: RemoteReport,
    pub secret: SecretReport,
    pub consumers: ConsumersReport,
    pub rotation: RotationReport,
    /// The newest first.
    pub events: Vec<EventReport>,
    /// Why the Events cannot be read.
    pub events_problem: Option<String>,
}

/// A condition, without its type.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConditionReport {
    /// `True`, `False` or `Unknown`.
    pub status: ConditionStatus,
    pub reason: String,
    pub message: String,
    /// When `status` last changed.
    pub since: String,
}

/// The `IamConnection` of the app.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionReport {
    pub name: String,
    /// As the connection says, or as the operator recorded it in the status of the app.
    pub api: Option<Api>,
    pub endpoint: Option<String>,
    pub ready: Option<ConditionReport>,
    /// Why the connection cannot be read.
    pub problem: Option<String>,
}

/// Whether a grant of the connection covers the app.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantReport {
    pub verdict: GrantVerdict,
    /// Whether the grant allows to adopt existing apps.
    pub adoption: Option<bool>,
    pub message: Option<String>,
    /// Why the grants cannot be evaluated; the verdict is then that of the conditions of the app.
    pub problem: Option<String>,
}

/// Whether a grant covers an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum GrantVerdict {
    /// One grant allows all that the spec asks for.
    Granted,
    /// No grant covers the namespace and the organization.
    NotGranted,
    /// A grant covers them, and does not allow all that the spec asks for.
    NotAllowed,
    /// Neither the grants nor the conditions of the app say so.
    NotKnown,
}

/// The app in the API.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoteReport {
    pub client_id: Option<String>,
    pub organization: String,
    pub adopted: bool,
    pub synced: Option<ConditionReport>,
    /// Fields whose value in the API differs from the spec.
    pub drift: Vec<String>,
    pub created_at: Option<String>,
    pub last_used_at: Option<String>,
}

/// The Secret with the credentials; its values are not read out.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReport {
    pub name: String,
    /// Absent if it cannot be read.
    pub exists: Option<bool>,
    /// Whether it belongs to this resource.
    pub owned: Option<bool>,
    /// The names of its keys.
    pub keys: Vec<String>,
    /// The condition `SecretPublished`.
    pub published: Option<ConditionReport>,
    /// Why it cannot be read.
    pub problem: Option<String>,
}

/// The pods that use the Secret.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsumersReport {
    pub pods: Vec<String>,
    /// The first pods that still use an earlier client secret.
    pub stale: Vec<String>,
    /// How many such pods there are.
    pub stale_count: i64,
    /// Why the pods cannot be listed.
    pub problem: Option<String>,
}

/// The rotation of the client secret.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationReport {
    pub kind: RotationKind,
    pub interval: Option<String>,
    /// Number of client secrets that were published.
    pub revision: Option<i64>,
    pub rotated_at: Option<String>,
    /// The revision whose client secret last got a token.
    pub verified_revision: Option<i64>,
    pub verified_at: Option<String>,
    pub next_at: Option<String>,
    /// Until when the previous client secret is valid.
    pub previous_expires_at: Option<String>,
    /// Why a requested rotation waits.
    pub waits: Option<String>,
}

/// How the client secret is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum RotationKind {
    /// By interval, and on request.
    ByInterval,
    /// On request only.
    OnRequest,
    /// By a change of the Secret that `clientSecretRef` names.
    Provided,
    /// A public client has no client secret.
    None,
}

/// An Event about the resource.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventReport {
    pub at: Option<String>,
    /// `Normal` or `Warning`.
    pub r#type: String,
    pub reason: String,
    pub message: String,
    pub count: i32,
}

impl ConditionReport {
    pub(super) fn of(condition: &Condition) -> Self {
        Self {
            status: condition.status,
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            since: condition.last_transition_time.0.to_string(),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        self.status == ConditionStatus::True
    }
}

impl RotationKind {
    pub(super) fn of(app: &OrgOAuthApp) -> Self {
        let spec = &app.spec;
        if spec.public_client == Some(true) {
            Self::None
        } else if spec.client_secret_ref.is_some() {
            Self::Provided
        } else if spec.rotation.as_ref().is_some_and(|rotation| rotation.interval.is_some()) {
            Self::ByInterval
        } else {
            Self::OnRequest
        }
    }
}

impl AppStatus {
    pub(super) fn is_ready(&self) -> bool {
        self.ready.as_ref().is_some_and(ConditionReport::is_true)
    }
}
