//! The operator's binary: reads flags, starts the parts and joins them.
//! It decides nothing about any resource.

use axum::http::HeaderValue;
use axum::http::header::USER_AGENT;
use clap::Parser;
use kube::api::ListParams;
use kube::{Api, Client, Config};
use oauth_app_operator::cli::{Cli, Command, LogFormat, RunArgs};
use oauth_app_operator::controller;
use oauth_app_operator::crd::{IamConnection, OrgOAuthApp, definitions, yaml};
use oauth_app_operator::metrics::Metrics;
use oauth_app_operator::server::{Readiness, serve};
use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Passes under way get this long after a signal; less than the 30 s that Kubernetes gives by default.
const DRAIN: Duration = Duration::from_secs(25);
const STARTUP_RETRY: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => run(cli.run).await,
        Some(Command::Run(arguments)) => run(arguments).await,
        Some(Command::Crds) => print_crds(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oauth-app-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_crds() -> Result<(), Box<dyn Error>> {
    for definition in definitions() {
        print!("---\n{}", yaml(&definition)?);
    }
    Ok(())
}

async fn run(arguments: RunArgs) -> Result<(), Box<dyn Error>> {
    log_to_stderr(&arguments);
    let client = client(Config::infer().await?)?;
    let settings = controller::Settings {
        operator_namespace: arguments.operator_namespace.unwrap_or_else(|| client.default_namespace().to_owned()),
        watch_namespaces: arguments.watch_namespace,
        concurrency: arguments.concurrency.into(),
    };
    tracing::info!(?settings, version = env!("CARGO_PKG_VERSION"), "starting");
    let readiness = Readiness::default();
    let metrics = Arc::<Metrics>::default();
    let endpoint = serve(arguments.http_addr, readiness.clone(), metrics.clone());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ready = readiness.clone();
    let controllers = async {
        wait_for_access(&client, &settings).await;
        let synced = move || {
            ready.set(true);
            tracing::info!("ready");
        };
        metrics.leader.set(1);
        controller::run(client, settings, metrics, synced, async { drop(stopped.await) }).await;
    };
    let mut controllers = std::pin::pin!(controllers);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        () = &mut controllers => return Err("the watches ended".into()),
        Err(error) = endpoint => return Err(format!("cannot serve {}: {error}", arguments.http_addr).into()),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: no new passes, those under way end");
    readiness.set(false);
    drop(stop);
    if tokio::time::timeout(DRAIN, controllers).await.is_err() {
        tracing::warn!("passes still under way are cut; the next start takes them up again");
    }
    Ok(())
}

/// Outside a cluster this is the current context of the kubeconfig, as for kubectl.
fn client(mut config: Config) -> Result<Client, Box<dyn Error>> {
    let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    config.headers.push((USER_AGENT, HeaderValue::from_static(agent)));
    Ok(Client::try_from(config)?)
}

fn log_to_stderr(arguments: &RunArgs) {
    let filter = EnvFilter::new(arguments.log_level.filter());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

/// Returns once the operator can read both kinds everywhere it watches; until then it says what is missing.
async fn wait_for_access(client: &Client, settings: &controller::Settings) {
    while let Err(error) = try_access(client, settings).await {
        tracing::error!(%error, "cannot list the operator's resources: install the CRDs and the RBAC in deploy/; trying again");
        tokio::time::sleep(STARTUP_RETRY).await;
    }
}

async fn try_access(client: &Client, settings: &controller::Settings) -> kube::Result<()> {
    let one = ListParams::default().limit(1);
    Api::<IamConnection>::all(client.clone()).list(&one).await?;
    if settings.watch_namespaces.is_empty() {
        Api::<OrgOAuthApp>::all(client.clone()).list(&one).await?;
    }
    for namespace in &settings.watch_namespaces {
        Api::<OrgOAuthApp>::namespaced(client.clone(), namespace).list(&one).await?;
    }
    Ok(())
}
