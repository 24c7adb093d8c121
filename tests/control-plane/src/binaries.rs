//! The programs of a control plane: where they are, or how to get them.
//! Four ways, in this order: `KUBEBUILDER_ASSETS`, the user's cache, the projects' downloads, a build with Go.

mod build;
mod progress;
mod release;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;
use progress::Progress;

/// The version of Kubernetes; that of the cache directory too. The modules beside this crate name it as well.
// renovate: datasource=github-releases depName=kubernetes/kubernetes
pub const KUBERNETES: &str = "v1.37.2";
// renovate: datasource=github-releases depName=etcd-io/etcd
const ETCD: &str = "v3.6.16";
// renovate: datasource=github-releases depName=helm/helm
const HELM: &str = "v3.22.0";
/// Its module has the version v0.316.0.
// renovate: datasource=github-releases depName=prometheus/prometheus extractVersion=^v(?<version>.+)$
const PROMETHEUS: &str = "3.16.0";
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
            Self::Helm => "helm",
            Self::Promtool => "promtool",
            Self::Prometheus => "prometheus",
            Self::KubeStateMetrics => "kube-state-metrics",
        }
    }

    /// The arguments that make it print its version, and what that must have in it.
    fn version(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Etcd => (&["--version"], "etcd Version: 3."),
            Self::KubeApiserver | Self::KubeControllerManager => (&["--version"], KUBERNETES),
            Self::Kubectl => (&["version", "--client"], KUBERNETES),
            Self::Helm => (&["version"], "v3."),
            Self::Promtool | Self::Prometheus => (&["--version"], PROMETHEUS),
            Self::KubeStateMetrics => (&["version"], KUBE_STATE_METRICS),
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

/// The user's cache directory for these versions, shared by all checkouts.
///
/// # Errors
/// When neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache_directory() -> Result<PathBuf, Error> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let base = base.ok_or_else(|| Error::Unavailable("Set HOME: the programs are kept in ~/.cache.".to_owned()))?;
    Ok(base.join("oauth-app-operator/control-plane").join(KUBERNETES))
}

/// Finds or provides the programs. It is silent when all are there; otherwise it writes its progress to standard
/// error, and may take minutes.
///
/// # Errors
/// When one can be had in no way; the text says which were tried, why each failed, and what to do.
pub fn provide(tools: &[Tool]) -> Result<Programs, Error> {
    let cache = cache_directory()?;
    let present = std::thread::scope(|scope| {
        let checks: Vec<_> = tools.iter().map(|tool| scope.spawn(|| find(*tool, &cache))).collect();
        checks.into_iter().map(|check| check.join().unwrap_or(Err(vec![]))).collect::<Vec<_>>()
    });
    let mut programs = Vec::new();
    let mut supplier = None;
    for (tool, present) in tools.iter().zip(present) {
        let (path, origin) = match present {
            Ok(found) => found,
            Err(reasons) => {
                let supplier = match &mut supplier {
                    Some(supplier) => supplier,
                    none => none.insert(Supplier::new(&cache)?),
                };
                supplier.provide(*tool, reasons)?
            }
        };
        programs.push((*tool, path, origin));
    }
    Ok(Programs(programs))
}

/// Looks where a program may be already; otherwise says why it is in neither place.
fn find(tool: Tool, cache: &Path) -> Result<(PathBuf, Origin), Vec<String>> {
    let mut reasons = Vec::new();
    match std::env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()) {
        None => reasons.push("KUBEBUILDER_ASSETS: not set".to_owned()),
        Some(directory) => {
            let path = Path::new(&directory).join(tool.name());
            match check(tool, &path) {
                Ok(()) => return Ok((path, Origin::Assets)),
                Err(reason) => reasons.push(format!("KUBEBUILDER_ASSETS: {reason}")),
            }
        }
    }
    let path = cache.join(tool.name());
    match check(tool, &path) {
        Ok(()) => Ok((path, Origin::Cache)),
        Err(reason) => {
            reasons.push(format!("cache: {reason}"));
            Err(reasons)
        }
    }
}

/// Whether the file is the program, and of the right version.
fn check(tool: Tool, path: &Path) -> Result<(), String> {
    if !path.exists() {
        return Err(format!("no {}", path.display()));
    }
    let (arguments, wanted) = tool.version();
    let output = Command::new(path).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains(wanted) {
        return Ok(());
    }
    let first = text.lines().next().unwrap_or("nothing").to_owned();
    Err(format!("{} says {first:?}, wanted {wanted:?}", path.display()))
}

/// Downloads or builds into the cache, one process at a time.
struct Supplier<'a> {
    cache: &'a Path,
    progress: Progress,
    downloads: release::Downloads,
    _lock: File,
}

impl<'a> Supplier<'a> {
    fn new(cache: &'a Path) -> Result<Self, Error> {
        let progress = Progress::new();
        std::fs::create_dir_all(cache).map_err(Error::io(format!("make {}", cache.display())))?;
        let path = cache.join("lock");
        let what = format!("lock {}", path.display());
        let lock = File::create(&path).map_err(Error::io(&what))?;
        if lock.try_lock().is_err() {
            progress.say("another process provides the programs; waiting for it");
            lock.lock().map_err(Error::io(&what))?;
        }
        remove_unfinished(cache);
        progress.say(&format!("providing what is missing in {}; only the first time", cache.display()));
        Ok(Self { cache, progress, downloads: release::Downloads::default(), _lock: lock })
    }

    /// The ways that remain. `reasons` says why the program was in neither place.
    fn provide(&mut self, tool: Tool, mut reasons: Vec<String>) -> Result<(PathBuf, Origin), Error> {
        // Whoever had the lock before may have provided it.
        if let Ok(found) = find(tool, self.cache) {
            return Ok(found);
        }
        let name = tool.name();
        let work = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(self.cache);
        let work = work.map_err(Error::io(format!("write in {}", self.cache.display())))?;
        let path = self.cache.join(name);
        let install = |origin| {
            check(tool, &work.path().join(name))?;
            std::fs::rename(work.path().join(name), &path).map_err(|error| error.to_string())?;
            Ok((path.clone(), origin))
        };
        let downloaded = self.downloads.fetch(tool, work.path(), &self.progress);
        match downloaded.and_then(|()| install(Origin::Download)) {
            Ok(found) => return Ok(found),
            Err(reason) => {
                self.progress.say(&format!("{name}: not downloaded: {reason}"));
                reasons.push(format!("download: {reason}"));
            }
        }
        match build::build(tool, work.path(), &self.progress).and_then(|()| install(Origin::Build)) {
            Ok(found) => Ok(found),
            Err(reason) => {
                reasons.push(format!("build: {reason}"));
                Err(Error::Unavailable(advice(tool, &reasons)))
            }
        }
    }
}

/// Removes what a killed process left; nobody else is at work while the lock is held.
fn remove_unfinished(cache: &Path) {
    for entry in std::fs::read_dir(cache).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _harmless = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn advice(tool: Tool, reasons: &[String]) -> String {
    format!(
        "{} is not available.\n  {}\nDo one of these:\n  \
         - connect to the internet (https://dl.k8s.io, https://github.com, https://get.helm.sh)\n  \
         - install Go 1.26 or newer (https://go.dev/dl); it needs a module proxy\n  \
         - set KUBEBUILDER_ASSETS to a directory with etcd and with kube-apiserver, kube-controller-manager and \
         kubectl {KUBERNETES}",
        tool.name(),
        reasons.join("\n  ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_constants_name_the_same_versions() {
        for (directory, module, version) in [
            ("kubernetes", "k8s.io/kubernetes", KUBERNETES),
            ("etcd", "go.etcd.io/etcd/server/v3", ETCD),
            ("helm", "helm.sh/helm/v3", HELM),
            ("prometheus", "github.com/prometheus/prometheus", &PROMETHEUS.replacen("3.", "v0.3", 1)),
            ("kube-state-metrics", "k8s.io/kube-state-metrics/v2", KUBE_STATE_METRICS),
        ] {
            let file = build::module_directory(directory).join("go.mod");
            let text = std::fs::read_to_string(file).expect("go.mod");
            assert!(text.contains(&format!("{module} {version}")), "{module} {version}");
        }
    }

    #[test]
    fn missing_program_error_lists_every_way_tried() {
        let text = advice(Tool::Etcd, &["cache: no /x/etcd".to_owned(), "build: no Go".to_owned()]);
        assert!(text.starts_with("etcd is not available.\n  cache: no /x/etcd\n  build: no Go\nDo one of these:"));
    }
}
