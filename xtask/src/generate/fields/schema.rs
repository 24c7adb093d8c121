//! The fields of a schema as a flat list, and what a person wants to know of each.
//! A rule that names a field by `fieldPath` is told with that field.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

pub(super) struct Field<'a> {
    /// Where it is, such as `spec.grants[].orgs.ids`.
    pub path: String,
    schema: &'a JSONSchemaProps,
    required: bool,
    rules: Vec<&'a str>,
}

/// The fields beneath an object, each object before its own.
pub(super) fn fields<'a>(path: &str, object: &'a JSONSchemaProps) -> Vec<Field<'a>> {
    let required = object.required.as_deref().unwrap_or_default();
    let mut found = Vec::new();
    for (name, schema) in object.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let mut rules = told(object, Some(&format!(".{name}")));
        rules.extend([Some(schema), items(schema)].into_iter().flatten().flat_map(|schema| told(schema, None)));
        let within = match items(schema) {
            Some(items) => fields(&format!("{path}[]"), items),
            None => fields(&path, schema),
        };
        found.push(Field { path, schema, required: required.contains(name), rules });
        found.extend(within);
    }
    found
}

/// The messages of the rules on an object: those about one of its fields, or those about itself.
fn told<'a>(object: &'a JSONSchemaProps, field: Option<&str>) -> Vec<&'a str> {
    let rules = object.x_kubernetes_validations.iter().flatten();
    rules.filter(|rule| rule.field_path.as_deref() == field).filter_map(|rule| rule.message.as_deref()).collect()
}

fn items(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items),
        Some(JSONSchemaPropsOrArray::Schemas(_)) | None => None,
    }
}

fn values(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(values)) => Some(values),
        Some(JSONSchemaPropsOrBool::Bool(_)) | None => None,
    }
}

impl Field<'_> {
    /// The field of spec that it is part of.
    pub(super) fn top_level(&self) -> String {
        self.path.split(['.', '[']).nth(1).unwrap_or_default().to_owned()
    }

    /// Its type, in words.
    pub(super) fn type_name(&self) -> String {
        let plain = |schema: &JSONSchemaProps| match (schema.type_.as_deref(), schema.format.as_deref()) {
            (Some("string"), Some("date-time")) => "time".to_owned(),
            (Some(name), _) => name.to_owned(),
            (None, _) => "any".to_owned(),
        };
        match (items(self.schema), values(self.schema)) {
            (Some(items), _) => format!("list of {}", plain(items)),
            (None, Some(values)) => format!("map of {}", plain(values)),
            (None, None) => plain(self.schema),
        }
    }

    /// What holds when it is absent. The default of an object is that of its fields.
    pub(super) fn default(&self) -> String {
        let value = self.schema.default.as_ref().filter(|_| self.schema.properties.is_none());
        match (value, self.required) {
            (Some(JSON(Value::String(text))), _) => format!("`{text}`"),
            (Some(JSON(value)), _) => format!("`{value}`"),
            (None, true) => "required".into(),
            (None, false) => String::new(),
        }
    }

    /// How long, how many, how large, or which values there are.
    pub(super) fn limits(&self) -> String {
        let within = items(self.schema).or(values(self.schema)).map(limits).filter(|said| !said.is_empty());
        let own = Some(limits(self.schema)).filter(|said| !said.is_empty());
        own.into_iter().chain(within.map(|said| format!("each {said}"))).collect::<Vec<_>>().join("; ")
    }

    /// Its description, which APIs have it, and the words with which a manifest is refused.
    pub(super) fn description(&self, support: Option<String>) -> String {
        let description = self.schema.description.clone().into_iter().chain(support).collect::<Vec<_>>().join(" ");
        self.rules.iter().fold(description, |text, rule| format!("{text}<br>*{}*", escaped(rule)))
    }
}

fn limits(schema: &JSONSchemaProps) -> String {
    let whole = |number: Option<f64>| number.map(|number| number as i64);
    let range = |least: Option<i64>, most: Option<i64>, unit: &str| {
        let range = match (least, most) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            (Some(least), None) => format!("at least {least}"),
            (None, Some(most)) => format!("at most {most}"),
            (None, None) => return None,
        };
        Some(format!("{range} {unit}").trim_end().to_owned())
    };
    let said = [
        schema.enum_.as_deref().map(choice),
        range(whole(schema.minimum), whole(schema.maximum), ""),
        range(schema.min_length, schema.max_length, "characters"),
        range(schema.min_items, schema.max_items, "items"),
        range(schema.min_properties, schema.max_properties, "entries"),
        (schema.x_kubernetes_list_type.as_deref() == Some("set")).then(|| "none twice".into()),
    ];
    said.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn choice(values: &[JSON]) -> String {
    let words: Vec<String> =
        values.iter().map(|JSON(value)| format!("`{}`", value.as_str().unwrap_or_default())).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A message is plain text; in a table of Markdown some of its characters would be more.
fn escaped(message: &str) -> String {
    let special = |letter: char| "`*_[]<".contains(letter);
    message.chars().flat_map(|letter| special(letter).then_some('\\').into_iter().chain([letter])).collect()
}
