//! `rotate`, `reconcile`, `suspend`, `resume` and `retire`: requests to the operator, made as annotations or as `spec.suspend` of
//! the resources. What the operator does about them is read from their status; nothing here calls an API.

mod action;
mod gitops;
mod refusal;
mod result;

pub use result::{RequestOutcome, RequestResult};

use super::apps::{AppKey, AppsArgs, wait_for};
use super::cluster::{Cluster, ClusterArgs};
use super::output::{Format, OutputArgs, Progress, print, print_error, print_note, print_warning};
use super::{CommandError, Done};
use crate::cluster::lenient::Lenient;
use crate::crd::{GoDuration, OrgOAuthApp};
use action::{Action, Asked};
use clap::Args;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, ResourceExt};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Tells a change that a person made with a command from those of the operator.
const COMMAND_FIELD_MANAGER: &str = "oauth-app-operator-command";

/// A request to the operator, about which apps, and whether to wait for what it does.
#[derive(Args, Clone, Debug)]
pub struct RequestArgs {
    #[command(flatten)]
    apps: AppsArgs,
    /// Wait until the operator has done it, and print a line for each app when it has
    #[arg(long)]
    wait: bool,
    /// How long to wait at most, such as 90s or 5m
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: GoDuration,
    /// Confirm --all --all-namespaces, which affects every app in the cluster; reconcile does not need it
    #[arg(long)]
    yes: bool,
    /// Only find out what would be requested, and whether you have the permission
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// The end of the overlap of a rotation.
#[derive(Args, Clone, Debug)]
pub struct RetireArgs {
    /// Also while pods are known to use the previous client secret, which then fail
    #[arg(long)]
    despite_stale_consumers: bool,
    #[command(flatten)]
    request: RequestArgs,
}

fn duration(text: &str) -> Result<GoDuration, String> {
    GoDuration::try_from(text.to_owned())
}

impl RequestArgs {
    pub(crate) async fn rotate(self) -> Result<Done, CommandError> {
        self.run(Action::Rotate).await
    }

    pub(crate) async fn reconcile(self) -> Result<Done, CommandError> {
        self.run(Action::Reconcile).await
    }

    pub(crate) async fn suspend(self) -> Result<Done, CommandError> {
        self.run(Action::Suspend).await
    }

    pub(crate) async fn resume(self) -> Result<Done, CommandError> {
        self.run(Action::Resume).await
    }

    /// Nothing asks back, so that a script does not hang.
    fn require_yes(&self, action: Action, count: usize) -> Result<(), CommandError> {
        let is_confirmed = self.yes || self.dry_run || !action.needs_confirmation();
        if is_confirmed || !self.apps.are_all_of_the_cluster() {
            return Ok(());
        }
        Err(CommandError::message(format!(
            "this would {} all {count} OrgOAuthApps of the cluster; see them with --dry-run, and set --yes to go on",
            action.verb()
        )))
    }

    async fn run(self, action: Action) -> Result<Done, CommandError> {
        let cluster = self.cluster.connect().await?;
        let selected = self.apps.select(&cluster).await?;
        self.require_yes(action, selected.items.len())?;
        let mut run = Run::new(self, action, &cluster);
        for unreadable in selected.unreadable {
            let [namespace, name] = [unreadable.metadata.namespace.clone(), unreadable.metadata.name.clone()];
            let message = format!("the resource cannot be decoded: {unreadable}");
            run.add(RequestResult {
                namespace: namespace.unwrap_or_default(),
                name: name.unwrap_or_default(),
                ..RequestResult::new(action, RequestOutcome::Refused, message)
            })?;
        }
        for app in &selected.items {
            run.request(app).await?;
        }
        run.wait().await?;
        run.finish()
    }
}

impl RetireArgs {
    pub(crate) async fn run(self) -> Result<Done, CommandError> {
        self.request.run(Action::Retire { despite_stale_consumers: self.despite_stale_consumers }).await
    }
}

/// One run of a command, with what came of it so far.
struct Run<'a> {
    arguments: RequestArgs,
    asked: Asked,
    cluster: &'a Cluster,
    awaited: BTreeMap<AppKey, OrgOAuthApp>,
    results: Vec<RequestResult>,
    errors: Vec<CommandError>,
}

impl<'a> Run<'a> {
    fn new(arguments: RequestArgs, action: Action, cluster: &'a Cluster) -> Self {
        let asked = Asked { action, value: Timestamp::now().to_string() };
        Self { arguments, asked, cluster, awaited: BTreeMap::new(), results: Vec::new(), errors: Vec::new() }
    }

    /// Requests it of one app, unless something speaks against it.
    async fn request(&mut self, app: &OrgOAuthApp) -> Result<(), CommandError> {
        if let Some(result) = self.asked.action.unneeded_or_refused(app) {
            return self.add(result.about(app));
        }
        if self.asked.action.changes_spec() {
            self.warn_of_gitops(app).await;
        }
        match self.patch(app).await {
            Err(error) => {
                let result = RequestResult::new(self.asked.action, RequestOutcome::Error, error.to_string());
                self.errors.push(error);
                self.add(result.about(app))
            }
            Ok(_) if self.arguments.dry_run => {
                let message = self.asked.action.describe();
                self.add(RequestResult::new(self.asked.action, RequestOutcome::DryRun, message).about(app))
            }
            Ok(patched) if self.arguments.wait => {
                self.awaited.insert(AppKey::of(&patched), patched);
                Ok(())
            }
            Ok(_) => {
                let message = self.asked.action.describe();
                self.add(RequestResult::new(self.asked.action, RequestOutcome::Requested, message).about(app))
            }
        }
    }

    async fn patch(&self, app: &OrgOAuthApp) -> Result<OrgOAuthApp, CommandError> {
        let (namespace, name) = (app.namespace_any(), app.name_any());
        let api: Api<Lenient<OrgOAuthApp>> = Api::namespaced(self.cluster.client.clone(), namespace);
        let params = PatchParams {
            dry_run: self.arguments.dry_run,
            field_manager: Some(COMMAND_FIELD_MANAGER.into()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(self.asked.patch(app));
        let doing = format!("{} OrgOAuthApp {namespace}/{name}", self.asked.action.verb());
        let Lenient(patched) = api.patch(&name, &params, &patch).await.map_err(CommandError::kubernetes(&doing))?;
        patched.map_err(|unreadable| CommandError::message(format!("cannot {doing}: {unreadable}")))
    }

    /// Whoever may not read it is not warned, and the patch says what is wrong.
    async fn warn_of_gitops(&self, app: &OrgOAuthApp) {
        let api: Api<PartialObjectMeta<OrgOAuthApp>> =
            Api::namespaced(self.cluster.client.clone(), app.namespace_any());
        let Ok(read) = api.get_metadata(&app.name_any()).await else { return };
        if let Some(tool) = gitops::tool(&read.metadata) {
            print_warning(format!(
                "OrgOAuthApp {}/{} is managed by {tool}, which may revert the change: change spec.suspend at its source too",
                app.namespace_any(),
                app.name_any()
            ));
        }
    }

    /// Waits for all that were requested. Each is reported when it is known what came of it.
    async fn wait(&mut self) -> Result<(), CommandError> {
        let scope = self.arguments.apps.scope(self.cluster);
        let timeout = self.arguments.timeout.get();
        let patience = SignedDuration::try_from(timeout).unwrap_or(SignedDuration::MAX);
        let ends = Timestamp::now().checked_add(patience).unwrap_or(Timestamp::MAX);
        let requested = std::mem::take(&mut self.awaited);
        let mut last = requested.clone();
        let mut keys = requested.keys().cloned().collect();
        let progress = Progress::new();
        let total = requested.len();
        let mut noted = BTreeMap::new();
        let cluster = self.cluster;
        let judge = |key: &AppKey, app: Option<&OrgOAuthApp>| {
            let result = match (app, requested.get(key)) {
                (Some(app), Some(before)) => {
                    last.insert(key.clone(), app.clone());
                    self.asked.result(before, app, ends)
                }
                (None, Some(before)) => Some(self.asked.gone().about(before)),
                (_, None) => None,
            };
            let Some(result) = result else {
                self.note(&mut noted, key, app, &progress);
                return Ok(ControlFlow::Continue(()));
            };
            progress.show("");
            self.add(result)?;
            progress.show(format!("{} of {total}", self.results.len()));
            Ok(ControlFlow::Break(()))
        };
        wait_for(cluster, &scope, &mut keys, timeout, judge).await?;
        drop(progress);
        for key in keys {
            if let Some(app) = last.get(&key) {
                self.add(self.asked.overdue(app, &String::from(self.arguments.timeout.clone())))?;
            }
        }
        Ok(())
    }

    /// Says once what an app waits for, and again when that changes.
    fn note(&self, noted: &mut BTreeMap<AppKey, String>, key: &AppKey, app: Option<&OrgOAuthApp>, progress: &Progress) {
        let Some(waiting) = app.and_then(|app| self.asked.waits_for(app)) else { return };
        if noted.get(key) != Some(&waiting) {
            progress.show("");
            print_note(format!("{}/{}: waiting: {waiting}", key.namespace, key.name));
            noted.insert(key.clone(), waiting);
        }
    }

    /// A line for people at once; scripts get all results at the end.
    fn add(&mut self, result: RequestResult) -> Result<(), CommandError> {
        let printed = match (self.arguments.output.output, result.outcome) {
            (Format::Text, RequestOutcome::Error) | (Format::Json | Format::Yaml, _) => Ok(()),
            (Format::Text, _) => self.arguments.output.print(&result),
        };
        self.results.push(result);
        printed
    }

    fn finish(mut self) -> Result<Done, CommandError> {
        match self.arguments.output.output {
            Format::Text if self.results.is_empty() => print("no OrgOAuthApp is selected\n")?,
            Format::Text => {}
            Format::Json | Format::Yaml => self.arguments.output.print(&self.results)?,
        }
        let last = self.errors.pop();
        self.errors.iter().for_each(print_error);
        match last {
            Some(error) => Err(error),
            None if self.results.iter().all(|result| result.outcome.is_success()) => Ok(Done::Clean),
            None => Ok(Done::Findings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: RequestArgs,
    }

    fn parse(arguments: &[&str]) -> Result<RequestArgs, clap::Error> {
        Line::try_parse_from([&["rotate"], arguments].concat()).map(|line| line.arguments)
    }

    #[test]
    fn all_apps_of_the_cluster_are_changed_on_confirmation_only() {
        let answer = |arguments: &[&str], action| parse(arguments).unwrap().require_yes(action, 412);
        let error = answer(&["--all", "-A"], Action::Rotate).unwrap_err().to_string();
        assert!(error.starts_with("this would rotate all 412 OrgOAuthApps of the cluster;"), "{error}");
        assert!(error.contains("set --yes"), "{error}");
        for confirmed in
            [&["--all", "-A", "--yes"][..], &["--all", "-A", "--dry-run"], &["--all"], &["-A", "-l", "a=b"]]
        {
            assert!(answer(confirmed, Action::Suspend).is_ok(), "{confirmed:?}");
        }
        assert!(answer(&["--all", "-A"], Action::Reconcile).is_ok());
    }

    #[test]
    fn an_empty_selector_selects_nothing() {
        assert!(parse(&["-l", " "]).is_err() && parse(&["-l", "team=billing"]).is_ok());
    }
}
