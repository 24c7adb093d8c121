//! Every state in which the operator leaves a resource, made by its own code from everything that a pass can see and every
//! way in which it can end. The matches name each variant, so that what is new has to be thought of here.

mod apps;
mod connections;

pub use apps::apps;
pub use connections::connections;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::jiff::Timestamp;
use oauth_app_operator::crd;
use serde_json::Value;
use std::sync::LazyLock;

/// What a state means to its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The operator has not looked at it yet.
    New,
    /// The operator has not looked at the present spec yet.
    Behind,
    /// It is being deleted, whether that goes on or somebody must help.
    Deleting,
    /// It is as the spec says.
    Settled,
    /// The operator goes on by itself.
    Waiting,
    /// Somebody must change something.
    Stalled,
    /// Suspended, with a credential that was good.
    SuspendedWithCredential,
    /// Suspended, without one.
    SuspendedWithoutCredential,
    /// Observed, with a credential that is good.
    ObservedWithCredential,
    /// Observed, without one.
    ObservedWithoutCredential,
}

/// A resource in one state.
#[derive(Clone, Debug)]
pub struct State {
    /// How it came about.
    pub what: String,
    pub class: Class,
    /// The resource as the API server shows it.
    pub object: Value,
}

impl State {
    fn new(what: String, class: Class, object: &impl k8s_openapi::serde::Serialize) -> Self {
        let mut object = k8s_openapi::serde_json::to_value(object).unwrap();
        clear(&mut object);
        Self { what, class, object }
    }

    /// The same after a change of its spec that nobody has looked at.
    fn behind(&self) -> Self {
        let mut object = self.object.clone();
        object["metadata"]["generation"] = (object["metadata"]["generation"].as_i64().unwrap() + 1).into();
        Self { what: format!("{}, then changed", self.what), class: Class::Behind, object }
    }
}

/// A null in a merge patch clears the field.
fn clear(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(clear);
        }
        Value::Array(items) => items.iter_mut().for_each(clear),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The status that the API server gives to a new object of the kind.
fn default_status(kind: &str) -> Value {
    static DEFINITIONS: LazyLock<[CustomResourceDefinition; 2]> = LazyLock::new(crd::definitions);
    let definition = DEFINITIONS.iter().find(|definition| definition.spec.names.kind == kind).unwrap();
    let schema = definition.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
    schema.properties.as_ref().unwrap()["status"].default.clone().unwrap().0
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}
