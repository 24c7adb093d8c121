//! What the watches keep current: the resources, and the namespaces with their labels.
//! A read may return what was true a moment ago.

use super::cached::CachedApp;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use std::sync::Arc;

/// A namespace without its spec and status.
pub(crate) type NamespaceMeta = PartialObjectMeta<Namespace>;

/// The stores of all watches.
#[derive(Clone)]
pub(crate) struct Watched {
    /// The namespaces that are watched; all when empty.
    pub(crate) scopes: Vec<String>,
    /// The resources, by scope.
    pub(crate) apps: Vec<Store<CachedApp>>,
    /// The namespaces, by scope.
    pub(crate) namespaces: Vec<Store<NamespaceMeta>>,
}

impl Watched {
    pub(crate) fn apps(&self) -> impl Iterator<Item = Arc<CachedApp>> {
        self.apps.iter().flat_map(Store::state)
    }

    /// The namespace of that name; its watch may lag behind that of the resources.
    pub(crate) fn namespace(&self, name: &str) -> Option<Arc<NamespaceMeta>> {
        self.namespaces.iter().find_map(|store| store.get(&ObjectRef::new(name)))
    }

    pub(crate) fn is_terminating(&self, namespace: &str) -> bool {
        self.namespace(namespace).is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some())
    }
}
