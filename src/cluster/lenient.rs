//! Objects as the operator reads them from Kubernetes, one by one. What it does not need of them is dropped at once, and
//! one that cannot be read is still known by its name, so that it does not take the others of its list along.

use crate::crd::{IamConnection, OrgOAuthApp, RECONCILE_REQUESTED, RETIRE_REQUESTED, ROTATE_REQUESTED};
use crate::text;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ObjectReference, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::PartialObjectMeta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A value of an annotation is kept up to here: any new value asks for something, and none needs more.
const LONGEST_ANNOTATION: usize = 256;
/// Kubernetes does not limit their number, and they are kept with each object.
const MOST_FINALIZERS: usize = 4 * 1024;
/// The reason why an object cannot be read is cut here.
const LONGEST_ERROR: usize = 300;

/// The type that is kept of an object that is read.
pub(crate) trait Kept: Resource<DynamicType = ()> + DeserializeOwned {
    /// Parts of the metadata that are dropped. Never one that a write of the operator sends back.
    const DROPPED: &'static [&'static str] = &[];
    /// The only annotations that are kept, if not all are.
    const ANNOTATIONS: Option<&'static [&'static str]> = None;
    /// The text of a larger object is not decoded.
    const MOST_BYTES: usize = usize::MAX;
}

impl Kept for OrgOAuthApp {
    const DROPPED: &'static [&'static str] = &["labels", "ownerReferences"];
    const ANNOTATIONS: Option<&'static [&'static str]> =
        Some(&[RECONCILE_REQUESTED, ROTATE_REQUESTED, RETIRE_REQUESTED]);
    const MOST_BYTES: usize = 256 * 1024;
}

impl Kept for IamConnection {
    const DROPPED: &'static [&'static str] = &["labels", "ownerReferences"];
    const ANNOTATIONS: Option<&'static [&'static str]> = Some(&[]);
}

impl Kept for PartialObjectMeta<Namespace> {
    const ANNOTATIONS: Option<&'static [&'static str]> = Some(&[]);
}

impl Kept for PartialObjectMeta<Secret> {
    const DROPPED: &'static [&'static str] = &["labels", "finalizers"];
    const ANNOTATIONS: Option<&'static [&'static str]> = Some(&[]);
}

// What the operator replaces is sent back whole.
impl Kept for Secret {}
impl Kept for Lease {}
impl Kept for ConfigMap {}

/// An object, as far as it can be read. A status that cannot be read is left out, since the operator writes it again.
#[derive(Clone, Debug)]
pub(crate) struct Lenient<K>(pub Result<K, Box<Unreadable>>);

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Unreadable {
    /// Name, namespace, uid and `resourceVersion`, and nothing else.
    pub(crate) metadata: ObjectMeta,
    /// The field and what is wrong with it, without control characters.
    pub(crate) error: String,
    /// The message of its condition `Stalled`, if it has one.
    pub(crate) stalled: Option<String>,
}

impl Unreadable {
    fn new(object: &Value, error: &str) -> Self {
        let field = |name: &str| object.get("metadata")?.get(name)?.as_str().map(str::to_owned);
        let metadata = ObjectMeta {
            name: field("name"),
            namespace: field("namespace"),
            uid: field("uid"),
            resource_version: field("resourceVersion"),
            ..ObjectMeta::default()
        };
        Self { metadata, error: text::clean(error, LONGEST_ERROR), stalled: stalled(object) }
    }

    pub(crate) fn object_ref<K: Resource<DynamicType = ()>>(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            name: self.metadata.name.clone(),
            namespace: self.metadata.namespace.clone(),
            uid: self.metadata.uid.clone(),
            resource_version: self.metadata.resource_version.clone(),
            ..ObjectReference::default()
        }
    }
}

fn stalled(object: &Value) -> Option<String> {
    let conditions = object.get("status")?.get("conditions")?.as_array()?;
    let stalled = conditions.iter().find(|condition| condition["type"] == "Stalled")?;
    stalled["message"].as_str().map(str::to_owned)
}

impl<'de, K: Kept> Deserialize<'de> for Lenient<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Value::deserialize(deserializer)?;
        trim::<K>(&mut object);
        let finalizers = object.get("metadata").and_then(|metadata| metadata.get("finalizers")).map_or(0, size);
        let read = if size(&object) > K::MOST_BYTES {
            Err(format!("it is larger than {} KiB", K::MOST_BYTES / 1024))
        } else if finalizers > MOST_FINALIZERS {
            Err(format!("metadata.finalizers is larger than {} KiB", MOST_FINALIZERS / 1024))
        } else {
            decode(&mut object).map_err(|error| error.to_string())
        };
        Ok(Self(read.map_err(|error| Box::new(Unreadable::new(&object, &error)))))
    }
}

/// The error has the field, and what is wrong with it.
fn decode<K: Kept>(object: &mut Value) -> Result<K, serde_path_to_error::Error<serde_json::Error>> {
    K::deserialize(&*object).or_else(|_| {
        let status = object.get_mut("status").map(Value::take).unwrap_or_default();
        let bare: Result<K, _> = serde_path_to_error::deserialize(&*object);
        let readable = match (&bare, status) {
            (Ok(_), Value::Object(status)) => readable_fields::<K>(object, status).into(),
            (Ok(_), _) => Value::Null,
            (Err(_), status) => status,
        };
        object["status"] = readable;
        bare.and_then(|_| serde_path_to_error::deserialize(&*object))
    })
}

fn readable_fields<K: Kept>(object: &mut Value, status: Map<String, Value>) -> Map<String, Value> {
    let mut readable = Map::new();
    for (field, value) in status {
        object["status"] = Value::Object(Map::from_iter([(field.clone(), value.clone())]));
        if K::deserialize(&*object).is_ok() {
            readable.insert(field, value);
        }
    }
    readable
}

fn trim<K: Kept>(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    metadata.remove("managedFields");
    for part in K::DROPPED {
        metadata.remove(*part);
    }
    let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
    if let (Some(annotations), Some(kept)) = (annotations, K::ANNOTATIONS) {
        annotations.retain(|name, _| kept.contains(&name.as_str()));
        for value in annotations.values_mut() {
            match value {
                Value::String(value) if value.len() > LONGEST_ANNOTATION => {
                    *value = text::clean(value, LONGEST_ANNOTATION);
                }
                _ => {}
            }
        }
    }
}

/// About as many bytes as it has as text.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| size(item) + 1).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + 4 + size(value)).sum(),
    }
}

impl<K: Serialize> Serialize for Lenient<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(object) => object.serialize(serializer),
            Err(unreadable) => Err(serde::ser::Error::custom(unreadable)),
        }
    }
}

impl<K: Resource> Resource for Lenient<K> {
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
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|unreadable| &mut unreadable.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::ResourceExt;
    use kube::core::{ObjectList, WatchEvent};
    use serde_json::json;

    const NEVER: &str = "9999-12-31T23:59:59Z";

    fn app(name: &str) -> Value {
        json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": name, "namespace": "n", "uid": format!("uid-of-{name}"), "resourceVersion": "7"},
            "spec": {"connectionRef": {"name": "c"}, "orgId": "o", "displayName": "a", "description": "",
                     "grantTypes": [], "allowedScopes": {}},
        })
    }

    fn read(object: Value) -> Result<OrgOAuthApp, Box<Unreadable>> {
        serde_json::from_value::<Lenient<OrgOAuthApp>>(object).unwrap().0
    }

    #[test]
    fn a_time_in_managed_fields_that_cannot_be_read_does_no_harm_anywhere() {
        let mut written = app("billing");
        written["metadata"]["managedFields"] = json!([{"manager": "kubectl", "time": NEVER}]);
        assert!(serde_json::from_value::<OrgOAuthApp>(written.clone()).is_err(), "it is harmful");
        assert_eq!(read(written).unwrap().name_any(), "billing");
        let secret = json!({"metadata": {"name": "s", "managedFields": [{"time": NEVER}]}});
        serde_json::from_value::<Lenient<Secret>>(secret).unwrap().0.unwrap();
    }

    #[test]
    fn of_a_status_the_fields_that_can_be_read_are_kept() {
        let mut written = app("billing");
        written["status"] = json!({"clientId": "ooa-1", "createdAt": NEVER, "conditions": "none", "secretName": "s"});
        let status = read(written).unwrap().status.unwrap();
        assert_eq!((status.client_id.as_deref(), status.secret_name.as_deref()), (Some("ooa-1"), Some("s")));
        assert_eq!((status.created_at, status.conditions), (None, Vec::new()));
        let mut written = app("billing");
        written["status"] = json!("no object");
        assert_eq!(read(written).unwrap().status, None);
    }

    #[test]
    fn one_that_cannot_be_read_leaves_the_others_of_its_list_alone_and_is_known_by_its_name_and_field() {
        let mut bad = app("bad");
        bad["spec"]["accessTokenTTL"] = json!(1_u64 << 40);
        bad["status"] = json!({"conditions": [{"type": "Stalled", "message": "said before"}]});
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [app("a"), bad, app("b")]});
        let list: ObjectList<Lenient<OrgOAuthApp>> = serde_json::from_value(list).unwrap();
        assert_eq!(list.items.iter().map(|item| item.0.is_ok()).collect::<Vec<_>>(), [true, false, true]);
        let unreadable = list.items[1].0.as_ref().unwrap_err();
        let known = unreadable.object_ref::<OrgOAuthApp>();
        assert_eq!((known.name.as_deref(), known.namespace.as_deref()), (Some("bad"), Some("n")));
        assert_eq!((known.uid.as_deref(), known.resource_version.as_deref()), (Some("uid-of-bad"), Some("7")));
        assert!(unreadable.error.starts_with("spec.accessTokenTTL: "), "{}", unreadable.error);
        assert_eq!(unreadable.stalled.as_deref(), Some("said before"));
    }

    #[test]
    fn a_duration_that_the_schema_does_not_admit_any_more_is_named_by_its_field() {
        for field in ["interval", "overlap"] {
            let mut written = app("billing");
            written["spec"]["rotation"] = json!({field: "1h1h"});
            let expected = format!("spec.rotation.{field}: \"1h1h\" is not a duration such as 10m");
            assert_eq!(read(written).unwrap_err().error, expected);
        }
    }

    #[test]
    fn an_event_of_a_watch_with_an_object_that_cannot_be_read_is_an_event() {
        let mut bad = app("bad");
        bad["spec"] = json!("a\nline");
        for event in [json!({"type": "MODIFIED", "object": bad}), json!({"object": bad, "type": "MODIFIED"})] {
            match serde_json::from_value::<WatchEvent<Lenient<OrgOAuthApp>>>(event).unwrap() {
                WatchEvent::Modified(Lenient(Err(unreadable))) => assert!(!unreadable.error.contains('\n')),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_a_tenant_puts_into_metadata_takes_no_memory() {
        let mut written = app("billing");
        written["metadata"]["annotations"] = json!({"a": "x", RECONCILE_REQUESTED: "é".repeat(4000)});
        written["metadata"]["labels"] = json!({"a": "x"});
        written["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "A", "name": "a", "uid": "u"}]);
        let kept = read(written).unwrap();
        assert_eq!(kept.annotations().keys().collect::<Vec<_>>(), [RECONCILE_REQUESTED]);
        assert!(kept.annotations()[RECONCILE_REQUESTED].len() <= LONGEST_ANNOTATION);
        assert!(kept.labels().is_empty() && kept.owner_references().is_empty());
        let mut written = app("billing");
        written["metadata"]["finalizers"] = json!(["x".repeat(300 * 1024)]);
        assert_eq!(read(written).unwrap_err().error, "it is larger than 256 KiB");
    }

    #[test]
    fn a_secret_that_is_replaced_keeps_what_others_wrote() {
        let written = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "labels": {"a": "b"}, "annotations": {"a": "x".repeat(1000)}},
        });
        let read: Lenient<Secret> = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), written);
    }
}
