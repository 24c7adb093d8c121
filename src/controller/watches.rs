//! The watches of resources, connections, and the namespaces whose labels grants select by. Each keeps a store current and
//! calls its handler for each object that is created, changed or deleted, also where only a new list shows it.
//! The watch of Secrets is in `secrets`, and keeps no store.

mod apps;
mod secrets;

pub(super) use apps::{AppRefs, apps, requests};
pub(super) use secrets::secrets;

use super::triggers::{Subscribers, Trigger, notify};
use super::watch_reports::{Reporter, WatchReport};
use crate::claim::ClaimKey;
use crate::cluster::lenient::{Kept, Lenient, Unreadable};
use crate::cluster::watched::NamespaceMeta;
use crate::connections::watched::UnreadableConnections;
use crate::crd::{ConditionStatus, ConditionType, IamConnection};
use crate::metrics::{Metrics, Watched};
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
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

/// What all watches share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(crate) client: Client,
    pub(crate) reporter: Reporter,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) claim_key: ClaimKey,
}

impl Shared {
    pub(super) fn new(client: &Client, reporter: Reporter, metrics: &Arc<Metrics>, claim_key: &ClaimKey) -> Self {
        Self { client: client.clone(), reporter, metrics: metrics.clone(), claim_key: claim_key.clone() }
    }

    fn watch<K: Kept + Clone + 'static, H: EventHandler<K>>(
        &self,
        writer: Writer<K>,
        kind: Watched,
        handler: H,
    ) -> Watch<K, H> {
        Watch::new(writer, kind, handler, self.reporter.clone(), self.metrics.clone())
    }
}

/// The state of an object before an event of its watch.
enum Previous<S> {
    /// The watch has just begun.
    Unknown,
    /// The object did not exist, or could not be read.
    Absent,
    /// The state that the handler recorded.
    Known(S),
}

/// Handles the events of a watch, after its store was updated.
trait EventHandler<K: Resource>: Send {
    /// What the handler records of an object.
    type State: Send;

    /// The object was created or changed.
    fn on_apply(&self, object: &K, before: Previous<Self::State>) -> Self::State;

    fn on_delete(&self, object: &ObjectRef<K>, last: Self::State);

    /// The object exists and can no longer be read.
    fn on_unreadable(&self, object: &ObjectRef<K>, last: Self::State);

    /// Records whether the object exists and cannot be read, whenever that changes.
    fn set_unreadable(&self, _: &ObjectRef<K>, _is_unreadable: bool) {}
}

/// All connections. The future runs the watch.
pub(super) fn connections(
    shared: &Shared,
    subscribers: Subscribers,
    unreadable: Arc<UnreadableConnections>,
) -> (Store<IamConnection>, BoxFuture<'static, ()>) {
    let (connections, writer) = store::<IamConnection>();
    let stream = stream(Api::all(shared.client.clone()), watcher::Config::default());
    let watch = shared.watch(writer, Watched::IamConnections, Connections { subscribers, unreadable });
    (connections, Box::pin(watch.for_each_change(stream)))
}

/// A connection that is created, or is Ready again, triggers the resources that waited for it. One that exists when the watch
/// begins triggers its users if it was changed and not checked since.
struct Connections {
    subscribers: Subscribers,
    unreadable: Arc<UnreadableConnections>,
}

#[derive(Clone, Copy)]
struct ConnectionState {
    generation: Option<i64>,
    is_ready: bool,
}

impl EventHandler<IamConnection> for Connections {
    type State = ConnectionState;

    fn on_apply(&self, connection: &IamConnection, before: Previous<Self::State>) -> Self::State {
        let ready = connection.status.as_ref().and_then(|status| status.condition(ConditionType::Ready));
        let is_ready = ready.is_some_and(|ready| ready.status == ConditionStatus::True);
        let seen = ConnectionState { generation: connection.metadata.generation, is_ready };
        let observed = || connection.status.as_ref().map(|status| status.observed_generation);
        let (known, was_ready) = match before {
            Previous::Unknown => (observed(), is_ready),
            Previous::Absent => (None, is_ready),
            Previous::Known(before) => (Some(before.generation), before.is_ready),
        };
        if known != Some(seen.generation) {
            notify(&self.subscribers, &Trigger::Connection(connection.name_any()));
        } else if is_ready && !was_ready {
            notify(&self.subscribers, &Trigger::ConnectionReady(connection.name_any()));
        }
        seen
    }

    fn on_delete(&self, connection: &ObjectRef<IamConnection>, _: Self::State) {
        notify(&self.subscribers, &Trigger::Connection(connection.name.clone()));
    }

    fn on_unreadable(&self, connection: &ObjectRef<IamConnection>, last: Self::State) {
        self.on_delete(connection, last);
    }

    fn set_unreadable(&self, connection: &ObjectRef<IamConnection>, is_unreadable: bool) {
        self.unreadable.set(&connection.name, is_unreadable);
    }
}

/// The namespaces of that name, or all. The future runs the watch.
pub(super) fn namespaces(
    shared: &Shared,
    name: Option<&str>,
    subscribers: Subscribers,
) -> (Store<NamespaceMeta>, BoxFuture<'static, ()>) {
    let (namespaces, writer) = store::<NamespaceMeta>();
    let config = match name {
        Some(name) => watcher::Config::default().fields(&format!("metadata.name={name}")),
        None => watcher::Config::default(),
    };
    let stream = stream(Api::all(shared.client.clone()), config);
    let watch = shared.watch(writer, Watched::Namespaces, Namespaces(subscribers));
    (namespaces, Box::pin(watch.for_each_change(stream)))
}

/// A namespace that is created triggers nothing, since no resource can be older than its namespace.
struct Namespaces(Subscribers);

impl EventHandler<NamespaceMeta> for Namespaces {
    type State = BTreeMap<String, String>;

    fn on_apply(&self, namespace: &NamespaceMeta, before: Previous<Self::State>) -> Self::State {
        let labels = namespace.labels().clone();
        match before {
            Previous::Known(before) if before != labels => notify(&self.0, &Trigger::Namespace(namespace.name_any())),
            Previous::Known(_) | Previous::Unknown | Previous::Absent => {}
        }
        labels
    }

    fn on_delete(&self, namespace: &ObjectRef<NamespaceMeta>, _: Self::State) {
        notify(&self.0, &Trigger::Namespace(namespace.name.clone()));
    }

    fn on_unreadable(&self, namespace: &ObjectRef<NamespaceMeta>, last: Self::State) {
        self.on_delete(namespace, last);
    }
}

type Events<K> = watcher::Result<Event<Lenient<K>>>;

fn stream<K>(api: Api<Lenient<K>>, config: watcher::Config) -> impl Stream<Item = Events<K>>
where
    K: Kept + Clone + std::fmt::Debug + Send + 'static,
{
    watcher(api, config.page_size(PAGE)).default_backoff()
}

/// An object in the watch: its uid with the state that the handler recorded, or why it cannot be read.
enum Known<S> {
    Read(Option<String>, S),
    Unreadable(String),
}

struct Watch<K: Resource<DynamicType = ()> + Clone + 'static, H: EventHandler<K>> {
    writer: Writer<K>,
    store: Store<K>,
    handler: H,
    reporter: Reporter,
    metrics: Arc<Metrics>,
    kind: Watched,
    known: HashMap<ObjectRef<K>, Known<H::State>>,
    /// Whether a list has ended.
    has_begun: bool,
    /// What the list in progress has shown so far.
    listed: Vec<ObjectRef<K>>,
    unreadable: Vec<Unreadable>,
}

impl<K: Kept + Clone + 'static, H: EventHandler<K>> Watch<K, H> {
    fn new(writer: Writer<K>, kind: Watched, handler: H, reporter: Reporter, metrics: Arc<Metrics>) -> Self {
        let store = writer.as_reader();
        let (known, listed, unreadable) = Default::default();
        Self { writer, store, handler, reporter, metrics, kind, known, has_begun: false, listed, unreadable }
    }

    async fn for_each_change(mut self, events: impl Stream<Item = Events<K>>) {
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
                Err(error) => {
                    self.metrics.read_failed(self.kind.into());
                    tracing::warn!(%error, watch = self.kind.as_str(), "watch failed; restarting it");
                }
            }
        }
    }

    fn applied(&mut self, object: K) {
        self.writer.apply_watcher_event(&Event::Apply(object.clone()));
        let before = self.known.remove(&key(object.meta()));
        self.read(&object, before);
    }

    fn read(&mut self, object: &K, before: Option<Known<H::State>>) {
        let key = key(object.meta());
        let uid = object.meta().uid.clone();
        let before = match before {
            Some(Known::Read(same, seen)) if same == uid => Previous::Known(seen),
            Some(Known::Read(_, seen)) => {
                self.handler.on_delete(&key, seen);
                Previous::Absent
            }
            Some(Known::Unreadable(_)) => {
                self.set_unreadable(&key, false);
                Previous::Absent
            }
            None if self.has_begun => Previous::Absent,
            None => Previous::Unknown,
        };
        let seen = self.handler.on_apply(object, before);
        self.known.insert(key, Known::Read(uid, seen));
    }

    /// An object that is known and not in the list was deleted while nothing was watched.
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
            self.removed(&key, known);
        }
        self.has_begun = true;
    }

    fn deleted(&mut self, key: &ObjectRef<K>) {
        self.forget(key);
        if let Some(known) = self.known.remove(key) {
            self.removed(key, known);
        }
    }

    fn removed(&self, key: &ObjectRef<K>, known: Known<H::State>) {
        match known {
            Known::Read(_, seen) => self.handler.on_delete(key, seen),
            Known::Unreadable(_) => self.set_unreadable(key, false),
        }
    }

    fn set_unreadable(&self, key: &ObjectRef<K>, is_unreadable: bool) {
        self.metrics.unreadable(self.kind, if is_unreadable { 1 } else { -1 });
        self.handler.set_unreadable(key, is_unreadable);
    }

    /// Removes the object from the store, so that nothing acts upon its last readable state.
    fn forget(&mut self, key: &ObjectRef<K>) {
        if let Some(object) = self.store.get(key) {
            self.writer.apply_watcher_event(&Event::Delete(K::clone(&object)));
        }
    }

    /// Reports each error of an object once, however often it is read again.
    fn cannot_read(&mut self, unreadable: &Unreadable) {
        let key = key(&unreadable.metadata);
        self.forget(&key);
        match self.known.insert(key.clone(), Known::Unreadable(unreadable.error.clone())) {
            Some(Known::Unreadable(error)) if error == unreadable.error => return,
            Some(Known::Unreadable(_)) => {}
            Some(Known::Read(_, seen)) => {
                self.set_unreadable(&key, true);
                self.handler.on_unreadable(&key, seen);
            }
            None => self.set_unreadable(&key, true),
        }
        self.reporter.report(WatchReport::unreadable::<K>(unreadable));
    }
}

/// The reference has name and namespace only.
fn key<K: Resource<DynamicType = ()>>(metadata: &ObjectMeta) -> ObjectRef<K> {
    let key = ObjectRef::new(metadata.name.as_deref().unwrap_or_default());
    match &metadata.namespace {
        Some(namespace) => key.within(namespace),
        None => key,
    }
}

#[cfg(test)]
mod tests;
