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

    /// The object, if it is given.
    ///
    /// # Errors
    /// When it cannot be decoded. It does not fall back to that of the cluster, which is another one.
    pub(crate) fn read<K: DeserializeOwned>(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<K>, Undecodable> {
        self.find(kind, namespace, name).map(|object| K::deserialize(object).map_err(|_| Undecodable)).transpose()
    }
}

/// An object that is given is not of its kind. Nothing of it is quoted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Undecodable;

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Secret;
    use serde_json::json;

    #[test]
    fn what_is_given_and_cannot_be_decoded_is_not_taken_from_elsewhere() {
        let object = |data: Value| ("Secret".to_owned(), "team".to_owned(), "token".to_owned(), data);
        let given = Given::new([object(json!({"data": {"token": "no base64!"}}))]);
        assert_eq!(given.read::<Secret>("Secret", "team", "token"), Err(Undecodable));
        assert_eq!(given.read::<Secret>("Secret", "team", "other"), Ok(None));
    }
}
