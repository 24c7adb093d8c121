//! The real cluster: each method of the port is one request to the API server, bounded in time.
//! Writes carry the `resourceVersion` that was seen, so that a race ends in a refusal.

mod pods;

use super::{Cluster, ClusterFault, Happening};
use crate::crd::{
    DERIVED_ID, FIELD_MANAGER, FINALIZER, IamConnection, IamConnectionStatus, OrgOAuthApp, OrgOAuthAppStatus,
};
use crate::credentials::SecretWrite;
use crate::fence::Fence;
use crate::metrics::{self, Metrics, Written};
use crate::text::clean;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// No single request may take longer: kube itself sets no read timeout.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The most bytes of a message of Kubernetes that are quoted.
const QUOTED: usize = 1000;

/// A connection to the API server.
pub struct Kubernetes {
    client: Client,
    recorder: Recorder,
    places: Semaphore,
    namespaces: Vec<String>,
    labels: Vec<Store<PartialObjectMeta<Namespace>>>,
    metrics: Arc<Metrics>,
    fence: Fence,
}

impl Kubernetes {
    /// At most `concurrency` requests are under way at once. Empty `namespaces` means all; `labels` are kept current.
    /// Nothing is asked or written once the fence is closed.
    pub fn new(
        client: Client,
        concurrency: usize,
        namespaces: Vec<String>,
        labels: Vec<Store<PartialObjectMeta<Namespace>>>,
        metrics: Arc<Metrics>,
        fence: Fence,
    ) -> Self {
        let reporter = Reporter { controller: FIELD_MANAGER.into(), instance: None };
        let recorder = Recorder::new(client.clone(), reporter);
        Self { client, recorder, places: Semaphore::new(concurrency), namespaces, labels, metrics, fence }
    }

    async fn call<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, ClusterFault> {
        let _place = self.places.acquire().await;
        match self.fence.guard(tokio::time::timeout(REQUEST_TIMEOUT, request)).await {
            Some(Ok(answer)) => answer.map_err(fault),
            // Another replica may act by now upon what it sees.
            None => Err(ClusterFault::Stale),
            Some(Err(_)) => Err(ClusterFault::Unavailable("the Kubernetes API server did not answer in time".into())),
        }
    }

    async fn write<T>(
        &self,
        what: metrics::Resource,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ClusterFault> {
        let answer = self.call(request).await;
        self.metrics.wrote(
            what,
            match &answer {
                Ok(_) => Written::Ok,
                Err(ClusterFault::Stale) => Written::Stale,
                Err(ClusterFault::Refused(_)) => Written::Refused,
                Err(ClusterFault::Unavailable(_)) => Written::Unavailable,
            },
        );
        answer
    }

    async fn patch(
        &self,
        app: &OrgOAuthApp,
        subresource: Option<&str>,
        body: Value,
    ) -> Result<OrgOAuthApp, ClusterFault> {
        let api: Api<OrgOAuthApp> = Api::namespaced(self.client.clone(), &app.namespace().unwrap_or_default());
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let (name, patch) = (app.name_any(), Patch::Merge(&body));
        match subresource {
            None => self.write(metrics::Resource::OrgOAuthApps, api.patch(&name, &params, &patch)).await,
            Some(_) => {
                self.write(metrics::Resource::OrgOAuthAppsStatus, api.patch_status(&name, &params, &patch)).await
            }
        }
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// The uid beside the `resourceVersion` keeps a write from a namesake that was created anew.
fn seen(app: &OrgOAuthApp) -> Value {
    json!({"resourceVersion": app.metadata.resource_version, "uid": app.metadata.uid})
}

/// The message may come from a webhook or a policy, so it is cleaned.
fn fault(error: kube::Error) -> ClusterFault {
    match error {
        kube::Error::Api(status) => match status.code {
            404 | 409 => ClusterFault::Stale,
            400 | 403 | 405 | 422 => ClusterFault::Refused(clean(&status.message, QUOTED)),
            _ => ClusterFault::Unavailable(clean(&status.message, QUOTED)),
        },
        other => ClusterFault::Unavailable(clean(&other.to_string(), QUOTED)),
    }
}

impl Cluster for Kubernetes {
    async fn read_app(&self, namespace: &str, name: &str) -> Result<Option<OrgOAuthApp>, ClusterFault> {
        let api: Api<OrgOAuthApp> = Api::namespaced(self.client.clone(), namespace);
        self.call(api.get_opt(name)).await
    }

    async fn apps_with_id(&self, id: &str) -> Result<Vec<OrgOAuthApp>, ClusterFault> {
        // A derived id stands in no field that can be asked for.
        let params = match id.starts_with(DERIVED_ID) {
            true => ListParams::default(),
            false => ListParams::default().fields(&format!("spec.id={id}")),
        };
        let mut found = Vec::new();
        if self.namespaces.is_empty() {
            let api: Api<OrgOAuthApp> = Api::all(self.client.clone());
            found.extend(self.call(api.list(&params)).await?);
        }
        for namespace in &self.namespaces {
            let api: Api<OrgOAuthApp> = Api::namespaced(self.client.clone(), namespace);
            found.extend(self.call(api.list(&params)).await?);
        }
        Ok(found)
    }

    async fn add_finalizer(&self, app: &OrgOAuthApp) -> Result<OrgOAuthApp, ClusterFault> {
        let mut metadata = seen(app);
        let finalizers = app.finalizers().iter().map(String::as_str).chain([FINALIZER]);
        metadata["finalizers"] = finalizers.collect();
        self.patch(app, None, json!({"metadata": metadata})).await
    }

    async fn drop_finalizer(&self, app: &OrgOAuthApp) -> Result<(), ClusterFault> {
        let mut metadata = seen(app);
        metadata["finalizers"] = app.finalizers().iter().filter(|name| *name != FINALIZER).cloned().collect();
        match self.patch(app, None, json!({"metadata": metadata})).await {
            Ok(_) => Ok(()),
            Err(ClusterFault::Stale) => {
                let namespace = app.namespace().unwrap_or_default();
                match self.read_app(&namespace, &app.name_any()).await? {
                    Some(present) if present.uid() == app.uid() => Err(ClusterFault::Stale),
                    Some(_) | None => Ok(()),
                }
            }
            Err(fault) => Err(fault),
        }
    }

    async fn write_status(&self, app: &OrgOAuthApp, status: &OrgOAuthAppStatus) -> Result<OrgOAuthApp, ClusterFault> {
        self.patch(app, Some("status"), json!({"metadata": seen(app), "status": status})).await
    }

    async fn write_connection_status(
        &self,
        connection: &IamConnection,
        status: &IamConnectionStatus,
    ) -> Result<(), ClusterFault> {
        let api: Api<IamConnection> = Api::all(self.client.clone());
        let body = json!({"metadata": {"uid": connection.metadata.uid}, "status": status});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let (name, patch) = (connection.name_any(), Patch::Merge(&body));
        self.write(metrics::Resource::IamConnectionsStatus, api.patch_status(&name, &params, &patch)).await.map(drop)
    }

    async fn read_secret(&self, namespace: &str, name: &str) -> Result<Option<Secret>, ClusterFault> {
        self.call(self.secrets(namespace).get_opt(name)).await
    }

    async fn write_secret(&self, write: SecretWrite) -> Result<Option<Secret>, ClusterFault> {
        let params = PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.into()) };
        match write {
            SecretWrite::Create(secret) => {
                let api = self.secrets(&secret.namespace().unwrap_or_default());
                self.write(metrics::Resource::Secrets, api.create(&params, &secret)).await.map(Some)
            }
            SecretWrite::Replace(secret) => {
                let api = self.secrets(&secret.namespace().unwrap_or_default());
                let name = secret.name_any();
                self.write(metrics::Resource::Secrets, api.replace(&name, &params, &secret)).await.map(Some)
            }
            SecretWrite::Delete(secret) => {
                let api = self.secrets(&secret.namespace().unwrap_or_default());
                let as_seen = Preconditions { uid: secret.uid(), resource_version: secret.resource_version() };
                let params = DeleteParams::default().preconditions(as_seen);
                let name = secret.name_any();
                self.write(metrics::Resource::Secrets, api.delete(&name, &params)).await.map(|_| None)
            }
        }
    }

    async fn pods_using(&self, namespace: &str, secret: &str) -> Result<Vec<String>, ClusterFault> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let pods = self.call(api.list(&ListParams::default())).await?;
        Ok(pods.iter().filter(|pod| pods::uses(pod, secret)).map(ResourceExt::name_any).collect())
    }

    async fn namespace_labels(&self, namespace: &str) -> Result<BTreeMap<String, String>, ClusterFault> {
        let found = self.labels.iter().find_map(|store| store.get(&ObjectRef::new(namespace)));
        // A resource that is seen before its namespace: the watch of namespaces lags.
        Ok(found.ok_or(ClusterFault::Stale)?.metadata.labels.clone().unwrap_or_default())
    }

    async fn tell(&self, app: &OrgOAuthApp, happening: &Happening) {
        let event = Event {
            type_: if happening.warning { EventType::Warning } else { EventType::Normal },
            reason: happening.reason.as_str().into(),
            note: Some(happening.message.chars().take(1000).collect()),
            action: "Reconcile".into(),
            secondary: None,
        };
        let reference = app.object_ref(&());
        let publish = self.recorder.publish(&event, &reference);
        if let Err(error) = self.write(metrics::Resource::Events, publish).await {
            tracing::warn!(%error, reason = happening.reason.as_str(), "could not publish an Event");
        }
    }
}
