//! The two custom resources, `OrgOAuthApp` and `IamConnection`: schema, defaults, limits and CEL rules.
//! Names that the cluster sees (group, finalizer, labels, annotations) are constants here; the functions complete the derived CRDs.

#![warn(missing_docs)]
#![expect(unreachable_pub, reason = "`KubeSchema` repeats each struct where nothing can reach it")]

pub(crate) mod admission;
mod conditions;
mod connection;
mod durations;
pub mod json_schema;
mod names;
mod org_oauth_app;
mod scopes;
pub(crate) mod shipped;
mod size;

pub use conditions::{Condition, ConditionStatus, ConditionType};
pub use connection::*;
pub use durations::GoDuration;
pub use org_oauth_app::*;
pub use scopes::*;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, ValidationRule,
};
use kube::CustomResourceExt;
use serde::{Deserialize, Deserializer};

/// The field manager of every write, and the reporting controller of every Event.
pub(crate) const FIELD_MANAGER: &str = "oauth-app-operator";
/// Keeps an `OrgOAuthApp` until its remote app is gone.
pub const FINALIZER: &str = "oauth-apps.dev/remote-app";
/// On a Secret that the operator writes: the `metadata.uid` of its `OrgOAuthApp`.
pub(crate) const OWNER_LABEL: &str = "oauth-apps.dev/owner-uid";
/// On a Secret that the operator writes: its signed claim on the app, as JSON.
pub(crate) const CLAIM: &str = "oauth-apps.dev/claim";
/// On a Secret of a user: `"true"` permits the operator to read it.
pub(crate) const USE_LABEL: &str = "oauth-apps.dev/use";

/// On a Secret with credentials for an `IamConnection`: when they expire, in the form of RFC 3339, since not every API
/// returns it.
pub(crate) const EXPIRES_AT: &str = "oauth-apps.dev/expires-at";

/// Begins each client id that is derived from the `metadata.uid` of its resource.
pub(crate) const DERIVED_ID: &str = "ooa-";

/// Any new value requests a reconciliation.
pub const RECONCILE_REQUESTED: &str = "oauth-apps.dev/reconcile-requested-at";
/// Any new value requests a rotation of the client secret.
pub const ROTATE_REQUESTED: &str = "oauth-apps.dev/rotate-requested-at";

/// Any new value requests the end of the overlap of the last rotation, so that only the current client secret stays valid.
pub const RETIRE_REQUESTED: &str = "oauth-apps.dev/retire-previous-at";

/// Both CRDs, as `cargo xtask generate` writes them into `crds/`.
pub fn definitions() -> [CustomResourceDefinition; 2] {
    [
        finished(IamConnection::crd(), "The operator has not checked this connection yet."),
        finished(OrgOAuthApp::crd(), "The operator has not reconciled this resource yet."),
    ]
}

/// A CRD as YAML.
pub fn yaml(definition: &CustomResourceDefinition) -> Result<String, serde_saphyr::SerializeError> {
    serde_saphyr::to_string(definition)
}

/// Adds what the derive cannot: the status of a new object, and schemas in the form that Kubernetes expects.
fn finished(mut definition: CustomResourceDefinition, pending: &str) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let Some(properties) = schema.and_then(|schema| schema.properties.as_mut()) else { continue };
        if let Some(spec) = properties.get_mut("spec") {
            refine(spec, Part::Spec);
        }
        if let Some(status) = properties.get_mut("status") {
            refine(status, Part::Status);
            status.description = Some("Observed state, written by the operator.".into());
            status.default = Some(JSON(pending_status(pending)));
        }
    }
    definition
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Spec,
    Status,
}

/// Server-side apply refuses a null unless the field is nullable or has a default, which then replaces it. In status
/// a null clears a field. Kubernetes does not know Rust's integer formats.
fn refine(schema: &mut JSONSchemaProps, part: Part) {
    if let Some(description) = &mut schema.description {
        *description = description.replace('\n', " ");
    }
    if schema.format.as_ref().is_some_and(|format| format.starts_with("uint")) {
        schema.format = None;
    }
    let required = schema.required.clone().unwrap_or_default();
    for (name, property) in schema.properties.iter_mut().flatten() {
        if part == Part::Spec && property.default.is_none() && !required.contains(name) {
            property.nullable = Some(true);
            property.x_kubernetes_validations = match property.enum_.take() {
                // The API server does not accept null as a value of `enum`, even if it is listed; rules skip a null.
                Some(values) => Some(vec![one_of(name, &values)]),
                None => property.x_kubernetes_validations.take(),
            };
        } else if part == Part::Spec {
            property.nullable = None;
        }
        refine(property, part);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        refine(items, part);
    }
}

fn one_of(field: &str, values: &[JSON]) -> ValidationRule {
    let values: Vec<&str> = values.iter().filter_map(|JSON(value)| value.as_str()).collect();
    ValidationRule {
        rule: format!("self in ['{}']", values.join("', '")),
        message: Some(format!("{field} is one of {}", values.join(", "))),
        ..ValidationRule::default()
    }
}

/// Reads a null as an absent field: the API server keeps it where a field is nullable.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// So that no tool treats an object that was never reconciled as healthy.
fn pending_status(message: &str) -> serde_json::Value {
    serde_json::json!({"conditions": [{
        "type": "Ready", "status": "Unknown", "reason": "Pending", "message": message,
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }]})
}
