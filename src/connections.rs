//! The `IamConnection`s of the cluster and the HTTP services behind them.
//! A endpoint lives as long as its connection's spec and certificate authority, with its gate; each identity that uses it
//! has tokens of its own, and credentials are read when asked for.

mod sources;

use crate::cluster::watched::Watched;
use crate::crd::{CredentialSource, IamConnection, OrgOAuthApp};
use crate::decide::{Blocked, client_id};
use crate::fair_queue::Flow;
use crate::iam::http::{Endpoint, HttpIam};
use crate::iam::{self, ClientId, LoadCredentials, ManagedIds, OrgId, Settings, TokenClaims};
use crate::keyed::PrunedMap;
use crate::lease::guard::LeadershipGuard;
use crate::metrics::{Meter, Metrics};
use crate::reason::Reason;
use crate::reconcile::Connections;
use futures::FutureExt;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt};
use sources::{Kept, Sources, Unread};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The result of a check of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// Whether it can be used.
    pub health: ConnectionHealth,
    /// When its credentials end.
    pub expiry: Expiry,
}

impl CheckResult {
    /// Where nothing is known of the end of the credentials.
    pub fn without_expiry(health: ConnectionHealth) -> Self {
        Self { health, expiry: Expiry::NotKnown }
    }
}

/// Whether a connection can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionHealth {
    /// The API gave an access token for the credentials, which says this.
    Accepted(TokenClaims),
    /// Each namespace brings credentials of its own.
    ByEachNamespace,
    /// The API could not be asked yet, for want of an organization.
    NotAsked,
    /// The API gives no usable answer.
    Unreachable(String),
    /// It could not be found out now: the API asks to wait, or Kubernetes gave no usable answer.
    Delayed(String),
    /// The API gives no token for the only organization that it could be asked about.
    Undecided(String),
    /// A person must change something.
    Wrong(Blocked),
}

/// When credentials end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// No annotation or token tells it.
    NotKnown,
    /// Then.
    At {
        /// The Secret that holds them.
        what: String,
        /// The end.
        at: Timestamp,
    },
    /// The annotation that tells it cannot be parsed.
    Unreadable(String),
}

/// The tokens and lists of a tenant that nobody asks for are forgotten after so long.
const IDLE: Duration = Duration::from_secs(3600);

/// The connections that a watch keeps current.
pub struct ClusterConnections {
    sources: Sources,
    store: Store<IamConnection>,
    metrics: Arc<Metrics>,
    guard: LeadershipGuard,
    open: Mutex<HashMap<String, Opened>>,
    watched: Arc<OnceLock<Watched>>,
}

/// A endpoint, what it was made from, and by namespace the identities that use it; the operator's own has none.
struct Opened {
    version: Version,
    ca_pem: Option<Vec<u8>>,
    endpoint: Endpoint,
    identities: PrunedMap<Option<String>, Identity>,
}

struct Identity {
    iam: HttpIam,
    used: Instant,
}

type Version = (Option<String>, Option<i64>);

impl ClusterConnections {
    /// Secrets and ConfigMaps that connections name are read in `namespace`, the operator's own. No call is made once the
    /// guard is closed.
    pub fn new(
        client: Client,
        namespace: String,
        store: Store<IamConnection>,
        metrics: Arc<Metrics>,
        guard: LeadershipGuard,
    ) -> Self {
        let (open, watched) = (Mutex::default(), Arc::default());
        Self { sources: Sources::new(client, namespace), store, metrics, guard, open, watched }
    }

    /// From now on the watched resources tell which apps are managed, and the namespaces whether they are being deleted.
    pub fn watch(&self, watched: Watched) {
        self.watched.get_or_init(|| watched);
    }

    /// The apps that resources of a connection name, by organization.
    fn managed(&self, connection: &IamConnection) -> ManagedIds {
        let (watched, name) = (self.watched.clone(), connection.name_any());
        Arc::new(move |org| {
            let all = watched.get().into_iter().flat_map(Watched::apps);
            let is_of_org = |app: &OrgOAuthApp| app.spec.org_id == org.0 && app.spec.connection_ref.name == name;
            all.filter(|app| is_of_org(app.outline())).map(|app| known_id(app.outline())).collect()
        })
    }

    /// The identity for a tenant, or the operator's own, if the endpoint is open.
    fn opened(&self, connection: &IamConnection, tenant: Option<&str>) -> Option<HttpIam> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = open.get_mut(&connection.name_any()).filter(|opened| opened.version == version(connection))?;
        let tenant = tenant.map(str::to_owned);
        let (kept, now) = (Kept::of(connection, tenant.clone()).ok()?, Instant::now());
        let owner = tenant.clone().map_or(Flow::Operator, Flow::Namespace);
        let (endpoint, kind, managed) = (opened.endpoint.clone(), kept.kind(), self.managed(connection));
        let new = || Identity { iam: HttpIam::new(endpoint, kind, self.load(kept), managed, owner), used: now };
        let identity = opened.identities.get_or_insert_with(tenant, new, |_, identity| now < identity.used + IDLE);
        identity.used = now;
        Some(identity.iam.clone())
    }

    /// Makes the endpoint; of several that are made at once one stays, so that all share its gate.
    async fn build(&self, connection: &IamConnection) -> Result<(), String> {
        let spec = &connection.spec;
        let endpoint = spec.endpoint.parse().map_err(|error| format!("spec.endpoint: {error}"))?;
        let ca_pem = self.ca_pem(connection).await.map_err(|unread| unread.to_string())?;
        Kept::of(connection, None)?;
        let max_in_flight = spec.limits.max_in_flight.into();
        let requests_per_second = spec.limits.requests_per_second.and_then(NonZeroU32::new);
        let endpoint = Endpoint::new(&Settings {
            api: spec.api,
            endpoint,
            ca_pem: ca_pem.clone(),
            max_in_flight,
            requests_per_second,
            timeout: spec.limits.timeout.get(),
            meter: Meter::new(self.metrics.clone(), connection.name_any()),
            guard: self.guard.clone(),
        })?;
        let opened = Opened { version: version(connection), ca_pem, endpoint, identities: PrunedMap::default() };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(&connection.name_any()).is_none_or(|kept| kept.version != opened.version) {
            open.insert(connection.name_any(), opened);
        }
        Ok(())
    }

    async fn ca_pem(&self, connection: &IamConnection) -> Result<Option<Vec<u8>>, Unread> {
        match &connection.spec.ca_bundle {
            Some(bundle) => self.sources.ca(bundle).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads the Secret whenever a token is needed, so that replaced credentials are picked up. In a namespace that is being
    /// deleted the Secret may go before the apps, whose deletion needs what it held.
    fn load(&self, kept: Kept) -> LoadCredentials {
        let (sources, watched, last) = (self.sources.clone(), self.watched.clone(), Arc::new(Mutex::new(None)));
        Arc::new(move || {
            let (sources, kept, watched, last) = (sources.clone(), kept.clone(), watched.clone(), last.clone());
            async move {
                let loaded = sources.credentials(&kept).await;
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                match loaded {
                    Ok(loaded) => Ok(last.insert(loaded.credentials).clone()),
                    Err(unread) => {
                        let terminating = |namespace| watched.get().is_some_and(|w| is_terminating(w, namespace));
                        let held = last.clone().filter(|_| kept.tenant().is_some_and(terminating));
                        held.ok_or_else(|| unread.to_string())
                    }
                }
            }
            .boxed()
        })
    }

    /// A changed certificate authority has the endpoint made again.
    async fn renew_ca(&self, connection: &IamConnection) -> Result<(), Unread> {
        let ca_pem = self.ca_pem(connection).await?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(&connection.name_any()).is_some_and(|opened| opened.ca_pem != ca_pem) {
            open.remove(&connection.name_any());
        }
        Ok(())
    }
}

impl Connections for ClusterConnections {
    type Iam = HttpIam;

    fn find(&self, name: &str) -> Option<Arc<IamConnection>> {
        self.store.get(&ObjectRef::new(name))
    }

    async fn open(&self, connection: &IamConnection, namespace: &str) -> Result<Arc<HttpIam>, Blocked> {
        let tenant = match connection.spec.credentials.source {
            CredentialSource::Operator => None,
            CredentialSource::Tenant => Some(namespace),
        };
        let on_behalf = |iam: HttpIam| Arc::new(iam.on_behalf_of(Flow::Namespace(namespace.to_owned())));
        if let Some(iam) = self.opened(connection, tenant) {
            return Ok(on_behalf(iam));
        }
        self.build(connection).await.map_err(|error| cannot_be_used(connection, &error))?;
        let iam = self.opened(connection, tenant);
        iam.map(on_behalf).ok_or_else(|| cannot_be_used(connection, "it changed meanwhile"))
    }

    async fn check(&self, connection: &IamConnection, org: Option<&OrgId>) -> CheckResult {
        if let Err(unread) = self.renew_ca(connection).await {
            return CheckResult::without_expiry(unread.health(Reason::ConnectionInvalid));
        }
        match connection.spec.credentials.source {
            CredentialSource::Tenant => match self.open(connection, "").await {
                Ok(_) => CheckResult::without_expiry(ConnectionHealth::ByEachNamespace),
                Err(blocked) => CheckResult::without_expiry(ConnectionHealth::Wrong(blocked)),
            },
            CredentialSource::Operator => self.check_own(connection, org).await,
        }
    }
}

impl ClusterConnections {
    async fn check_own(&self, connection: &IamConnection, org: Option<&OrgId>) -> CheckResult {
        let iam = match self.open(connection, "").await {
            Ok(iam) => iam,
            Err(blocked) => return CheckResult::without_expiry(ConnectionHealth::Wrong(blocked)),
        };
        let loaded = match Kept::of(connection, None) {
            Ok(kept) => self.sources.credentials(&kept).await,
            Err(error) => {
                return CheckResult::without_expiry(ConnectionHealth::Wrong(cannot_be_used(connection, &error)));
            }
        };
        match loaded {
            Ok(loaded) => {
                let answer = iam.check(org, &loaded.credentials).await;
                let health = answer.map_or(ConnectionHealth::NotAsked, |answer| health_of(answer, &loaded.what));
                CheckResult { health, expiry: loaded.expiry }
            }
            Err(unread) => {
                CheckResult { health: unread.health(Reason::CredentialsUnavailable), expiry: Expiry::NotKnown }
            }
        }
    }
}

fn health_of(answer: Result<TokenClaims, iam::Error>, secret: &str) -> ConnectionHealth {
    match answer {
        Ok(claims) => ConnectionHealth::Accepted(claims),
        Err(iam::Error::Unavailable(message)) => ConnectionHealth::Unreachable(message),
        Err(iam::Error::Throttled { .. }) => ConnectionHealth::Delayed("the API asks to wait".into()),
        Err(iam::Error::Forbidden(message) | iam::Error::WrongOrganization(message)) => {
            ConnectionHealth::Undecided(message)
        }
        Err(
            iam::Error::Credentials(message)
            | iam::Error::NotFound(message)
            | iam::Error::Conflict(message)
            | iam::Error::Rejected(message),
        ) => ConnectionHealth::Wrong(Blocked::new(
            Reason::CredentialsUnavailable,
            format!("{message}; put the right credentials into {secret}"),
        )),
    }
}

/// Whether the namespace is being deleted, with everything in it.
fn is_terminating(watched: &Watched, namespace: &str) -> bool {
    watched.namespace(namespace).is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some())
}

/// The client id that a resource has, as far as can be told without its Secret.
fn known_id(app: &OrgOAuthApp) -> ClientId {
    let recorded = app.status.as_ref().and_then(|status| status.client_id.clone());
    recorded.map_or_else(|| client_id(app), ClientId)
}

fn cannot_be_used(connection: &IamConnection, error: &str) -> Blocked {
    let message = format!("IamConnection {} cannot be used: {error}", connection.name_any());
    Blocked::new(Reason::ConnectionInvalid, message)
}

fn version(connection: &IamConnection) -> Version {
    (connection.uid(), connection.metadata.generation)
}
