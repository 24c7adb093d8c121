//! When a spec shows that the tokens of its app have no role.

use super::fixture::*;
use crate::decide::role_note;
use serde_json::{Value, json};

const ONLY_SCOPES: Option<&str> = Some("allowedScopes allows roles, but roles names none; name each role in both.");
const ONLY_ROLES: Option<&str> = Some("allowedScopes allows none of those in roles; name each role in both.");

/// The note, without what each one begins with.
fn note(more: Value) -> Option<&'static str> {
    role_note(&app(more)).map(|note| note.strip_prefix("According to the spec, its tokens have no role: ").unwrap())
}

fn spec(scopes: &Value, roles: &Value) -> Value {
    json!({"spec": {"allowedScopes": scopes, "roles": roles}})
}

fn named(name: &str) -> Value {
    json!([{"name": name}])
}

/// Scopes and roles in the organization.
fn organization(scopes: Value, role: &str) -> Value {
    spec(&json!({"organizationScopes": scopes}), &json!({"organizationRoles": named(role)}))
}

/// Scopes in one service, and a role in another one or the same.
fn services(scopes: Value, service: &str) -> Value {
    let scopes = merged(json!({"serviceDefinitionId": "s"}), scopes);
    let roles = json!({"serviceRoles": [{"serviceDefinitionId": service, "serviceRoles": named("a")}]});
    spec(&json!({"servicesScopes": [scopes]}), &roles)
}

#[test]
fn scopes_without_roles_and_roles_without_scopes_have_a_note() {
    let in_service = json!([{"serviceDefinitionId": "s", "allRoles": true}]);
    for scopes in [
        json!({"organizationScopes": {"roles": named("a")}}),
        json!({"organizationScopes": {"allPermissions": true}}),
        json!({"organizationScopes": {"permissions": [{"permissionId": "p"}]}}),
        json!({"servicesScopes": in_service}),
    ] {
        assert_eq!(note(spec(&scopes, &json!(null))), ONLY_SCOPES, "{scopes}");
        let none = json!({"organizationRoles": [], "serviceRoles": [{"serviceDefinitionId": "s", "serviceRoles": []}]});
        assert_eq!(note(spec(&scopes, &none)), ONLY_SCOPES, "{scopes}");
    }
    let roles = json!({"organizationRoles": named("a")});
    for scopes in [json!(null), json!({}), json!({"generalScopes": ["openid"], "organizationScopes": {"roles": []}})] {
        assert_eq!(note(spec(&scopes, &roles)), ONLY_ROLES, "{scopes}");
        assert_eq!(note(spec(&scopes, &json!(null))), None, "an app without either needs no role: {scopes}");
    }
}

#[test]
fn a_role_counts_where_the_scopes_of_its_place_allow_it() {
    for (more, expected) in [
        (organization(json!({"roles": named("a")}), "a"), None),
        (organization(json!({"roles": [{"name": "a", "resource": "instance:1"}]}), "a"), None),
        (organization(json!({"roles": named("b")}), "a"), ONLY_ROLES),
        (organization(json!({"allRoles": true}), "a"), None),
        (organization(json!({"permissions": [{"permissionId": "p"}]}), "a"), None),
        (services(json!({"roles": named("a")}), "s"), None),
        (services(json!({"allRoles": true}), "s"), None),
        (services(json!({"allRoles": true}), "t"), ONLY_ROLES),
        (services(json!({"allRoles": false, "roles": named("b")}), "s"), ONLY_ROLES),
    ] {
        assert_eq!(note(more.clone()), expected, "{more}");
    }
}

#[test]
fn an_app_whose_tokens_may_have_other_roles_has_no_note() {
    let only_scopes = spec(&json!({"organizationScopes": {"allRoles": true}}), &json!(null));
    let with = |more| note(merged(only_scopes.clone(), more));
    assert_eq!(with(json!({})), ONLY_SCOPES);
    assert_eq!(with(json!({"spec": {"grantTypes": ["client_credentials", "authorization_code"]}})), None);
    assert_eq!(with(json!({"spec": {"id": "chosen", "adoptionPolicy": "Adopt"}})), None);
    assert_eq!(with(json!({"status": {"adopted": true}})), None);
    let no_roles = json!({"roles": {}, "id": "chosen", "adoptionPolicy": "Adopt"});
    assert_eq!(with(json!({"spec": no_roles})), ONLY_SCOPES, "it keeps no role that the spec does not have");
}
