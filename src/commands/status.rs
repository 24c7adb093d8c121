//! `status`: one screen about an app, from all that its user may read; what the user may not read is said with the right that is
//! missing. Without a name it is one line for each app.

mod events;
mod gather;
mod report;
mod screen;
mod summary;

pub(in crate::commands) use gather::{is_owned, read_secret};
pub use report::{
    AppStatus, ConditionReport, ConnectionReport, ConsumersReport, EventReport, GrantReport, GrantVerdict,
    RemoteReport, RotationKind, RotationReport, SecretReport,
};
pub use summary::AppSummary;

use super::apps::Scope;
use super::cluster::{ClusterArgs, selector};
use super::output::{OutputArgs, print_warning};
use super::{CommandError, Done};
use clap::Args;

/// The state of one app, or of all.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// Name of an OrgOAuthApp [default: one line for each of the namespace]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Only those with these labels, such as team=billing
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = selector, conflicts_with = "name")]
    selector: Option<String>,
    /// All namespaces instead of one
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    all_namespaces: bool,
    /// Exit with 2 if an app is not Ready
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

impl StatusArgs {
    pub(crate) async fn run(self) -> Result<Done, CommandError> {
        let is_ready = match &self.name {
            Some(name) => self.one(name).await?,
            None => self.all().await?,
        };
        Ok(if is_ready || !self.exit_code { Done::Clean } else { Done::Findings })
    }

    async fn one(&self, name: &str) -> Result<bool, CommandError> {
        let cluster = self.cluster.connect().await?;
        let app = cluster.app(name).await?;
        let status = gather::status(&cluster, &app).await;
        self.output.print(&status)?;
        Ok(status.is_ready())
    }

    async fn all(&self) -> Result<bool, CommandError> {
        let cluster = self.cluster.connect().await?;
        let namespace = (!self.all_namespaces).then(|| cluster.namespace.clone());
        let scope = Scope { namespace, labels: self.selector.clone(), name: None };
        let listed = scope.list(&cluster).await?;
        for unreadable in &listed.unreadable {
            let namespace = unreadable.metadata.namespace.as_deref().unwrap_or_default();
            let name = unreadable.metadata.name.as_deref().unwrap_or_default();
            print_warning(format!("OrgOAuthApp {namespace}/{name} cannot be decoded: {unreadable}"));
        }
        let summaries: Vec<AppSummary> = listed.items.iter().map(AppSummary::of).collect();
        self.output.print(&summaries)?;
        Ok(listed.unreadable.is_empty() && summaries.iter().all(AppSummary::is_ready))
    }
}
