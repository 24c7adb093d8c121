//! Whether a report is as its JSON schema in `docs/schemas` says, as far as those schemas go.

use crate::cluster::repository;
use serde_json::Value;

/// Fails with the place in the report that the schema does not have.
pub(super) fn assert_matches(schema: &str, report: &Value) {
    let file = repository().join(format!("docs/schemas/{schema}.json"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    if let Err(problem) = check(&schema, &schema, report) {
        panic!("{problem}: {report:#}");
    }
}

fn check(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if *schema == Value::Bool(true) {
        return Ok(());
    }
    if let Some(reference) = schema["$ref"].as_str() {
        return check(root, root.pointer(reference.trim_start_matches('#')).unwrap(), value);
    }
    if let Some(any) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let matches = any.iter().any(|schema| check(root, schema, value).is_ok());
        return if matches { Ok(()) } else { Err(format!("{value} matches none of {any:?}")) };
    }
    if let Some(constant) = schema.get("const").filter(|constant| *constant != value) {
        return Err(format!("{value} is not {constant}"));
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        return Err(format!("{value} is none of {}", schema["enum"]));
    }
    let types = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
    if !types.iter().any(|name| is_of(name.as_str().unwrap(), value)) {
        return Err(format!("{value} is none of {types:?}"));
    }
    match value {
        Value::Object(fields) => {
            let required = schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
            let missing: Vec<_> = required.filter(|name| !fields.contains_key(*name)).collect();
            if !missing.is_empty() {
                return Err(format!("{missing:?} is missing"));
            }
            fields.iter().try_for_each(|(name, value)| {
                let schema = schema["properties"].get(name).or(schema.get("additionalProperties"));
                check(root, schema.ok_or(format!("no field is {name}"))?, value).map_err(|at| format!("{name}: {at}"))
            })
        }
        Value::Array(items) => items.iter().try_for_each(|item| check(root, &schema["items"], item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the type {other}"),
    }
}
