//! Secrets in the namespace: those that the operator writes, and those that a user provides.

use super::TenantEnv;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;

impl TenantEnv {
    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) async fn secret(&self, name: &str) -> Option<Secret> {
        let secret = self.secrets().get_opt(name).await.unwrap();
        let data = secret.iter().flat_map(|secret| secret.data.iter().flatten());
        for (_, value) in data.filter(|(key, _)| key.contains("secret")) {
            self.known_secrets.add(&String::from_utf8_lossy(&value.0));
        }
        secret
    }

    /// A value of the Secret as a pod would read it.
    pub(crate) async fn value(&self, name: &str, key: &str) -> Option<String> {
        let data = self.secret(name).await?.data?;
        data.get(key).map(|value| String::from_utf8(value.0.clone()).unwrap())
    }

    /// Client id and secret as a pod would read them.
    pub(crate) async fn credential(&self, name: &str) -> Option<(String, String)> {
        let data = self.secret(name).await?.data?;
        let text = |key: &str| data.get(key).map(|value| String::from_utf8(value.0.clone()).unwrap());
        text("client-id").zip(text("client-secret"))
    }

    /// A Secret that a user provides.
    pub(crate) async fn provide_secret(&self, name: &str, value: &str) {
        self.known_secrets.add(value);
        let metadata = json!({
            "name": name, "namespace": self.namespace, "labels": {"oauth-apps.dev/use": "true"},
        });
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"value": value}});
        self.apply_object(&self.secrets(), name, &secret).await;
    }

    /// The published credential does what it is for.
    pub(crate) async fn assert_credential_works(&self, name: &str) {
        self.assert_credential_of_org_works(name, &self.org).await;
    }

    pub(crate) async fn assert_credential_of_org_works(&self, name: &str, org: &str) {
        let (id, secret) = self.credential(name).await.expect("a Secret with id and secret");
        let token = self.control.token(self.flavor, org, &id, &secret).await;
        assert!(token.is_ok(), "no token for {id}: {}", token.unwrap_err());
    }
}
