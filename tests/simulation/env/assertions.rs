//! What a test can ask of the environment, and what it can demand.

use super::TestEnv;
use crate::iam::App;
use kube::ResourceExt;
use oauth_app_operator::crd::{ConditionStatus, ConditionType, OrgOAuthApp};
use oauth_app_operator::decide::client_id;

impl TestEnv {
    pub fn exists(&self, name: &str) -> bool {
        self.backend().cluster.apps().iter().any(|app| app.name_any() == name)
    }

    pub fn app(&self, name: &str) -> OrgOAuthApp {
        self.backend().cluster.apps().into_iter().find(|app| app.name_any() == name).expect("the resource exists")
    }

    pub fn data(&self, name: &str, key: &str) -> Option<String> {
        let backend = self.backend();
        let data = backend.cluster.secrets.get(name)?.data.as_ref()?;
        data.get(key).map(|value| String::from_utf8(value.0.clone()).unwrap())
    }

    pub fn client_id(&self, name: &str) -> String {
        self.data(name, "client-id").expect("the Secret has a client id")
    }

    /// What the resource says its client id is.
    pub fn client_id_of(&self, name: &str) -> String {
        self.app(name).status.and_then(|status| status.client_id).expect("status has a client id")
    }

    pub fn remote_apps(&self) -> usize {
        self.backend().iam.apps.len()
    }

    pub fn remote_calls(&self) -> usize {
        self.backend().iam.calls
    }

    pub fn remote_writes(&self) -> usize {
        self.backend().iam.writes
    }

    pub fn replacements(&self) -> usize {
        self.backend().iam.replacements
    }

    pub fn rotations(&self) -> usize {
        self.backend().iam.rotations
    }

    pub fn updates(&self) -> usize {
        self.backend().iam.updates
    }

    pub fn remote(&self, id: &str) -> Option<App> {
        self.backend().iam.apps.get(id).cloned()
    }

    /// The client id that a resource has, or had before it was restored.
    pub fn remote_id(&self, app: &OrgOAuthApp) -> String {
        let restored = self.backend().restored.get(&app.uid().unwrap()).cloned();
        restored.unwrap_or_else(|| client_id(app).0)
    }

    /// Whether a resource has a secret that is about to become the current one.
    pub fn has_pending(&self, name: &str) -> bool {
        let app = self.app(name);
        self.backend().has_pending(&app)
    }

    pub fn assert_credential_works(&self, name: &str) {
        let id = self.client_id(name);
        let secret = self.data(name, "client-secret");
        let backend = self.backend();
        let app = backend.iam.apps.get(&id).expect("the app exists");
        assert_eq!(secret, app.secret, "the published secret is the one that the API knows");
    }

    pub fn assert_provisioned(&self, name: &str) {
        let app = self.app(name);
        let ready = app.condition(ConditionType::Ready).expect("a Ready condition");
        assert_eq!(ready.status, ConditionStatus::True, "{ready:?}");
        assert_eq!(app.status.as_ref().unwrap().client_id, Some(client_id(&app).0));
        assert!(app.status.as_ref().unwrap().claim.is_some(), "the claim is recorded");
        self.assert_credential_works(name);
        self.assert_one_app_each();
    }

    /// Invariant 1: an app is created once, and once more each time that somebody else deleted it.
    pub fn assert_one_app_each(&self) {
        let backend = self.backend();
        let allowed = |id: &String| 1 + backend.iam.deleted_by_hand.get(id).copied().unwrap_or_default();
        let more = backend.iam.creations.iter().find(|(id, count)| **count > allowed(id));
        assert!(more.is_none(), "created more than once: {more:?}");
    }

    pub fn assert_ready(&self, name: &str, status: ConditionStatus) {
        let app = self.app(name);
        let ready = app.condition(ConditionType::Ready).expect("a Ready condition");
        assert_eq!(ready.status, status, "{ready:?}");
    }

    pub fn assert_waiting(&self, name: &str, reason: &str) {
        let app = self.app(name);
        let reconciling = app.condition(ConditionType::Reconciling).expect("a Reconciling condition");
        assert_eq!(
            (reconciling.status, reconciling.reason.as_str()),
            (ConditionStatus::True, reason),
            "{reconciling:?}"
        );
    }

    pub fn assert_blocked(&self, name: &str, reason: &str) {
        let app = self.app(name);
        let stalled = app.condition(ConditionType::Stalled).expect("a Stalled condition");
        assert_eq!((stalled.status, stalled.reason.as_str()), (ConditionStatus::True, reason), "{stalled:?}");
    }

    pub fn assert_gone(&self, name: &str) {
        assert!(!self.exists(name), "{:?}", self.app(name));
        assert!(self.data(name, "client-id").is_none(), "the Secret is collected");
    }

    pub fn assert_foreign_app_untouched(&self, id: &str) {
        let backend = self.backend();
        assert_eq!(backend.iam.apps.get(id).expect("still there").secret.as_deref(), Some("foreign"));
    }
}
