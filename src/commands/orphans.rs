//! `orphans`: apps that the operator created and no resource has, resources whose app is gone, and Secrets of resources that are gone.
//! Reports and never changes anything: an id does not say which cluster it is of.

mod places;
mod report;
mod search;

pub use report::{GoneApp, NotChecked, OrphanReport, OrphanedApp, OrphanedSecret};

use super::cluster::{Cluster, ClusterArgs};
use super::live::{Live, OperatorArgs, Snapshot};
use super::managed::Managed;
use super::output::{OutputArgs, Progress};
use super::{CommandError, Done};
use crate::crd::IamConnection;
use crate::given::Given;
use clap::Args;
use kube::ResourceExt;
use places::{Place, places};
use search::Search;

const HELP: &str = "\
Reads the organizations that resources of the cluster name and a grant covers, those of --org, and the metadata of Secrets. Deletes nothing. Exit code 2 \
when something is found, or could not be checked.

The id ooa-<uid> of an app does not name a cluster: where several clusters use one organization, the apps of the others look like \
orphans here. Run the command in each of these clusters; only an app that all of them report has no resource.";

/// Where to look.
#[derive(Args, Debug)]
#[command(after_long_help = HELP)]
pub struct OrphansArgs {
    /// IamConnection whose organizations are checked [default: all]
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Further organization to check, such as one that no resource names any more; repeatable
    #[arg(long, value_name = "ID")]
    org: Vec<String>,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl OrphansArgs {
    pub(crate) async fn run(self) -> Result<Done, CommandError> {
        let cluster = self.cluster.connect().await?;
        let all = cluster.connections().await?.items;
        let managed = Managed::read(&cluster, &all).await?;
        let places = self.places(&cluster, &all, &managed).await?;
        let snapshot = Snapshot { connections: all.clone(), ..Snapshot::default() };
        let live =
            Live::new(cluster.client.clone(), self.operator.operator_namespace.clone(), snapshot, Given::default());
        let progress = Progress::new();
        let mut search =
            Search { managed: &managed, live: &live, progress: &progress, report: OrphanReport::default() };
        for place in &places {
            search.look_in(place).await;
        }
        let report = search.finish(&cluster, &all).await?;
        drop(progress);
        self.output.print(&report)?;
        Ok(if report.has_findings() { Done::Findings } else { Done::Clean })
    }

    async fn places(
        &self,
        cluster: &Cluster,
        all: &[IamConnection],
        managed: &Managed,
    ) -> Result<Vec<Place>, CommandError> {
        let is_asked = |name: &str| self.connection.as_ref().is_none_or(|asked| asked == name);
        let asked: Vec<_> = all.iter().filter(|connection| is_asked(&connection.name_any())).collect();
        if let (Some(name), []) = (&self.connection, asked.as_slice()) {
            return Err(CommandError::message(format!("there is no IamConnection {name} that can be read")));
        }
        if !self.org.is_empty() && asked.len() != 1 {
            return Err(CommandError::message("--org needs --connection, since there are several IamConnections"));
        }
        let labels = cluster.namespace_labels(all).await?;
        let further = self.org.iter().map(|org| (org.clone(), cluster.namespace.clone())).collect();
        Ok(places(&asked, managed, &labels, &further))
    }
}
