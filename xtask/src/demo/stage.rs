//! What the demo runs on: a control plane, the IAM simulator and the operator, each a process of its own.
//! Everything ends with this process, however that ends.

use std::error::Error;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use control_plane::binaries::KUBERNETES;
use control_plane::{ControlPlane, Supervised};
use iam_simulator::process::Process;

use super::narrator::Narrator;

/// The namespace and the ServiceAccount of the shipped manifests.
pub const OPERATOR: &str = "oauth-app-operator";

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const LOG_LINES: usize = 20;

/// The binaries of this workspace.
pub struct Binaries {
    directory: PathBuf,
    operator: PathBuf,
}

impl Binaries {
    /// Builds them with cargo, in view of the user.
    pub fn build(narrator: &Narrator) -> Result<Self, Box<dyn Error>> {
        // With xtask, which is built already: the same features, so no dependency is compiled twice.
        cargo(narrator, &["build", "-p", OPERATOR, "-p", "iam-simulator", "-p", "xtask"])?;
        let own = std::env::current_exe()?;
        let directory = own.parent().ok_or("this program is in no directory")?.to_owned();
        Ok(Self { operator: directory.join(OPERATOR), directory })
    }

    /// The operator as it is shipped, and a simulator that is fast enough for it.
    pub fn build_release(narrator: &Narrator) -> Result<Self, Box<dyn Error>> {
        // Each by itself: together they would share features, and the operator would not be the one that is shipped.
        for package in [OPERATOR, "iam-simulator"] {
            cargo(narrator, &["build", "--release", "-p", package])?;
        }
        let own = std::env::current_exe()?;
        let target = own.parent().and_then(Path::parent).ok_or("this program is in no directory of builds")?;
        let directory = target.join("release");
        Ok(Self { operator: directory.join(OPERATOR), directory })
    }

    /// The same with another operator.
    pub fn with_operator(self, operator: &Path) -> Self {
        Self { operator: operator.to_owned(), ..self }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// All that runs; dropped in this order.
pub struct Stage {
    operator: Supervised,
    pub simulator: Process,
    pub plane: ControlPlane,
}

impl Stage {
    /// Starts everything and installs what `deploy/` holds.
    pub async fn set(narrator: &Narrator, binaries: &Binaries) -> Result<Self, Box<dyn Error>> {
        narrator.chapter("A control plane, the IAM simulator, the operator");
        let plane = ControlPlane::start()?;
        let programs = "etcd, kube-apiserver and kube-controller-manager";
        narrator.say("Kubernetes", format!("{programs} {KUBERNETES} run: {}", plane.server()));
        // Not the directory of the control plane itself: each has its own ca.crt.
        let simulator = Process::start(&binaries.path("iam-simulator"), &plane.directory().join("iam-simulator"))?;
        let url = &simulator.listening().url;
        narrator.say("IAM API", format!("a simulator of Cloud Services and Cloud Partner Navigator runs: {url}"));
        install(narrator, &plane)?;
        let mut operator = start_operator(narrator, &plane, &binaries.operator).await?;
        until_ready(&mut operator).await?;
        narrator.say("operator", format!("ready; it logs to {}", operator.log().display()));
        Ok(Self { operator, simulator, plane })
    }

    /// Where the operator serves its metrics, as its log says.
    pub fn address(&self) -> Result<String, Box<dyn Error>> {
        let log = std::fs::read_to_string(self.operator.log())?;
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let address = lines.filter_map(|line| line["address"].as_str().map(str::to_owned)).next_back();
        address.ok_or_else(|| "the operator does not say where it serves".into())
    }

    /// The log of the operator.
    pub fn log(&self) -> &Path {
        self.operator.log()
    }

    /// The process id of the operator.
    pub fn pid(&self) -> u32 {
        self.operator.pid()
    }

    /// Stops everything, the operator as Kubernetes would. After a failure it shows what the operator said last.
    pub fn clear(mut self, narrator: &Narrator, told: Result<(), Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
        narrator.chapter("The end");
        if told.is_err() {
            narrator.say("operator", format!("the end of its log, {}:", self.operator.log().display()));
            narrator.quote(&self.operator.log_tail(LOG_LINES));
        }
        let status = self.operator.stop(STOP_LIMIT)?;
        narrator.say("operator", format!("stopped by SIGTERM: {status}"));
        drop(self);
        narrator.say("demo", "nothing runs any more, and nothing is left behind");
        told
    }
}

fn cargo(narrator: &Narrator, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    narrator.say("$", format!("cargo {}", arguments.join(" ")));
    let status = Command::new(env!("CARGO")).args(arguments).status()?;
    if status.success() { Ok(()) } else { Err(format!("cargo {}: {status}", arguments.join(" ")).into()) }
}

/// Runs kubectl as administrator, in view of the user.
pub fn kubectl(narrator: &Narrator, plane: &ControlPlane, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let words = arguments.iter().map(|word| if word.contains('{') { format!("'{word}'") } else { (*word).to_owned() });
    narrator.say("$", format!("kubectl {}", words.collect::<Vec<_>>().join(" ")));
    // In a process group of its own, so that Ctrl-C does not look like a failure of kubectl.
    let output = plane.kubectl_command().args(arguments).process_group(0).output()?;
    narrator.quote(&String::from_utf8_lossy(&output.stdout));
    narrator.quote(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(format!("kubectl failed: {}", output.status).into()) }
}

fn install(narrator: &Narrator, plane: &ControlPlane) -> Result<(), Box<dyn Error>> {
    kubectl(narrator, plane, &["apply", "-k", "deploy"])?;
    // They are served at once then, and the garbage collector knows them.
    plane.install_crds(Path::new("crds/iamconnections.yaml"))?;
    plane.install_crds(Path::new("crds/orgoauthapps.yaml"))?;
    narrator
        .say("demo", "no kubelet here: the Deployment gets no pod, so its program runs as a process with its rights");
    Ok(())
}

async fn start_operator(
    narrator: &Narrator,
    plane: &ControlPlane,
    program: &Path,
) -> Result<Supervised, Box<dyn Error>> {
    let kubeconfig = plane.service_account(OPERATOR, OPERATOR).await?;
    let kubeconfig = plane.write_kubeconfig("operator", &kubeconfig)?;
    let mut command = Command::new(program);
    command.args(["run", "--http-addr=127.0.0.1:0", "--log-format=json"]).env("KUBECONFIG", kubeconfig);
    command.envs(of_image(&std::fs::read_to_string("Containerfile")?));
    narrator.say("operator", format!("starts as system:serviceaccount:{OPERATOR}:{OPERATOR}"));
    Ok(Supervised::spawn(&command, plane.directory().join("operator.log"))?)
}

/// The environment that the image sets.
fn of_image(containerfile: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = containerfile.lines().filter_map(|line| line.strip_prefix("ENV "));
    lines.flat_map(str::split_whitespace).filter_map(|variable| variable.split_once('='))
}

async fn until_ready(operator: &mut Supervised) -> Result<(), String> {
    let begin = Instant::now();
    while !operator.log_tail(LOG_LINES).contains(r#""message":"ready""#) {
        if !operator.is_running() || begin.elapsed() > START_LIMIT {
            return Err(format!("the operator does not become ready:\n{}", operator.log_tail(LOG_LINES)));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_runs_in_the_environment_of_the_image() {
        let set: Vec<_> = of_image(include_str!("../../../Containerfile")).collect();
        assert!(set.contains(&("MALLOC_ARENA_MAX", "1")), "{set:?}");
    }
}
