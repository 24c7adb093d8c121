//! The resources of the test: written as a user writes them, and waited for by their conditions.

use super::TenantEnv;
use iam_simulator::types::Flavor;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use oauth_app_operator::crd::{Condition, ConditionStatus, ConditionType, OrgOAuthApp};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use test_environment::manifests;

impl TenantEnv {
    pub(crate) fn apps(&self) -> Api<OrgOAuthApp> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The manifest of a small app; `spec` is merged into it.
    pub(crate) fn manifest(&self, name: &str, spec: Value) -> Value {
        let all = json!({"connectionRef": {"name": self.connection_name()}, "orgId": self.org});
        let mut app = manifests::app(name, all);
        app["metadata"]["namespace"] = self.namespace.as_str().into();
        if self.flavor == Flavor::Broker {
            app["spec"]["allowedScopes"] = json!({"generalScopes": ["user"]});
        }
        manifests::merge(&mut app["spec"], spec);
        app
    }

    pub(crate) async fn create(&self, name: &str, spec: Value) {
        let object: OrgOAuthApp = serde_json::from_value(self.manifest(name, spec)).unwrap();
        self.apps().create(&PostParams::default(), &object).await.unwrap();
    }

    pub(crate) async fn change(&self, name: &str, spec: Value) {
        self.merge(name, json!({ "spec": spec })).await;
    }

    pub(crate) async fn annotate(&self, name: &str, annotation: &str, value: &str) {
        self.merge(name, json!({"metadata": {"annotations": {annotation: value}}})).await;
    }

    async fn merge(&self, name: &str, patch: Value) {
        self.apps().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.apps().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Server-side apply of any object.
    pub(super) async fn apply_object<K>(&self, api: &Api<K>, name: &str, object: &Value)
    where
        K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
    {
        api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await.unwrap();
    }

    pub(crate) async fn app(&self, name: &str) -> OrgOAuthApp {
        self.apps().get(name).await.unwrap()
    }

    pub(crate) async fn condition(&self, name: &str, kind: ConditionType) -> Option<Condition> {
        let app = self.apps().get_opt(name).await.unwrap()?;
        app.status?.conditions.into_iter().find(|condition| condition.r#type == kind)
    }

    pub(crate) async fn until_ready(&self, name: &str) {
        self.until(&format!("{name} is Ready"), async || {
            let ready = self.condition(name, ConditionType::Ready).await;
            ready.is_some_and(|ready| ready.status == ConditionStatus::True)
        })
        .await;
    }

    /// Waits for a condition to be true with this reason, and returns its message.
    pub(crate) async fn until_reason(&self, name: &str, kind: ConditionType, reason: &str) -> String {
        self.until(&format!("{name} is {kind:?} with reason {reason}"), async || {
            let condition = self.condition(name, kind).await;
            condition.is_some_and(|c| c.status == ConditionStatus::True && c.reason == reason)
        })
        .await;
        self.condition(name, kind).await.unwrap().message
    }

    pub(crate) async fn until_stalled(&self, name: &str, reason: &str) -> String {
        self.until_reason(name, ConditionType::Stalled, reason).await
    }

    /// Waits until a rotation that was requested with this value of the annotation is done.
    pub(crate) async fn until_rotated(&self, name: &str, value: &str) {
        let handled = async || self.app(name).await.status.unwrap().last_handled_rotate_at.as_deref() == Some(value);
        self.until(&format!("{name} is rotated as requested"), handled).await;
    }

    /// Waits until a request to end the overlap, with this value of the annotation, was handled.
    pub(crate) async fn until_retired(&self, name: &str, value: &str) {
        let handled = async || self.app(name).await.status.unwrap().last_handled_retire_at.as_deref() == Some(value);
        self.until(&format!("the overlap of {name} is ended as requested"), handled).await;
    }

    pub(crate) async fn until_gone(&self, name: &str) {
        self.until(&format!("{name} is gone"), async || self.apps().get_opt(name).await.unwrap().is_none()).await;
    }
}
