//! One small world: an API server, an IAM service and an operator that can be cut at any effect.
//! Holds the state and what tests do to it and ask of it; the two ports are in `cluster` and `iam`.

use crate::cluster::{ClusterState, FakeCluster};
use crate::iam::{FakeConnections, IamState};
use k8s_openapi::ByteString;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use oauth_app_operator::crd::{ConditionStatus, ConditionType, IamConnection, OrgOAuthApp};
use oauth_app_operator::decide::client_id;
use oauth_app_operator::reconcile::Operator;
use oauth_app_operator::status::condition;
use serde_json::{Value, json};
use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard};

/// At which effect the operator is cut, and how.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub at: usize,
    pub how: How,
}

/// What goes wrong at an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    KilledBefore,
    KilledAfter,
    FailedBefore,
    FailedAfter,
}

impl How {
    pub const ALL: [Self; 4] = [Self::KilledBefore, Self::KilledAfter, Self::FailedBefore, Self::FailedAfter];
}

/// Everything outside the operator; it outlives every kill.
pub struct Outside {
    pub cluster: ClusterState,
    pub iam: IamState,
    cut: Option<Cut>,
    effects: usize,
    killed: bool,
}

pub type Shared = Arc<Mutex<Outside>>;

/// The answer to an effect was lost, or the effect did not happen; the caller cannot tell which.
pub struct Lost;

/// Performs one effect, unless the cut says otherwise. A killed operator never comes back from here.
pub async fn effect<T>(shared: &Shared, act: impl FnOnce(&mut Outside) -> T) -> Result<T, Lost> {
    let (result, killed) = {
        let mut outside = shared.lock().unwrap();
        let how = outside.cut.filter(|cut| cut.at == outside.effects).map(|cut| cut.how);
        outside.effects += 1;
        let before = matches!(how, Some(How::KilledBefore | How::FailedBefore));
        let result = if before { None } else { Some(act(&mut outside)) };
        outside.killed = matches!(how, Some(How::KilledBefore | How::KilledAfter));
        (if how.is_some() { Err(Lost) } else { result.ok_or(Lost) }, outside.killed)
    };
    if killed {
        std::future::pending::<()>().await;
    }
    result
}

pub struct World {
    shared: Shared,
    operator: Cell<Option<Operator<FakeCluster, FakeConnections>>>,
}

impl World {
    pub fn new(cut: Option<Cut>) -> Self {
        let outside =
            Outside { cluster: ClusterState::default(), iam: IamState::default(), cut, effects: 0, killed: false };
        Self { shared: Arc::new(Mutex::new(outside)), operator: Cell::new(None) }
    }

    fn outside(&self) -> MutexGuard<'_, Outside> {
        self.shared.lock().unwrap()
    }

    fn start(&self) -> Operator<FakeCluster, FakeConnections> {
        let connection: IamConnection = serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection", "metadata": {"name": "default"},
            "spec": {"api": "CloudServices", "endpoint": "https://iam.example.com",
                     "credentials": {"apiToken": {"secretRef": {"name": "token", "key": "token"}}},
                     "grants": [{"namespaces": {"from": "All"}, "orgs": {"from": "All"}}]},
        }))
        .unwrap();
        let connections = FakeConnections::new(self.shared.clone(), connection);
        Operator::new(FakeCluster::new(self.shared.clone()), connections, || Timestamp::UNIX_EPOCH)
    }

    /// One pass over each resource; a kill is followed by a start.
    async fn pass_over_all(&self) {
        let apps = self.outside().cluster.apps();
        for app in apps {
            let operator = self.operator.take().unwrap_or_else(|| self.start());
            let pass = operator.reconcile(app);
            let survived = tokio::time::timeout(std::time::Duration::from_secs(1), pass).await.is_ok();
            let killed = std::mem::take(&mut self.outside().killed);
            assert!(survived || killed, "a pass hangs");
            self.operator.set(survived.then_some(operator));
        }
    }

    pub async fn run_passes(&self, passes: usize) {
        for _ in 0..passes {
            self.pass_over_all().await;
        }
    }

    /// Passes until two rounds over all resources have no effect.
    pub async fn run_to_rest(&self) {
        let mut quiet = 0;
        for _ in 0..40 {
            let before = self.effects();
            self.pass_over_all().await;
            quiet = if self.effects() == before { quiet + 1 } else { 0 };
            if quiet == 2 {
                return;
            }
        }
        panic!("no rest after 40 rounds: {:?}", self.outside().cluster.apps());
    }

    pub fn effects(&self) -> usize {
        self.outside().effects
    }

    pub fn was_cut(&self) -> bool {
        let outside = self.outside();
        outside.cut.is_some_and(|cut| cut.at < outside.effects)
    }

    pub fn apply(&self, name: &str, more: Value) {
        let mut spec = json!({
            "orgId": "org-1", "displayName": "Billing", "description": "Nightly",
            "grantTypes": ["client_credentials"], "allowedScopes": {},
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.outside().cluster.apply(name, spec);
    }

    pub fn delete(&self, name: &str) {
        self.outside().cluster.delete_app(name);
    }

    pub fn delete_secret(&self, name: &str) {
        self.outside().cluster.secrets.remove(name);
    }

    pub fn edit_secret(&self, name: &str, key: &str, value: &str) {
        let mut outside = self.outside();
        let secret = outside.cluster.secrets.get_mut(name).unwrap();
        secret.data.as_mut().unwrap().insert(key.into(), ByteString(value.as_bytes().to_vec()));
    }

    pub fn add_foreign_secret(&self, name: &str) {
        self.outside().cluster.secrets.insert(name.into(), Default::default());
    }

    pub fn refuse_secrets(&self, refuse: bool) {
        self.outside().cluster.refuses_secrets = refuse;
    }

    pub fn add_foreign_app(&self, id: &str) {
        self.outside().iam.add(id, "foreign");
    }

    pub fn exists(&self, name: &str) -> bool {
        self.outside().cluster.apps().iter().any(|app| app.name_any() == name)
    }

    fn app(&self, name: &str) -> OrgOAuthApp {
        self.outside().cluster.apps().into_iter().find(|app| app.name_any() == name).expect("the resource exists")
    }

    fn data(&self, name: &str, key: &str) -> Option<String> {
        let outside = self.outside();
        let data = outside.cluster.secrets.get(name)?.data.as_ref()?;
        data.get(key).map(|value| String::from_utf8(value.0.clone()).unwrap())
    }

    pub fn client_id(&self, name: &str) -> String {
        self.data(name, "client-id").expect("the Secret has a client id")
    }

    pub fn remote_apps(&self) -> usize {
        self.outside().iam.apps.len()
    }

    pub fn remote_calls(&self) -> usize {
        self.outside().iam.calls
    }

    pub fn regenerations(&self) -> usize {
        self.outside().iam.regenerations
    }

    pub fn assert_credential_works(&self, name: &str) {
        let id = self.client_id(name);
        let secret = self.data(name, "client-secret");
        let outside = self.outside();
        let app = outside.iam.apps.get(&id).expect("the app exists");
        assert_eq!(secret, app.secret, "the published secret is the one that the API knows");
    }

    pub fn assert_provisioned(&self, name: &str) {
        let app = self.app(name);
        let ready = condition(&app, ConditionType::Ready).expect("a Ready condition");
        assert_eq!(ready.status, ConditionStatus::True, "{ready:?}");
        assert_eq!(app.status.as_ref().unwrap().client_id, Some(client_id(&app).0));
        self.assert_credential_works(name);
        let creations = self.outside().iam.creations.clone();
        assert!(creations.values().all(|count| *count == 1), "created more than once: {creations:?}");
    }

    pub fn assert_waiting(&self, name: &str, reason: &str) {
        let app = self.app(name);
        let reconciling = condition(&app, ConditionType::Reconciling).expect("a Reconciling condition");
        assert_eq!(
            (reconciling.status, reconciling.reason.as_str()),
            (ConditionStatus::True, reason),
            "{reconciling:?}"
        );
    }

    pub fn assert_blocked(&self, name: &str, reason: &str) {
        let app = self.app(name);
        let stalled = condition(&app, ConditionType::Stalled).expect("a Stalled condition");
        assert_eq!((stalled.status, stalled.reason.as_str()), (ConditionStatus::True, reason), "{stalled:?}");
    }

    pub fn assert_gone(&self, name: &str) {
        assert!(!self.exists(name), "{:?}", self.app(name));
        assert!(self.data(name, "client-id").is_none(), "the Secret is collected");
    }

    pub fn assert_foreign_app_untouched(&self, id: &str) {
        let outside = self.outside();
        assert_eq!(outside.iam.apps.get(id).expect("still there").secret.as_deref(), Some("foreign"));
    }
}
