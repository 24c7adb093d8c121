//! Which apps a command is about, and the watch in which it waits for them.
//! One watch serves all of them, however many there are.

use super::CommandError;
use super::cluster::{Cluster, Listed, selector};
use crate::cluster::lenient::Lenient;
use crate::crd::OrgOAuthApp;
use clap::Args;
use futures::StreamExt;
use kube::api::ListParams;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector::ObjectRef};
use kube::{Api, ResourceExt};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;

/// A longer time is as good as this one, and can be computed with.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Which apps.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct AppsArgs {
    /// Names of OrgOAuthApps
    #[arg(value_name = "NAME", required_unless_present_any = ["all", "selector"], conflicts_with_all = ["all", "selector"])]
    names: Vec<String>,
    /// All OrgOAuthApps of the namespace
    #[arg(long)]
    all: bool,
    /// Those with these labels, such as team=billing
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = selector)]
    selector: Option<String>,
    /// All namespaces instead of one; with --all or --selector
    #[arg(short = 'A', long, conflicts_with_all = ["names", "namespace"])]
    all_namespaces: bool,
}

/// The part of the cluster in which the apps are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// All namespaces when absent.
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Option<String>,
    /// The only one.
    pub(crate) name: Option<String>,
}

/// Tells one app from all others, those of the same name before and after it included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AppKey {
    pub(crate) namespace: String,
    pub(crate) name: String,
    uid: String,
}

impl AppKey {
    pub(crate) fn of(app: &OrgOAuthApp) -> Self {
        let uid = app.uid().unwrap_or_default();
        Self { namespace: app.namespace().unwrap_or_default(), name: app.name_any(), uid }
    }
}

impl AppsArgs {
    /// Whether it is about each app of the cluster.
    pub(crate) fn are_all_of_the_cluster(&self) -> bool {
        self.all && self.all_namespaces
    }

    /// Where the apps are, with `cluster` opened with the same arguments.
    pub(crate) fn scope(&self, cluster: &Cluster) -> Scope {
        let name = match self.names.as_slice() {
            [name] => Some(name.clone()),
            _ => None,
        };
        let namespace = (!self.all_namespaces).then(|| cluster.namespace.clone());
        Scope { namespace, labels: self.selector.clone(), name }
    }

    /// The apps, each once. One that is named and does not exist is an error, before anything is done about the others.
    pub(crate) async fn select(&self, cluster: &Cluster) -> Result<Listed<OrgOAuthApp>, CommandError> {
        if self.names.is_empty() {
            return self.scope(cluster).list(cluster).await;
        }
        let mut items = Vec::new();
        for name in self.names.iter().collect::<BTreeSet<_>>() {
            items.push(cluster.app(name).await?);
        }
        Ok(Listed { items, unreadable: Vec::new() })
    }
}

impl Scope {
    pub(crate) async fn list(&self, cluster: &Cluster) -> Result<Listed<OrgOAuthApp>, CommandError> {
        let params = ListParams { label_selector: self.labels.clone(), ..ListParams::default() };
        cluster.apps(self.namespace.as_deref(), &params).await
    }

    fn describe(&self) -> String {
        match (&self.name, &self.namespace) {
            (Some(name), Some(namespace)) => format!("OrgOAuthApp {namespace}/{name}"),
            (None, Some(namespace)) => format!("the OrgOAuthApps of namespace {namespace}"),
            (_, None) => "the OrgOAuthApps of all namespaces".to_owned(),
        }
    }

    /// Whatever their labels are, since an app that loses one is not gone.
    fn watch(&self, cluster: &Cluster) -> (Api<Lenient<OrgOAuthApp>>, watcher::Config) {
        let client = cluster.client.clone();
        let api = match &self.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        let mut config = watcher::Config::default();
        if let Some(name) = &self.name {
            config = config.fields(&format!("metadata.name={name}"));
        }
        (api, config)
    }
}

/// Waits for apps until `judge` has finished with each of them, or the time is over. It is given each state of each app, and `None`
/// for one that is gone.
pub(crate) async fn wait_for(
    cluster: &Cluster,
    scope: &Scope,
    awaited: &mut BTreeSet<AppKey>,
    timeout: Duration,
    mut judge: impl FnMut(&AppKey, Option<&OrgOAuthApp>) -> Result<ControlFlow<()>, CommandError>,
) -> Result<(), CommandError> {
    let (api, config) = scope.watch(cluster);
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut present = BTreeSet::new();
    let deadline = Instant::now() + timeout.min(LONGEST_WAIT);
    while !awaited.is_empty() {
        let Ok(Some(event)) = tokio::time::timeout_at(deadline, events.next()).await else { break };
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                require_transient(scope, error)?;
                continue;
            }
        };
        match event {
            Event::Init => present.clear(),
            Event::InitApply(Lenient(Ok(app))) => {
                present.insert(AppKey::of(&app));
                see(awaited, &app, &mut judge)?;
            }
            Event::Apply(Lenient(Ok(app))) => see(awaited, &app, &mut judge)?,
            Event::InitDone => lose(awaited, |key| !present.contains(key), &mut judge)?,
            Event::Delete(gone) => {
                let gone = ObjectRef::from_obj(&gone);
                let is_gone = |key: &AppKey| Some(&key.uid) == gone.extra.uid.as_ref();
                lose(awaited, is_gone, &mut judge)?;
            }
            // It stays awaited: whoever made it so can correct it.
            Event::InitApply(Lenient(Err(unreadable))) => {
                present.extend(awaited.iter().filter(|key| Some(&key.uid) == unreadable.metadata.uid.as_ref()).cloned())
            }
            Event::Apply(Lenient(Err(_))) => {}
        }
    }
    Ok(())
}

type Judge<'a> = dyn FnMut(&AppKey, Option<&OrgOAuthApp>) -> Result<ControlFlow<()>, CommandError> + 'a;

fn see(awaited: &mut BTreeSet<AppKey>, app: &OrgOAuthApp, judge: &mut Judge<'_>) -> Result<(), CommandError> {
    let key = AppKey::of(app);
    if awaited.contains(&key) && judge(&key, Some(app))?.is_break() {
        awaited.remove(&key);
    }
    Ok(())
}

fn lose(
    awaited: &mut BTreeSet<AppKey>,
    is_gone: impl Fn(&AppKey) -> bool,
    judge: &mut Judge<'_>,
) -> Result<(), CommandError> {
    let gone: Vec<AppKey> = awaited.iter().filter(|key| is_gone(key)).cloned().collect();
    for key in gone {
        if judge(&key, None)?.is_break() {
            awaited.remove(&key);
        }
    }
    Ok(())
}

/// What passes by itself is left to the watch, which tries again.
fn require_transient(scope: &Scope, error: watcher::Error) -> Result<(), CommandError> {
    match error {
        watcher::Error::InitialListFailed(source) | watcher::Error::WatchStartFailed(source) if matches!(&source, kube::Error::Api(status) if matches!(status.code, 400 | 401 | 403 | 404)) => {
            Err(CommandError::kubernetes(format!("watch {}", scope.describe()))(source))
        }
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchError(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => Ok(()),
    }
}
