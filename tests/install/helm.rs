//! Helm as a user runs it, and the variants of the chart that the tests look at.

use control_plane::binaries::{self, Kubernetes, Tool};
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
    program(Tool::Helm)
}

/// Helm of this version: [`Tool::Helm`] or [`Tool::Helm4`].
pub(crate) fn program(helm: Tool) -> Command {
    Command::new(binaries::provide(&[helm]).unwrap().path(helm))
}

/// What `helm template` prints for these flags.
pub(crate) fn template(flags: &[&str]) -> Result<String, String> {
    template_by(Tool::Helm, flags)
}

/// The same with Helm of this version.
pub(crate) fn template_by(helm: Tool, flags: &[&str]) -> Result<String, String> {
    let mut command = program(helm);
    command.args(["template", NAME, "--namespace", NAME, "--kube-version", kubernetes()]).arg(chart()).args(flags);
    run(&mut command)
}

/// The version of Kubernetes that Helm cannot ask for without a cluster.
pub(crate) fn kubernetes() -> &'static str {
    Kubernetes::selected().unwrap().version()
}
