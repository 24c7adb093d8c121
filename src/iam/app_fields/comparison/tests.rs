//! What the documentation lets an API make of a spec is no drift, and any change of a field is.
//! Specs and normalizations are generated; single rules that matter on their own follow.

use super::*;
use crate::crd::{Api, OrgOAuthAppSpec};
use crate::iam::app_fields::Fields;
use fastrand::Rng;
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::json;

fn desired(spec: Value) -> Values {
    let spec: OrgOAuthAppSpec = serde_json::from_value(spec).unwrap();
    Fields::of(Api::CloudServices, &spec).unwrap().values().clone()
}

fn object(value: Value) -> Values {
    value.as_object().unwrap().clone()
}

/// Some of these members, of which the first `required` are always there.
pub(in crate::iam::app_fields) fn members(
    required: usize,
    all: Vec<(&'static str, BoxedStrategy<Value>)>,
) -> BoxedStrategy<Value> {
    let (always, sometimes) = all.split_at(required);
    let always: Vec<_> = always.iter().map(|(name, value)| (Just(*name), value.clone())).collect();
    let sometimes: Vec<_> =
        sometimes.iter().map(|(name, value)| (Just(*name), proptest::option::of(value.clone()))).collect();
    let fields = (always, sometimes).prop_map(|(always, sometimes)| {
        let sometimes = sometimes.into_iter().filter_map(|(name, value)| Some((name, value?)));
        always.into_iter().chain(sometimes).map(|(name, value)| (name.to_owned(), value)).collect()
    });
    fields.prop_map(Value::Object).boxed()
}

pub(in crate::iam::app_fields) fn some_of(items: &'static [&'static str]) -> BoxedStrategy<Value> {
    subsequence(items, 0..=items.len()).prop_shuffle().prop_map(Value::from).boxed()
}

pub(in crate::iam::app_fields) fn flag() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn number(range: std::ops::Range<i32>) -> BoxedStrategy<Value> {
    range.prop_map(Value::from).boxed()
}

fn text() -> BoxedStrategy<Value> {
    "[a-z]{0,3}".prop_map(Value::from).boxed()
}

/// One object for each of some names.
fn each_of(names: &'static [&'static str], key: &'static str, more: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let named = subsequence(names, 0..=names.len()).prop_shuffle();
    (named, proptest::collection::vec(more, names.len()))
        .prop_map(move |(names, objects)| {
            let with_key = |(name, mut object): (&str, Value)| {
                object[key] = name.into();
                object
            };
            names.into_iter().zip(objects).map(with_key).collect()
        })
        .boxed()
}

fn scopes() -> Vec<(&'static str, BoxedStrategy<Value>)> {
    let resource = members(0, vec![("resource", "[a-z]{1,3}".prop_map(Value::from).boxed())]);
    let resources = members(0, vec![("resources", some_of(&["r1", "r2"]))]);
    vec![
        ("allRoles", flag()),
        ("allPermissions", flag()),
        ("keptInToken", some_of(&["ROLES", "PERMISSIONS"])),
        ("roles", each_of(&["admin", "member", "user"], "name", resource)),
        ("permissions", each_of(&["p1", "p2"], "permissionId", resources)),
    ]
}

fn allowed_scopes() -> BoxedStrategy<Value> {
    members(
        0,
        vec![
            ("generalScopes", some_of(&["openid", "profile", "email"])),
            ("organizationScopes", members(0, scopes())),
            ("servicesScopes", each_of(&["s1", "s2", "s3"], "serviceDefinitionId", members(0, scopes()))),
        ],
    )
}

pub(in crate::iam::app_fields) fn spec() -> BoxedStrategy<Value> {
    let some_orgs = subsequence(vec!["o1", "o2", "o3"], 1..=3).prop_map(Value::from).boxed();
    members(
        1,
        vec![
            ("orgId", Just(json!("org-1")).boxed()),
            ("displayName", "[a-z]{1,3}".prop_map(Value::from).boxed()),
            ("description", text()),
            (
                "grantTypes",
                subsequence(vec!["client_credentials", "refresh_token"], 1..=2).prop_map(Value::from).boxed(),
            ),
            ("allowedScopes", allowed_scopes()),
            ("accessTokenTTL", number(1..9)),
            ("refreshTokenTTL", number(1..9)),
            ("redirectUris", some_of(&["https://a", "https://b"])),
            ("postLogoutRedirectUris", some_of(&["https://a", "https://b"])),
            ("allowOpenRedirectUris", flag()),
            ("publicClient", flag()),
            ("forcePkce", flag()),
            ("allowedOrgs", some_orgs),
            ("maxCharactersInAccessToken", number(-2..3)),
            ("maxGroupsInIdToken", number(0..9)),
            ("ownerOnlySecretRotation", flag()),
            ("secretRotationExpirationInSeconds", number(1..9)),
            ("serviceDefinitionId", "[a-z]{1,3}".prop_map(Value::from).boxed()),
            ("additionalAttributeMasks", some_of(&["m1", "m2"])),
            ("allowedActorsAudienceExchange", some_of(&["a1", "a2"])),
            ("allowedActorsClientDelegate", some_of(&["a1", "a2"])),
            ("crossOrgAccessClaimsSupported", flag()),
            ("isHidden", flag()),
            ("groupDomainAppendedInIDToken", flag()),
            ("useCspIssuerUrl", flag()),
        ],
    )
}

/// An API that shows the values that it got in its own way.
pub(in crate::iam::app_fields) struct Service {
    pub(in crate::iam::app_fields) rng: Rng,
    /// Whether organizations cease to exist.
    pub(in crate::iam::app_fields) orgs_vanish: bool,
}

impl Service {
    pub(in crate::iam::app_fields) fn shows(&mut self, sent: &Values) -> Values {
        let mut shown = sent.clone();
        if let Some(orgs) = shown.get_mut("allowedOrgs").and_then(Value::as_array_mut) {
            orgs.retain(|_| !self.orgs_vanish || self.rng.bool());
            orgs.iter_mut().for_each(|org| self.org(org));
        }
        if shown.get("maxCharactersInAccessToken").and_then(Value::as_i64).is_some_and(|limit| limit < 0) {
            shown.remove("maxCharactersInAccessToken");
        }
        for name in ["displayName", "accessTokenTTL", "maxGroupsInIdToken", "createdAt", "useCspIssuerUrl"] {
            self.adds(&mut shown, name, json!(true));
        }
        if let Some(Value::Object(scopes)) = shown.get_mut("allowedScopes") {
            self.adds(scopes, "organizationScopes", json!({}));
            if let Some(Value::Object(organization)) = scopes.get_mut("organizationScopes") {
                self.fills(organization);
            }
            let services = scopes.get_mut("servicesScopes").and_then(Value::as_array_mut);
            services.into_iter().flatten().filter_map(Value::as_object_mut).for_each(|service| self.fills(service));
        }
        let shown = self.reshapes(Value::Object(shown));
        object(shown)
    }

    fn org(&mut self, org: &mut Value) {
        *org = match self.rng.u8(0..4) {
            0 => return,
            1 => json!({"id": org}),
            2 => json!({"orgId": org}),
            _ => json!({"id": org, "name": "a-name", "displayName": "A name"}),
        };
    }

    /// The defaults of a service within `allowedScopes`.
    fn fills(&mut self, scopes: &mut Values) {
        self.adds(scopes, "allRoles", json!(false));
        self.adds(scopes, "allPermissions", json!(false));
        self.adds(scopes, "keptInToken", json!(["ROLES"]));
        self.adds(scopes, "permissions", json!([]));
        let roles = scopes.get_mut("roles").and_then(Value::as_array_mut);
        for role in roles.into_iter().flatten().filter_map(Value::as_object_mut) {
            self.adds(role, "resource", Value::Null);
            self.adds(role, "displayName", json!("A role"));
        }
    }

    fn adds(&mut self, fields: &mut Values, name: &str, value: Value) {
        if self.rng.bool() {
            fields.entry(name).or_insert(value);
        }
    }

    /// In any order, and without what is blank.
    fn reshapes(&mut self, value: Value) -> Value {
        match value {
            Value::Array(mut items) => {
                self.rng.shuffle(&mut items);
                items.into_iter().map(|item| self.reshapes(item)).collect()
            }
            Value::Object(fields) => {
                let blank = [json!(null), json!(false), json!(""), json!([]), json!({})];
                let kept = fields.into_iter().filter(|(name, value)| {
                    // Without a list of organizations an app is open to all.
                    name == "allowedOrgs" || !blank.contains(value) || self.rng.bool()
                });
                let kept: Vec<_> = kept.collect();
                Value::Object(kept.into_iter().map(|(name, value)| (name, self.reshapes(value))).collect())
            }
            value => value,
        }
    }
}

/// Somebody changes something, at any depth.
fn change(value: &mut Value, rng: &mut Rng) {
    match value {
        Value::Object(fields) if fields.is_empty() => *value = json!({"generalScopes": ["added"]}),
        Value::Object(fields) => {
            let at = rng.usize(..fields.len());
            let name = fields.keys().nth(at).unwrap().clone();
            change(&mut fields[&name], rng);
        }
        Value::Array(items) => match items.len() {
            0 => items.push(json!("added")),
            length => match (rng.u8(0..3), items.remove(rng.usize(..length))) {
                (0, _) => {}
                (1, removed) => items.extend([removed, json!("added")]),
                (_, mut changed) => {
                    change(&mut changed, rng);
                    items.push(changed);
                }
            },
        },
        Value::String(text) => text.push_str("-changed"),
        Value::Number(_) => *value = json!(99),
        Value::Bool(flag) => *flag = !*flag,
        Value::Null => panic!("a spec has no null"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_that_the_api_only_shows_in_its_own_way_is_drift(spec in spec(), seed: u64) {
        let desired = desired(spec);
        let shown = |orgs_vanish| Service { rng: Rng::with_seed(seed), orgs_vanish }.shows(&desired);
        prop_assert_eq!(differences(&desired, &shown(true)), Vec::<String>::new());
        prop_assert_eq!(changes(&desired, &shown(false)), Vec::<String>::new());
    }

    #[test]
    fn a_change_of_any_field_is_seen_and_nothing_else(spec in spec(), seed: u64) {
        let desired = desired(spec);
        let mut rng = Rng::with_seed(seed);
        for name in desired.keys() {
            let mut sent = desired.clone();
            change(&mut sent[name], &mut rng);
            let shown = Service { rng: rng.fork(), orgs_vanish: false }.shows(&sent);
            prop_assert_eq!(changes(&desired, &shown), std::slice::from_ref(name), "{:?}", shown);
        }
    }
}

#[test]
fn an_organization_that_the_spec_names_for_the_first_time_is_sent_to_the_api() {
    let desired = desired(json!({"orgId": "org-1", "allowedOrgs": ["o1", "o2"]}));
    let shown = |orgs: Value| object(json!({"grantTypes": ["client_credentials"], "allowedOrgs": orgs}));
    let none = Vec::<String>::new();
    for (orgs, sent, drift) in [
        (json!([{"id": "o2"}, {"id": "o1"}]), false, false),
        (json!([{"id": "o1"}]), true, false),
        (json!([]), true, false),
        (json!(["o1", "o2", "o3"]), true, true),
        (json!([{"name": "without id"}]), true, true),
        (Value::Null, true, true),
    ] {
        let expected = |differs| if differs { vec!["allowedOrgs".to_owned()] } else { none.clone() };
        assert_eq!(changes(&desired, &shown(orgs.clone())), expected(sent), "sent {orgs}");
        assert_eq!(differences(&desired, &shown(orgs.clone())), expected(drift), "drift {orgs}");
    }
}

#[test]
fn scopes_granted_beyond_those_of_the_spec_are_drift() {
    let differs = |scopes: Value, shown: Value| {
        let desired = object(json!({ "allowedScopes": scopes }));
        !differences(&desired, &object(json!({ "allowedScopes": shown }))).is_empty()
    };
    let member = || json!({"organizationScopes": {"roles": [{"name": "org_member"}]}});
    assert!(differs(json!({}), member()));
    assert!(differs(
        json!({"generalScopes": ["openid"]}),
        json!({"generalScopes": ["openid"], "organizationScopes": {"allRoles": true}})
    ));
    assert!(differs(json!({}), json!({"servicesScopes": [{"serviceDefinitionId": "s"}]})));
    assert!(differs(
        member(),
        json!({"organizationScopes": {"roles": [{"name": "org_member", "resource": "instance:1"}]}})
    ));
    assert!(!differs(
        json!({}),
        json!({"organizationScopes": {"allRoles": false, "keptInToken": ["ROLES"], "roles": []}})
    ));
    assert!(!differs(
        member(),
        json!({"organizationScopes": {"roles": [{"name": "org_member", "displayName": "Member"}]}})
    ));
}
