//! The definition of an app, field by field, for both APIs.

use super::*;
use serde_json::json;

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
    assert_eq!(Value::Object(fields(Api::CloudServices, &spec(json!({}))).unwrap()), required);
    for (name, value) in optional_fields().as_object().unwrap() {
        let mut expected = required.clone();
        expected[name] = value.clone();
        let sent = fields(Api::CloudServices, &spec(json!({name: value}))).unwrap();
        assert_eq!(Value::Object(sent), expected, "{name} alone");
    }
    let mut all = required;
    all.as_object_mut().unwrap().extend(optional_fields().as_object().unwrap().clone());
    assert_eq!(Value::Object(fields(Api::CloudServices, &spec(optional_fields())).unwrap()), all);
}

#[test]
fn navigator_gets_its_own_fields_and_refuses_every_other_by_name() {
    for (name, value) in optional_fields().as_object().unwrap() {
        let result = fields(Api::CloudPartnerNavigator, &spec(json!({name: value})));
        if NAVIGATOR_FIELDS.contains(&name.as_str()) {
            let sent = result.unwrap();
            assert_eq!(sent[name], *value);
            assert!(!sent.contains_key("grantTypes"), "not settable there");
        } else {
            assert_eq!(result.unwrap_err(), format!("CloudPartnerNavigator does not have {name}"));
        }
    }
}

#[test]
fn navigator_refuses_other_grant_types_and_accepts_blank_values() {
    let other = fields(Api::CloudPartnerNavigator, &spec(json!({"grantTypes": ["authorization_code"]})));
    assert_eq!(other.unwrap_err(), "CloudPartnerNavigator does not have grantTypes other than client_credentials");
    assert!(fields(Api::CloudPartnerNavigator, &spec(json!({"publicClient": false, "redirectUris": []}))).is_ok());
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
            "organizationScopes.roles.resource",
        ),
        (
            json!({"servicesScopes": [{"serviceDefinitionId": "s", "allPermissions": true}]}),
            "servicesScopes[0].allPermissions",
        ),
        (
            json!({"servicesScopes": [{"serviceDefinitionId": "s", "keptInToken": ["ROLES"]}]}),
            "servicesScopes[0].keptInToken",
        ),
        (
            json!({"servicesScopes": [{"serviceDefinitionId": "s", "permissions": [{"permissionId": "p"}]}]}),
            "servicesScopes[0].permissions",
        ),
        (
            json!({"servicesScopes": [{"serviceDefinitionId": "s", "roles": [{"name": "r", "resource": "x"}]}]}),
            "servicesScopes[0].roles.resource",
        ),
    ] {
        let refused = fields(Api::CloudPartnerNavigator, &spec(json!({"allowedScopes": scopes}))).unwrap_err();
        assert_eq!(refused, format!("CloudPartnerNavigator does not have allowedScopes.{path}"));
    }
    let known = json!({
        "generalScopes": ["openid"], "organizationScopes": {"roles": [{"name": "org_member"}]},
        "servicesScopes": [{"serviceDefinitionId": "s", "allRoles": true}],
    });
    assert_eq!(
        fields(Api::CloudPartnerNavigator, &spec(json!({"allowedScopes": known}))).unwrap()["allowedScopes"],
        known
    );
}

#[test]
fn cloud_services_has_no_context() {
    let refused = fields(Api::CloudServices, &spec(json!({"context": "TENANT"}))).unwrap_err();
    assert_eq!(refused, "CloudServices does not have context");
}

#[test]
fn what_the_api_says_differently_is_no_difference() {
    let defined = fields(Api::CloudServices, &spec(json!({
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
    assert_eq!(differences(&defined, shown.as_object().unwrap()), Vec::<String>::new());
}

#[test]
fn every_field_that_differs_is_named() {
    let defined = fields(Api::CloudServices, &spec(optional_fields())).unwrap();
    for name in defined.keys() {
        let mut shown = defined.clone();
        shown.insert(name.clone(), json!("something else"));
        assert_eq!(differences(&defined, &shown), std::slice::from_ref(name));
    }
}

#[test]
fn what_a_manifest_of_one_line_leaves_out_has_a_default_in_the_create() {
    let created = |api, app: &OrgOAuthApp| Value::Object(create(app, &fields(api, &app.spec).unwrap()));
    let names = json!({"displayName": "billing-export", "description": "team/billing-export", "allowedScopes": {}});
    assert_eq!(created(Api::CloudPartnerNavigator, &app(json!({}))), names);
    let mut all = names;
    all["grantTypes"] = json!(["client_credentials"]);
    assert_eq!(created(Api::CloudServices, &app(json!({}))), all);
    all["description"] = json!("");
    assert_eq!(created(Api::CloudServices, &app(json!({"description": ""}))), all, "what the spec says counts");
}

#[test]
fn what_only_an_update_can_carry_is_left_out_of_the_create() {
    let app = app(json!({"useCspIssuerUrl": false, "groupDomainAppendedInIDToken": true, "isHidden": true}));
    let defined = fields(Api::CloudServices, &app.spec).unwrap();
    let names = create(&app, &defined).keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(names, "allowedScopes description displayName grantTypes isHidden");
    assert_eq!(left_by_create(&defined), ["groupDomainAppendedInIDToken", "useCspIssuerUrl"]);
}

#[test]
fn what_a_spec_leaves_out_is_not_compared_but_for_grant_types() {
    let defined = fields(Api::CloudServices, &app(json!({})).spec).unwrap();
    let mut shown = json!({
        "displayName": "Renamed", "description": "By hand", "accessTokenTTL": 600, "grantTypes": ["client_credentials"],
        "allowedScopes": {"generalScopes": ["openid"]},
    });
    assert_eq!(differences(&defined, shown.as_object().unwrap()), Vec::<String>::new());
    shown["grantTypes"] = json!(["client_credentials", "authorization_code"]);
    assert_eq!(differences(&defined, shown.as_object().unwrap()), ["grantTypes"]);
}

#[test]
fn an_update_carries_what_changed_and_what_the_api_always_wants() {
    let app = app(json!({"displayName": "Billing", "accessTokenTTL": 60, "forcePkce": true}));
    let defined = fields(Api::CloudServices, &app.spec).unwrap();
    let body = |api, changed: &[&str], shown: Option<&Value>| {
        let changed: Vec<String> = changed.iter().map(ToString::to_string).collect();
        let shown = shown.map(|shown| shown.as_object().unwrap());
        Value::Object(update(api, &app, &defined, &changed, shown))
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
    assert_eq!(cannot_change(&["publicClient".into(), "forcePkce".into()]), ["publicClient"]);
}
