//! A control plane, a simulator and any number of operators, and what all who use them do: wait, and see why something is not so.
//! It knows neither what is installed nor who calls the API; both are up to the one that made it.

use std::sync::Arc;
use std::time::Duration;

use control_plane::ControlPlane;
use iam_simulator::client::Control;
use iam_simulator::types::CallFilter;

use crate::{Backend, Error, Operator, Wait};

/// How many calls a report shows.
const CALLS: usize = 20;

/// Everything that runs.
pub struct TestEnv {
    // Dropped in this order: clients before the servers that they call.
    /// The operators: none at first.
    pub operators: Vec<Operator>,
    pub control: Control,
    pub backend: Backend,
    /// The control plane, of one's own or shared with other tests.
    pub cluster: Arc<ControlPlane>,
    /// The namespace that reports are about; all of them without it.
    pub namespace: Option<String>,
}

impl TestEnv {
    /// Without an operator.
    pub fn new(cluster: Arc<ControlPlane>, backend: Backend) -> Self {
        Self { operators: Vec::new(), control: backend.control(), backend, cluster, namespace: None }
    }

    /// On a control plane of its own, which has nothing installed, with a simulator that knows nothing.
    ///
    /// # Errors
    /// When the control plane does not start.
    pub fn start() -> Result<Self, Error> {
        Ok(Self::new(Arc::new(ControlPlane::start()?), Backend::spawn()))
    }

    /// The first operator, where there is only one.
    ///
    /// # Panics
    /// When there is none.
    pub fn operator(&self) -> &Operator {
        &self.operators[0]
    }

    /// SIGTERM to every operator; they are forgotten.
    ///
    /// # Errors
    /// When one does not run, or fails.
    pub fn stop_operators(&mut self) -> Result<(), Error> {
        for operator in self.operators.drain(..) {
            if !operator.stop()?.success() {
                return Err(Error::Ended { log: operator.log_tail() });
            }
        }
        Ok(())
    }

    /// Looks until it holds.
    ///
    /// # Errors
    /// When it does not within the limit; the error has a [`Self::report`].
    pub async fn until(&self, limit: Duration, what: &str, holds: impl AsyncFnMut() -> bool) -> Result<(), Error> {
        if Wait::up_to(limit).until(holds).await {
            return Ok(());
        }
        Err(Error::TimedOut { what: what.to_owned(), after: limit, report: self.report().await })
    }

    /// What helps to understand why something is not so: the resources, the last calls and the end of each log.
    pub async fn report(&self) -> String {
        let scope = self.namespace.as_ref().map_or_else(|| "-A".to_owned(), |namespace| format!("-n={namespace}"));
        let resources = self.cluster.kubectl(&["get", "iamc,ooa", &scope, "-o=yaml"]);
        let resources = resources.unwrap_or_else(|error| error.to_string());
        let calls = self.control.calls(&CallFilter::default()).await.unwrap_or_default();
        let calls = calls.iter().rev().take(CALLS);
        let calls = calls.map(|call| format!("{:?} {:?} {:?}\n", call.operation, call.status, call.fault));
        let logs = self
            .operators
            .iter()
            .map(|operator| format!("the end of {}:\n{}\n", operator.log_file().display(), operator.log_tail()));
        format!("{resources}\ncalls, newest first:\n{}{}", calls.collect::<String>(), logs.collect::<String>())
    }
}
