//! The packages of the workspace's lock file, and which of them are in the operator's binary.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// The platform of the image.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
const BINARY: &str = "oauth-app-operator";

/// A package that somebody else made.
#[derive(Clone, Debug)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// The SPDX expression.
    pub license: String,
    pub repository: String,
    /// Where cargo had it from.
    pub source: String,
    /// Its files.
    pub directory: PathBuf,
}

/// All packages, by their ids.
pub struct Graph {
    pub packages: BTreeMap<String, Package>,
    needs: BTreeMap<String, Vec<String>>,
    binary: String,
}

impl Graph {
    /// As cargo resolves them.
    pub fn read() -> Result<Self, Box<dyn Error>> {
        let mut cargo = Command::new(env!("CARGO"));
        let output = cargo
            .args(["metadata", "--format-version=1", "--locked", "--filter-platform", PLATFORM])
            .current_dir(super::root())
            .output()?;
        if !output.status.success() {
            return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let all = metadata["packages"].as_array().ok_or("no packages")?;
        let ours = |package: &&Value| package["source"].is_null();
        let binary = all.iter().find(|package| package["name"] == BINARY && ours(package)).map(|package| text(package, "id"));
        let packages = all.iter().filter(|package| !ours(package)).map(|package| (text(package, "id"), read(package)));
        let nodes = metadata["resolve"]["nodes"].as_array().ok_or("no nodes")?;
        let needs = nodes.iter().map(|node| (text(node, "id"), linked(node)));
        Ok(Self { packages: packages.collect(), needs: needs.collect(), binary: binary.ok_or("no operator")? })
    }

    /// Those of which something is in the binary, by name.
    pub fn shipped(&self) -> Vec<&Package> {
        let (mut found, mut open) = (BTreeSet::new(), vec![&self.binary]);
        while let Some(id) = open.pop() {
            if found.insert(id) {
                open.extend(self.needs.get(id).into_iter().flatten());
            }
        }
        let mut shipped: Vec<_> = found.into_iter().filter_map(|id| self.packages.get(id)).collect();
        shipped.sort_by_key(|package| (&package.name, &package.version));
        shipped
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn read(package: &Value) -> Package {
    let [name, version, license, repository, source, manifest] =
        ["name", "version", "license", "repository", "source", "manifest_path"].map(|field| text(package, field));
    let directory = PathBuf::from(manifest).parent().map(PathBuf::from).unwrap_or_default();
    Package { name, version, license, repository, source, directory }
}

/// What is needed for more than a build script or a test.
fn linked(node: &Value) -> Vec<String> {
    let dependencies = node["deps"].as_array().into_iter().flatten();
    let normal = |dependency: &&Value| {
        dependency["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
    };
    dependencies.filter(normal).map(|dependency| text(dependency, "pkg")).collect()
}
