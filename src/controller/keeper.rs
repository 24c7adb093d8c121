//! Keeps the status of connections true: looks at each when it changes, when the resources that use it do, and from time
//! to time. Connections are looked at side by side, so that one that hangs delays no other.

use super::watches::Change;
use crate::cluster::cached::CachedApp;
use crate::cluster::kubernetes::Kubernetes;
use crate::connections::ClusterConnections;
use crate::crd::IamConnection;
use crate::duration;
use crate::reconcile::{Connections, Operator};
use crate::status::Users;
use futures::channel::mpsc::UnboundedReceiver;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use kube::ResourceExt;
use kube::runtime::reflector::Store;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

/// How often the users of connections are counted; a count that changed is one write.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// How old the look at a good connection may be, so that replaced credentials are taken up soon.
const READY_RECHECK: Duration = Duration::from_secs(60);
/// How soon one that is not Ready is looked at again.
const UNREADY_RECHECK: Duration = Duration::from_secs(10);
/// How soon a good one is looked at again when a reconcile met an API that gives no usable answer.
const DOUBTED_AFTER: Duration = Duration::from_secs(5);
/// So many doubts are kept until they are seen to; what is more says nothing new.
const DOUBTS: usize = 64;

/// Tells the keeper of connections whose API gave no usable answer.
#[derive(Clone)]
pub struct Doubts(mpsc::Sender<String>);

impl Doubts {
    /// And where the keeper hears of them.
    pub fn new() -> (Self, mpsc::Receiver<String>) {
        let (tell, hear) = mpsc::channel(DOUBTS);
        (Self(tell), hear)
    }

    /// The API of the connection of that name gave a reconcile no usable answer.
    pub fn tell(&self, connection: &str) {
        self.0.try_send(connection.to_owned()).ok();
    }
}

/// What is to be kept.
pub struct ConnectionController {
    /// Performs the looks.
    pub operator: Arc<Operator<Kubernetes, ClusterConnections>>,
    /// All connections.
    pub connections: Store<IamConnection>,
    /// The resources that are watched.
    pub apps: Vec<Store<CachedApp>>,
    /// Whether some namespaces only are watched. Then others may keep the same connection: it is left to them unless a
    /// resource here uses it, and its users are not counted.
    pub scoped: bool,
}

/// What is known of one connection.
#[derive(Default)]
struct Known {
    users: Users,
    /// When to look next; at once when absent.
    due: Option<Instant>,
    looking: bool,
    /// When the last look ended, if it was a good one.
    good_at: Option<Instant>,
}

impl Known {
    /// A look ended. What changed meanwhile is looked at again at once.
    fn looked(&mut self, looked: &CheckResult, now: Instant) {
        self.looking = false;
        self.due = self.due.map(|_| now + looked.wait);
        self.good_at = looked.is_ready.then_some(now);
    }

    /// A reconcile met an API that gives no usable answer, so what the last look found may be no longer so.
    fn doubt(&mut self) {
        if let Some(good_at) = self.good_at {
            self.due = self.due.map(|due| due.min(good_at + DOUBTED_AFTER));
        }
    }
}

/// What came of a look.
struct CheckResult {
    name: String,
    is_ready: bool,
    /// How long it holds.
    wait: Duration,
}

type ConnectionCheck = BoxFuture<'static, CheckResult>;

impl ConnectionController {
    /// Runs until the changes end.
    pub async fn keep(self, mut changes: UnboundedReceiver<Change>, mut doubts: mpsc::Receiver<String>) {
        let mut known: HashMap<String, Known> = HashMap::new();
        let mut looks: FuturesUnordered<ConnectionCheck> = FuturesUnordered::new();
        // Not counted before the first look, the users of a connection would be too few.
        self.count(&mut known).await;
        let mut ticks = tokio::time::interval(COUNT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                change = changes.next() => match change {
                    Some(Change::Connection(name)) => known.entry(name).or_default().due = None,
                    // That a connection is Ready was found out here.
                    Some(Change::ConnectionReady(_) | Change::Namespace(_) | Change::Secret(_)) => {}
                    None => return,
                },
                Some(name) = doubts.recv() => known.get_mut(&name).into_iter().for_each(Known::doubt),
                Some(looked) = looks.next(), if !looks.is_empty() => {
                    known.get_mut(&looked.name).into_iter().for_each(|known| known.looked(&looked, Instant::now()));
                }
                _ = ticks.tick() => self.count(&mut known).await,
            }
            for (name, known) in &mut known {
                looks.extend(self.begin(name, known));
            }
        }
    }

    /// A connection whose users changed is checked; one that is gone is forgotten. A resource without a grant is no user:
    /// nobody else's connection is checked because of it, nor about its organization.
    async fn count(&self, known: &mut HashMap<String, Known>) {
        known.retain(|name, _| self.operator.connections.find(name).is_some());
        let mut apps: Vec<Arc<CachedApp>> = Vec::new();
        for app in self.apps.iter().flat_map(Store::state) {
            if self.operator.is_granted(app.outline()).await {
                apps.push(app);
            }
        }
        let mut all = Users::by_connection(apps.iter().map(|app| app.outline()));
        for connection in self.connections.state() {
            let users = all.remove(connection.name_any().as_str()).unwrap_or_default();
            let known = known.entry(connection.name_any()).or_default();
            if known.users != users {
                (known.users, known.due) = (users, None);
            }
        }
    }

    /// Begins a look, if one is due and none is under way.
    fn begin(&self, name: &str, known: &mut Known) -> Option<ConnectionCheck> {
        let now = Instant::now();
        let unused = self.scoped && known.users.counts.total == 0;
        if unused || known.looking || known.due.is_some_and(|due| due > now) {
            return None;
        }
        (known.looking, known.due) = (true, Some(now));
        let (operator, name, org) = (self.operator.clone(), name.to_owned(), known.users.org.clone());
        let counts = (!self.scoped).then_some(known.users.counts);
        let look = async move {
            let is_ready = match operator.look_at_connection(&name, org.as_ref(), counts).await {
                Ok(ready) => ready,
                Err(fault) => {
                    tracing::warn!(%fault, connection = name, "could not write the connection's status");
                    false
                }
            };
            let longest = if is_ready { READY_RECHECK } else { UNREADY_RECHECK };
            let wait = resync(&operator, &name).map_or(longest, |resync| resync.min(longest));
            CheckResult { name, is_ready, wait }
        };
        Some(look.boxed())
    }
}

fn resync(operator: &Operator<Kubernetes, ClusterConnections>, name: &str) -> Option<Duration> {
    let connection = operator.connections.find(name)?;
    duration::parse(&connection.spec.resync_interval).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_connection_that_is_doubted_is_looked_at_soon_and_not_without_a_pause() {
        let begin = Instant::now();
        let due_in = |is_ready, wait: u64| {
            let mut known = Known { due: Some(begin), looking: true, ..Known::default() };
            known.looked(&CheckResult { name: "a".into(), is_ready, wait: Duration::from_secs(wait) }, begin);
            (0..100).for_each(|_| known.doubt());
            known.due.unwrap() - begin
        };
        assert_eq!(due_in(true, 60), DOUBTED_AFTER);
        assert_eq!(due_in(true, 1), Duration::from_secs(1), "never later");
        assert_eq!(due_in(false, 10), UNREADY_RECHECK, "that it is not good is known");
    }

    #[test]
    fn a_doubt_takes_no_look_from_what_changed() {
        let mut known = Known::default();
        known.doubt();
        assert_eq!(known.due, None, "at once");
    }

    #[test]
    fn doubts_are_bounded() {
        let (doubts, mut heard) = Doubts::new();
        (0..10_000).for_each(|_| doubts.tell("a"));
        assert_eq!(std::iter::from_fn(|| heard.try_recv().ok()).count(), DOUBTS);
    }
}
