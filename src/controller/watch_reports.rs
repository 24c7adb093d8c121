//! Reports what watches find and no reconciliation can report: an object that cannot be read, and a resource that was deleted
//! after its finalizer had been removed. Each is a line of the log, and an Event and a status where that is possible.

use crate::cluster::AppEvent;
use crate::cluster::kubernetes::Kubernetes;
use crate::cluster::lenient::Unreadable;
use crate::crd::{Condition, ConditionStatus, ConditionType, IamConnection, OrgOAuthApp};
use crate::metrics::Metrics;
use crate::reason::Reason;
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use serde_json::json;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum WatchReport {
    Unreadable {
        regarding: ObjectReference,
        /// The field, and what is wrong with it.
        error: String,
        /// The message of its condition `Stalled`, if it has one.
        stalled: Option<String>,
    },
    /// The resource was deleted after someone else had removed its finalizer.
    FinalizerRemoved {
        regarding: ObjectReference,
        /// The client id of its app, where it is proven.
        client_id: Option<String>,
    },
}

impl WatchReport {
    pub(super) fn unreadable<K: Resource<DynamicType = ()>>(unreadable: &Unreadable) -> Self {
        Self::Unreadable {
            regarding: unreadable.object_ref::<K>(),
            error: unreadable.error.clone(),
            stalled: unreadable.stalled.clone(),
        }
    }
}

/// Sends reports to [`publish_all`].
#[derive(Clone)]
pub(super) struct Reporter(pub UnboundedSender<WatchReport>);

impl Reporter {
    pub(super) fn report(&self, report: WatchReport) {
        // Nothing is published any more during a shutdown.
        self.0.unbounded_send(report).ok();
    }
}

/// Publishes all reports, one after the other, so that many of them delay nothing else.
pub(super) async fn publish_all(
    kubernetes: &Kubernetes,
    metrics: &Metrics,
    mut reports: UnboundedReceiver<WatchReport>,
) {
    while let Some(report) = reports.next().await {
        match report {
            WatchReport::Unreadable { regarding, error, stalled } => {
                unreadable(kubernetes, regarding, &error, stalled).await
            }
            WatchReport::FinalizerRemoved { regarding, client_id } => {
                metrics.finalizer_removed();
                finalizer_removed(kubernetes, regarding, client_id).await;
            }
        }
    }
}

async fn finalizer_removed(kubernetes: &Kubernetes, app: ObjectReference, client_id: Option<String>) {
    let named = client_id.as_ref().map(|id| format!("app {id}"));
    let named = named.unwrap_or("its app, whose id nothing proves,".into());
    let message = format!(
        "The resource is gone, and somebody else had removed its finalizer: {named} was not deleted in the API and its Secret may be gone."
    );
    tracing::warn!(
        namespace = app.namespace,
        name = app.name,
        uid = app.uid,
        client_id,
        reason = "FinalizerRemoved",
        "{message}"
    );
    publish(kubernetes, app, Reason::FinalizerRemoved, message).await;
}

async fn unreadable(kubernetes: &Kubernetes, regarding: ObjectReference, error: &str, stalled: Option<String>) {
    let kind = &regarding.kind;
    let namespace = &regarding.namespace;
    let name = &regarding.name;
    tracing::warn!(kind, namespace, name, reason = "Unreadable", "an object cannot be read and is skipped: {error}");
    let message = format!("The operator cannot read this resource and skips it: {error}");
    let has_status = *kind == Some(OrgOAuthApp::kind(&()).into()) || *kind == Some(IamConnection::kind(&()).into());
    if has_status && stalled.as_ref() != Some(&message) {
        let conditions = json!(conditions(&message, Timestamp::now()));
        if let Err(error) = kubernetes.write_conditions(&regarding, &conditions).await {
            tracing::warn!(%error, namespace, name, "failed to write the status of an object that cannot be read");
        }
    }
    publish(kubernetes, regarding, Reason::Unreadable, message).await;
}

fn conditions(message: &str, now: Timestamp) -> [Condition; 3] {
    use ConditionType::{Ready, Reconciling, Stalled};
    [(Ready, ConditionStatus::False), (Reconciling, ConditionStatus::False), (Stalled, ConditionStatus::True)].map(
        |(kind, status)| Condition {
            r#type: kind,
            status,
            reason: Reason::Unreadable.as_str().into(),
            message: message.into(),
            observed_generation: None,
            last_transition_time: Time(now),
        },
    )
}

async fn publish(kubernetes: &Kubernetes, regarding: ObjectReference, reason: Reason, message: String) {
    kubernetes.publish_event_of(regarding, AppEvent { reason, message }).await;
}
