//! One small environment: the backend, and operators that can be interrupted at any effect of theirs.
//! What tests do to it is in `edits`, what they ask of it in `assertions`; the two ports are in `cluster` and `iam`.

mod assertions;
mod edits;

use crate::backend::{Backend, Interruption, Mode, Shared};
use crate::cluster::FakeCluster;
use crate::iam::FakeConnections;
use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use oauth_app_operator::claim::ClaimKey;
use oauth_app_operator::crd::OrgOAuthApp;
use oauth_app_operator::iam::ClientSecret;
use oauth_app_operator::preview::Previews;
use oauth_app_operator::reconcile::Operator;
use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard};

pub struct TestEnv {
    shared: Shared,
    operator: Cell<Option<Operator<FakeCluster, FakeConnections>>>,
}

impl TestEnv {
    pub fn new(interruption: Option<Interruption>) -> Self {
        Self { shared: Arc::new(Mutex::new(Backend::new(interruption))), operator: Cell::new(None) }
    }

    pub fn backend(&self) -> MutexGuard<'_, Backend> {
        self.shared.lock().unwrap()
    }

    pub fn resources(&self) -> Vec<OrgOAuthApp> {
        self.backend().cluster.apps()
    }

    pub fn start(&self) -> Operator<FakeCluster, FakeConnections> {
        let connections = FakeConnections::new(self.shared.clone());
        let (clock, secrets) = (self.shared.clone(), self.shared.clone());
        let clock = Arc::new(move || clock.lock().unwrap().now);
        let generate = Arc::new(move || {
            let mut backend = secrets.lock().unwrap();
            if backend.panics > 0 {
                backend.panics -= 1;
                drop(backend);
                panic!("on purpose");
            }
            backend.generated_secrets += 1;
            Ok(ClientSecret::new(format!("fresh-{}", backend.generated_secrets)))
        });
        let cluster = FakeCluster::new(self.shared.clone());
        Operator::new(cluster, connections, claim_key(), clock, generate, Arc::default())
    }

    /// What the operator would do, if it began now.
    pub fn previews(&self) -> Previews<FakeCluster, FakeConnections> {
        let cluster = FakeCluster::new(self.shared.clone());
        let connections = FakeConnections::new(self.shared.clone());
        let clock = self.shared.clone();
        let clock = Arc::new(move || clock.lock().unwrap().now);
        let generate = Arc::new(|| Ok(ClientSecret::new("never-used".into())));
        Previews::new(cluster, connections, claim_key(), clock, generate)
    }

    /// One reconcile of each resource; a kill is followed by a start.
    pub async fn reconcile_all(&self) {
        let apps = {
            let backend = &mut *self.backend();
            backend.iam.record(backend.now);
            backend.now += backend.tick;
            backend.cluster.apps()
        };
        for app in apps {
            let operator = self.operator.take().unwrap_or_else(|| self.start());
            let reconcile = operator.reconcile(app);
            let survived = tokio::time::timeout(std::time::Duration::from_secs(1), reconcile).await.is_ok();
            assert!(survived || self.take_kill(), "a reconcile hangs");
            self.operator.set(survived.then_some(operator));
            self.backend().end_excuses();
        }
    }

    /// Two operators reconcile the same resource at once, of which one sees it as it was before; the order of their
    /// effects follows from `seed`.
    pub async fn reconcile_concurrently(&self, name: &str, before: OrgOAuthApp, seed: u64) {
        let Some(now) = self.backend().cluster.apps().into_iter().find(|app| app.name_any() == name) else { return };
        self.backend().turns = Some(fastrand::Rng::with_seed(seed));
        let (one, two) = (self.start(), self.start());
        let both = async { tokio::join!(one.reconcile(now), two.reconcile(before)) };
        let survived = tokio::time::timeout(std::time::Duration::from_secs(1), both).await.is_ok();
        assert!(survived || self.take_kill(), "a reconcile hangs");
        self.backend().turns = None;
    }

    fn take_kill(&self) -> bool {
        std::mem::take(&mut self.backend().killed)
    }

    pub async fn reconcile_times(&self, rounds: usize) {
        for _ in 0..rounds {
            self.reconcile_all().await;
        }
    }

    /// Rounds of reconciles until they have no effect for longer than the operator waits for anything.
    pub async fn run_until_settled(&self) {
        let tick = std::mem::replace(&mut self.backend().tick, SignedDuration::from_secs(30));
        let mut quiet = 0;
        for _ in 0..120 {
            let before = self.effects();
            self.reconcile_all().await;
            quiet = if self.effects() == before { quiet + 1 } else { 0 };
            if quiet == 6 {
                self.backend().tick = tick;
                return;
            }
        }
        panic!("not settled after 120 rounds: {:?}", self.backend().cluster.apps());
    }

    /// Interrupts the operator at the effect after so many more.
    pub fn interrupt_after(&self, effects: usize, mode: Mode) {
        let mut backend = self.backend();
        backend.interruption = Some(Interruption { at: backend.effects + effects, mode });
    }

    pub fn clear_interruption(&self) {
        self.backend().interruption = None;
    }

    pub fn restart(&self) {
        self.operator.set(None);
    }

    pub fn effects(&self) -> usize {
        self.backend().effects
    }

    pub fn was_interrupted(&self) -> bool {
        let backend = self.backend();
        backend.interruption.is_some_and(|interruption| interruption.at < backend.effects)
    }
}

fn claim_key() -> ClaimKey {
    ClaimKey::new(&[1; 32], []).unwrap()
}
