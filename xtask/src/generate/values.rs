//! The table of the chart values in `docs/install.md`, from `values.yaml`: a value is a key with a comment above it.
//! Everything below such a key belongs to its default.

use std::fs;

use serde_json::Value;

use super::table::{Table, with_section};
use crate::repository;

/// A value of the chart.
#[derive(Debug, PartialEq)]
struct Entry {
    /// Where it is, such as `image.tag`.
    path: String,
    default: Value,
    meaning: String,
}

/// The text with the current table between its markers.
pub(super) fn document(text: &str) -> Result<String, String> {
    let mut table = Table::new(["Value", "Default", "Description"]);
    for Entry { path, default, meaning } in parse(&chart("values.yaml")?)? {
        table.row([&format!("`{path}`"), &format!("`{default}`"), &meaning]);
    }
    with_section(text, "values", &table.to_string())
}

fn chart(file: &str) -> Result<String, String> {
    fs::read_to_string(repository().join("deploy/chart").join(file)).map_err(|error| format!("{file}: {error}"))
}

fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let values: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let (mut entries, mut keys, mut comment) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.lines() {
        let content = line.trim_start();
        if let Some(words) = content.strip_prefix("# ") {
            comment.push(words);
            continue;
        }
        let meaning = std::mem::take(&mut comment).join(" ");
        let Some((key, _)) = content.split_once(':').filter(|(key, _)| !key.starts_with('-')) else { continue };
        // Keys are indented by two spaces a level.
        keys.truncate((line.len() - content.len()) / 2);
        keys.push(key);
        if !meaning.is_empty() {
            let path = keys.join(".");
            let default = values.pointer(&format!("/{}", keys.join("/"))).cloned();
            let default = default.ok_or_else(|| format!("values.yaml: no value {path}"))?;
            entries.push(Entry { path, default, meaning });
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths of all values that are no mappings with keys.
    fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
        match value.as_object().filter(|fields| !fields.is_empty()) {
            None => found.push(path.to_owned()),
            Some(fields) => fields.iter().for_each(|(key, value)| leaves(value, &format!("{path}.{key}"), found)),
        }
    }

    #[test]
    fn every_value_is_documented() {
        let text = chart("values.yaml").unwrap();
        let entries = parse(&text).unwrap();
        let mut found = Vec::new();
        leaves(&serde_saphyr::from_str(&text).unwrap(), "", &mut found);
        let documented =
            |leaf: &str| entries.iter().any(|entry| format!("{leaf}.").contains(&format!(".{}.", entry.path)));
        let bare: Vec<_> = found.iter().filter(|leaf| !documented(leaf)).collect();
        assert!(bare.is_empty(), "no comment above {bare:?}");
    }

    #[test]
    fn the_schema_knows_every_value_and_no_other() {
        let schema: Value = serde_json::from_str(&chart("values.schema.json").unwrap()).unwrap();
        let mut values: Value = serde_saphyr::from_str(&chart("values.yaml").unwrap()).unwrap();
        // Helm itself adds it where the chart is part of another.
        values["global"] = Value::Object(Default::default());
        assert_same_keys(&schema, &schema, &values, "");
    }

    fn assert_same_keys(root: &Value, schema: &Value, values: &Value, path: &str) {
        let target = schema["$ref"].as_str().map(|target| target.trim_start_matches('#'));
        let schema = target.map_or(schema, |target| root.pointer(target).unwrap());
        let Some(properties) = schema["properties"].as_object() else { return };
        assert_eq!(schema["additionalProperties"], false, "a typo below {path:?} would not be refused");
        let keys = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(properties), keys(values.as_object().unwrap()), "below {path:?}");
        for (key, schema) in properties {
            assert_same_keys(root, schema, &values[key], &format!("{path}.{key}"));
        }
    }

    #[test]
    fn a_value_has_the_comment_above_it_and_the_default_below_it() {
        let entries = parse("a:\n  # One.\n  # Two.\n  b: 1\n\n# All.\nc:\n  d: [x]\n").unwrap();
        let entry = |path: &str, default, meaning: &str| Entry { path: path.into(), default, meaning: meaning.into() };
        let expected = [entry("a.b", 1.into(), "One. Two."), entry("c", serde_json::json!({"d": ["x"]}), "All.")];
        assert_eq!(entries, expected);
    }
}
