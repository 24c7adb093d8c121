//! `orphans`: apps that the operator created and no resource has, resources whose app is gone, and Secrets of resources that are gone.
//! Reports and never changes anything: an id does not say which cluster it is of.

mod report;
mod search;

pub use report::{GoneApp, NotChecked, OrphanReport, OrphanedApp, OrphanedSecret};

use super::cluster::{Cluster, ClusterArgs};
use super::live::{Live, OperatorArgs, Snapshot};
use super::managed::{self, Managed};
use super::output::{OutputArgs, Progress};
use super::{CommandError, Done};
use crate::claim::ApiAddress;
use crate::crd::IamConnection;
use crate::given::Given;
use crate::iam::OrgId;
use clap::Args;
use kube::ResourceExt;
use search::Search;
use std::collections::BTreeSet;

const HELP: &str = "\
Reads the organizations that resources of the cluster name, those of --org, and the metadata of Secrets. Deletes nothing. Exit code 2 \
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

/// An organization of an API, and how it is reached.
pub(super) struct Place {
    connection: IamConnection,
    address: ApiAddress,
    org: OrgId,
    /// A namespace that uses the connection, which may have credentials of its own.
    namespace: String,
}

impl OrphansArgs {
    pub(crate) async fn run(self) -> Result<Done, CommandError> {
        let cluster = self.cluster.connect().await?;
        let all = cluster.connections().await?.items;
        let managed = Managed::read(&cluster, &all).await?;
        let places = self.places(&cluster, &all, &managed)?;
        let snapshot = Snapshot { connections: all, ..Snapshot::default() };
        let live =
            Live::new(cluster.client.clone(), self.operator.operator_namespace.clone(), snapshot, Given::default());
        let progress = Progress::new();
        let mut search =
            Search { managed: &managed, live: &live, progress: &progress, report: OrphanReport::default() };
        for place in &places {
            search.look_in(place).await;
        }
        search.secrets(&cluster).await;
        let report = search.report;
        drop(progress);
        self.output.print(&report)?;
        Ok(if report.has_findings() { Done::Findings } else { Done::Clean })
    }

    /// Each organization of each API once, however many connections lead there.
    fn places(&self, cluster: &Cluster, all: &[IamConnection], managed: &Managed) -> Result<Vec<Place>, CommandError> {
        let is_asked = |name: &str| self.connection.as_ref().is_none_or(|asked| asked == name);
        let asked: Vec<_> = all.iter().filter(|connection| is_asked(&connection.name_any())).collect();
        if let (Some(name), []) = (&self.connection, asked.as_slice()) {
            return Err(CommandError::message(format!("there is no IamConnection {name} that can be read")));
        }
        if !self.org.is_empty() && asked.len() != 1 {
            return Err(CommandError::message("--org needs --connection, since there are several IamConnections"));
        }
        let mut places: Vec<Place> = Vec::new();
        for connection in asked {
            let name = connection.name_any();
            let users = managed.resources.iter().filter(|resource| resource.spec.connection_ref.name == name);
            let of_resources =
                users.map(|resource| (resource.spec.org_id.clone(), resource.namespace_any().to_owned()));
            let further = self.org.iter().map(|org| (org.clone(), cluster.namespace.clone()));
            for (org, namespace) in of_resources.chain(further).collect::<BTreeSet<_>>() {
                let (address, org) = (managed::address(connection), OrgId(org));
                if !places.iter().any(|place| place.org == org && place.address.is_same(&address)) {
                    places.push(Place { connection: connection.clone(), address, org, namespace });
                }
            }
        }
        Ok(places)
    }
}
