//! What a reconciliation would do, found out by one that does nothing: the API is only read, since its policy plans instead, and
//! what would be written to Kubernetes is kept in memory. Reads are real.

use crate::claim::ClaimKey;
use crate::cluster::{AppEvent, Cluster, Error};
use crate::connections::{CheckResult, Connections};
use crate::consumers::{RestartResult, StaleConsumers};
use crate::crd::{FINALIZER, IamConnection, IamConnectionStatus, OrgOAuthApp, OrgOAuthAppStatus, Workload};
use crate::given::{Given, Undecodable};
use crate::iam::OrgId;
use crate::outcome::Outcome;
use crate::reason::Blocked;
use crate::reconcile::{Clock, GenerateSecret, Operator};
use crate::secret::SecretWrite;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What would be done to one resource.
#[derive(Clone, Debug)]
pub struct Preview {
    /// How the reconciliation would end, with the plan for the API.
    pub outcome: Outcome,
    /// What would be written of Secrets, in its order.
    pub secrets: Vec<SecretChange>,
}

/// What would be done to a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretChange {
    /// The name of the Secret.
    pub name: String,
    /// What would be done.
    pub kind: SecretChangeKind,
    /// The keys of what would be written.
    pub keys: Vec<String>,
}

/// What would be done to a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretChangeKind {
    Create,
    Update,
    Delete,
}

/// What previews share.
pub struct Previews<C, D> {
    cluster: Arc<C>,
    connections: Arc<D>,
    claim_key: ClaimKey,
    clock: Clock,
    generate_secret: GenerateSecret,
    given: Given,
    only_given: BTreeSet<String>,
}

impl<C: Cluster, D: Connections> Previews<C, D> {
    /// With the key that signs claims, the clock, and the source of new secrets.
    pub fn new(cluster: C, connections: D, claim_key: ClaimKey, clock: Clock, generate_secret: GenerateSecret) -> Self {
        let (cluster, connections) = (Arc::new(cluster), Arc::new(connections));
        let (given, only_given) = (Given::default(), BTreeSet::new());
        Self { cluster, connections, claim_key, clock, generate_secret, given, only_given }
    }

    /// With Secrets that take the place of those of the cluster. The connections `only_given` are used with no others.
    pub(crate) fn with_given(self, given: Given, only_given: BTreeSet<String>) -> Self {
        Self { given, only_given, ..self }
    }

    /// Finds out what would be done to a resource as it is given; it need not exist.
    ///
    /// # Errors
    /// When Kubernetes does not answer, or refuses a read.
    pub async fn preview(&self, app: OrgOAuthApp) -> Result<Preview, Error> {
        let (cluster, given) = (self.cluster.clone(), self.given.clone());
        let is_only_given = self.only_given.contains(&app.spec.connection_ref.name);
        let overlay = Overlay { cluster, app: app.clone(), given, is_only_given, state: Mutex::default() };
        let operator = Operator::new(
            overlay,
            Shared(self.connections.clone()),
            self.claim_key.clone(),
            self.clock.clone(),
            self.generate_secret.clone(),
            Arc::default(),
        );
        let operator = operator.previewing();
        let outcome = operator.reconcile(app).await?;
        let secrets = std::mem::take(&mut operator.cluster.state().changes);
        Ok(Preview { outcome, secrets })
    }
}

/// The connections, with the caches that all previews share.
struct Shared<D>(Arc<D>);

impl<D: Connections> Connections for Shared<D> {
    type Iam = D::Iam;

    fn find(&self, name: &str) -> Option<Arc<IamConnection>> {
        self.0.find(name)
    }

    fn is_unreadable(&self, name: &str) -> bool {
        self.0.is_unreadable(name)
    }

    async fn open(&self, connection: &IamConnection, namespace: &str) -> Result<Arc<D::Iam>, Blocked> {
        self.0.open(connection, namespace).await
    }

    async fn check(&self, connection: &IamConnection, org: Option<&OrgId>) -> CheckResult {
        self.0.check(connection, org).await
    }
}

/// Kubernetes as it would be.
struct Overlay<C> {
    cluster: Arc<C>,
    /// The resource, as it was given.
    app: OrgOAuthApp,
    given: Given,
    /// Whether no value of a Secret of the cluster may get to the connection.
    is_only_given: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The Secrets that would be written, by name; `None` for one that would be deleted.
    secrets: HashMap<String, Option<Secret>>,
    changes: Vec<SecretChange>,
    /// So that each write has a version of its own.
    version: usize,
}

impl<C> Overlay<C> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, write: SecretWrite) -> Option<Secret> {
        let (secret, kind) = match write {
            SecretWrite::Create(secret) => (secret, SecretChangeKind::Create),
            SecretWrite::Replace(secret) => (secret, SecretChangeKind::Update),
            SecretWrite::Recreate { old: _, new } => (*new, SecretChangeKind::Update),
            SecretWrite::Delete(secret) => (secret, SecretChangeKind::Delete),
        };
        let name = secret.name_any();
        let keys = secret.data.iter().flat_map(BTreeMap::keys).cloned().collect();
        self.changes.push(SecretChange { name: name.clone(), kind, keys });
        let written = match kind {
            SecretChangeKind::Create | SecretChangeKind::Update => Some(self.stored(secret)),
            SecretChangeKind::Delete => None,
        };
        self.secrets.insert(name, written.clone());
        written
    }

    /// With what the API server gives to each object.
    fn stored(&mut self, mut secret: Secret) -> Secret {
        self.version += 1;
        secret.metadata.resource_version = Some(format!("preview-{}", self.version));
        secret.metadata.uid.get_or_insert_with(|| format!("preview-{}", self.version));
        secret
    }
}

impl<C: Cluster> Cluster for Overlay<C> {
    async fn read_app(&self, _: &str, _: &str) -> Result<Option<OrgOAuthApp>, Error> {
        Ok(Some(self.app.clone()))
    }

    async fn apps_with_id(&self, id: &str, asking: &str) -> Result<Vec<OrgOAuthApp>, Error> {
        self.cluster.apps_with_id(id, asking).await
    }

    async fn add_finalizer(&self, app: &OrgOAuthApp) -> Result<OrgOAuthApp, Error> {
        let mut app = app.clone();
        app.finalizers_mut().push(FINALIZER.into());
        Ok(app)
    }

    async fn drop_finalizer(&self, _: &OrgOAuthApp) -> Result<(), Error> {
        Ok(())
    }

    async fn write_status(&self, app: &OrgOAuthApp, status: &OrgOAuthAppStatus) -> Result<OrgOAuthApp, Error> {
        Ok(OrgOAuthApp { status: Some(status.clone()), ..app.clone() })
    }

    async fn write_connection_status(&self, _: &IamConnection, _: &IamConnectionStatus) -> Result<(), Error> {
        Ok(())
    }

    async fn read_secret(&self, namespace: &str, name: &str) -> Result<Option<Secret>, Error> {
        let written = self.state().secrets.get(name).cloned();
        if let Some(written) = written {
            return Ok(written);
        }
        let unavailable = |why| Err(Error::Unavailable(format!("Secret {namespace}/{name} {why}")));
        match self.given.read("Secret", namespace, name) {
            Ok(None) => {}
            Ok(given) => return Ok(given),
            Err(Undecodable) => return unavailable("of the manifests cannot be read"),
        }
        match self.cluster.read_secret(namespace, name).await? {
            Some(_) if self.is_only_given => {
                unavailable("of the cluster is not used with a connection that is not its own")
            }
            found => Ok(found),
        }
    }

    async fn write_secret(&self, write: SecretWrite) -> Result<Option<Secret>, Error> {
        Ok(self.state().write(write))
    }

    async fn dry_run_secret(&self, _: SecretWrite) -> Result<(), Error> {
        Ok(())
    }

    async fn pods_using(&self, namespace: &str, secrets: &[String]) -> Result<Vec<String>, Error> {
        self.cluster.pods_using(namespace, secrets).await
    }

    async fn stale_consumers(&self, namespace: &str, secret: &str, until: Timestamp) -> Result<StaleConsumers, Error> {
        self.cluster.stale_consumers(namespace, secret, until).await
    }

    async fn restart(&self, _: &str, _: &Workload, _: &str, _: Timestamp) -> Result<RestartResult, Error> {
        Ok(RestartResult::Restarted)
    }

    async fn namespace_labels(&self, namespace: &str) -> Result<BTreeMap<String, String>, Error> {
        self.cluster.namespace_labels(namespace).await
    }

    async fn publish_event(&self, _: &OrgOAuthApp, _: &AppEvent) {}

    async fn publish_connection_event(&self, _: &IamConnection, _: &AppEvent) {}
}
