//! The `IamConnection`s that a watch keeps current, and the HTTP services behind them. An endpoint, with its rate limiter,
//! lives as long as its connection's spec and certificate authority; each identity that uses it has tokens of its own.

use super::credentials::{CredentialLocation, InvalidError, ReadError, SecretReader};
use super::{CheckResult, ConnectionHealth, Connections, Expiry, SpecVersion};
use crate::cluster::watched::Watched;
use crate::crd::{CredentialSource, IamConnection};
use crate::fair_queue::Flow;
use crate::given::Given;
use crate::iam::flavor::flavor;
use crate::iam::http::{Endpoint, HttpIam, SettingsError};
use crate::iam::{
    self, ConnectionCredentials, CredentialsExpiry, LoadCredentials, ManagedIds, OrgId, Settings, TokenClaims,
};
use crate::keyed::PrunedMap;
use crate::lease::guard::LeadershipGuard;
use crate::metrics::{ConnectionMetrics, Metrics};
use crate::reason::{Blocked, Reason};
use futures::FutureExt;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The tokens and lists of a tenant are forgotten when they were not used for so long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

pub(crate) struct WatchedConnections {
    reader: SecretReader,
    store: Store<IamConnection>,
    unreadable: Arc<UnreadableConnections>,
    watched: Watched,
    metrics: Arc<Metrics>,
    guard: LeadershipGuard,
    opened: Mutex<HashMap<String, Opened>>,
}

/// The names of the connections that exist and cannot be read, which are not in the store.
#[derive(Debug, Default)]
pub(crate) struct UnreadableConnections(Mutex<HashSet<String>>);

impl UnreadableConnections {
    pub(crate) fn set(&self, name: &str, is_unreadable: bool) {
        if is_unreadable {
            self.names().insert(name.to_owned());
        } else {
            self.names().remove(name);
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names().contains(name)
    }

    fn names(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An endpoint, what it was made from, and by namespace the identities that use it; the operator's own has none.
struct Opened {
    version: SpecVersion,
    ca_pem: Option<Vec<u8>>,
    endpoint: Endpoint,
    identities: PrunedMap<Option<String>, Identity>,
}

struct Identity {
    iam: HttpIam,
    used: Instant,
}

/// Why the service behind a connection cannot be opened, to be read after the name of the connection.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("spec.endpoint: {0}")]
    Endpoint(#[from] url::ParseError),
    #[error(transparent)]
    CaBundle(#[from] ReadError),
    #[error(transparent)]
    Credentials(#[from] InvalidError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("{api} takes client credentials only; set spec.credentials.clientCredentials")]
    CredentialsKind { api: &'static str },
    #[error("it changed meanwhile")]
    Changed,
}

impl WatchedConnections {
    /// Secrets and ConfigMaps that connections name are read in `namespace`, the operator's own. The watched resources tell
    /// which apps are managed, and the namespaces whether they are being deleted. No call is made once the guard is closed.
    pub(crate) fn new(
        client: Client,
        namespace: String,
        store: Store<IamConnection>,
        unreadable: Arc<UnreadableConnections>,
        watched: Watched,
        metrics: Arc<Metrics>,
        guard: LeadershipGuard,
    ) -> Self {
        let reader = SecretReader::new(client, namespace, metrics.clone());
        Self { reader, store, unreadable, watched, metrics, guard, opened: Mutex::default() }
    }

    /// With Secrets and ConfigMaps that take the place of those of the cluster.
    pub(crate) fn with_given(self, given: Given) -> Self {
        Self { reader: self.reader.with_given(given), ..self }
    }

    /// The apps that resources of a connection name, by organization.
    fn managed_ids(&self, connection: &IamConnection) -> ManagedIds {
        let (watched, name) = (self.watched.clone(), connection.name_any());
        Arc::new(move |org| {
            let all = watched.apps().filter(|app| {
                let spec = &app.outline().spec;
                spec.org_id == org.0 && spec.connection_ref.name == name
            });
            all.flat_map(|app| app.client_ids()).collect()
        })
    }

    /// The identity for a tenant, or the operator's own, if the endpoint is open.
    fn identity(&self, connection: &IamConnection, tenant: Option<&str>) -> Option<HttpIam> {
        let tenant = tenant.map(str::to_owned);
        let location = CredentialLocation::of(connection, tenant.clone()).ok()?;
        let mut opened = self.opened();
        let opened =
            opened.get_mut(&connection.name_any()).filter(|opened| opened.version == SpecVersion::of(connection))?;
        let (endpoint, now) = (opened.endpoint.clone(), Instant::now());
        let owner = tenant.clone().map_or(Flow::Operator, Flow::Namespace);
        let new = || {
            let (kind, managed) = (location.kind(), self.managed_ids(connection));
            Identity { iam: HttpIam::new(endpoint, kind, self.load(location), managed, owner), used: now }
        };
        let is_used = |_: &_, identity: &Identity| now < identity.used + IDLE_TIMEOUT;
        let identity = opened.identities.get_or_insert_with(tenant, new, is_used);
        identity.used = now;
        Some(identity.iam.clone())
    }

    /// Makes the endpoint; of several that are made at once one stays, so that all share its rate limiter. Those of connections
    /// that are gone are closed.
    async fn build(&self, connection: &IamConnection) -> Result<(), OpenError> {
        let limits = &connection.spec.limits;
        let endpoint = connection.spec.endpoint.parse()?;
        let ca_pem = self.ca_pem(connection).await?;
        let flavor = flavor(connection.spec.api);
        if !flavor.accepts(CredentialLocation::of(connection, None)?.kind()) {
            return Err(OpenError::CredentialsKind { api: flavor.name() });
        }
        let settings = Settings {
            api: connection.spec.api,
            endpoint,
            ca_pem: ca_pem.clone(),
            max_in_flight: limits.max_in_flight.into(),
            requests_per_second: limits.requests_per_second.and_then(NonZeroU32::new),
            timeout: connection.spec.limits.timeout.get(),
            metrics: ConnectionMetrics::new(self.metrics.clone(), connection.name_any()),
            guard: self.guard.clone(),
        };
        let endpoint = Endpoint::new(&settings)?;
        let new = Opened { version: SpecVersion::of(connection), ca_pem, endpoint, identities: PrunedMap::default() };
        let mut opened = self.opened();
        opened.retain(|name, _| self.find(name).is_some());
        if opened.get(&connection.name_any()).is_none_or(|opened| opened.version != new.version) {
            opened.insert(connection.name_any(), new);
        }
        Ok(())
    }

    async fn ca_pem(&self, connection: &IamConnection) -> Result<Option<Vec<u8>>, ReadError> {
        match &connection.spec.ca_bundle {
            Some(bundle) => self.reader.ca_bundle(bundle).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads the Secret whenever a token is needed, so that replaced credentials are used at once. In a namespace that is being
    /// deleted the Secret may go before the apps, whose deletion needs what it held.
    fn load(&self, location: CredentialLocation) -> LoadCredentials {
        let (reader, watched, last) = (self.reader.clone(), self.watched.clone(), Arc::new(Mutex::new(None)));
        Arc::new(move || {
            let (reader, location, watched, last) = (reader.clone(), location.clone(), watched.clone(), last.clone());
            async move {
                let loaded = reader.credentials(&location).await;
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                match loaded {
                    Ok(loaded) => Ok(last.insert(loaded.credentials).clone()),
                    Err(error) => {
                        let is_terminating = location.tenant().is_some_and(|tenant| watched.is_terminating(tenant));
                        last.clone().filter(|_| is_terminating).ok_or_else(|| error.into())
                    }
                }
            }
            .boxed()
        })
    }

    /// Closes the endpoint if its certificate authority was replaced.
    async fn reload_ca(&self, connection: &IamConnection) -> Result<(), ReadError> {
        let ca_pem = self.ca_pem(connection).await?;
        let mut opened = self.opened();
        if opened.get(&connection.name_any()).is_some_and(|opened| opened.ca_pem != ca_pem) {
            opened.remove(&connection.name_any());
        }
        Ok(())
    }

    async fn check_own(&self, connection: &IamConnection, org: Option<&OrgId>) -> CheckResult {
        let iam = match self.open(connection, "").await {
            Ok(iam) => iam,
            Err(blocked) => return CheckResult::without_expiry(ConnectionHealth::Wrong(blocked)),
        };
        let loaded = match CredentialLocation::of(connection, None) {
            Ok(location) => self.reader.credentials(&location).await,
            Err(error) => {
                let blocked = cannot_be_used(connection, &error.into());
                return CheckResult::without_expiry(ConnectionHealth::Wrong(blocked));
            }
        };
        match loaded {
            Ok(loaded) => {
                let answer = iam.check(org, &loaded.credentials).await;
                let secret = loaded.secret.to_string();
                let expiry = match (loaded.expiry, &answer) {
                    (Expiry::NotKnown, Some(Ok(_))) => expiry_by_api(&iam, &loaded.credentials, &secret).await,
                    // Credentials that are not accepted now may have expired.
                    (Expiry::NotKnown, Some(Err(_))) => Expiry::NotRead,
                    (expiry, _) => expiry,
                };
                let health = answer.map_or(ConnectionHealth::NotAsked, |answer| health_of_answer(answer, &secret));
                CheckResult { health, expiry }
            }
            Err(error) => CheckResult::without_expiry(health_of_read_error(&error, Reason::CredentialsUnavailable)),
        }
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<String, Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections for WatchedConnections {
    type Iam = HttpIam;

    fn find(&self, name: &str) -> Option<Arc<IamConnection>> {
        self.store.get(&ObjectRef::new(name))
    }

    fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.contains(name)
    }

    async fn open(&self, connection: &IamConnection, namespace: &str) -> Result<Arc<HttpIam>, Blocked> {
        let tenant = match connection.spec.credentials.source {
            CredentialSource::Operator => None,
            CredentialSource::Tenant => Some(namespace),
        };
        let on_behalf = |iam: HttpIam| Arc::new(iam.on_behalf_of(Flow::Namespace(namespace.to_owned())));
        if let Some(iam) = self.identity(connection, tenant) {
            return Ok(on_behalf(iam));
        }
        self.build(connection).await.map_err(|error| cannot_be_used(connection, &error))?;
        let iam = self.identity(connection, tenant);
        iam.map(on_behalf).ok_or_else(|| cannot_be_used(connection, &OpenError::Changed))
    }

    async fn check(&self, connection: &IamConnection, org: Option<&OrgId>) -> CheckResult {
        if let Err(error) = self.reload_ca(connection).await {
            return CheckResult::without_expiry(health_of_read_error(&error, Reason::ConnectionInvalid));
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

async fn expiry_by_api(iam: &HttpIam, credentials: &ConnectionCredentials, secret: &str) -> Expiry {
    match iam.credentials_expiry(credentials).await {
        CredentialsExpiry::At(at) => Expiry::At { what: secret.to_owned(), at },
        CredentialsExpiry::NotKnown => Expiry::NotKnown,
        CredentialsExpiry::NotRead => Expiry::NotRead,
    }
}

fn health_of_read_error(error: &ReadError, reason: Reason) -> ConnectionHealth {
    match error {
        ReadError::Invalid(error) => ConnectionHealth::Wrong(Blocked::new(reason, error.to_string())),
        ReadError::Transient(error) => ConnectionHealth::Delayed(error.to_string()),
    }
}

pub(crate) fn health_of_answer(answer: Result<TokenClaims, iam::Error>, secret: &str) -> ConnectionHealth {
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

fn cannot_be_used(connection: &IamConnection, error: &OpenError) -> Blocked {
    let message = format!("IamConnection {} cannot be used: {error}", connection.name_any());
    Blocked::new(Reason::ConnectionInvalid, message)
}
