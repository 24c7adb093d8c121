//! The rights of the operator's ServiceAccount: one table, which a test compares with the chart, and a review of each of them.
//! The operator reviews its own rights; anyone else needs the right to review those of others.

use super::rows::Rows;
use crate::commands::CommandError;
use crate::crd::FIELD_MANAGER;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

/// So many reviews are requested at once.
const AT_ONCE: usize = 8;
const WHAT_TO_DO: &str = "install or upgrade with the roles of the chart or of deploy/install.yaml";

/// Where a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// In each watched namespace, or in all of them.
    Apps,
    /// In the whole cluster.
    Cluster,
    /// In the namespace of the operator.
    Operator,
    /// In the namespace `default`, where Kubernetes keeps the Events of cluster-scoped objects.
    Default,
}

/// When a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Always,
    /// With `watchNamespaces`.
    Scoped,
    /// With this value of the chart.
    Enabled(&'static str),
}

/// A rule of the operator's roles.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Right {
    pub(super) scope: Scope,
    pub(super) when: When,
    pub(super) group: &'static str,
    pub(super) resources: &'static [&'static str],
    pub(super) verbs: &'static [&'static str],
    /// The only name that it is for.
    pub(super) name: Option<&'static str>,
}

const fn right(
    scope: Scope,
    when: When,
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
) -> Right {
    Right { scope, when, group, resources, verbs, name: None }
}

const OWN: &str = "oauth-apps.dev";

/// Every rule of the chart, in its order.
pub(super) const RIGHTS: &[Right] = &[
    right(Scope::Apps, When::Always, OWN, &["orgoauthapps"], &["get", "list", "watch", "patch"]),
    right(Scope::Apps, When::Always, OWN, &["orgoauthapps/status"], &["patch"]),
    right(Scope::Apps, When::Always, "", &["secrets"], &["get", "create", "update", "delete"]),
    right(Scope::Apps, When::Enabled("watchSecrets"), "", &["secrets"], &["list", "watch"]),
    right(Scope::Apps, When::Always, "", &["pods"], &["list"]),
    right(
        Scope::Apps,
        When::Enabled("rotation.restart"),
        "apps",
        &["deployments", "statefulsets", "daemonsets"],
        &["get", "patch"],
    ),
    right(Scope::Apps, When::Always, "events.k8s.io", &["events"], &["create"]),
    right(Scope::Cluster, When::Always, OWN, &["iamconnections"], &["list", "watch"]),
    right(Scope::Cluster, When::Always, OWN, &["iamconnections/status"], &["patch"]),
    right(Scope::Cluster, When::Always, "", &["namespaces"], &["list", "watch"]),
    right(Scope::Operator, When::Always, "", &["configmaps"], &["get"]),
    right(Scope::Operator, When::Scoped, "", &["secrets"], &["get", "create"]),
    right(Scope::Operator, When::Always, "coordination.k8s.io", &["leases"], &["create"]),
    Right {
        name: Some(FIELD_MANAGER),
        ..right(Scope::Operator, When::Always, "coordination.k8s.io", &["leases"], &["get", "update"])
    },
    right(Scope::Default, When::Scoped, "events.k8s.io", &["events"], &["create"]),
];

/// Where the operator runs, as which user, and what it watches.
pub(super) struct Installation {
    pub(super) namespace: String,
    pub(super) service_account: String,
    /// Empty for all namespaces.
    pub(super) watched: Vec<String>,
}

impl Installation {
    fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.service_account)
    }

    /// The namespaces in which a right is needed; an empty one is the whole cluster.
    fn namespaces(&self, right: &Right) -> Vec<&str> {
        match right.scope {
            Scope::Apps if self.watched.is_empty() => vec![""],
            Scope::Apps => self.watched.iter().map(String::as_str).collect(),
            Scope::Cluster => vec![""],
            Scope::Operator => vec![&self.namespace],
            Scope::Default => vec!["default"],
        }
    }

    /// The names for which it is needed; an empty one is all of them. A scoped operator reads the namespaces that it watches.
    fn names<'a>(&'a self, right: &'a Right) -> Vec<&'a str> {
        if right.resources == ["namespaces"] && !self.watched.is_empty() {
            return self.watched.iter().map(String::as_str).collect();
        }
        vec![right.name.unwrap_or_default()]
    }

    /// Every question that decides whether a right is there.
    fn attributes(&self, right: &Right) -> Vec<ResourceAttributes> {
        let mut all = Vec::new();
        for namespace in self.namespaces(right) {
            for name in self.names(right) {
                for resource in right.resources {
                    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                    all.extend(
                        right.verbs.iter().map(|verb| attributes(right, namespace, name, resource, subresource, verb)),
                    );
                }
            }
        }
        all
    }
}

fn attributes(
    right: &Right,
    namespace: &str,
    name: &str,
    resource: &str,
    subresource: &str,
    verb: &str,
) -> ResourceAttributes {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    ResourceAttributes {
        group: some(right.group),
        namespace: some(namespace),
        name: some(name),
        resource: some(resource),
        subresource: some(subresource),
        verb: some(verb),
        ..ResourceAttributes::default()
    }
}

/// Who the command runs as; `None` where the API server does not say.
pub(super) async fn current_user(client: &Client) -> Option<String> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = api.create(&PostParams::default(), &SelfSubjectReview::default()).await.ok()?;
    review.status?.user_info?.username
}

pub(super) async fn check(client: &Client, installation: &Installation, rows: &mut Rows) {
    let is_own = current_user(client).await.as_deref() == Some(&installation.user());
    rows.group(format!("Rights of ServiceAccount {}/{}", installation.namespace, installation.service_account));
    for right in RIGHTS.iter().filter(|right| right.when != When::Scoped || !installation.watched.is_empty()) {
        let check = words(right);
        rows.begin(&check);
        match missing(client, installation, right, is_own).await {
            Ok(missing) => report(rows, right, &check, &missing, installation.attributes(right).len()),
            Err(error) => {
                let what_to_do =
                    "ask for the right to create subjectaccessreviews, or run helm test, which checks as the operator";
                return rows.warning("all", error.to_string(), what_to_do);
            }
        }
    }
}

/// What an install creates: the group, the kind, and whether it is in the namespace of the operator.
const INSTALLED: [(&str, &str, bool); 10] = [
    ("", "namespaces", false),
    ("apiextensions.k8s.io", "customresourcedefinitions", false),
    ("rbac.authorization.k8s.io", "clusterroles", false),
    ("rbac.authorization.k8s.io", "clusterrolebindings", false),
    ("rbac.authorization.k8s.io", "roles", true),
    ("rbac.authorization.k8s.io", "rolebindings", true),
    ("", "serviceaccounts", true),
    ("apps", "deployments", true),
    ("networking.k8s.io", "networkpolicies", true),
    ("policy", "poddisruptionbudgets", true),
];

/// Whether the user may create what an install consists of.
pub(super) async fn check_installer(client: &Client, namespace: &str, rows: &mut Rows) {
    rows.group("Your rights to install");
    for (group, resource, is_namespaced) in INSTALLED {
        rows.begin(resource);
        let right = right(Scope::Cluster, When::Always, group, &[], &[]);
        let attributes = attributes(&right, if is_namespaced { namespace } else { "" }, "", resource, "", "create");
        match is_allowed(client.clone(), None, namespace, attributes).await {
            Ok(true) => rows.ok(&format!("create {resource}"), "granted"),
            Ok(false) => rows.failed(
                &format!("create {resource}"),
                "missing",
                "have an administrator of the cluster install, or ask for the right",
            ),
            Err(error) => return rows.warning("all", error.to_string(), "run the check again"),
        }
    }
}

fn report(rows: &mut Rows, right: &Right, check: &str, missing: &[String], of: usize) {
    match (right.when, missing) {
        (_, []) => rows.ok(check, "granted"),
        (When::Enabled(value), missing) if missing.len() == of => {
            rows.skipped(check, format!("not granted, as without {value} in the values of the chart"));
        }
        (When::Always | When::Scoped | When::Enabled(_), missing) => {
            rows.failed(check, format!("missing: {}", missing.join(", ")), WHAT_TO_DO);
        }
    }
}

/// Such as `get, list secrets`.
fn words(right: &Right) -> String {
    let name = right.name.map(|name| format!(" {name}")).unwrap_or_default();
    format!("{} {}{name}", right.verbs.join(", "), right.resources.join(", "))
}

/// The rights of a rule that are not there, each named once.
async fn missing(
    client: &Client,
    installation: &Installation,
    right: &Right,
    is_own: bool,
) -> Result<Vec<String>, CommandError> {
    let user = (!is_own).then(|| installation.user());
    let reviews = installation.attributes(right).into_iter().map(|attributes| {
        let (client, user) = (client.clone(), user.clone());
        async move {
            let is_allowed = is_allowed(client, user, &installation.namespace, attributes.clone()).await?;
            Ok::<_, CommandError>((!is_allowed).then(|| refused(&attributes)))
        }
    });
    let missing: Vec<Option<String>> = stream::iter(reviews).buffered(AT_ONCE).try_collect().await?;
    Ok(missing.into_iter().flatten().collect())
}

fn refused(attributes: &ResourceAttributes) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let subresource = attributes.subresource.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
    let place = attributes.namespace.as_ref().map(|namespace| format!(" in {namespace}")).unwrap_or_default();
    format!("{} {}{subresource}{place}", text(&attributes.verb), text(&attributes.resource))
}

/// Reviews a right of a user, or of the one who asks.
async fn is_allowed(
    client: Client,
    user: Option<String>,
    namespace: &str,
    attributes: ResourceAttributes,
) -> Result<bool, CommandError> {
    let resource_attributes = Some(attributes);
    let status = match user {
        None => {
            let spec = SelfSubjectAccessReviewSpec { resource_attributes, ..SelfSubjectAccessReviewSpec::default() };
            let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
            let api: Api<SelfSubjectAccessReview> = Api::all(client);
            api.create(&PostParams::default(), &review).await.map(|review| review.status)
        }
        Some(user) => {
            let groups = Some(groups(namespace));
            let spec = SubjectAccessReviewSpec {
                resource_attributes,
                user: Some(user),
                groups,
                ..SubjectAccessReviewSpec::default()
            };
            let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
            let api: Api<SubjectAccessReview> = Api::all(client);
            api.create(&PostParams::default(), &review).await.map(|review| review.status)
        }
    };
    let status = status.map_err(CommandError::kubernetes("review the rights of the operator"))?;
    Ok(status.is_some_and(|status| status.allowed))
}

/// The groups of a ServiceAccount of this namespace.
fn groups(namespace: &str) -> Vec<String> {
    vec![
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated".to_owned(),
    ]
}

#[cfg(test)]
mod tests;
