//! Results of earlier writes of Secrets: in which namespaces Kubernetes accepts them, so that a create needs no dry run, and
//! which ones it accepted and undid, as an admission policy that sets labels does, so that they are not repeated.

use crate::keyed::PrunedMap;
use crate::secret::OwnedSecret;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an accepted write shows that the next one of the namespace will be accepted.
const COUNTS_FOR: Duration = Duration::from_secs(300);
/// How long an undone write is remembered without a reconcile of its resource, which may be gone. Without it one more write is
/// undone.
const KEPT_FOR: Duration = Duration::from_secs(86_400);

#[derive(Default)]
pub(super) struct SecretWrites(Mutex<State>);

#[derive(Default)]
struct State {
    /// By namespace: when Kubernetes last accepted a Secret. One entry for each namespace that has apps.
    accepted: HashMap<String, Instant>,
    /// By uid of a resource.
    overridden: PrunedMap<String, Overridden>,
}

/// A write that changed nothing: the version of the Secret, the generation of its resource, and when that was last needed.
struct Overridden {
    version: Option<String>,
    generation: Option<i64>,
    used: Instant,
}

impl SecretWrites {
    /// Whether the last write of a Secret in the namespace was accepted, less than `COUNTS_FOR` ago.
    pub(super) fn are_accepted(&self, namespace: &str) -> bool {
        let last = self.state().accepted.get(namespace).copied();
        last.is_some_and(|last| last.elapsed() < COUNTS_FOR)
    }

    /// Records that Kubernetes accepted a Secret.
    pub(super) fn accepted(&self, namespace: &str) {
        let mut state = self.state();
        state.accepted.retain(|_, last| last.elapsed() < COUNTS_FOR);
        state.accepted.insert(namespace.to_owned(), Instant::now());
    }

    /// Records that Kubernetes refused a Secret.
    pub(super) fn refused(&self, namespace: &str) {
        self.state().accepted.remove(namespace);
    }

    /// Whether writing this Secret for this generation of the spec changed nothing before.
    pub(super) fn is_overridden(&self, uid: &str, generation: Option<i64>, secret: &OwnedSecret) -> bool {
        let mut state = self.state();
        let Some(overridden) = state.overridden.get_mut(uid) else { return false };
        overridden.used = Instant::now();
        overridden.version == secret.version() && overridden.generation == generation
    }

    /// Records that a write of this Secret changed nothing.
    pub(super) fn overridden(&self, uid: &str, generation: Option<i64>, secret: &OwnedSecret) {
        let overridden = Overridden { version: secret.version(), generation, used: Instant::now() };
        self.state().overridden.insert(uid.to_owned(), overridden, |_, other| other.used.elapsed() < KEPT_FOR);
    }

    /// Forgets a resource that is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.state().overridden.remove(uid);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::ClaimKey;
    use crate::crd::OrgOAuthApp;
    use crate::secret::{SecretState, guard};
    use k8s_openapi::api::core::v1::Secret;
    use kube::Resource;
    use serde_json::json;

    fn owned() -> OwnedSecret {
        let app: OrgOAuthApp = serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": "billing", "namespace": "team", "uid": "uid-1"},
            "spec": {"orgId": "org-1", "connectionRef": {"name": "default"}},
        }))
        .unwrap();
        let mut secret = Secret::default();
        secret.metadata.resource_version = Some("1".into());
        secret.metadata.owner_references = app.controller_owner_ref(&()).map(|owner| vec![owner]);
        let SecretState::Owned(owned) = guard(&app, &ClaimKey::new(&[1; 32], []).unwrap(), Some(secret)) else {
            panic!("not owned")
        };
        owned
    }

    /// Such as those of resources whose finalizer was removed by someone else, which end without a reconcile.
    #[tokio::test(start_paused = true)]
    async fn undone_writes_of_resources_that_are_not_reconciled_any_more_are_forgotten() {
        let (writes, secret) = (SecretWrites::default(), owned());
        let add = |from: usize| (from..from + 1000).for_each(|n| writes.overridden(&n.to_string(), Some(1), &secret));
        add(0);
        tokio::time::advance(KEPT_FOR / 2).await;
        assert!(writes.is_overridden("0", Some(1), &secret));
        assert!(!writes.is_overridden("0", Some(2), &secret), "the spec has changed");
        tokio::time::advance(KEPT_FOR / 2).await;
        add(1000);
        assert!(writes.is_overridden("0", Some(1), &secret), "it was reconciled since");
        assert!(!writes.is_overridden("1", Some(1), &secret));
        assert!(writes.state().overridden.len() <= 1024, "{}", writes.state().overridden.len());
    }
}
