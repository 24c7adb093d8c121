//! What the API server would reject of the fields of an app, as far as an app that was made elsewhere can have it. The limits are read
//! from the CRD; its CEL rules, which only the API server evaluates, are repeated here for values that a spec takes over.

use super::{GrantType, OrgOAuthApp, OrgOAuthAppSpec, OrganizationScopes, ServiceScopes};
use crate::text::general_category;
use icu_properties::props::GeneralCategory;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSONSchemaProps, JSONSchemaPropsOrArray};
use kube::CustomResourceExt;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What an entry of a list counts beside its texts.
const ENTRY: i64 = 8;
const SERVICE_ORGANIZATIONS_DELEGATE: i32 = 1_209_600;

static SPEC: LazyLock<BTreeMap<String, JSONSchemaProps>> = LazyLock::new(|| {
    let versions = OrgOAuthApp::crd().spec.versions.into_iter().next();
    let schema = versions.and_then(|version| version.schema?.open_api_v3_schema);
    let spec = schema.and_then(|schema| schema.properties?.remove("spec"));
    spec.and_then(|spec| spec.properties).unwrap_or_default()
});

/// Why a value cannot be that of a field of spec, by the limits in the schema of the field.
pub(crate) fn beyond_limits(field: &str, value: &Value) -> Option<String> {
    let schema = SPEC.get(field)?;
    beyond(field, schema, value).or_else(|| too_much_text(schema, value))
}

fn beyond(path: &str, schema: &JSONSchemaProps, value: &Value) -> Option<String> {
    let outside = |count: usize, least: Option<i64>, most: Option<i64>| {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        least.is_some_and(|least| count < least) || most.is_some_and(|most| count > most)
    };
    let is_beyond = match value {
        Value::String(text) => outside(text.chars().count(), schema.min_length, schema.max_length),
        Value::Array(items) => outside(items.len(), schema.min_items, schema.max_items),
        Value::Number(number) => number.as_f64().is_some_and(|number| {
            schema.minimum.is_some_and(|least| number < least) || schema.maximum.is_some_and(|most| number > most)
        }),
        Value::Null | Value::Bool(_) | Value::Object(_) => false,
    };
    if is_beyond {
        return Some(format!("{path} is shorter or longer than OrgOAuthApp allows"));
    }
    match (value, &schema.items, &schema.properties) {
        (Value::Array(items), Some(JSONSchemaPropsOrArray::Schema(schema)), _) => {
            items.iter().find_map(|item| beyond(&format!("{path}[]"), schema, item))
        }
        (Value::Object(fields), _, Some(properties)) => {
            fields.iter().find_map(|(name, value)| beyond(&format!("{path}.{name}"), properties.get(name)?, value))
        }
        (_, _, _) => None,
    }
}

/// The rules that bound the sum of the texts of a field.
fn too_much_text(schema: &JSONSchemaProps, value: &Value) -> Option<String> {
    let rules = schema.x_kubernetes_validations.iter().flatten();
    let limits = rules.filter_map(|rule| {
        let message = rule.message.as_ref().filter(|message| message.contains("bytes of text together"))?;
        Some((message, rule.rule.rsplit_once(" <= ")?.1.parse::<i64>().ok()?))
    });
    limits.filter(|(_, limit)| size(value) > *limit).map(|(message, _)| message.clone()).next()
}

fn size(value: &Value) -> i64 {
    match value {
        Value::String(text) => i64::try_from(text.len()).unwrap_or(i64::MAX),
        Value::Array(items) => items.iter().map(|item| ENTRY + size(item)).sum(),
        Value::Object(fields) => fields.iter().filter(|(name, _)| *name != "keptInToken").map(|(_, v)| size(v)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// A CEL rule: the field that it rejects, its message, and whether a spec breaks it.
struct Rule {
    field: &'static str,
    message: &'static str,
    is_broken: fn(&OrgOAuthAppSpec) -> bool,
}

const RULES: [Rule; 11] = [
    Rule {
        field: "id",
        message: "id consists of letters, digits, _ and -",
        is_broken: |spec| spec.id.as_ref().is_some_and(|id| !id.bytes().all(is_of_id)),
    },
    Rule {
        field: "displayName",
        message: "displayName consists of letters, digits, spaces and any of - _ . ` ' : @ & ,",
        is_broken: |spec| spec.display_name.as_ref().is_some_and(|name| !is_display_name(name)),
    },
    Rule {
        field: "grantTypes",
        message: "a public client cannot use client_credentials: remove it from grantTypes, or remove publicClient",
        is_broken: |spec| spec.public_client == Some(true) && has(spec, GrantType::ClientCredentials),
    },
    Rule {
        field: "redirectUris",
        message: "allowOpenRedirectUris excludes redirectUris: remove one of the two",
        is_broken: |spec| spec.allow_open_redirect_uris == Some(true) && spec.redirect_uris.is_some(),
    },
    Rule {
        field: "redirectUris",
        message: "redirectUris need the grant type authorization_code: add it to grantTypes or remove redirectUris",
        is_broken: |spec| spec.redirect_uris.is_some() && !has(spec, GrantType::AuthorizationCode),
    },
    Rule {
        field: "postLogoutRedirectUris",
        message: "postLogoutRedirectUris need the grant type authorization_code: add it to grantTypes or remove postLogoutRedirectUris",
        is_broken: |spec| spec.post_logout_redirect_uris.is_some() && !has(spec, GrantType::AuthorizationCode),
    },
    Rule {
        field: "refreshTokenTTL",
        message: "refreshTokenTTL must be greater than accessTokenTTL",
        is_broken: |spec| {
            spec.access_token_ttl.zip(spec.refresh_token_ttl).is_some_and(|(access, refresh)| access >= refresh)
        },
    },
    Rule {
        field: "refreshTokenTTL",
        message: "with the grant type client_delegate refreshTokenTTL is at most 1209600, which is 14 days",
        is_broken: |spec| {
            let is_long = spec.refresh_token_ttl.is_some_and(|seconds| seconds > SERVICE_ORGANIZATIONS_DELEGATE);
            is_long && has(spec, GrantType::ClientDelegate)
        },
    },
    Rule {
        field: "allowedScopes",
        message: "allRoles excludes roles: remove one of the two",
        is_broken: |spec| scopes_of(spec).any(|scopes| scopes.all_roles && scopes.roles > 0),
    },
    Rule {
        field: "allowedScopes",
        message: "allPermissions excludes permissions: remove one of the two",
        is_broken: |spec| scopes_of(spec).any(|scopes| scopes.all_permissions && scopes.permissions > 0),
    },
    Rule {
        field: "allowedScopes",
        message: "serviceDefinitionId is given without an external prefix: remove it",
        is_broken: |spec| services_of(spec).any(|service| service.service_definition_id.starts_with("external")),
    },
];

/// The first rule that a spec breaks: the field that it rejects, and its message.
pub(crate) fn broken_rule(spec: &OrgOAuthAppSpec) -> Option<(&'static str, &'static str)> {
    RULES.iter().find(|rule| (rule.is_broken)(spec)).map(|rule| (rule.field, rule.message))
}

fn is_of_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn is_display_name(name: &str) -> bool {
    name.chars().all(is_of_display_name) && !name.trim().is_empty()
}

fn is_of_display_name(character: char) -> bool {
    use GeneralCategory::{
        DecimalNumber, EnclosingMark, LetterNumber, LowercaseLetter, ModifierLetter, NonspacingMark, OtherLetter,
        OtherNumber, SpacingMark, TitlecaseLetter, UppercaseLetter,
    };
    let category = general_category(character);
    let is_letter =
        [UppercaseLetter, LowercaseLetter, TitlecaseLetter, ModifierLetter, OtherLetter].contains(&category);
    let is_mark = [NonspacingMark, SpacingMark, EnclosingMark].contains(&category);
    let is_number = [DecimalNumber, LetterNumber, OtherNumber].contains(&category);
    is_letter || is_mark || is_number || " -_.`':@&,".contains(character)
}

fn has(spec: &OrgOAuthAppSpec, grant_type: GrantType) -> bool {
    spec.grant_types().contains(&grant_type)
}

/// What the rules compare of the scopes within the organization or a service.
struct Scopes {
    all_roles: bool,
    roles: usize,
    all_permissions: bool,
    permissions: usize,
}

fn services_of(spec: &OrgOAuthAppSpec) -> impl Iterator<Item = &ServiceScopes> {
    spec.allowed_scopes.iter().flat_map(|scopes| scopes.services_scopes.iter().flatten())
}

fn scopes_of(spec: &OrgOAuthAppSpec) -> impl Iterator<Item = Scopes> {
    let count = |number: Option<usize>| number.unwrap_or_default();
    let organization = spec.allowed_scopes.iter().filter_map(|scopes| scopes.organization_scopes.as_ref());
    let organization = organization.map(move |of: &OrganizationScopes| Scopes {
        all_roles: of.all_roles == Some(true),
        roles: count(of.roles.as_ref().map(Vec::len)),
        all_permissions: of.all_permissions == Some(true),
        permissions: count(of.permissions.as_ref().map(Vec::len)),
    });
    let services = services_of(spec).map(move |of| Scopes {
        all_roles: of.all_roles == Some(true),
        roles: count(of.roles.as_ref().map(Vec::len)),
        all_permissions: of.all_permissions == Some(true),
        permissions: count(of.permissions.as_ref().map(Vec::len)),
    });
    organization.chain(services)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The messages of all rules about the fields of an app, at the fields and at spec.
    fn messages() -> Vec<String> {
        fn collect(schema: &JSONSchemaProps, messages: &mut Vec<String>) {
            let own = schema.x_kubernetes_validations.iter().flatten().filter_map(|rule| rule.message.clone());
            messages.extend(own);
            schema.properties.iter().flatten().for_each(|(_, schema)| collect(schema, messages));
            if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
                collect(items, messages);
            }
        }
        let mut messages = Vec::new();
        let crd = OrgOAuthApp::crd();
        let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        let mut spec = schema.properties.as_ref().unwrap()["spec"].clone();
        for own in ["secret", "rotation", "roles", "connectionRef", "orgId", "clientSecretRef"] {
            spec.properties.as_mut().unwrap().remove(own);
        }
        collect(&spec, &mut messages);
        messages.sort();
        messages.dedup();
        messages
    }

    /// Rules about what a spec has of its own, or about a change of it.
    const OF_SPEC_ALONE: [&str; 10] = [
        "is immutable",
        "adoptionPolicy needs",
        "ids that begin with ooa-",
        "clientSecretRef",
        "rotation",
        "a public client needs grantTypes",
        "cannot become unrestricted",
        "set adoptionPolicy to Adopt",
        "overlap",
        "bytes of text together",
    ];

    #[test]
    fn every_rule_of_the_crd_that_an_app_can_break_is_here_with_its_message() {
        for message in messages() {
            let is_here = RULES.iter().any(|rule| rule.message == message);
            let is_own = OF_SPEC_ALONE.iter().any(|part| message.contains(part));
            assert!(is_here || is_own, "{message}");
        }
        for rule in &RULES {
            assert!(messages().contains(&rule.message.to_owned()), "{}", rule.message);
        }
    }

    #[test]
    fn each_rule_can_be_broken() {
        let broken = |more: Value| {
            let mut spec = json!({"orgId": "o", "id": "billing", "grantTypes": ["client_credentials"]});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            broken_rule(&serde_json::from_value(spec).unwrap()).map(|(field, _)| field)
        };
        assert_eq!(broken(json!({"displayName": "Büro 7 – é"})), Some("displayName"), "an en dash");
        assert_eq!(broken(json!({"displayName": "Bu\u{308}ro Ⅷ ’"})), Some("displayName"), "an apostrophe");
        assert_eq!(broken(json!({"displayName": "Bu\u{308}ro Ⅷ '漢字'"})), None);
        for (spec, field) in [
            (json!({"id": "a.b@c"}), "id"),
            (json!({"displayName": " "}), "displayName"),
            (json!({"publicClient": true}), "grantTypes"),
            (json!({"redirectUris": ["https://a"]}), "redirectUris"),
            (json!({"postLogoutRedirectUris": ["https://a"]}), "postLogoutRedirectUris"),
            (json!({"accessTokenTTL": 60, "refreshTokenTTL": 60}), "refreshTokenTTL"),
            (json!({"grantTypes": ["client_delegate"], "refreshTokenTTL": 1_209_601}), "refreshTokenTTL"),
            (
                json!({"allowedScopes": {"organizationScopes": {"allRoles": true, "roles": [{"name": "a"}]}}}),
                "allowedScopes",
            ),
            (json!({"allowedScopes": {"servicesScopes": [{"serviceDefinitionId": "external-1"}]}}), "allowedScopes"),
        ] {
            assert_eq!(broken(spec.clone()), Some(field), "{spec}");
        }
    }

    #[test]
    fn limits_are_those_of_the_schema() {
        let beyond = |field, value: Value| beyond_limits(field, &value).is_some();
        assert!(beyond("id", json!("four")) && !beyond("id", json!("fives")));
        assert!(beyond("redirectUris", json!(vec!["x"; 257])) && !beyond("redirectUris", json!(vec!["x"; 256])));
        assert!(beyond("redirectUris", json!([""])));
        assert!(beyond("redirectUris", json!(vec!["x".repeat(2000); 5])), "together");
        assert!(beyond("accessTokenTTL", json!(0)) && !beyond("accessTokenTTL", json!(1)));
        assert!(beyond("allowedScopes", json!({"organizationScopes": {"roles": [{"name": ""}]}})));
        assert!(beyond("allowedScopes", json!({"generalScopes": vec!["x".repeat(200); 100]})), "together");
    }
}
