//! The connections of the cluster, opened as the operator opens them and with the rights of the user: same credentials, limits,
//! certificate authority and flavor. They are read once, and not watched.

use super::CommandError;
use crate::cluster::cached::CachedApp;
use crate::cluster::watched::{NamespaceMeta, Watched};
use crate::connections::Connections;
use crate::connections::watched::WatchedConnections;
use crate::crd::{FIELD_MANAGER, IamConnection};
use crate::given::Given;
use crate::iam::http::HttpIam;
use crate::lease::guard::LeadershipGuard;
use crate::metrics::Metrics;
use clap::Args;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::Event;
use kube::{Client, Resource};
use std::hash::Hash;
use std::sync::Arc;

/// Where the operator is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct OperatorArgs {
    /// Namespace of the operator, with the Secrets that IamConnections name
    #[arg(long, env = "OPERATOR_NAMESPACE", value_name = "NAMESPACE", default_value = FIELD_MANAGER)]
    pub(crate) operator_namespace: String,
}

/// What was read once of the cluster.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) connections: Vec<IamConnection>,
    pub(crate) apps: Vec<CachedApp>,
    pub(crate) namespaces: Vec<NamespaceMeta>,
}

/// The connections of a snapshot, and the stores that the operator would watch.
pub(crate) struct Live {
    pub(crate) connections: WatchedConnections,
    pub(crate) watched: Watched,
}

impl Live {
    pub(crate) fn new(client: Client, operator_namespace: String, snapshot: Snapshot, given: Given) -> Self {
        let apps = store(snapshot.apps);
        let namespaces = store(snapshot.namespaces);
        let watched = Watched { scopes: Vec::new(), apps: vec![apps], namespaces: vec![namespaces] };
        let connections = WatchedConnections::new(
            client,
            operator_namespace,
            store(snapshot.connections),
            Arc::default(),
            watched.clone(),
            Arc::<Metrics>::default(),
            LeadershipGuard::Open,
        )
        .with_given(given);
        Self { connections, watched }
    }

    /// The API of a connection, with the credentials that it has for a namespace.
    pub(crate) async fn open(&self, connection: &IamConnection, namespace: &str) -> Result<Arc<HttpIam>, CommandError> {
        let opened = self.connections.open(connection, namespace).await;
        opened.map_err(|blocked| CommandError::message(blocked.message))
    }
}

fn store<K>(items: impl IntoIterator<Item = K>) -> Store<K>
where
    K: Resource<DynamicType: Default + Eq + Hash + Clone> + Clone + 'static,
{
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&Event::Init);
    items.into_iter().for_each(|item| writer.apply_watcher_event(&Event::InitApply(item)));
    writer.apply_watcher_event(&Event::InitDone);
    store
}
