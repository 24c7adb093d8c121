//! Whether the CRDs of the cluster are those of this binary. Their specs are compared by meaning, since the API server fills in
//! defaults. A user who may not read CRDs, such as the operator, compares the fields that the API server publishes for every user.

use super::rows::Rows;
use crate::commands::CommandError;
use crate::crd::shipped;
use kube::Client;
use kube::api::{GetParams, Request};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The most differences that a row names.
const MOST: usize = 3;
const WHAT_TO_DO: &str =
    "upgrade the CRDs: oauth-app-operator crds | kubectl apply --server-side --force-conflicts -f -";
const INSTALL: &str = "install the CRDs: oauth-app-operator crds | kubectl apply --server-side -f -";
/// The order of its items means nothing.
const UNORDERED: [&str; 5] = ["required", "enum", "shortNames", "categories", "selectableFields"];

/// Whether both are there.
pub(super) async fn check(client: &Client, rows: &mut Rows) -> bool {
    rows.group("CRDs");
    let mut all_there = true;
    for (own, name) in shipped::values().iter().zip(shipped::NAMES) {
        rows.begin(name);
        all_there &= match read(client, name).await {
            Ok(found) => compare(name, own, &found, rows),
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                rows.failed(name, "absent", INSTALL);
                false
            }
            Err(kube::Error::Api(status)) if status.is_forbidden() => compare_published(client, name, own, rows).await,
            Err(error) => {
                let error = CommandError::kubernetes(format!("read CustomResourceDefinition {name}"))(error);
                rows.failed(name, error.to_string(), "ask for the right to get customresourcedefinitions");
                false
            }
        };
    }
    all_there
}

async fn read(client: &Client, name: &str) -> kube::Result<Value> {
    let requests = Request::new("/apis/apiextensions.k8s.io/v1/customresourcedefinitions");
    let request = requests.get(name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
    client.request(request).await
}

fn compare(name: &str, own: &Value, found: &Value, rows: &mut Rows) -> bool {
    let conditions = found["status"]["conditions"].as_array().into_iter().flatten();
    let is = |condition: &Value, kinds: &[&str]| kinds.iter().any(|kind| condition["type"] == **kind);
    let unmet = conditions.clone().find(|one| is(one, &["Established", "NamesAccepted"]) && one["status"] != "True");
    if let Some(unmet) = unmet {
        let text = |field: &str| unmet[field].as_str().unwrap_or_default().to_owned();
        rows.failed(
            name,
            format!("not {}: {}", text("type"), text("message")),
            "resolve what the message says, and apply the CRD again",
        );
        return false;
    }
    if !conditions.into_iter().any(|one| is(one, &["Established"])) {
        rows.failed(name, "not established yet", "wait: kubectl wait --for=condition=Established crd --all");
        return false;
    }
    if !found["metadata"]["deletionTimestamp"].is_null() {
        rows.warning(name, "being deleted", "wait until it is gone and install again");
        return true;
    }
    conclude(rows, name, &differences(&own["spec"], &found["spec"]), "that of this binary");
    true
}

fn conclude(rows: &mut Rows, name: &str, differences: &[String], same: &str) {
    if differences.is_empty() {
        return rows.ok(name, format!("established, and {same}"));
    }
    let more = differences.len().saturating_sub(MOST);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let named = differences[..differences.len().min(MOST)].join("; ");
    rows.failed(name, format!("not that of this binary: {named}{more}"), WHAT_TO_DO);
}

/// Where the spec of the cluster differs, as sentences; empty when both mean the same.
pub(super) fn differences(own: &Value, found: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    for version in versions(own) {
        let name = name_of(version);
        match versions(found).find(|other| name_of(other) == name) {
            Some(other) => compare_values(name, version, other, &mut differences),
            None => differences.push(format!("version {name} is absent")),
        }
    }
    let is_own = |name: &str| versions(own).any(|version| name_of(version) == name);
    let foreign = versions(found).map(name_of).filter(|name| !is_own(name));
    differences.extend(foreign.map(|name| format!("version {name} is not known to this binary")));
    let rest = |spec: &Value| {
        let mut rest = spec.clone();
        if let Some(rest) = rest.as_object_mut() {
            // Compared above, and a default that the API server adds.
            rest.remove("versions");
            rest.retain(|name, value| name != "conversion" || value["strategy"] != "None");
        }
        with_default_names(rest)
    };
    compare_values("spec", &rest(own), &rest(found), &mut differences);
    differences
}

fn versions(spec: &Value) -> impl Iterator<Item = &Value> {
    spec["versions"].as_array().into_iter().flatten()
}

fn name_of(version: &Value) -> &str {
    version["name"].as_str().unwrap_or_default()
}

/// The API server derives these names from the kind.
fn with_default_names(mut spec: Value) -> Value {
    let kind = spec["names"]["kind"].as_str().unwrap_or_default().to_owned();
    if let Some(names) = spec["names"].as_object_mut() {
        names.entry("listKind").or_insert_with(|| format!("{kind}List").into());
        names.entry("singular").or_insert_with(|| kind.to_lowercase().into());
    }
    spec
}

/// An absent value is the same as an empty one.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// `path` is where both are: fields as they are written in a manifest, and keywords of the schema in parentheses.
fn compare_values(path: &str, own: &Value, found: &Value, differences: &mut Vec<String>) {
    match (own, found) {
        (Value::Object(own), Value::Object(found)) => compare_objects(path, own, found, differences),
        (own, found) if is_blank(own) && is_blank(found) => {}
        (Value::Number(own), Value::Number(found)) if own.as_f64() == found.as_f64() => {}
        (own, found) if own == found || same_items(path, own, found) => {}
        (own, found) if is_blank(found) => differences.push(format!("{path} is absent, and is {} here", short(own))),
        (own, found) if is_blank(own) => differences.push(format!("{path} is {}, and absent here", short(found))),
        (own, found) => differences.push(format!("{path} is {}, and {} here", short(found), short(own))),
    }
}

fn compare_objects(path: &str, own: &Map<String, Value>, found: &Map<String, Value>, differences: &mut Vec<String>) {
    let names: BTreeSet<&String> = own.keys().chain(found.keys()).collect();
    for name in names {
        let (one, other) = (own.get(name).unwrap_or(&Value::Null), found.get(name).unwrap_or(&Value::Null));
        match (name.as_str(), one.as_object(), other.as_object()) {
            ("schema" | "openAPIV3Schema" | "items", Some(_), Some(_)) => compare_values(path, one, other, differences),
            ("properties", one, other) => compare_properties(path, one, other, differences),
            (keyword, ..) => compare_values(&format!("{path} ({keyword})"), one, other, differences),
        }
    }
}

fn compare_properties(
    path: &str,
    own: Option<&Map<String, Value>>,
    found: Option<&Map<String, Value>>,
    differences: &mut Vec<String>,
) {
    let empty = Map::new();
    let (own, found) = (own.unwrap_or(&empty), found.unwrap_or(&empty));
    let names: BTreeSet<&String> = own.keys().chain(found.keys()).collect();
    for name in names {
        let field = field(path, name);
        match (own.get(name), found.get(name)) {
            (Some(own), Some(found)) => compare_values(&field, own, found, differences),
            (Some(_), None) => differences.push(format!("field {field} is absent")),
            (None, _) => differences.push(format!("field {field} is not known to this binary")),
        }
    }
}

/// Below a version `v1alpha1 spec`, and below that `v1alpha1 spec.secret`.
fn field(path: &str, name: &str) -> String {
    if path.contains(' ') { format!("{path}.{name}") } else { format!("{path} {name}") }
}

fn same_items(path: &str, own: &Value, found: &Value) -> bool {
    let (Value::Array(own), Value::Array(found)) = (own, found) else { return false };
    let is_unordered = UNORDERED.iter().any(|name| path.ends_with(&format!("({name})")));
    if is_unordered {
        return own.len() == found.len() && own.iter().all(|item| found.contains(item));
    }
    let same = |(own, found): (&Value, &Value)| {
        let mut differences = Vec::new();
        compare_values("", own, found, &mut differences);
        differences.is_empty()
    };
    own.len() == found.len() && own.iter().zip(found).all(same)
}

fn short(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => "other".into(),
        value => value.to_string(),
    }
}

/// Compares the names of the fields.
async fn compare_published(client: &Client, name: &str, own: &Value, rows: &mut Rows) -> bool {
    let spec = &own["spec"];
    let Some(version) = versions(spec).next() else { return false };
    let (group, kind) = (spec["group"].as_str().unwrap_or_default(), &spec["names"]["kind"]);
    let schemas = match published(client, group, name_of(version)).await {
        Ok(Some(schemas)) => schemas,
        Ok(None) => {
            rows.failed(name, "absent", INSTALL);
            return false;
        }
        Err(error) => {
            rows.failed(name, error.to_string(), "ask for the right to get customresourcedefinitions");
            return false;
        }
    };
    let of_kind = |schema: &&Value| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|one| one["kind"] == *kind))
    };
    let Some(found) = schemas.as_object().and_then(|schemas| schemas.values().find(of_kind)) else {
        rows.failed(name, "absent", INSTALL);
        return false;
    };
    let (own, found) = (fields(&version["schema"]["openAPIV3Schema"]), fields(found));
    let absent = own.difference(&found).map(|field| format!("field {} {field} is absent", name_of(version)));
    let unknown =
        found.difference(&own).map(|field| format!("field {} {field} is not known to this binary", name_of(version)));
    let differences: Vec<String> = absent.chain(unknown).collect();
    conclude(rows, name, &differences, "with the fields of this binary; the CRD itself may not be read");
    true
}

/// The schemas that the API server publishes for a group, if it has the group.
async fn published(client: &Client, group: &str, version: &str) -> Result<Option<Value>, CommandError> {
    let request = hyper::Request::get(format!("/openapi/v3/apis/{group}/{version}")).body(Vec::new());
    let request = request.map_err(CommandError::message)?;
    match client.request::<Value>(request).await {
        Ok(mut document) => Ok(Some(document["components"]["schemas"].take())),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        Err(error) => Err(CommandError::kubernetes("read the schemas of the API server")(error)),
    }
}

/// The paths of all fields of spec and status; the API server adds metadata to what it publishes.
fn fields(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in ["spec", "status"] {
        collect(part, &schema["properties"][part], &mut found);
    }
    found
}

fn collect(path: &str, schema: &Value, found: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        collect(&path, property, found);
        found.insert(path);
    }
    for nested in ["items", "additionalProperties"] {
        if schema[nested].is_object() {
            collect(path, &schema[nested], found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn changed(pointer: &str, change: impl FnOnce(&mut Value)) -> Vec<String> {
        let [_, own] = shipped::values();
        let mut found = own["spec"].clone();
        change(found.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")));
        differences(&own["spec"], &found)
    }

    #[test]
    fn what_the_api_server_fills_in_is_no_difference() {
        let filled = |spec: &mut Value| {
            spec["conversion"] = json!({"strategy": "None"});
            spec["names"]["listKind"] = "OrgOAuthAppList".into();
        };
        assert_eq!(changed("", filled), Vec::<String>::new());
    }

    #[test]
    fn a_difference_is_named_by_version_field_and_keyword() {
        let spec = "/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        let without = |fields: &mut Value| drop(fields.as_object_mut().unwrap().remove("labels").unwrap());
        let secret = format!("{spec}/secret/properties");
        assert_eq!(changed(&secret, without), ["field v1alpha1 spec.secret.labels is absent"]);
        let with = |fields: &mut Value| fields["news"] = json!({"type": "string"});
        assert_eq!(changed(&secret, with), ["field v1alpha1 spec.secret.news is not known to this binary"]);
        let shorter = |schema: &mut Value| schema["maxLength"] = 1.into();
        let [difference] = &changed(&format!("{spec}/orgId"), shorter)[..] else { panic!() };
        assert!(difference.starts_with("v1alpha1 spec.orgId (maxLength) is 1, and "), "{difference}");
        let renamed = |name: &mut Value| *name = "v1".into();
        let both = ["version v1alpha1 is absent", "version v1 is not known to this binary"];
        assert_eq!(changed("/versions/0/name", renamed), both);
        let scope = changed("/scope", |scope| *scope = "Cluster".into());
        assert_eq!(scope, [r#"spec (scope) is "Cluster", and "Namespaced" here"#]);
    }
}
