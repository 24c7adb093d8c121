//! Kubernetes in memory: optimistic locking, finalizers and garbage collection, as far as a reconcile can tell.
//! What Kubernetes really does is tested on a real control plane.

use crate::backend::{Backend, Lost, Shared, effect, interleave};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use oauth_app_operator::cluster::{self, AppEvent, Cluster};
use oauth_app_operator::consumers::{RestartResult, StaleConsumers};
use oauth_app_operator::crd::{
    FINALIZER, IamConnection, IamConnectionStatus, OrgOAuthApp, OrgOAuthAppStatus, Workload,
};
use oauth_app_operator::decide::client_id;
use oauth_app_operator::secret::SecretWrite;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct ClusterState {
    apps: BTreeMap<String, OrgOAuthApp>,
    pub secrets: BTreeMap<String, Secret>,
    pub refuses_secrets: bool,
    /// Names of pods that use every Secret.
    pub pods: Vec<String>,
    version: u64,
}

impl ClusterState {
    pub fn apps(&self) -> Vec<OrgOAuthApp> {
        self.apps.values().cloned().collect()
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    pub fn apply(&mut self, name: &str, spec: Value) {
        let version = self.next_version();
        let app = json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp", "spec": spec,
            "metadata": {"name": name, "namespace": "team", "uid": format!("uid-{version}"), "generation": 1,
                         "resourceVersion": version, "creationTimestamp": Timestamp::UNIX_EPOCH},
        });
        self.apps.insert(name.into(), serde_json::from_value(app).unwrap());
    }

    pub fn change_spec(&mut self, name: &str, spec: Value) {
        let version = self.next_version();
        let Some(app) = self.apps.get_mut(name) else { return };
        let mut changed = serde_json::to_value(&app.spec).unwrap();
        changed.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let changed = serde_json::from_value(changed).unwrap();
        if app.spec != changed {
            app.spec = changed;
            app.metadata.generation = app.metadata.generation.map(|generation| generation + 1);
            app.metadata.resource_version = Some(version);
        }
    }

    pub fn annotate(&mut self, name: &str, annotation: &str, value: &str) {
        let version = self.next_version();
        let Some(app) = self.apps.get_mut(name) else { return };
        app.annotations_mut().insert(annotation.into(), value.into());
        app.metadata.resource_version = Some(version);
    }

    /// What a restore from a backup does.
    pub fn lose_status(&mut self, name: &str) {
        let version = self.next_version();
        let Some(app) = self.apps.get_mut(name) else { return };
        app.status = None;
        app.metadata.resource_version = Some(version);
    }

    /// What a restore into a new cluster does: the object is there, with another uid and without its status, and no Secret
    /// has an owner.
    pub fn restore(&mut self, name: &str) {
        let version = self.next_version();
        let Some(app) = self.apps.get_mut(name) else { return };
        for secret in self.secrets.values_mut() {
            let uid = app.uid();
            secret.owner_references_mut().retain(|owner| Some(&owner.uid) != uid.as_ref());
        }
        app.status = None;
        app.metadata.uid = Some(format!("uid-{version}"));
        app.metadata.resource_version = Some(version);
    }

    /// What somebody can do who may write status and metadata.
    pub fn forge(&mut self, name: &str, edit: impl FnOnce(&mut OrgOAuthApp)) {
        let version = self.next_version();
        let Some(app) = self.apps.get_mut(name) else { return };
        edit(app);
        app.metadata.resource_version = Some(version);
    }

    pub fn delete_app(&mut self, name: &str) {
        let version = self.next_version();
        let Some(app) = self.apps.get_mut(name) else { return };
        app.metadata.resource_version = Some(version);
        if app.metadata.deletion_timestamp.is_none() {
            app.metadata.generation = app.metadata.generation.map(|generation| generation + 1);
            app.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        }
        self.collect(name);
    }

    fn collect(&mut self, name: &str) {
        let app = &self.apps[name];
        if app.metadata.deletion_timestamp.is_some() && app.finalizers().is_empty() {
            let uid = app.uid().unwrap();
            self.secrets.retain(|_, secret| secret.owner_references().iter().all(|owner| owner.uid != uid));
            self.apps.remove(name);
        }
    }

    fn change(
        &mut self,
        observed: &OrgOAuthApp,
        edit: impl FnOnce(&mut OrgOAuthApp),
    ) -> Result<OrgOAuthApp, cluster::Error> {
        let version = self.next_version();
        let app = self.apps.get_mut(&observed.name_any()).ok_or(cluster::Error::Stale)?;
        if app.uid() != observed.uid() || app.resource_version() != observed.resource_version() {
            return Err(cluster::Error::Stale);
        }
        edit(app);
        app.metadata.resource_version = Some(version);
        let changed = app.clone();
        self.collect(&observed.name_any());
        Ok(changed)
    }

    fn accept(&self) -> Result<(), cluster::Error> {
        if self.refuses_secrets { Err(cluster::Error::Refused("quota".into())) } else { Ok(()) }
    }

    fn write(&mut self, write: SecretWrite) -> Result<Option<Secret>, cluster::Error> {
        self.accept()?;
        let version = self.next_version();
        let (mut secret, expected, remove) = match write {
            SecretWrite::Create(secret) => (secret, None, false),
            SecretWrite::Replace(secret) => (secret.clone(), Some(secret.resource_version()), false),
            SecretWrite::Recreate { old, new } => (*new, Some(old.resource_version()), false),
            SecretWrite::Delete(secret) => (secret.clone(), Some(secret.resource_version()), true),
        };
        let present = self.secrets.get(&secret.name_any()).map(ResourceExt::resource_version);
        if present != expected {
            return Err(cluster::Error::Stale);
        }
        if remove {
            self.secrets.remove(&secret.name_any());
            return Ok(None);
        }
        secret.metadata.resource_version = Some(version);
        self.secrets.insert(secret.name_any(), secret.clone());
        Ok(Some(secret))
    }
}

/// The port to it.
pub struct FakeCluster(Shared);

impl FakeCluster {
    pub fn new(shared: Shared) -> Self {
        Self(shared)
    }

    async fn write<T>(&self, act: impl FnOnce(&mut Backend) -> Result<T, cluster::Error>) -> Result<T, cluster::Error> {
        let done = effect(&self.0, act).await;
        done.unwrap_or_else(|Lost| Err(cluster::Error::Unavailable("lost".into())))
    }

    async fn read<T>(&self, look: impl FnOnce(&ClusterState) -> T) -> T {
        interleave(&self.0).await;
        look(&self.0.lock().unwrap().cluster)
    }
}

impl Cluster for FakeCluster {
    async fn read_app(&self, _: &str, name: &str) -> Result<Option<OrgOAuthApp>, cluster::Error> {
        Ok(self.read(|cluster| cluster.apps.get(name).cloned()).await)
    }

    async fn apps_with_id(&self, id: &str, _: &str) -> Result<Vec<OrgOAuthApp>, cluster::Error> {
        let claims = |app: &OrgOAuthApp| app.status.as_ref().and_then(|status| status.client_id.as_deref()) == Some(id);
        let named = |app: &OrgOAuthApp| client_id(app).0 == id || claims(app);
        Ok(self.read(|cluster| cluster.apps.values().filter(|app| named(app)).cloned().collect()).await)
    }

    async fn add_finalizer(&self, app: &OrgOAuthApp) -> Result<OrgOAuthApp, cluster::Error> {
        self.write(|o| o.cluster.change(app, |app| app.finalizers_mut().push(FINALIZER.into()))).await
    }

    async fn drop_finalizer(&self, app: &OrgOAuthApp) -> Result<(), cluster::Error> {
        self.write(|o| o.cluster.change(app, |app| app.finalizers_mut().clear()).map(drop)).await
    }

    async fn write_status(&self, app: &OrgOAuthApp, status: &OrgOAuthAppStatus) -> Result<OrgOAuthApp, cluster::Error> {
        self.write(|o| o.cluster.change(app, |app| app.status = Some(status.clone()))).await
    }

    async fn write_connection_status(&self, _: &IamConnection, _: &IamConnectionStatus) -> Result<(), cluster::Error> {
        Ok(())
    }

    async fn read_secret(&self, _: &str, name: &str) -> Result<Option<Secret>, cluster::Error> {
        Ok(self.read(|cluster| cluster.secrets.get(name).cloned()).await)
    }

    async fn write_secret(&self, write: SecretWrite) -> Result<Option<Secret>, cluster::Error> {
        self.write(|o| o.cluster.write(write)).await
    }

    async fn dry_run_secret(&self, _: SecretWrite) -> Result<(), cluster::Error> {
        self.read(|cluster| cluster.accept()).await
    }

    async fn pods_using(&self, _: &str, _: &[String]) -> Result<Vec<String>, cluster::Error> {
        Ok(self.read(|cluster| cluster.pods.clone()).await)
    }

    async fn stale_consumers(&self, _: &str, _: &str, _: Timestamp) -> Result<StaleConsumers, cluster::Error> {
        let mut stale = StaleConsumers::default();
        self.read(|cluster| cluster.pods.clone()).await.into_iter().for_each(|pod| stale.add(pod));
        Ok(stale)
    }

    async fn restart(&self, _: &str, _: &Workload, _: &str, _: Timestamp) -> Result<RestartResult, cluster::Error> {
        Ok(RestartResult::Missing)
    }

    async fn namespace_labels(&self, _: &str) -> Result<BTreeMap<String, String>, cluster::Error> {
        Ok(BTreeMap::new())
    }

    async fn publish_event(&self, _: &OrgOAuthApp, event: &AppEvent) {
        self.0.lock().unwrap().events.push(event.message.clone());
    }

    async fn publish_connection_event(&self, _: &IamConnection, _: &AppEvent) {}
}
