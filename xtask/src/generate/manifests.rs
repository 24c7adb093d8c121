//! `deploy/install.yaml`: what `helm install` would apply, for installations without Helm.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use control_plane::Scratch;
use control_plane::binaries::{self, Kubernetes, Tool};

use crate::{command, repository};

/// The name of the release and of its namespace.
const NAME: &str = "oauth-app-operator";
const HEADER: &str = "# Rendered from deploy/chart by `cargo xtask generate`.\n";
const CHART: &str = "deploy/chart";
const HELM_LABELS: [&str; 2] = ["helm.sh/chart: ", "app.kubernetes.io/managed-by: Helm"];

/// The rendered chart, with these files of CRDs in place of its own, and the namespace, which Helm leaves to its flags.
pub(super) fn install(crds: [(&str, &str); 2]) -> Result<String, Box<dyn Error>> {
    let chart = Scratch::new()?;
    copy(&repository().join(CHART), chart.path())?;
    for (file, content) in crds {
        fs::write(chart.path().join("files").join(file), content)?;
    }
    Ok(format!("{HEADER}{}", render(chart.path())?))
}

/// The manifests of a chart, a directory or a package, with its default values and its namespace.
pub(crate) fn render(chart: &Path) -> Result<String, Box<dyn Error>> {
    let programs = binaries::provide(&[Tool::Helm])?;
    let mut helm = Command::new(programs.path(Tool::Helm));
    helm.args(["template", NAME]).arg(chart).args(["--namespace", NAME]);
    // Helm asks no server here, so it is told the version.
    helm.args(["--kube-version", Kubernetes::NEWEST.version(), "--set", "namespace.create=true"]);
    // Only `helm test` has a use for the check.
    helm.args(["--set", "check.enabled=false"]);
    Ok(without_helm(&command::output(&mut helm)?))
}

/// Without the labels that say that Helm manages an object.
fn without_helm(manifests: &str) -> String {
    let is_of_helm = |line: &str| HELM_LABELS.iter().any(|label| line.trim_start().starts_with(label));
    manifests.split_inclusive('\n').filter(|line| !is_of_helm(line)).collect()
}

/// Copies what is in a directory into another one, which exists.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_has_the_version_of_the_operator() {
        let chart = fs::read_to_string(repository().join(CHART).join("Chart.yaml")).unwrap();
        let chart: serde_json::Value = serde_saphyr::from_str(&chart).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!((&chart["version"], &chart["appVersion"]), (&version.into(), &version.into()));
    }
}
