//! One small world: an API server, an IAM service, consumers of Secrets, and operators that can be cut at any effect.
//! Holds the state and what tests do to it and ask of it; the two ports are in `cluster` and `iam`.

use crate::cluster::{ClusterState, FakeCluster};
use crate::iam::{App, FakeConnections, IamState};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::{Resource, ResourceExt};
use oauth_app_operator::claim::ClaimKey;
use oauth_app_operator::crd::{ConditionStatus, ConditionType, OrgOAuthApp};
use oauth_app_operator::decide::client_id;
use oauth_app_operator::iam::ClientSecret;
use oauth_app_operator::reconcile::Operator;
use oauth_app_operator::secret::secret_name;
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Another API, behind the connection `elsewhere`.
    pub elsewhere: IamState,
    pub now: Timestamp,
    /// Whether every secret that a consumer could read must be one that the API accepts.
    consumers: bool,
    /// The resources, by uid, whose credential somebody broke.
    pub excused: BTreeSet<String>,
    /// By uid: the client id that the resource had before it was restored with another uid.
    restored: BTreeMap<String, String>,
    /// Everything that was said in Events.
    pub said: Vec<String>,
    /// Lets two operators take turns at every read and write.
    turns: Option<fastrand::Rng>,
    fresh: usize,
    /// So many of the next reconciles panic.
    pub panics: usize,
    /// How much time goes by between two rounds of reconciles.
    pub tick: SignedDuration,
    cut: Option<Cut>,
    effects: usize,
    killed: bool,
}

impl Outside {
    /// Invariant 10, as a pod sees it: what the Secret holds is what the API accepts.
    fn assert_consumers_served(&self) {
        let wanted = self.cluster.apps().into_iter().filter(|app| app.metadata.deletion_timestamp.is_none());
        let wanted: Vec<_> = wanted.filter(|app| !self.excused.contains(&app.uid().unwrap())).collect();
        // Until the credential has moved to the Secret that the spec names, pods read the one that status names.
        let names = |app: &OrgOAuthApp, secret: &Secret| {
            let said = app.status.as_ref().and_then(|status| status.secret_name.clone());
            secret.name_any() == said.unwrap_or_else(|| secret_name(app))
        };
        let served = |secret: &&Secret| {
            let owns = |app: &&OrgOAuthApp| secret.labels().get("oauth-apps.dev/owner-uid") == app.uid().as_ref();
            wanted.iter().find(owns).is_some_and(|app| names(app, secret))
        };
        for secret in self.cluster.secrets.values().filter(served) {
            let text = |key: &str| secret.data.as_ref()?.get(key).map(|v| String::from_utf8(v.0.clone()).unwrap());
            let keys = secret.annotations().get("oauth-apps.dev/keys").and_then(|keys| keys.split_once(','));
            let (id, value) = keys.unwrap_or(("client-id", "client-secret"));
            let (Some(id), Some(value)) = (text(id), text(value)) else { continue };
            let app = self.iam.apps.get(&id).expect("the app of a published credential exists");
            assert!(
                app.accepts(&value, self.now),
                "a consumer of {} reads {value}, which is not accepted at {}: {app:?} {secret:?}",
                secret.name_any(),
                self.now,
            );
        }
    }
}

pub type Shared = Arc<Mutex<Outside>>;

/// The answer to an effect was lost, or the effect did not happen; the caller cannot tell which.
pub struct Lost;

/// Gives the other operator its turn, if there is one.
pub async fn interleave(shared: &Shared) {
    let turns = shared.lock().unwrap().turns.as_mut().map_or(0, |random| random.usize(0..3));
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// Performs one effect, unless the cut says otherwise. A killed operator never comes back from here.
pub async fn effect<T>(shared: &Shared, act: impl FnOnce(&mut Outside) -> T) -> Result<T, Lost> {
    interleave(shared).await;
    let (result, killed) = {
        let mut outside = shared.lock().unwrap();
        let how = outside.cut.filter(|cut| cut.at == outside.effects).map(|cut| cut.how);
        outside.effects += 1;
        let before = matches!(how, Some(How::KilledBefore | How::FailedBefore));
        let result = if before { None } else { Some(act(&mut outside)) };
        if outside.consumers {
            outside.assert_consumers_served();
        }
        let killed = matches!(how, Some(How::KilledBefore | How::KilledAfter));
        outside.killed |= killed;
        (if how.is_some() { Err(Lost) } else { result.ok_or(Lost) }, killed)
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
        let outside = Outside {
            cluster: ClusterState::default(),
            iam: IamState { lists: true, ..IamState::default() },
            elsewhere: IamState::default(),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            consumers: true,
            excused: BTreeSet::new(),
            restored: BTreeMap::new(),
            said: Vec::new(),
            turns: None,
            fresh: 0,
            panics: 0,
            tick: SignedDuration::ZERO,
            cut,
            effects: 0,
            killed: false,
        };
        Self { shared: Arc::new(Mutex::new(outside)), operator: Cell::new(None) }
    }

    pub fn outside(&self) -> MutexGuard<'_, Outside> {
        self.shared.lock().unwrap()
    }

    pub fn resources(&self) -> Vec<OrgOAuthApp> {
        self.outside().cluster.apps()
    }

    pub fn start(&self) -> Operator<FakeCluster, FakeConnections> {
        let connections = FakeConnections::new(self.shared.clone());
        let (clock, fresh) = (self.shared.clone(), self.shared.clone());
        let clock = Arc::new(move || clock.lock().unwrap().now);
        let fresh = Arc::new(move || {
            let mut outside = fresh.lock().unwrap();
            if outside.panics > 0 {
                outside.panics -= 1;
                drop(outside);
                panic!("on purpose");
            }
            outside.fresh += 1;
            Ok(ClientSecret::new(format!("fresh-{}", outside.fresh)))
        });
        let key = ClaimKey::new(&[1; 32], []).unwrap();
        Operator::new(FakeCluster::new(self.shared.clone()), connections, key, clock, fresh, Arc::default())
    }

    /// One pass over each resource; a kill is followed by a start.
    pub async fn pass_over_all(&self) {
        let apps = {
            let outside = &mut *self.outside();
            outside.iam.record(outside.now);
            outside.now += outside.tick;
            outside.cluster.apps()
        };
        for app in apps {
            let operator = self.operator.take().unwrap_or_else(|| self.start());
            let pass = operator.reconcile(app);
            let survived = tokio::time::timeout(std::time::Duration::from_secs(1), pass).await.is_ok();
            let killed = std::mem::take(&mut self.outside().killed);
            assert!(survived || killed, "a pass hangs");
            self.operator.set(survived.then_some(operator));
        }
    }

    /// Passes of two operators over the same resource at once, of which one sees it as it was before; `seed` says who
    /// comes when.
    pub async fn pass_of_two(&self, name: &str, before: OrgOAuthApp, seed: u64) {
        let Some(now) = self.outside().cluster.apps().into_iter().find(|app| app.name_any() == name) else { return };
        self.outside().turns = Some(fastrand::Rng::with_seed(seed));
        let (one, two) = (self.start(), self.start());
        let both = async { tokio::join!(one.reconcile(now), two.reconcile(before)) };
        let survived = tokio::time::timeout(std::time::Duration::from_secs(1), both).await.is_ok();
        let killed = std::mem::take(&mut self.outside().killed);
        assert!(survived || killed, "a pass hangs");
        self.outside().turns = None;
    }

    pub async fn run_passes(&self, passes: usize) {
        for _ in 0..passes {
            self.pass_over_all().await;
        }
    }

    /// Passes until the rounds over all resources have no effect for longer than the operator waits for anything.
    pub async fn run_to_rest(&self) {
        let tick = std::mem::replace(&mut self.outside().tick, SignedDuration::from_secs(30));
        let mut quiet = 0;
        for _ in 0..120 {
            let before = self.effects();
            self.pass_over_all().await;
            quiet = if self.effects() == before { quiet + 1 } else { 0 };
            if quiet == 6 {
                self.outside().tick = tick;
                return;
            }
        }
        panic!("no rest after 120 rounds: {:?}", self.outside().cluster.apps());
    }

    /// Cuts the operator at the effect after so many more.
    pub fn cut_after(&self, effects: usize, how: How) {
        let mut outside = self.outside();
        outside.cut = Some(Cut { at: outside.effects + effects, how });
    }

    /// No cut that is still to come.
    pub fn uncut(&self) {
        self.outside().cut = None;
    }

    pub fn restart(&self) {
        self.operator.set(None);
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

    pub fn change(&self, name: &str, spec: Value) {
        self.outside().cluster.change_spec(name, spec);
    }

    pub fn annotate(&self, name: &str, annotation: &str, value: &str) {
        self.outside().cluster.annotate(name, annotation, value);
    }

    pub fn lose_status(&self, name: &str) {
        self.outside().cluster.lose_status(name);
    }

    pub fn restore(&self, name: &str) {
        let (id, before) = (self.remote_id(&self.app(name)), self.app(name).uid().unwrap());
        let mut outside = self.outside();
        outside.cluster.restore(name);
        let after = outside.cluster.apps().into_iter().find(|app| app.name_any() == name).and_then(|app| app.uid());
        let after = after.expect("the resource is there");
        outside.restored.insert(after.clone(), id);
        if outside.excused.contains(&before) {
            outside.excused.insert(after);
        }
    }

    /// The client id that a resource has, or had before it was restored.
    pub fn remote_id(&self, app: &OrgOAuthApp) -> String {
        let restored = self.outside().restored.get(&app.uid().unwrap()).cloned();
        restored.unwrap_or_else(|| client_id(app).0)
    }

    /// Whether a resource has a secret that is about to become the current one.
    pub fn has_pending(&self, name: &str) -> bool {
        let outside = self.outside();
        let secret = outside.cluster.secrets.get(&format!("{name}-rotation")).and_then(|secret| secret.data.as_ref());
        secret.is_some_and(|data| data.contains_key("pending"))
    }

    pub fn pass_time(&self, hours: i64) {
        let mut outside = self.outside();
        outside.now += SignedDuration::from_hours(hours);
    }

    /// Somebody changes a field of the app at the API.
    pub fn edit_app(&self, id: &str, field: &str, value: Value) {
        if let Some(app) = self.outside().iam.apps.get_mut(id) {
            app.fields.insert(field.into(), value);
        }
    }

    /// Somebody deletes the app at the API; until it is there again nobody is served.
    pub fn delete_app_by_hand(&self, id: &str) {
        let mut outside = self.outside();
        outside.iam.delete_by_hand(id);
        outside.consumers = false;
    }

    /// From here on a credential may be wrong for a while, because somebody broke it.
    pub fn consumers_may_fail(&self) {
        self.outside().consumers = false;
    }

    pub fn set_pods(&self, pods: &[&str]) {
        self.outside().cluster.pods = pods.iter().map(ToString::to_string).collect();
    }

    pub fn set_lists(&self, lists: bool) {
        self.outside().iam.lists = lists;
    }

    /// A Secret that a user hands to the operator.
    pub fn bring(&self, name: &str, value: &str) {
        let secret = json!({
            "metadata": {"name": name, "namespace": "team", "resourceVersion": value, "labels": {"oauth-apps.dev/use": "true"}},
        });
        let mut secret: Secret = serde_json::from_value(secret).unwrap();
        secret.data = Some([("value".to_owned(), ByteString(value.as_bytes().to_vec()))].into());
        self.outside().cluster.secrets.insert(name.into(), secret);
    }

    pub fn delete_secret(&self, name: &str) {
        self.outside().cluster.secrets.remove(name);
    }

    pub fn edit_secret(&self, name: &str, key: &str, value: &str) {
        let mut outside = self.outside();
        let Some(secret) = outside.cluster.secrets.get_mut(name) else { return };
        secret.data.as_mut().unwrap().insert(key.into(), ByteString(value.as_bytes().to_vec()));
    }

    /// A Secret that says that it is a resource's and holds the credential of an app; `like` names one whose annotations it
    /// copies.
    pub fn forge_secret(&self, name: &str, owner: &OrgOAuthApp, id: &str, like: Option<&str>) {
        let mut outside = self.outside();
        let mut secret = Secret::default();
        secret.metadata.name = Some(name.into());
        secret.metadata.namespace = owner.namespace();
        secret.metadata.resource_version = Some(format!("forged-{}", outside.effects));
        secret.metadata.owner_references = owner.controller_owner_ref(&()).map(|owner| vec![owner]);
        let annotations =
            like.and_then(|like| outside.cluster.secrets.get(like)).map(|like| like.annotations().clone());
        secret.metadata.annotations = annotations;
        secret.labels_mut().insert("oauth-apps.dev/owner-uid".into(), owner.uid().unwrap());
        let text = |text: &str| ByteString(text.as_bytes().to_vec());
        secret.data = Some([("client-id".into(), text(id)), ("client-secret".into(), text("guessed"))].into());
        outside.cluster.secrets.insert(name.into(), secret);
    }

    /// Somebody removes every annotation.
    pub fn unmark_secret(&self, name: &str) {
        let mut outside = self.outside();
        outside.cluster.secrets.get_mut(name).unwrap().annotations_mut().clear();
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

    pub fn app(&self, name: &str) -> OrgOAuthApp {
        self.outside().cluster.apps().into_iter().find(|app| app.name_any() == name).expect("the resource exists")
    }

    pub fn data(&self, name: &str, key: &str) -> Option<String> {
        let outside = self.outside();
        let data = outside.cluster.secrets.get(name)?.data.as_ref()?;
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
        self.outside().iam.apps.len()
    }

    pub fn remote_calls(&self) -> usize {
        self.outside().iam.calls
    }

    pub fn remote_writes(&self) -> usize {
        self.outside().iam.writes
    }

    pub fn replacements(&self) -> usize {
        self.outside().iam.replacements
    }

    pub fn rotations(&self) -> usize {
        self.outside().iam.rotations
    }

    pub fn updates(&self) -> usize {
        self.outside().iam.updates
    }

    pub fn remote(&self, id: &str) -> Option<App> {
        self.outside().iam.apps.get(id).cloned()
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
        let ready = app.condition(ConditionType::Ready).expect("a Ready condition");
        assert_eq!(ready.status, ConditionStatus::True, "{ready:?}");
        assert_eq!(app.status.as_ref().unwrap().client_id, Some(client_id(&app).0));
        assert!(app.status.as_ref().unwrap().claim.is_some(), "the claim is recorded");
        self.assert_credential_works(name);
        self.assert_one_app_each();
    }

    /// Invariant 1: an app is created once, and once more each time that somebody else deleted it.
    pub fn assert_one_app_each(&self) {
        let outside = self.outside();
        let allowed = |id: &String| 1 + outside.iam.deleted_by_hand.get(id).copied().unwrap_or_default();
        let more = outside.iam.creations.iter().find(|(id, count)| **count > allowed(id));
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
        let outside = self.outside();
        assert_eq!(outside.iam.apps.get(id).expect("still there").secret.as_deref(), Some("foreign"));
    }
}
