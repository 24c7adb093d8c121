//! Where a reader is: a control plane, a directory like a checkout, an IAM simulator in the place of the vendor's service,
//! and, in the place of a kubelet, somebody who starts the operator once its Deployment is there.

use crate::block::{Block, Mark, Text};
use crate::console;
use crate::shell::{self, Shell};
use control_plane::{ControlPlane, Scratch, Supervised};
use iam_simulator::types::{ApiTokenSeed, ClientSeed, Flavor, Human, OrgSeed, Seed};
use iam_simulator::{Options, Simulator};
use serde_json::{Map, Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where a document begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// A cluster with nothing in it.
    Empty,
    /// What the README leads to: the operator installed, a connection, an app that is Ready.
    Installed,
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

const OPERATOR: &str = "oauth-app-operator";
/// The identity that the reader has at the API.
const IDENTITY: &str = "Readers_own_token1";
/// The organizations of `deploy/examples`.
const ORGANIZATIONS: [(Flavor, &str); 2] =
    [(Flavor::Csp, "2f0c6f0e-7d0a-4c3b-9a55-0f2f5b1c9e10"), (Flavor::Cpn, "b7c1d6a2-4f0e-4c0d-8f51-5a7f1f2f9d33")];
/// The vendor's addresses, for which the simulator stands in.
const ENDPOINTS: [(Flavor, &str); 2] = [
    (Flavor::Csp, "https://console.cloud.vmware.com"),
    (Flavor::Cpn, "https://console.navigator.vmware.com/cphub/api/auth"),
];
/// The ConfigMap with the certificate of the simulator's authority.
const AUTHORITY: &str = "iam-simulator-ca";
/// The port that documents give to a simulator of the reader's own.
const PORT: &str = "8443";

const DEADLINE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Everything that runs; dropped in this order.
pub struct Stage {
    operator: Option<Supervised>,
    background: Vec<Supervised>,
    simulator: Simulator,
    shell: Shell,
    port: String,
    plane: ControlPlane,
    _scratch: Scratch,
}

impl Stage {
    /// Starts everything.
    pub async fn set(scene: Scene) -> Self {
        let plane = ControlPlane::start().unwrap();
        let simulator = Simulator::start(Options { port: 0, seed: seed() }).unwrap();
        make_apps_by_hand(&simulator).await;
        let scratch = Scratch::new().unwrap();
        let shell = Shell {
            directory: scratch.path().to_owned(),
            kubeconfig: plane.admin_kubeconfig().to_owned(),
            path: path(&plane, scratch.path()),
        };
        let port = free_port();
        let (operator, background) = (None, Vec::new());
        let mut stage = Self { operator, background, simulator, shell, port, plane, _scratch: scratch };
        stage.lay_out_checkout().unwrap();
        if scene == Scene::Installed {
            stage.shell.run(INSTALL, 1).unwrap();
            stage.follow_deployment().await;
            stage.shell.run(FIRST_APP, 1).unwrap_or_else(|error| panic!("{error}\n{}", stage.picture()));
        }
        stage
    }

    /// Does what a block says.
    pub async fn play(&mut self, block: &Block) -> Result<(), String> {
        let content = &self.adapted(&block.content);
        match (block.text, &block.mark) {
            (Text::Picture, _) | (_, Some(Mark::NoTest(_))) => {}
            (_, Some(Mark::File(name))) => std::fs::write(self.shell.directory.join(name), content).unwrap(),
            (Text::Sh, Some(Mark::Background)) => self.leave_running(content)?,
            (Text::Sh, None) => drop(self.shell.run(content, block.line)?),
            (Text::Yaml, None) => {
                let file = self.shell.directory.join("manifest.yaml");
                std::fs::write(&file, content).unwrap();
                self.shell.run("kubectl apply -f manifest.yaml", block.line)?;
            }
            (Text::Console, None) => self.talk(content)?,
            (Text::Json | Text::Other, None) => return Err("nothing that can be run or applied, and no file".into()),
            (Text::Console | Text::Yaml | Text::Json | Text::Other, Some(Mark::Background)) => {
                return Err("no command".into());
            }
        }
        self.follow_deployment().await;
        Ok(())
    }

    /// What helps to understand a failure: how the resources are, and the end of each log.
    pub fn picture(&self) -> String {
        let logs = self.operator.iter().chain(&self.background).map(|process| {
            let name = process.name();
            format!("the end of the log of {name}:\n{}", process.log_tail(20))
        });
        let state =
            self.shell.printed("kubectl get iamc,ooa,secrets -A -o wide; kubectl describe ooa -A | grep Message");
        [state].into_iter().chain(logs).collect::<Vec<_>>().join("\n")
    }

    fn leave_running(&mut self, content: &str) -> Result<(), String> {
        let mut command = self.shell.command("bash");
        command.arg("-c").arg(format!("exec {content}"));
        let log = self.shell.directory.join(format!("background-{}.log", self.background.len()));
        let mut process = Supervised::spawn(&command, log).map_err(|error| error.to_string())?;
        let begin = Instant::now();
        while process.log_tail(1).is_empty() {
            if !process.is_running() || begin.elapsed() > DEADLINE {
                return Err("it ended, or says nothing".into());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        self.background.push(process);
        Ok(())
    }

    /// A command that only looks is repeated until it shows what the document shows.
    fn talk(&self, content: &str) -> Result<(), String> {
        for (command, shown) in console::dialogue(content) {
            let begin = Instant::now();
            let looks = [" get ", " describe ", " events "].iter().any(|verb| command.contains(verb));
            loop {
                let printed = self.shell.printed(command);
                if console::fits(&shown, &printed) {
                    break;
                }
                if !looks || begin.elapsed() > DEADLINE {
                    return Err(format!("$ {command}\nprints\n{printed}\nand not\n{}", shown.join("\n")));
                }
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        Ok(())
    }

    /// A directory like a checkout after `cargo build`, in which the reader has also saved a credential and the certificate of
    /// a private authority.
    fn lay_out_checkout(&self) -> std::io::Result<()> {
        let (from, to) = (Path::new(env!("CARGO_MANIFEST_DIR")), &self.shell.directory);
        for directory in ["crds", "deploy"] {
            shell::copy(&from.join(directory), &to.join(directory), &|text| self.adapted(text))?;
        }
        for file in ["client-id.txt", "client-secret.txt"] {
            std::fs::write(to.join(file), IDENTITY)?;
        }
        std::fs::write(to.join("ca.pem"), self.simulator.ca_pem())?;
        let built = Path::new(env!("CARGO_BIN_EXE_oauth-app-operator")).ancestors().nth(2).unwrap_or(from);
        symlink(built, to.join("target"))?;
        let cargo = to.join("bin/cargo");
        std::fs::create_dir_all(to.join("bin"))?;
        std::fs::write(&cargo, format!("#!/bin/sh\ncd '{}' && exec '{}' \"$@\"\n", from.display(), env!("CARGO")))?;
        std::fs::set_permissions(cargo, std::fs::Permissions::from_mode(0o755))
    }

    /// With the simulator for the vendor's service, and a port that is free.
    fn adapted(&self, text: &str) -> String {
        let mut adapted = String::new();
        let has_authority = text.contains("caBundle:");
        for line in text.replace(PORT, &self.port).lines() {
            let (indent, key) = line.split_at(line.len() - line.trim_start().len());
            let vendor = ENDPOINTS.iter().find(|(_, address)| key == format!("endpoint: {address}"));
            match vendor {
                Some((flavor, _)) => {
                    adapted.push_str(&format!("{indent}endpoint: {}\n", self.simulator.endpoint(*flavor)));
                    if !has_authority {
                        let authority = format!("{{configMapRef: {{name: {AUTHORITY}, key: ca.crt}}}}");
                        adapted.push_str(&format!("{indent}caBundle: {authority}\n"));
                    }
                }
                None => adapted.push_str(&format!("{line}\n")),
            }
        }
        adapted
    }

    /// In the place of a kubelet: the operator runs, with the arguments and the ServiceAccount of its Deployment, while
    /// that is there.
    async fn follow_deployment(&mut self) {
        let arguments = "jsonpath={.spec.template.spec.containers[0].args}";
        let get = ["-n", OPERATOR, "get", "deployment", OPERATOR, "--ignore-not-found", "-o", arguments];
        let arguments = self.plane.kubectl(&get).unwrap();
        match (arguments.as_str(), &self.operator) {
            ("", _) => self.operator = None,
            (_, Some(_)) => {}
            (arguments, None) => {
                let arguments: Vec<String> = serde_json::from_str(arguments).unwrap();
                self.start_operator(&arguments).await;
            }
        }
    }

    async fn start_operator(&mut self, arguments: &[String]) {
        // The garbage collector learns of the new kinds at once then.
        for file in ["iamconnections.yaml", "orgoauthapps.yaml"] {
            self.plane.install_crds(&self.shell.directory.join("crds").join(file)).unwrap();
        }
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": AUTHORITY, "namespace": OPERATOR},
            "data": {"ca.crt": self.simulator.ca_pem()}});
        self.plane.kubectl_with_input(&["apply", "-f", "-"], &map.to_string()).unwrap();
        let kubeconfig = self.plane.service_account(OPERATOR, OPERATOR).await.unwrap();
        let kubeconfig = self.plane.write_kubeconfig("operator", &kubeconfig).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_oauth-app-operator"));
        command.args(arguments.iter().filter(|argument| !argument.starts_with("--http-addr")));
        command.arg("--http-addr=127.0.0.1:0").env("KUBECONFIG", kubeconfig);
        self.operator = Some(Supervised::spawn(&command, self.plane.directory().join("operator.log")).unwrap());
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

/// The apps that readers have from before: id and secret.
const BY_HAND: [(&str, &str); 2] = [("billing-2024", "Made_by_hand1"), ("reports-2024", "Made_by_hand2")];

async fn make_apps_by_hand(simulator: &Simulator) {
    let (flavor, org_id) = ORGANIZATIONS[0];
    for (id, secret) in BY_HAND {
        let fields: Map<String, Value> = serde_json::from_value(json!({
            "id": id, "secret": secret, "displayName": "Made by hand", "description": "Made by hand",
            "grantTypes": ["client_credentials"], "allowedScopes": {},
        }))
        .unwrap();
        simulator.control().human(Human::Create { flavor, org_id: org_id.into(), fields }).await.unwrap();
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
