//! The programs of a control plane: where they are, or how to get them.
//! Four ways, in this order: `KUBEBUILDER_ASSETS`, the user's cache, the projects' downloads, a build with Go.

mod build;
mod kubernetes;
mod progress;
mod release;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;
pub use kubernetes::Kubernetes;
use progress::Progress;

// The modules beside this crate name these versions as well.
// renovate: datasource=github-releases depName=helm/helm
const HELM: &str = "v3.22.0";
// renovate: datasource=github-releases depName=helm/helm
const HELM_4: &str = "v4.3.2";
/// Its module has the version v0.316.0.
// renovate: datasource=github-releases depName=prometheus/prometheus extractVersion=^v(?<version>.+)$
const PROMETHEUS: &str = "3.16.0";
// renovate: datasource=github-releases depName=kubernetes/kube-state-metrics
const KUBE_STATE_METRICS: &str = "v2.18.0";

/// Prefix of the directories in the cache in which a program is being made.
const UNFINISHED: &str = ".part-";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// The store of the apiserver.
    Etcd,
    /// The apiserver.
    KubeApiserver,
    /// The controllers, of which a few run.
    KubeControllerManager,
    /// The command line client.
    Kubectl,
    /// The package manager, for the chart only.
    Helm,
    /// Its next major version, for the tests of the chart only.
    Helm4,
    /// Reads metrics and evaluates rules as Prometheus does, for the alerts and the dashboard only.
    Promtool,
    /// Prometheus itself, for the picture of the dashboard only.
    Prometheus,
    /// Makes metrics of objects, for the alerts about apps only.
    KubeStateMetrics,
}

impl Tool {
    /// What [`crate::ControlPlane::start`] needs.
    pub const CONTROL_PLANE: [Self; 4] = [Self::Etcd, Self::KubeApiserver, Self::KubeControllerManager, Self::Kubectl];

    /// Its file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
            Self::Helm | Self::Helm4 => "helm",
            Self::Promtool => "promtool",
            Self::Prometheus => "prometheus",
            Self::KubeStateMetrics => "kube-state-metrics",
        }
    }

    /// The arguments that make it print its version, and what that must have in it.
    fn version(self, kubernetes: Kubernetes) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Etcd => (&["--version"], "etcd Version: 3."),
            Self::KubeApiserver | Self::KubeControllerManager => (&["--version"], kubernetes.version()),
            Self::Kubectl => (&["version", "--client"], kubernetes.version()),
            Self::Helm => (&["version"], "v3."),
            Self::Helm4 => (&["version"], "v4."),
            Self::Promtool | Self::Prometheus => (&["--version"], PROMETHEUS),
            Self::KubeStateMetrics => (&["version"], KUBE_STATE_METRICS),
        }
    }

    /// Its directory in the cache: one for each version of Kubernetes, and of each program that is no part of it.
    fn directory(self, kubernetes: Kubernetes) -> String {
        match self {
            Self::Etcd | Self::KubeApiserver | Self::KubeControllerManager | Self::Kubectl => {
                kubernetes.version().to_owned()
            }
            Self::Helm => format!("helm-{HELM}"),
            Self::Helm4 => format!("helm-{HELM_4}"),
            Self::Promtool | Self::Prometheus => format!("prometheus-v{PROMETHEUS}"),
            Self::KubeStateMetrics => format!("kube-state-metrics-{KUBE_STATE_METRICS}"),
        }
    }
}

/// How a program was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the directory `KUBEBUILDER_ASSETS`.
    Assets,
    /// It was in the cache.
    Cache,
    /// Just downloaded into the cache.
    Download,
    /// Just built into the cache.
    Build,
}

/// The programs asked for, each with its place.
#[derive(Debug, Clone)]
pub struct Programs(Vec<(Tool, PathBuf, Origin)>);

impl Programs {
    /// Where the program is; its bare name (to be looked for in `PATH`) when it was not asked for.
    pub fn path(&self, tool: Tool) -> &Path {
        self.iter().find(|(found, ..)| *found == tool).map_or(Path::new(tool.name()), |(_, path, _)| path)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Tool, &Path, Origin)> {
        self.0.iter().map(|(tool, path, origin)| (*tool, path.as_path(), *origin))
    }
}

/// The directory of this project in the user's cache directory, shared by all checkouts.
///
/// # Errors
/// When the environment names none.
pub fn cache_directory() -> Result<PathBuf, Error> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let base = base.ok_or_else(|| Error::Unavailable("Set HOME: the programs are kept in ~/.cache.".to_owned()))?;
    Ok(base.join("oauth-app-operator"))
}

/// Finds or provides the programs, those of Kubernetes at the [selected](Kubernetes::selected) version. It is silent when
/// all are there; otherwise it writes its progress to standard error, and may take minutes.
///
/// # Errors
/// When one can be had in no way; the text says which were tried, why each failed, and what to do.
pub fn provide(tools: &[Tool]) -> Result<Programs, Error> {
    provide_for(Kubernetes::selected()?, tools)
}

/// As [`provide`], at this version of Kubernetes.
///
/// # Errors
/// As [`provide`].
pub fn provide_for(kubernetes: Kubernetes, tools: &[Tool]) -> Result<Programs, Error> {
    let cache = cache_directory()?.join("control-plane");
    let places: Vec<_> = tools.iter().map(|tool| Place::new(*tool, kubernetes, &cache)).collect();
    let present = std::thread::scope(|scope| {
        let checks: Vec<_> = places.iter().map(|place| scope.spawn(|| place.find())).collect();
        checks.into_iter().map(|check| check.join().unwrap_or(Err(vec![]))).collect::<Vec<_>>()
    });
    let mut programs = Vec::new();
    let mut supplier = None;
    for (place, present) in places.iter().zip(present) {
        let (path, origin) = match present {
            Ok(found) => found,
            Err(reasons) => supplier.get_or_insert_with(Supplier::new).provide(place, reasons)?,
        };
        programs.push((place.tool, path, origin));
    }
    Ok(Programs(programs))
}

/// A program, and where the cache has it.
struct Place {
    tool: Tool,
    kubernetes: Kubernetes,
    directory: PathBuf,
}

impl Place {
    fn new(tool: Tool, kubernetes: Kubernetes, cache: &Path) -> Self {
        Self { tool, kubernetes, directory: cache.join(tool.directory(kubernetes)) }
    }

    /// Looks where the program may be already; otherwise says why it is in neither place.
    fn find(&self) -> Result<(PathBuf, Origin), Vec<String>> {
        let mut reasons = Vec::new();
        match std::env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()) {
            None => reasons.push("KUBEBUILDER_ASSETS: not set".to_owned()),
            Some(directory) => {
                let path = Path::new(&directory).join(self.tool.name());
                match self.check(&path) {
                    Ok(()) => return Ok((path, Origin::Assets)),
                    Err(reason) => reasons.push(format!("KUBEBUILDER_ASSETS: {reason}")),
                }
            }
        }
        let path = self.directory.join(self.tool.name());
        match self.check(&path) {
            Ok(()) => Ok((path, Origin::Cache)),
            Err(reason) => {
                reasons.push(format!("cache: {reason}"));
                Err(reasons)
            }
        }
    }

    /// Whether the file is the program, and of the right version.
    fn check(&self, path: &Path) -> Result<(), String> {
        if !path.exists() {
            return Err(format!("no {}", path.display()));
        }
        let (arguments, wanted) = self.tool.version(self.kubernetes);
        let output = Command::new(path).args(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("{}: {error}", path.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains(wanted) {
            return Ok(());
        }
        let first = text.lines().next().unwrap_or("nothing").to_owned();
        Err(format!("{} says {first:?}, wanted {wanted:?}", path.display()))
    }
}

/// Downloads or builds into the cache.
struct Supplier {
    progress: Progress,
    downloads: release::Downloads,
}

impl Supplier {
    fn new() -> Self {
        Self { progress: Progress::new(), downloads: release::Downloads::default() }
    }

    /// The ways that remain, one process at a time for each directory. `reasons` says why the program was in neither place.
    fn provide(&mut self, place: &Place, mut reasons: Vec<String>) -> Result<(PathBuf, Origin), Error> {
        let _lock = self.lock(&place.directory)?;
        // Whoever had the lock before may have provided it.
        if let Ok(found) = place.find() {
            return Ok(found);
        }
        let name = place.tool.name();
        let work = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&place.directory);
        let work = work.map_err(Error::io(format!("write in {}", place.directory.display())))?;
        let path = place.directory.join(name);
        let install = |origin| {
            place.check(&work.path().join(name))?;
            std::fs::rename(work.path().join(name), &path).map_err(|error| error.to_string())?;
            Ok((path.clone(), origin))
        };
        let downloaded = self.downloads.fetch(place.tool, place.kubernetes, work.path(), &self.progress);
        match downloaded.and_then(|()| install(Origin::Download)) {
            Ok(found) => return Ok(found),
            Err(reason) => {
                self.progress.say(&format!("{name}: not downloaded: {reason}"));
                reasons.push(format!("download: {reason}"));
            }
        }
        let built = build::build(place.tool, place.kubernetes, work.path(), &self.progress);
        built.and_then(|()| install(Origin::Build)).map_err(|reason| {
            reasons.push(format!("build: {reason}"));
            Error::Unavailable(advice(place, &reasons))
        })
    }

    /// Makes the directory and waits until no other process provides a program in it.
    fn lock(&self, directory: &Path) -> Result<File, Error> {
        std::fs::create_dir_all(directory).map_err(Error::io(format!("make {}", directory.display())))?;
        let path = directory.join("lock");
        let what = format!("lock {}", path.display());
        let lock = File::create(&path).map_err(Error::io(&what))?;
        if lock.try_lock().is_err() {
            self.progress.say("another process provides the programs; waiting for it");
            lock.lock().map_err(Error::io(&what))?;
        }
        remove_unfinished(directory);
        self.progress.say(&format!("providing what is missing in {}; only the first time", directory.display()));
        Ok(lock)
    }
}

/// Removes what a killed process left; nobody else is at work while the lock is held.
fn remove_unfinished(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _harmless = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn advice(place: &Place, reasons: &[String]) -> String {
    format!(
        "{} is not available.\n  {}\nDo one of these:\n  \
         - connect to the internet (https://dl.k8s.io, https://github.com, https://get.helm.sh)\n  \
         - install Go 1.26 or newer (https://go.dev/dl); it needs a module proxy\n  \
         - set KUBEBUILDER_ASSETS to a directory with etcd and with kube-apiserver, kube-controller-manager and \
         kubectl {}",
        place.tool.name(),
        reasons.join("\n  "),
        place.kubernetes.version()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_module(directory: &str, module: &str, version: &str) {
        let file = build::module_directory(directory).join("go.mod");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(text.contains(&format!("{module} {version} ")), "{module} {version}");
    }

    #[test]
    fn modules_and_constants_name_the_same_versions() {
        for kubernetes in Kubernetes::SUPPORTED {
            assert_module(&build::kubernetes_module(kubernetes), "k8s.io/kubernetes", kubernetes.version());
            assert_module(&build::etcd_module(kubernetes), "go.etcd.io/etcd/server/v3", kubernetes.etcd());
        }
        assert_module("helm-3", "helm.sh/helm/v3", HELM);
        assert_module("helm-4", "helm.sh/helm/v4", HELM_4);
        assert_module("kube-state-metrics", "k8s.io/kube-state-metrics/v2", KUBE_STATE_METRICS);
        assert_module("prometheus", "github.com/prometheus/prometheus", &PROMETHEUS.replacen("3.", "v0.3", 1));
    }

    #[test]
    fn each_version_has_programs_of_its_own_and_helm_and_prometheus_are_shared() {
        let directories = |tool: Tool| Kubernetes::SUPPORTED.map(|kubernetes| tool.directory(kubernetes));
        for tool in Tool::CONTROL_PLANE {
            assert_eq!(directories(tool), Kubernetes::SUPPORTED.map(|kubernetes| kubernetes.version().to_owned()));
        }
        let shared = [Tool::Helm, Tool::Helm4, Tool::Promtool].map(|tool| {
            let [first, others @ ..] = directories(tool);
            assert!(others.iter().all(|other| *other == first), "{first}");
            first
        });
        assert_eq!(shared, ["helm-v3.22.0", "helm-v4.3.2", "prometheus-v3.16.0"]);
    }

    #[test]
    fn missing_program_error_lists_every_way_tried() {
        let place = Place::new(Tool::Etcd, Kubernetes::NEWEST, Path::new("/x"));
        let text = advice(&place, &["cache: no /x/etcd".to_owned(), "build: no Go".to_owned()]);
        assert!(text.starts_with("etcd is not available.\n  cache: no /x/etcd\n  build: no Go\nDo one of these:"));
        assert!(text.ends_with("kubectl v1.37.2"), "{text}");
    }
}
