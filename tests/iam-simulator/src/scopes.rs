//! `allowedScopes` as a service shows them that fills in what a request left out.
//! That it does is undocumented; what it fills in are the empty values of the fields `[csp-scopes]`, `[cpn-create]`.

use serde_json::{Value, json};

use crate::types::Flavor;

/// The scopes with every field that the API knows; Identity Broker has no such scopes.
pub(crate) fn filled(flavor: Flavor, scopes: &Value) -> Value {
    let mut filled =
        with_defaults(scopes, json!({"generalScopes": [], "organizationScopes": {}, "servicesScopes": []}));
    let (organization, service) = match flavor {
        Flavor::Csp => (csp_scope(), csp_scope()),
        Flavor::Cpn => (json!({"roles": []}), json!({"allRoles": false, "roles": []})),
        Flavor::Broker => return scopes.clone(),
    };
    fill(flavor, &mut filled["organizationScopes"], organization);
    for scope in filled["servicesScopes"].as_array_mut().into_iter().flatten() {
        fill(flavor, scope, service.clone());
    }
    filled
}

fn csp_scope() -> Value {
    json!({"allRoles": false, "allPermissions": false, "keptInToken": [], "roles": [], "permissions": []})
}

/// Fills one scope, and in CSP its roles and permissions.
fn fill(flavor: Flavor, scope: &mut Value, defaults: Value) {
    *scope = with_defaults(scope, defaults);
    if flavor == Flavor::Csp {
        for (list, defaults) in [("roles", json!({"resource": null})), ("permissions", json!({"resources": []}))] {
            for entry in scope[list].as_array_mut().into_iter().flatten() {
                *entry = with_defaults(entry, defaults.clone());
            }
        }
    }
}

/// The fields of `value` on top of `defaults`.
fn with_defaults(value: &Value, mut defaults: Value) -> Value {
    for (name, given) in value.as_object().into_iter().flatten() {
        defaults[name] = given.clone();
    }
    defaults
}
