//! Compares what an organization has with what the resources of the cluster say, and the Secrets with the resources.

use super::places::Place;
use super::report::{GoneApp, NotChecked, OrphanReport, OrphanedApp, OrphanedSecret, WHAT_TO_DO_WITH_AN_APP};
use crate::claim::ApiAddress;
use crate::commands::CommandError;
use crate::commands::cluster::{Cluster, each_page};
use crate::commands::live::Live;
use crate::commands::managed::Managed;
use crate::commands::output::Progress;
use crate::commands::raw::Raw;
use crate::crd::{DERIVED_ID, IamConnection, OWNER_LABEL, OrgOAuthApp};
use crate::iam::http::{HttpIam, ShownApp};
use crate::iam::{ClientId, Iam};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, PartialObjectMeta};
use kube::{Api, ResourceExt};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// So many objects are listed at once.
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
        let orphans = listed.iter().filter(|(id, _)| is_orphan(self.managed, &place.address, &place.org.0, &id.0));
        let found = orphans.map(|(id, shown)| OrphanedApp {
            address: place.address.clone(),
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
        let is_here = |resource: &&OrgOAuthApp| place.has(resource, self.managed);
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

    /// The resources are read again at the end, since what came and went while the lists were read looks like an orphan too.
    pub(super) async fn finish(
        mut self,
        cluster: &Cluster,
        connections: &[IamConnection],
    ) -> Result<OrphanReport, CommandError> {
        let secrets = secrets(cluster).await;
        let now = Managed::read(cluster, connections).await?;
        match secrets {
            Ok(secrets) => {
                let uids = now.uids();
                let has_owner = |uid: &String| uids.contains(uid.as_str());
                let orphans = secrets.iter().filter(|secret| !secret.labels().get(OWNER_LABEL).is_some_and(has_owner));
                self.report.secrets = orphans.map(OrphanedSecret::of).collect();
            }
            Err(error) => {
                let what = "Secrets without a resource".to_owned();
                self.report.not_checked.push(NotChecked { what, why: error.to_string() });
            }
        }
        self.report.confirm(&now);
        Ok(self.report)
    }
}

impl OrphanReport {
    /// Leaves out what is no orphan now, and what several connections have shown.
    fn confirm(&mut self, now: &Managed) {
        self.apps.retain(|app| is_orphan(now, &app.address, &app.org_id, &app.client_id));
        let uids = now.uids();
        self.resources.retain(|gone| uids.contains(gone.uid.as_str()));
        let mut seen = HashSet::new();
        self.apps.retain(|app| seen.insert((app.org_id.clone(), app.client_id.clone())));
        let mut seen = HashSet::new();
        self.resources.retain(|gone| seen.insert(gone.uid.clone()));
    }
}

/// Whether an operator derived the id, and no resource has the app.
fn is_orphan(managed: &Managed, address: &ApiAddress, org: &str, id: &str) -> bool {
    let owner = managed.owner(address, org, id);
    id.starts_with(DERIVED_ID) && owner.or_else(|| managed.deriving(id)).is_none()
}

/// The client id of an app that the resource had: its credentials were published, or the operator signed that it exists.
fn existed(resource: &OrgOAuthApp) -> Option<ClientId> {
    let status = resource.status.as_ref()?;
    let published = status.client_id.clone().filter(|_| status.secret_name.is_some());
    let claimed = || status.claim.as_ref().filter(|claim| claim.created).map(|claim| claim.client_id.clone());
    published.or_else(claimed).map(ClientId)
}

/// The Secrets of all namespaces that say they are the operator's, without their values.
async fn secrets(cluster: &Cluster) -> Result<Vec<Raw<PartialObjectMeta<Secret>>>, CommandError> {
    let api: Api<Raw<PartialObjectMeta<Secret>>> = Api::all(cluster.client.clone());
    let mut secrets = Vec::new();
    let take = |page| {
        secrets.extend(page);
        true
    };
    let read = each_page(&api, ListParams::default().labels(OWNER_LABEL).limit(PAGE), take).await;
    read.map_err(CommandError::kubernetes("list the Secrets of all namespaces"))?;
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::cluster::Listed;
    use crate::crd::Api as IamApi;
    use serde_json::json;

    fn resource(uid: &str) -> OrgOAuthApp {
        serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": "app", "namespace": "team", "uid": uid}, "spec": {"orgId": "acme"},
        }))
        .unwrap()
    }

    fn orphan(uid: &str) -> OrphanedApp {
        OrphanedApp {
            address: ApiAddress::new(IamApi::CloudServices, "https://iam.example.com", &[]),
            client_id: format!("{DERIVED_ID}{uid}"),
            org_id: "acme".into(),
            connection: "central".into(),
            display_name: None,
            created_at: None,
            what_to_do: WHAT_TO_DO_WITH_AN_APP,
        }
    }

    #[test]
    fn what_came_or_went_meanwhile_is_no_orphan() {
        let gone = |uid: &str| GoneApp::of(&resource(uid), format!("{DERIVED_ID}{uid}"));
        let mut report = OrphanReport {
            apps: vec![orphan("created-meanwhile"), orphan("left"), orphan("left")],
            resources: vec![gone("deleted-meanwhile"), gone("there"), gone("there")],
            ..OrphanReport::default()
        };
        let items = vec![resource("created-meanwhile"), resource("there")];
        report.confirm(&Managed::new(Listed { items, unreadable: Vec::new() }, &[]));
        let apps: Vec<_> = report.apps.iter().map(|app| app.client_id.as_str()).collect();
        let resources: Vec<_> = report.resources.iter().map(|gone| gone.uid.as_str()).collect();
        assert_eq!((apps, resources), (vec!["ooa-left"], vec!["there"]));
    }
}
