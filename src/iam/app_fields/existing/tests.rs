//! A spec that is made of what the API shows has no drift, and has all that the app has, for each API.

use super::*;
use crate::iam::app_fields::changes;
use crate::iam::app_fields::comparison::tests::{Service, flag, members, some_of, spec};
use crate::iam::request::Body;
use crate::iam::{ClientId, NewApp, OrgId};
use fastrand::Rng;
use proptest::prelude::*;

fn fields(value: Value) -> Values {
    value.as_object().unwrap().clone()
}

fn desired(api: Api, spec: &OrgOAuthAppSpec) -> Values {
    Fields::of(api, spec).unwrap().values().clone()
}

/// What an API shows that keeps what a create sends.
fn created(api: Api, spec: &OrgOAuthAppSpec) -> Values {
    let (id, fields) = (ClientId("billing".into()), desired(api, spec));
    let app = NewApp { id, context: None, fields, secret: None };
    let Body::Json(body) = flavor(api).create(&OrgId("o".into()), &app).body else { panic!("a create has a body") };
    flavor(api).normalize(self::fields(body))
}

/// The fields that rules reject, one after the other.
fn rejected(spec: &OrgOAuthAppSpec) -> Vec<&'static str> {
    let (mut values, mut rejected) = (of_spec(spec), Vec::new());
    while let Some((field, _)) = broken_rule(&spec_of(values.clone()).unwrap()) {
        values.remove(field);
        rejected.push(field);
    }
    rejected
}

/// Checks a spec that was made of what is shown, against the one that the app was made of.
fn check(api: Api, original: &OrgOAuthAppSpec, shown: &Values) -> Result<(), TestCaseError> {
    let existing = match existing(api, shown) {
        Ok(existing) => existing,
        Err(error) => {
            let is_refused = broken_rule(original).is_some_and(|(field, _)| field == "grantTypes");
            prop_assert!(is_refused, "{error}: {shown:?}");
            return Ok(());
        }
    };
    let made = desired(api, &existing.spec);
    prop_assert_eq!(differences(&made, shown), Vec::<String>::new(), "drift");
    let left_out: Vec<_> = existing.left_out.iter().map(|left| left.field).collect();
    let set = of_spec(original);
    for field in left_out.iter().filter(|field| set.contains_key(**field)) {
        prop_assert!(rejected(original).contains(field), "{field} could be expressed: {shown:?}");
    }
    for (name, value) in desired(api, original) {
        let is_kept = changes(&Values::from_iter([(name.clone(), value.clone())]), &made).is_empty();
        let is_default = has_default(flavor(api), &name, &value);
        prop_assert!(is_kept || is_default || left_out.contains(&name.as_str()), "{name} is lost: {made:?}");
    }
    Ok(())
}

fn lifetime() -> BoxedStrategy<Value> {
    (1..9).prop_map(|minutes| json!(minutes * 60)).boxed()
}

fn of_broker() -> BoxedStrategy<OrgOAuthAppSpec> {
    let scopes = some_of(&["openid", "profile"]).prop_map(|mut scopes| {
        scopes.as_array_mut().unwrap().push(json!("user"));
        json!({"generalScopes": scopes})
    });
    let fields = members(
        2,
        vec![
            ("orgId", Just(json!("CUSTOMER")).boxed()),
            ("allowedScopes", scopes.boxed()),
            ("displayName", Just(json!("Billing")).boxed()),
            ("description", Just(json!("Nightly")).boxed()),
            ("grantTypes", Just(json!(["authorization_code", "refresh_token"])).boxed()),
            ("accessTokenTTL", lifetime()),
            ("refreshTokenTTL", lifetime()),
            ("refreshTokenIdleTTL", lifetime()),
            ("redirectUris", some_of(&["https://a", "https://b"])),
            ("publicClient", flag()),
            ("forcePkce", flag()),
            ("ruleSetNames", some_of(&["A", "B"])),
        ],
    );
    fields.prop_map(|spec| serde_json::from_value(spec).unwrap()).boxed()
}

fn of_navigator() -> BoxedStrategy<OrgOAuthAppSpec> {
    let fields = members(
        1,
        vec![
            ("orgId", Just(json!("org-1")).boxed()),
            ("displayName", Just(json!("Billing")).boxed()),
            ("description", Just(json!("Nightly")).boxed()),
            ("allowedScopes", Just(json!({"organizationScopes": {"roles": [{"name": "org_member"}]}})).boxed()),
            ("accessTokenTTL", lifetime()),
            ("ownerOnlySecretRotation", flag()),
        ],
    );
    fields.prop_map(|spec| serde_json::from_value(spec).unwrap()).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn an_app_of_cloud_services_becomes_a_spec_without_drift_that_has_all_of_it(spec in spec(), seed: u64) {
        let spec: OrgOAuthAppSpec = serde_json::from_value(spec).unwrap();
        let mut service = Service { rng: Rng::with_seed(seed), orgs_vanish: false };
        check(Api::CloudServices, &spec, &service.shows(&created(Api::CloudServices, &spec)))?;
    }

    #[test]
    fn a_client_of_the_broker_does_too(spec in of_broker()) {
        check(Api::IdentityBroker, &spec, &created(Api::IdentityBroker, &spec))?;
    }

    #[test]
    fn an_app_of_navigator_does_too(spec in of_navigator()) {
        let mut shown = created(Api::CloudPartnerNavigator, &spec);
        shown.insert("grantTypes".into(), json!(["client_credentials"]));
        check(Api::CloudPartnerNavigator, &spec, &shown)?;
    }
}

fn made(api: Api, shown: Value) -> Result<(Value, Vec<&'static str>), String> {
    let made = existing(api, &fields(shown)).map_err(|error| error.to_string())?;
    let values = fields_in_order(&made.spec).into_iter().map(|(name, value)| (name.to_owned(), value));
    Ok((Value::Object(values.collect()), made.left_out.iter().map(|left| left.field).collect()))
}

#[test]
fn a_default_is_left_out() {
    let shown = json!({
        "id": "billing", "createdAt": 1, "displayName": "Billing", "description": "", "grantTypes": ["client_credentials"],
        "allowedScopes": {"generalScopes": [], "organizationScopes": {"allRoles": false, "roles": []}, "servicesScopes": []},
        "accessTokenTTL": 600, "refreshTokenTTL": 7_776_000, "secretRotationExpirationInSeconds": 172_800,
        "publicClient": false, "maxCharactersInAccessToken": -1, "redirectUris": [], "maxGroupsInIdToken": null,
    });
    let spec = json!({"displayName": "Billing", "grantTypes": ["client_credentials"]});
    assert_eq!(made(Api::CloudServices, shown), Ok((spec, vec![])));
}

#[test]
fn what_a_spec_cannot_express_is_named_and_left_to_the_api() {
    let shown = |more: Value| {
        let mut shown =
            fields(json!({"displayName": "Billing", "grantTypes": ["authorization_code", "client_credentials"]}));
        shown.extend(fields(more));
        made(Api::CloudServices, Value::Object(shown)).map(|(_, left_out)| left_out)
    };
    for (more, left_out) in [
        (json!({"displayName": "Büro – Abrechnung"}), "displayName"),
        (json!({"displayName": 7}), "displayName"),
        (json!({"accessTokenTTL": "600"}), "accessTokenTTL"),
        (json!({"allowedScopes": {"generalScopes": ["openid"], "resources": ["r"]}}), "allowedScopes"),
        (json!({"allowedScopes": "all"}), "allowedScopes"),
        (json!({"allowedOrgs": []}), "allowedOrgs"),
        (json!({"allowedOrgs": [{"name": "without id"}]}), "allowedOrgs"),
        (json!({"ruleSetNames": ["A"]}), "ruleSetNames"),
        (
            json!({"redirectUris": vec!["x".repeat(2000); 5].iter().enumerate().map(|(n, x)| format!("{x}{n}")).collect::<Vec<_>>()}),
            "redirectUris",
        ),
        (json!({"accessTokenTTL": 700, "refreshTokenTTL": 700}), "refreshTokenTTL"),
    ] {
        assert_eq!(shown(more.clone()), Ok(vec![left_out]), "{more}");
    }
}

#[test]
fn without_its_grant_types_an_app_has_no_spec() {
    for grant_types in [json!(["client_credentials", "urn:new"]), json!([]), Value::Null, json!("client_credentials")] {
        let said = made(Api::CloudServices, json!({"grantTypes": grant_types})).unwrap_err();
        assert!(said.starts_with("its grant types are ") && said.contains("context_switch"), "{said}");
    }
    let said = made(Api::CloudPartnerNavigator, json!({"grantTypes": ["authorization_code"]})).unwrap_err();
    assert!(said.ends_with("OrgOAuthApp has client_credentials for this API"), "{said}");
    let public = json!({"grantTypes": ["client_credentials"], "publicClient": true});
    assert!(made(Api::CloudServices, public).unwrap_err().starts_with("a public client cannot"));
}

#[test]
fn what_navigator_adds_within_scopes_is_left_out_and_what_it_grants_is_not() {
    let shown = |organization: Value| json!({"allowedScopes": {"generalScopes": ["openid"], "organizationScopes": organization}});
    let (spec, left_out) = made(Api::CloudPartnerNavigator, shown(json!({"keptInToken": ["ROLES"]}))).unwrap();
    assert_eq!((&spec["allowedScopes"], left_out), (&json!({"generalScopes": ["openid"]}), vec![]));
    let (_, left_out) = made(Api::CloudPartnerNavigator, shown(json!({"allPermissions": true}))).unwrap();
    assert_eq!(left_out, ["allowedScopes"]);
}
