//! The operator's binary under the shipped ServiceAccount, as a process that can be killed.

use crate::cluster::{OPERATOR_NAMESPACE, plane};
use control_plane::Supervised;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// One installation of the operator: it may be started, killed and started again, into one log.
pub struct Operator {
    kubeconfig: PathBuf,
    log: PathBuf,
    namespaces: Vec<String>,
    collector: Option<String>,
    process: Option<Supervised>,
}

impl Operator {
    /// Not yet started; watches one namespace and keeps its log in `directory`.
    pub async fn new(namespace: &str, directory: &Path) -> Self {
        let kubeconfig = plane().service_account(OPERATOR_NAMESPACE, "oauth-app-operator").await.unwrap();
        let kubeconfig = plane().write_kubeconfig(&format!("operator-{namespace}"), &kubeconfig).unwrap();
        Self {
            kubeconfig,
            log: directory.join("operator.log"),
            namespaces: vec![namespace.into()],
            collector: None,
            process: None,
        }
    }

    /// From the next start on it watches this namespace too.
    pub fn watch_too(&mut self, namespace: &str) {
        self.namespaces.push(namespace.into());
    }

    /// From the next start on it sends traces there.
    pub fn trace_to(&mut self, collector: String) {
        self.collector = Some(collector);
    }

    /// Leads without an election, since many run at once.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "the operator runs already");
        let mut command = command(&self.kubeconfig, &self.namespaces.join(","));
        command
            .arg("--leader-election=false")
            .envs(self.collector.iter().map(|url| ("OTEL_EXPORTER_OTLP_ENDPOINT", url)));
        self.process = Some(Supervised::spawn(&command, &self.log).unwrap());
    }

    /// Kill -9, wherever it is.
    pub fn kill(&mut self) {
        self.process.take().expect("the operator runs").kill().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.take().expect("the operator runs").stop(Duration::from_secs(30)).unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the operator runs").pid()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// The binary as the user of this kubeconfig.
pub fn command(kubeconfig: &Path, namespaces: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oauth-app-operator"));
    command.env("KUBECONFIG", kubeconfig);
    command.args(["run", "--operator-namespace", OPERATOR_NAMESPACE, "--watch-namespace", namespaces]);
    command.args(["--http-addr", "127.0.0.1:0", "--log-level", "trace", "--log-format", "json"]);
    command
}
