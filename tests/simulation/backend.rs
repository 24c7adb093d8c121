//! Everything outside the operator: the API server, the IAM service and consumers of Secrets, with one effect after another.
//! An effect can be interrupted, and after each of them consumers find nothing that the API refuses.

use crate::cluster::ClusterState;
use crate::iam::IamState;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use oauth_app_operator::crd::{ConditionStatus, ConditionType, OrgOAuthApp};
use oauth_app_operator::secret::{rotation_secret_name, secret_name};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// At which effect the operator is interrupted, and in which way.
#[derive(Clone, Copy, Debug)]
pub struct Interruption {
    pub at: usize,
    pub mode: Mode,
}

/// What goes wrong at an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    KilledBefore,
    KilledAfter,
    FailedBefore,
    FailedAfter,
}

impl Mode {
    pub const ALL: [Self; 4] = [Self::KilledBefore, Self::KilledAfter, Self::FailedBefore, Self::FailedAfter];

    fn is_before(self) -> bool {
        matches!(self, Self::KilledBefore | Self::FailedBefore)
    }

    pub(crate) fn is_kill(self) -> bool {
        matches!(self, Self::KilledBefore | Self::KilledAfter)
    }
}

/// The state; it outlives every kill.
pub struct Backend {
    pub cluster: ClusterState,
    pub iam: IamState,
    /// Another API, behind the connection `elsewhere`.
    pub elsewhere: IamState,
    pub now: Timestamp,
    /// The resources, by uid, whose credential somebody broke. Their consumers may fail until the resource is Ready again.
    pub excused: BTreeSet<String>,
    /// The resources, by uid, of a tenant that breaks its own credential to reach the apps of others.
    pub hostile: BTreeSet<String>,
    /// By uid: the client id that the resource had before it was restored with another uid.
    pub restored: BTreeMap<String, String>,
    /// The message of every Event.
    pub events: Vec<String>,
    /// Lets two operators take turns at every read and write.
    pub turns: Option<fastrand::Rng>,
    pub generated_secrets: usize,
    /// So many of the next reconciles panic.
    pub panics: usize,
    /// How much time goes by between two rounds of reconciles.
    pub tick: SignedDuration,
    pub interruption: Option<Interruption>,
    pub effects: usize,
    pub killed: bool,
}

impl Backend {
    pub fn new(interruption: Option<Interruption>) -> Self {
        Self {
            cluster: ClusterState::default(),
            iam: IamState { lists: true, ..IamState::default() },
            elsewhere: IamState::default(),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            excused: BTreeSet::new(),
            hostile: BTreeSet::new(),
            restored: BTreeMap::new(),
            events: Vec::new(),
            turns: None,
            generated_secrets: 0,
            panics: 0,
            tick: SignedDuration::ZERO,
            interruption,
            effects: 0,
            killed: false,
        }
    }

    /// Whether the credential that consumers of a resource read is accepted, or why not; `None` when there is none to read.
    fn consumed(&self, app: &OrgOAuthApp) -> Option<Result<(), String>> {
        // Until the credential has moved to the Secret that the spec names, pods read the one that status names.
        let name = app.status.as_ref().and_then(|status| status.secret_name.clone());
        let secret = self.cluster.secrets.get(&name.unwrap_or_else(|| secret_name(app)))?;
        if secret.labels().get("oauth-apps.dev/owner-uid") != app.uid().as_ref() {
            return None;
        }
        let text = |key: &str| secret.data.as_ref()?.get(key).map(|v| String::from_utf8(v.0.clone()).unwrap());
        let keys = secret.annotations().get("oauth-apps.dev/keys").and_then(|keys| keys.split_once(','));
        let (id, value) = keys.unwrap_or(("client-id", "client-secret"));
        let (id, value) = text(id).zip(text(value))?;
        let Some(remote) = self.iam.apps.get(&id) else { return Some(Err(format!("there is no app {id}"))) };
        if remote.accepts(&value, self.now) {
            return Some(Ok(()));
        }
        Some(Err(format!("{value} is not accepted at {}: {remote:?} {secret:?}", self.now)))
    }

    pub fn is_excused(&self, app: &OrgOAuthApp) -> bool {
        let uid = app.uid().unwrap();
        self.excused.contains(&uid) || self.hostile.contains(&uid)
    }

    /// Invariant 10, as a pod sees it: what the Secret holds is what the API accepts.
    fn assert_consumers_served(&self) {
        let present = self.cluster.apps().into_iter().filter(|app| app.metadata.deletion_timestamp.is_none());
        for app in present.filter(|app| !self.is_excused(app)) {
            if let Some(Err(why)) = self.consumed(&app) {
                panic!("invariant 10, consumers are served: those of {}: {why}", app.name_any());
            }
        }
    }

    /// A resource that is Ready, in no rotation, and whose credential works is held to that again.
    pub fn end_excuses(&mut self) {
        for app in self.cluster.apps() {
            let ready = app.condition(ConditionType::Ready).is_some_and(|ready| ready.status == ConditionStatus::True);
            if ready && !self.has_pending(&app) && self.consumed(&app) == Some(Ok(())) {
                self.excused.remove(&app.uid().unwrap());
            }
        }
    }

    /// Whether a resource has a secret that is about to become the current one.
    pub fn has_pending(&self, app: &OrgOAuthApp) -> bool {
        let secret = self.cluster.secrets.get(&rotation_secret_name(app)).and_then(|secret| secret.data.as_ref());
        secret.is_some_and(|data| data.contains_key("pending"))
    }
}

pub(crate) type Shared = Arc<Mutex<Backend>>;

/// The answer to an effect was lost, or the effect did not happen; the caller cannot tell which.
pub(crate) struct Lost;

/// Gives the other operator its turn, if there is one.
pub(crate) async fn interleave(shared: &Shared) {
    let turns = shared.lock().unwrap().turns.as_mut().map_or(0, |random| random.usize(0..3));
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// Performs one effect, unless it is interrupted. A killed operator never comes back from here.
pub(crate) async fn effect<T>(shared: &Shared, act: impl FnOnce(&mut Backend) -> T) -> Result<T, Lost> {
    interleave(shared).await;
    let (result, killed) = {
        let mut backend = shared.lock().unwrap();
        let due = backend.interruption.filter(|interruption| interruption.at == backend.effects);
        let mode = due.map(|interruption| interruption.mode);
        backend.effects += 1;
        let result = if mode.is_some_and(Mode::is_before) { None } else { Some(act(&mut backend)) };
        backend.assert_consumers_served();
        let killed = mode.is_some_and(Mode::is_kill);
        backend.killed |= killed;
        (if mode.is_some() { Err(Lost) } else { result.ok_or(Lost) }, killed)
    };
    if killed {
        std::future::pending::<()>().await;
    }
    result
}
