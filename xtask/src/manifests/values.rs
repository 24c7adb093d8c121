//! The table of the chart's values, from `values.yaml`: a value is a key with a comment above it.
//! Whatever is below such a key belongs to its default.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::Value;

const BEGIN: &str = "<!-- values: written by `cargo xtask manifests` -->\n";
const END: &str = "<!-- end of values -->\n";

/// A value of the chart.
#[derive(Debug, PartialEq)]
pub struct Entry {
    /// Where it is, such as `image.tag`.
    pub path: String,
    default: Value,
    meaning: String,
}

/// Reads the values of a chart.
pub fn read(chart: &Path) -> Result<Vec<Entry>, Box<dyn Error>> {
    parse(&fs::read_to_string(chart.join("values.yaml"))?)
}

fn parse(text: &str) -> Result<Vec<Entry>, Box<dyn Error>> {
    let values: Value = serde_saphyr::from_str(text)?;
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
            let default = values.pointer(&format!("/{}", keys.join("/"))).cloned();
            let path = keys.join(".");
            let default = default.ok_or_else(|| format!("values.yaml: no value {path}"))?;
            entries.push(Entry { path, default, meaning });
        }
    }
    Ok(entries)
}

/// The text with the table of now between its markers.
pub fn updated(text: &str, entries: &[Entry]) -> Result<String, String> {
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("docs/install.md lacks the markers {BEGIN}{END}"))?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", table(entries)))
}

fn table(entries: &[Entry]) -> String {
    let row = |entry: &Entry| {
        let Entry { path, default, meaning } = entry;
        // A bar would end the cell.
        format!("| `{path}` | `{default}` | {} |\n", meaning.replace('|', "\\|"))
    };
    let rows: String = entries.iter().map(row).collect();
    format!("\n| Value | Default | What it is |\n|---|---|---|\n{rows}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::chart;

    /// The paths of all values that are no mappings with keys.
    fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
        match value.as_object().filter(|fields| !fields.is_empty()) {
            None => found.push(path.to_owned()),
            Some(fields) => fields.iter().for_each(|(key, value)| leaves(value, &format!("{path}.{key}"), found)),
        }
    }

    #[test]
    fn every_value_is_documented() {
        let entries = read(&chart()).unwrap();
        let text = fs::read_to_string(chart().join("values.yaml")).unwrap();
        let mut found = Vec::new();
        leaves(&serde_saphyr::from_str(&text).unwrap(), "", &mut found);
        let documented =
            |leaf: &str| entries.iter().any(|entry| format!("{leaf}.").contains(&format!(".{}.", entry.path)));
        let bare: Vec<_> = found.iter().filter(|leaf| !documented(leaf)).collect();
        assert!(bare.is_empty(), "no comment above {bare:?}");
    }

    #[test]
    fn the_schema_knows_every_value_and_no_other() {
        let schema = fs::read_to_string(chart().join("values.schema.json")).unwrap();
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let text = fs::read_to_string(chart().join("values.yaml")).unwrap();
        let mut values: Value = serde_saphyr::from_str(&text).unwrap();
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
