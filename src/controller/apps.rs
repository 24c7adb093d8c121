//! The controller of `OrgOAuthApp`s: when each is reconciled, and how many at once.
//! Its queue is kube's. A change, a trigger or a requeue starts a reconciliation, which first waits for its slots.

use super::attempts::Attempts;
use super::change_limit::ChangeLimit;
use super::concurrency::ConcurrencyLimits;
use super::connections::RecheckRequests;
use super::initial_delay;
use super::triggers::{AffectedApps, Trigger};
use super::watches::{AppRefs, requests};
use crate::cluster::cached::CachedApp;
use crate::cluster::kubernetes::Kubernetes;
use crate::connections::Connections;
use crate::connections::watched::WatchedConnections;
use crate::crd::OrgOAuthApp;
use crate::decide::recorded_deadline;
use crate::metrics::ReconcileOutcome;
use crate::outcome::Outcome;
use crate::reason::Reason;
use crate::reconcile::Operator;
use crate::{backoff, cluster};
use futures::channel::mpsc::UnboundedReceiver;
use futures::future::{self, BoxFuture};
use futures::{StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument;

/// A reconciliation that takes longer is canceled; the next one observes what it has done.
const RECONCILE_TIMEOUT: Duration = Duration::from_secs(300);
const DEFAULT_RESYNC: Duration = Duration::from_secs(600);

/// One scope: the watch of its resources and what triggers their reconciliation.
pub(super) struct Scope {
    pub(crate) apps: Store<CachedApp>,
    /// Shared, since a store wakes only one of the futures that wait for its first list.
    pub(crate) listed: future::Shared<BoxFuture<'static, ()>>,
    /// The resources that existed when the watch began.
    pub(crate) found: AppRefs,
    /// The resources that were created or changed since.
    pub(crate) changed: AppRefs,
    pub(crate) triggers: UnboundedReceiver<Trigger>,
}

/// What all reconciliations share.
pub(super) struct Context {
    operator: Arc<Operator<Kubernetes, WatchedConnections>>,
    concurrency: ConcurrencyLimits,
    changes: ChangeLimit,
    attempts: Attempts,
    rechecks: RecheckRequests,
}

/// Runs the controller of one scope until `shutdown`, and until the reconciliations that are then in progress have ended.
pub(super) async fn run_app_controller(
    Scope { apps, listed, found, changed, triggers }: Scope,
    context: Arc<Context>,
    shutdown: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) {
    // Before the list is there, a trigger would affect no app.
    tokio::select! { () = listed => {}, () = shutdown.clone() => return }
    let mut affected_apps = AffectedApps::new(apps.clone());
    let limits = context.clone();
    let affected = triggers.flat_map(move |trigger| {
        let affected = affected_apps.by(&trigger, Instant::now());
        limits.mark_changed(&trigger, &affected);
        stream::iter(affected.into_iter().map(|app| ObjectRef::from_obj(app.as_ref())))
    });
    let delayed = apps.clone();
    let delays = context.clone();
    let found = initial_delay::delayed(found, move |app| {
        delayed.get(app).map_or(Duration::ZERO, |app| delays.first_delay(app.outline()))
    });
    Controller::for_stream(stream::pending(), apps)
        .reconcile_on(found)
        .reconcile_on(changed)
        .reconcile_on(affected)
        .graceful_shutdown_on(shutdown)
        .run(reconcile, |_, error: &Infallible, _| match *error {}, context)
        .for_each(|_| future::ready(()))
        .await;
}

async fn reconcile(cached: Arc<CachedApp>, context: Arc<Context>) -> Result<Action, Infallible> {
    let app = cached.outline();
    if let Some(wait) = context.change_wait(app) {
        return Ok(Action::requeue(wait));
    }
    let _queued = context.operator.metrics.queued();
    let _slots = context.concurrency.acquire_slots(app, context.max_in_flight(app)).await;
    // A field `name` would hide the name of the span in the JSON log.
    let span = tracing::info_span!(parent: None, "app", namespace = app.namespace(), resource = app.name_any());
    // Its future is large; boxed here, so that one that waits for a slot is small.
    let result = Box::pin(context.reconcile_measured(&cached).instrument(span.clone())).await;
    let _entered = span.entered();
    let delay = context.delay(app, &result);
    if let Ok(Outcome::Waiting { reason: Reason::ConnectionUnavailable, .. }) = &result {
        context.rechecks.request(&app.spec.connection_ref.name);
    }
    if let Err(error) = &result
        && *error != cluster::Error::Stale
    {
        tracing::warn!(%error, "reconciliation failed; retrying");
    }
    Ok(match result {
        Ok(Outcome::Gone) => Action::await_change(),
        Ok(
            Outcome::Settled { .. }
            | Outcome::PlanOnly(_)
            | Outcome::Suspended
            | Outcome::Blocked(_)
            | Outcome::Waiting { .. },
        )
        | Err(_) => Action::requeue(delay),
    })
}

impl Context {
    pub(super) fn new(operator: Arc<Operator<Kubernetes, WatchedConnections>>, rechecks: RecheckRequests) -> Self {
        let concurrency = ConcurrencyLimits::default();
        let changes = ChangeLimit::default();
        let attempts = Attempts::default();
        Self { operator, concurrency, changes, attempts, rechecks }
    }

    async fn reconcile_measured(&self, cached: &CachedApp) -> Result<Outcome, cluster::Error> {
        let begin = Instant::now();
        let work = self.operator.reconcile_catching_panics(cached);
        let result = match tokio::time::timeout(RECONCILE_TIMEOUT, work).await {
            Ok(result) => result,
            Err(_) => Err(cluster::Error::Unavailable("the reconciliation took too long".into())),
        };
        let (outcome, reason) = match &result {
            Ok(outcome) => outcome.labels(cached.outline().spec.deletion_policy),
            Err(error) => (ReconcileOutcome::Failed, error.as_str()),
        };
        self.operator.metrics.reconciled(outcome, reason, begin.elapsed());
        result
    }

    /// A change of its Secret counts like one of the resource itself.
    fn mark_changed(&self, trigger: &Trigger, affected: &[Arc<CachedApp>]) {
        match trigger {
            Trigger::Secret(_) => {
                affected.iter().for_each(|app| self.changes.mark_changed(app.outline().uid_any()));
            }
            Trigger::Connection(_) | Trigger::ConnectionReady(_) | Trigger::Namespace(_) => {}
        }
    }

    /// How long this resource has to wait because a change of it was reconciled just now.
    fn change_wait(&self, app: &OrgOAuthApp) -> Option<Duration> {
        let change = (app.metadata.generation, requests(app));
        self.changes.wait(app.uid_any(), change, Instant::now())
    }

    fn max_in_flight(&self, app: &OrgOAuthApp) -> usize {
        let connection = self.operator.connections.find(&app.spec.connection_ref.name);
        connection.map_or(1, |connection| connection.spec.limits.max_in_flight.into())
    }

    fn delay(&self, app: &OrgOAuthApp, result: &Result<Outcome, cluster::Error>) -> Duration {
        let ending = match result {
            Ok(outcome) => outcome.retry().map(|(reason, _)| reason.as_str()),
            Err(cluster::Error::Stale) => return Duration::from_millis(100 + fastrand::u64(..100)),
            Err(cluster::Error::Refused(_) | cluster::Error::Unavailable(_)) => Some("Kubernetes"),
        };
        let uid = app.uid_any();
        let attempts = match ending {
            Some(ending) => self.attempts.record_attempt(uid.to_owned(), ending, Instant::now()),
            None => {
                self.attempts.forget(uid);
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
