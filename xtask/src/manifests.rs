//! `cargo xtask manifests`: renders `deploy/install.yaml` from the chart.
//! A test fails when it is no longer what the chart says.

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

/// Writes the file.
pub fn run(_: &Args) -> Result<(), Box<dyn Error>> {
    fs::write(deploy("install.yaml"), rendered()?)?;
    println!("deploy/install.yaml");
    Ok(())
}

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

/// What `helm install` would apply, with the namespace, which Helm leaves to its flags.
fn rendered() -> Result<String, Box<dyn Error>> {
    let programs = binaries::provide(&[Tool::Helm])?;
    let mut helm = Command::new(programs.path(Tool::Helm));
    helm.args(["template", NAME]).arg(deploy("chart")).args(["--namespace", NAME]);
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
        let written = fs::read_to_string(deploy("install.yaml")).unwrap_or_default();
        assert!(written == rendered().unwrap(), "deploy/install.yaml is stale: run `cargo xtask manifests`");
    }

    #[test]
    fn the_chart_has_the_version_of_the_operator() {
        let chart = fs::read_to_string(deploy("chart/Chart.yaml")).unwrap();
        let chart: serde_json::Value = serde_saphyr::from_str(&chart).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!((&chart["version"], &chart["appVersion"]), (&version.into(), &version.into()));
    }
}
