//! What one test has for itself: a [`TestEnv`] with a namespace, an organization, a connection and an operator.
//! When it is dropped it proves that no secret value is in a log, an Event or a status.

mod apps;
mod connection;
mod leaks;
mod observations;
mod secrets;

use crate::cluster::{OPERATOR_NAMESPACE, plane};
use control_plane::Scratch;
use iam_simulator::types::Flavor;
use kube::Client;
use leaks::KnownSecrets;
use serde_json::json;
use std::ops::{Deref, Range};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use test_environment::{Backend, Operator, TestEnv, operator_kubeconfig};

/// Longer than the operator waits for an API that may lag, which is two minutes.
const DEADLINE: Duration = Duration::from_secs(240);

/// Each API, and how a test names the namespace in which it tries it.
pub(crate) const EACH: [(&str, Flavor); 3] = [("csp", Flavor::Csp), ("cpn", Flavor::Cpn), ("broker", Flavor::Broker)];

/// An environment with one tenant, on the control plane that all tests share.
pub(crate) struct TenantEnv {
    pub namespace: String,
    pub flavor: Flavor,
    pub org: String,
    pub client: Client,
    known_secrets: KnownSecrets,
    env: TestEnv,
    _scratch: Scratch,
}

impl TenantEnv {
    /// A namespace, a simulator that knows one organization, and an operator that does not run yet.
    pub(crate) async fn new(namespace: &str, flavor: Flavor) -> Self {
        let client = plane().admin_client().await.unwrap();
        plane().kubectl(&["create", "namespace", namespace]).unwrap();
        let mut env = TestEnv::new(plane().clone(), Backend::spawn());
        env.namespace = Some(namespace.to_owned());
        let org = format!("org-of-{namespace}");
        env.control.seed_org(flavor, &org, true).await.unwrap();
        let scratch = Scratch::new().unwrap();
        let kubeconfig = operator_kubeconfig(plane(), &format!("operator-{namespace}")).await.unwrap();
        // It leads without an election, since many run at once.
        let mut command = operator_command(&kubeconfig, namespace);
        command.env("LEADER_ELECTION", "false");
        env.operators.push(Operator::new(command, scratch.path().join("operator.log")));
        let (namespace, known_secrets) = (namespace.to_owned(), KnownSecrets::default());
        Self { namespace, flavor, org, client, known_secrets, env, _scratch: scratch }
    }

    /// The same with a working connection and the operator at work.
    pub(crate) async fn running(namespace: &str, flavor: Flavor) -> Self {
        let env = Self::new(namespace, flavor).await;
        env.give_credentials().await;
        env.connect(json!({})).await;
        env.operator().start().unwrap();
        env
    }

    /// From the next start on the operator watches this namespace too.
    pub(crate) fn watch(&self, other: &str) {
        self.operator().set("WATCH_NAMESPACE", &format!("{},{other}", self.namespace));
    }

    /// Kill -9 at random moments, each so many milliseconds after the last start.
    pub(crate) async fn kill_repeatedly(&self, times: usize, after_ms: Range<u64>) {
        for _ in 0..times {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(after_ms.clone()))).await;
            self.operator().kill().unwrap();
            self.operator().start().unwrap();
        }
    }

    /// Looks until it holds; past the deadline it fails and shows everything that helps.
    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        self.env.until(DEADLINE, what, holds).await.unwrap_or_else(|error| panic!("{error}"));
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        plane().kubectl(&[&["-n", &self.namespace], arguments].concat()).unwrap()
    }
}

impl Deref for TenantEnv {
    type Target = TestEnv;

    fn deref(&self) -> &TestEnv {
        &self.env
    }
}

impl Drop for TenantEnv {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_no_leak();
            self.assert_each_key_once();
        }
    }
}

/// The binary as the user of this kubeconfig.
pub(crate) fn operator_command(kubeconfig: &Path, namespace: &str) -> Command {
    let mut command = test_environment::command(Path::new(env!("CARGO_BIN_EXE_oauth-app-operator")), kubeconfig);
    command.args(["run", "--operator-namespace", OPERATOR_NAMESPACE, "--log-level", "trace", "--log-format", "json"]);
    command.env("WATCH_NAMESPACE", namespace);
    command
}
