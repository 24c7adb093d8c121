//! A running control plane and the ways into it.
//! It holds processes and files only, so tests with a runtime each can share one.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use kube::config::Kubeconfig;

use crate::binaries::{self, Kubernetes, Programs, Tool};
use crate::certificates::Authority;
use crate::kubeconfig::{self, Endpoint};
use crate::{AuditRecord, Error, Scratch, Supervised, audit, readiness, servers};

/// How long the tokens of ServiceAccounts are good: longer than any test.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

const ADMIN_KUBECONFIG: &str = "admin.kubeconfig";

/// A Kubernetes control plane of one's own. Dropping it, or the end of this process, ends everything it started.
#[derive(Debug)]
pub struct ControlPlane {
    // Fields are dropped in this order: clients of a server before it, the directory last.
    controller_manager: Mutex<Supervised>,
    _apiserver: Supervised,
    _etcd: Supervised,
    authority: Authority,
    endpoint: Endpoint,
    pub(crate) kubectl: PathBuf,
    controller_manager_program: PathBuf,
    admin_kubeconfig: PathBuf,
    kubernetes: Kubernetes,
    scratch: Scratch,
}

impl ControlPlane {
    /// The control plane of this process, started on first use. Blocks the thread for some seconds.
    ///
    /// # Panics
    /// When it does not start: no test could go on.
    pub fn shared() -> &'static Arc<Self> {
        static SHARED: OnceLock<Arc<ControlPlane>> = OnceLock::new();
        SHARED.get_or_init(|| match Self::start() {
            Ok(plane) => Arc::new(plane),
            Err(error) => panic!("{error}"),
        })
    }

    /// Provides the programs if need be (minutes, the first time), starts a control plane of the
    /// [selected](Kubernetes::selected) version and waits until it serves.
    ///
    /// # Errors
    /// When a program cannot be provided, does not start, or is not ready within a minute.
    pub fn start() -> Result<Self, Error> {
        Self::start_version(Kubernetes::selected()?)
    }

    /// As [`Self::start`], of this version.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_version(kubernetes: Kubernetes) -> Result<Self, Error> {
        let programs = binaries::provide_for(kubernetes, &Tool::CONTROL_PLANE)?;
        match Self::start_once(kubernetes, &programs) {
            // Between the choice of a port and its use another process may take it.
            Err(Error::Ended { log, .. }) if log.contains("address already in use") => {
                Self::start_once(kubernetes, &programs)
            }
            result => result,
        }
    }

    fn start_once(kubernetes: Kubernetes, programs: &Programs) -> Result<Self, Error> {
        let scratch = Scratch::new().map_err(Error::io("make a temporary directory"))?;
        let directory = scratch.path().to_owned();
        let authority = Authority::new()?;
        let port = free_port()?;
        let endpoint = Endpoint { server: format!("https://127.0.0.1:{port}"), authority: authority.pem() };
        write_files(&directory, &authority, &endpoint)?;

        let spawn = |command: Command, log: &str| {
            let what = format!("start {}", command.get_program().display());
            Supervised::spawn(&command, directory.join(log)).map_err(Error::io(what))
        };
        let mut etcd = spawn(servers::etcd(programs.path(Tool::Etcd), &directory), "etcd.log")?;
        let apiserver = servers::kube_apiserver(programs.path(Tool::KubeApiserver), &directory, port);
        let mut apiserver = spawn(apiserver, "apiserver.log")?;
        let admin_kubeconfig = directory.join(ADMIN_KUBECONFIG);
        let admin = Kubeconfig::read_from(&admin_kubeconfig)?;
        readiness::apiserver(&admin, [&mut apiserver, &mut etcd])?;

        let controller_manager_program = programs.path(Tool::KubeControllerManager).to_owned();
        let command = servers::kube_controller_manager(&controller_manager_program, &directory);
        let mut controller_manager = spawn(command, "controller-manager.log")?;
        readiness::controller_manager(&admin, [&mut controller_manager, &mut apiserver])?;
        Ok(Self {
            controller_manager: Mutex::new(controller_manager),
            _apiserver: apiserver,
            _etcd: etcd,
            authority,
            endpoint,
            kubectl: programs.path(Tool::Kubectl).to_owned(),
            controller_manager_program,
            admin_kubeconfig,
            kubernetes,
            scratch,
        })
    }

    /// The version that it was started with.
    pub fn kubernetes(&self) -> Kubernetes {
        self.kubernetes
    }

    /// The directory of its logs and data; room for files that shall go with it.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// The URL of the apiserver.
    pub fn server(&self) -> &str {
        &self.endpoint.server
    }

    /// The kubeconfig file of user `admin`, who may do everything.
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.admin_kubeconfig
    }

    /// A client as `admin`, for the current runtime.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub async fn admin_client(&self) -> Result<kube::Client, Error> {
        kubeconfig::client(&Kubeconfig::read_from(&self.admin_kubeconfig)?).await
    }

    /// A user with a certificate, and with the rights that RBAC gives the name and the group: none by itself.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn user(&self, name: &str, group: Option<&str>) -> Result<Kubeconfig, Error> {
        self.endpoint.with_certificate(&self.authority.client(name, group)?)
    }

    /// A ServiceAccount that exists, with a token for 24 hours, at home in its namespace.
    ///
    /// # Errors
    /// When the apiserver gives no token, because there is no such ServiceAccount for instance.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<Kubeconfig, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin_client().await?, namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..Default::default() };
        let request = TokenRequest { spec, ..Default::default() };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        self.endpoint.with_token(namespace, &answer.status.map(|status| status.token).unwrap_or_default())
    }

    /// Writes a kubeconfig into [`Self::directory`] as `<name>.kubeconfig`, readable by this user only.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_kubeconfig(&self, name: &str, kubeconfig: &Kubeconfig) -> Result<PathBuf, Error> {
        let path = self.directory().join(format!("{name}.kubeconfig"));
        kubeconfig::write(kubeconfig, &path)?;
        Ok(path)
    }

    /// The calls of which `wanted` says so and whose record has the text `mentioned`, in the order in which they ended: every
    /// write, every read of Secrets and of `oauth-apps.dev` resources, and all of ServiceAccounts, but none of the control
    /// plane's own. A call is recorded right after its response, so the last ones may be missing for a few milliseconds; a
    /// watch is recorded when it ends.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn audit(&self, mentioned: &str, wanted: impl Fn(&AuditRecord) -> bool) -> Result<Vec<AuditRecord>, Error> {
        audit::read(&self.directory().join(servers::AUDIT_LOG), mentioned, wanted)
    }

    /// Applies a file or directory of CustomResourceDefinitions, waits until they are served, and lets the garbage
    /// collector know.
    ///
    /// # Errors
    /// When they are refused, or the controller manager does not start.
    pub fn install_crds(&self, path: &Path) -> Result<(), Error> {
        let path = path.display().to_string();
        self.kubectl(&["apply", "--server-side", "-f", &path])?;
        self.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "-f", &path])?;
        self.restart_controllers()
    }

    /// Restarts the controller manager: its garbage collector learns of new resources only every 30 s otherwise.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart_controllers(&self) -> Result<(), Error> {
        let mut running = self.controller_manager.lock().unwrap_or_else(PoisonError::into_inner);
        running.kill().map_err(Error::io("stop kube-controller-manager"))?;
        let command = servers::kube_controller_manager(&self.controller_manager_program, self.directory());
        let log = running.log().to_owned();
        *running = Supervised::spawn(&command, log).map_err(Error::io("start kube-controller-manager"))?;
        Ok(())
    }
}

fn free_port() -> Result<u16, Error> {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    Ok(address.map_err(Error::io("find a free port"))?.port())
}

/// Everything that the three programs read.
fn write_files(directory: &Path, authority: &Authority, endpoint: &Endpoint) -> Result<(), Error> {
    let server = authority.server(&["127.0.0.1", "localhost", "kubernetes.default.svc", "10.0.0.1"])?;
    let tokens = rcgen::KeyPair::generate()?;
    for (file, content) in [
        (servers::AUTHORITY, authority.pem()),
        (servers::SERVER_CERTIFICATE, server.certificate),
        (servers::SERVER_KEY, server.key),
        (servers::TOKEN_KEY, tokens.serialize_pem()),
        (servers::TOKEN_PUBLIC_KEY, tokens.public_key_pem()),
        (servers::AUDIT_POLICY, audit::POLICY.to_owned()),
    ] {
        kubeconfig::write_private(&directory.join(file), content.as_bytes())?;
    }
    for (file, user) in
        [(ADMIN_KUBECONFIG, "admin"), (servers::CONTROLLER_MANAGER_KUBECONFIG, "system:kube-controller-manager")]
    {
        let identity = authority.client(user, Some("system:masters"))?;
        kubeconfig::write(&endpoint.with_certificate(&identity)?, &directory.join(file))?;
    }
    Ok(())
}
