//! Objects as the API server has them, whatever is wrong with them: one that no type can hold, such as a time after the year 9999,
//! leaves the others of its list alone.

use kube::Resource;
use kube::core::ObjectMeta;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// An object of kind `K`.
pub(crate) struct Raw<K> {
    /// As far as it can be read; name and namespace always.
    metadata: ObjectMeta,
    /// Without `metadata.managedFields`.
    pub(crate) object: Value,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Raw<K> {
    fn clone(&self) -> Self {
        Self { metadata: self.metadata.clone(), object: self.object.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for Raw<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({:?}/{:?})", self.metadata.namespace, self.metadata.name)
    }
}

impl<'de, K> Deserialize<'de> for Raw<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Value::deserialize(deserializer)?;
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let text = |field: &str| object["metadata"][field].as_str().map(str::to_owned);
        let named = || ObjectMeta { name: text("name"), namespace: text("namespace"), ..ObjectMeta::default() };
        let metadata = ObjectMeta::deserialize(&object["metadata"]).unwrap_or_else(|_| named());
        Ok(Self { metadata, object, kind: PhantomData })
    }
}

impl<K> Serialize for Raw<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object.serialize(serializer)
    }
}

impl<K: Resource> Resource for Raw<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(kind: &K::DynamicType) -> Cow<'_, str> {
        K::kind(kind)
    }

    fn group(kind: &K::DynamicType) -> Cow<'_, str> {
        K::group(kind)
    }

    fn version(kind: &K::DynamicType) -> Cow<'_, str> {
        K::version(kind)
    }

    fn plural(kind: &K::DynamicType) -> Cow<'_, str> {
        K::plural(kind)
    }

    fn metadata_api() -> bool {
        K::metadata_api()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Secret;
    use kube::ResourceExt;
    use serde_json::json;

    #[test]
    fn no_object_is_too_strange_to_be_listed() {
        let never = "9999-12-31T23:59:59Z";
        let strange = [
            json!({"metadata": {"name": "a", "namespace": "n", "managedFields": [{"time": never}]}}),
            json!({"metadata": {"name": "a", "namespace": "n", "creationTimestamp": never, "labels": 1}}),
            json!({"metadata": {"name": "a", "namespace": "n"}, "data": "none"}),
        ];
        for object in strange {
            let raw: Raw<Secret> = serde_json::from_value(object).unwrap();
            assert_eq!((raw.name_any(), raw.namespace()), ("a".into(), Some("n".into())));
            assert!(raw.object["metadata"].get("managedFields").is_none());
        }
    }
}
