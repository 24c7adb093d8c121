//! `check`: whether a cluster can run the operator, whether it is installed as this binary expects, and whether each API can be used
//! and behaves as assumed. It changes nothing unless `--write` asks for it.

mod api;
mod certificate;
mod crds;
mod network;
mod operator;
mod rights;
mod rows;
mod target;
mod tenants;
mod write;

pub use rows::{Row, RowResult};
pub use write::{Fact, Facts, Verdict};

use super::cluster::{Cluster, ClusterArgs};
use super::endpoint::EndpointArgs;
use super::live::{Live, OperatorArgs, Snapshot};
use super::output::{OutputArgs, Report, Text};
use super::raw::Raw;
use super::version::containers;
use super::{CommandError, Done};
use crate::crd::{FIELD_MANAGER, IamConnection};
use crate::given::Given;
use crate::iam::OrgId;
use clap::Args;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt};
use rights::Installation;
use rows::Rows;
use schemars::JsonSchema;
use serde::Serialize;
use target::Target;
use tenants::Tenants;

/// The oldest Kubernetes that the chart accepts: its CRDs use selectable fields and the CEL library `format`.
const OLDEST_KUBERNETES: (u32, u32) = (1, 31);

/// What is checked.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Check only what an install needs: nothing has to be installed yet
    #[arg(long, conflicts_with_all = ["connection", "endpoint"])]
    pre: bool,
    /// Check only this IamConnection [default: all]
    #[arg(long, value_name = "NAME", conflicts_with = "endpoint")]
    connection: Option<String>,
    /// Organization to ask the API about [default: the first that a grant of the connection names, or in which an app of it was created]
    #[arg(long, value_name = "ID")]
    org: Option<String>,
    /// Create one app, change it, rotate its secret twice and delete it, to show what nobody documents; needs --org, and --connection or --endpoint
    #[arg(long, requires = "org", conflicts_with = "pre")]
    write: bool,
    /// Namespace that the operator watches; repeatable [default: as its Deployment says, or else all namespaces]
    #[arg(long, env = "WATCH_NAMESPACE", value_name = "NAMESPACE", value_delimiter = ',')]
    watch_namespace: Vec<String>,
    /// ServiceAccount of the operator
    #[arg(long, value_name = "NAME", default_value = FIELD_MANAGER)]
    service_account: String,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    endpoint: EndpointArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What was found.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checks {
    /// How many rows have each result.
    ok: usize,
    warnings: usize,
    failed: usize,
    skipped: usize,
    rows: Vec<Row>,
    /// What the throw-away app showed, with `--write`.
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<Facts>,
}

impl CheckArgs {
    pub(crate) async fn run(self) -> Result<Done, CommandError> {
        if self.write && self.connection.is_none() && self.endpoint.endpoint.is_none() {
            return Err(CommandError::message("--write needs --connection or --endpoint"));
        }
        let mut rows = Rows::new();
        let targets: Vec<Target> = match self.endpoint.open()? {
            Some(direct) => {
                let target = target::check_direct(&direct, self.org.clone().map(OrgId), &mut rows).await;
                if let Some(target) = &target {
                    api::check(target, &mut rows).await;
                }
                target.into_iter().collect()
            }
            None => self.check_cluster(&mut rows).await?,
        };
        let facts = match targets.first() {
            Some(target) if self.write => Some(write::measure(target).await?),
            None if self.write => {
                rows.failed("write", "no app was created, since there is no token", "see the rows above");
                None
            }
            Some(_) | None => None,
        };
        let checks = Checks::of(rows.into_rows(), facts);
        self.output.print(&checks)?;
        Ok(if checks.is_clean() { Done::Clean } else { Done::Findings })
    }

    /// The cluster, and the connections in it whose credentials are accepted.
    async fn check_cluster(&self, rows: &mut Rows) -> Result<Vec<Target>, CommandError> {
        let cluster = self.cluster.connect().await?;
        check_version(&cluster, rows).await?;
        if self.pre {
            rights::check_installer(&cluster.client, &self.operator.operator_namespace, rows).await;
            return Ok(Vec::new());
        }
        let has_crds = crds::check(&cluster.client, rows).await;
        if !operator::check(&cluster.client, &self.operator.operator_namespace, rows).await {
            return Ok(Vec::new());
        }
        rights::check(&cluster.client, &self.installation(&cluster).await, rows).await;
        if !has_crds {
            rows.group("IamConnections");
            rows.skipped("all", "there is no CRD for them yet");
            return Ok(Vec::new());
        }
        self.check_connections(cluster, rows).await
    }

    async fn check_connections(&self, cluster: Cluster, rows: &mut Rows) -> Result<Vec<Target>, CommandError> {
        let connections = match self.connections(&cluster, rows).await {
            Ok(connections) => connections,
            Err(error) if self.connection.is_some() => return Err(error),
            Err(error) => {
                rows.group("IamConnections");
                rows.warning("all", error.to_string(), "name those that you may read with --connection");
                return Ok(Vec::new());
            }
        };
        let tenants = Tenants::read(&cluster, &connections).await;
        let snapshot = Snapshot { connections: connections.clone(), ..Snapshot::default() };
        let namespace = self.operator.operator_namespace.clone();
        let live = Live::new(cluster.client.clone(), namespace, snapshot, Given::default());
        let tenant = self.cluster.namespace.as_deref();
        let mut targets = Vec::new();
        for connection in &connections {
            let org = self.org.clone().map(OrgId).or_else(|| tenants.organization(connection, tenant));
            let target = target::check_connection(&live, connection, org, tenant, rows).await;
            if let Some(target) = target {
                api::check(&target, rows).await;
                targets.push(target);
            }
        }
        Ok(targets)
    }

    /// Those that are asked for. The operator itself may list them and read none by name.
    async fn connections(&self, cluster: &Cluster, rows: &mut Rows) -> Result<Vec<IamConnection>, CommandError> {
        let listed = cluster.connections().await;
        let (listed, name) = match (listed, &self.connection) {
            (Err(_), Some(name)) => return Ok(vec![cluster.connection(name).await?]),
            (listed, name) => (listed?, name),
        };
        let is_asked = |found: &str| name.as_deref().is_none_or(|name| name == found);
        for unreadable in &listed.unreadable {
            let found = unreadable.metadata.name.as_deref().unwrap_or_default();
            if is_asked(found) {
                rows.group(format!("IamConnection {found}"));
                rows.failed("settings", &unreadable.error, "correct it: kubectl edit iamc");
            }
        }
        let items: Vec<IamConnection> =
            listed.items.into_iter().filter(|connection| is_asked(&connection.name_any())).collect();
        match name {
            Some(name) if items.is_empty() => Err(target::absent(name)),
            Some(_) | None if items.is_empty() => {
                rows.group("IamConnections");
                rows.skipped("all", "there is none");
                Ok(items)
            }
            Some(_) | None => Ok(items),
        }
    }

    /// As the command line says, or else as the Deployment does, where it can be read.
    async fn installation(&self, cluster: &Cluster) -> Installation {
        let namespace = self.operator.operator_namespace.clone();
        let watched = if self.watch_namespace.is_empty() {
            let api: Api<Raw<Deployment>> = Api::namespaced(cluster.client.clone(), &namespace);
            api.get(FIELD_MANAGER).await.as_ref().map(watched_by).unwrap_or_default()
        } else {
            self.watch_namespace.clone()
        };
        Installation { namespace, service_account: self.service_account.clone(), watched }
    }
}

/// The namespaces that a Deployment of the chart watches.
fn watched_by(deployment: &Raw<Deployment>) -> Vec<String> {
    let arguments = containers(deployment).filter_map(|container| container["args"].as_array()).flatten();
    let arguments = arguments.filter_map(|argument| argument.as_str()?.strip_prefix("--watch-namespace="));
    arguments.map(str::to_owned).collect()
}

async fn check_version(cluster: &Cluster, rows: &mut Rows) -> Result<(), CommandError> {
    rows.group("Kubernetes");
    let version = cluster.client.apiserver_version().await;
    let version = version.map_err(CommandError::kubernetes("read the version of the API server"))?;
    let number = |text: &str| text.trim_end_matches(|letter: char| !letter.is_ascii_digit()).parse::<u32>().ok();
    let found = number(&version.major).zip(number(&version.minor));
    let (major, minor) = OLDEST_KUBERNETES;
    match found {
        Some(found) if found >= OLDEST_KUBERNETES => {
            rows.ok("version", format!("{}, and {major}.{minor} or later is needed", version.git_version));
        }
        Some(_) => {
            let what_to_do = format!("upgrade the cluster to {major}.{minor} or later");
            rows.failed("version", version.git_version, what_to_do);
        }
        None => rows.warning("version", version.git_version, format!("make sure that it is {major}.{minor} or later")),
    }
    match &cluster.proxy {
        Some(proxy) => rows.ok("proxy", format!("requests to {} go through {proxy}", cluster.server)),
        None => rows.ok("proxy", format!("none for {}", cluster.server)),
    }
    match rights::current_user(&cluster.client).await {
        Some(user) => rows.ok("user", user),
        None => rows.skipped("user", "the API server does not show it"),
    }
    Ok(())
}

impl Checks {
    fn of(rows: Vec<Row>, facts: Option<Facts>) -> Self {
        let count = |result| rows::count(&rows, result);
        let (ok, warnings) = (count(RowResult::Ok), count(RowResult::Warning));
        let (failed, skipped) = (count(RowResult::Failed), count(RowResult::Skipped));
        Self { ok, warnings, failed, skipped, rows, facts }
    }

    fn is_clean(&self) -> bool {
        self.failed == 0 && self.facts.as_ref().is_none_or(Facts::is_clean)
    }
}

impl Report for Checks {
    fn text(&self, text: &mut Text) {
        rows::print(&self.rows, text);
        if let Some(facts) = &self.facts {
            facts.print(text);
        }
        text.line(format_args!(
            "{} ok, {} warnings, {} failed, {} skipped",
            self.ok, self.warnings, self.failed, self.skipped
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_kubernetes_is_that_of_the_chart() {
        let chart = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/chart/Chart.yaml")).unwrap();
        let (major, minor) = OLDEST_KUBERNETES;
        assert!(chart.contains(&format!("\nkubeVersion: \">={major}.{minor}.0-0\"\n")), "{chart}");
    }
}
