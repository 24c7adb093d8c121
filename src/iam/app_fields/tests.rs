//! The fields of an app, one by one, for each API.

use super::*;
use crate::iam::flavor::ALL;
use serde_json::json;
use std::collections::BTreeSet;

fn spec(more: Value) -> OrgOAuthAppSpec {
    let mut spec = json!({
        "orgId": "org-1", "displayName": "Billing", "description": "Nightly",
        "grantTypes": ["client_credentials"], "allowedScopes": {},
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

/// A resource whose manifest has one line of spec, and these.
fn app(more: Value) -> OrgOAuthApp {
    let mut spec = json!({"orgId": "org-1"});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let metadata = json!({"name": "billing-export", "namespace": "team"});
    let app =
        json!({"apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp", "metadata": metadata, "spec": spec});
    serde_json::from_value(app).unwrap()
}

fn values(api: Api, more: Value) -> Result<Value, String> {
    let desired = Fields::of(api, &spec(more)).map_err(|error| error.to_string())?;
    Ok(Value::Object(desired.values().clone()))
}

fn unsupported(what: &str) -> String {
    format!("{what}; remove it from spec")
}

/// Every optional field of the documented create request with a value that is not blank.
fn optional_fields() -> Value {
    json!({
        "accessTokenTTL": 1800, "refreshTokenTTL": 3600, "redirectUris": ["https://a.example.com"],
        "postLogoutRedirectUris": ["https://b.example.com"], "allowOpenRedirectUris": true, "publicClient": true,
        "forcePkce": true, "allowedOrgs": ["org-2"], "maxCharactersInAccessToken": 9000, "maxGroupsInIdToken": 20,
        "ownerOnlySecretRotation": true, "secretRotationExpirationInSeconds": 60, "serviceDefinitionId": "service-1",
        "additionalAttributeMasks": ["mask"], "allowedActorsAudienceExchange": ["actor-1"],
        "allowedActorsClientDelegate": ["actor-2"], "crossOrgAccessClaimsSupported": true, "isHidden": true,
        "groupDomainAppendedInIDToken": true, "useCspIssuerUrl": true,
    })
}

#[test]
fn the_body_has_exactly_the_fields_that_the_spec_sets() {
    let required = json!({
        "displayName": "Billing", "description": "Nightly", "grantTypes": ["client_credentials"], "allowedScopes": {},
    });
    assert_eq!(values(Api::CloudServices, json!({})).unwrap(), required);
    for (name, value) in optional_fields().as_object().unwrap() {
        let mut expected = required.clone();
        expected[name] = value.clone();
        let sent = values(Api::CloudServices, json!({name: value})).unwrap();
        assert_eq!(sent, expected, "{name} alone");
    }
    let mut all = required;
    all.as_object_mut().unwrap().extend(optional_fields().as_object().unwrap().clone());
    assert_eq!(values(Api::CloudServices, optional_fields()).unwrap(), all);
}

#[test]
fn navigator_gets_its_own_fields_and_refuses_every_other_by_name() {
    for (name, value) in optional_fields().as_object().unwrap() {
        let result = values(Api::CloudPartnerNavigator, json!({name: value}));
        if flavor(Api::CloudPartnerNavigator).request_fields().contains(&name.as_str()) {
            let sent = result.unwrap();
            assert_eq!(sent[name], *value);
            assert!(sent.get("grantTypes").is_none(), "not settable there");
        } else {
            assert_eq!(result.unwrap_err(), unsupported(&format!("CloudPartnerNavigator does not have {name}")));
        }
    }
}

#[test]
fn navigator_refuses_other_grant_types_and_accepts_blank_values() {
    let other = values(Api::CloudPartnerNavigator, json!({"grantTypes": ["authorization_code"]}));
    assert_eq!(
        other.unwrap_err(),
        unsupported("CloudPartnerNavigator does not have grantTypes other than client_credentials")
    );
    assert!(values(Api::CloudPartnerNavigator, json!({"publicClient": false, "redirectUris": []})).is_ok());
}

#[test]
fn navigator_refuses_scopes_that_it_does_not_have() {
    for (scopes, path) in [
        (json!({"organizationScopes": {"allRoles": true}}), "organizationScopes.allRoles"),
        (json!({"organizationScopes": {"allPermissions": true}}), "organizationScopes.allPermissions"),
        (json!({"organizationScopes": {"keptInToken": ["ROLES"]}}), "organizationScopes.keptInToken"),
        (json!({"organizationScopes": {"permissions": [{"permissionId": "p"}]}}), "organizationScopes.permissions"),
        (
            json!({"organizationScopes": {"roles": [{"name": "r", "resource": "x"}]}}),
            "organizationScopes.roles[].resource",
        ),
        (
            json!({"servicesScopes": [{"serviceDefinitionId": "s", "allPermissions": true}]}),
            "servicesScopes[].allPermissions",
        ),
        (
            json!({"servicesScopes": [{"serviceDefinitionId": "s", "keptInToken": ["ROLES"]}]}),
            "servicesScopes[].keptInToken",
        ),
        (
            json!({"servicesScopes": [{"serviceDefinitionId": "s", "permissions": [{"permissionId": "p"}]}]}),
            "servicesScopes[].permissions",
        ),
        (
            json!({"servicesScopes": [{"serviceDefinitionId": "s", "roles": [{"name": "r", "resource": "x"}]}]}),
            "servicesScopes[].roles[].resource",
        ),
    ] {
        let refused = values(Api::CloudPartnerNavigator, json!({"allowedScopes": scopes})).unwrap_err();
        assert_eq!(refused, unsupported(&format!("CloudPartnerNavigator does not have allowedScopes.{path}")));
    }
    let known = json!({
        "generalScopes": ["openid"], "organizationScopes": {"roles": [{"name": "org_member"}]},
        "servicesScopes": [{"serviceDefinitionId": "s", "allRoles": true}],
    });
    assert_eq!(values(Api::CloudPartnerNavigator, json!({"allowedScopes": known})).unwrap()["allowedScopes"], known);
}

#[test]
fn cloud_services_has_no_context() {
    let refused = values(Api::CloudServices, json!({"context": "TENANT"})).unwrap_err();
    assert_eq!(refused, unsupported("CloudServices does not have context"));
}

#[test]
fn every_field_of_a_spec_is_one_of_some_api_and_every_field_of_an_api_one_of_a_spec() {
    let of_apis: BTreeSet<&str> = ALL.iter().flat_map(|flavor| flavor.request_fields()).copied().collect();
    assert_eq!(of_apis, APP_FIELDS.iter().copied().collect());
}

#[test]
fn each_api_refuses_the_fields_of_the_others_by_name() {
    for (api, name) in [("CloudServices", Api::CloudServices), ("CloudPartnerNavigator", Api::CloudPartnerNavigator)] {
        for (field, value) in [("ruleSetNames", json!(["ADMIN"])), ("refreshTokenIdleTTL", json!(60))] {
            let refused = values(name, json!({field: value})).unwrap_err();
            assert_eq!(refused, unsupported(&format!("{api} does not have {field}")));
        }
    }
    let scopes = json!({"generalScopes": ["user"]});
    let broker = |mut more: Value| {
        more["allowedScopes"] = more.get("allowedScopes").unwrap_or(&scopes).clone();
        values(Api::IdentityBroker, more).map_err(|error| error.replace("IdentityBroker does not have ", ""))
    };
    for (more, named) in [
        (json!({"allowedOrgs": ["o"]}), "allowedOrgs"),
        (json!({"context": "TENANT"}), "context"),
        (json!({"secretRotationExpirationInSeconds": 60}), "secretRotationExpirationInSeconds"),
        (json!({"roles": {"organizationRoles": [{"name": "r"}]}}), "roles"),
        (json!({"allowedScopes": {"organizationScopes": {"allRoles": true}}}), "allowedScopes.organizationScopes"),
        (json!({"allowedScopes": {"servicesScopes": [{"serviceDefinitionId": "s"}]}}), "allowedScopes.servicesScopes"),
        (
            json!({"grantTypes": ["client_delegate"]}),
            "grantTypes other than authorization_code, refresh_token, client_credentials",
        ),
    ] {
        assert_eq!(broker(more).unwrap_err(), unsupported(named));
    }
    let own = json!({"ruleSetNames": ["ADMIN"], "refreshTokenIdleTTL": 60, "roles": {}});
    assert!(broker(own).is_ok(), "blank roles are none");
}

#[test]
fn other_forms_of_the_same_value_are_no_difference() {
    let desired = Fields::of(Api::CloudServices, &spec(json!({
        "grantTypes": ["authorization_code", "refresh_token"], "redirectUris": ["https://a.example.com", "https://b.example.com"],
        "allowedOrgs": ["org-2", "org-3"], "forcePkce": false, "maxCharactersInAccessToken": -1,
        "allowedScopes": {"generalScopes": [], "organizationScopes": {"roles": [{"name": "x"}, {"name": "y"}]}},
    })))
    .unwrap();
    let shown = json!({
        "id": "app", "displayName": "Billing", "description": "Nightly", "accessTokenTTL": 600,
        "grantTypes": ["refresh_token", "authorization_code"], "redirectUris": ["https://b.example.com", "https://a.example.com"],
        "allowedOrgs": [{"id": "org-3", "name": "c", "displayName": "C"}, {"id": "org-2", "name": "b", "displayName": "B"}],
        "allowedScopes": {"organizationScopes": {"roles": [{"name": "y", "resource": null}, {"name": "x"}], "allRoles": false}},
    });
    assert_eq!(differences(desired.values(), shown.as_object().unwrap()), Vec::<String>::new());
}

#[test]
fn every_field_that_differs_is_named() {
    let desired = Fields::of(Api::CloudServices, &spec(optional_fields())).unwrap();
    for name in desired.values().keys() {
        let mut shown = desired.values().clone();
        shown.insert(name.clone(), json!("something else"));
        assert_eq!(differences(desired.values(), &shown), std::slice::from_ref(name));
    }
}

#[test]
fn a_create_has_defaults_for_what_the_spec_leaves_out() {
    let created = |api, app: &OrgOAuthApp| Value::Object(Fields::of(api, &app.spec).unwrap().for_create(app));
    let names = json!({"displayName": "billing-export", "description": "team/billing-export", "allowedScopes": {}});
    assert_eq!(created(Api::CloudPartnerNavigator, &app(json!({}))), names);
    let mut all = names;
    all["grantTypes"] = json!(["client_credentials"]);
    assert_eq!(created(Api::CloudServices, &app(json!({}))), all);
    all["description"] = json!("");
    assert_eq!(created(Api::CloudServices, &app(json!({"description": ""}))), all, "what the spec says counts");
}

#[test]
fn update_only_fields_are_left_out_of_the_create() {
    let app = app(json!({"useCspIssuerUrl": false, "groupDomainAppendedInIDToken": true, "isHidden": true}));
    let desired = Fields::of(Api::CloudServices, &app.spec).unwrap();
    let names = desired.for_create(&app).keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(names, "allowedScopes description displayName grantTypes isHidden");
    assert_eq!(desired.left_by_create(), ["groupDomainAppendedInIDToken", "useCspIssuerUrl"]);
}

#[test]
fn only_fields_of_the_spec_and_grant_types_are_compared() {
    let desired = Fields::of(Api::CloudServices, &app(json!({})).spec).unwrap();
    let mut shown = json!({
        "displayName": "Renamed", "description": "By hand", "accessTokenTTL": 600, "grantTypes": ["client_credentials"],
        "allowedScopes": {"generalScopes": ["openid"]},
    });
    assert_eq!(differences(desired.values(), shown.as_object().unwrap()), Vec::<String>::new());
    shown["grantTypes"] = json!(["client_credentials", "authorization_code"]);
    assert_eq!(differences(desired.values(), shown.as_object().unwrap()), ["grantTypes"]);
}

#[test]
fn an_update_has_the_changed_fields_and_those_that_the_api_requires() {
    let app = app(json!({"displayName": "Billing", "accessTokenTTL": 60, "ownerOnlySecretRotation": true}));
    let desired = Fields::of(Api::CloudServices, &app.spec).unwrap();
    let body = |api, changed: &[&str], shown: Option<&Value>| {
        let changed: Vec<String> = changed.iter().map(ToString::to_string).collect();
        let shown = shown.map(|shown| shown.as_object().unwrap());
        Value::Object(Fields::of(api, &app.spec).unwrap().for_update(&app, &changed, shown))
    };
    assert_eq!(body(Api::CloudPartnerNavigator, &["accessTokenTTL"], None), json!({"accessTokenTTL": 60}));
    assert_eq!(body(Api::CloudPartnerNavigator, &[], None), json!({}));
    let mut all = json!({
        "accessTokenTTL": 60, "displayName": "Billing", "grantTypes": ["client_credentials"],
        "description": "team/billing-export",
    });
    assert_eq!(body(Api::CloudServices, &["accessTokenTTL"], None), all);
    let shown = json!({"displayName": "Renamed", "description": "By hand", "grantTypes": ["refresh_token"]});
    all["description"] = json!("By hand");
    assert_eq!(
        body(Api::CloudServices, &["accessTokenTTL"], Some(&shown)),
        all,
        "only what the spec leaves out is kept"
    );
    assert_eq!(desired.immutable(&["publicClient".into(), "forcePkce".into()]), ["publicClient"]);
}
