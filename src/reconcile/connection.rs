//! One reconciliation of a connection: check it, and report its status if that changed.
//! Nothing else is written: a connection is checked, never changed.

use super::panic::{caught, internal_error};
use super::{Connections, Operator};
use crate::cluster::{self, Cluster};
use crate::connections::{CheckResult, ConnectionHealth};
use crate::crd::{AppCounts, Condition, ConditionStatus, ConditionType, IamConnection, IamConnectionStatus};
use crate::iam::OrgId;
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
            log(&connection.name_any(), connection.status.as_ref(), &status);
        }
        Ok(status.condition(ConditionType::Ready).is_some_and(|ready| ready.status == ConditionStatus::True))
    }
}

/// One line for each change of the condition Ready.
fn log(connection: &str, before: Option<&IamConnectionStatus>, after: &IamConnectionStatus) {
    let state = |condition: &Condition| (condition.status, condition.reason.clone());
    let before = before.and_then(|before| before.condition(ConditionType::Ready)).map(state);
    let Some(now) = after.condition(ConditionType::Ready).filter(|now| before != Some(state(now))) else { return };
    let (reason, message) = (&now.reason, &now.message);
    match now.status {
        ConditionStatus::True => tracing::info!(connection, reason, "{message}"),
        ConditionStatus::False | ConditionStatus::Unknown => tracing::warn!(connection, reason, "{message}"),
    }
}
