//! `docs/fields.md`: every field of both kinds, as the CustomResourceDefinitions describe them.
//! Only the grouping is said here; a field that no group names stands in the last one.

mod schema;

use std::collections::BTreeMap;

use super::table::Table;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps};
use oauth_app_operator::crd;
use schema::Field;

const INTRODUCTION: &str = "\
# Fields

Written by `cargo xtask generate` from `src/crd`. `kubectl explain ooa.spec` and `kubectl explain iamc.spec` say the same.

A field that is marked as required is so within the object that holds it. `[]` stands for each item of a list. A sentence in
italics is what `kubectl apply` answers to a manifest that breaks the rule.
";

/// Fields of a spec that belong together, in the order in which a person meets them; the title follows the name of the kind.
struct Group {
    title: &'static str,
    fields: &'static [&'static str],
}

const fn group(title: &'static str, fields: &'static [&'static str]) -> Group {
    Group { title, fields }
}

const APP: [Group; 5] = [
    group("where it belongs", &["connectionRef", "orgId", "context"]),
    group(
        "the app at the API",
        &[
            "id",
            "displayName",
            "description",
            "grantTypes",
            "allowedScopes",
            "accessTokenTTL",
            "refreshTokenTTL",
            "redirectUris",
            "postLogoutRedirectUris",
            "allowOpenRedirectUris",
            "publicClient",
            "forcePkce",
            "allowedOrgs",
            "maxCharactersInAccessToken",
            "maxGroupsInIdToken",
            "ownerOnlySecretRotation",
            "secretRotationExpirationInSeconds",
            "serviceDefinitionId",
            "additionalAttributeMasks",
            "allowedActorsAudienceExchange",
            "allowedActorsClientDelegate",
            "crossOrgAccessClaimsSupported",
            "isHidden",
            "groupDomainAppendedInIDToken",
            "useCspIssuerUrl",
        ],
    ),
    group("its roles in the organization", &["roles"]),
    group("its client secret, and the Secret that holds it", &["secret", "rotation", "clientSecretRef"]),
    group("what the operator may do", &["adoptionPolicy", "managementPolicy", "deletionPolicy", "suspend"]),
];

const CONNECTION: [Group; 4] = [
    group("the API", &["api", "endpoint", "formerEndpoints", "caBundle", "context"]),
    group("credentials for it", &["credentials"]),
    group("who may use it", &["grants"]),
    group("how it is driven", &["limits", "resyncInterval", "credentialCheckInterval"]),
];

/// The document.
pub fn document() -> Result<String, String> {
    let [connection, app] = crd::definitions();
    Ok([INTRODUCTION.to_owned(), kind(&app, &APP)?, kind(&connection, &CONNECTION)?].join("\n"))
}

fn kind(definition: &CustomResourceDefinition, groups: &[Group]) -> Result<String, String> {
    let name = &definition.spec.names.kind;
    let version = definition.spec.versions.first().ok_or("no version")?;
    let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()).ok_or("no schema")?;
    let part = |part: &str| schema.properties.iter().flatten().find(|(key, _)| *key == part).map(|(_, part)| part);
    let (spec, status) = part("spec").zip(part("status")).ok_or("no spec and status")?;
    let description = schema.description.as_deref().unwrap_or_default();
    let mut text = format!("## {name}\n\n{description}\n");
    for rule in schema.x_kubernetes_validations.iter().flatten().filter_map(|rule| rule.message.as_deref()) {
        text.push_str(&format!("\n*{rule}*\n"));
    }
    for (title, fields) in grouped(spec, groups) {
        text.push_str(&format!("\n### {name}: {}\n\n{}", title, table(&fields)));
    }
    text.push_str(&format!("\n### {name}: status\n\n{}", table(&schema::fields("status", status))));
    Ok(text)
}

fn grouped<'a>(spec: &'a JSONSchemaProps, groups: &[Group]) -> Vec<(&'static str, Vec<Field<'a>>)> {
    let mut by_name: BTreeMap<String, Vec<Field>> = BTreeMap::new();
    for field in schema::fields("spec", spec) {
        by_name.entry(field.top_level()).or_default().push(field);
    }
    let mut sections: Vec<_> = groups
        .iter()
        .map(|group| (group.title, group.fields.iter().filter_map(|name| by_name.remove(*name)).flatten().collect()))
        .collect();
    let others: Vec<Field> = by_name.into_values().flatten().collect();
    sections.extend((!others.is_empty()).then_some(("further fields", others)));
    sections
}

fn table(fields: &[Field]) -> String {
    let mut table = Table::new(["Field", "Type", "Default", "Limits", "Description"]);
    for field in fields {
        let name = format!("`{}`", field.path);
        table.row([&name, &field.type_name(), &field.default(), &field.limits(), &field.description()]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// How many properties a schema has, at any depth, without those that Kubernetes gives every object.
    fn count(schema: &Value) -> usize {
        match schema {
            Value::Object(fields) => {
                let own = fields.get("properties").and_then(Value::as_object).map_or(0, |properties| properties.len());
                own + fields.values().map(count).sum::<usize>()
            }
            Value::Array(items) => items.iter().map(count).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    #[test]
    fn every_field_of_the_definitions_has_a_row() {
        let fields: usize = crd::definitions().iter().map(|crd| count(&serde_json::to_value(crd).unwrap())).sum();
        let spec_and_status = 4;
        let rows = document().unwrap().lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, fields - spec_and_status);
    }

    #[test]
    fn no_field_is_left_without_a_group() {
        assert!(
            !document().unwrap().contains("further fields"),
            "name the field in a group of xtask/src/generate/fields.rs"
        );
    }

    #[test]
    fn a_row_says_type_default_limits_and_the_words_of_a_refusal() {
        let text = document().unwrap();
        let row = |path: &str| text.lines().find(|line| line.starts_with(&format!("| `{path}`"))).unwrap().to_owned();
        assert!(row("spec.orgId").contains("| string | required | 1 to 256 characters |"));
        assert!(row("spec.orgId").contains("*orgId is immutable: delete the resource and create it again*"));
        assert!(
            row("spec.id").contains("*id is immutable: delete the resource and create it again*"),
            "rule of the spec"
        );
        assert!(
            row("spec.deletionPolicy").contains("| string | `Delete` | `Delete`, `Retain` or `DeleteWhenUnused` |")
        );
        assert!(row("spec.limits.maxInFlight").contains("| integer | `8` | 1 to 256 |"));
        assert!(
            row("spec.redirectUris")
                .contains("| list of string |  | at most 256 items, none twice; each 1 to 2048 characters |")
        );
    }
}
