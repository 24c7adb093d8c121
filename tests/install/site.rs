//! A fresh control plane with nothing installed, an IAM simulator, and the pods of the Deployment as processes:
//! with its arguments, its environment and its ServiceAccount, as many as it has replicas.

use crate::helm::{NAME, helm, repository, run};
use control_plane::binaries::{self, Tool};
use control_plane::{ControlPlane, Supervised};
use iam_simulator::Simulator;
use iam_simulator::client::Control;
use iam_simulator::types::{CallFilter, Flavor, Operation};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

/// The organization of `deploy/examples/org-oauth-app.yaml`.
const ORG: &str = "2f0c6f0e-7d0a-4c3b-9a55-0f2f5b1c9e10";
const DEADLINE: Duration = Duration::from_secs(90);

pub struct Site {
    // Dropped first: clients of the servers below.
    replicas: Vec<Supervised>,
    pub plane: ControlPlane,
    pub control: Control,
    simulator: Simulator,
}

impl Site {
    pub async fn fresh() -> Self {
        let simulator = Simulator::spawn();
        let control = simulator.control();
        control.seed_org(Flavor::Csp, ORG, true).await.unwrap();
        control.seed_client(Flavor::Csp, ORG, "the-operator", "the-operator").await.unwrap();
        Self { replicas: Vec::new(), plane: ControlPlane::start().unwrap(), control, simulator }
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.plane.kubectl(arguments).unwrap()
    }

    pub fn get(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.kubectl(&[&["get", "-o=json"], arguments].concat())).unwrap()
    }

    pub fn exists(&self, arguments: &[&str]) -> bool {
        !self.kubectl(&[&["get", "--ignore-not-found", "-o=name"], arguments].concat()).is_empty()
    }

    /// Runs commands of the guide as a user would, in the repository.
    pub fn follow(&self, commands: &str) {
        let programs = binaries::provide(&[Tool::Kubectl, Tool::Helm]).unwrap();
        let system = std::env::var_os("PATH").unwrap_or_default();
        let ours = programs.iter().filter_map(|(_, program, _)| Some(program.parent()?.to_owned()));
        let path = std::env::join_paths(ours.chain(std::env::split_paths(&system))).unwrap();
        let mut shell = Command::new("sh");
        shell.env("PATH", path).env("KUBECONFIG", self.plane.admin_kubeconfig());
        run(shell.args(["-ec", commands])).unwrap_or_else(|said| panic!("{commands}: {said}"));
    }

    /// Helm on this control plane.
    pub fn helm(&self, namespace: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = helm();
        command.env("KUBECONFIG", self.plane.admin_kubeconfig());
        run(command.args(arguments).args(["--namespace", namespace]))
    }

    /// Replaces what ran before by what the Deployment says now.
    pub async fn roll_out(&mut self) {
        self.stop();
        let deployment = self.get(&["-n", NAME, "deployment", NAME]);
        let pod = &deployment["spec"]["template"]["spec"];
        let account = self.plane.service_account(NAME, pod["serviceAccountName"].as_str().unwrap()).await.unwrap();
        let kubeconfig = self.plane.write_kubeconfig("pod", &account).unwrap();
        let container = &pod["containers"][0];
        let strings = |list: &Value| -> Vec<String> { serde_json::from_value(list.clone()).unwrap() };
        for replica in 0..deployment["spec"]["replicas"].as_u64().unwrap() {
            let mut command = Command::new(env!("CARGO_BIN_EXE_oauth-app-operator"));
            command.args(strings(&container["args"])).env("KUBECONFIG", &kubeconfig);
            // Pods have an address each, these processes share one.
            command.env("HTTP_ADDR", "127.0.0.1:0");
            self.start(&command, &format!("replica-{replica}"));
        }
    }

    /// Starts one more replica, and gives its process id.
    pub fn start(&mut self, command: &Command, name: &str) -> u32 {
        let log = self.plane.directory().join(format!("{name}.log"));
        let replica = Supervised::spawn(command, log).unwrap();
        let pid = replica.pid();
        self.replicas.push(replica);
        pid
    }

    pub fn replicas(&self) -> usize {
        self.replicas.len()
    }

    /// SIGTERM to every replica, as when pods are deleted.
    pub fn stop(&mut self) {
        for mut replica in self.replicas.drain(..) {
            let ended = replica.stop(Duration::from_secs(30)).unwrap();
            assert!(ended.success(), "{ended}: {}", replica.log_tail(20));
        }
    }

    /// The certificate authority of the simulator.
    pub fn authority(&self) -> &str {
        self.simulator.ca_pem()
    }

    /// The platform team's part: the credential, and a connection to the simulator.
    pub fn connect(&self) {
        self.connect_by(&self.connection());
    }

    /// The same with this connection.
    pub fn connect_by(&self, connection: &Value) {
        self.apply_as_admin(&json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "iam-credentials", "namespace": NAME},
                "stringData": {"client-id": "the-operator", "client-secret": "the-operator"}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "simulator", "namespace": NAME},
                "data": {"ca.crt": self.authority()}},
        ]}));
        self.apply_as_admin(connection);
    }

    /// `deploy/examples/iam-connection.yaml` towards the simulator, for every namespace.
    pub fn connection(&self) -> Value {
        let example = std::fs::read_to_string(repository().join("deploy/examples/iam-connection.yaml")).unwrap();
        let mut connection: Value = serde_saphyr::from_str(&example).unwrap();
        connection["spec"]["endpoint"] = self.simulator.endpoint(Flavor::Csp).into();
        connection["spec"]["caBundle"] = json!({"configMapRef": {"name": "simulator", "key": "ca.crt"}});
        connection["spec"]["resyncInterval"] = "1s".into();
        connection["spec"]["grants"][0]["namespaces"] = json!({"from": "All"});
        connection
    }

    fn apply_as_admin(&self, object: &Value) {
        self.plane.kubectl_with_input(&["apply", "-f", "-"], &object.to_string()).unwrap();
    }

    /// A namespace with a user who may edit it; gives the user's kubeconfig.
    pub fn team(&self, namespace: &str) -> String {
        if !self.exists(&["namespace", namespace]) {
            self.kubectl(&["create", "namespace", namespace]);
        }
        let (user, flag) = (format!("user-of-{namespace}"), format!("--user=user-of-{namespace}"));
        self.kubectl(&["create", "rolebinding", "team", "-n", namespace, "--clusterrole=edit", &flag]);
        let user = self.plane.write_kubeconfig(&user, &self.plane.user(&user, None).unwrap()).unwrap();
        user.display().to_string()
    }

    /// The team's part: `deploy/examples/org-oauth-app.yaml` in its namespace.
    pub async fn apply_app(&self, namespace: &str, user: &str) {
        let example = std::fs::read_to_string(repository().join("deploy/examples/org-oauth-app.yaml")).unwrap();
        let app = example.replace("namespace: billing", &format!("namespace: {namespace}"));
        // The rights of the user take a moment: a controller adds them to the role `edit`.
        self.until("the user may apply an app", || {
            self.plane.kubectl_with_input(&["--kubeconfig", user, "apply", "-f", "-"], &app).is_ok()
        })
        .await;
    }

    /// The main job as a team sees it: an app that is Ready and a credential that works.
    pub async fn until_served(&self, namespace: &str) {
        let served = || async {
            let secret = ["-n", namespace, "get", "secret", "billing-export", "-o=json"];
            let secret: Value = serde_json::from_str(&self.plane.kubectl(&secret).ok()?).ok()?;
            let text = |key: &str| {
                use base64::Engine;
                let value = base64::engine::general_purpose::STANDARD.decode(secret["data"][key].as_str()?).ok()?;
                String::from_utf8(value).ok()
            };
            self.control.token(Flavor::Csp, ORG, &text("client-id")?, &text("client-secret")?).await.ok()
        };
        self.kubectl(&["-n", namespace, "wait", "--for=condition=Ready", "ooa/billing-export", "--timeout=90s"]);
        assert!(served().await.is_some(), "the credential of {namespace} does not work");
    }

    /// Until an operator that was started again has looked at the app.
    pub async fn until_looked_at(&self, namespace: &str) {
        let at = format!("oauth-apps.dev/reconcile-requested-at={:?}", Instant::now());
        self.kubectl(&["-n", namespace, "annotate", "ooa", "billing-export", "--overwrite", &at]);
        let echo = ["-n", namespace, "get", "ooa", "billing-export", "-o=jsonpath={.status.lastHandledReconcileAt}"];
        self.until("the app was looked at", || at.ends_with(&format!("={}", self.kubectl(&echo)))).await;
    }

    /// How many apps were ever created at the API, and how many are there.
    pub async fn created_and_there(&self) -> (u64, usize) {
        let created = CallFilter { performed: Some(true), ..CallFilter::operation(Operation::CreateApp) };
        (self.control.count(&created).await.unwrap(), self.control.apps().await.unwrap().len())
    }

    pub async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        self.until_or(holds, || what.to_owned()).await;
    }

    /// The same, with words about what it is like when the time is over.
    pub async fn until_or(&self, holds: impl Fn() -> bool, what: impl Fn() -> String) {
        let begin = Instant::now();
        while !holds() {
            let logs = || self.replicas.iter().map(|replica| replica.log_tail(20)).collect::<String>();
            assert!(begin.elapsed() < DEADLINE, "not so after {DEADLINE:?}: {}\n{}", what(), logs());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
