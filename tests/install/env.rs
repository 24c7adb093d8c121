//! A [`TestEnv`] with nothing installed, and what the guide has people do there: install, connect, apply an app, look at it.
//! The pods of the Deployment are processes, as many as it has replicas.

use crate::helm::{program, run};
use control_plane::binaries::{self, Tool};
use iam_simulator::types::{CallFilter, Flavor, Operation};
use serde_json::{Value, json};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use test_environment::examples::{self, AUTHORITY, ORG};
use test_environment::{Deployment, Operator, TestEnv, manifests};

const DEADLINE: Duration = Duration::from_secs(90);
/// The OAuth app as which the operator calls.
const IDENTITY: &str = "the-operator";

/// An environment to install into.
pub(crate) struct InstallEnv {
    env: TestEnv,
    /// Helm of the user who installs.
    pub(crate) helm: Tool,
}

impl Deref for InstallEnv {
    type Target = TestEnv;

    fn deref(&self) -> &TestEnv {
        &self.env
    }
}

impl DerefMut for InstallEnv {
    fn deref_mut(&mut self) -> &mut TestEnv {
        &mut self.env
    }
}

impl InstallEnv {
    pub(crate) async fn new() -> Self {
        Self::with(Tool::Helm).await
    }

    /// For a user with Helm of this version.
    pub(crate) async fn with(helm: Tool) -> Self {
        let env = TestEnv::start().unwrap();
        env.control.seed_org(Flavor::Csp, ORG, true).await.unwrap();
        env.control.seed_client(Flavor::Csp, ORG, IDENTITY, IDENTITY).await.unwrap();
        Self { env, helm }
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster.kubectl(arguments).unwrap()
    }

    pub(crate) fn get(&self, arguments: &[&str]) -> Value {
        self.cluster.get(arguments).unwrap()
    }

    pub(crate) fn exists(&self, arguments: &[&str]) -> bool {
        self.cluster.exists(arguments).unwrap()
    }

    /// Runs commands of the guide as a user would, in the repository.
    pub(crate) fn follow(&self, commands: &str) {
        let programs = binaries::provide(&[Tool::Kubectl, self.helm]).unwrap();
        let system = std::env::var_os("PATH").unwrap_or_default();
        let ours = programs.iter().filter_map(|(_, program, _)| Some(program.parent()?.to_owned()));
        let path = std::env::join_paths(ours.chain(std::env::split_paths(&system))).unwrap();
        let mut shell = Command::new("sh");
        shell.env("PATH", path).env("KUBECONFIG", self.cluster.admin_kubeconfig());
        run(shell.args(["-ec", commands])).unwrap_or_else(|said| panic!("{commands}: {said}"));
    }

    /// Helm on this control plane.
    pub(crate) fn helm(&self, namespace: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = program(self.helm);
        command.env("KUBECONFIG", self.cluster.admin_kubeconfig());
        run(command.args(arguments).args(["--namespace", namespace]))
    }

    /// Replaces the replicas that run by those of the Deployment.
    pub(crate) async fn roll_out(&mut self) {
        self.stop();
        let program = Path::new(env!("CARGO_BIN_EXE_oauth-app-operator"));
        let deployment = Deployment::read(&self.cluster).unwrap().expect("the Deployment is installed");
        for n in 0..deployment.replicas {
            let replica = deployment.replica(&self.cluster, program, &format!("replica-{n}")).await.unwrap();
            self.start(replica);
        }
    }

    /// Starts one more replica, and gives its process id.
    pub(crate) fn start(&mut self, replica: Operator) -> u32 {
        replica.start().unwrap();
        let pid = replica.pid().unwrap();
        self.operators.push(replica);
        pid
    }

    pub(crate) fn replicas(&self) -> usize {
        self.operators.len()
    }

    /// SIGTERM to every replica, as when pods are deleted.
    pub(crate) fn stop(&mut self) {
        self.stop_operators().unwrap();
    }

    /// The platform team's part: the credentials, and a connection to the simulator.
    pub(crate) fn connect(&self) {
        self.connect_by(&self.connection());
    }

    /// The same with this connection.
    pub(crate) fn connect_by(&self, connection: &Value) {
        let credentials = manifests::credentials("iam-credentials", IDENTITY, IDENTITY);
        let authority = manifests::authority(AUTHORITY.0, &self.backend);
        self.cluster.apply(&manifests::list(&[credentials, authority])).unwrap();
        self.cluster.apply(connection).unwrap();
    }

    /// `deploy/examples/iam-connection.yaml` towards the simulator, for every namespace.
    pub(crate) fn connection(&self) -> Value {
        let example = examples::with_backend(&self.backend, &examples::read("iam-connection.yaml").unwrap());
        let mut connection: Value = serde_saphyr::from_str(&example).unwrap();
        connection["spec"]["resyncInterval"] = "1s".into();
        connection["spec"]["grants"][0]["namespaces"] = json!({"from": "All"});
        connection
    }

    /// A namespace with a user who may edit it; gives the user's kubeconfig.
    pub(crate) fn team(&self, namespace: &str) -> String {
        if !self.exists(&["namespace", namespace]) {
            self.kubectl(&["create", "namespace", namespace]);
        }
        self.cluster.namespace_editor(namespace).unwrap().display().to_string()
    }

    /// The team's part: `deploy/examples/org-oauth-app.yaml` in its namespace.
    pub(crate) async fn apply_app(&self, namespace: &str, user: &str) {
        let example = examples::read("org-oauth-app.yaml").unwrap();
        let app = example.replace("namespace: billing", &format!("namespace: {namespace}"));
        // The rights of the user take a moment: a controller adds them to the role `edit`.
        self.until("the user may apply an app", || {
            self.cluster.kubectl_with_input(&["--kubeconfig", user, "apply", "-f", "-"], &app).is_ok()
        })
        .await;
    }

    /// The main job as a team sees it: an app that is Ready and a credential that works.
    pub(crate) async fn until_served(&self, namespace: &str) {
        self.kubectl(&["-n", namespace, "wait", "--for=condition=Ready", "ooa/billing-export", "--timeout=90s"]);
        let value = |key: &str| {
            let path = format!("-o=go-template={{{{index .data \"{key}\" | base64decode}}}}");
            self.kubectl(&["-n", namespace, "get", "secret", "billing-export", &path])
        };
        let token = self.control.token(Flavor::Csp, ORG, &value("client-id"), &value("client-secret")).await;
        assert!(token.is_ok(), "the credential of {namespace} does not work: {token:?}");
    }

    /// Until an operator that was started again has reconciled the app.
    pub(crate) async fn until_reconciled(&self, namespace: &str) {
        let at = format!("oauth-apps.dev/reconcile-requested-at={:?}", Instant::now());
        self.kubectl(&["-n", namespace, "annotate", "ooa", "billing-export", "--overwrite", &at]);
        let echo = ["-n", namespace, "get", "ooa", "billing-export", "-o=jsonpath={.status.lastHandledReconcileAt}"];
        self.until("the app is reconciled", || at.ends_with(&format!("={}", self.kubectl(&echo)))).await;
    }

    /// How many apps were ever created with the API, and how many exist.
    pub(crate) async fn created_and_there(&self) -> (u64, usize) {
        let created = CallFilter { performed: Some(true), ..CallFilter::operation(Operation::CreateApp) };
        (self.control.count(&created).await.unwrap(), self.control.apps().await.unwrap().len())
    }

    /// The calls that changed something with the API, as operation and path.
    pub(crate) async fn api_writes(&self) -> Vec<(Operation, String)> {
        let calls = self.control.calls(&CallFilter::default()).await.unwrap();
        calls.into_iter().filter(|call| is_write(call.operation)).map(|call| (call.operation, call.path)).collect()
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        self.until_or(holds, || what.to_owned()).await;
    }

    /// The same, with words about what it is like when the time is over.
    pub(crate) async fn until_or(&self, holds: impl Fn() -> bool, what: impl Fn() -> String) {
        let waited = self.env.until(DEADLINE, "", async || holds()).await;
        waited.unwrap_or_else(|error| panic!("{}: {error}", what()));
    }
}

fn is_write(operation: Operation) -> bool {
    use Operation::*;
    match operation {
        CreateApp | UpdateApp | DeleteApps | RotateSecret | RegenerateSecret | EndOverlap | SelfRotate => true,
        AddClients | RemoveClients | PatchClientRoles => true,
        GetApp | ListApps | SearchApps | GetClient | ListClients | GetClientRoles | OrgRoles => false,
        Token | ApiTokenDetails | Unknown => false,
    }
}
