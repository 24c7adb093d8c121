//! Secrets and ConfigMaps that are given with manifests and take the place of those of the cluster, which may not have them yet.
//! The operator itself is given none.

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// By kind, namespace and name.
#[derive(Clone, Default)]
pub(crate) struct Given(Arc<HashMap<(String, String, String), Value>>);

impl Given {
    /// From kind, namespace, name and the object.
    pub(crate) fn new(objects: impl IntoIterator<Item = (String, String, String, Value)>) -> Self {
        let objects = objects.into_iter().map(|(kind, namespace, name, object)| ((kind, namespace, name), object));
        Self(Arc::new(objects.collect()))
    }

    pub(crate) fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.0.get(&(kind.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    /// The object, if it is given and can be read.
    pub(crate) fn read<K: DeserializeOwned>(&self, kind: &str, namespace: &str, name: &str) -> Option<K> {
        self.find(kind, namespace, name).and_then(|object| K::deserialize(object).ok())
    }
}
