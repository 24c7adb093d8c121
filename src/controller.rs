//! Watches, and the queue of passes: which resource is looked at when, and how many at once.
//! What a pass does is `reconcile`'s business; here is only its timing, so that no resource delays another.

mod ending;
mod keeper;
mod notices;
mod watches;

use crate::backoff;
use crate::cluster::ClusterFault;
use crate::cluster::kubernetes::{Asking, Kubernetes, Released, Watched};
use crate::connections::ClusterConnections;
use crate::crd::{IamConnection, OrgOAuthApp};
use crate::credentials::client_secret;
use crate::decide::Outcome;
use crate::duration;
use crate::fence::Fence;
use crate::metrics::Metrics;
use crate::reconcile::{Connections, Operator};
use crate::remote::ClientSecret;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use keeper::Keeper;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use notices::Notices;
use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument;
use watches::{Change, Listeners, Shared, Waking};

/// Passes of one connection that may be under way for each call that it may have in flight. A waiting pass holds
/// nothing, so a connection that hangs costs the others nothing; and deletions need company to share calls.
const PASSES_PER_CALL: usize = 16;
/// Those of one organization, so that one that hangs leaves room for the others.
const PASSES_OF_ORG_PER_CALL: usize = 12;
/// A pass that is still not over then is cut; what it had done is found out by the next one.
const PASS_TIMEOUT: Duration = Duration::from_secs(300);
const DEFAULT_RESYNC: Duration = Duration::from_secs(600);

/// What the controllers of a process are to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Closed once this process may do nothing any more.
    pub fence: Fence,
    /// The name of this process, which no other one has.
    pub identity: String,
    /// Where the Secrets are that connections name.
    pub operator_namespace: String,
    /// Namespaces to watch; all when empty.
    pub watch_namespaces: Vec<String>,
    /// Requests to the Kubernetes API server under way at once.
    pub concurrency: usize,
}

/// Whose passes are limited together.
type Crowd = (String, Option<String>, usize);

/// What every pass of the process shares.
struct Shop {
    operator: Arc<Operator<Kubernetes, ClusterConnections>>,
    /// By connection, organization if it is about one, and limit: a changed limit counts for the passes that start from
    /// then on.
    admission: Mutex<HashMap<Crowd, Arc<Semaphore>>>,
    attempts: Mutex<HashMap<String, (String, u32)>>,
}

/// Runs until `shutdown`, then ends when the passes under way have ended. Calls `synced` when all watches have
/// brought their first list.
pub async fn run(
    client: Client,
    settings: Settings,
    metrics: Arc<Metrics>,
    synced: impl FnOnce(),
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let (notices, to_say) = unbounded();
    let shared = Shared { client: client.clone(), notices: Notices(notices), metrics: metrics.clone() };
    let (watches, futures) = Watches::all(&shared, &settings);
    let mut watching = tokio::spawn(join_all(futures));
    metrics.watch(watches.apps(), watches.connections.clone());
    let scoped = !settings.watch_namespaces.is_empty();
    let operator = Arc::new(watches.operator(client, settings, metrics));
    let (keeper, first_lists) = (watches.keeper(operator.clone(), scoped), watches.apps());
    let Watches { scopes, connections, namespaces, changes, .. } = watches;
    let shop = Arc::new(Shop { operator: operator.clone(), admission: Mutex::default(), attempts: Mutex::default() });
    let shutdown = shutdown.boxed().shared();
    let working = async {
        // Without connections and namespaces every resource would look as if it had no connection or no grant.
        if connections.wait_until_ready().await.is_err() || !all_ready(&namespaces).await {
            tracing::error!("the watch of IamConnections or namespaces ended");
        }
        let running = scopes.into_iter().map(|scope| control(scope, shop.clone(), shutdown.clone()));
        let beside = async {
            all_ready(&first_lists).await;
            synced();
            let saying = notices::say_all(&operator.cluster, &operator.metrics, to_say);
            tokio::select! { () = keeper.keep(changes) => {}, () = saying => {}, () = shutdown.clone() => {} }
        };
        futures::future::join(join_all(running), beside).await;
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
    apps: Store<OrgOAuthApp>,
    waking: Waking,
    elsewhere: UnboundedReceiver<Change>,
}

/// All watches of the process.
struct Watches {
    scopes: Vec<Scope>,
    connections: Store<IamConnection>,
    namespaces: Vec<Store<watches::NamespaceMeta>>,
    /// For the keeper of connections.
    changes: UnboundedReceiver<Change>,
    released: Arc<Released>,
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
        for (name, elsewhere) in names.into_iter().zip(hear) {
            let (labels, watching_labels) = watches::namespaces(shared, name, listeners.clone());
            let (apps, waking, watching_apps) = watches::apps(shared, name, released.clone());
            futures.extend([watching_labels, watching_apps]);
            namespaces.push(labels);
            scopes.push(Scope { apps, waking, elsewhere });
        }
        (Self { scopes, connections, namespaces, changes, released }, futures)
    }

    fn apps(&self) -> Vec<Store<OrgOAuthApp>> {
        self.scopes.iter().map(|scope| scope.apps.clone()).collect()
    }

    /// What reconciles, with what the watches know.
    fn operator(
        &self,
        client: Client,
        settings: Settings,
        metrics: Arc<Metrics>,
    ) -> Operator<Kubernetes, ClusterConnections> {
        let Settings { fence, identity, operator_namespace, watch_namespaces, concurrency } = settings;
        let watched = Watched {
            scopes: watch_namespaces,
            apps: self.apps(),
            namespaces: self.namespaces.clone(),
            released: self.released.clone(),
        };
        let asking = Asking { concurrency, identity: &identity, fence: fence.clone() };
        let cluster = Kubernetes::new(client.clone(), asking, watched, metrics.clone());
        let store = self.connections.clone();
        let connections = ClusterConnections::new(client, operator_namespace, store, metrics.clone(), fence);
        Operator::new(cluster, connections, Arc::new(Timestamp::now), Arc::new(fresh_secret), metrics)
    }

    fn keeper(&self, operator: Arc<Operator<Kubernetes, ClusterConnections>>, scoped: bool) -> Keeper {
        Keeper { operator, connections: self.connections.clone(), apps: self.apps(), scoped }
    }
}

async fn all_ready<K>(stores: &[Store<K>]) -> bool
where
    K: Resource<DynamicType: Eq + Hash + Clone> + Clone + 'static,
{
    join_all(stores.iter().map(Store::wait_until_ready)).await.iter().all(Result::is_ok)
}

/// The queue of the reconciles of one scope.
fn control(
    Scope { apps, waking, elsewhere }: Scope,
    shop: Arc<Shop>,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) -> impl Future<Output = ()> {
    let users = apps.clone();
    let affected = elsewhere.flat_map(move |change| stream::iter(affected_by(&change, &users)));
    Controller::for_stream(stream::pending(), apps)
        .with_config(Config::default())
        .reconcile_on(waking)
        .reconcile_on(affected)
        .graceful_shutdown_on(shutdown)
        .run(pass, |_, error: &Infallible, _| match *error {}, shop)
        .for_each(|_| std::future::ready(()))
}

fn affected_by(change: &Change, apps: &Store<OrgOAuthApp>) -> Vec<ObjectRef<OrgOAuthApp>> {
    let affected = |app: &Arc<OrgOAuthApp>| match change {
        Change::Connection(name) => app.spec.connection_ref.name == *name,
        Change::Namespace(name) => app.metadata.namespace.as_ref() == Some(name),
    };
    apps.state().iter().filter(|app| affected(app)).map(|app| ObjectRef::from_obj(app.as_ref())).collect()
}

fn fresh_secret() -> Result<ClientSecret, String> {
    client_secret(getrandom::fill).map_err(|error| format!("no randomness for a client secret: {error}"))
}

async fn pass(app: Arc<OrgOAuthApp>, shop: Arc<Shop>) -> Result<Action, Infallible> {
    let _queued = shop.operator.metrics.queued();
    let _admitted = shop.admit(&app).await;
    let begin = Instant::now();
    let span = tracing::info_span!(parent: None, "app", namespace = app.namespace(), name = app.name_any());
    // The future of a pass is large; boxed here, so that one that waits for admission is small.
    let work = Box::pin(shop.operator.reconcile_or_say_why_not(&app).instrument(span.clone()));
    let result = match tokio::time::timeout(PASS_TIMEOUT, work).await {
        Ok(result) => result,
        Err(_) => Err(ClusterFault::Unavailable("the pass took too long".into())),
    };
    let (outcome, reason) = ending::of(&app, &result);
    shop.operator.metrics.passed(outcome, reason, begin.elapsed());
    let _entered = span.entered();
    let delay = shop.delay(&app, &result);
    if let Err(fault) = &result
        && *fault != ClusterFault::Stale
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

impl Shop {
    async fn admit(&self, app: &OrgOAuthApp) -> [Option<OwnedSemaphorePermit>; 2] {
        let name = &app.spec.connection_ref.name;
        let limit = self.operator.connections.find(name).map_or(1, |c| c.spec.limits.max_in_flight.into());
        let of_org = self.passes(name, Some(app.spec.org_id.clone()), PASSES_OF_ORG_PER_CALL * limit);
        let of_all = self.passes(name, None, PASSES_PER_CALL * limit);
        [of_org.acquire_owned().await.ok(), of_all.acquire_owned().await.ok()]
    }

    fn passes(&self, connection: &str, org: Option<String>, most: usize) -> Arc<Semaphore> {
        let mut admission = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        admission.entry((connection.to_owned(), org, most)).or_insert_with(|| Arc::new(Semaphore::new(most))).clone()
    }

    fn delay(&self, app: &OrgOAuthApp, result: &Result<Outcome, ClusterFault>) -> Duration {
        let (ending, again) = match result {
            Ok(Outcome::Settled { .. } | Outcome::Observed(_) | Outcome::Suspended | Outcome::Gone) => ("", false),
            Ok(Outcome::Blocked(blocked)) => (blocked.reason.as_str(), true),
            Ok(Outcome::Waiting { reason, .. }) => (reason.as_str(), true),
            Err(ClusterFault::Stale) => return Duration::from_millis(100 + fastrand::u64(..100)),
            Err(ClusterFault::Refused(_) | ClusterFault::Unavailable(_)) => ("Kubernetes", true),
        };
        let attempts = self.count(app.uid().unwrap_or_default(), ending, again);
        match result {
            Ok(outcome) => {
                let now = (Instant::now(), Timestamp::now());
                backoff::delay(outcome, self.resync(app), attempts, fastrand::f64(), now)
            }
            Err(_) => backoff::cluster_delay(attempts, fastrand::f64()),
        }
    }

    /// How many passes ended alike before this one; forgotten when one ends well.
    fn count(&self, uid: String, ending: &str, again: bool) -> u32 {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if !again {
            attempts.remove(&uid);
            return 0;
        }
        let (last, count) = attempts.entry(uid).or_insert_with(|| (ending.to_owned(), 0));
        if last != ending {
            (*last, *count) = (ending.to_owned(), 0);
        }
        let before = *count;
        *count += 1;
        before
    }

    fn resync(&self, app: &OrgOAuthApp) -> Duration {
        let connection = self.operator.connections.find(&app.spec.connection_ref.name);
        let interval = connection.and_then(|connection| duration::parse(&connection.spec.resync_interval).ok());
        interval.unwrap_or(DEFAULT_RESYNC)
    }
}
