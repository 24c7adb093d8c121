//! `cargo xtask crds`: writes the CustomResourceDefinitions into `crds/`.
//! A test fails when they are no longer what the code says.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use kube::ResourceExt;
use oauth_app_operator::crd;

/// Nothing to choose.
#[derive(clap::Args)]
pub struct Args {}

/// Writes both files.
pub fn run(_: &Args) -> Result<(), Box<dyn Error>> {
    for (path, text) in files()? {
        fs::write(&path, text)?;
        println!("{}", path.display());
    }
    Ok(())
}

fn files() -> Result<Vec<(PathBuf, String)>, String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    let file = |definition| {
        let text = crd::yaml(&definition)?;
        let path = directory.join(format!("{}.yaml", definition.spec.names.plural));
        let name = definition.name_any();
        Ok((path, format!("# {name}: generated from src/crd by `cargo xtask crds`.\n{text}")))
    };
    crd::definitions().into_iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_in_crds_are_what_the_code_says() {
        for (path, text) in files().unwrap() {
            let written = fs::read_to_string(&path).unwrap_or_default();
            assert!(written == text, "{} is stale: run `cargo xtask crds`", path.display());
        }
    }
}
