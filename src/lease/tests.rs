//! Replicas that share a Lease in memory, in time that stands still unless all wait.

use super::*;
use futures::FutureExt;
use kube::core::Status;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Default)]
struct Memory {
    lease: Arc<Mutex<Option<Lease>>>,
    hangs: Arc<AtomicBool>,
    /// Refuses one write.
    raced: Arc<AtomicBool>,
}

impl Memory {
    fn holder(&self) -> Option<String> {
        self.lease.lock().unwrap().clone()?.spec?.holder_identity
    }

    async fn answer(&self) {
        tokio::task::yield_now().await;
        if self.hangs.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }
}

impl Leases for Memory {
    async fn read(&self) -> kube::Result<Option<Lease>> {
        self.answer().await;
        Ok(self.lease.lock().unwrap().clone())
    }

    async fn write(&self, lease: &Lease) -> kube::Result<()> {
        self.answer().await;
        let mut kept = self.lease.lock().unwrap();
        let version = kept.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        if version != lease.metadata.resource_version || self.raced.swap(false, Ordering::Relaxed) {
            return Err(kube::Error::Api(Status::failure("stale", "Conflict").with_code(409).boxed()));
        }
        let mut lease = lease.clone();
        let next = version.map_or(1, |version| version.parse::<u32>().unwrap() + 1);
        lease.metadata.resource_version = Some(next.to_string());
        *kept = Some(lease);
        Ok(())
    }
}

fn candidate(memory: &Memory, identity: &str) -> Candidate<Memory> {
    Candidate::new(memory.clone(), identity.into())
}

async fn leader(memory: &Memory, identity: &str) -> Leader<Memory> {
    candidate(memory, identity).acquire(|| ()).await
}

#[tokio::test(start_paused = true)]
async fn of_replicas_that_start_together_one_leads_and_the_others_stand_by() {
    let memory = Memory::default();
    let stand_by = Mutex::new(Vec::new());
    let replica = |name: &'static str| {
        let stand_by = &stand_by;
        let won = candidate(&memory, name).acquire(move || stand_by.lock().unwrap().push(name));
        async move { won.await.renew_until(pending()).await }
    };
    let all = async { tokio::join!(replica("a"), replica("b"), replica("c")) };
    assert!(timeout(60 * SECOND, all).await.is_err(), "none ends");
    let leader = memory.holder().unwrap();
    for name in ["a", "b", "c"] {
        assert_eq!(stand_by.lock().unwrap().contains(&name), name != leader, "{name}, led by {leader}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_vanishes_is_followed_once_its_claim_has_run_out() {
    let memory = Memory::default();
    let vanishing = timeout(5 * SECOND, leader(&memory, "a").await.renew_until(pending()));
    let (ended, next) = tokio::join!(vanishing, leader(&memory, "b"));
    assert!(ended.is_err(), "it was cut, not lost");
    assert!(next.guard().is_open());
    assert_eq!(memory.holder().as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_gets_no_answer_ends_and_its_guard_is_closed_before_another_leads() {
    let memory = Memory::default();
    let first = leader(&memory, "a").await;
    let guard = first.guard();
    let connected = Memory { hangs: Arc::default(), ..memory.clone() };
    let second = async {
        sleep(SECOND).await;
        memory.hangs.store(true, Ordering::Relaxed);
        let next = leader(&connected, "b").await;
        assert!(!guard.is_open(), "two lead at once");
        next
    };
    let (ended, _next) = tokio::join!(first.renew_until(pending()), second);
    assert_eq!(ended, Err(LeadershipLost::NotRenewed));
    assert_eq!(memory.holder().as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_sees_another_holder_ends_at_once() {
    let memory = Memory::default();
    let first = leader(&memory, "a").await;
    let guard = first.guard();
    memory.lease.lock().unwrap().as_mut().unwrap().spec.as_mut().unwrap().holder_identity = Some("b".into());
    assert_eq!(first.renew_until(pending()).await, Err(LeadershipLost::Taken("b".into())));
    assert!(!guard.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_leader_goes_on_after_one_answer_that_never_came() {
    let memory = Memory::default();
    let first = leader(&memory, "a").await;
    let hiccup = async {
        memory.hangs.store(true, Ordering::Relaxed);
        sleep(4 * SECOND).await;
        memory.hangs.store(false, Ordering::Relaxed);
    };
    let (held, ()) = tokio::join!(timeout(60 * SECOND, first.renew_until(pending())), hiccup);
    assert!(held.is_err(), "{held:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_continues_when_the_lease_is_labeled_between_its_read_and_its_write() {
    let memory = Memory::default();
    let first = leader(&memory, "a").await;
    memory.raced.store(true, Ordering::Relaxed);
    let held = timeout(60 * SECOND, first.renew_until(pending())).await;
    assert!(held.is_err(), "{held:?}");
    assert!(!memory.raced.load(Ordering::Relaxed), "it lost a race");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_paused_writes_nothing_when_it_goes_on() {
    let memory = Memory::default();
    let first = leader(&memory, "a").await;
    let guard = first.guard();
    let mut held = Box::pin(first.renew_until(pending()));
    assert_eq!((&mut held).now_or_never(), None);
    let before = memory.lease.lock().unwrap().clone();
    tokio::time::advance(60 * SECOND).await;
    assert!(!guard.is_open(), "closed by the clock, before anything else runs");
    assert_eq!(held.await, Err(LeadershipLost::NotRenewed));
    assert_eq!(*memory.lease.lock().unwrap(), before);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_done_blanks_the_lease_and_the_next_one_does_not_wait() {
    let memory = Memory::default();
    let first = leader(&memory, "a").await;
    let guard = first.guard();
    let (done, is_done) = oneshot::channel::<()>();
    let held = first.renew_until(async { drop(is_done.await) });
    let stop = async {
        sleep(60 * SECOND).await;
        assert!(guard.is_open(), "renewed for a minute");
        drop(done);
        Instant::now()
    };
    let next = async {
        let next = leader(&memory, "b").await;
        assert!(!guard.is_open(), "two lead at once");
        (next, Instant::now())
    };
    let (ended, stopped, (_next, taken_over)) = tokio::join!(held, stop, next);
    assert_eq!(ended, Ok(()));
    assert!(taken_over - stopped < 3 * SECOND, "{:?}", taken_over - stopped);
}
