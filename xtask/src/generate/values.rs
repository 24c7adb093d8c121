//! `deploy/chart/README.md`: how the chart is used, and its values, from `values.yaml`. A value is a key with a comment above it, and
//! everything below such a key belongs to its default. A line with `##` begins a section.

use std::fmt::Write;
use std::fs;

use serde_json::Value;

use super::table::Table;
use crate::repository;

const HEAD: &str = "\
<!-- Written by `cargo xtask generate` from values.yaml. -->
# Helm chart of oauth-app-operator

An operator for OAuth apps of VMware Cloud Services, VMware Cloud Partner Navigator and the VCF Identity Broker.

```sh
helm install oauth-app-operator deploy/chart --namespace oauth-app-operator --create-namespace \\
  --set image.repository=registry.example.com/oauth-app-operator
```

[install.md](../../docs/install.md) explains install, upgrade and uninstall, and
[operations.md](../../docs/operations.md#the-network-of-a-company) proxies and private certificate authorities. The names of
objects do not depend on the name of the release, so Helm refuses a second release in the same namespace, and a second one that is
cluster-wide. There is no `nameOverride`. A value that does not exist is rejected.

## Values
";

/// A value of the chart.
#[derive(Debug, PartialEq)]
struct Entry {
    section: String,
    /// Where it is, such as `image.tag`.
    path: String,
    default: Value,
    meaning: String,
}

/// The README of the chart.
pub(super) fn document() -> Result<String, String> {
    let mut document = HEAD.to_owned();
    for section in parse(&chart("values.yaml")?)?.chunk_by(|one, two| one.section == two.section) {
        let mut table = Table::new(["Value", "Default", "Description"]);
        for Entry { path, default, meaning, .. } in section {
            table.row([&format!("`{path}`"), &format!("`{default}`"), meaning]);
        }
        let title = section.first().map(|entry| entry.section.as_str()).unwrap_or_default();
        write!(document, "\n### {title}\n\n{table}").map_err(|error| error.to_string())?;
    }
    Ok(document)
}

fn chart(file: &str) -> Result<String, String> {
    fs::read_to_string(repository().join("deploy/chart").join(file)).map_err(|error| format!("{file}: {error}"))
}

fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let values: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let (mut entries, mut keys, mut comment, mut section) = (Vec::new(), Vec::new(), Vec::new(), "");
    for line in text.lines() {
        let content = line.trim_start();
        if let Some(title) = content.strip_prefix("## ") {
            section = title;
            continue;
        }
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
            entries.push(Entry { section: section.to_owned(), path, default, meaning });
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
    fn a_value_has_its_section_the_comment_above_it_and_the_default_below_it() {
        let text = "## Parts\n\na:\n  # One.\n  # Two.\n  b: 1\n\n# All.\nc:\n  d: [x]\n\n## Rest\n\n# E.\ne: 2\n";
        let entry = |section: &str, path: &str, default, meaning: &str| Entry {
            section: section.into(),
            path: path.into(),
            default,
            meaning: meaning.into(),
        };
        let expected = [
            entry("Parts", "a.b", 1.into(), "One. Two."),
            entry("Parts", "c", serde_json::json!({"d": ["x"]}), "All."),
            entry("Rest", "e", 2.into(), "E."),
        ];
        assert_eq!(parse(text).unwrap(), expected);
    }
}
