//! Runs the process: it waits until it can read what it watches, stands by until it leads, runs the controllers, and on a
//! signal drains and releases the Lease.

use crate::claim::ClaimKey;
use crate::cli::RunArgs;
use crate::cluster::claim_key;
use crate::cluster::client::{ClusterConfig, causes};
use crate::cluster::lenient::Lenient;
use crate::crd::{IamConnection, OrgOAuthApp};
use crate::lease::guard::LeadershipGuard;
use crate::lease::{self, Candidate};
use crate::metrics::{Metrics, Phase};
use crate::readiness::Readiness;
use crate::server::serve;
use crate::{controller, panics, proxy};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use hyper::header::{HeaderValue, USER_AGENT};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Client};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// Reconciliations in progress get this long after a signal. With the time to release the Lease it is less than the 30 s that
/// Kubernetes gives by default.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);
/// For all lists together; kube itself sets no read timeout.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(10);
const STARTUP_RETRY: Duration = Duration::from_secs(3);

/// Ends at the first signal.
type ShutdownSignal = Shared<BoxFuture<'static, ()>>;

/// Runs the operator until a signal.
///
/// # Errors
/// When it cannot run, or stops for another reason than a signal.
pub async fn run(arguments: RunArgs) -> Result<(), Box<dyn Error>> {
    panics::install_hook();
    let identity = lease::identity()?;
    proxy::validate()?;
    let cluster = ClusterConfig::load(None, None).await?;
    log_proxies(&cluster);
    let client = client(cluster, &identity)?;
    let settings = controller::Settings {
        guard: LeadershipGuard::Open,
        identity: identity.clone(),
        watch_secrets: arguments.watches_secrets(),
        operator_namespace: arguments.operator_namespace.unwrap_or_else(|| client.default_namespace().to_owned()),
        watch_namespaces: arguments.watch_namespace,
        max_kubernetes_requests: arguments.max_kubernetes_requests.into(),
    };
    log_start(&settings, arguments.leader_election);
    let readiness = Readiness::new(client.clone());
    let metrics = Arc::<Metrics>::default();
    let endpoint = serve_apart(arguments.http_addr, readiness.clone(), metrics.clone())?;
    let process = Process { identity, client, settings, metrics, readiness, shutdown: shutdown_signal()? };
    tokio::select! {
        ended = process.run(arguments.leader_election) => ended,
        ended = endpoint => {
            let error = match ended {
                Ok(Ok(())) => String::new(),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            Err(format!("cannot serve {}: {error}", arguments.http_addr).into())
        }
    }
}

/// Serves on a thread of its own, so that probes are answered however busy the controllers are.
fn serve_apart(
    address: SocketAddr,
    readiness: Readiness,
    metrics: Arc<Metrics>,
) -> io::Result<oneshot::Receiver<io::Result<()>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (sender, ended) = oneshot::channel();
    std::thread::Builder::new().name("http".into()).spawn(move || {
        sender.send(runtime.block_on(serve(address, readiness, metrics))).ok();
    })?;
    Ok(ended)
}

fn log_start(settings: &controller::Settings, leader_election: bool) {
    let controller::Settings {
        guard: _,
        identity,
        operator_namespace,
        watch_namespaces,
        watch_secrets,
        max_kubernetes_requests,
    } = settings;
    let watch_namespaces = watch_namespaces.join(",");
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(
        version,
        identity,
        operator_namespace,
        watch_namespaces,
        watch_secrets,
        max_kubernetes_requests,
        leader_election,
        "starting"
    );
}

/// Without a proxy there is no line.
fn log_proxies(cluster: &ClusterConfig) {
    if let Some(variables) = proxy::variables() {
        tracing::info!(variables, "requests go through proxies");
    }
    if let Some(proxy) = &cluster.proxy {
        tracing::info!(server = cluster.server(), %proxy, "the Kubernetes API server is reached through a proxy");
    }
}

fn client(mut cluster: ClusterConfig, identity: &str) -> Result<Client, Box<dyn Error>> {
    let agent = format!("{}/{} ({identity})", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    cluster.config.headers.push((USER_AGENT, HeaderValue::from_str(&agent)?));
    Ok(cluster.client()?)
}

fn shutdown_signal() -> io::Result<ShutdownSignal> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let either = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    };
    Ok(either.boxed().shared())
}

struct Process {
    identity: String,
    client: Client,
    settings: controller::Settings,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    shutdown: ShutdownSignal,
}

impl Process {
    async fn run(self, elects_leader: bool) -> Result<(), Box<dyn Error>> {
        tokio::select! {
            () = wait_for_access(&self.client, &self.settings) => {}
            () = self.shutdown.clone() => return Ok(()),
        }
        if elects_leader { self.run_as_leader().await } else { self.run_controllers().await }
    }

    /// A replica that loses leadership exits at once: the controllers are dropped with whatever they were doing.
    async fn run_as_leader(mut self) -> Result<(), Box<dyn Error>> {
        let leases = Api::namespaced(self.client.clone(), &self.settings.operator_namespace);
        let candidate = Candidate::new(leases, self.identity.clone());
        let leader = tokio::select! {
            leader = candidate.acquire(|| self.readiness.set(true)) => leader,
            () = self.shutdown.clone() => return Ok(()),
        };
        tracing::info!(identity = self.identity, "leading");
        self.settings.guard = leader.guard();
        let (done, is_done) = oneshot::channel::<()>();
        // A task of its own, so that it is polled however busy the controllers are.
        let mut held = tokio::spawn(leader.renew_until(async { drop(is_done.await) }));
        tokio::select! {
            biased;
            lost = &mut held => return Ok(lost??),
            ended = self.run_controllers() => ended?,
        }
        drop(done);
        Ok(held.await??)
    }

    /// Runs the controllers until a signal, and until the reconciliations that are then in progress have ended.
    async fn run_controllers(self) -> Result<(), Box<dyn Error>> {
        let Self { identity: _, client, settings, metrics, readiness, shutdown } = self;
        let claim_key = tokio::select! {
            key = wait_for_claim_key(&client, &settings.operator_namespace) => key,
            () = shutdown.clone() => return Ok(()),
        };
        metrics.leader.set(1);
        metrics.reached(Phase::Leading);
        readiness.set(false);
        let (ready, stopping, reached) = (readiness.clone(), shutdown.clone(), metrics.clone());
        let synced = move || {
            reached.reached(Phase::Synced);
            if stopping.peek().is_none() {
                ready.set(true);
                tracing::info!("ready");
            }
        };
        let (halt, halted) = oneshot::channel::<()>();
        let mut controllers =
            Box::pin(controller::run(client, settings, claim_key, metrics, synced, async { drop(halted.await) }));
        tokio::select! {
            () = &mut controllers => return Err("the watches ended".into()),
            () = shutdown => {}
        }
        tracing::info!("shutting down: waiting for the reconciliations in progress");
        readiness.set(false);
        drop(halt);
        if timeout(DRAIN_TIMEOUT, controllers).await.is_err() {
            tracing::warn!("cancelled the reconciliations still in progress; the next leader resumes them");
        }
        Ok(())
    }
}

/// Without its key the operator could not verify to which resource an app belongs.
async fn wait_for_claim_key(client: &Client, namespace: &str) -> ClaimKey {
    loop {
        match timeout(STARTUP_TIMEOUT, claim_key::load(client, namespace)).await {
            Ok(Ok(key)) => return key,
            Ok(Err(error)) => tracing::error!(%error, "cannot read or create the claim key; retrying"),
            Err(_) => tracing::error!("cannot read or create the claim key in time; retrying"),
        }
        sleep(STARTUP_RETRY).await;
    }
}

/// Returns once the operator can read what it watches; until then it logs what is missing.
async fn wait_for_access(client: &Client, settings: &controller::Settings) {
    loop {
        match timeout(STARTUP_TIMEOUT, try_access(client, settings)).await {
            Ok(Ok(())) => return,
            Ok(Err(error @ (kube::Error::Service(_) | kube::Error::HyperError(_)))) => {
                tracing::error!(error = causes(&error), "cannot reach the Kubernetes API server; retrying");
            }
            Ok(Err(error)) => tracing::error!(
                %error,
                "cannot list the operator's resources: install the CRDs and the RBAC in deploy/; retrying"
            ),
            Err(_) => tracing::error!("the Kubernetes API server did not answer in time; retrying"),
        }
        sleep(STARTUP_RETRY).await;
    }
}

async fn try_access(client: &Client, settings: &controller::Settings) -> kube::Result<()> {
    let one = ListParams::default().limit(1);
    let namespaces = Api::<Lenient<PartialObjectMeta<Namespace>>>::all(client.clone());
    Api::<Lenient<IamConnection>>::all(client.clone()).list(&one).await?;
    if settings.watch_namespaces.is_empty() {
        namespaces.list(&one).await?;
        Api::<Lenient<OrgOAuthApp>>::all(client.clone()).list(&one).await?;
    }
    for namespace in &settings.watch_namespaces {
        namespaces.list(&ListParams::default().fields(&format!("metadata.name={namespace}"))).await?;
        Api::<Lenient<OrgOAuthApp>>::namespaced(client.clone(), namespace).list(&one).await?;
    }
    Ok(())
}
