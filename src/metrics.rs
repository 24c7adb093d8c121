//! The metrics of the operator, registered once: most are recorded as things happen, some are computed at a scrape.
//! Names, labels and help texts are in one table, `families`.

mod computed;
mod families;
mod labels;

pub use families::{FAMILIES, Family as MetricFamily, Kind, Label};
pub(crate) use families::{Recorded, Source};
pub(crate) use labels::{CallResult, Phase, Read, ReconcileOutcome, Refresh, Resource, Watched, WriteResult};

use crate::cluster::cached::CachedApp;
use crate::crd::IamConnection;
use crate::iam::Operation;
use computed::{Stores, WatchedResources};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::Store;
use labels::{
    BuildLabels, CallLabels, ConnectionLabels, OperationLabels, PhaseLabels, ReadLabels, ReconcileLabels,
    RefreshLabels, WatchLabels, WriteLabels,
};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

/// Bounds for what takes milliseconds when all is well and minutes when it is not.
const BUCKETS: [f64; 14] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

type Seconds = Counter<f64, AtomicU64>;
type UnixTime = Gauge<f64, AtomicU64>;

pub struct Metrics {
    /// 1 if this replica is the leader.
    pub leader: Gauge,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_duration: Histogram,
    queue_depth: Gauge,
    remote_calls: Family<CallLabels, Counter>,
    remote_call_duration: Family<OperationLabels, Histogram>,
    throttled: Family<ConnectionLabels, Seconds>,
    token_refreshes: Family<RefreshLabels, Counter>,
    drift_corrected: Counter,
    kubernetes_writes: Family<WriteLabels, Counter>,
    kubernetes_read_errors: Family<ReadLabels, Counter>,
    build_info: Family<BuildLabels, Gauge>,
    process_start_time: UnixTime,
    startup_time: Family<PhaseLabels, UnixTime>,
    first_reconcile: Once,
    unreadable: Family<WatchLabels, Gauge>,
    secret_watches_refused: Gauge,
    finalizers_removed: Counter,
    panics: Counter,
    /// The connections that have counters.
    counted: Mutex<BTreeSet<String>>,
    watched: WatchedResources,
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
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
            kubernetes_read_errors: no_read_errors(),
            build_info: build_info(),
            process_start_time: UnixTime::default(),
            startup_time: Family::default(),
            first_reconcile: Once::new(),
            unreadable: none_unreadable(),
            secret_watches_refused: Gauge::default(),
            finalizers_removed: Counter::default(),
            panics: Counter::default(),
            counted: Mutex::default(),
            watched: WatchedResources::default(),
            registry: Registry::default(),
        };
        metrics.process_start_time.set(unix_time());
        metrics.register();
        metrics
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

fn none_unreadable() -> Family<WatchLabels, Gauge> {
    let family = Family::<WatchLabels, Gauge>::default();
    for resource in Watched::VALUES {
        family.get_or_create(&WatchLabels { resource }).set(0);
    }
    family
}

/// All series from the beginning, so that a first increase is one.
fn no_read_errors() -> Family<ReadLabels, Counter> {
    let family = Family::<ReadLabels, Counter>::default();
    for read in Read::ALL {
        family.get_or_create(&read.labels()).inc_by(0);
    }
    family
}

fn build_info() -> Family<BuildLabels, Gauge> {
    let family = Family::<BuildLabels, Gauge>::default();
    family.get_or_create(&BuildLabels { version: env!("CARGO_PKG_VERSION"), commit: env!("COMMIT") }).set(1);
    family
}

/// Now, as Prometheus counts time.
fn unix_time() -> f64 {
    Timestamp::now().as_duration().as_secs_f64()
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

/// A reconciliation that is queued or running, until it is dropped.
#[derive(Debug)]
pub(crate) struct Queued<'a>(&'a Metrics);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.queue_depth.dec();
    }
}

impl Metrics {
    fn register(&mut self) {
        let mut registry = Registry::default();
        for family in &FAMILIES {
            let Source::Recorded(recorded) = family.source else { continue };
            let registry = &mut registry;
            match recorded {
                Recorded::Reconciles => family.register(registry, self.reconciles.clone()),
                Recorded::ReconcileDuration => family.register(registry, self.reconcile_duration.clone()),
                Recorded::QueueDepth => family.register(registry, self.queue_depth.clone()),
                Recorded::RemoteCalls => family.register(registry, self.remote_calls.clone()),
                Recorded::RemoteCallDuration => family.register(registry, self.remote_call_duration.clone()),
                Recorded::Throttled => family.register(registry, self.throttled.clone()),
                Recorded::TokenRefreshes => family.register(registry, self.token_refreshes.clone()),
                Recorded::DriftCorrected => family.register(registry, self.drift_corrected.clone()),
                Recorded::KubernetesWrites => family.register(registry, self.kubernetes_writes.clone()),
                Recorded::KubernetesReadErrors => family.register(registry, self.kubernetes_read_errors.clone()),
                Recorded::Leader => family.register(registry, self.leader.clone()),
                Recorded::BuildInfo => family.register(registry, self.build_info.clone()),
                Recorded::ProcessStartTime => family.register(registry, self.process_start_time.clone()),
                Recorded::StartupTime => family.register(registry, self.startup_time.clone()),
                Recorded::Unreadable => family.register(registry, self.unreadable.clone()),
                Recorded::SecretWatchesRefused => family.register(registry, self.secret_watches_refused.clone()),
                Recorded::FinalizersRemoved => family.register(registry, self.finalizers_removed.clone()),
                Recorded::Panics => family.register(registry, self.panics.clone()),
            }
        }
        registry.register_collector(Box::new(self.watched.clone()));
        self.registry = registry;
    }

    /// Has the metrics of resources computed from these at each scrape.
    pub(crate) fn watch(&self, apps: Vec<Store<CachedApp>>, connections: Store<IamConnection>) {
        self.watched.set(Stores { apps, connections });
    }

    /// A reconciliation is requested.
    pub(crate) fn queued(&self) -> Queued<'_> {
        self.queue_depth.inc();
        Queued(self)
    }

    pub(crate) fn reconciled(&self, outcome: ReconcileOutcome, reason: &'static str, took: Duration) {
        self.reconciles.get_or_create(&ReconcileLabels { outcome: outcome.as_str(), reason }).inc();
        self.reconcile_duration.observe(took.as_secs_f64());
        self.first_reconcile.call_once(|| self.reached(Phase::FirstReconcile));
    }

    /// The process reached a phase of its start.
    pub(crate) fn reached(&self, phase: Phase) {
        self.startup_time.get_or_create(&PhaseLabels { phase: phase.as_str() }).set(unix_time());
    }

    /// An external change was reverted.
    pub(crate) fn drift_corrected(&self) {
        self.drift_corrected.inc();
    }

    pub(crate) fn wrote(&self, resource: Resource, result: WriteResult) {
        let of = WriteLabels { resource: resource.as_str(), result: result.as_str() };
        self.kubernetes_writes.get_or_create(&of).inc();
    }

    /// A read or a watch failed.
    pub(crate) fn read_failed(&self, what: Read) {
        self.kubernetes_read_errors.get_or_create(&what.labels()).inc();
    }

    /// So many more objects cannot be read.
    pub(crate) fn unreadable(&self, of: Watched, more: i64) {
        self.unreadable.get_or_create(&WatchLabels { resource: of.as_str() }).inc_by(more);
    }

    /// So many more watches of Secrets are refused.
    pub(crate) fn secret_watch_refused(&self, more: i64) {
        self.secret_watches_refused.inc_by(more);
    }

    /// A resource was deleted after someone else had removed its finalizer.
    pub(crate) fn finalizer_removed(&self) {
        self.finalizers_removed.inc();
    }

    /// The operator itself failed.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// All of them in the text format of Prometheus.
    ///
    /// # Errors
    /// When it cannot be written as text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        self.forget_deleted_connections();
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Otherwise each name that a connection ever had would be a series for good.
    fn forget_deleted_connections(&self) {
        let Some(stores) = self.watched.get() else { return };
        let exist: BTreeSet<_> = stores.connections.state().iter().map(|connection| connection.name_any()).collect();
        let mut counted = self.counted_connections();
        for connection in counted.difference(&exist).cloned().collect::<Vec<_>>() {
            counted.remove(&connection);
            for result in Refresh::VALUES {
                self.token_refreshes.remove(&RefreshLabels { connection: connection.clone(), result });
            }
            self.throttled.remove(&ConnectionLabels { connection });
        }
    }

    fn counted_connections(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records the calls to the API of one connection.
#[derive(Clone, Debug, Default)]
pub struct ConnectionMetrics {
    metrics: Arc<Metrics>,
    connection: String,
}

impl ConnectionMetrics {
    /// For the connection of that name. Its counters are there from the beginning, so that a first increase is one.
    pub(crate) fn new(metrics: Arc<Metrics>, connection: String) -> Self {
        metrics.throttled.get_or_create(&ConnectionLabels { connection: connection.clone() }).inc_by(0.0);
        for result in Refresh::VALUES {
            metrics.token_refreshes.get_or_create(&RefreshLabels { connection: connection.clone(), result }).inc_by(0);
        }
        metrics.counted_connections().insert(connection.clone());
        Self { metrics, connection }
    }

    pub(crate) fn called(&self, operation: Operation, result: CallResult, took: Duration) {
        let operation = operation.label();
        let status = result.status();
        self.metrics.remote_calls.get_or_create(&CallLabels { operation, status }).inc();
        self.metrics.remote_call_duration.get_or_create(&OperationLabels { operation }).observe(took.as_secs_f64());
    }

    /// The API asked to wait for so much longer.
    pub(crate) fn throttled(&self, longer: Duration) {
        let of = ConnectionLabels { connection: self.connection.clone() };
        self.metrics.throttled.get_or_create(&of).inc_by(longer.as_secs_f64());
        self.metrics.counted_connections().insert(self.connection.clone());
    }

    /// An access token was asked for.
    pub(crate) fn refreshed(&self, result: Refresh) {
        let of = RefreshLabels { connection: self.connection.clone(), result: result.as_str() };
        self.metrics.token_refreshes.get_or_create(&of).inc();
        self.metrics.counted_connections().insert(self.connection.clone());
    }
}

#[cfg(test)]
mod tests;
