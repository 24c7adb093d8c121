//! The watches: resources, connections, and the namespaces whose labels grants select by. Each keeps a store current and
//! tells, object by object, what came, changed or went, whether it was told in the watch or only found out by a new list.
//! That of Secrets is in `secrets`, and keeps none.

mod apps;
mod secrets;

pub use apps::{Waking, apps, requests};
pub use secrets::secrets;

use super::notices::{Notice, Notices};
use crate::claim::ClaimKey;
use crate::cluster::cached::CachedApp;
use crate::cluster::lenient::{Kept, Lenient, Unreadable};
use crate::cluster::watched::NamespaceMeta;
use crate::crd::{ConditionStatus, ConditionType, IamConnection};
use crate::metrics::{Metrics, Watched};
use futures::channel::mpsc::UnboundedSender;
use futures::{Stream, StreamExt, future::BoxFuture};
use kube::core::ObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// An object can have 1.5 MiB, and a page is in memory as a whole.
const PAGE: u32 = 10;

/// What changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// The spec of the connection of that name, or the connection is gone.
    Connection(String),
    /// The connection of that name is Ready, and was not.
    ConnectionReady(String),
    /// The labels of the namespace of that name.
    Namespace(String),
    /// The Secret of a resource, which is not as its last reconcile left it.
    Secret(ObjectRef<CachedApp>),
}

/// Those who want to hear of changes.
pub type Listeners = Vec<UnboundedSender<Change>>;

/// What all watches share.
#[derive(Clone)]
pub struct Shared {
    /// Watches.
    pub client: Client,
    /// What is to be said of objects.
    pub notices: Notices,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Tells what the operator signed.
    pub claim_key: ClaimKey,
}

impl Shared {
    /// What all watches of a process share.
    pub fn new(client: &Client, notices: Notices, metrics: &Arc<Metrics>, claim_key: &ClaimKey) -> Self {
        Self { client: client.clone(), notices, metrics: metrics.clone(), claim_key: claim_key.clone() }
    }

    fn watch<K: Kept + Clone + 'static, F: Follower<K>>(
        &self,
        writer: Writer<K>,
        kind: Watched,
        follower: F,
    ) -> Watch<K, F> {
        Watch::new(writer, kind, follower, self.notices.clone(), self.metrics.clone())
    }
}

/// What was known of an object.
enum Before<S> {
    /// Nothing: the watch has just begun.
    Unwatched,
    /// That there was none, or none that can be read.
    Absent,
    /// What was remembered of it.
    Seen(S),
}

/// Who is told of the objects of a watch, after its store knows.
trait Follower<K: Resource>: Send {
    /// What is remembered of an object.
    type Seen: Send;

    /// It came or changed. `before` is what was known of the same object.
    fn seen(&self, object: &K, before: Before<Self::Seen>) -> Self::Seen;

    /// It is gone.
    fn gone(&self, object: &ObjectRef<K>, last: Self::Seen);

    /// It is there and cannot be read any more.
    fn lost(&self, object: &ObjectRef<K>, last: Self::Seen);
}

/// All connections. The future runs the watch.
pub fn connections(shared: &Shared, listeners: Listeners) -> (Store<IamConnection>, BoxFuture<'static, ()>) {
    let (connections, writer) = store::<IamConnection>();
    let stream = stream(Api::all(shared.client.clone()), watcher::Config::default());
    let watch = shared.watch(writer, Watched::IamConnections, Connections(listeners));
    (connections, Box::pin(watch.follow(stream)))
}

/// A connection that comes into being, or is Ready again, concerns those who waited for it. One that is there when the watch
/// begins concerns its users if it was changed and not looked at since.
struct Connections(Listeners);

/// What is remembered of a connection.
#[derive(Clone, Copy)]
struct SeenConnection {
    generation: Option<i64>,
    is_ready: bool,
}

impl Follower<IamConnection> for Connections {
    type Seen = SeenConnection;

    fn seen(&self, connection: &IamConnection, before: Before<Self::Seen>) -> Self::Seen {
        let ready = connection.status.as_ref().and_then(|status| status.condition(ConditionType::Ready));
        let is_ready = ready.is_some_and(|ready| ready.status == ConditionStatus::True);
        let seen = SeenConnection { generation: connection.metadata.generation, is_ready };
        let observed = || connection.status.as_ref().map(|status| status.observed_generation);
        let (known, was_ready) = match before {
            Before::Unwatched => (observed(), is_ready),
            Before::Absent => (None, is_ready),
            Before::Seen(before) => (Some(before.generation), before.is_ready),
        };
        if known != Some(seen.generation) {
            tell(&self.0, &Change::Connection(connection.name_any()));
        } else if is_ready && !was_ready {
            tell(&self.0, &Change::ConnectionReady(connection.name_any()));
        }
        seen
    }

    fn gone(&self, connection: &ObjectRef<IamConnection>, _: Self::Seen) {
        tell(&self.0, &Change::Connection(connection.name.clone()));
    }

    fn lost(&self, connection: &ObjectRef<IamConnection>, last: Self::Seen) {
        self.gone(connection, last);
    }
}

/// The namespaces of that name, or all. The future runs the watch.
pub fn namespaces(
    shared: &Shared,
    name: Option<&str>,
    listeners: Listeners,
) -> (Store<NamespaceMeta>, BoxFuture<'static, ()>) {
    let (namespaces, writer) = store::<NamespaceMeta>();
    let config = match name {
        Some(name) => watcher::Config::default().fields(&format!("metadata.name={name}")),
        None => watcher::Config::default(),
    };
    let stream = stream(Api::all(shared.client.clone()), config);
    let watch = shared.watch(writer, Watched::Namespaces, Namespaces(listeners));
    (namespaces, Box::pin(watch.follow(stream)))
}

/// One that comes into being concerns nobody, since no resource can be older than its namespace.
struct Namespaces(Listeners);

impl Follower<NamespaceMeta> for Namespaces {
    type Seen = BTreeMap<String, String>;

    fn seen(&self, namespace: &NamespaceMeta, before: Before<Self::Seen>) -> Self::Seen {
        let labels = namespace.labels().clone();
        match before {
            Before::Seen(before) if before != labels => tell(&self.0, &Change::Namespace(namespace.name_any())),
            Before::Seen(_) | Before::Unwatched | Before::Absent => {}
        }
        labels
    }

    fn gone(&self, namespace: &ObjectRef<NamespaceMeta>, _: Self::Seen) {
        tell(&self.0, &Change::Namespace(namespace.name.clone()));
    }

    fn lost(&self, namespace: &ObjectRef<NamespaceMeta>, last: Self::Seen) {
        self.gone(namespace, last);
    }
}

/// Has all of them hear of it.
pub fn tell(listeners: &Listeners, change: &Change) {
    for listener in listeners {
        // Who has ended needs no news.
        listener.unbounded_send(change.clone()).ok();
    }
}

type Events<K> = watcher::Result<Event<Lenient<K>>>;

fn stream<K>(api: Api<Lenient<K>>, config: watcher::Config) -> impl Stream<Item = Events<K>>
where
    K: Kept + Clone + std::fmt::Debug + Send + 'static,
{
    watcher(api, config.page_size(PAGE)).default_backoff()
}

/// What is known of an object: what the follower remembers of the one with this uid, or why it cannot be read.
enum Known<S> {
    Read(Option<String>, S),
    Unreadable(String),
}

struct Watch<K: Resource<DynamicType = ()> + Clone + 'static, F: Follower<K>> {
    writer: Writer<K>,
    store: Store<K>,
    follower: F,
    notices: Notices,
    metrics: Arc<Metrics>,
    kind: Watched,
    known: HashMap<ObjectRef<K>, Known<F::Seen>>,
    /// Whether a list has ended.
    has_begun: bool,
    /// What a list that is under way has brought.
    listed: Vec<ObjectRef<K>>,
    unreadable: Vec<Unreadable>,
}

impl<K: Kept + Clone + 'static, F: Follower<K>> Watch<K, F> {
    fn new(writer: Writer<K>, kind: Watched, follower: F, notices: Notices, metrics: Arc<Metrics>) -> Self {
        let store = writer.as_reader();
        let (known, listed, unreadable) = Default::default();
        Self { writer, store, follower, notices, metrics, kind, known, has_begun: false, listed, unreadable }
    }

    async fn follow(mut self, events: impl Stream<Item = Events<K>>) {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => {
                    self.writer.apply_watcher_event(&Event::Init);
                    (self.listed, self.unreadable) = Default::default();
                }
                Ok(Event::InitApply(Lenient(Ok(object)))) => {
                    self.listed.push(key(object.meta()));
                    self.writer.apply_watcher_event(&Event::InitApply(object));
                }
                Ok(Event::InitApply(Lenient(Err(unreadable)))) => self.unreadable.push(*unreadable),
                Ok(Event::InitDone) => self.listed(),
                Ok(Event::Apply(Lenient(Ok(object)))) => self.applied(object),
                Ok(Event::Apply(Lenient(Err(unreadable)))) => self.cannot_read(&unreadable),
                Ok(Event::Delete(object)) => self.deleted(&key(object.meta())),
                Err(error) => tracing::warn!(%error, watch = self.kind.as_str(), "a watch failed; restarting it"),
            }
        }
    }

    fn applied(&mut self, object: K) {
        self.writer.apply_watcher_event(&Event::Apply(object.clone()));
        let before = self.known.remove(&key(object.meta()));
        self.read(&object, before);
    }

    fn read(&mut self, object: &K, before: Option<Known<F::Seen>>) {
        let (key, uid) = (key(object.meta()), object.meta().uid.clone());
        let before = match before {
            Some(Known::Read(same, seen)) if same == uid => Before::Seen(seen),
            Some(Known::Read(_, seen)) => {
                self.follower.gone(&key, seen);
                Before::Absent
            }
            Some(Known::Unreadable(_)) => {
                self.metrics.unreadable(self.kind, -1);
                Before::Absent
            }
            None if self.has_begun => Before::Absent,
            None => Before::Unwatched,
        };
        let seen = self.follower.seen(object, before);
        self.known.insert(key, Known::Read(uid, seen));
    }

    /// What was known and is in no list any more went away unseen.
    fn listed(&mut self) {
        self.writer.apply_watcher_event(&Event::InitDone);
        let mut before = std::mem::take(&mut self.known);
        for key in std::mem::take(&mut self.listed) {
            if let Some(object) = self.store.get(&key) {
                self.read(&object, before.remove(&key));
            }
        }
        for unreadable in std::mem::take(&mut self.unreadable) {
            let key = key(&unreadable.metadata);
            self.known.extend(before.remove(&key).map(|known| (key, known)));
            self.cannot_read(&unreadable);
        }
        for (key, known) in before {
            self.went(&key, known);
        }
        self.has_begun = true;
    }

    fn deleted(&mut self, key: &ObjectRef<K>) {
        self.forget(key);
        if let Some(known) = self.known.remove(key) {
            self.went(key, known);
        }
    }

    fn went(&self, key: &ObjectRef<K>, known: Known<F::Seen>) {
        match known {
            Known::Read(_, seen) => self.follower.gone(key, seen),
            Known::Unreadable(_) => self.metrics.unreadable(self.kind, -1),
        }
    }

    /// As it was before it must not be acted upon.
    fn forget(&mut self, key: &ObjectRef<K>) {
        if let Some(object) = self.store.get(key) {
            self.writer.apply_watcher_event(&Event::Delete(K::clone(&object)));
        }
    }

    /// Said once for each thing that is wrong with it, however often it is read again.
    fn cannot_read(&mut self, unreadable: &Unreadable) {
        let key = key(&unreadable.metadata);
        self.forget(&key);
        match self.known.insert(key.clone(), Known::Unreadable(unreadable.error.clone())) {
            Some(Known::Unreadable(error)) if error == unreadable.error => return,
            Some(Known::Unreadable(_)) => {}
            Some(Known::Read(_, seen)) => {
                self.follower.lost(&key, seen);
                self.metrics.unreadable(self.kind, 1);
            }
            None => self.metrics.unreadable(self.kind, 1),
        }
        self.notices.say(Notice::unreadable::<K>(unreadable));
    }
}

/// By name and namespace alone.
fn key<K: Resource<DynamicType = ()>>(metadata: &ObjectMeta) -> ObjectRef<K> {
    let key = ObjectRef::new(metadata.name.as_deref().unwrap_or_default());
    match &metadata.namespace {
        Some(namespace) => key.within(namespace),
        None => key,
    }
}

#[cfg(test)]
mod tests;
