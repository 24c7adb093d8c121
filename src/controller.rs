//! The two controllers, of `OrgOAuthApp`s and of `IamConnection`s, and the watches that trigger them.
//! They decide only when to reconcile, so that no resource delays another; `reconcile` decides what is done.

mod apps;
mod attempts;
mod change_limit;
mod concurrency;
mod connections;
mod initial_delay;
mod triggers;
mod watch_reports;
mod watches;

use crate::claim::ClaimKey;
use crate::cluster::kubernetes::{Kubernetes, RemovedFinalizers, RequestOptions};
use crate::cluster::watched::{NamespaceMeta, Watched};
use crate::connections::watched::{UnreadableConnections, WatchedConnections};
use crate::crd::IamConnection;
use crate::lease::guard::LeadershipGuard;
use crate::metrics::Metrics;
use crate::reconcile::{ObservedSecrets, Operator};
use crate::secret::client_secret;
use apps::{Context, Scope, run_app_controller};
use connections::{RecheckRequests, run_connection_controller};
use futures::FutureExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::future::{self, BoxFuture, join_all};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::Store;
use kube::{Client, Resource};
use std::hash::Hash;
use std::sync::Arc;
use triggers::{Subscribers, Trigger};
use watch_reports::{Reporter, WatchReport};
use watches::Shared;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Closed once this process may do nothing any more.
    pub guard: LeadershipGuard,
    /// The name of this process, which no other one has.
    pub identity: String,
    /// The namespace of the Secrets that connections name.
    pub operator_namespace: String,
    /// Namespaces to watch; all when empty.
    pub watch_namespaces: Vec<String>,
    pub watch_secrets: bool,
    pub max_kubernetes_requests: usize,
}

/// Runs until `shutdown`, then ends when the reconciliations in progress have ended. Calls `synced` when all watches have
/// provided their first list.
pub(crate) async fn run(
    client: Client,
    settings: Settings,
    claim_key: ClaimKey,
    metrics: Arc<Metrics>,
    synced: impl FnOnce(),
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let (reporter, reports) = unbounded();
    let shared = Shared::new(&client, Reporter(reporter), &metrics, &claim_key);
    let (watches, futures) = Watches::all(&shared, &settings);
    let mut watching = tokio::spawn(join_all(futures));
    let watched = watches.watched(&settings);
    metrics.watch(watched.apps.clone(), watches.connections.clone());
    let operator = Arc::new(watches.operator(client, settings, watched.clone(), claim_key, metrics));
    let shutdown = shutdown.boxed().shared();
    // Without its watches the process would do nothing, and log nothing.
    tokio::select! {
        () = watches.run_controllers(operator, watched, reports, synced, shutdown) => {}
        ended = &mut watching => tracing::error!(error = ended.err().map(|error| error.to_string()), "the watches ended"),
    }
    watching.abort();
}

type Shutdown = future::Shared<BoxFuture<'static, ()>>;

/// All watches of the process.
struct Watches {
    scopes: Vec<Scope>,
    connections: Store<IamConnection>,
    unreadable_connections: Arc<UnreadableConnections>,
    namespaces: Vec<Store<NamespaceMeta>>,
    connection_triggers: UnboundedReceiver<Trigger>,
    removed_finalizers: Arc<RemovedFinalizers>,
    observed_secrets: Option<Arc<ObservedSecrets>>,
}

impl Watches {
    /// The futures run them.
    fn all(shared: &Shared, settings: &Settings) -> (Self, Vec<BoxFuture<'static, ()>>) {
        let names: Vec<Option<&str>> = match settings.watch_namespaces.as_slice() {
            [] => vec![None],
            names => names.iter().map(|name| Some(name.as_str())).collect(),
        };
        let (subscribers, receivers): (Subscribers, Vec<_>) = names.iter().map(|_| unbounded()).unzip();
        let (of_connections, connection_triggers) = unbounded();
        let all: Subscribers = subscribers.iter().cloned().chain([of_connections]).collect();
        let unreadable_connections = Arc::<UnreadableConnections>::default();
        let (connections, watching_connections) = watches::connections(shared, all, unreadable_connections.clone());
        let mut futures = vec![watching_connections];
        let removed_finalizers = Arc::<RemovedFinalizers>::default();
        let observed_secrets = settings.watch_secrets.then(|| observed_secrets(subscribers.clone()));
        let mut scopes = Vec::new();
        let mut namespaces = Vec::new();
        for (name, triggers) in names.into_iter().zip(receivers) {
            let (labels, watching_labels) = watches::namespaces(shared, name, subscribers.clone());
            let (apps, [found, changed], watching_apps) = watches::apps(shared, name, removed_finalizers.clone());
            futures.extend([watching_labels, watching_apps]);
            futures.extend(observed_secrets.iter().map(|secrets| watches::secrets(shared, name, secrets.clone())));
            namespaces.push(labels);
            let store = apps.clone();
            let listed = async move { drop(store.wait_until_ready().await) }.boxed().shared();
            scopes.push(Scope { apps, listed, found, changed, triggers });
        }
        let watches = Self {
            scopes,
            connections,
            unreadable_connections,
            namespaces,
            connection_triggers,
            removed_finalizers,
            observed_secrets,
        };
        (watches, futures)
    }

    /// Runs the controllers until `shutdown`, once the stores hold what they read.
    async fn run_controllers(
        self,
        operator: Arc<Operator<Kubernetes, WatchedConnections>>,
        watched: Watched,
        reports: UnboundedReceiver<WatchReport>,
        synced: impl FnOnce(),
        shutdown: Shutdown,
    ) {
        // Without connections and namespaces every resource would look as if it had no connection or no grant.
        if self.connections.wait_until_ready().await.is_err() || !all_ready(&watched.namespaces).await {
            tracing::error!("the watch of IamConnections or namespaces ended");
        }
        let scoped = !watched.scopes.is_empty();
        let (rechecks, requested) = RecheckRequests::new();
        let context = Arc::new(Context::new(operator.clone(), rechecks));
        let all_listed = join_all(self.scopes.iter().map(|scope| scope.listed.clone()));
        let running = self.scopes.into_iter().map(|scope| run_app_controller(scope, context.clone(), shutdown.clone()));
        let beside = async {
            tokio::select! { _ = all_listed => synced(), () = shutdown.clone() => return }
            let checking = run_connection_controller(
                operator.clone(),
                self.connections,
                watched.apps,
                scoped,
                self.connection_triggers,
                requested,
            );
            let reporting = watch_reports::publish_all(&operator.cluster, &operator.metrics, reports);
            tokio::select! { () = checking => {}, () = reporting => {}, () = shutdown.clone() => {} }
        };
        future::join(join_all(running), beside).await;
    }

    fn watched(&self, settings: &Settings) -> Watched {
        Watched {
            scopes: settings.watch_namespaces.clone(),
            apps: self.scopes.iter().map(|scope| scope.apps.clone()).collect(),
            namespaces: self.namespaces.clone(),
        }
    }

    fn operator(
        &self,
        client: Client,
        settings: Settings,
        watched: Watched,
        claim_key: ClaimKey,
        metrics: Arc<Metrics>,
    ) -> Operator<Kubernetes, WatchedConnections> {
        let Settings {
            guard,
            identity,
            operator_namespace,
            watch_namespaces: _,
            watch_secrets: _,
            max_kubernetes_requests,
        } = settings;
        let options = RequestOptions { max_kubernetes_requests, identity: &identity, guard: guard.clone() };
        let cluster =
            Kubernetes::new(client.clone(), options, watched.clone(), self.removed_finalizers.clone(), metrics.clone());
        let connections = WatchedConnections::new(
            client,
            operator_namespace,
            self.connections.clone(),
            self.unreadable_connections.clone(),
            watched,
            metrics.clone(),
            guard,
        );
        let clock = Arc::new(Timestamp::now);
        let generate = Arc::new(|| client_secret(getrandom::fill));
        let mut operator = Operator::new(cluster, connections, claim_key, clock, generate, metrics);
        operator.observed_secrets = self.observed_secrets.clone();
        operator
    }
}

/// Secrets that trigger the scope whose resource they belong to.
fn observed_secrets(subscribers: Subscribers) -> Arc<ObservedSecrets> {
    Arc::new(ObservedSecrets::new(move |app| triggers::notify(&subscribers, &Trigger::Secret(app))))
}

async fn all_ready<K>(stores: &[Store<K>]) -> bool
where
    K: Resource<DynamicType: Eq + Hash + Clone> + Clone + 'static,
{
    join_all(stores.iter().map(Store::wait_until_ready)).await.iter().all(Result::is_ok)
}
