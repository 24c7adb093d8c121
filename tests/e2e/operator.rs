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
    process: Option<Supervised>,
}

impl Operator {
    /// Not yet started; watches one namespace and keeps its log in `directory`.
    pub async fn new(namespace: &str, directory: &Path) -> Self {
        let kubeconfig = plane().service_account(OPERATOR_NAMESPACE, "oauth-app-operator").await.unwrap();
        let kubeconfig = plane().write_kubeconfig(&format!("operator-{namespace}"), &kubeconfig).unwrap();
        Self { kubeconfig, log: directory.join("operator.log"), namespaces: vec![namespace.into()], process: None }
    }

    /// The binary with this installation's flags.
    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oauth-app-operator"));
        command.env("KUBECONFIG", &self.kubeconfig);
        command.args(["run", "--operator-namespace", OPERATOR_NAMESPACE]);
        command.args(["--watch-namespace", &self.namespaces.join(",")]);
        command.args(["--http-addr", "127.0.0.1:0", "--log-level", "trace", "--log-format", "json"]);
        command
    }

    /// From the next start on it watches this namespace too.
    pub fn watch_too(&mut self, namespace: &str) {
        self.namespaces.push(namespace.into());
    }

    pub fn start(&mut self) {
        assert!(self.process.is_none(), "the operator runs already");
        self.process = Some(Supervised::spawn(&self.command(), &self.log).unwrap());
    }

    /// Kill -9, wherever it is.
    pub fn kill(&mut self) {
        self.process.take().expect("the operator runs").kill().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.take().expect("the operator runs").stop(Duration::from_secs(30)).unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}
