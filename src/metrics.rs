//! What the operator counts and measures, for `/metrics`: one value that is handed to the few places that count.
//! Names, labels and help are in one table, `families`.

mod families;
mod labels;
mod state;

pub use families::{FAMILIES, Family as MetricFamily, Id, Kind, Label};
pub use labels::{Answered, Ending, Readiness, Refresh, Resource, Watched, Written};

use crate::cluster::cached::CachedApp;
use crate::crd::IamConnection;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::Store;
use labels::{OfCall, OfConnection, OfOperation, OfPass, OfRefresh, OfWatch, OfWrite};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use state::State;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Bounds for what takes milliseconds when all is well and minutes when it is not.
const BUCKETS: [f64; 14] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

type Seconds = Counter<f64, AtomicU64>;

/// All that is counted by one process.
pub struct Metrics {
    /// 1 while this process is the one that works.
    pub leader: Gauge,
    reconciles: Family<OfPass, Counter>,
    reconcile_duration: Histogram,
    queue_depth: Gauge,
    remote_calls: Family<OfCall, Counter>,
    remote_call_duration: Family<OfOperation, Histogram>,
    throttled: Family<OfConnection, Seconds>,
    token_refreshes: Family<OfRefresh, Counter>,
    drift_corrected: Counter,
    kubernetes_writes: Family<OfWrite, Counter>,
    unreadable: Family<OfWatch, Gauge>,
    secret_watches_refused: Gauge,
    finalizers_removed: Counter,
    panics: Counter,
    /// The connections that have counters.
    counted: Mutex<BTreeSet<String>>,
    stores: OnceLock<Stores>,
}

/// The resources as the watches keep them.
struct Stores {
    apps: Vec<Store<CachedApp>>,
    connections: Store<IamConnection>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            leader: Gauge::default(),
            reconciles: Family::default(),
            reconcile_duration: histogram(),
            queue_depth: Gauge::default(),
            remote_calls: Family::default(),
            remote_call_duration: Family::new_with_constructor(histogram),
            throttled: Family::default(),
            token_refreshes: Family::default(),
            drift_corrected: Counter::default(),
            kubernetes_writes: Family::default(),
            unreadable: none_unreadable(),
            secret_watches_refused: Gauge::default(),
            finalizers_removed: Counter::default(),
            panics: Counter::default(),
            counted: Mutex::default(),
            stores: OnceLock::new(),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

fn none_unreadable() -> Family<OfWatch, Gauge> {
    let family = Family::<OfWatch, Gauge>::default();
    for resource in Watched::VALUES {
        family.get_or_create(&OfWatch { resource }).set(0);
    }
    family
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

/// A pass that waits for its turn or is under way, until it is dropped.
#[derive(Debug)]
pub struct Queued<'a>(&'a Metrics);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.queue_depth.dec();
    }
}

impl Metrics {
    /// From now on these resources are looked at for each scrape.
    pub fn watch(&self, apps: Vec<Store<CachedApp>>, connections: Store<IamConnection>) {
        self.stores.get_or_init(|| Stores { apps, connections });
    }

    /// A pass is wanted.
    pub fn queued(&self) -> Queued<'_> {
        self.queue_depth.inc();
        Queued(self)
    }

    /// A pass ended after so long.
    pub fn passed(&self, outcome: Ending, reason: &'static str, took: Duration) {
        self.reconciles.get_or_create(&OfPass { outcome: outcome.as_str(), reason }).inc();
        self.reconcile_duration.observe(took.as_secs_f64());
    }

    /// A change that somebody else made was put back.
    pub fn drift_corrected(&self) {
        self.drift_corrected.inc();
    }

    /// A write to Kubernetes was tried.
    pub fn wrote(&self, resource: Resource, result: Written) {
        let of = OfWrite { resource: resource.as_str(), result: result.as_str() };
        self.kubernetes_writes.get_or_create(&of).inc();
    }

    /// So many more objects cannot be read.
    pub fn unreadable(&self, of: Watched, more: i64) {
        self.unreadable.get_or_create(&OfWatch { resource: of.as_str() }).inc_by(more);
    }

    /// So many more watches of Secrets are refused.
    pub fn secret_watch_refused(&self, more: i64) {
        self.secret_watches_refused.inc_by(more);
    }

    /// A resource went away after somebody else had removed its finalizer.
    pub fn finalizer_removed(&self) {
        self.finalizers_removed.inc();
    }

    /// The operator itself failed.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Everything in the text format of Prometheus.
    ///
    /// # Errors
    /// When it cannot be written as text.
    pub fn text(&self, now: Timestamp) -> Result<String, fmt::Error> {
        self.forget_deleted_connections();
        let (state, mut registry) = (self.state(now), Registry::default());
        for family in &FAMILIES {
            let registry = &mut registry;
            match family.id {
                Id::Reconciles => family.register(registry, self.reconciles.clone()),
                Id::ReconcileDuration => family.register(registry, self.reconcile_duration.clone()),
                Id::QueueDepth => family.register(registry, self.queue_depth.clone()),
                Id::RemoteCalls => family.register(registry, self.remote_calls.clone()),
                Id::RemoteCallDuration => family.register(registry, self.remote_call_duration.clone()),
                Id::Throttled => family.register(registry, self.throttled.clone()),
                Id::TokenRefreshes => family.register(registry, self.token_refreshes.clone()),
                Id::Apps => family.register(registry, state.apps.clone()),
                Id::RotationAge => family.register(registry, state.rotation_age.clone()),
                Id::RotationsOverdue => family.register(registry, state.rotations_overdue.clone()),
                Id::StaleConsumers => family.register(registry, state.stale_consumers.clone()),
                Id::DriftCorrected => family.register(registry, self.drift_corrected.clone()),
                Id::KubernetesWrites => family.register(registry, self.kubernetes_writes.clone()),
                Id::Leader => family.register(registry, self.leader.clone()),
                Id::ConnectionReady => family.register(registry, state.connection_ready.clone()),
                Id::Unreadable => family.register(registry, self.unreadable.clone()),
                Id::SecretWatchesRefused => family.register(registry, self.secret_watches_refused.clone()),
                Id::FinalizersRemoved => family.register(registry, self.finalizers_removed.clone()),
                Id::Panics => family.register(registry, self.panics.clone()),
            }
        }
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry)?;
        Ok(text)
    }

    /// Otherwise each name that a connection ever had would be a series for good.
    fn forget_deleted_connections(&self) {
        let Some(watched) = self.stores.get() else { return };
        let exist: BTreeSet<_> = watched.connections.state().iter().map(|connection| connection.name_any()).collect();
        let mut counted = self.counted_connections();
        for connection in counted.difference(&exist).cloned().collect::<Vec<_>>() {
            counted.remove(&connection);
            for result in Refresh::VALUES {
                self.token_refreshes.remove(&OfRefresh { connection: connection.clone(), result });
            }
            self.throttled.remove(&OfConnection { connection });
        }
    }

    fn counted_connections(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self, now: Timestamp) -> State {
        let Some(watched) = self.stores.get() else { return State::default() };
        let apps: Vec<_> = watched.apps.iter().flat_map(Store::state).collect();
        let connections = watched.connections.state();
        State::of(apps.iter().map(|app| app.outline()), connections.iter().map(Arc::as_ref), now)
    }
}

/// Counts what happens on the way to the API of one connection.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    metrics: Arc<Metrics>,
    connection: String,
}

impl Meter {
    /// For the connection of that name. Its counters are there from the beginning, so that a first increase is one.
    pub fn new(metrics: Arc<Metrics>, connection: String) -> Self {
        metrics.throttled.get_or_create(&OfConnection { connection: connection.clone() }).inc_by(0.0);
        for result in Refresh::VALUES {
            metrics.token_refreshes.get_or_create(&OfRefresh { connection: connection.clone(), result }).inc_by(0);
        }
        metrics.counted_connections().insert(connection.clone());
        Self { metrics, connection }
    }

    /// A call was made, and what came of it after so long.
    pub fn called(&self, operation: &'static str, answered: Answered, took: Duration) {
        let status = answered.status();
        self.metrics.remote_calls.get_or_create(&OfCall { operation, status }).inc();
        self.metrics.remote_call_duration.get_or_create(&OfOperation { operation }).observe(took.as_secs_f64());
    }

    /// The API asked to wait for so much longer.
    pub fn throttled(&self, longer: Duration) {
        let of = OfConnection { connection: self.connection.clone() };
        self.metrics.throttled.get_or_create(&of).inc_by(longer.as_secs_f64());
        self.metrics.counted_connections().insert(self.connection.clone());
    }

    /// An access token was asked for.
    pub fn refreshed(&self, result: Refresh) {
        let of = OfRefresh { connection: self.connection.clone(), result: result.as_str() };
        self.metrics.token_refreshes.get_or_create(&of).inc();
        self.metrics.counted_connections().insert(self.connection.clone());
    }
}

#[cfg(test)]
mod tests;
