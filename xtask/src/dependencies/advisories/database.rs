//! Reads a checkout of the RustSec advisory database.
//! Each advisory is a file `crates/<package>/<id>.md`: a block of TOML, then a text that begins with the title.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use toml_edit::{DocumentMut, Item};

use crate::command;

const HEAD: &str = "\
# The advisories of https://github.com/RustSec/advisory-db, shortened to what a check needs, without those that were withdrawn.
# Written by `cargo xtask dependencies --advisories DIR`. They are in the public domain (CC0-1.0), except those with a `license`:
# these come from their `url`, and https://creativecommons.org/licenses/by/4.0/ is the text of CC-BY-4.0.
";

/// The text of the snapshot: a line for each advisory, in the order of their ids.
pub(super) fn snapshot(checkout: &Path) -> Result<String, Box<dyn Error>> {
    let commit = newest_commit(checkout)?;
    let (commit, date) = commit.trim().split_once(' ').ok_or("no commit")?;
    let mut lines = BTreeSet::new();
    let packages = fs::read_dir(checkout.join("crates")).map_err(|error| format!("folder crates: {error}"))?;
    for package in packages {
        for file in fs::read_dir(package?.path())? {
            let path = file?.path();
            let line = line(&fs::read_to_string(&path)?).map_err(|error| format!("{}: {error}", path.display()))?;
            lines.extend(line);
        }
    }
    let lines: String = lines.into_iter().collect();
    Ok(format!("{HEAD}commit = \"{commit}\"\ndate = \"{date}\"\n\n[advisories]\n{lines}"))
}

/// Its hash and its day.
fn newest_commit(checkout: &Path) -> Result<String, Box<dyn Error>> {
    let mut git = Command::new("git");
    command::output(git.arg("--git-dir").arg(checkout.join(".git")).args(["show", "-s", "--format=%H %cs"]))
}

/// What the snapshot keeps of an advisory, unless it was withdrawn.
pub(super) fn line(advisory: &str) -> Result<Option<String>, Box<dyn Error>> {
    let front = advisory.strip_prefix("```toml\n").and_then(|rest| rest.split_once("\n```\n"));
    let (front, text) = front.ok_or("no TOML in front")?;
    let front: DocumentMut = front.parse()?;
    let [advisory, versions] = ["advisory", "versions"].map(|table| front.get(table));
    let field = |table: Option<&Item>, name| table.and_then(|table| table.get(name)).map(as_json);
    if field(advisory, "withdrawn").is_some() {
        return Ok(None);
    }
    let id = advisory.and_then(|advisory| advisory.get("id")?.as_str()).ok_or("no id")?;
    let title = text.trim_start().lines().next().and_then(|line| line.strip_prefix("# ")).ok_or("no title")?;
    let license = field(advisory, "license").filter(|license| license != "CC0-1.0");
    let fields = [
        ("package", field(advisory, "package")),
        ("title", Some(json!(title.trim()))),
        ("informational", field(advisory, "informational")),
        ("patched", field(versions, "patched").filter(|ranges| *ranges != json!([]))),
        ("unaffected", field(versions, "unaffected").filter(|ranges| *ranges != json!([]))),
        ("url", license.as_ref().and_then(|_| field(advisory, "url"))),
        ("license", license),
    ];
    // A string or an array of strings is written in JSON as in TOML.
    let fields = fields.into_iter().filter_map(|(name, value)| Some(format!("{name} = {}", value?)));
    Ok(Some(format!("{id} = {{ {} }}\n", fields.collect::<Vec<_>>().join(", "))))
}

fn as_json(item: &Item) -> Value {
    match item.as_array() {
        Some(array) => array.iter().map(toml_edit::Value::as_str).collect(),
        None => item.as_str().into(),
    }
}
