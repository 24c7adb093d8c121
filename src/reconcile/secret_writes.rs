//! Results of earlier writes of Secrets: in which namespaces Kubernetes accepts them, so that a create needs no dry run, and
//! which ones it accepted and undid, as an admission policy that sets labels does, so that they are not repeated.

use crate::secret::OwnedSecret;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an accepted write shows that the next one of the namespace will be accepted.
const COUNTS_FOR: Duration = Duration::from_secs(300);

#[derive(Default)]
pub struct SecretWrites(Mutex<State>);

#[derive(Default)]
struct State {
    /// By namespace: when Kubernetes last accepted a Secret. One entry for each namespace that has apps.
    accepted: HashMap<String, Instant>,
    /// By uid of a resource: the version of its Secret and its generation when a write changed nothing.
    overridden: HashMap<String, (Option<String>, Option<i64>)>,
}

impl SecretWrites {
    /// Whether the last write of a Secret in the namespace was accepted, less than `COUNTS_FOR` ago.
    pub fn are_accepted(&self, namespace: &str) -> bool {
        let last = self.state().accepted.get(namespace).copied();
        last.is_some_and(|last| last.elapsed() < COUNTS_FOR)
    }

    /// Records that Kubernetes accepted a Secret.
    pub fn accepted(&self, namespace: &str) {
        let mut state = self.state();
        state.accepted.retain(|_, last| last.elapsed() < COUNTS_FOR);
        state.accepted.insert(namespace.to_owned(), Instant::now());
    }

    /// Records that Kubernetes refused a Secret.
    pub fn refused(&self, namespace: &str) {
        self.state().accepted.remove(namespace);
    }

    /// Whether writing this Secret for this generation of the spec changed nothing before.
    pub fn is_overridden(&self, uid: &str, generation: Option<i64>, secret: &OwnedSecret) -> bool {
        self.state().overridden.get(uid) == Some(&(secret.version(), generation))
    }

    /// Records that a write of this Secret changed nothing.
    pub fn overridden(&self, uid: &str, generation: Option<i64>, secret: &OwnedSecret) {
        self.state().overridden.insert(uid.to_owned(), (secret.version(), generation));
    }

    /// Forgets a resource that is gone.
    pub fn forget(&self, uid: &str) {
        self.state().overridden.remove(uid);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
