//! One look at a connection: check it, and report its status if that changed.
//! The same as a pass over a resource, but nothing is ever done to a connection.

use super::{Connections, Operator};
use crate::cluster::{Cluster, ClusterFault};
use crate::crd::{AppCounts, ConditionStatus, ConditionType, IamConnectionStatus};
use crate::status::{self, Users};

impl<C: Cluster, D: Connections> Operator<C, D> {
    /// Looks at the connection of that name and says whether it is Ready. `counts` go into its status, if there are any.
    ///
    /// # Errors
    /// When Kubernetes does not take the status.
    pub async fn look_at_connection(
        &self,
        name: &str,
        users: &Users,
        counts: Option<AppCounts>,
    ) -> Result<bool, ClusterFault> {
        let Some(connection) = self.connections.find(name) else { return Ok(false) };
        let checked = self.connections.check(&connection, users.org.as_ref()).await;
        let status = status::of_connection(&connection, &checked, counts, self.now());
        if connection.status.as_ref() != Some(&status) {
            self.cluster.write_connection_status(&connection, &status).await?;
        }
        Ok(is_ready(&status))
    }
}

fn is_ready(status: &IamConnectionStatus) -> bool {
    status.conditions.iter().any(|c| c.r#type == ConditionType::Ready && c.status == ConditionStatus::True)
}
