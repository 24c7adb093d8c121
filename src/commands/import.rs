//! `import`: manifests for the apps that an organization has, each of which observes its app, so that applying it changes nothing.
//! Reads the API through the client of the operator and within the limits of the connection; never sees a secret.

mod collect;
mod filter;
mod manifest;
mod names;
mod report;

pub use report::{ImportReport, ImportedApp, OtherApp};

use super::cluster::ClusterArgs;
use super::endpoint::EndpointArgs;
use super::live::{Live, OperatorArgs, Snapshot};
use super::managed::Managed;
use super::output::{Format, OutputArgs, Progress, print, print_note};
use super::{CommandError, Done};
use crate::claim::ApiAddress;
use crate::crd::{Api, ConnectionRef};
use crate::given::Given;
use crate::iam::OrgId;
use crate::iam::http::HttpIam;
use clap::Args;
use collect::Collected;
use filter::FilterArgs;
use kube::ResourceExt;
use manifest::Common;
use std::collections::HashSet;
use std::path::PathBuf;

const HELP: &str = "\
The manifests have adoptionPolicy Adopt, managementPolicy Observe and deletionPolicy Retain: with them the operator only compares. A \
field that a new app would have anyway is left out, and what a manifest cannot express is a comment in it. With --namespace the \
manifests name that namespace. No secret is read. Exit code 2 when an app could not be imported.

An import takes one request for each page of the lists of apps and of members. IdentityBroker lists only ids, so there it takes one \
more for each app. CloudPartnerNavigator has no list of members, so the roles of each app take one more; where it has no list of apps \
either, name the apps with --id.";

/// Which apps to import, and from where.
#[derive(Args, Debug)]
#[command(after_long_help = HELP)]
pub struct ImportArgs {
    /// Organization whose apps are imported; with IdentityBroker the tenant
    #[arg(long, value_name = "ID")]
    org: String,
    /// IamConnection to use, and to name in the manifests
    #[arg(long, value_name = "NAME", default_value_t = ConnectionRef::default().name)]
    connection: String,
    /// Write one file for each app and a kustomization.yaml into this directory [default: print the manifests]
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// Replace files that are in the directory
    #[arg(long, requires = "out")]
    overwrite: bool,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    endpoint: EndpointArgs,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// An API, and what the cluster knows of its apps.
struct Source {
    api: Api,
    iam: HttpIam,
    /// Where a cluster was asked: where the API is, and the resources.
    managed: Option<(ApiAddress, Managed)>,
}

impl ImportArgs {
    pub(crate) async fn run(self) -> Result<Done, CommandError> {
        if let Some(directory) = self.out.as_deref().filter(|_| !self.overwrite) {
            report::require_free(directory)?;
        }
        let source = self.open().await?;
        let progress = Progress::new();
        let collected = self.collect(&source, &progress).await;
        drop(progress);
        let common = Common {
            api: source.api,
            connection: self.connection.clone(),
            org: self.org.clone(),
            namespace: self.cluster.namespace.clone(),
        };
        let report = report::build(&common, collected?, &self.taken(&source))?;
        if let Some(directory) = &self.out {
            report.write(directory, self.overwrite)?;
        }
        report.print_notes();
        match (self.output.output, &self.out) {
            (Format::Text, None) => print(&report.manifests())?,
            (Format::Text | Format::Json | Format::Yaml, _) => self.output.print(&report)?,
        }
        Ok(if report.is_complete() { Done::Clean } else { Done::Findings })
    }

    async fn open(&self) -> Result<Source, CommandError> {
        if let Some(direct) = self.endpoint.open()? {
            print_note("no cluster is asked, so an app that a resource has is imported too");
            return Ok(Source { api: direct.api, iam: direct.iam.patient(), managed: None });
        }
        let cluster = self.cluster.connect().await?;
        let connection = cluster.connection(&self.connection).await?;
        let others = cluster.connections().await.map(|listed| listed.items);
        let connections = others.unwrap_or_else(|_| vec![connection.clone()]);
        let managed = match Managed::read(&cluster, &connections).await {
            Ok(managed) => Some((ApiAddress::of(&connection), managed)),
            Err(error) if self.filter.include_managed => {
                print_note(error);
                None
            }
            Err(error) => {
                let message = format!(
                    "{error}; without it an app that a resource has would be imported again, which --include-managed permits"
                );
                return Err(CommandError::message(message));
            }
        };
        let snapshot = Snapshot { connections, ..Snapshot::default() };
        let live =
            Live::new(cluster.client.clone(), self.operator.operator_namespace.clone(), snapshot, Given::default());
        let iam = live.open(&connection, &cluster.namespace).await?.patient();
        Ok(Source { api: connection.spec.api, iam, managed })
    }

    async fn collect(&self, source: &Source, progress: &Progress) -> Result<Collected, CommandError> {
        let org = OrgId(self.org.clone());
        collect::Collect { args: self, source, org, progress }.all().await
    }

    /// The names of the resources in the namespace of the manifests.
    fn taken(&self, source: &Source) -> HashSet<String> {
        let namespace = self.cluster.namespace.as_deref();
        let resources = source.managed.iter().flat_map(|(_, managed)| &managed.resources);
        let in_namespace = resources.filter(|resource| Some(resource.namespace_any()) == namespace);
        in_namespace.map(ResourceExt::name_any).collect()
    }
}
