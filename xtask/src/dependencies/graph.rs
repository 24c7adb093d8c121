//! The packages of the workspace's lock file, and which of them are in the operator's binary.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::{command, repository};

/// The platform of the image.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
const BINARY: &str = "oauth-app-operator";
/// What the image has besides the binary.
const IMAGE: [&str; 1] = ["webpki-root-certs"];

/// A package that somebody else made.
#[derive(Clone, Debug)]
pub(super) struct Package {
    pub name: String,
    pub version: String,
    /// The SPDX expression.
    pub license: String,
    pub repository: String,
    /// Where cargo had it from.
    pub source: String,
    pub directory: PathBuf,
}

/// All packages that somebody else made.
pub(super) struct Graph(pub Vec<Package>);

impl Graph {
    /// As the lock file says.
    pub(super) fn read() -> Result<Self, Box<dyn Error>> {
        let metadata = cargo(&["metadata", "--format-version=1", "--locked", "--filter-platform", PLATFORM])?;
        let metadata: Value = serde_json::from_str(&metadata)?;
        let all = metadata["packages"].as_array().ok_or("no packages")?;
        Ok(Self(all.iter().filter(|package| !package["source"].is_null()).map(read).collect()))
    }

    /// Those of which something is in the binary or the image, by name. Only `cargo tree` knows which features are on.
    pub(super) fn shipped(&self) -> Result<Vec<&Package>, Box<dyn Error>> {
        let normal = ["-e", "normal", "--prefix", "none", "--format", "{p}"];
        let tree = cargo(&[&["tree", "--locked", "--package", BINARY, "--target", PLATFORM][..], &normal].concat())?;
        let names: BTreeSet<String> = tree.lines().filter_map(name_and_version).collect();
        let is_shipped = |package: &&Package| {
            IMAGE.contains(&&*package.name) || names.contains(&format!("{} {}", package.name, package.version))
        };
        let mut shipped: Vec<_> = self.0.iter().filter(is_shipped).collect();
        shipped.sort_by_key(|package| (&package.name, &package.version));
        Ok(shipped)
    }
}

/// Of a line such as `axum v0.8.1 (*)`.
fn name_and_version(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    Some(format!("{} {}", words.next()?, words.next()?.strip_prefix('v')?))
}

fn cargo(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    command::output(Command::new(env!("CARGO")).args(arguments).current_dir(repository()))
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
