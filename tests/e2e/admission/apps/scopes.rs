//! Scopes and roles, of the organization and of services.

use crate::admission::{Row, merged, row};
use serde_json::{Value, json};

const ALL_ROLES: &str = "allRoles excludes roles: remove one of the two";
const ALL_PERMISSIONS: &str = "allPermissions excludes permissions: remove one of the two";

fn roles() -> Value {
    json!([{"name": "org_member"}])
}

fn permissions() -> Value {
    json!([{"permissionId": "p", "resources": ["r"]}])
}

fn organization(scopes: Value) -> Value {
    json!({"allowedScopes": {"organizationScopes": scopes}})
}

fn service(scopes: Value) -> Value {
    json!({"allowedScopes": {"servicesScopes": [merged(json!({"serviceDefinitionId": "s"}), scopes)]}})
}

pub(super) const ROWS: &[Row] = &[
    row(
        "all roles of the organization",
        || organization(json!({"allRoles": true, "roles": []})),
        || organization(json!({"allRoles": true, "roles": roles()})),
        ALL_ROLES,
    ),
    row(
        "all permissions in the organization",
        || organization(json!({"allPermissions": true})),
        || organization(json!({"allPermissions": true, "permissions": permissions()})),
        ALL_PERMISSIONS,
    ),
    row(
        "all roles of a service",
        || service(json!({"allRoles": true})),
        || service(json!({"allRoles": true, "roles": roles()})),
        ALL_ROLES,
    ),
    row(
        "all permissions in a service",
        || service(json!({"allPermissions": true})),
        || service(json!({"allPermissions": true, "permissions": permissions()})),
        ALL_PERMISSIONS,
    ),
    row(
        "a service is named",
        || service(json!({})),
        || json!({"allowedScopes": {"servicesScopes": [{}]}}),
        "serviceDefinitionId: Required value",
    ),
    row(
        "a role is named",
        || organization(json!({"roles": roles()})),
        || organization(json!({"roles": [{}]})),
        "name: Required value",
    ),
    row(
        "kept in token is one of two",
        || organization(json!({"keptInToken": ["ROLES", "PERMISSIONS"]})),
        || organization(json!({"keptInToken": ["OTHER"]})),
        "Unsupported value",
    ),
    row(
        "general scopes are text",
        || json!({"allowedScopes": {"generalScopes": ["openid"]}}),
        || json!({"allowedScopes": {"generalScopes": [""]}}),
        "should be at least 1 chars long",
    ),
    row(
        "a service is named without a prefix",
        || service(json!({})),
        || service(json!({"serviceDefinitionId": "external/s"})),
        "serviceDefinitionId is given without an external prefix: remove it",
    ),
    row(
        "a role in a service names it",
        || json!({"roles": {"serviceRoles": [{"serviceDefinitionId": "s", "serviceRoles": [{"name": "r"}]}]}}),
        || json!({"roles": {"serviceRoles": [{}]}}),
        "serviceDefinitionId: Required value",
    ),
];
