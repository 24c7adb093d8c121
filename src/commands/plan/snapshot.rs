//! What a plan has to know of the cluster beside the manifests: connections, namespaces with their labels, other resources, and the
//! key that signs claims. What the user may not read is noted, and the plan goes on with the rest.

use super::manifests::{Manifest, Manifests, decode};
use super::trust::{Named, Trust, authority, is_same_target};
use crate::claim::{ClaimKey, MIN_KEY_BYTES};
use crate::cluster::cached::CachedApp;
use crate::cluster::claim_key;
use crate::cluster::lenient::Lenient;
use crate::cluster::watched::NamespaceMeta;
use crate::commands::CommandError;
use crate::commands::cluster::Cluster;
use crate::commands::live::Snapshot;
use crate::crd::{IamConnection, OrgOAuthApp};
use crate::given::Given;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, ResourceExt};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Snapshots {
    snapshot: Snapshot,
    /// The namespaces whose resources may be read; all when empty.
    scopes: Vec<String>,
    claim_key: ClaimKey,
    pub(super) trust: Trust,
    pub(super) notes: Vec<String>,
}

impl Snapshots {
    pub(super) async fn read(
        cluster: &Cluster,
        operator_namespace: &str,
        manifests: &Manifests,
        pruned: &[OrgOAuthApp],
        mut trust: Trust,
    ) -> Result<Self, CommandError> {
        let mut notes = Vec::new();
        let of_pruned = pruned.iter().map(|app| app.spec.connection_ref.name.clone());
        let used: BTreeSet<String> = used(manifests).into_iter().chain(of_pruned).collect();
        let connections = connections(cluster, operator_namespace, manifests, &used, &mut trust).await?;
        let (apps, scopes) = apps(cluster, manifests, &mut notes).await?;
        let mut names = manifests.namespaces_of_apps();
        names.extend(pruned.iter().filter_map(ResourceExt::namespace));
        let namespaces = namespaces(cluster, manifests, names, &mut notes).await?;
        let claim_key = claim_key(cluster, operator_namespace, &mut notes).await?;
        Ok(Self { snapshot: Snapshot { connections, apps, namespaces }, scopes, claim_key, trust, notes })
    }

    /// With the resources of the manifests in place of those that are there.
    pub(super) fn with_apps(self, apps: Vec<OrgOAuthApp>) -> (Snapshot, Vec<String>, ClaimKey) {
        let Self { mut snapshot, scopes, claim_key, trust: _, notes: _ } = self;
        snapshot.apps.extend(apps.into_iter().map(CachedApp::from));
        (snapshot, scopes, claim_key)
    }
}

fn is_missing_crd(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_forbidden())
}

/// Those that the manifests use, with those of the manifests first.
async fn connections(
    cluster: &Cluster,
    operator_namespace: &str,
    manifests: &Manifests,
    used: &BTreeSet<String>,
    trust: &mut Trust,
) -> Result<Vec<IamConnection>, CommandError> {
    let mut given = BTreeMap::new();
    for Manifest { name, object, .. } in &manifests.connections {
        match decode::<IamConnection>(object) {
            Ok(connection) => drop(given.insert(name.clone(), connection)),
            Err(error) => trust.add_unreadable(name, format!("IamConnection {name}: {error}")),
        }
    }
    let mut found = Vec::new();
    for name in given.keys().chain(used).cloned().collect::<BTreeSet<_>>() {
        let own = of_cluster(cluster, &name).await?;
        let foreign = match (given.get(&name), &own) {
            (Some(given), Ok(Some(own))) if is_same_target(given, own) => None,
            (Some(_), Ok(_)) => Some(format!("IamConnection {name} of the manifests is not that of the cluster")),
            (Some(_), Err(problem)) => {
                Some(format!("IamConnection {name} is not compared with that of the cluster: {problem}"))
            }
            (None, _) => None,
        };
        match (given.remove(&name), own) {
            (Some(connection), _) | (None, Ok(Some(connection))) => found.push((connection, foreign)),
            (None, Ok(None)) => {}
            (None, Err(problem)) => trust.add_unreadable(&name, problem),
        }
    }
    for (connection, foreign) in &found {
        let foreign = match foreign {
            Some(_) => foreign.clone(),
            None => other_authority(cluster, operator_namespace, connection, &manifests.given()).await?,
        };
        foreign.into_iter().for_each(|why| trust.add_foreign(connection, why));
    }
    Ok(found.into_iter().map(|(connection, _)| connection).collect())
}

/// The connection of the cluster, or why it is not known.
async fn of_cluster(cluster: &Cluster, name: &str) -> Result<Result<Option<IamConnection>, String>, CommandError> {
    let api: Api<Lenient<IamConnection>> = Api::all(cluster.client.clone());
    match api.get_opt(name).await {
        Ok(None) => Ok(Ok(None)),
        Ok(Some(Lenient(Ok(connection)))) => Ok(Ok(Some(connection))),
        Err(error) if is_missing_crd(&error) => Ok(Ok(None)),
        Ok(Some(Lenient(Err(error)))) => Ok(Err(format!("IamConnection {name} cannot be read: {error}"))),
        Err(error) => {
            let is_forbidden = is_forbidden(&error);
            let problem = CommandError::kubernetes(format!("read IamConnection {name}"))(error);
            if is_forbidden { Ok(Err(problem.to_string())) } else { Err(problem) }
        }
    }
}

/// That the manifests bring another certificate authority than the connection has in the cluster.
async fn other_authority(
    cluster: &Cluster,
    operator_namespace: &str,
    connection: &IamConnection,
    given: &Given,
) -> Result<Option<String>, CommandError> {
    let Some((Named { kind, namespace, name }, key)) = authority(connection, operator_namespace) else {
        return Ok(None);
    };
    let Some(given) = given.find(kind, namespace, name) else { return Ok(None) };
    let resource = ApiResource {
        kind: kind.into(),
        plural: format!("{}s", kind.to_lowercase()),
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), namespace, &resource);
    let own = match api.get_opt(name).await {
        Ok(own) => own,
        Err(error) if is_forbidden(&error) => None,
        Err(error) => return Err(CommandError::kubernetes(format!("read {kind} {namespace}/{name}"))(error)),
    };
    let is_same =
        own.is_some_and(|own| !own.data["data"][key].is_null() && own.data["data"][key] == given["data"][key]);
    let why = || {
        format!(
            "{kind} {namespace}/{name} of the manifests is not the certificate authority that IamConnection {} has in the cluster",
            connection.name_any()
        )
    };
    Ok((!is_same).then(why))
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
) -> Result<(Vec<CachedApp>, Vec<String>), CommandError> {
    let api: Api<Lenient<OrgOAuthApp>> = Api::all(cluster.client.clone());
    match api.list(&ListParams::default().limit(1)).await {
        Ok(_) => Ok((cluster.cached_apps(None).await?.items, Vec::new())),
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
                apps.extend(cluster.cached_apps(Some(scope)).await?.items);
            }
            Ok((apps, scopes))
        }
        Err(error) => Err(CommandError::kubernetes("list the OrgOAuthApps")(error)),
    }
}

async fn namespaces(
    cluster: &Cluster,
    manifests: &Manifests,
    names: BTreeSet<String>,
    notes: &mut Vec<String>,
) -> Result<Vec<NamespaceMeta>, CommandError> {
    let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(cluster.client.clone());
    let mut found = Vec::new();
    for name in names {
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
