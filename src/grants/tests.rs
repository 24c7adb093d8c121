use super::*;
use crate::crd::{Api, OrgOAuthApp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

fn cover(grants: &[Grant], place: &Place<'_>) -> bool {
    check(grants, place, &[]) != Decision::NotGranted
}

fn covered(grant: Value) -> bool {
    let grant: Grant = serde_json::from_value(grant).unwrap();
    let labels = Labels::from([("team".into(), "a".into())]);
    cover(&[grant], &Place { namespace: "billing", labels: &labels, org: &OrgId("org-1".into()) })
}

fn by_selector(selector: Value) -> bool {
    covered(json!({"namespaces": {"from": "Selector", "selector": selector}, "orgs": {"from": "All"}}))
}

#[test]
fn without_a_grant_nothing_is_covered() {
    assert!(!cover(&[], &Place { namespace: "billing", labels: &Labels::new(), org: &OrgId("org-1".into()) }));
}

#[test]
fn namespaces_and_orgs_must_both_match() {
    for (namespaces, orgs, expected) in [
        (json!({"from": "All"}), json!({"from": "All"}), true),
        (json!({"from": "Names", "names": ["billing"]}), json!({"from": "All"}), true),
        (json!({"from": "Names", "names": ["bill"]}), json!({"from": "All"}), false),
        (json!({"from": "Names"}), json!({"from": "All"}), false),
        (json!({"from": "All"}), json!({"from": "Ids", "ids": ["org-1"]}), true),
        (json!({"from": "All"}), json!({"from": "Ids", "ids": ["org-2"]}), false),
        (json!({"from": "All"}), json!({"from": "Ids"}), false),
    ] {
        assert_eq!(covered(json!({"namespaces": namespaces, "orgs": orgs})), expected, "{namespaces} {orgs}");
    }
}

#[test]
fn grants_overlap_and_never_combine() {
    let grants: Vec<Grant> = serde_json::from_value(json!([
        {"namespaces": {"from": "Names", "names": ["billing"]}, "orgs": {"from": "Ids", "ids": ["org-1"]}},
        {"namespaces": {"from": "Names", "names": ["billing", "web"]}, "orgs": {"from": "Ids", "ids": ["org-2"]}},
        {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"tier": "all"}}}, "orgs": {"from": "All"}},
    ]))
    .unwrap();
    let tier = |value: &str| Labels::from([("tier".into(), value.into())]);
    for (namespace, labels, org, expected) in [
        ("billing", tier("none"), "org-1", true),
        ("billing", tier("none"), "org-2", true),
        ("web", tier("none"), "org-2", true),
        // The namespace of one grant and the organization of another.
        ("web", tier("none"), "org-1", false),
        ("web", tier("all"), "org-1", true),
        ("other", tier("all"), "org-9", true),
        ("other", tier("none"), "org-9", false),
        ("other", Labels::new(), "org-1", false),
    ] {
        let covered = cover(&grants, &Place { namespace, labels: &labels, org: &OrgId(org.into()) });
        assert_eq!(covered, expected, "{namespace} {labels:?} {org}");
    }
}

#[test]
fn names_and_ids_are_taken_literally() {
    for (names, ids, expected) in [
        (json!(["billing"]), json!(["org-1"]), true),
        (json!(["*"]), json!(["org-1"]), false),
        (json!(["bill*"]), json!(["org-1"]), false),
        (json!(["Billing"]), json!(["org-1"]), false),
        (json!(["billing-2", "billing"]), json!(["org-1"]), true),
        (json!(["billing"]), json!(["ORG-1"]), false),
        (json!(["billing"]), json!(["org-1 "]), false),
        (json!([]), json!(["org-1"]), false),
        (json!(["billing"]), json!([]), false),
    ] {
        let grant = json!({"namespaces": {"from": "Names", "names": names}, "orgs": {"from": "Ids", "ids": ids}});
        assert_eq!(covered(grant.clone()), expected, "{grant}");
    }
}

#[test]
fn a_selector_means_what_kubernetes_means_and_an_empty_one_covers_nothing() {
    for (selector, expected) in [
        (json!({}), false),
        (json!({"matchLabels": {}}), false),
        (json!({"matchLabels": {}, "matchExpressions": []}), false),
        (json!({"matchLabels": {"team": "a"}}), true),
        (json!({"matchLabels": {"team": "b"}}), false),
        (json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]}), true),
        (json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["b"]}]}), false),
        (json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}), false),
        (json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["a"]}]}), true),
        (json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]}), true),
        (json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}), false),
        (json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), true),
        (json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}), false),
        (json!({"matchExpressions": []}), false),
        (json!({"matchLabels": {"team": "a", "tier": "web"}}), false),
        (json!({"matchLabels": {"team": ""}}), false),
        (json!({"matchExpressions": [{"key": "team", "operator": "In"}]}), false),
        (json!({"matchExpressions": [{"key": "team", "operator": "NotIn"}]}), true),
        (
            json!({"matchExpressions": [{"key": "team", "operator": "Exists"}, {"key": "tier", "operator": "Exists"}]}),
            false,
        ),
        (
            json!({"matchLabels": {"team": "a"}, "matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}),
            false,
        ),
    ] {
        assert_eq!(by_selector(selector.clone()), expected, "{selector}");
    }
}

#[test]
fn a_missing_selector_covers_nothing() {
    assert!(!covered(json!({"namespaces": {"from": "Selector"}, "orgs": {"from": "All"}})));
}

fn app(spec: Value) -> OrgOAuthApp {
    let mut app = json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
        "metadata": {"name": "a", "namespace": "billing"},
        "spec": {"orgId": "org-1", "displayName": "A", "description": "", "grantTypes": ["client_credentials"],
                 "allowedScopes": {}},
    });
    for (name, value) in spec.as_object().unwrap() {
        app["spec"][name] = value.clone();
    }
    serde_json::from_value(app).unwrap()
}

/// By grants for every namespace and organization, one for each `allow`; null leaves it out.
fn decision(app: &OrgOAuthApp, allows: Value) -> Decision {
    decision_of(Api::CloudServices, app, allows)
}

fn decision_of(api: Api, app: &OrgOAuthApp, allows: Value) -> Decision {
    let of = |allow: &Value| json!({"namespaces": {"from": "All"}, "orgs": {"from": "All"}, "allow": allow});
    let grants: Vec<Grant> =
        allows.as_array().unwrap().iter().map(|a| serde_json::from_value(of(a)).unwrap()).collect();
    let (labels, org) = (Labels::new(), OrgId("org-1".into()));
    check(&grants, &Place { namespace: "billing", labels: &labels, org: &org }, &wanted(app, api))
}

#[test]
fn the_scope_with_which_tokens_manage_the_api_has_to_be_listed() {
    let app = app(json!({"allowedScopes": {"generalScopes": ["admin"]}}));
    for (allow, of_services, of_broker) in [
        (json!(null), true, false),
        (json!({}), true, false),
        (json!({"generalScopes": ["user"]}), false, false),
        (json!({"generalScopes": ["admin"]}), true, true),
        (json!({"generalScopes": ["*"]}), true, true),
    ] {
        for (api, is_allowed) in [(Api::CloudServices, of_services), (Api::IdentityBroker, of_broker)] {
            let decision = decision_of(api, &app, json!([allow]));
            assert_eq!(matches!(decision, Decision::Allowed { .. }), is_allowed, "{api:?} {allow}");
        }
    }
}

fn is_allowed(spec: Value, allow: Value) -> bool {
    matches!(decision(&app(spec), json!([allow])), Decision::Allowed { .. })
}

fn refusal(spec: Value, allow: Value) -> String {
    match decision(&app(spec), json!([allow])) {
        Decision::NotAllowed(refusal) => refusal.to_string(),
        other => panic!("{other:?}"),
    }
}

fn organization(scopes: Value) -> Value {
    json!({"allowedScopes": {"organizationScopes": scopes}})
}

fn service(scopes: Value) -> Value {
    json!({"allowedScopes": {"servicesScopes": [scopes]}})
}

/// A spec, an `allow` that is enough for it, and one that is not.
#[test]
fn each_field_that_gives_an_app_more_needs_its_allowance() {
    let roles = |names: Value| json!({ "organizationRoles": names });
    let of_s = |names: Value| json!({"serviceRoles": [{"serviceDefinitionId": "s", "names": names}]});
    let uris = |patterns: Value| json!({ "redirectUris": patterns });
    let org_owner = || json!([{"name": "org_owner"}]);
    let limited = json!([{"name": "support", "resource": "instance:1"}]);
    for (spec, enough, too_little) in [
        (json!({}), json!({"grantTypes": ["client_credentials"]}), json!({"grantTypes": ["authorization_code"]})),
        (
            json!({ "grantTypes": null }),
            json!({"grantTypes": ["client_credentials"]}),
            json!({"grantTypes": ["authorization_code"]}),
        ),
        (json!({"grantTypes": ["client_delegate"]}), json!(null), json!({"grantTypes": ["client_credentials"]})),
        (json!({"allowedScopes": {"generalScopes": ["openid"]}}), json!({}), json!({"generalScopes": []})),
        (
            json!({"allowedScopes": {"generalScopes": ["openid", "email"]}}),
            json!({"generalScopes": ["*"]}),
            json!({"generalScopes": ["openid"]}),
        ),
        (json!({"roles": {"organizationRoles": org_owner()}}), roles(json!(["org_owner"])), json!(null)),
        (json!({"roles": {"organizationRoles": org_owner()}}), roles(json!(["*"])), roles(json!(["org_member"]))),
        (organization(json!({"roles": org_owner()})), roles(json!(["org_owner"])), roles(json!(["org_owner*"]))),
        (organization(json!({"roles": org_owner()})), roles(json!(["*"])), roles(json!(["ORG_OWNER"]))),
        (organization(json!({"roles": limited.clone()})), roles(json!(["support"])), roles(json!([]))),
        (organization(json!({"allRoles": true})), roles(json!(["*"])), roles(json!(["org_owner", "org_member"]))),
        (organization(json!({"allPermissions": true})), roles(json!(["*"])), roles(json!(["org_owner"]))),
        (
            organization(json!({"permissions": [{"permissionId": "p"}]})),
            roles(json!(["*"])),
            roles(json!(["org_owner", "p"])),
        ),
        (service(json!({"serviceDefinitionId": "s"})), of_s(json!(["support"])), roles(json!(["*"]))),
        (
            service(json!({"serviceDefinitionId": "s", "roles": limited.clone()})),
            of_s(json!(["support"])),
            json!({"serviceRoles": [{"serviceDefinitionId": "other", "names": ["*"]}]}),
        ),
        (service(json!({"serviceDefinitionId": "s", "allRoles": true})), of_s(json!(["*"])), of_s(json!(["support"]))),
        (
            service(json!({"serviceDefinitionId": "s", "allPermissions": true})),
            json!({"serviceRoles": [{"serviceDefinitionId": "*", "names": ["*"]}]}),
            json!({"serviceRoles": [{"serviceDefinitionId": "*", "names": ["support"]}]}),
        ),
        (
            service(json!({"serviceDefinitionId": "s", "permissions": [{"permissionId": "p"}]})),
            of_s(json!(["*"])),
            of_s(json!(["p"])),
        ),
        (
            json!({"roles": {"serviceRoles": [{"serviceDefinitionId": "s", "serviceRoles": limited}]}}),
            of_s(json!(["support"])),
            of_s(json!(["other"])),
        ),
        (json!({"ruleSetNames": ["A"]}), json!({"ruleSetNames": ["A"]}), json!(null)),
        (json!({"ruleSetNames": ["A"]}), json!({"ruleSetNames": ["*"]}), json!({"ruleSetNames": ["a"]})),
        (json!({"ruleSetNames": ["A", "B"]}), json!({"ruleSetNames": ["B", "A"]}), json!({"ruleSetNames": ["A"]})),
        (json!({"redirectUris": ["https://evil.test"]}), json!({}), uris(json!(["https://*.example.com/*"]))),
        (json!({"redirectUris": ["https://a.example.com"]}), uris(json!(["https://*.example.com/*"])), uris(json!([]))),
        (
            json!({"redirectUris": ["https://a.example.com", "https://b.example.com"]}),
            uris(json!(["https://a.example.com", "https://b.example.com"])),
            uris(json!(["https://a.example.com"])),
        ),
        (
            json!({"postLogoutRedirectUris": ["https://evil.test"]}),
            json!(null),
            uris(json!(["https://*.example.com/*"])),
        ),
        (json!({"allowOpenRedirectUris": true}), json!({}), uris(json!(["https://*.example.com/*"]))),
        (json!({"allowOpenRedirectUris": true}), json!(null), uris(json!([]))),
    ] {
        assert!(is_allowed(spec.clone(), enough.clone()), "{spec} {enough}");
        assert!(!is_allowed(spec.clone(), too_little.clone()), "{spec} {too_little}");
    }
}

#[test]
fn what_gives_an_app_nothing_needs_no_allowance() {
    let nothing = json!({"generalScopes": [], "redirectUris": [], "grantTypes": ["client_credentials"]});
    for spec in [
        json!({}),
        organization(json!({"allRoles": false, "allPermissions": false, "roles": [], "permissions": []})),
        json!({"roles": {}, "redirectUris": [], "postLogoutRedirectUris": [], "allowOpenRedirectUris": false}),
        json!({"allowedOrgs": ["org-2"], "publicClient": true, "forcePkce": true}),
    ] {
        assert!(is_allowed(spec.clone(), nothing.clone()), "{spec}");
    }
}

#[test]
fn a_resource_that_is_deleted_asks_for_nothing() {
    let mut app = app(json!({"roles": {"organizationRoles": [{"name": "org_owner"}]}, "allowOpenRedirectUris": true}));
    let allow = json!([{"grantTypes": ["refresh_token"], "redirectUris": []}]);
    assert!(matches!(decision(&app, allow.clone()), Decision::NotAllowed(_)));
    app.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    assert_eq!(decision(&app, allow), Decision::Allowed { adoption: false });
    assert_eq!(decision(&app, json!([])), Decision::NotGranted);
}

#[test]
fn one_grant_must_allow_everything() {
    let app = app(json!({"roles": {"organizationRoles": [{"name": "a"}, {"name": "b"}]}}));
    let half = |name: &str| json!({ "organizationRoles": [name] });
    let Decision::NotAllowed(refusal) = decision(&app, json!([{}, half("a"), half("b")])) else { panic!("allowed") };
    assert_eq!(refusal.to_string(), "organizationRoles b (allowed: a)", "the closest grant tells what is missing");
    let whole = json!({"organizationRoles": ["a", "b"]});
    assert_eq!(decision(&app, json!([half("a"), whole])), Decision::Allowed { adoption: false });
}

#[test]
fn adoption_is_allowed_by_a_grant_that_allows_the_rest_too() {
    let app = app(json!({"roles": {"organizationRoles": [{"name": "a"}]}}));
    let adoption = |roles: Value, adoption: bool| json!({"organizationRoles": roles, "adoption": adoption});
    for (grants, expected) in [
        (json!([adoption(json!(["a"]), false)]), false),
        (json!([adoption(json!(["a"]), true)]), true),
        (json!([adoption(json!(["a"]), false), adoption(json!(["a"]), true)]), true),
        (json!([adoption(json!(["a"]), false), adoption(json!([]), true)]), false),
    ] {
        assert_eq!(decision(&app, grants.clone()), Decision::Allowed { adoption: expected }, "{grants}");
    }
}

#[test]
fn a_refusal_tells_what_is_allowed_instead() {
    let spec = json!({
        "grantTypes": ["authorization_code"], "allowOpenRedirectUris": true,
        "roles": {"organizationRoles": [{"name": "org_owner"}, {"name": "org_member"}]},
        "allowedScopes": {
            "generalScopes": ["openid"],
            "organizationScopes": {"allRoles": true},
            "servicesScopes": [{"serviceDefinitionId": "s-1", "roles": [{"name": "admin"}]}],
        },
    });
    let allow = json!({
        "grantTypes": ["client_credentials"], "generalScopes": ["profile"], "organizationRoles": ["org_member"],
        "serviceRoles": [{"serviceDefinitionId": "s-2", "names": ["viewer"]}], "redirectUris": [],
    });
    assert_eq!(
        refusal(spec, allow),
        "grantTypes authorization_code (allowed: client_credentials); generalScopes openid (allowed: profile); \
         organizationRoles * for allRoles, org_owner (allowed: org_member); \
         serviceRoles any of s-1, admin of s-1 (allowed: viewer of s-2); \
         redirectUris any for allowOpenRedirectUris (allowed: none)"
    );
}

#[test]
fn a_refusal_is_short_and_holds_no_foreign_characters() {
    let names: Vec<Value> = (0..500).map(|n| json!({"name": format!("{n:03}\n\u{202e}{}", "x".repeat(200))})).collect();
    let said = refusal(json!({"roles": {"organizationRoles": names}}), json!({"organizationRoles": ["\u{1b}[2J"]}));
    assert!(said.contains("000 xxx") && said.contains("and 490 more (allowed: [2J)"), "{said}");
    assert!(said.len() < 1000 && !said.chars().any(char::is_control), "{said}");
}
