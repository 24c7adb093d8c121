//! Compares what an organization has with what the resources of the cluster say, and the Secrets with the resources.

use super::Place;
use super::report::{GoneApp, NotChecked, OrphanReport, OrphanedApp, OrphanedSecret, WHAT_TO_DO_WITH_AN_APP};
use crate::commands::CommandError;
use crate::commands::cluster::Cluster;
use crate::commands::live::Live;
use crate::commands::managed::Managed;
use crate::commands::output::Progress;
use crate::crd::{DERIVED_ID, OWNER_LABEL, OrgOAuthApp};
use crate::iam::http::{HttpIam, ShownApp};
use crate::iam::{ClientId, Iam};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, PartialObjectMeta};
use kube::{Api, ResourceExt};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// So many Secrets are listed at once, without their values.
const PAGE: u32 = 500;

pub(super) struct Search<'a> {
    pub(super) managed: &'a Managed,
    pub(super) live: &'a Live,
    pub(super) progress: &'a Progress,
    pub(super) report: OrphanReport,
}

impl Search<'_> {
    /// What cannot be checked is reported, and the rest is checked.
    pub(super) async fn look_in(&mut self, place: &Place) {
        if let Err(error) = self.compare(place).await {
            let what = format!("organization {} of IamConnection {}", place.org, place.connection.name_any());
            self.report.not_checked.push(NotChecked { what, why: error.to_string() });
        }
    }

    async fn compare(&mut self, place: &Place) -> Result<(), CommandError> {
        let iam = self.live.open(&place.connection, &place.namespace).await?.patient();
        iam.authenticate(&place.org).await.map_err(CommandError::message)?;
        let progress = |count| self.progress.show(format!("listed {count} apps of organization {}", place.org));
        let listed = iam.list_all(&place.org, progress).await.map_err(CommandError::message)?;
        match &listed {
            Some(listed) => self.apps(place, listed),
            None => {
                let what = format!("apps without a resource in organization {}", place.org);
                let why = "the API has no list of apps".to_owned();
                self.report.not_checked.push(NotChecked { what, why });
            }
        }
        self.resources(place, &iam, listed.as_ref()).await
    }

    fn apps(&mut self, place: &Place, listed: &BTreeMap<ClientId, ShownApp>) {
        let is_orphan = |id: &str| {
            let owner = self.managed.owner(&place.address, &place.org.0, id);
            id.starts_with(DERIVED_ID) && owner.or_else(|| self.managed.deriving(id)).is_none()
        };
        let orphans = listed.iter().filter(|(id, _)| is_orphan(&id.0));
        let found = orphans.map(|(id, shown)| OrphanedApp {
            client_id: id.0.clone(),
            org_id: place.org.0.clone(),
            connection: place.connection.name_any(),
            display_name: shown.app.fields.get("displayName").and_then(Value::as_str).map(str::to_owned),
            created_at: shown.app.created_at.map(|at| at.to_string()),
            what_to_do: WHAT_TO_DO_WITH_AN_APP,
        });
        self.report.apps.extend(found.collect::<Vec<_>>());
    }

    /// The list may lag, so a read confirms that an app is gone.
    async fn resources(
        &mut self,
        place: &Place,
        iam: &HttpIam,
        listed: Option<&BTreeMap<ClientId, ShownApp>>,
    ) -> Result<(), CommandError> {
        let is_here = |resource: &&OrgOAuthApp| {
            let is_same = self.managed.address_of(resource).is_some_and(|address| address.is_same(&place.address));
            is_same && resource.spec.org_id == place.org.0
        };
        let here: Vec<_> = self.managed.resources.iter().filter(is_here).collect();
        for resource in here {
            let Some(id) = existed(resource) else { continue };
            if listed.is_some_and(|listed| listed.contains_key(&id)) {
                continue;
            }
            self.progress.show(format!("reading app {id}"));
            if iam.read_whole(&place.org, &id).await.map_err(CommandError::message)?.is_none() {
                self.report.resources.push(GoneApp::of(resource, id.0));
            }
        }
        Ok(())
    }

    /// Only the metadata is read, never a value.
    pub(super) async fn secrets(&mut self, cluster: &Cluster) {
        let uids = self.managed.resources.iter().filter_map(ResourceExt::uid);
        let unreadable = self.managed.unreadable.iter().filter_map(|unreadable| unreadable.metadata.uid.clone());
        let uids: HashSet<String> = uids.chain(unreadable).collect();
        match of_operator(cluster).await {
            Ok(secrets) => {
                let is_orphan = |secret: &&PartialObjectMeta<Secret>| {
                    !secret.labels().get(OWNER_LABEL).is_some_and(|uid| uids.contains(uid))
                };
                self.report.secrets = secrets.iter().filter(is_orphan).map(OrphanedSecret::of).collect();
            }
            Err(error) => {
                let what = "Secrets without a resource".to_owned();
                self.report.not_checked.push(NotChecked { what, why: error.to_string() });
            }
        }
    }
}

/// The client id of an app that the resource had: its credentials were published, or the operator signed that it exists.
fn existed(resource: &OrgOAuthApp) -> Option<ClientId> {
    let status = resource.status.as_ref()?;
    let published = status.client_id.clone().filter(|_| status.secret_name.is_some());
    let claimed = || status.claim.as_ref().filter(|claim| claim.created).map(|claim| claim.client_id.clone());
    published.or_else(claimed).map(ClientId)
}

async fn of_operator(cluster: &Cluster) -> Result<Vec<PartialObjectMeta<Secret>>, CommandError> {
    let api: Api<Secret> = Api::all(cluster.client.clone());
    let mut params = ListParams::default().labels(OWNER_LABEL).limit(PAGE);
    let mut secrets = Vec::new();
    loop {
        let page =
            api.list_metadata(&params).await.map_err(CommandError::kubernetes("list the Secrets of all namespaces"))?;
        secrets.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(secrets),
        }
    }
}
