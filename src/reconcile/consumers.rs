//! Performs what is done about the consumers of a Secret, and records the results.
//! None of it fails a reconcile, unless Kubernetes does not answer.

use super::{Connections, Reconciliation};
use crate::cluster::{self, AppEvent, Cluster};
use crate::consumers::RestartResult;
use crate::crd::Workload;
use crate::reason::Reason;
use crate::secret::secret_name;
use k8s_openapi::jiff::Timestamp;

impl<C: Cluster, D: Connections> Reconciliation<'_, C, D> {
    pub(super) async fn find_stale_consumers(&mut self, until: Timestamp) -> Result<(), cluster::Error> {
        let secret = secret_name(&self.observed.app);
        match self.operator.cluster.stale_consumers(&self.identity.namespace, &secret, until).await {
            Ok(stale) => self.observed.observe_consumers(Some(stale)),
            Err(cluster::Error::Refused(message)) => {
                tracing::warn!("failed to list pods; retrying: {message}");
                self.observed.observe_consumers(None);
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    pub(super) async fn restart(&mut self, workload: Workload, since: Timestamp) -> Result<(), cluster::Error> {
        let secret = secret_name(&self.observed.app);
        let result = self.operator.cluster.restart(&self.identity.namespace, &workload, &secret, since).await?;
        if result == RestartResult::Restarted {
            self.record_event(Reason::ConsumersRestarted, format!("Restarted {workload}."));
        }
        self.observed.restarts.push((workload, result));
        Ok(())
    }

    /// Which restarts failed in this reconcile, and why.
    pub(super) fn not_restarted(&self) -> Option<AppEvent> {
        let secret = secret_name(&self.observed.app);
        let why = |(workload, result): &(Workload, RestartResult)| {
            result.failure(&secret).map(|why| format!("{workload} {why}"))
        };
        let failed: Vec<String> = self.observed.restarts.iter().filter_map(why).collect();
        let message = format!("workloads not restarted after the rotation: {}", failed.join("; "));
        let event = AppEvent { reason: Reason::ConsumersNotRestarted, message };
        (!failed.is_empty()).then_some(event)
    }
}
