//! The controller of `IamConnection`s: checks each when its spec or its users change, when the reconciliation of an app asks
//! for it, and from time to time. Checks run side by side, so that a connection that hangs delays no other.

mod rechecks;
mod users;

pub(super) use rechecks::{RecheckReceiver, RecheckRequests};

use super::triggers::Trigger;
use crate::cluster;
use crate::cluster::cached::CachedApp;
use crate::cluster::kubernetes::Kubernetes;
use crate::connections::SpecVersion;
use crate::connections::watched::WatchedConnections;
use crate::crd::IamConnection;
use crate::reconcile::Operator;
use futures::channel::mpsc::UnboundedReceiver;
use futures::{Stream, StreamExt, future, stream};
use kube::ResourceExt;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use rechecks::LastReady;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use users::{CountedUsers, Users};

/// How often the users of all connections are compared; a difference is one check and one write.
const USERS_INTERVAL: Duration = Duration::from_secs(5);
/// How long the check of a Ready connection holds, so that replaced credentials are noticed soon.
const READY_RECHECK: Duration = Duration::from_secs(60);
/// How long the check of a connection that is not Ready holds.
const UNREADY_RECHECK: Duration = Duration::from_secs(10);

/// What all checks share.
struct Context {
    operator: Arc<Operator<Kubernetes, WatchedConnections>>,
    connections: Store<IamConnection>,
    apps: Vec<Store<CachedApp>>,
    /// Whether some namespaces only are watched. Other operators may then check the same connection: it is left to them
    /// unless a resource here uses it, and its users are not counted.
    scoped: bool,
    last_ready: Arc<LastReady>,
    /// The users of all connections, as they were counted last.
    counted: Mutex<Option<HashMap<String, CountedUsers>>>,
}

/// Runs the controller of connections; it never returns.
pub(super) async fn run_connection_controller(
    operator: Arc<Operator<Kubernetes, WatchedConnections>>,
    connections: Store<IamConnection>,
    apps: Vec<Store<CachedApp>>,
    scoped: bool,
    triggers: UnboundedReceiver<Trigger>,
    rechecks: RecheckReceiver,
) {
    let last_ready = Arc::<LastReady>::default();
    let counted = Mutex::default();
    let context = Arc::new(Context { operator, connections: connections.clone(), apps, scoped, last_ready, counted });
    Controller::for_stream(stream::pending(), connections)
        .reconcile_on(triggers.filter_map(|trigger| future::ready(changed_connection(&trigger))))
        .reconcile_on(with_changed_users(context.clone()))
        .reconcile_on(rechecks.due(context.last_ready.clone()))
        .run(reconcile, retry, context)
        .for_each(|_| future::ready(()))
        .await;
}

fn changed_connection(trigger: &Trigger) -> Option<ObjectRef<IamConnection>> {
    match trigger {
        Trigger::Connection(name) => Some(ObjectRef::new(name)),
        // The status that this controller wrote caused it, so there is nothing to check.
        Trigger::ConnectionReady(_) | Trigger::Namespace(_) | Trigger::Secret(_) => None,
    }
}

/// All connections at the start, and later those whose users changed.
fn with_changed_users(context: Arc<Context>) -> impl Stream<Item = ObjectRef<IamConnection>> {
    let mut ticks = interval(USERS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold((context, ticks), |(context, mut ticks)| async move {
        ticks.tick().await;
        let changed = context.count_users().await;
        Some((stream::iter(changed), (context, ticks)))
    })
    .flatten()
}

async fn reconcile(connection: Arc<IamConnection>, context: Arc<Context>) -> Result<Action, cluster::Error> {
    let name = connection.name_any();
    let users = context.users_of(&connection).await;
    if context.scoped && users.counts.total == 0 {
        return Ok(Action::await_change());
    }
    let counts = (!context.scoped).then_some(users.counts);
    context.last_ready.forget(&name);
    let is_ready = context.operator.reconcile_connection(&connection, users.org.as_ref(), counts).await?;
    if is_ready {
        context.last_ready.record(name);
    }
    Ok(Action::requeue(recheck_after(&connection, is_ready)))
}

fn retry(connection: Arc<IamConnection>, error: &cluster::Error, _: Arc<Context>) -> Action {
    tracing::warn!(%error, connection = connection.name_any(), "failed to write the connection's status; retrying");
    Action::requeue(recheck_after(&connection, false))
}

fn recheck_after(connection: &IamConnection, is_ready: bool) -> Duration {
    let longest = if is_ready { READY_RECHECK } else { UNREADY_RECHECK };
    connection.spec.resync_interval.get().min(longest)
}

impl Context {
    /// Counts the users of each connection that exists, and returns the connections whose users changed.
    async fn count_users(&self) -> Vec<ObjectRef<IamConnection>> {
        // A spec that changes meanwhile is not the recorded one, so its users are counted again.
        let connections = self.connections.state();
        let mut used = Users::by_connection(&self.granted_apps(|_| true).await);
        let counted: HashMap<String, CountedUsers> = connections
            .into_iter()
            .map(|connection| {
                let name = connection.name_any();
                let users = used.remove(&name).unwrap_or_default();
                (name, CountedUsers { spec: SpecVersion::of(&connection), users })
            })
            .collect();
        self.last_ready.retain(|name| counted.contains_key(name));
        let mut last = self.counted();
        let changed = users::changed(last.as_ref(), &counted);
        *last = Some(counted);
        changed
    }

    /// The users as they were counted last, unless the spec with the grants has changed since.
    async fn users_of(&self, connection: &IamConnection) -> Users {
        let name = connection.name_any();
        let counted = self.counted().as_ref().and_then(|counted| counted.get(&name).cloned());
        if let Some(counted) = counted.filter(|counted| counted.spec == SpecVersion::of(connection)) {
            return counted.users;
        }
        let apps = self.granted_apps(|of| of == name).await;
        Users::by_connection(&apps).remove(&name).unwrap_or_default()
    }

    fn counted(&self) -> MutexGuard<'_, Option<HashMap<String, CountedUsers>>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The resources of the selected connections that a grant covers. A resource without a grant is no user: it causes no check, and
    /// none about its organization.
    async fn granted_apps(&self, of: impl Fn(&str) -> bool) -> Vec<Arc<CachedApp>> {
        let mut granted = Vec::new();
        for app in self.apps.iter().flat_map(Store::state) {
            if of(&app.outline().spec.connection_ref.name) && self.operator.is_granted(app.outline()).await {
                granted.push(app);
            }
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_check_holds_for_at_most_the_resync_interval() {
        let after = |resync: &str, is_ready| {
            let connection = json!({
                "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection", "metadata": {"name": "default"},
                "spec": {"api": "CloudServices", "endpoint": "https://iam.example.com", "grants": [],
                         "credentials": {}, "resyncInterval": resync},
            });
            recheck_after(&serde_json::from_value(connection).unwrap(), is_ready)
        };
        assert_eq!((after("10m", true), after("10m", false)), (READY_RECHECK, UNREADY_RECHECK));
        assert_eq!((after("20s", true), after("20s", false)), (Duration::from_secs(20), UNREADY_RECHECK));
        assert_eq!((after("2s", true), after("2s", false)), (Duration::from_secs(2), Duration::from_secs(2)));
    }
}
