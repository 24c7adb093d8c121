//! What others recorded of the operator: the calls at the simulator, the audit log of the API server, Events.

use super::TenantEnv;
use crate::cluster::{OPERATOR_USER, plane};
use control_plane::AuditRecord;
use iam_simulator::types::{AppView, CallFilter, Operation};
use serde_json::Value;

impl TenantEnv {
    /// How many calls of a kind the simulator has seen.
    pub(crate) async fn calls(&self, operation: Operation) -> u64 {
        self.control.count(&CallFilter::operation(operation)).await.unwrap()
    }

    /// How many calls the simulator has seen, those about tokens left out: a connection is verified without any app.
    pub(crate) async fn app_calls(&self) -> u64 {
        let calls = self.control.calls(&CallFilter::default()).await.unwrap();
        calls.iter().filter(|call| ![Operation::Token, Operation::ApiTokenDetails].contains(&call.operation)).count()
            as u64
    }

    pub(crate) async fn remote_app(&self, id: &str) -> Option<AppView> {
        self.control.app(self.flavor, id).await.unwrap()
    }

    /// What the API server recorded of this operator in this namespace.
    pub(crate) fn audit(&self, wanted: impl Fn(&AuditRecord) -> bool) -> Vec<AuditRecord> {
        let ours = |record: &AuditRecord| record.user == OPERATOR_USER && record.namespace == self.namespace;
        plane().audit(&self.namespace, |record| ours(record) && wanted(record)).unwrap()
    }

    /// The notes of the Events of a reason about an object.
    pub(crate) fn notes(&self, name: &str, reason: &str) -> Vec<String> {
        let events = plane().get(&["-n", &self.namespace, "events.events.k8s.io"]).unwrap();
        let about = |event: &&Value| event["regarding"]["name"] == name && event["reason"] == reason;
        let note = |event: &Value| event["note"].as_str().unwrap_or_default().to_owned();
        events["items"].as_array().unwrap().iter().filter(about).map(note).collect()
    }
}
