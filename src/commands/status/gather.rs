//! Reads what a status shows, each part by itself, so that one that cannot be read leaves the others alone.

use super::report::{
    AppStatus, ConditionReport, ConnectionReport, ConsumersReport, GrantReport, GrantVerdict, RemoteReport,
    RotationReport, SecretReport,
};
use super::{events, report};
use crate::cluster::kubernetes::{Kubernetes, RequestOptions};
use crate::cluster::lenient::Lenient;
use crate::cluster::watched::Watched;
use crate::cluster::{self, Cluster as _};
use crate::commands::CommandError;
use crate::commands::cluster::Cluster;
use crate::crd::{ConditionType, IamConnection, OWNER_LABEL, OrgOAuthApp};
use crate::decide::Access;
use crate::grants::{Labels, ask_for_labels};
use crate::lease::guard::LeadershipGuard;
use crate::reason::Reason;
use crate::reconcile::access_with;
use crate::secret::{controller, secret_name};
use crate::status::rotation_waits;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{Api, ResourceExt};
use std::sync::Arc;

const CONNECTION_RIGHT: &str = "get iamconnections.oauth-apps.dev";
const NAMESPACE_RIGHT: &str = "get namespaces, whose labels a grant selects";
/// Requests to Kubernetes at once.
const AT_ONCE: usize = 4;

pub(super) async fn status(cluster: &Cluster, app: &OrgOAuthApp) -> AppStatus {
    let connection = cluster.connection(&app.spec.connection_ref.name).await;
    let (grant, secret, consumers, events) = futures::join!(
        grant(cluster, app, connection.as_ref()),
        secret(cluster, app),
        consumers(cluster, app),
        events::last(cluster, app)
    );
    let (events, events_problem) = split(events, || right("list", "events", app));
    AppStatus {
        namespace: app.namespace_any().to_owned(),
        name: app.name_any(),
        ready: app.condition(ConditionType::Ready).map(ConditionReport::of),
        what_to_do: what_to_do(app),
        is_deleting: app.metadata.deletion_timestamp.is_some(),
        suspended: app.spec.suspend,
        connection: report_connection(app, connection),
        grant,
        app: remote(app),
        secret,
        consumers,
        rotation: rotation(app),
        events: events.unwrap_or_default(),
        events_problem,
    }
}

/// A value, or why there is none; `right` is needed to read it.
fn split<T>(read: Result<T, CommandError>, right: impl FnOnce() -> String) -> (Option<T>, Option<String>) {
    match read {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error.without(&right()))),
    }
}

fn right(verb: &str, resources: &str, app: &OrgOAuthApp) -> String {
    format!("{verb} {resources} in namespace {}", app.namespace_any())
}

/// What the table of reasons says about the state of the app, unless that is as it should be.
fn what_to_do(app: &OrgOAuthApp) -> Option<String> {
    let reason = match app.condition(ConditionType::Ready) {
        Some(ready) => Reason::named(&ready.reason)?,
        None => Reason::Pending,
    };
    (reason != Reason::Provisioned).then(|| reason.row().remedy.to_owned())
}

fn report_connection(app: &OrgOAuthApp, read: Result<IamConnection, CommandError>) -> ConnectionReport {
    let name = app.spec.connection_ref.name.clone();
    let (connection, problem) = split(read, || CONNECTION_RIGHT.to_owned());
    let ready = connection.as_ref().and_then(|connection| {
        let conditions = &connection.status.as_ref()?.conditions;
        conditions.iter().find(|condition| condition.r#type == ConditionType::Ready).map(ConditionReport::of)
    });
    let claim = app.status.as_ref().and_then(|status| status.claim.as_ref());
    let spec = connection.map(|connection| connection.spec);
    // What the operator recorded of it when it was last used.
    let api = spec.as_ref().map(|spec| spec.api).or(claim.map(|claim| claim.api));
    let endpoint = spec.map(|spec| spec.endpoint).or(claim.map(|claim| claim.endpoint.clone()));
    ConnectionReport { name, api, endpoint, ready, problem }
}

async fn grant(cluster: &Cluster, app: &OrgOAuthApp, connection: Result<&IamConnection, &CommandError>) -> GrantReport {
    let evaluated = match connection {
        Ok(connection) => {
            let labels = labels(cluster, app, connection).await;
            labels.map(|labels| access_with(app, connection, &labels)).map_err(|error| error.without(NAMESPACE_RIGHT))
        }
        Err(error) => Err(error.without(CONNECTION_RIGHT)),
    };
    match evaluated {
        Ok(Access::Granted { adoption, .. }) => {
            GrantReport { verdict: GrantVerdict::Granted, adoption: Some(adoption), message: None, problem: None }
        }
        Ok(Access::Refused(blocked)) => {
            let verdict =
                if blocked.reason == Reason::NotGranted { GrantVerdict::NotGranted } else { GrantVerdict::NotAllowed };
            GrantReport { verdict, adoption: None, message: Some(blocked.message), problem: None }
        }
        Err(problem) => grant_by_conditions(app, problem),
    }
}

/// The labels of the namespace, where a grant asks for them.
async fn labels(cluster: &Cluster, app: &OrgOAuthApp, connection: &IamConnection) -> Result<Labels, CommandError> {
    if !ask_for_labels(&connection.spec.grants) {
        return Ok(Labels::new());
    }
    let name = app.namespace_any();
    let api: Api<Namespace> = Api::all(cluster.client.clone());
    let read = api.get_metadata(name).await.map_err(CommandError::kubernetes(format!("read Namespace {name}")))?;
    Ok(read.metadata.labels.unwrap_or_default())
}

/// The word of the operator, which reads all of it.
fn grant_by_conditions(app: &OrgOAuthApp, problem: String) -> GrantReport {
    let condition = app.condition(ConditionType::Synced).or(app.condition(ConditionType::Ready));
    let verdict = match condition.and_then(|condition| Reason::named(&condition.reason)) {
        Some(Reason::NotGranted) => GrantVerdict::NotGranted,
        Some(Reason::NotAllowed) => GrantVerdict::NotAllowed,
        Some(Reason::Provisioned) => GrantVerdict::Granted,
        Some(_) | None => GrantVerdict::NotKnown,
    };
    let is_refused = matches!(verdict, GrantVerdict::NotGranted | GrantVerdict::NotAllowed);
    let message = condition.filter(|_| is_refused).map(|condition| condition.message.clone());
    GrantReport { verdict, adoption: None, message, problem: Some(problem) }
}

fn remote(app: &OrgOAuthApp) -> RemoteReport {
    let status = app.status.clone().unwrap_or_default();
    RemoteReport {
        client_id: status.client_id,
        organization: app.spec.org_id.clone(),
        adopted: status.adopted.unwrap_or_default(),
        synced: app.condition(ConditionType::Synced).map(ConditionReport::of),
        drift: status.drift.unwrap_or_default(),
        created_at: status.created_at.map(|at| at.0.to_string()),
        last_used_at: status.last_used_at.map(|at| at.0.to_string()),
    }
}

async fn secret(cluster: &Cluster, app: &OrgOAuthApp) -> SecretReport {
    let recorded = app.status.as_ref().and_then(|status| status.secret_name.clone());
    let name = recorded.unwrap_or_else(|| secret_name(app));
    let published = app.condition(ConditionType::SecretPublished).map(ConditionReport::of);
    let read = read_secret(cluster, app.namespace_any(), &name).await;
    let (read, problem) = split(read, || right("get", "secrets", app));
    let found = read.flatten();
    let exists = problem.is_none().then_some(found.is_some());
    let owned = found.as_ref().map(|secret| is_owned(app, secret));
    let keys = found.and_then(|secret| secret.data).map(|data| data.into_keys().collect()).unwrap_or_default();
    SecretReport { name, exists, owned, keys, published, problem }
}

pub(in crate::commands) async fn read_secret(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Option<Secret>, CommandError> {
    let api: Api<Lenient<Secret>> = Api::namespaced(cluster.client.clone(), namespace);
    let doing = format!("read Secret {namespace}/{name}");
    match api.get_opt(name).await.map_err(CommandError::kubernetes(&doing))? {
        Some(Lenient(Ok(secret))) => Ok(Some(secret)),
        // Not quoted, since what cannot be decoded may be a credential.
        Some(Lenient(Err(_))) => Err(CommandError::message(format!("cannot {doing}: it cannot be decoded"))),
        None => Ok(None),
    }
}

/// As far as a user can tell: only the operator can verify its claim on the Secret.
pub(in crate::commands) fn is_owned(app: &OrgOAuthApp, secret: &Secret) -> bool {
    match controller(&secret.metadata) {
        Some(controller) => controller.uid == app.uid_any(),
        None => secret.labels().get(OWNER_LABEL).is_some_and(|uid| uid == app.uid_any()),
    }
}

async fn consumers(cluster: &Cluster, app: &OrgOAuthApp) -> ConsumersReport {
    let options =
        RequestOptions { max_kubernetes_requests: AT_ONCE, identity: "command", guard: LeadershipGuard::Open };
    let watched = Watched { scopes: Vec::new(), apps: Vec::new(), namespaces: Vec::new() };
    let kubernetes = Kubernetes::new(cluster.client.clone(), options, watched, Arc::default(), Arc::default());
    let namespace = app.namespace_any();
    let name = app.status.as_ref().and_then(|status| status.secret_name.clone()).unwrap_or_else(|| secret_name(app));
    let (pods, problem) = match kubernetes.pods_using(namespace, &[name]).await {
        Ok(pods) => (pods, None),
        Err(cluster::Error::Refused(_)) => {
            (Vec::new(), Some(format!("not shown: you lack the right to {}", right("list", "pods", app))))
        }
        Err(error @ (cluster::Error::Stale | cluster::Error::Unavailable(_))) => {
            (Vec::new(), Some(format!("cannot list the Pods of namespace {namespace}: {error}")))
        }
    };
    let rotation = app.status.as_ref().and_then(|status| status.rotation.clone()).unwrap_or_default();
    ConsumersReport {
        pods,
        stale: rotation.stale_consumers.unwrap_or_default(),
        stale_count: rotation.stale_consumer_count.unwrap_or_default(),
        problem,
    }
}

fn rotation(app: &OrgOAuthApp) -> RotationReport {
    let rotation = app.status.as_ref().and_then(|status| status.rotation.clone()).unwrap_or_default();
    let interval = app.spec.rotation.as_ref().and_then(|rotation| rotation.interval.clone());
    RotationReport {
        interval: interval.map(String::from),
        revision: rotation.revision,
        rotated_at: rotation.rotated_at.map(|at| at.0.to_string()),
        verified_revision: rotation.verified_revision,
        verified_at: rotation.verified_at.map(|at| at.0.to_string()),
        next_at: rotation.next_at.map(|at| at.0.to_string()),
        previous_expires_at: rotation.previous_expires_at.map(|at| at.0.to_string()),
        waits: rotation_waits(app).map(|(_, sentence)| sentence.to_owned()),
        kind: report::RotationKind::of(app),
    }
}
