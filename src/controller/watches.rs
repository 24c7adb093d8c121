//! The watches beside that of the resources: connections, and the namespaces whose labels grants select by.
//! Each keeps a store current and tells what changed in a way that concerns resources.

use crate::crd::IamConnection;
use futures::channel::mpsc::UnboundedSender;
use futures::{Stream, StreamExt, future::BoxFuture};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{Store, store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use std::collections::HashMap;
use std::fmt::Debug;

/// What changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// The spec of the connection of that name, or the connection is gone.
    Connection(String),
    /// The labels of the namespace of that name.
    Namespace(String),
}

/// Those who want to hear of changes.
pub type Listeners = Vec<UnboundedSender<Change>>;

/// A namespace without its spec and status.
pub type NamespaceMeta = PartialObjectMeta<Namespace>;

/// All connections. The future runs the watch.
pub fn connections(client: Client, listeners: Listeners) -> (Store<IamConnection>, BoxFuture<'static, ()>) {
    let (connections, writer) = store::<IamConnection>();
    let changes = watcher(Api::<IamConnection>::all(client), watcher::Config::default())
        .default_backoff()
        .modify(|connection| connection.managed_fields_mut().clear())
        .reflect(writer);
    let version = |connection: &IamConnection| (connection.uid(), connection.metadata.generation);
    // A connection that comes into being concerns those who waited for it.
    let following = async move {
        follow(changes, version, |name, _| tell(&listeners, Change::Connection(name))).await;
    };
    (connections, Box::pin(following))
}

/// The namespaces of that name, or all. The future runs the watch.
pub fn namespaces(
    client: Client,
    name: Option<&str>,
    listeners: Listeners,
) -> (Store<NamespaceMeta>, BoxFuture<'static, ()>) {
    let (namespaces, writer) = store::<NamespaceMeta>();
    let config = match name {
        Some(name) => watcher::Config::default().fields(&format!("metadata.name={name}")),
        None => watcher::Config::default(),
    };
    let changes = watcher(Api::<NamespaceMeta>::all(client), config)
        .default_backoff()
        .modify(|namespace| {
            namespace.managed_fields_mut().clear();
            namespace.annotations_mut().clear();
        })
        .reflect(writer);
    let version = |namespace: &NamespaceMeta| namespace.labels().clone();
    let following = async move {
        follow(changes, version, |name, new| {
            // No resource can be older than its namespace.
            if !new {
                tell(&listeners, Change::Namespace(name));
            }
        })
        .await;
    };
    (namespaces, Box::pin(following))
}

/// Calls `changed` with the name of each object whose version is another than before, and whether it is a new one,
/// after the store knows.
async fn follow<K, V>(
    changes: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    version: impl Fn(&K) -> V,
    changed: impl Fn(String, bool),
) where
    K: ResourceExt + Debug,
    V: PartialEq,
{
    let mut changes = std::pin::pin!(changes);
    let mut versions = HashMap::new();
    while let Some(change) = changes.next().await {
        match change {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                let now = version(&object);
                let same = versions.get(&object.name_any()) == Some(&now);
                let before = versions.insert(object.name_any(), now);
                if !same {
                    changed(object.name_any(), before.is_none());
                }
            }
            Ok(watcher::Event::Delete(object)) => {
                versions.remove(&object.name_any());
                changed(object.name_any(), false);
            }
            Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
            Err(error) => tracing::warn!(%error, "a watch failed and is begun anew"),
        }
    }
}

fn tell(listeners: &Listeners, change: Change) {
    for listener in listeners {
        // Who has ended needs no news.
        listener.unbounded_send(change.clone()).ok();
    }
}
