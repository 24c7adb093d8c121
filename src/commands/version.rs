//! `version`: this binary, and the operators that run in the cluster.
//! Without a cluster, or without the right to see them, it says so and prints the rest.

use super::cluster::ClusterArgs;
use super::output::{OutputArgs, Report, Text};
use super::raw::Raw;
use super::{CommandError, Done};
use crate::crd::FIELD_MANAGER;
use clap::Args;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The version of the binary.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that it was built from; a debug build does not know it.
pub const COMMIT: &str = env!("COMMIT");
/// Both.
pub const LONG_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("COMMIT"), ")");

/// Which versions.
#[derive(Args, Debug)]
pub struct VersionArgs {
    /// Ask no cluster
    #[arg(long)]
    client: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// The versions.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    version: &'static str,
    commit: &'static str,
    /// The Deployments of the operator, if the cluster was asked.
    in_cluster: Vec<Running>,
    /// Why the cluster does not show them.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// A Deployment of the operator.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    namespace: String,
    name: String,
    images: Vec<String>,
    ready_replicas: u64,
    replicas: u64,
}

impl VersionArgs {
    pub(crate) async fn run(self) -> Result<Done, CommandError> {
        let running = if self.client { Ok(Vec::new()) } else { self.running().await };
        let (in_cluster, problem) = match running {
            Ok(running) => (running, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        self.output.print(&Versions { version: VERSION, commit: COMMIT, in_cluster, problem })?;
        Ok(Done::Clean)
    }

    async fn running(&self) -> Result<Vec<Running>, CommandError> {
        running(self.cluster.connect().await?.client).await
    }
}

/// The Deployments of the operator.
pub(crate) async fn running(client: Client) -> Result<Vec<Running>, CommandError> {
    list(Api::all(client), "").await
}

/// Those of a namespace.
pub(super) async fn running_in(client: Client, namespace: &str) -> Result<Vec<Running>, CommandError> {
    list(Api::namespaced(client, namespace), &format!(" in namespace {namespace}")).await
}

async fn list(api: Api<Raw<Deployment>>, place: &str) -> Result<Vec<Running>, CommandError> {
    let params = ListParams::default().labels(&format!("app.kubernetes.io/name={FIELD_MANAGER}"));
    let doing = format!("list the Deployments of the operator{place}");
    let found = api.list(&params).await.map_err(CommandError::kubernetes(doing))?;
    Ok(found.items.into_iter().map(Running::of).collect())
}

impl Running {
    fn of(deployment: Raw<Deployment>) -> Self {
        let count = |part: &str, field: &str| deployment.object[part][field].as_u64().unwrap_or_default();
        Self {
            namespace: deployment.namespace().unwrap_or_default(),
            name: deployment.name_any(),
            images: containers(&deployment).filter_map(|container| text(&container["image"])).collect(),
            ready_replicas: count("status", "readyReplicas"),
            replicas: count("spec", "replicas"),
        }
    }

    /// In words, and whether every replica is ready.
    pub(super) fn state(&self) -> (String, bool) {
        let Self { namespace, name, images, ready_replicas, replicas } = self;
        let images = images.join(", ");
        let state = format!("{namespace}/{name}, {images}, {ready_replicas} of {replicas} replicas ready");
        (state, ready_replicas >= replicas)
    }
}

/// The containers of the pods of a Deployment.
pub(super) fn containers(deployment: &Raw<Deployment>) -> impl Iterator<Item = &Value> {
    deployment.object["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

impl Report for Versions {
    fn text(&self, text: &mut Text) {
        text.line(format!("oauth-app-operator {} (commit {})", self.version, self.commit));
        for running in &self.in_cluster {
            text.line(format!("in the cluster: Deployment {}", running.state().0));
        }
        if let Some(problem) = &self.problem {
            text.line(format!("in the cluster: not known; {problem}"));
        }
    }
}
