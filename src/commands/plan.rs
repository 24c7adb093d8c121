//! `plan`: what the operator would do with manifests, for a pull request. It reads the cluster and the API and writes to neither:
//! each resource is previewed by the operator's own reconciliation.

mod admission;
pub(super) mod manifests;
mod report;
mod snapshot;

pub use report::PlanReport;

use super::cluster::{Cluster, ClusterArgs, selector};
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

/// So many resources are previewed at once; the limits of a connection are kept beside that.
const CONCURRENCY: usize = 16;

/// Which manifests.
#[derive(Args, Debug)]
pub struct PlanArgs {
    /// File or directory with manifests, or - for the standard input, such as the output of kustomize; repeatable
    #[arg(short, long = "filename", value_name = "PATH", required = true)]
    filenames: Vec<PathBuf>,
    /// Plan the deletion of each OrgOAuthApp that the cluster has in a namespace of the manifests, or in --namespace, and the manifests have not
    #[arg(long)]
    prune_from_cluster: bool,
    /// With --prune-from-cluster: only those with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = selector, requires = "prune_from_cluster")]
    selector: Option<String>,
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
        let mut snapshots = Snapshots::read(&cluster, &self.operator.operator_namespace, &manifests).await?;
        let mut plans = Vec::new();
        let mut admitted = Vec::new();
        let admission = Admission::new(&cluster.client);
        for manifest in &manifests.apps {
            match admission.app(manifest).await? {
                Admitted::App(app, note) => admitted.push((manifest.file.clone(), *app, note)),
                Admitted::Refused(message) => plans.push(AppPlan::refused(manifest, message)),
            }
        }
        for manifest in &manifests.connections {
            if let Some(message) = admission.refusal_of_connection(manifest).await? {
                plans.push(AppPlan::refused(manifest, message));
            }
        }
        let pruned = if self.prune_from_cluster { self.pruned(&cluster, &manifests).await? } else { Vec::new() };
        admitted.extend(pruned.into_iter().map(|app| (None, app, None)));
        let notes = std::mem::take(&mut snapshots.notes);
        let unreadable = snapshots.unreadable.clone();
        let apps: Vec<OrgOAuthApp> = admitted.iter().map(|(_, app, _)| app.clone()).collect();
        let previews = previews(cluster.client.clone(), &self.operator.operator_namespace, snapshots, apps, &manifests);
        let (total, done) = (admitted.len(), Cell::new(0));
        let planned = stream::iter(admitted).map(|(file, app, note)| {
            let (previews, unreadable, progress, done) = (&previews, &unreadable, &progress, &done);
            async move {
                let plan = match unreadable.get(&app.spec.connection_ref.name) {
                    Some(problem) => AppPlan::unknown(&app, problem),
                    None => AppPlan::of(&app, previews.preview(app.clone()).await),
                };
                done.set(done.get() + 1);
                progress.show(format!("planned {} of {total}", done.get()));
                plan.with_source(file, note)
            }
        });
        plans.extend(planned.buffer_unordered(CONCURRENCY).collect::<Vec<_>>().await);
        drop(progress);
        let report = PlanReport::new(plans, notes);
        self.output.print(&report)?;
        Ok(report.done())
    }

    /// The resources that the manifests lack, as they are once they are being deleted.
    async fn pruned(&self, cluster: &Cluster, manifests: &Manifests) -> Result<Vec<OrgOAuthApp>, CommandError> {
        let mut namespaces = manifests.namespaces_of_apps();
        namespaces.extend(self.cluster.namespace.clone());
        let params = ListParams { label_selector: self.selector.clone(), ..ListParams::default() };
        let mut pruned = Vec::new();
        for namespace in &namespaces {
            let listed = cluster.apps(Some(namespace), &params).await?;
            pruned.extend(listed.items.into_iter().filter(|app| !manifests.has_app(app)));
        }
        for app in &mut pruned {
            app.metadata.deletion_timestamp.get_or_insert_with(|| Time(Timestamp::now()));
        }
        Ok(pruned)
    }
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
        .with_given(manifests.given())
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
