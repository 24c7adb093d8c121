//! The resources that tests apply: a small app, a connection to the simulator, and what that connection reads.
//! Each takes what differs as a patch, so that a test shows only what it is about.

use iam_simulator::types::Flavor;
use serde_json::{Value, json};

use crate::{Backend, OPERATOR};

/// The API version of both kinds.
const VERSION: &str = "oauth-apps.dev/v1alpha1";

/// A small app; `spec` is merged into its spec, which lacks `orgId`.
#[must_use]
pub fn app(name: &str, spec: Value) -> Value {
    let mut all = json!({
        "displayName": "Billing export", "description": "Nightly",
        "grantTypes": ["client_credentials"], "allowedScopes": {},
    });
    merge(&mut all, spec);
    json!({"apiVersion": VERSION, "kind": "OrgOAuthApp", "metadata": {"name": name}, "spec": all})
}

/// A connection to the simulator whose Secret and ConfigMap have its name; `spec` is merged into its spec, which lacks
/// grants.
#[must_use]
pub fn connection(name: &str, backend: &Backend, flavor: Flavor, spec: Value) -> Value {
    let api = match flavor {
        Flavor::Csp => "CloudServices",
        Flavor::Cpn => "CloudPartnerNavigator",
        Flavor::Broker => "IdentityBroker",
    };
    let mut all = json!({
        "api": api, "endpoint": backend.endpoint(flavor),
        "caBundle": {"configMapRef": {"name": name, "key": "ca.crt"}},
        "credentials": {"clientCredentials": {"secretRef": {
            "name": name, "clientIdKey": "client-id", "clientSecretKey": "client-secret",
        }}},
    });
    merge(&mut all, spec);
    json!({"apiVersion": VERSION, "kind": "IamConnection", "metadata": {"name": name}, "spec": all})
}

/// The Secret of a connection's credentials, in the operator's namespace.
#[must_use]
pub fn credentials(name: &str, client_id: &str, client_secret: &str) -> Value {
    operator_secret(name, json!({"client-id": client_id, "client-secret": client_secret}))
}

/// A Secret in the operator's namespace.
#[must_use]
pub fn operator_secret(name: &str, data: Value) -> Value {
    let metadata = json!({"name": name, "namespace": OPERATOR});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
}

/// The ConfigMap with the simulator's authority, in the operator's namespace.
#[must_use]
pub fn authority(name: &str, backend: &Backend) -> Value {
    let metadata = json!({"name": name, "namespace": OPERATOR});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": backend.ca_pem()}})
}

/// Several objects as one.
#[must_use]
pub fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// Merges a patch (RFC 7386).
pub fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in patch {
        let Some(fields) = into.as_object_mut() else { return };
        match value {
            Value::Null => drop(fields.remove(&key)),
            value => merge(fields.entry(key).or_insert(Value::Null), value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_merged_as_the_rfc_says() {
        for (mut into, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": [1]}), json!({"a": {"b": null, "c": 1}}), json!({"a": {"c": 1}})),
            (json!({"a": {"b": 1, "c": 2}}), json!({"a": {"b": 3}}), json!({"a": {"b": 3, "c": 2}})),
            (json!({"a": {"b": 1}}), json!({"a": [2]}), json!({"a": [2]})),
        ] {
            merge(&mut into, patch);
            assert_eq!(into, merged);
        }
    }
}
