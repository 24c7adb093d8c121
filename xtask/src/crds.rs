//! `cargo xtask crds`: writes the CustomResourceDefinitions into `crds/` and into the chart, which can hold no link to them.
//! A test fails when they are no longer what the code says.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use kube::ResourceExt;
use oauth_app_operator::crd;

/// Nothing to choose.
#[derive(clap::Args)]
pub struct Args {}

/// Writes both definitions.
pub fn run(_: &Args) -> Result<(), Box<dyn Error>> {
    for (path, text) in files()? {
        fs::write(&path, text)?;
        println!("{}", path.display());
    }
    Ok(())
}

fn files() -> Result<Vec<(PathBuf, String)>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for definition in crd::definitions() {
        let name = definition.name_any();
        let text = format!("# {name}: generated from src/crd by `cargo xtask crds`.\n{}", crd::yaml(&definition)?);
        for directory in ["crds", "deploy/chart/files"] {
            let file = format!("{}.yaml", definition.spec.names.plural);
            files.push((root.join(directory).join(file), text.clone()));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_definitions_are_what_the_code_says() {
        for (path, text) in files().unwrap() {
            let written = fs::read_to_string(&path).unwrap_or_default();
            assert!(written == text, "{} is stale: run `cargo xtask crds`", path.display());
        }
    }
}
