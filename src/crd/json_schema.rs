//! The kinds as JSON schemas, for editors and kubeconform: the schema of the CRD without what only Kubernetes knows.
//! CEL rules are not part of it; the API server checks them.

use serde_json::{Map, Value, json};

const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// One schema that any of the kinds satisfies.
pub fn of_all(definitions: &[Value]) -> String {
    let kinds: Vec<Value> = kinds(definitions).map(|(definition, version)| schema(definition, version)).collect();
    pretty(&json!({"$schema": DRAFT, "oneOf": kinds}))
}

/// By the name of the file, which is the one that kubeconform looks for.
pub fn files(definitions: &[Value]) -> Vec<(String, String)> {
    let file = |(definition, version): (&Value, &Value)| {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap_or_default().to_lowercase();
        let mut schema = schema(definition, version);
        schema["$schema"] = DRAFT.into();
        (format!("{kind}_{}.json", version["name"].as_str().unwrap_or_default()), pretty(&schema))
    };
    kinds(definitions).map(file).collect()
}

fn kinds(definitions: &[Value]) -> impl Iterator<Item = (&Value, &Value)> {
    let of_definition = |definition| versions(definition).map(move |version| (definition, version));
    definitions.iter().flat_map(of_definition)
}

fn versions(definition: &Value) -> impl Iterator<Item = &Value> {
    definition["spec"]["versions"].as_array().into_iter().flatten()
}

fn schema(definition: &Value, version: &Value) -> Value {
    let mut schema = version["schema"]["openAPIV3Schema"].clone();
    translate(&mut schema);
    let group = definition["spec"]["group"].as_str().unwrap_or_default();
    let api_version = format!("{group}/{}", version["name"].as_str().unwrap_or_default());
    schema["properties"]["apiVersion"] = json!({"const": api_version});
    schema["properties"]["kind"] = json!({"const": definition["spec"]["names"]["kind"]});
    schema["properties"]["metadata"] = json!({"type": "object"});
    schema["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
    schema
}

/// From the schema of a CRD to JSON schema. A field that the kind does not have is an error, as it is for `kubectl apply`.
fn translate(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    let keeps_unknown = fields.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    fields.retain(|name, _| !name.starts_with("x-kubernetes-"));
    if fields.remove("nullable") == Some(Value::Bool(true)) {
        allow_null(fields);
    }
    if fields.contains_key("properties") && !keeps_unknown {
        fields.insert("additionalProperties".into(), Value::Bool(false));
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(translate);
    }
    for nested in ["items", "additionalProperties"] {
        fields.get_mut(nested).into_iter().for_each(translate);
    }
}

fn allow_null(fields: &mut Map<String, Value>) {
    if let Some(kind) = fields.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    if let Some(Value::Array(values)) = fields.get_mut("enum") {
        values.push(Value::Null);
    }
}

fn pretty(schema: &Value) -> String {
    format!("{schema:#}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::shipped;

    fn of(kind: &str) -> Value {
        let files = files(&shipped::values());
        let (_, schema) = files.iter().find(|(name, _)| name == &format!("{kind}_v1alpha1.json")).unwrap();
        serde_json::from_str(schema).unwrap()
    }

    #[test]
    fn a_kind_has_its_required_fields_and_no_others() {
        let schema = of("orgoauthapp");
        assert_eq!(schema["required"], json!(["apiVersion", "kind", "metadata", "spec"]));
        assert_eq!(schema["properties"]["kind"], json!({"const": "OrgOAuthApp"}));
        let spec = &schema["properties"]["spec"];
        assert_eq!((&spec["required"], &spec["additionalProperties"]), (&json!(["orgId"]), &json!(false)));
        assert_eq!(spec["properties"]["displayName"]["type"], json!(["string", "null"]));
    }

    #[test]
    fn nothing_of_kubernetes_is_left_and_every_kind_has_a_schema() {
        for (name, schema) in files(&shipped::values()) {
            assert!(!schema.contains("x-kubernetes-") && !schema.contains("\"nullable\""), "{name}");
        }
        let all: Value = serde_json::from_str(&of_all(&shipped::values())).unwrap();
        assert_eq!(all["oneOf"].as_array().unwrap().len(), shipped::values().len());
    }
}
