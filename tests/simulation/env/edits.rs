//! What people and other programs do in the environment: in Kubernetes, in the console, and to the clock.

use super::TestEnv;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::SignedDuration;
use kube::{Resource, ResourceExt};
use oauth_app_operator::crd::OrgOAuthApp;
use serde_json::{Value, json};

impl TestEnv {
    pub fn apply(&self, name: &str, more: Value) {
        let mut spec = json!({
            "orgId": "org-1", "displayName": "Billing", "description": "Nightly",
            "grantTypes": ["client_credentials"], "allowedScopes": {},
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.backend().cluster.apply(name, spec);
    }

    pub fn delete(&self, name: &str) {
        self.backend().cluster.delete_app(name);
    }

    pub fn change(&self, name: &str, spec: Value) {
        self.backend().cluster.change_spec(name, spec);
    }

    pub fn annotate(&self, name: &str, annotation: &str, value: &str) {
        self.backend().cluster.annotate(name, annotation, value);
    }

    pub fn lose_status(&self, name: &str) {
        self.backend().cluster.lose_status(name);
    }

    pub fn restore(&self, name: &str) {
        let (id, before) = (self.remote_id(&self.app(name)), self.app(name).uid().unwrap());
        let backend = &mut *self.backend();
        backend.cluster.restore(name);
        let after = backend.cluster.apps().into_iter().find(|app| app.name_any() == name).and_then(|app| app.uid());
        let after = after.expect("the resource is there");
        backend.restored.insert(after.clone(), id);
        for uids in [&mut backend.excused, &mut backend.hostile] {
            if uids.contains(&before) {
                uids.insert(after.clone());
            }
        }
    }

    pub fn advance_clock(&self, hours: i64) {
        let mut backend = self.backend();
        backend.now += SignedDuration::from_hours(hours);
    }

    /// Somebody changes a field of the app in the console.
    pub fn edit_app(&self, id: &str, field: &str, value: Value) {
        if let Some(app) = self.backend().iam.apps.get_mut(id) {
            app.fields.insert(field.into(), value);
        }
    }

    /// Somebody deletes the app in the console; until it is there again nobody is served.
    pub fn delete_app_by_hand(&self, id: &str) {
        self.consumers_may_fail();
        self.backend().iam.delete_by_hand(id);
    }

    /// Somebody breaks the credentials now; they may be wrong until each resource is Ready with one that works.
    pub fn consumers_may_fail(&self) {
        let uids: Vec<String> = self.resources().iter().filter_map(ResourceExt::uid).collect();
        self.backend().excused.extend(uids);
    }

    pub fn set_pods(&self, pods: &[&str]) {
        self.backend().cluster.pods = pods.iter().map(ToString::to_string).collect();
    }

    pub fn set_lists(&self, lists: bool) {
        self.backend().iam.lists = lists;
    }

    pub fn provide_secret(&self, name: &str, value: &str) {
        let secret = json!({
            "metadata": {"name": name, "namespace": "team", "resourceVersion": value, "labels": {"oauth-apps.dev/use": "true"}},
        });
        let mut secret: Secret = serde_json::from_value(secret).unwrap();
        secret.data = Some([("value".to_owned(), ByteString(value.as_bytes().to_vec()))].into());
        self.backend().cluster.secrets.insert(name.into(), secret);
    }

    pub fn delete_secret(&self, name: &str) {
        self.backend().cluster.secrets.remove(name);
    }

    pub fn edit_secret(&self, name: &str, key: &str, value: &str) {
        let mut backend = self.backend();
        let Some(secret) = backend.cluster.secrets.get_mut(name) else { return };
        secret.data.as_mut().unwrap().insert(key.into(), ByteString(value.as_bytes().to_vec()));
    }

    /// A Secret that says that it is a resource's and holds the credential of an app; `like` names one whose annotations it
    /// copies.
    pub fn forge_secret(&self, name: &str, owner: &OrgOAuthApp, id: &str, like: Option<&str>) {
        let mut backend = self.backend();
        let mut secret = Secret::default();
        secret.metadata.name = Some(name.into());
        secret.metadata.namespace = owner.namespace();
        secret.metadata.resource_version = Some(format!("forged-{}", backend.effects));
        secret.metadata.owner_references = owner.controller_owner_ref(&()).map(|owner| vec![owner]);
        let annotations =
            like.and_then(|like| backend.cluster.secrets.get(like)).map(|like| like.annotations().clone());
        secret.metadata.annotations = annotations;
        secret.labels_mut().insert("oauth-apps.dev/owner-uid".into(), owner.uid().unwrap());
        let text = |text: &str| ByteString(text.as_bytes().to_vec());
        secret.data = Some([("client-id".into(), text(id)), ("client-secret".into(), text("guessed"))].into());
        backend.cluster.secrets.insert(name.into(), secret);
    }

    /// Somebody removes every annotation.
    pub fn clear_annotations(&self, name: &str) {
        let mut backend = self.backend();
        backend.cluster.secrets.get_mut(name).unwrap().annotations_mut().clear();
    }

    pub fn add_foreign_secret(&self, name: &str) {
        self.backend().cluster.secrets.insert(name.into(), Default::default());
    }

    pub fn refuse_secrets(&self, refuse: bool) {
        self.backend().cluster.refuses_secrets = refuse;
    }

    pub fn add_foreign_app(&self, id: &str) {
        self.backend().iam.add(id, "foreign");
    }
}
