//! What became of earlier writes of Secrets: in which namespaces Kubernetes takes them, so that a create need not try first, and
//! which ones it took and undid, as a policy does that sets labels, so that they are not repeated.

use crate::secret::OwnedSecret;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a write shows that the next one of the namespace will be taken.
const COUNTS_FOR: Duration = Duration::from_secs(300);

#[derive(Default)]
pub struct SecretWrites(Mutex<State>);

#[derive(Default)]
struct State {
    /// By namespace: when Kubernetes last took a Secret. One entry for each namespace that has apps.
    accepted: HashMap<String, Instant>,
    /// By uid of a resource: the version of its Secret and its generation when a write changed nothing.
    overridden: HashMap<String, (Option<String>, Option<i64>)>,
}

impl SecretWrites {
    /// Whether the last write of a Secret in the namespace was taken, a short while ago.
    pub fn are_accepted(&self, namespace: &str) -> bool {
        let last = self.state().accepted.get(namespace).copied();
        last.is_some_and(|last| last.elapsed() < COUNTS_FOR)
    }

    /// Kubernetes took a Secret.
    pub fn accepted(&self, namespace: &str) {
        let mut state = self.state();
        state.accepted.retain(|_, last| last.elapsed() < COUNTS_FOR);
        state.accepted.insert(namespace.to_owned(), Instant::now());
    }

    /// Kubernetes refused one.
    pub fn refused(&self, namespace: &str) {
        self.state().accepted.remove(namespace);
    }

    /// Whether writing this Secret for this generation of the spec changed nothing before.
    pub fn is_overridden(&self, uid: &str, generation: Option<i64>, secret: &OwnedSecret) -> bool {
        self.state().overridden.get(uid) == Some(&(secret.version(), generation))
    }

    /// A write of this Secret changed nothing.
    pub fn overridden(&self, uid: &str, generation: Option<i64>, secret: &OwnedSecret) {
        self.state().overridden.insert(uid.to_owned(), (secret.version(), generation));
    }

    /// The resource is gone.
    pub fn forget(&self, uid: &str) {
        self.state().overridden.remove(uid);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
