//! Where a plan may send Secrets of the cluster: only where the cluster itself sends them. A manifest may name any address and bring any
//! certificate authority; a connection that does so is foreign, and is used only with Secrets of the manifests.

use crate::crd::{CaBundle, CredentialSource, IamConnection, KeyRef, OrgOAuthApp};
use crate::given::Given;
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet};

/// A Secret or a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named<'a> {
    pub(super) kind: &'static str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

/// The connections that a plan does not use, or not with Secrets of the cluster.
#[derive(Default)]
pub(super) struct Trust {
    operator_namespace: String,
    given: Given,
    /// Whether a person vouches for all connections of the manifests.
    is_total: bool,
    /// By name: why it is not known.
    unreadable: BTreeMap<String, String>,
    /// By name: why it is not that of the cluster.
    foreign: BTreeMap<String, (IamConnection, String)>,
}

impl Trust {
    pub(super) fn new(operator_namespace: &str, given: Given, is_total: bool) -> Self {
        Self { operator_namespace: operator_namespace.to_owned(), given, is_total, ..Self::default() }
    }

    pub(super) fn add_unreadable(&mut self, name: &str, problem: String) {
        self.unreadable.insert(name.to_owned(), problem);
    }

    pub(super) fn add_foreign(&mut self, connection: &IamConnection, why: String) {
        if !self.is_total {
            self.foreign.insert(connection.name_any(), (connection.clone(), why));
        }
    }

    pub(super) fn foreign(&self) -> BTreeSet<String> {
        self.foreign.keys().cloned().collect()
    }

    /// Why the connection of a resource is not used for it.
    pub(super) fn problem(&self, app: &OrgOAuthApp) -> Option<String> {
        let name = &app.spec.connection_ref.name;
        if let Some(problem) = self.unreadable.get(name) {
            return Some(problem.clone());
        }
        let (connection, why) = self.foreign.get(name)?;
        let namespace = app.namespace().unwrap_or_default();
        let credentials = credentials(connection, &self.operator_namespace, &namespace);
        let mut needed =
            authority(connection, &self.operator_namespace).map(|(object, _)| object).into_iter().chain(credentials);
        let Named { kind, namespace, name } = needed.find(|object| !self.has(object))?;
        Some(format!(
            "{why}; plan does not send credentials of the cluster to an address that a manifest names; put {kind} {namespace}/{name} into the manifests, or allow it with --trust-connections"
        ))
    }

    fn has(&self, object: &Named<'_>) -> bool {
        self.given.find(object.kind, object.namespace, object.name).is_some()
    }
}

/// Whether both send the same Secrets to the same address. Grants and limits may differ.
pub(super) fn is_same_target(one: &IamConnection, other: &IamConnection) -> bool {
    let target = |connection: &IamConnection| {
        let spec = connection.spec.clone();
        (spec.api, spec.endpoint, spec.ca_bundle, spec.credentials)
    };
    target(one) == target(other)
}

/// The object with the certificate authority of a connection, and its key.
pub(super) fn authority<'a>(
    connection: &'a IamConnection,
    operator_namespace: &'a str,
) -> Option<(Named<'a>, &'a str)> {
    let CaBundle { config_map_ref, secret_ref } = connection.spec.ca_bundle.as_ref()?;
    let of =
        |kind, KeyRef { name, key }: &'a KeyRef| (Named { kind, namespace: operator_namespace, name }, key.as_str());
    let config_map = config_map_ref.as_ref().map(|reference| of("ConfigMap", reference));
    config_map.or_else(|| secret_ref.as_ref().map(|reference| of("Secret", reference)))
}

fn credentials<'a>(
    connection: &'a IamConnection,
    operator_namespace: &'a str,
    namespace: &'a str,
) -> Option<Named<'a>> {
    let credentials = &connection.spec.credentials;
    let token = credentials.api_token.as_ref().map(|token| &token.secret_ref.name);
    let client = credentials.client_credentials.as_ref().map(|client| &client.secret_ref.name);
    let namespace = match credentials.source {
        CredentialSource::Operator => operator_namespace,
        CredentialSource::Tenant => namespace,
    };
    token.or(client).map(|name| Named { kind: "Secret", namespace, name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn connection(change: impl FnOnce(&mut Value)) -> IamConnection {
        let mut spec = json!({
            "api": "CloudServices",
            "endpoint": "https://iam",
            "caBundle": {"configMapRef": {"name": "authority", "key": "ca.crt"}},
            "credentials": {"apiToken": {"secretRef": {"name": "token", "key": "token"}}},
        });
        change(&mut spec);
        serde_json::from_value(json!({"metadata": {"name": "default"}, "spec": spec})).unwrap()
    }

    fn problem(connection: &IamConnection, given: &[(&str, &str, &str)]) -> Option<String> {
        let given = given.iter().map(|(kind, namespace, name)| {
            ((*kind).to_owned(), (*namespace).to_owned(), (*name).to_owned(), json!({}))
        });
        let mut trust = Trust::new("operator", Given::new(given), false);
        trust.add_foreign(connection, "it is foreign".into());
        let mut app = OrgOAuthApp::new("billing", Default::default());
        app.metadata.namespace = Some("team".into());
        trust.problem(&app)
    }

    #[test]
    fn the_target_is_the_address_and_what_is_sent_there() {
        let own = connection(|_| {});
        let limits = connection(|spec| spec["limits"] = json!({"maxInFlight": 1}));
        assert!(is_same_target(&own, &limits));
        let changes: [fn(&mut Value); 5] = [
            |spec| spec["endpoint"] = "https://other".into(),
            |spec| spec["api"] = "CloudPartnerNavigator".into(),
            |spec| spec["caBundle"] = Value::Null,
            |spec| spec["credentials"]["apiToken"]["secretRef"]["name"] = "other".into(),
            |spec| spec["credentials"]["source"] = "Tenant".into(),
        ];
        for change in changes {
            assert!(!is_same_target(&own, &connection(change)));
        }
    }

    #[test]
    fn a_foreign_connection_needs_all_that_it_names_in_the_manifests() {
        let foreign = connection(|_| {});
        let authority = ("ConfigMap", "operator", "authority");
        let token = ("Secret", "operator", "token");
        let message = problem(&foreign, &[authority]).unwrap();
        assert!(message.starts_with("it is foreign; plan does not send credentials of the cluster"), "{message}");
        assert!(message.contains("put Secret operator/token into the manifests"), "{message}");
        assert!(problem(&foreign, &[token]).unwrap().contains("put ConfigMap operator/authority into"));
        assert_eq!(problem(&foreign, &[authority, token]), None);
        let of_tenant = connection(|spec| spec["credentials"]["source"] = "Tenant".into());
        assert!(problem(&of_tenant, &[authority, token]).unwrap().contains("put Secret team/token into"));
        assert_eq!(problem(&of_tenant, &[authority, ("Secret", "team", "token")]), None);
        let mut trusted = Trust::new("operator", Given::default(), true);
        trusted.add_foreign(&foreign, "it is foreign".into());
        assert!(trusted.foreign().is_empty());
    }
}
