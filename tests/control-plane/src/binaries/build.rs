//! Builds a program from the Go modules beside this crate.
//! It takes minutes, the apiserver most of them, and gives the same program as the project's own release.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::progress::Progress;
use super::{KUBE_STATE_METRICS, Kubernetes, PROMETHEUS, Tool};

/// The oldest Go that the modules build with.
const GO: (u32, u32) = (1, 26);

pub(super) fn module_directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("go").join(name)
}

/// The directory of the module of Kubernetes: one for each minor version.
pub(super) fn kubernetes_module(kubernetes: Kubernetes) -> String {
    format!("kubernetes-{}", kubernetes.minor())
}

/// The directory of the module of etcd: one for each minor version of etcd.
pub(super) fn etcd_module(kubernetes: Kubernetes) -> String {
    let minor = kubernetes.etcd().trim_start_matches('v').rsplit_once('.').map_or("", |(minor, _)| minor);
    format!("etcd-{minor}")
}

/// The directory of the module, and the package in it.
fn source(tool: Tool, kubernetes: Kubernetes) -> (String, &'static str) {
    let part = |package| (kubernetes_module(kubernetes), package);
    let other = |module: &str, package| (module.to_owned(), package);
    match tool {
        Tool::Etcd => (etcd_module(kubernetes), "go.etcd.io/etcd/server/v3"),
        Tool::KubeApiserver => part("k8s.io/kubernetes/cmd/kube-apiserver"),
        Tool::KubeControllerManager => part("k8s.io/kubernetes/cmd/kube-controller-manager"),
        Tool::Kubectl => part("k8s.io/kubernetes/cmd/kubectl"),
        Tool::Helm => other("helm-3", "helm.sh/helm/v3/cmd/helm"),
        Tool::Helm4 => other("helm-4", "helm.sh/helm/v4/cmd/helm"),
        Tool::Promtool => other("prometheus", "github.com/prometheus/prometheus/cmd/promtool"),
        Tool::Prometheus => other("prometheus", "github.com/prometheus/prometheus/cmd/prometheus"),
        Tool::KubeStateMetrics => other("kube-state-metrics", "k8s.io/kube-state-metrics/v2"),
    }
}

/// Builds the program as a file of its name in `work`.
pub(super) fn build(tool: Tool, kubernetes: Kubernetes, work: &Path, progress: &Progress) -> Result<(), String> {
    let name = tool.name();
    let (module, package) = source(tool, kubernetes);
    let directory = module_directory(&module);
    let version = progress.run("go version", go(&directory).args(["env", "GOVERSION"]))?;
    let version = version.trim();
    if parse_version(version).is_none_or(|found| found < GO) {
        return Err(format!("Go is {version}, at least {}.{} is needed", GO.0, GO.1));
    }
    progress.say(&format!("{name}: building with {version}, which may take minutes"));
    let mut command = go(&directory);
    // Without the ways to discover targets at each vendor of clouds promtool is built in half the time.
    command.args(["build", "-trimpath", "-tags", "remove_all_sd", "-ldflags", &linker_flags(tool, kubernetes), "-o"]);
    command.arg(work.join(name)).arg(package);
    progress.run(&format!("{name}: building"), &mut command)?;
    progress.say(&format!("{name}: built"));
    Ok(())
}

fn go(directory: &Path) -> Command {
    let mut command = Command::new("go");
    // A workspace file above this checkout would put its own modules in place of these.
    command.current_dir(directory).env("CGO_ENABLED", "0").env("GOWORK", "off");
    command
}

/// No debug information, and the versions, without which the servers call themselves v0.0.0 and promtool nothing.
fn linker_flags(tool: Tool, kubernetes: Kubernetes) -> String {
    let version = if tool == Tool::KubeStateMetrics { KUBE_STATE_METRICS } else { PROMETHEUS };
    let package = "k8s.io/component-base/version";
    let (major, minor) = kubernetes.minor().split_once('.').unwrap_or_default();
    format!(
        "-s -w -X github.com/prometheus/common/version.Version={version} \
         -X {package}.gitVersion={} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}",
        kubernetes.version()
    )
}

/// Major and minor number of `go1.26.8`, `go1.27rc1` and the like.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("go")?.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_compare_as_numbers() {
        assert_eq!(parse_version("go1.26.8"), Some((1, 26)));
        assert_eq!(parse_version("go1.27rc1"), Some((1, 27)));
        assert!(parse_version("go1.9").is_some_and(|found| found < GO));
        assert_eq!(parse_version("devel"), None);
    }

    #[test]
    fn servers_are_built_with_their_version() {
        for (kubernetes, version) in Kubernetes::SUPPORTED.into_iter().zip(["v1.31.14 ", "v1.34.4 ", "v1.37.2 "]) {
            let flags = linker_flags(Tool::Kubectl, kubernetes);
            assert!(flags.contains(&format!("version.gitVersion={version}")), "{flags}");
        }
        let newest = linker_flags(Tool::Kubectl, Kubernetes::NEWEST);
        assert!(newest.ends_with("version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37"), "{newest}");
    }

    #[test]
    fn each_version_is_built_from_modules_of_its_own() {
        let oldest = Kubernetes::SUPPORTED[0];
        assert_eq!(source(Tool::Kubectl, oldest).0, "kubernetes-1.31");
        assert_eq!(source(Tool::Etcd, oldest).0, "etcd-3.5");
        assert_eq!(source(Tool::Kubectl, Kubernetes::NEWEST).0, "kubernetes-1.37");
        assert_eq!(source(Tool::Etcd, Kubernetes::NEWEST).0, "etcd-3.6");
    }
}
