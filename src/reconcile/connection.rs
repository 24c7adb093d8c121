//! One reconciliation of a connection: check it, and report its status if that changed, with an Event and a line of the log.
//! Nothing else is written: a connection is checked, never changed.

use super::panic::{caught, internal_error};
use super::{Connections, Operator};
use crate::cluster::{self, AppEvent, Cluster};
use crate::connections::{CheckResult, ConnectionHealth};
use crate::crd::{AppCounts, ConditionStatus, ConditionType, IamConnection};
use crate::iam::OrgId;
use crate::reason::Severity;
use crate::status;
use kube::ResourceExt;

impl<C: Cluster, D: Connections> Operator<C, D> {
    /// Checks a connection and returns whether it is Ready. `org` is that of a resource which uses it; `counts` go into its
    /// status, if there are any.
    ///
    /// # Errors
    /// When Kubernetes does not take the status.
    pub(crate) async fn reconcile_connection(
        &self,
        connection: &IamConnection,
        org: Option<&OrgId>,
        counts: Option<AppCounts>,
    ) -> Result<bool, cluster::Error> {
        let checked = match caught(self.connections.check(connection, org)).await {
            Some(checked) => checked,
            None => {
                self.metrics.panicked();
                CheckResult::without_expiry(ConnectionHealth::Wrong(internal_error()))
            }
        };
        let status = status::of_connection(connection, &checked, counts, self.now());
        if connection.status.as_ref() != Some(&status) {
            self.cluster.write_connection_status(connection, &status).await?;
            for event in status::connection_events(connection.status.as_ref(), &status) {
                log(&connection.name_any(), &event);
                self.cluster.publish_connection_event(connection, &event).await;
            }
        }
        Ok(status.condition(ConditionType::Ready).is_some_and(|ready| ready.status == ConditionStatus::True))
    }
}

fn log(connection: &str, AppEvent { reason, message }: &AppEvent) {
    match reason.severity() {
        Severity::Normal => tracing::info!(connection, reason = reason.as_str(), "{message}"),
        Severity::Warning => tracing::warn!(connection, reason = reason.as_str(), "{message}"),
    }
}
