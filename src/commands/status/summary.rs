//! One line about an app, from its resource alone, so that a list of many costs one request.

use crate::commands::output::{Mood, Report, Text, Words};
use crate::crd::{ConditionStatus, ConditionType, OrgOAuthApp};
use kube::ResourceExt;
use schemars::JsonSchema;
use serde::Serialize;

/// What a list says of an app.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppSummary {
    pub namespace: String,
    pub name: String,
    /// `True`, `False` or `Unknown`.
    pub ready: String,
    pub reason: String,
    pub client_id: Option<String>,
    pub connection: String,
    pub organization: String,
    pub next_rotation_at: Option<String>,
    /// How many pods use an earlier client secret.
    pub stale_consumers: i64,
}

impl AppSummary {
    pub(super) fn of(app: &OrgOAuthApp) -> Self {
        let ready = app.condition(ConditionType::Ready);
        let status = app.status.clone().unwrap_or_default();
        let rotation = status.rotation.unwrap_or_default();
        Self {
            namespace: app.namespace_any().to_owned(),
            name: app.name_any(),
            ready: format!("{:?}", ready.map_or(ConditionStatus::Unknown, |ready| ready.status)),
            reason: ready.map(|ready| ready.reason.clone()).unwrap_or_default(),
            client_id: status.client_id,
            connection: app.spec.connection_ref.name.clone(),
            organization: app.spec.org_id.clone(),
            next_rotation_at: rotation.next_at.map(|at| at.0.to_string()),
            stale_consumers: rotation.stale_consumer_count.unwrap_or_default(),
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready == "True"
    }

    fn row(&self) -> [Words; 8] {
        let mood = if self.is_ready() { Mood::Good } else { Mood::Bad };
        let or_none = |text: &Option<String>| Words::from(text.as_deref().unwrap_or("-"));
        [
            (&self.namespace).into(),
            (&self.name).into(),
            mood.of(&self.ready),
            (&self.reason).into(),
            or_none(&self.client_id),
            (&self.connection).into(),
            or_none(&self.next_rotation_at),
            self.stale_consumers.into(),
        ]
    }
}

impl Report for Vec<AppSummary> {
    fn text(&self, text: &mut Text) {
        if self.is_empty() {
            text.line("no OrgOAuthApp is here; -A looks in all namespaces");
        }
        let head = ["NAMESPACE", "NAME", "READY", "REASON", "CLIENT ID", "CONNECTION", "NEXT ROTATION", "STALE PODS"];
        text.table(head, self.iter().map(AppSummary::row));
    }
}
