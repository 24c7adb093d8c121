//! The connection of the test: its credentials, its manifest and its conditions.
//! It has the name of the namespace, so that tests do not share one; so have its Secret and its ConfigMap.

use super::TenantEnv;
use crate::cluster::{OPERATOR_NAMESPACE, plane};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::DynamicObject;
use kube::{Api, CustomResourceExt};
use oauth_app_operator::crd::IamConnection;
use serde_json::{Value, json};
use test_environment::manifests;

/// The OAuth app as which the operator calls.
const OPERATOR_ID: &str = "operator";

impl TenantEnv {
    pub(crate) fn connection_name(&self) -> String {
        self.namespace.clone()
    }

    pub(crate) fn connections(&self) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &IamConnection::api_resource())
    }

    /// The OAuth app as which the operator calls, known to the simulator and stored where the connection looks for it.
    pub(crate) async fn give_credentials(&self) {
        let secret = format!("Of_operator1-{}", self.namespace);
        self.control.seed_client(self.flavor, &self.org, OPERATOR_ID, &secret).await.unwrap();
        self.store_credentials(&secret).await;
    }

    /// The same OAuth app in another tenant of the Identity Broker.
    pub(crate) async fn give_credentials_of(&self, org: &str) {
        let secret = format!("Of_operator1-{}", self.namespace);
        self.control.seed_client(self.flavor, org, OPERATOR_ID, &secret).await.unwrap();
    }

    pub(crate) async fn store_credentials(&self, secret: &str) {
        self.known_secrets.add(secret);
        self.store_secret(&manifests::credentials(&self.connection_name(), OPERATOR_ID, secret)).await;
    }

    /// An API token of the organization in the place of the OAuth app: what the connection says then.
    pub(crate) async fn give_api_token(&self) -> Value {
        let token = format!("api-token-of-{}", self.namespace);
        self.control.seed_api_token(self.flavor, &self.org, &token).await.unwrap();
        self.store_api_token(&token).await;
        let reference = json!({"secretRef": {"name": self.connection_name(), "key": "token"}});
        json!({"credentials": {"clientCredentials": null, "apiToken": reference}})
    }

    pub(crate) async fn store_api_token(&self, token: &str) {
        self.known_secrets.add(token);
        self.store_secret(&manifests::operator_secret(&self.connection_name(), json!({ "token": token }))).await;
    }

    async fn store_secret(&self, secret: &Value) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        self.apply_object(&secrets, &self.connection_name(), secret).await;
    }

    /// The manifest of a connection that works; `spec` is merged into it.
    pub(crate) fn connection(&self, spec: Value) -> Value {
        let all = json!({
            "grants": [{
                "namespaces": {"from": "Names", "names": [self.namespace]}, "orgs": {"from": "All"}, "allow": everything(),
            }],
            "limits": {"timeout": "5s"}, "resyncInterval": "1s",
        });
        let mut connection = manifests::connection(&self.connection_name(), &self.backend, self.flavor, all);
        manifests::merge(&mut connection["spec"], spec);
        connection
    }

    /// Creates or changes the connection and what it trusts.
    pub(crate) async fn connect(&self, spec: Value) {
        let name = self.connection_name();
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        self.apply_object(&maps, &name, &manifests::authority(&name, &self.backend)).await;
        self.apply_object(&self.connections(), &name, &self.connection(spec)).await;
    }

    /// A condition of the connection: its status, reason and message.
    pub(crate) async fn connection_condition(&self, kind: &str) -> Option<[String; 3]> {
        let connection = self.connections().get(&self.connection_name()).await.unwrap();
        let conditions = connection.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let condition = conditions.into_iter().find(|condition| condition["type"] == kind)?;
        Some(["status", "reason", "message"].map(|name| condition[name].as_str().unwrap_or_default().to_owned()))
    }

    /// The Events about the connection, from the first to the last: reason and note.
    pub(crate) fn connection_notes(&self) -> Vec<(String, String)> {
        let events = plane().get(&["-n", "default", "events.events.k8s.io"]).unwrap();
        let name = self.connection_name();
        let about =
            |event: &&Value| event["regarding"]["kind"] == "IamConnection" && event["regarding"]["name"] == name;
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let mut events: Vec<&Value> = events["items"].as_array().unwrap().iter().filter(about).collect();
        events.sort_by_key(|event| text(event, "eventTime"));
        events.into_iter().map(|event| (text(event, "reason"), text(event, "note"))).collect()
    }

    /// Waits for a condition of the connection, and returns its message.
    pub(crate) async fn until_connection(&self, kind: &str, status: &str, reason: &str) -> String {
        let found = async || self.connection_condition(kind).await.filter(|c| c[0] == status && c[1] == reason);
        self.until(&format!("the connection is {kind}={status}, {reason}"), async || found().await.is_some()).await;
        found().await.map(|condition| condition[2].clone()).unwrap_or_default()
    }
}

/// A grant that holds nobody back.
fn everything() -> Value {
    let every_service = json!([{"serviceDefinitionId": "*", "names": ["*"]}]);
    json!({"organizationRoles": ["*"], "serviceRoles": every_service, "ruleSetNames": ["*"], "adoption": true})
}
