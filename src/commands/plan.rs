//! `plan`: what the operator would do with manifests, for a pull request. It reads the cluster and the API and writes to neither:
//! each resource is previewed by the operator's own reconciliation.

mod admission;
mod files;
pub(super) mod manifests;
mod names;
mod report;
mod snapshot;
mod trust;

pub use report::PlanReport;

use super::cluster::{Cluster, ClusterArgs, Listed, selector};
use super::live::{Live, OperatorArgs};
use super::output::{OutputArgs, Progress};
use super::{CommandError, Done};
use crate::cluster::kubernetes::{Kubernetes, RequestOptions};
use crate::connections::watched::WatchedConnections;
use crate::crd::OrgOAuthApp;
use crate::lease::guard::LeadershipGuard;
use crate::preview::Previews;
use crate::secret::client_secret;
use admission::{Admission, Admitted};
use clap::Args;
use futures::{StreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::ListParams;
use manifests::{Manifest, Manifests};
use report::AppPlan;
use snapshot::Snapshots;
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use trust::Trust;

/// So many resources are previewed at once; the limits of a connection are kept beside that.
const CONCURRENCY: usize = 16;

/// Which manifests.
#[derive(Args, Debug)]
pub struct PlanArgs {
    /// File or directory with manifests, or - for the standard input, such as the output of kustomize; repeatable
    #[arg(short, long = "filename", value_name = "PATH", required = true)]
    filenames: Vec<PathBuf>,
    /// Also plan the deletion of each OrgOAuthApp that is in the cluster, in a namespace of the manifests or in --namespace, but not in
    /// the manifests
    #[arg(long)]
    prune_from_cluster: bool,
    /// With --prune-from-cluster: only those with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = selector, requires = "prune_from_cluster")]
    selector: Option<String>,
    /// Use IamConnections of the manifests with Secrets of the cluster even if they have another address or other credentials there; only for manifests that you have read, since the credentials are sent to that address
    #[arg(long)]
    trust_connections: bool,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

type ClusterPreviews = Previews<Kubernetes, WatchedConnections>;

impl PlanArgs {
    pub(crate) async fn run(self) -> Result<Done, CommandError> {
        let manifests = Manifests::read(&self.filenames)?;
        let cluster = self.cluster.connect().await?;
        let manifests = manifests.in_namespace(&cluster.namespace);
        let progress = Progress::new();
        progress.show("reading the cluster");
        let operator_namespace = &self.operator.operator_namespace;
        let trust = Trust::new(operator_namespace, manifests.given(), self.trust_connections);
        let (pruned, unreadable) = self.pruned(&cluster, &manifests).await?;
        let mut snapshots = Snapshots::read(&cluster, operator_namespace, &manifests, &pruned, trust).await?;
        let (mut admitted, mut plans) = admit(&cluster.client, &manifests).await?;
        admitted.extend(pruned.into_iter().map(|app| Source { app, file: None, not_checked: None }));
        plans.extend(unreadable);
        let notes = std::mem::take(&mut snapshots.notes);
        let trust = std::mem::take(&mut snapshots.trust);
        let apps: Vec<OrgOAuthApp> = admitted.iter().map(|source| source.app.clone()).collect();
        let previews = previews(cluster.client.clone(), operator_namespace, snapshots, apps, &manifests)
            .with_given(manifests.given(), trust.foreign());
        let (total, done) = (admitted.len(), Cell::new(0));
        let planned = stream::iter(admitted).map(|Source { app, file, not_checked }| {
            let (previews, trust, progress, done) = (&previews, &trust, &progress, &done);
            async move {
                let plan = match trust.problem(&app) {
                    Some(problem) => AppPlan::unknown(&app, problem),
                    None => AppPlan::of(&app, previews.preview(app.clone()).await),
                };
                done.set(done.get() + 1);
                progress.show(format!("planned {} of {total}", done.get()));
                plan.with_source(file, not_checked)
            }
        });
        plans.extend(planned.buffer_unordered(CONCURRENCY).collect::<Vec<_>>().await);
        drop(progress);
        let report = PlanReport::new(plans, notes);
        self.output.print(&report)?;
        Ok(report.done())
    }

    /// The resources that the manifests lack, as they are once they are being deleted; none unless that is asked for.
    async fn pruned(&self, cluster: &Cluster, manifests: &Manifests) -> Result<Lacking, CommandError> {
        if !self.prune_from_cluster {
            return Ok(Lacking::default());
        }
        let mut namespaces = manifests.namespaces_of_apps();
        namespaces.extend(self.cluster.namespace.clone());
        let params = ListParams { label_selector: self.selector.clone(), ..ListParams::default() };
        let mut pruned = Lacking::default();
        for namespace in &namespaces {
            let (apps, unreadable) = lacking(cluster.apps(Some(namespace), &params).await?, manifests);
            pruned.0.extend(apps);
            pruned.1.extend(unreadable);
        }
        for app in &mut pruned.0 {
            app.metadata.deletion_timestamp.get_or_insert_with(|| Time(Timestamp::now()));
        }
        Ok(pruned)
    }
}

/// A resource to plan.
struct Source {
    app: OrgOAuthApp,
    file: Option<String>,
    not_checked: Option<String>,
}

/// The resources of the manifests as they would be stored, and plans for those that would be refused and for the connections.
async fn admit(client: &Client, manifests: &Manifests) -> Result<(Vec<Source>, Vec<AppPlan>), CommandError> {
    let (mut admitted, mut plans) = (Vec::new(), Vec::new());
    let admission = Admission::new(client);
    for manifest in &manifests.apps {
        match admission.app(manifest).await? {
            Admitted::App(app, not_checked) => {
                admitted.push(Source { app: *app, file: manifest.file.clone(), not_checked });
            }
            Admitted::Refused(message) => plans.push(AppPlan::refused(manifest, message)),
        }
    }
    for manifest in &manifests.connections {
        plans.extend(admission.connection(manifest).await?);
    }
    Ok((admitted, plans))
}

/// The resources, and plans for those that cannot be read.
type Lacking = (Vec<OrgOAuthApp>, Vec<AppPlan>);

fn lacking(listed: Listed<OrgOAuthApp>, manifests: &Manifests) -> Lacking {
    let apps = listed.items.into_iter().filter(|app| !manifests.has_app(app)).collect();
    let unreadable = listed.unreadable.into_iter().filter_map(|unreadable| {
        let app = OrgOAuthApp { metadata: unreadable.metadata, ..OrgOAuthApp::new("", Default::default()) };
        (!manifests.has_app(&app)).then(|| AppPlan::unknown(&app, "the resource in the cluster cannot be read"))
    });
    (apps, unreadable.collect())
}

fn previews(
    client: Client,
    operator_namespace: &str,
    snapshots: Snapshots,
    apps: Vec<OrgOAuthApp>,
    manifests: &Manifests,
) -> ClusterPreviews {
    let (snapshot, scopes, claim_key) = snapshots.with_apps(apps);
    let mut live = Live::new(client.clone(), operator_namespace.to_owned(), snapshot, manifests.given());
    live.watched.scopes = scopes;
    let options =
        RequestOptions { max_kubernetes_requests: CONCURRENCY, identity: "plan", guard: LeadershipGuard::Open };
    let kubernetes = Kubernetes::new(client, options, live.watched, Arc::default(), Arc::default());
    let generate = Arc::new(|| client_secret(getrandom::fill));
    Previews::new(kubernetes, live.connections, claim_key, Arc::new(Timestamp::now), generate)
}

impl Manifest {
    fn place(&self) -> String {
        let file = self.file.as_deref().map(|file| format!(" ({file})")).unwrap_or_default();
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}{file}", self.kind, self.name),
            None => format!("{} {}{file}", self.kind, self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::cluster::lenient::Lenient;
    use clap::Parser;
    use serde_json::json;

    #[test]
    fn an_empty_selector_prunes_nothing() {
        let parse = |selector| {
            Cli::try_parse_from(["oauth-app-operator", "plan", "-f", "x", "--prune-from-cluster", "-l", selector])
        };
        assert!(parse("").is_err() && parse(" ").is_err());
        let Ok(Cli { command: Some(Command::Plan(arguments)), .. }) = parse("team=a") else { panic!("it is valid") };
        assert_eq!(arguments.selector.as_deref(), Some("team=a"));
    }

    #[test]
    fn a_resource_that_cannot_be_read_is_unknown_and_not_left_out() {
        let unreadable = json!({"metadata": {"name": "bad", "namespace": "team"}, "spec": {"orgId": 1}});
        let Lenient(read) = serde_json::from_value::<Lenient<OrgOAuthApp>>(unreadable).unwrap();
        let listed = Listed { items: Vec::new(), unreadable: vec![*read.unwrap_err()] };
        let (apps, plans) = lacking(listed, &Manifests::default());
        assert!(apps.is_empty());
        let report = serde_json::to_value(PlanReport::new(plans, Vec::new())).unwrap();
        assert_eq!(report["summary"]["unknown"], 1);
        assert_eq!(report["resources"][0]["name"], "bad");
        assert_eq!(report["resources"][0]["namespace"], "team");
    }
}
