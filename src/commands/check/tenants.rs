//! Which organization the API of a connection is asked about where none is named: one that the administrators name in a grant, or one
//! in which the operator has created an app. What a tenant merely writes into `spec.orgId` is not taken.

use crate::cluster::cached::CachedApp;
use crate::commands::cluster::Cluster;
use crate::crd::{CredentialSource, IamConnection, OrgOAuthApp, OrgsFrom};
use crate::decide::{Access, org_id};
use crate::grants::{self, Decision, Labels, Place};
use crate::iam::OrgId;
use crate::reconcile::access_with;
use kube::ResourceExt;
use std::collections::HashMap;

/// The apps of the cluster, and the labels of their namespaces.
#[derive(Default)]
pub(super) struct Tenants {
    apps: Vec<OrgOAuthApp>,
    labels: HashMap<String, Labels>,
}

impl Tenants {
    /// Who may not list them names the organization.
    pub(super) async fn read(cluster: &Cluster, connections: &[IamConnection]) -> Self {
        let apps = cluster.cached_apps(None).await.map(|listed| listed.items).unwrap_or_default();
        let labels = cluster.namespace_labels(connections).await.unwrap_or_default();
        Self { apps: apps.into_iter().map(CachedApp::into_outline).collect(), labels }
    }

    /// `namespace` is that of a tenant; where each namespace brings credentials, only its own organizations are meant.
    pub(super) fn organization(&self, connection: &IamConnection, namespace: Option<&str>) -> Option<OrgId> {
        let namespace = match connection.spec.credentials.source {
            CredentialSource::Operator => None,
            CredentialSource::Tenant => Some(namespace?),
        };
        self.of_grant(connection, namespace).or_else(|| self.of_app(connection, namespace))
    }

    fn of_grant(&self, connection: &IamConnection, namespace: Option<&str>) -> Option<OrgId> {
        let grants = &connection.spec.grants;
        let named = grants.iter().filter(|grant| grant.orgs.from == OrgsFrom::Ids);
        let mut named = named.flat_map(|grant| grant.orgs.ids.iter().flatten()).map(|org| OrgId(org.clone()));
        named.find(|org| {
            namespace.is_none_or(|namespace| {
                let place = Place { namespace, labels: &self.labels(namespace), org };
                grants::check(grants, &place, &[]) != Decision::NotGranted
            })
        })
    }

    fn of_app(&self, connection: &IamConnection, namespace: Option<&str>) -> Option<OrgId> {
        let name = connection.name_any();
        let mut apps = self.apps.iter().filter(|app| app.spec.connection_ref.name == name && is_created(app));
        let found = apps.find(|app| {
            let is_meant = namespace.is_none_or(|namespace| namespace == app.namespace_any());
            is_meant && self.is_granted(app, connection)
        });
        found.map(org_id)
    }

    fn is_granted(&self, app: &OrgOAuthApp, connection: &IamConnection) -> bool {
        matches!(access_with(app, connection, &self.labels(app.namespace_any())), Access::Granted { .. })
    }

    fn labels(&self, namespace: &str) -> Labels {
        self.labels.get(namespace).cloned().unwrap_or_default()
    }
}

/// Whether the operator found the app in its organization.
fn is_created(app: &OrgOAuthApp) -> bool {
    let claim = app.status.as_ref().and_then(|status| status.claim.as_ref());
    claim.is_some_and(|claim| claim.created && claim.org_id == app.spec.org_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn connection(source: &str, grants: Value) -> IamConnection {
        serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection", "metadata": {"name": "central"},
            "spec": {"api": "CloudServices", "endpoint": "https://iam.example.com", "grants": grants,
                     "credentials": {"source": source}},
        }))
        .unwrap()
    }

    fn app(namespace: &str, org: &str, is_created: bool) -> OrgOAuthApp {
        serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": "app", "namespace": namespace, "uid": "u"},
            "spec": {"connectionRef": {"name": "central"}, "orgId": org, "displayName": "a",
                     "grantTypes": ["client_credentials"]},
            "status": {"claim": {"uid": "u", "api": "CloudServices", "endpoint": "https://iam.example.com",
                                 "orgId": org, "clientId": "ooa-u", "created": is_created, "signature": "s"}},
        }))
        .unwrap()
    }

    fn organization(apps: Vec<OrgOAuthApp>, connection: &IamConnection, namespace: Option<&str>) -> Option<String> {
        let labels = HashMap::from([("team-c".to_owned(), Labels::from([("team".to_owned(), "c".to_owned())]))]);
        Tenants { apps, labels }.organization(connection, namespace).map(|org| org.0)
    }

    fn to(names: &[&str], orgs: Value) -> Value {
        json!([{"namespaces": {"from": "Names", "names": names}, "orgs": orgs}])
    }

    #[test]
    fn what_a_tenant_writes_is_taken_only_once_the_operator_was_granted_it_and_found_the_app() {
        let any = connection("Operator", to(&["team-a", "team-b"], json!({"from": "All"})));
        let apps = || vec![app("team-x", "not-granted", true), app("team-a", "bogus", false)];
        assert_eq!(organization(apps(), &any, None), None);
        let good = [apps(), vec![app("team-b", "good", true)]].concat();
        assert_eq!(organization(good.clone(), &any, None).as_deref(), Some("good"));
        let named = connection("Operator", to(&["team-a"], json!({"from": "Ids", "ids": ["named"]})));
        assert_eq!(organization(good, &named, None).as_deref(), Some("named"));
        let selector = json!({"from": "Selector", "selector": {"matchLabels": {"team": "c"}}});
        let labeled = connection("Operator", json!([{"namespaces": selector, "orgs": {"from": "All"}}]));
        let apps = vec![app("team-b", "other", true), app("team-c", "labeled", true)];
        assert_eq!(organization(apps, &labeled, None).as_deref(), Some("labeled"));
    }

    #[test]
    fn credentials_of_a_namespace_are_for_its_own_organizations() {
        let any = connection("Tenant", to(&["team-a", "team-b"], json!({"from": "All"})));
        let apps = || vec![app("team-a", "org-a", true), app("team-b", "org-b", true)];
        assert_eq!(organization(apps(), &any, Some("team-b")).as_deref(), Some("org-b"));
        assert_eq!(organization(apps(), &any, None), None);
        let ids = |ids: Value| json!({"from": "Ids", "ids": ids});
        let grants = [to(&["team-a"], ids(json!(["org-1"]))), to(&["team-b"], ids(json!(["org-2"])))];
        let grants: Vec<Value> = grants.into_iter().flat_map(|grants| grants.as_array().unwrap().clone()).collect();
        let each = connection("Tenant", json!(grants));
        assert_eq!(organization(apps(), &each, Some("team-b")).as_deref(), Some("org-2"));
    }
}
