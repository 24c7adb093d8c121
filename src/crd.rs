//! The two custom resources, `OrgOAuthApp` and `IamConnection`: schema, defaults, limits and CEL rules.
//! There is no logic here; names that the cluster sees (group, finalizer, labels, annotations) are constants here.

mod conditions;
mod connection;
mod durations;
mod org_oauth_app;
mod scopes;
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

/// The API group of both kinds.
pub const GROUP: &str = "oauth-apps.dev";
/// The field manager of every write, and the reporting controller of every Event.
pub const FIELD_MANAGER: &str = "oauth-app-operator";
/// Keeps an `OrgOAuthApp` until its remote app is gone.
pub const FINALIZER: &str = "oauth-apps.dev/remote-app";
/// On a Secret that the operator writes: the `metadata.uid` of its `OrgOAuthApp`.
pub const OWNER_LABEL: &str = "oauth-apps.dev/owner-uid";
/// On a Secret that the operator writes: its signed claim on the app, as JSON.
pub const CLAIM: &str = "oauth-apps.dev/claim";
/// On a Secret that a user hands to the operator: `"true"` is the owner's consent that the operator reads it.
pub const USE_LABEL: &str = "oauth-apps.dev/use";

/// On a Secret with credentials for an `IamConnection`: when they end, as RFC 3339 says, for want of a way to ask.
pub const EXPIRES_AT: &str = "oauth-apps.dev/expires-at";

/// Begins each client id that is derived from the `metadata.uid` of its resource.
pub const DERIVED_ID: &str = "ooa-";

/// Any new value has a resource looked at again.
pub const RECONCILE_REQUESTED: &str = "oauth-apps.dev/reconcile-requested-at";
/// Any new value has the client secret replaced.
pub const ROTATE_REQUESTED: &str = "oauth-apps.dev/rotate-requested-at";

/// Both definitions, as `cargo xtask generate` writes them into `crds/`.
pub fn definitions() -> [CustomResourceDefinition; 2] {
    let connection_says = "No resource has used this connection yet.";
    let app_says = "The operator has not looked at this resource yet.";
    [finished(IamConnection::crd(), connection_says), finished(OrgOAuthApp::crd(), app_says)]
}

/// A definition as YAML.
///
/// # Errors
/// When it cannot be written as YAML.
pub fn yaml(definition: &CustomResourceDefinition) -> Result<String, String> {
    serde_saphyr::to_string(definition).map_err(|error| error.to_string())
}

/// What the derive cannot say: the status that a new object has before anybody wrote one, and schemas in the words of
/// Kubernetes.
fn finished(mut definition: CustomResourceDefinition, pending: &str) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let Some(properties) = schema.and_then(|schema| schema.properties.as_mut()) else { continue };
        if let Some(spec) = properties.get_mut("spec") {
            refine(spec, Part::Spec);
        }
        if let Some(status) = properties.get_mut("status") {
            refine(status, Part::Status);
            status.description = Some("What the operator found and did.".into());
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

/// Server-side apply refuses a null unless the field is nullable or has a default, which then takes its place. In status
/// a null clears a field. Rust's own integer formats mean nothing to Kubernetes.
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
                // Among the values of `enum` the API server finds no null, even if it is one; rules skip a null.
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

/// So that no tool ever takes an object that nobody has looked at for a healthy one.
fn pending_status(message: &str) -> serde_json::Value {
    serde_json::json!({"conditions": [{
        "type": "Ready", "status": "Unknown", "reason": "Pending", "message": message,
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }]})
}
