//! What a plan has to know of the cluster beside the manifests: connections, namespaces with their labels, other resources, and the
//! key that signs claims. What the user may not read is noted, and the plan goes on with the rest.

use super::manifests::Manifests;
use crate::claim::{ClaimKey, MIN_KEY_BYTES};
use crate::cluster::claim_key;
use crate::cluster::lenient::Lenient;
use crate::cluster::watched::NamespaceMeta;
use crate::commands::CommandError;
use crate::commands::cluster::Cluster;
use crate::commands::live::Snapshot;
use crate::crd::{IamConnection, OrgOAuthApp};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Snapshots {
    snapshot: Snapshot,
    /// The namespaces whose resources may be read; all when empty.
    scopes: Vec<String>,
    claim_key: ClaimKey,
    /// By name of a connection: why it is not known.
    pub(super) unreadable: BTreeMap<String, String>,
    pub(super) notes: Vec<String>,
}

impl Snapshots {
    pub(super) async fn read(
        cluster: &Cluster,
        operator_namespace: &str,
        manifests: &Manifests,
    ) -> Result<Self, CommandError> {
        let mut notes = Vec::new();
        let (connections, unreadable) = connections(cluster, manifests).await?;
        let (apps, scopes) = apps(cluster, manifests, &mut notes).await?;
        let namespaces = namespaces(cluster, manifests, &mut notes).await?;
        let claim_key = claim_key(cluster, operator_namespace, &mut notes).await?;
        Ok(Self { snapshot: Snapshot { connections, apps, namespaces }, scopes, claim_key, unreadable, notes })
    }

    /// With the resources of the manifests in place of those that are there.
    pub(super) fn with_apps(self, apps: Vec<OrgOAuthApp>) -> (Snapshot, Vec<String>, ClaimKey) {
        let Self { mut snapshot, scopes, claim_key, unreadable: _, notes: _ } = self;
        snapshot.apps.extend(apps);
        (snapshot, scopes, claim_key)
    }
}

fn is_missing_crd(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_forbidden())
}

type Connections = (Vec<IamConnection>, BTreeMap<String, String>);

/// Those that the manifests use, with those of the manifests first.
async fn connections(cluster: &Cluster, manifests: &Manifests) -> Result<Connections, CommandError> {
    let (mut found, mut unreadable) = (Vec::new(), BTreeMap::new());
    for manifest in &manifests.connections {
        match serde_json::from_value::<IamConnection>(manifest.object.clone()) {
            Ok(connection) => found.push(connection),
            Err(error) => {
                unreadable.insert(manifest.name.clone(), format!("IamConnection {}: {error}", manifest.name));
            }
        }
    }
    let given: BTreeSet<&str> = manifests.connections.iter().map(|manifest| manifest.name.as_str()).collect();
    let api: Api<Lenient<IamConnection>> = Api::all(cluster.client.clone());
    for name in used(manifests).into_iter().filter(|name| !given.contains(name.as_str())) {
        match api.get_opt(&name).await {
            Ok(None) => {}
            Ok(Some(Lenient(Ok(connection)))) => found.push(connection),
            Ok(Some(Lenient(Err(error)))) => {
                unreadable.insert(name.clone(), format!("IamConnection {name} cannot be read: {error}"));
            }
            Err(error) if is_forbidden(&error) => {
                let problem = CommandError::kubernetes(format!("read IamConnection {name}"))(error);
                unreadable.insert(name, problem.to_string());
            }
            Err(error) => return Err(CommandError::kubernetes(format!("read IamConnection {name}"))(error)),
        }
    }
    Ok((found, unreadable))
}

fn used(manifests: &Manifests) -> BTreeSet<String> {
    let name = |object: &Value| {
        let name = object["spec"]["connectionRef"]["name"].as_str();
        name.unwrap_or("default").to_owned()
    };
    manifests.apps.iter().map(|manifest| name(&manifest.object)).collect()
}

/// Those of the cluster, or at least those of the namespaces of the manifests.
async fn apps(
    cluster: &Cluster,
    manifests: &Manifests,
    notes: &mut Vec<String>,
) -> Result<(Vec<OrgOAuthApp>, Vec<String>), CommandError> {
    let api: Api<Lenient<OrgOAuthApp>> = Api::all(cluster.client.clone());
    match api.list(&ListParams::default().limit(1)).await {
        Ok(_) => Ok((cluster.apps(None, &ListParams::default()).await?.items, Vec::new())),
        Err(error) if is_missing_crd(&error) => {
            notes.push("the CRDs of oauth-app-operator are not installed in this cluster".into());
            Ok((Vec::new(), Vec::new()))
        }
        Err(error) if is_forbidden(&error) => {
            notes.push(
                "resources of other namespaces may not be read, so a conflict with the id of one of them is not seen"
                    .into(),
            );
            let scopes: Vec<String> = manifests.namespaces_of_apps().into_iter().collect();
            let mut apps = Vec::new();
            for scope in &scopes {
                apps.extend(cluster.apps(Some(scope), &ListParams::default()).await?.items);
            }
            Ok((apps, scopes))
        }
        Err(error) => Err(CommandError::kubernetes("list the OrgOAuthApps")(error)),
    }
}

async fn namespaces(
    cluster: &Cluster,
    manifests: &Manifests,
    notes: &mut Vec<String>,
) -> Result<Vec<NamespaceMeta>, CommandError> {
    let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(cluster.client.clone());
    let mut found = Vec::new();
    for name in manifests.namespaces_of_apps() {
        let given = manifests.namespaces.iter().find(|manifest| manifest.name == name);
        let mut meta = NamespaceMeta::default();
        meta.metadata.name = Some(name.clone());
        match given {
            Some(manifest) => {
                meta.metadata.labels = serde_json::from_value(manifest.object["metadata"]["labels"].clone()).ok();
            }
            None => match api.get_metadata_opt(&name).await {
                Ok(Some(read)) => meta.metadata.labels = Some(read.labels().clone()),
                Ok(None) => notes.push(format!("namespace {name} does not exist yet")),
                Err(error) if is_forbidden(&error) => {
                    notes.push(format!(
                        "the labels of namespace {name} may not be read, so a grant by labels is not seen"
                    ));
                }
                Err(error) => return Err(CommandError::kubernetes(format!("read namespace {name}"))(error)),
            },
        }
        // The API server sets it on each one.
        meta.metadata.labels.get_or_insert_default().insert("kubernetes.io/metadata.name".into(), name);
        found.push(meta);
    }
    Ok(found)
}

/// Without an operator there is no key and no claim either.
async fn claim_key(
    cluster: &Cluster,
    operator_namespace: &str,
    notes: &mut Vec<String>,
) -> Result<ClaimKey, CommandError> {
    match claim_key::find(&cluster.client, operator_namespace).await {
        Ok(Some(key)) => return Ok(key),
        Ok(None) => {}
        Err(error) => notes.push(format!("which apps the operator has made is not known: {error}")),
    }
    let mut key = vec![0; MIN_KEY_BYTES];
    getrandom::fill(&mut key).map_err(CommandError::message)?;
    ClaimKey::new(&key, []).map_err(CommandError::message)
}
