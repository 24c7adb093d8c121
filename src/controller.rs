//! Watches, and the queue of passes: which resource is looked at when, and how many at once.
//! What a pass does is `reconcile`'s business; here is only its timing, so that no resource delays another.

mod admission;
mod affected;
mod attempts;
mod connections;
mod ending;
mod notices;
mod pace;
mod start;
mod watches;

use crate::backoff;
use crate::claim::ClaimKey;
use crate::cluster;
use crate::cluster::cached::CachedApp;
use crate::cluster::kubernetes::{Asking, Kubernetes, Released};
use crate::cluster::watched::{NamespaceMeta, Watched};
use crate::connections::Connections;
use crate::connections::watched::WatchedConnections;
use crate::crd::{IamConnection, OrgOAuthApp};
use crate::decide::{Outcome, recorded_deadline};
use crate::iam::ClientSecret;
use crate::lease::guard::LeadershipGuard;
use crate::metrics::Metrics;
use crate::reason::Reason;
use crate::reconcile::{ObservedSecrets, Operator};
use crate::secret::client_secret;
use admission::Admission;
use affected::Affected;
use attempts::Attempts;
use connections::{RecheckRequests, run_connection_controller};
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::future::{self, BoxFuture, join_all};
use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use notices::Notices;
use pace::Pace;
use std::convert::Infallible;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument;
use watches::{Change, Listeners, Shared, Waking, requests};

/// A pass that is still not over then is cut; what it had done is found out by the next one.
const PASS_TIMEOUT: Duration = Duration::from_secs(300);
const DEFAULT_RESYNC: Duration = Duration::from_secs(600);

/// What the controllers of a process are to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Closed once this process may do nothing any more.
    pub guard: LeadershipGuard,
    /// The name of this process, which no other one has.
    pub identity: String,
    /// Where the Secrets are that connections name.
    pub operator_namespace: String,
    /// Namespaces to watch; all when empty.
    pub watch_namespaces: Vec<String>,
    /// Whether the Secrets of resources are watched there.
    pub watch_secrets: bool,
    /// Requests to the Kubernetes API server under way at once.
    pub concurrency: usize,
}

/// What every pass of the process shares.
struct Context {
    operator: Arc<Operator<Kubernetes, WatchedConnections>>,
    admission: Admission,
    pace: Pace,
    attempts: Attempts,
    rechecks: RecheckRequests,
}

/// Runs until `shutdown`, then ends when the passes under way have ended. Calls `synced` when all watches have
/// provided their first list.
pub async fn run(
    client: Client,
    settings: Settings,
    claim_key: ClaimKey,
    metrics: Arc<Metrics>,
    synced: impl FnOnce(),
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let (notices, to_say) = unbounded();
    let shared = Shared::new(&client, Notices(notices), &metrics, &claim_key);
    let (watches, futures) = Watches::all(&shared, &settings);
    let mut watching = tokio::spawn(join_all(futures));
    let watched = watches.watched(&settings);
    metrics.watch(watched.apps.clone(), watches.connections.clone());
    let scoped = !settings.watch_namespaces.is_empty();
    let operator = Arc::new(watches.operator(client, settings, watched.clone(), claim_key, metrics));
    let Watches { scopes, connections, changes, .. } = watches;
    let (rechecks, requested) = RecheckRequests::new();
    let context = Arc::new(Context::new(operator.clone(), rechecks));
    let shutdown = shutdown.boxed().shared();
    let working = async {
        // Without connections and namespaces every resource would look as if it had no connection or no grant.
        if connections.wait_until_ready().await.is_err() || !all_ready(&watched.namespaces).await {
            tracing::error!("the watch of IamConnections or namespaces ended");
        }
        let all_listed = join_all(scopes.iter().map(|scope| scope.listed.clone()));
        let running = scopes.into_iter().map(|scope| control(scope, context.clone(), shutdown.clone()));
        let beside = async {
            tokio::select! { _ = all_listed => synced(), () = shutdown.clone() => return }
            let saying = notices::say_all(&operator.cluster, &operator.metrics, to_say);
            let (apps, connections) = (watched.apps.clone(), connections.clone());
            let checking = run_connection_controller(operator.clone(), connections, apps, scoped, changes, requested);
            tokio::select! { () = checking => {}, () = saying => {}, () = shutdown.clone() => {} }
        };
        future::join(join_all(running), beside).await;
    };
    // A process whose watches ended would serve nobody and say nothing.
    tokio::select! {
        () = working => {}
        ended = &mut watching => tracing::error!(error = ended.err().map(|error| error.to_string()), "the watches ended"),
    }
    watching.abort();
}

/// One scope: the watch of its resources, which wakes their reconciles, and what else concerns them.
struct Scope {
    apps: Store<CachedApp>,
    /// A store wakes only one of those who wait for its first list.
    listed: future::Shared<BoxFuture<'static, ()>>,
    /// There when the watch began.
    found: Waking,
    /// Came or changed since.
    changed: Waking,
    elsewhere: UnboundedReceiver<Change>,
}

/// All watches of the process.
struct Watches {
    scopes: Vec<Scope>,
    connections: Store<IamConnection>,
    namespaces: Vec<Store<NamespaceMeta>>,
    /// For the keeper of connections.
    changes: UnboundedReceiver<Change>,
    released: Arc<Released>,
    observed_secrets: Option<Arc<ObservedSecrets>>,
}

impl Watches {
    /// The futures run them.
    fn all(shared: &Shared, settings: &Settings) -> (Self, Vec<BoxFuture<'static, ()>>) {
        let names: Vec<Option<&str>> = match settings.watch_namespaces.as_slice() {
            [] => vec![None],
            names => names.iter().map(|name| Some(name.as_str())).collect(),
        };
        let (listeners, hear): (Listeners, Vec<_>) = names.iter().map(|_| unbounded()).unzip();
        let (keeper_hears, changes) = unbounded();
        let all: Listeners = listeners.iter().cloned().chain([keeper_hears]).collect();
        let (connections, watching_connections) = watches::connections(shared, all);
        let (mut futures, released) = (vec![watching_connections], Arc::new(Released::default()));
        let (mut scopes, mut namespaces) = (Vec::new(), Vec::new());
        let observed_secrets = settings.watch_secrets.then(|| observed_secrets(listeners.clone()));
        for (name, elsewhere) in names.into_iter().zip(hear) {
            let (labels, watching_labels) = watches::namespaces(shared, name, listeners.clone());
            let (apps, [found, changed], watching_apps) = watches::apps(shared, name, released.clone());
            futures.extend([watching_labels, watching_apps]);
            futures.extend(observed_secrets.iter().map(|secrets| watches::secrets(shared, name, secrets.clone())));
            namespaces.push(labels);
            let store = apps.clone();
            let listed = async move { drop(store.wait_until_ready().await) }.boxed().shared();
            scopes.push(Scope { apps, listed, found, changed, elsewhere });
        }
        (Self { scopes, connections, namespaces, changes, released, observed_secrets }, futures)
    }

    fn watched(&self, settings: &Settings) -> Watched {
        Watched {
            scopes: settings.watch_namespaces.clone(),
            apps: self.scopes.iter().map(|scope| scope.apps.clone()).collect(),
            namespaces: self.namespaces.clone(),
        }
    }

    /// What reconciles, with what the watches know.
    fn operator(
        &self,
        client: Client,
        settings: Settings,
        watched: Watched,
        claim_key: ClaimKey,
        metrics: Arc<Metrics>,
    ) -> Operator<Kubernetes, WatchedConnections> {
        let Settings { guard, identity, operator_namespace, watch_namespaces: _, watch_secrets: _, concurrency } =
            settings;
        let asking = Asking { concurrency, identity: &identity, guard: guard.clone() };
        let cluster = Kubernetes::new(client.clone(), asking, watched.clone(), self.released.clone(), metrics.clone());
        let store = self.connections.clone();
        let connections = WatchedConnections::new(client, operator_namespace, store, watched, metrics.clone(), guard);
        let (clock, fresh) = (Arc::new(Timestamp::now), Arc::new(fresh_secret));
        let mut operator = Operator::new(cluster, connections, claim_key, clock, fresh, metrics);
        operator.observed_secrets = self.observed_secrets.clone();
        operator
    }
}

/// Whoever has the resource wakes it.
fn observed_secrets(listeners: Listeners) -> Arc<ObservedSecrets> {
    Arc::new(ObservedSecrets::new(move |app| watches::tell(&listeners, &Change::Secret(app))))
}

async fn all_ready<K>(stores: &[Store<K>]) -> bool
where
    K: Resource<DynamicType: Eq + Hash + Clone> + Clone + 'static,
{
    join_all(stores.iter().map(Store::wait_until_ready)).await.iter().all(Result::is_ok)
}

/// The queue of the reconciles of one scope.
async fn control(
    Scope { apps, listed, found, changed, elsewhere }: Scope,
    context: Arc<Context>,
    shutdown: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) {
    // Before the list is there, a change elsewhere would concern nobody.
    tokio::select! { () = listed => {}, () = shutdown.clone() => return }
    let (mut affected, pacing) = (Affected::new(apps.clone()), context.clone());
    let affected = elsewhere.flat_map(move |change| {
        let concerned = affected.by(&change, Instant::now());
        pacing.changed(&change, &concerned);
        stream::iter(concerned.into_iter().map(|app| ObjectRef::from_obj(app.as_ref())))
    });
    let (delayed, delays) = (apps.clone(), context.clone());
    let found = start::in_turn(found, move |app| {
        delayed.get(app).map_or(Duration::ZERO, |app| delays.first_delay(app.outline()))
    });
    Controller::for_stream(stream::pending(), apps)
        .with_config(Config::default())
        .reconcile_on(found)
        .reconcile_on(changed)
        .reconcile_on(affected)
        .graceful_shutdown_on(shutdown)
        .run(pass, |_, error: &Infallible, _| match *error {}, context)
        .for_each(|_| std::future::ready(()))
        .await;
}

fn fresh_secret() -> Result<ClientSecret, String> {
    client_secret(getrandom::fill).map_err(|error| format!("no randomness for a client secret: {error}"))
}

async fn pass(cached: Arc<CachedApp>, context: Arc<Context>) -> Result<Action, Infallible> {
    let app = cached.outline();
    if let Some(wait) = context.pace(app) {
        return Ok(Action::requeue(wait));
    }
    let _queued = context.operator.metrics.queued();
    let _slots = context.admission.acquire_slots(app, context.max_in_flight(app)).await;
    let begin = Instant::now();
    // A field `name` would hide the name of the span in the JSON log.
    let span = tracing::info_span!(parent: None, "app", namespace = app.namespace(), resource = app.name_any());
    // The future of a pass is large; boxed here, so that one that waits for admission is small.
    let work = Box::pin(context.operator.reconcile_or_say_why_not(&cached).instrument(span.clone()));
    let result = match tokio::time::timeout(PASS_TIMEOUT, work).await {
        Ok(result) => result,
        Err(_) => Err(cluster::Error::Unavailable("the pass took too long".into())),
    };
    let (outcome, reason) = ending::of(app, &result);
    context.operator.metrics.passed(outcome, reason, begin.elapsed());
    let _entered = span.entered();
    let delay = context.delay(app, &result);
    if let Ok(Outcome::Waiting { reason: Reason::ConnectionUnavailable, .. }) = &result {
        context.rechecks.request(&app.spec.connection_ref.name);
    }
    if let Err(fault) = &result
        && *fault != cluster::Error::Stale
    {
        tracing::warn!(%fault, "pass ended early");
    }
    Ok(match result {
        Ok(Outcome::Gone) => Action::await_change(),
        Ok(
            Outcome::Settled { .. }
            | Outcome::Observed(_)
            | Outcome::Suspended
            | Outcome::Blocked(_)
            | Outcome::Waiting { .. },
        )
        | Err(_) => Action::requeue(delay),
    })
}

impl Context {
    fn new(operator: Arc<Operator<Kubernetes, WatchedConnections>>, rechecks: RecheckRequests) -> Self {
        Self {
            operator,
            admission: Admission::default(),
            pace: Pace::default(),
            attempts: Attempts::default(),
            rechecks,
        }
    }

    /// A change of its Secret counts like one of the resource itself.
    fn changed(&self, change: &Change, concerned: &[Arc<CachedApp>]) {
        match change {
            Change::Secret(_) => concerned.iter().for_each(|app| self.pace.touch(&app.uid().unwrap_or_default())),
            Change::Connection(_) | Change::ConnectionReady(_) | Change::Namespace(_) => {}
        }
    }

    /// How long this resource has to wait because it was changed and reconciled just now.
    fn pace(&self, app: &OrgOAuthApp) -> Option<Duration> {
        let change = (app.metadata.generation, requests(app));
        self.pace.wait(&app.uid().unwrap_or_default(), change, Instant::now())
    }

    fn max_in_flight(&self, app: &OrgOAuthApp) -> usize {
        let connection = self.operator.connections.find(&app.spec.connection_ref.name);
        connection.map_or(1, |connection| connection.spec.limits.max_in_flight.into())
    }

    fn delay(&self, app: &OrgOAuthApp, result: &Result<Outcome, cluster::Error>) -> Duration {
        let ending = match result {
            Ok(Outcome::Settled { .. } | Outcome::Observed(_) | Outcome::Suspended | Outcome::Gone) => None,
            Ok(Outcome::Blocked(blocked)) => Some(blocked.reason.as_str()),
            Ok(Outcome::Waiting { reason, .. }) => Some(reason.as_str()),
            Err(cluster::Error::Stale) => return Duration::from_millis(100 + fastrand::u64(..100)),
            Err(cluster::Error::Refused(_) | cluster::Error::Unavailable(_)) => Some("Kubernetes"),
        };
        let uid = app.uid().unwrap_or_default();
        let attempts = match ending {
            Some(ending) => self.attempts.record_attempt(uid, ending, Instant::now()),
            None => {
                self.attempts.forget(&uid);
                0
            }
        };
        match result {
            Ok(outcome) => {
                let now = (Instant::now(), Timestamp::now());
                backoff::delay(outcome, self.resync(app), attempts, fastrand::f64(), now)
            }
            Err(_) => backoff::cluster_delay(attempts, fastrand::f64()),
        }
    }

    fn first_delay(&self, app: &OrgOAuthApp) -> Duration {
        let connection = self.operator.connections.find(&app.spec.connection_ref.name);
        let Some(connection) = connection.filter(|_| self.operator.is_settled(app)) else { return Duration::ZERO };
        let interval = self.resync(app).min(connection.spec.credential_check_interval.get());
        backoff::first_delay(interval, recorded_deadline(app), fastrand::f64(), Timestamp::now())
    }

    fn resync(&self, app: &OrgOAuthApp) -> Duration {
        let connection = self.operator.connections.find(&app.spec.connection_ref.name);
        connection.map_or(DEFAULT_RESYNC, |connection| connection.spec.resync_interval.get())
    }
}
