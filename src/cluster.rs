//! The port to Kubernetes: the few reads and writes that a reconciliation makes, and how they can fail.
//! `cluster::kubernetes` implements it; simulations bring their own.

#![warn(missing_docs)]

pub(crate) mod cached;
pub(crate) mod claim_key;
pub(crate) mod client;
pub(crate) mod kubernetes;
pub(crate) mod lenient;
pub(crate) mod watched;

use crate::consumers::{RestartResult, StaleConsumers};
use crate::crd::{IamConnection, IamConnectionStatus, OrgOAuthApp, OrgOAuthAppStatus, Workload};
use crate::reason::Reason;
use crate::secret::SecretWrite;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeMap;
use std::future::Future;

/// Why Kubernetes did not do as asked. Messages hold no secret value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The object was changed, deleted or created meanwhile: what was observed is stale.
    #[error("what was observed is stale")]
    Stale,
    /// Kubernetes refuses the write, in its words.
    #[error("{0}")]
    Refused(String),
    /// No usable answer.
    #[error("{0}")]
    Unavailable(String),
}

impl Error {
    /// The label `reason` of the metrics.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Stale => "Stale",
            Self::Refused(_) => "Refused",
            Self::Unavailable(_) => "Unavailable",
        }
    }
}

/// An Event about a resource or a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppEvent {
    /// Its reason.
    pub reason: Reason,
    /// Its note.
    pub message: String,
}

/// Kubernetes, as a reconciliation needs it.
pub trait Cluster: Send + Sync + 'static {
    /// Reads a resource past every cache.
    fn read_app(&self, namespace: &str, name: &str) -> impl Future<Output = Result<Option<OrgOAuthApp>, Error>> + Send;

    /// Lists the resources that may have this client id, as outlines without their large fields. Resources with
    /// this `spec.id` are read past every cache; those with a derived id are in the store of the watch. `asking` is the namespace
    /// that the request is charged to.
    fn apps_with_id(&self, id: &str, asking: &str) -> impl Future<Output = Result<Vec<OrgOAuthApp>, Error>> + Send;

    /// Adds the finalizer if the resource is still as it was observed.
    fn add_finalizer(&self, app: &OrgOAuthApp) -> impl Future<Output = Result<OrgOAuthApp, Error>> + Send;

    /// Removes the finalizer; a resource that is gone already is a success.
    fn drop_finalizer(&self, app: &OrgOAuthApp) -> impl Future<Output = Result<(), Error>> + Send;

    /// Writes status if the resource is still as it was observed.
    fn write_status(
        &self,
        app: &OrgOAuthApp,
        status: &OrgOAuthAppStatus,
    ) -> impl Future<Output = Result<OrgOAuthApp, Error>> + Send;

    /// Writes the status of a connection.
    fn write_connection_status(
        &self,
        connection: &IamConnection,
        status: &IamConnectionStatus,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Reads a Secret.
    fn read_secret(&self, namespace: &str, name: &str) -> impl Future<Output = Result<Option<Secret>, Error>> + Send;

    /// Performs a write that the guard of Secrets permitted, and returns the Secret as it now is, if there is one.
    fn write_secret(&self, write: SecretWrite) -> impl Future<Output = Result<Option<Secret>, Error>> + Send;

    /// Asks whether Kubernetes would take such a write; nothing is written.
    fn dry_run_secret(&self, write: SecretWrite) -> impl Future<Output = Result<(), Error>> + Send;

    /// The names of the pods that mount one of these Secrets or refer to it, finished ones left out.
    fn pods_using(
        &self,
        namespace: &str,
        secrets: &[String],
    ) -> impl Future<Output = Result<Vec<String>, Error>> + Send;

    /// The pods whose containers took their value of a Secret at a start up to that time, and run on with it.
    fn stale_consumers(
        &self,
        namespace: &str,
        secret: &str,
        until: Timestamp,
    ) -> impl Future<Output = Result<StaleConsumers, Error>> + Send;

    /// Restarts the pods of a workload, unless they were restarted since, and only if its pod template uses the Secret.
    fn restart(
        &self,
        namespace: &str,
        workload: &Workload,
        secret: &str,
        since: Timestamp,
    ) -> impl Future<Output = Result<RestartResult, Error>> + Send;

    /// The labels of a namespace.
    fn namespace_labels(&self, namespace: &str)
    -> impl Future<Output = Result<BTreeMap<String, String>, Error>> + Send;

    /// Publishes an Event; a failure to do so is only logged.
    fn publish_event(&self, app: &OrgOAuthApp, event: &AppEvent) -> impl Future<Output = ()> + Send;

    /// Publishes an Event about a connection, in the namespace `default`; a failure to do so is only logged.
    fn publish_connection_event(&self, connection: &IamConnection, event: &AppEvent)
    -> impl Future<Output = ()> + Send;
}
