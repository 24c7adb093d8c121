//! The cluster that a command talks to: the context of the kubeconfig, as for kubectl, or the ServiceAccount in a pod.
//! Every request is made with the rights of the user.

use super::CommandError;
use crate::cluster::cached::CachedApp;
use crate::cluster::client::ClusterConfig;
use crate::cluster::lenient::{Kept, Lenient, Unreadable};
use crate::cluster::watched::NamespaceMeta;
use crate::crd::{IamConnection, OrgOAuthApp};
use crate::grants::{Labels, ask_for_labels};
use crate::proxy::Proxy;
use clap::Args;
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Debug;
use std::path::PathBuf;

/// So many resources are read at once: a tenant can make each of them large.
const PAGE: u32 = 50;

/// Which cluster, and which namespace in it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Kubeconfig file [default: $KUBECONFIG, then ~/.kube/config, then the service account of the pod]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
}

/// Parses a label selector. An empty one, as from a variable that is not set, would select everything.
pub(crate) fn selector(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("a selector is not empty; leave the option out to select all"),
        selector => Ok(selector.to_owned()),
    }
}

/// A cluster, and the namespace that the command is about.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    /// Host and port of its API server.
    pub(crate) server: String,
    /// Through which it is reached.
    pub(crate) proxy: Option<Proxy>,
}

impl ClusterArgs {
    /// Makes no request.
    pub(crate) async fn connect(&self) -> Result<Cluster, CommandError> {
        let cluster = ClusterConfig::load(self.kubeconfig.as_deref(), self.context.as_deref()).await;
        let cluster = cluster.map_err(|error| CommandError::Kubeconfig(error.to_string()))?;
        let namespace = self.namespace.clone().unwrap_or_else(|| cluster.config.default_namespace.clone());
        let (server, proxy) = (cluster.server(), cluster.proxy.clone());
        let client = cluster.client().map_err(|error| CommandError::Kubeconfig(error.to_string()))?;
        Ok(Cluster { client, namespace, server, proxy })
    }
}

/// What a list has, and what of it cannot be read, which leaves the others alone.
pub(crate) struct Listed<K> {
    pub(crate) items: Vec<K>,
    pub(crate) unreadable: Vec<Unreadable>,
}

impl Cluster {
    pub(crate) async fn app(&self, name: &str) -> Result<OrgOAuthApp, CommandError> {
        let doing = format!("read OrgOAuthApp {}/{name}", self.namespace);
        let api: Api<Lenient<OrgOAuthApp>> = Api::namespaced(self.client.clone(), &self.namespace);
        let Lenient(read) = api.get(name).await.map_err(CommandError::kubernetes(&doing))?;
        read.map_err(|unreadable| CommandError::message(format!("cannot {doing}: {unreadable}")))
    }

    /// Those of a namespace, or of all.
    pub(crate) async fn apps(
        &self,
        namespace: Option<&str>,
        params: &ListParams,
    ) -> Result<Listed<OrgOAuthApp>, CommandError> {
        self.apps_as(namespace, params).await
    }

    /// As `apps`, for a command that needs many of them and little of each: of a large one an outline is kept.
    pub(crate) async fn cached_apps(&self, namespace: Option<&str>) -> Result<Listed<CachedApp>, CommandError> {
        self.apps_as(namespace, &ListParams::default()).await
    }

    async fn apps_as<K: Kept + Clone + Debug>(
        &self,
        namespace: Option<&str>,
        params: &ListParams,
    ) -> Result<Listed<K>, CommandError>
    where
        Lenient<K>: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let (api, place): (Api<Lenient<K>>, _) = match namespace {
            Some(namespace) => (Api::namespaced(self.client.clone(), namespace), format!("namespace {namespace}")),
            None => (Api::all(self.client.clone()), "all namespaces".to_owned()),
        };
        list(&api, params).await.map_err(CommandError::kubernetes(format!("list the OrgOAuthApps of {place}")))
    }

    /// The labels of all namespaces, by name, where a grant asks for them.
    pub(crate) async fn namespace_labels(
        &self,
        connections: &[IamConnection],
    ) -> Result<HashMap<String, Labels>, CommandError> {
        if !connections.iter().any(|connection| ask_for_labels(&connection.spec.grants)) {
            return Ok(HashMap::new());
        }
        let api: Api<Lenient<NamespaceMeta>> = Api::all(self.client.clone());
        let listed =
            list(&api, &ListParams::default()).await.map_err(CommandError::kubernetes("list the namespaces"))?;
        let labels = |namespace: NamespaceMeta| (namespace.name_any(), namespace.metadata.labels.unwrap_or_default());
        Ok(listed.items.into_iter().map(labels).collect())
    }

    pub(crate) async fn connections(&self) -> Result<Listed<IamConnection>, CommandError> {
        let api: Api<Lenient<IamConnection>> = Api::all(self.client.clone());
        list(&api, &ListParams::default()).await.map_err(CommandError::kubernetes("list the IamConnections"))
    }

    /// One connection; many users may read one and list none.
    pub(crate) async fn connection(&self, name: &str) -> Result<IamConnection, CommandError> {
        let doing = format!("read IamConnection {name}");
        let api: Api<Lenient<IamConnection>> = Api::all(self.client.clone());
        let Lenient(read) = api.get(name).await.map_err(CommandError::kubernetes(&doing))?;
        read.map_err(|unreadable| CommandError::message(format!("cannot {doing}: {unreadable}")))
    }
}

/// All pages of a list.
async fn list<K>(api: &Api<Lenient<K>>, params: &ListParams) -> kube::Result<Listed<K>>
where
    K: Kept + Clone + Debug,
{
    let mut listed = Listed { items: Vec::new(), unreadable: Vec::new() };
    each_page(api, params.clone().limit(PAGE), |page| {
        for Lenient(item) in page {
            match item {
                Ok(item) => listed.items.push(item),
                Err(unreadable) => listed.unreadable.push(*unreadable),
            }
        }
        true
    })
    .await?;
    Ok(listed)
}

/// Reads page after page, of the size that `params` has, while `take` wants more.
pub(crate) async fn each_page<K>(
    api: &Api<K>,
    mut params: ListParams,
    mut take: impl FnMut(Vec<K>) -> bool,
) -> kube::Result<()>
where
    K: Clone + Debug + DeserializeOwned,
{
    loop {
        let page = api.list(&params).await?;
        let wants_more = take(page.items);
        match page.metadata.continue_.filter(|token| wants_more && !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::selector;

    #[test]
    fn an_empty_selector_is_refused() {
        assert!(["", " ", "\t\n"].into_iter().all(|empty| selector(empty).is_err()));
        assert_eq!(selector(" team=billing "), Ok("team=billing".to_owned()));
    }
}
