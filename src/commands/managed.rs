//! Which apps of an API the resources of the cluster have.

use super::CommandError;
use super::cluster::{Cluster, Listed};
use crate::claim::ApiAddress;
use crate::cluster::cached::CachedApp;
use crate::cluster::lenient::Unreadable;
use crate::crd::{DERIVED_ID, IamConnection, OrgOAuthApp};
use crate::decide::client_id;
use kube::ResourceExt;
use std::collections::{HashMap, HashSet};

/// The resources of the whole cluster, and where their connections lead.
pub(crate) struct Managed {
    /// Of large ones without the parts that can be large.
    pub(crate) resources: Vec<OrgOAuthApp>,
    pub(crate) unreadable: Vec<Unreadable>,
    addresses: HashMap<String, ApiAddress>,
}

impl Managed {
    /// `connections` are those that are known; a resource of another one has its app anywhere.
    pub(crate) async fn read(cluster: &Cluster, connections: &[IamConnection]) -> Result<Self, CommandError> {
        let Listed { items, unreadable } = cluster.cached_apps(None).await?;
        let items = items.into_iter().map(CachedApp::into_outline).collect();
        Ok(Self::new(Listed { items, unreadable }, connections))
    }

    pub(crate) fn new(listed: Listed<OrgOAuthApp>, connections: &[IamConnection]) -> Self {
        let addresses =
            connections.iter().map(|connection| (connection.name_any(), ApiAddress::of(connection))).collect();
        Self { resources: listed.items, unreadable: listed.unreadable, addresses }
    }

    /// Those of all resources, readable or not.
    pub(crate) fn uids(&self) -> HashSet<&str> {
        let readable = self.resources.iter().map(|resource| &resource.metadata);
        let all = readable.chain(self.unreadable.iter().map(|unreadable| &unreadable.metadata));
        all.filter_map(|metadata| metadata.uid.as_deref()).collect()
    }

    /// The resource that has an app, by its kind and name.
    pub(crate) fn owner(&self, address: &ApiAddress, org: &str, id: &str) -> Option<String> {
        let has_app = |resource: &&OrgOAuthApp| {
            let is_there = self.address_of(resource).is_none_or(|its| its.is_same(address));
            is_there && resource.spec.org_id == org && has_id(resource, id)
        };
        let readable = self.resources.iter().find(has_app);
        readable
            .map(|resource| named(resource.namespace_any(), &resource.name_any()))
            .or_else(|| self.unreadable_owner(id))
    }

    /// The resource from whose uid an id is derived, wherever its app is.
    pub(crate) fn deriving(&self, id: &str) -> Option<String> {
        let derives = |resource: &&OrgOAuthApp| id.strip_prefix(DERIVED_ID) == Some(resource.uid_any());
        let readable = self.resources.iter().find(derives);
        readable
            .map(|resource| named(resource.namespace_any(), &resource.name_any()))
            .or_else(|| self.unreadable_owner(id))
    }

    /// Where the app of a resource is; `None` when its connection is not known.
    pub(crate) fn address_of(&self, resource: &OrgOAuthApp) -> Option<&ApiAddress> {
        self.addresses.get(&resource.spec.connection_ref.name)
    }

    fn unreadable_owner(&self, id: &str) -> Option<String> {
        let derives = |unreadable: &&Unreadable| {
            let uid = unreadable.metadata.uid.as_deref();
            uid.is_some() && id.strip_prefix(DERIVED_ID) == uid
        };
        let metadata = &self.unreadable.iter().find(derives)?.metadata;
        Some(named(metadata.namespace.as_deref()?, metadata.name.as_deref()?))
    }
}

fn has_id(resource: &OrgOAuthApp, id: &str) -> bool {
    let recorded = resource.status.as_ref().and_then(|status| status.client_id.as_deref());
    recorded == Some(id) || client_id(resource).0 == id
}

fn named(namespace: &str, name: &str) -> String {
    format!("OrgOAuthApp {namespace}/{name}")
}
