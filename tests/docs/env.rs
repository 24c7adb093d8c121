//! Where a reader is: a [`TestEnv`], a directory like a checkout, and a shell in it. The simulator stands in for the vendor's
//! service, and the operator runs while its Deployment is there.

use crate::block::{Block, Mark, Text};
use crate::console;
use crate::shell::{self, Shell};
use control_plane::{ControlPlane, Scratch, Supervised};
use iam_simulator::client::Control;
use iam_simulator::types::{ApiTokenSeed, ClientSeed, Human, OrgSeed, Seed};
use iam_simulator::{Options, Simulator};
use serde_json::{Map, Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use test_environment::examples::{self, AUTHORITY, ORGANIZATIONS};
use test_environment::{Backend, Deployment, TestEnv, Wait, install_crds, manifests, repository};

/// What is there when a document begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A cluster with nothing in it.
    Empty,
    /// What the README leads to: the operator installed, a connection, an app that is Ready.
    Installed,
    /// What the first three steps of the first tutorial lead to: a simulator and an operator of the reader's own.
    Prepared,
}

/// The steps of the README.
const INSTALL: &str = "\
kubectl apply -k deploy
";
const FIRST_APP: &str = "\
kubectl -n oauth-app-operator create secret generic iam-credentials \\
  --from-file=client-id=client-id.txt --from-file=client-secret=client-secret.txt
kubectl apply -f deploy/examples/iam-connection.yaml
kubectl create namespace billing
kubectl apply -f deploy/examples/org-oauth-app.yaml
kubectl -n billing wait --for=condition=Ready ooa/billing-export
";

/// The identity that the reader has in the API.
const IDENTITY: &str = "Readers_own_token1";
/// The vendor's address in what a command prints.
const VENDOR: &str = "https://console.cloud.vmware.com";
/// The port that documents give to a simulator of the reader's own.
const PORT: &str = "8443";

const DEADLINE: Duration = Duration::from_secs(60);

/// Everything that runs; dropped in this order.
pub(crate) struct DocsEnv {
    background: Vec<Supervised>,
    pub env: TestEnv,
    pub shell: Shell,
    port: String,
    _scratch: Scratch,
}

impl DocsEnv {
    /// Starts everything.
    pub(crate) async fn new(start: Start) -> Self {
        let simulator = Simulator::start(Options { port: 0, seed: seed() }).unwrap();
        let cluster = Arc::new(ControlPlane::start().unwrap());
        let env = TestEnv::new(cluster, Backend::Thread(simulator));
        make_apps_by_hand(&env.control).await;
        let scratch = Scratch::new().unwrap();
        let shell = Shell {
            directory: scratch.path().to_owned(),
            kubeconfig: env.cluster.admin_kubeconfig().to_owned(),
            path: path(&env.cluster, scratch.path()),
        };
        let mut docs = Self { background: Vec::new(), env, shell, port: free_port(), _scratch: scratch };
        docs.lay_out_checkout().unwrap();
        if start == Start::Installed {
            docs.shell.run(INSTALL, 1).unwrap();
            docs.follow_deployment().await;
            match docs.shell.run(FIRST_APP, 1) {
                Ok(_) => {}
                Err(error) => panic!("{error}\n{}", docs.report().await),
            }
        }
        docs
    }

    /// Does what a block says.
    pub(crate) async fn run(&mut self, block: &Block) -> Result<(), String> {
        let content = &self.adapted(&block.content);
        match (block.text, &block.mark) {
            (Text::Picture, _) | (_, Some(Mark::NoTest(_))) => {}
            (_, Some(Mark::File(name))) => std::fs::write(self.shell.directory.join(name), content).unwrap(),
            (Text::Sh, Some(Mark::Background)) => self.leave_running(content).await?,
            (Text::Sh, None) => drop(self.shell.run(content, block.line)?),
            (Text::Yaml, None) => {
                let file = self.shell.directory.join("manifest.yaml");
                std::fs::write(&file, content).unwrap();
                self.shell.run("kubectl apply -f manifest.yaml", block.line)?;
            }
            (Text::Console, None) => {
                self.talk(&content.replace(VENDOR, &self.env.backend.endpoint(ORGANIZATIONS[0].0))).await?;
            }
            (Text::Json | Text::Other, None) => return Err("nothing that can be run or applied, and no file".into()),
            (Text::Console | Text::Yaml | Text::Json | Text::Other, Some(Mark::Background)) => {
                return Err("no command".into());
            }
        }
        self.follow_deployment().await;
        Ok(())
    }

    /// What helps to understand a failure.
    pub(crate) async fn report(&self) -> String {
        let logs = self.background.iter().map(|process| format!("{}:\n{}\n", process.name(), process.log_tail(20)));
        let secrets = self.shell.printed("kubectl get secrets -A -o wide");
        format!("{}{secrets}{}", self.env.report().await, logs.collect::<String>())
    }

    async fn leave_running(&mut self, content: &str) -> Result<(), String> {
        let mut command = self.shell.command("bash");
        command.arg("-c").arg(format!("exec {content}"));
        let log = self.shell.directory.join(format!("background-{}.log", self.background.len()));
        let mut process = Supervised::spawn(&command, log).map_err(|error| error.to_string())?;
        let speaks = async || {
            if !process.log_tail(1).is_empty() {
                Some(true)
            } else if process.is_running() {
                None
            } else {
                Some(false)
            }
        };
        if Wait::up_to(DEADLINE).value(speaks).await != Some(true) {
            return Err("it ended, or says nothing".into());
        }
        self.background.push(process);
        Ok(())
    }

    /// A command that only looks is repeated until it shows what the document shows.
    async fn talk(&self, content: &str) -> Result<(), String> {
        for (command, shown) in console::dialogue(content) {
            let looks = [" get ", " describe ", " events "].iter().any(|verb| command.contains(verb));
            let wait = Wait::up_to(if looks { DEADLINE } else { Duration::ZERO });
            let mut printed = String::new();
            let fits = async || {
                printed = self.shell.printed(command);
                console::fits(&shown, &printed)
            };
            if !wait.until(fits).await {
                return Err(format!("$ {command}\nprints\n{printed}\nand not\n{}", shown.join("\n")));
            }
        }
        Ok(())
    }

    /// A directory like a checkout after `cargo build`, in which the reader has also saved a credential and the certificate of
    /// a private authority.
    fn lay_out_checkout(&self) -> std::io::Result<()> {
        let (from, to) = (repository(), &self.shell.directory);
        for directory in ["crds", "deploy"] {
            shell::copy(&from.join(directory), &to.join(directory), &|text| self.adapted(text))?;
        }
        for file in ["client-id.txt", "client-secret.txt"] {
            std::fs::write(to.join(file), IDENTITY)?;
        }
        std::fs::write(to.join("ca.pem"), self.env.backend.ca_pem())?;
        let built = Path::new(env!("CARGO_BIN_EXE_oauth-app-operator")).ancestors().nth(2).unwrap_or(from);
        symlink(built, to.join("target"))?;
        let cargo = to.join("bin/cargo");
        std::fs::create_dir_all(to.join("bin"))?;
        symlink(env!("CARGO_BIN_EXE_oauth-app-operator"), to.join("bin/kubectl-oauth_app"))?;
        std::fs::write(&cargo, format!("#!/bin/sh\ncd '{}' && exec '{}' \"$@\"\n", from.display(), env!("CARGO")))?;
        std::fs::set_permissions(cargo, std::fs::Permissions::from_mode(0o755))
    }

    /// With the simulator for the vendor's service, and a port that is free.
    fn adapted(&self, text: &str) -> String {
        examples::with_backend(&self.env.backend, &text.replace(PORT, &self.port))
    }

    /// The operator runs while its Deployment is there.
    async fn follow_deployment(&mut self) {
        let cluster = &self.env.cluster;
        match Deployment::read(cluster).unwrap() {
            None => self.env.operators.clear(),
            Some(_) if !self.env.operators.is_empty() => {}
            Some(deployment) => {
                // The garbage collector learns of the new kinds at once then.
                install_crds(cluster).unwrap();
                cluster.apply(&manifests::authority(AUTHORITY.0, &self.env.backend)).unwrap();
                let program = Path::new(env!("CARGO_BIN_EXE_oauth-app-operator"));
                let operator = deployment.replica(cluster, program, "operator").await.unwrap();
                operator.start().unwrap();
                self.env.operators.push(operator);
            }
        }
    }
}

fn seed() -> Seed {
    let orgs = ORGANIZATIONS.map(|(flavor, id)| OrgSeed { flavor, id: id.into(), service: false });
    let api_tokens = ORGANIZATIONS.map(|(flavor, org)| ApiTokenSeed {
        flavor,
        value: IDENTITY.into(),
        org_id: org.into(),
        orgs: None,
        passcode: None,
        expires_at: None,
    });
    let clients = ORGANIZATIONS.map(|(flavor, org)| ClientSeed {
        flavor,
        id: IDENTITY.into(),
        secret: IDENTITY.into(),
        org_id: org.into(),
        orgs: None,
    });
    Seed { orgs: orgs.into(), api_tokens: api_tokens.into(), clients: clients.into(), ..Seed::default() }
}

/// The apps that readers have from before: id, secret and name.
const BY_HAND: [(&str, &str, &str); 2] =
    [("billing-2024", "Made_by_hand1", "Billing"), ("reports-2024", "Made_by_hand2", "Reports")];

async fn make_apps_by_hand(control: &Control) {
    let (flavor, org_id) = ORGANIZATIONS[0];
    for (id, secret, name) in BY_HAND {
        let fields: Map<String, Value> = serde_json::from_value(json!({
            "id": id, "secret": secret, "displayName": name, "description": "Made by hand",
            "grantTypes": ["client_credentials"], "allowedScopes": {},
        }))
        .unwrap();
        control.human(Human::Create { flavor, org_id: org_id.into(), fields }).await.unwrap();
    }
}

/// The control plane's kubectl, and a cargo that builds this repository, before all others.
fn path(plane: &ControlPlane, directory: &Path) -> String {
    let kubectl = PathBuf::from(plane.kubectl_command().get_program());
    let kubectl = kubectl.parent().unwrap_or(Path::new(".")).display().to_string();
    format!("{}:{kubectl}:{}", directory.join("bin").display(), std::env::var("PATH").unwrap_or_default())
}

fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}
