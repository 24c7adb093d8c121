//! `cargo xtask manifests`: renders `deploy/install.yaml` from the chart, and the chart's values into `docs/install.md`.
//! A test fails when either is no longer what the chart says.

mod values;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use control_plane::binaries::{self, KUBERNETES, Tool};

/// The name of the release and of its namespace.
const NAME: &str = "oauth-app-operator";
const HEADER: &str = "# Rendered from deploy/chart by `cargo xtask manifests`.\n";

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

fn files() -> Result<Vec<(PathBuf, String)>, Box<dyn Error>> {
    let guide = in_repository("docs/install.md");
    let guided = values::updated(&fs::read_to_string(&guide)?, &values::read(&chart())?)?;
    Ok(vec![(in_repository("deploy/install.yaml"), rendered()?), (guide, guided)])
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn chart() -> PathBuf {
    in_repository("deploy/chart")
}

/// What `helm install` would apply, with the namespace, which Helm leaves to its flags.
fn rendered() -> Result<String, Box<dyn Error>> {
    let programs = binaries::provide(&[Tool::Helm])?;
    let mut helm = Command::new(programs.path(Tool::Helm));
    helm.args(["template", NAME]).arg(chart()).args(["--namespace", NAME]);
    // Helm asks no server here, so it is told the version.
    helm.args(["--kube-version", KUBERNETES, "--set", "namespace.create=true"]);
    let output = helm.output()?;
    if !output.status.success() {
        return Err(format!("helm template: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(format!("{HEADER}{}", String::from_utf8(output.stdout)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rendered_is_what_the_chart_says() {
        for (path, text) in files().unwrap() {
            let written = fs::read_to_string(&path).unwrap_or_default();
            assert!(written == text, "{} is stale: run `cargo xtask manifests`", path.display());
        }
    }

    #[test]
    fn the_chart_has_the_version_of_the_operator() {
        let chart = fs::read_to_string(chart().join("Chart.yaml")).unwrap();
        let chart: serde_json::Value = serde_saphyr::from_str(&chart).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!((&chart["version"], &chart["appVersion"]), (&version.into(), &version.into()));
    }
}
