//! The port to Kubernetes over its API: each method is one request to the API server, bounded in time.
//! Writes carry the `resourceVersion` that was observed, so that a race ends in a refusal.

mod consumers;
mod events;
mod pods;
mod removed_finalizers;
mod requests;

pub(crate) use removed_finalizers::RemovedFinalizers;

use super::cached::outline;
use super::lenient::Lenient;
use super::watched::Watched;
use super::{AppEvent, Cluster, Error};
use crate::consumers::{RestartResult, StaleConsumers};
use crate::crd::{
    FIELD_MANAGER, FINALIZER, IamConnection, IamConnectionStatus, OrgOAuthApp, OrgOAuthAppStatus, Workload,
};
use crate::lease::guard::LeadershipGuard;
use crate::metrics::{self, Metrics, Read};
use crate::secret::SecretWrite;
use events::Events;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions, Request};
use kube::{Api, Client, Resource, ResourceExt};
use pods::PodSecrets;
use requests::{Requests, readable};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many resources with the same id are kept of a list.
const MAX_SAME_ID: usize = 256;

/// A connection to the API server.
pub(crate) struct Kubernetes {
    client: Client,
    requests: Requests,
    events: Events,
    watched: Watched,
    removed_finalizers: Arc<RemovedFinalizers>,
}

pub(crate) struct RequestOptions<'a> {
    pub(crate) max_kubernetes_requests: usize,
    /// The name of this process.
    pub(crate) identity: &'a str,
    /// Nothing is asked or written once it is closed.
    pub(crate) guard: LeadershipGuard,
}

impl Kubernetes {
    /// With what the watches know. `removed_finalizers` is shared with the watch of the resources.
    pub(crate) fn new(
        client: Client,
        options: RequestOptions<'_>,
        watched: Watched,
        removed_finalizers: Arc<RemovedFinalizers>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let requests = Requests::new(options.max_kubernetes_requests, metrics, options.guard);
        let events = Events::new(client.clone(), requests.clone(), options.identity);
        Self { client, requests, events, watched, removed_finalizers }
    }

    /// Publishes an Event about any object.
    pub(crate) async fn publish_event_of(&self, regarding: ObjectReference, event: AppEvent) {
        self.events.publish(regarding, event).await;
    }

    /// Writes these conditions of an object of which nothing else is known.
    pub(crate) async fn write_conditions(&self, of: &ObjectReference, conditions: &Value) -> Result<(), Error> {
        let body = json!({"metadata": {"uid": of.uid}, "status": {"conditions": conditions}});
        let name = of.name.clone().unwrap_or_default();
        let params = patch_params();
        let patch = Patch::Merge(&body);
        match &of.namespace {
            Some(namespace) => {
                let api = self.apps(namespace);
                let patch = api.patch_status(&name, &params, &patch);
                let requests = self.requests.of(Some(namespace));
                requests.write(metrics::Resource::OrgOAuthAppsStatus, patch).await.map(drop)
            }
            None => {
                let api: Api<Lenient<IamConnection>> = Api::all(self.client.clone());
                let patch = api.patch_status(&name, &params, &patch);
                self.requests.write(metrics::Resource::IamConnectionsStatus, patch).await.map(drop)
            }
        }
    }

    fn apps(&self, namespace: &str) -> Api<Lenient<OrgOAuthApp>> {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn patch(&self, app: &OrgOAuthApp, subresource: Option<&str>, body: Value) -> Result<OrgOAuthApp, Error> {
        let api = self.apps(app.namespace_any());
        let requests = self.requests.of(app.namespace().as_deref());
        let name = app.name_any();
        let params = patch_params();
        let patch = Patch::Merge(&body);
        let answer = match subresource {
            None => requests.write(metrics::Resource::OrgOAuthApps, api.patch(&name, &params, &patch)).await,
            Some(_) => {
                let patch = api.patch_status(&name, &params, &patch);
                requests.write(metrics::Resource::OrgOAuthAppsStatus, patch).await
            }
        };
        answer.and_then(readable)
    }

    async fn create_secret(&self, secret: Secret, dry_run: bool) -> Result<Secret, Error> {
        let namespace = secret.namespace().unwrap_or_default();
        let api = self.secrets(&namespace);
        let params = post_params(dry_run);
        let secret = Lenient(Ok(secret));
        let request = api.create(&params, &secret);
        self.write_or_try(&namespace, request, dry_run).await
    }

    async fn replace_secret(&self, secret: Secret, dry_run: bool) -> Result<Secret, Error> {
        let namespace = secret.namespace().unwrap_or_default();
        let api = self.secrets(&namespace);
        let name = secret.name_any();
        let params = post_params(dry_run);
        let secret = Lenient(Ok(secret));
        let request = api.replace(&name, &params, &secret);
        self.write_or_try(&namespace, request, dry_run).await
    }

    async fn write_or_try(
        &self,
        namespace: &str,
        request: impl Future<Output = kube::Result<Lenient<Secret>>>,
        dry_run: bool,
    ) -> Result<Secret, Error> {
        let requests = self.requests.of(Some(namespace));
        let answer = if dry_run {
            requests.try_write(metrics::Resource::Secrets, request).await
        } else {
            requests.write(metrics::Resource::Secrets, request).await
        };
        answer.and_then(readable)
    }

    async fn delete_secret(&self, secret: &Secret) -> Result<(), Error> {
        let api = self.secrets(&secret.namespace().unwrap_or_default());
        let as_seen = Preconditions { uid: secret.uid(), resource_version: secret.resource_version() };
        let params = DeleteParams::default().preconditions(as_seen);
        let name = secret.name_any();
        let requests = self.requests.of(secret.namespace().as_deref());
        requests.write(metrics::Resource::Secrets, api.delete(&name, &params)).await.map(drop)
    }

    /// As JSON, since what the API server stores is not always what types hold.
    async fn read_workload(&self, namespace: &str, workload: &Workload) -> Result<Option<Value>, Error> {
        let requests = Request::new(consumers::path(workload.kind, namespace));
        let read = async {
            let request = requests.get(&workload.name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
            match self.client.request::<Value>(request).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
                answer => answer.map(Some),
            }
        };
        self.requests.of(Some(namespace)).call(read).await
    }

    async fn patch_workload(&self, namespace: &str, workload: &Workload, body: &Value) -> Result<(), Error> {
        let requests = Request::new(consumers::path(workload.kind, namespace));
        let patch = async {
            let request = requests.patch(&workload.name, &patch_params(), &Patch::Merge(body));
            self.client.request::<Value>(request.map_err(kube::Error::BuildRequest)?).await
        };
        self.requests.of(Some(namespace)).write(workload.kind.into(), patch).await.map(drop)
    }

    fn secrets(&self, namespace: &str) -> Api<Lenient<Secret>> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// The uid beside the `resourceVersion` keeps a write from a namesake that was created again.
fn observed(app: &OrgOAuthApp) -> Value {
    json!({"resourceVersion": app.metadata.resource_version, "uid": app.metadata.uid})
}

fn post_params(dry_run: bool) -> PostParams {
    PostParams { dry_run, field_manager: Some(FIELD_MANAGER.into()) }
}

fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() }
}

/// Of many that chose the same id only those with a claim, and some that may be older, have to be known.
fn add_same_id(found: &mut Vec<OrgOAuthApp>, Lenient(app): Lenient<OrgOAuthApp>) {
    let has_claim = |app: &OrgOAuthApp| app.status.as_ref().is_some_and(|status| status.claim.is_some());
    let app = app.ok().filter(|app| found.len() < MAX_SAME_ID || has_claim(app));
    found.extend(app.map(outline));
}

impl Cluster for Kubernetes {
    async fn read_app(&self, namespace: &str, name: &str) -> Result<Option<OrgOAuthApp>, Error> {
        let requests = self.requests.of(Some(namespace));
        requests.read(Read::GetApp, self.apps(namespace).get_opt(name)).await?.map(readable).transpose()
    }

    async fn apps_with_id(&self, id: &str, asking: &str) -> Result<Vec<OrgOAuthApp>, Error> {
        let params = ListParams::default().fields(&format!("spec.id={id}"));
        let apis = match self.watched.scopes.as_slice() {
            [] => vec![Api::all(self.client.clone())],
            scopes => scopes.iter().map(|scope| self.apps(scope)).collect(),
        };
        let mut found = Vec::new();
        for api in &apis {
            let requests = self.requests.of(Some(asking));
            requests.list(Read::ListApps, api, params.clone(), |app| add_same_id(&mut found, app)).await?;
        }
        for store in &self.watched.apps {
            // Resources with this `spec.id` are in the lists already.
            let others =
                store.state_filter(|app| app.outline().spec.id.as_deref() != Some(id) && app.has_client_id(id));
            found.extend(others.iter().map(|app| outline(app.outline().clone())));
        }
        Ok(found)
    }

    async fn add_finalizer(&self, app: &OrgOAuthApp) -> Result<OrgOAuthApp, Error> {
        let mut metadata = observed(app);
        let finalizers = app.finalizers().iter().map(String::as_str).chain([FINALIZER]);
        metadata["finalizers"] = finalizers.collect();
        self.patch(app, None, json!({"metadata": metadata})).await
    }

    async fn drop_finalizer(&self, app: &OrgOAuthApp) -> Result<(), Error> {
        let mut metadata = observed(app);
        metadata["finalizers"] = app.finalizers().iter().filter(|name| *name != FINALIZER).cloned().collect();
        self.removed_finalizers.remember(app.uid_any().to_owned());
        match self.patch(app, None, json!({"metadata": metadata})).await {
            Ok(_) => Ok(()),
            Err(Error::Stale) => match self.read_app(app.namespace_any(), &app.name_any()).await? {
                Some(present) if present.uid() == app.uid() => Err(Error::Stale),
                Some(_) | None => Ok(()),
            },
            Err(error) => {
                if let Error::Refused(_) = error {
                    self.removed_finalizers.take(app.uid_any());
                }
                Err(error)
            }
        }
    }

    async fn write_status(&self, app: &OrgOAuthApp, status: &OrgOAuthAppStatus) -> Result<OrgOAuthApp, Error> {
        self.patch(app, Some("status"), json!({"metadata": observed(app), "status": status})).await
    }

    async fn write_connection_status(
        &self,
        connection: &IamConnection,
        status: &IamConnectionStatus,
    ) -> Result<(), Error> {
        let api: Api<Lenient<IamConnection>> = Api::all(self.client.clone());
        let body = json!({"metadata": {"uid": connection.metadata.uid}, "status": status});
        let name = connection.name_any();
        let params = patch_params();
        let patch = Patch::Merge(&body);
        let patch = api.patch_status(&name, &params, &patch);
        self.requests.write(metrics::Resource::IamConnectionsStatus, patch).await.map(drop)
    }

    async fn read_secret(&self, namespace: &str, name: &str) -> Result<Option<Secret>, Error> {
        let requests = self.requests.of(Some(namespace));
        requests.read(Read::GetSecret, self.secrets(namespace).get_opt(name)).await?.map(readable).transpose()
    }

    async fn write_secret(&self, write: SecretWrite) -> Result<Option<Secret>, Error> {
        match write {
            SecretWrite::Create(secret) => self.create_secret(secret, false).await.map(Some),
            SecretWrite::Replace(secret) => self.replace_secret(secret, false).await.map(Some),
            SecretWrite::Recreate { old, new } => {
                self.delete_secret(&old).await?;
                // The old Secret is deleted already, so a transient error is retried here and not left to the next reconciliation.
                match self.create_secret((*new).clone(), false).await {
                    Err(Error::Unavailable(_)) => self.create_secret(*new, false).await.map(Some),
                    answer => answer.map(Some),
                }
            }
            SecretWrite::Delete(secret) => self.delete_secret(&secret).await.map(|()| None),
        }
    }

    async fn dry_run_secret(&self, write: SecretWrite) -> Result<(), Error> {
        match write {
            SecretWrite::Create(secret) => self.create_secret(secret, true).await.map(drop),
            SecretWrite::Replace(secret) => self.replace_secret(secret, true).await.map(drop),
            // Its name is taken by the old one, so nothing can be tried.
            SecretWrite::Recreate { .. } | SecretWrite::Delete(_) => Ok(()),
        }
    }

    async fn pods_using(&self, namespace: &str, secrets: &[String]) -> Result<Vec<String>, Error> {
        let api: Api<PodSecrets> = Api::namespaced(self.client.clone(), namespace);
        let mut names = Vec::new();
        let mut add = |pod: PodSecrets| names.extend(pod.uses(secrets).then(|| pod.name_any()));
        self.requests.of(Some(namespace)).list(Read::ListPods, &api, ListParams::default(), &mut add).await?;
        Ok(names)
    }

    async fn stale_consumers(&self, namespace: &str, secret: &str, until: Timestamp) -> Result<StaleConsumers, Error> {
        let api: Api<PodSecrets> = Api::namespaced(self.client.clone(), namespace);
        let mut stale = StaleConsumers::default();
        let mut add = |pod: PodSecrets| {
            if pod.took(secret, until) {
                stale.add(pod.name_any());
            }
        };
        self.requests.of(Some(namespace)).list(Read::ListPods, &api, ListParams::default(), &mut add).await?;
        Ok(stale)
    }

    async fn restart(
        &self,
        namespace: &str,
        workload: &Workload,
        secret: &str,
        since: Timestamp,
    ) -> Result<RestartResult, Error> {
        let read = match self.read_workload(namespace, workload).await {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(RestartResult::Missing),
            Err(Error::Refused(message)) => return Ok(RestartResult::Forbidden(message)),
            Err(error) => return Err(error),
        };
        if let Some(result) = consumers::no_restart(&read, secret, since) {
            return Ok(result);
        }
        match self.patch_workload(namespace, workload, &consumers::restart(&read, since)).await {
            Ok(()) => Ok(RestartResult::Restarted),
            Err(Error::Refused(message)) => Ok(RestartResult::Refused(message)),
            Err(error) => Err(error),
        }
    }

    async fn namespace_labels(&self, namespace: &str) -> Result<BTreeMap<String, String>, Error> {
        let found = self.watched.namespace(namespace);
        // A resource that is observed before its namespace: the watch of namespaces lags.
        Ok(found.ok_or(Error::Stale)?.metadata.labels.clone().unwrap_or_default())
    }

    async fn publish_event(&self, app: &OrgOAuthApp, event: &AppEvent) {
        let regarding = ObjectReference { resource_version: app.resource_version(), ..app.object_ref(&()) };
        self.events.publish(regarding, event.clone()).await;
    }

    async fn publish_connection_event(&self, connection: &IamConnection, event: &AppEvent) {
        let regarding =
            ObjectReference { resource_version: connection.resource_version(), ..connection.object_ref(&()) };
        self.events.publish(regarding, event.clone()).await;
    }
}
