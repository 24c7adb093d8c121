//! Where to look: the organizations that resources name whose access is granted, since whoever may create a resource can write any
//! organization into it, and those that the user names.

use crate::claim::ApiAddress;
use crate::commands::managed::Managed;
use crate::crd::{CredentialSource, IamConnection, OrgOAuthApp};
use crate::decide::Access;
use crate::grants::Labels;
use crate::iam::OrgId;
use crate::reconcile::access_with;
use kube::ResourceExt;
use std::collections::{BTreeSet, HashMap};

/// An organization of an API, and how it is reached.
pub(super) struct Place {
    pub(super) connection: IamConnection,
    pub(super) address: ApiAddress,
    pub(super) org: OrgId,
    /// A namespace that uses the connection.
    pub(super) namespace: String,
}

impl Place {
    /// The namespace whose credentials are used, which may see less than those of another one.
    fn tenant(&self) -> Option<&str> {
        match self.connection.spec.credentials.source {
            CredentialSource::Operator => None,
            CredentialSource::Tenant => Some(&self.namespace),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.org == other.org && self.address.is_same(&other.address) && self.tenant() == other.tenant()
    }

    /// Whether the app of a resource is looked for here.
    pub(super) fn has(&self, resource: &OrgOAuthApp, managed: &Managed) -> bool {
        let is_there = managed.address_of(resource).is_some_and(|address| address.is_same(&self.address));
        let is_of_tenant = self.tenant().is_none_or(|tenant| tenant == resource.namespace_any());
        is_there && is_of_tenant && resource.spec.org_id == self.org.0
    }
}

/// Each organization of each API once, however many connections lead there; with credentials of tenants, once for each of them.
pub(super) fn places(
    connections: &[&IamConnection],
    managed: &Managed,
    labels: &HashMap<String, Labels>,
    further: &BTreeSet<(String, String)>,
) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for connection in connections {
        let is_granted = |resource: &&OrgOAuthApp| is_granted(resource, connection, labels);
        let granted = managed.resources.iter().filter(is_granted);
        let named = granted.map(|resource| (resource.spec.org_id.clone(), resource.namespace_any().to_owned()));
        for (org, namespace) in named.chain(further.iter().cloned()).collect::<BTreeSet<_>>() {
            let (connection, address) = (IamConnection::clone(connection), ApiAddress::of(connection));
            let place = Place { connection, address, org: OrgId(org), namespace };
            if !places.iter().any(|other| other.is_same(&place)) {
                places.push(place);
            }
        }
    }
    places
}

fn is_granted(resource: &OrgOAuthApp, connection: &IamConnection, labels: &HashMap<String, Labels>) -> bool {
    let none = Labels::new();
    let labels = labels.get(resource.namespace_any()).unwrap_or(&none);
    let is_of_connection = resource.spec.connection_ref.name == connection.name_any();
    is_of_connection && matches!(access_with(resource, connection, labels), Access::Granted { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::cluster::Listed;
    use serde_json::{Value, json};

    fn connection(source: &str) -> IamConnection {
        let selector = json!({"matchLabels": {"team": "billing"}});
        serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection", "metadata": {"name": "central"},
            "spec": {
                "api": "CloudServices", "endpoint": "https://iam.example.com",
                "credentials": {"source": source, "apiTokenSecretRef": {"name": "token"}},
                "grants": [{"namespaces": {"from": "Selector", "selector": selector}, "orgs": {"from": "Ids", "ids": ["acme"]}}],
            },
        }))
        .unwrap()
    }

    fn resource(namespace: &str, org: &str) -> Value {
        json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": "app", "namespace": namespace, "uid": format!("{namespace}-{org}")},
            "spec": {"orgId": org, "connectionRef": {"name": "central"}},
        })
    }

    fn found(source: &str, further: &[(&str, &str)]) -> Vec<(String, String)> {
        let resources = [("a", "acme"), ("a", "victim"), ("b", "acme"), ("c", "acme")];
        let items = resources.map(|(namespace, org)| serde_json::from_value(resource(namespace, org)).unwrap());
        let connection = connection(source);
        let listed = Listed { items: items.to_vec(), unreadable: Vec::new() };
        let managed = Managed::new(listed, std::slice::from_ref(&connection));
        let labels = |team: &str| Labels::from([("team".to_owned(), team.to_owned())]);
        let labels = [("a", labels("billing")), ("b", labels("billing")), ("c", labels("other"))];
        let labels = labels.map(|(namespace, labels)| (namespace.to_owned(), labels)).into();
        let further = further.iter().map(|(org, namespace)| ((*org).to_owned(), (*namespace).to_owned())).collect();
        let places = places(&[&connection], &managed, &labels, &further);
        places.into_iter().map(|place| (place.org.0, place.namespace)).collect()
    }

    fn place(org: &str, namespace: &str) -> (String, String) {
        (org.to_owned(), namespace.to_owned())
    }

    #[test]
    fn an_organization_that_no_grant_covers_is_not_asked_about() {
        assert_eq!(found("Operator", &[]), [place("acme", "a")]);
        let named = [("another", "default")];
        assert_eq!(found("Operator", &named), [place("acme", "a"), place("another", "default")]);
    }

    #[test]
    fn the_credentials_of_each_tenant_are_used() {
        assert_eq!(found("Tenant", &[]), [place("acme", "a"), place("acme", "b")]);
    }
}
