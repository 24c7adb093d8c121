//! Helm as a user runs it, and the variants of the chart that the tests look at.

use control_plane::binaries::{self, KUBERNETES, Tool};
use std::path::PathBuf;
use std::process::Command;

/// The name of the release, of its namespace, and of all that is in it.
pub(crate) use test_environment::OPERATOR as NAME;
pub(crate) use test_environment::repository;

/// Each variant of the chart: its name and the flags that make it.
pub(crate) const VARIANTS: [(&str, &[&str]); 11] = [
    ("as it is", &[]),
    ("with its namespace", &["--set=namespace.create=true"]),
    ("scoped", &["--set=watchNamespaces={team-a,team-b}"]),
    ("watching all Secrets", &["--set=watchSecrets=true"]),
    ("with the right to restart", &["--set=rotation.restart=true"]),
    ("monitored", &["--set=podMonitor.enabled=true,podMonitor.labels.release=prometheus"]),
    (
        "monitored by its Service",
        &["--set=serviceMonitor.enabled=true,prometheusRule.enabled=true,dashboard.enabled=true"],
    ),
    ("behind a proxy", &["--set=proxy.existingSecret=proxy,proxy.noProxy={.corp.example.com}"]),
    ("without CRDs", &["--set=crds.install=false"]),
    ("bare", &["--set=podDisruptionBudget.enabled=false,networkPolicy.enabled=false,rbac.aggregate=false"]),
    ("with every value", &["--values=tests/install/every-value.yaml", "--set=podMonitor.enabled=false"]),
];

/// The shipped chart.
pub(crate) fn chart() -> PathBuf {
    repository().join("deploy/chart")
}

/// Runs Helm, and gives what it printed or why it failed.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.current_dir(repository()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stdout) + &text(&output.stderr)) }
}

pub(crate) fn helm() -> Command {
    Command::new(binaries::provide(&[Tool::Helm]).unwrap().path(Tool::Helm))
}

/// What `helm template` prints for these flags.
pub(crate) fn template(flags: &[&str]) -> Result<String, String> {
    let mut command = helm();
    command.args(["template", NAME, "--namespace", NAME, "--kube-version", KUBERNETES]).arg(chart()).args(flags);
    run(&mut command)
}
