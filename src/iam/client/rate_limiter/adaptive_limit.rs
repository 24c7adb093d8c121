//! A limit of in-flight requests that adapts to the API (AIMD): halved by a 429 and regained one by one; after a circuit was open
//! one, then doubled. While the circuit is open no call waits for the one permit, since it may take long to be free.

use crate::fair_queue::{FairQueue, Flow, Permit};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// So many failures in a row, no two in succession from the same source, open the circuit.
const OPEN_AFTER: u32 = 3;

/// Limits the in-flight requests; permits are given in turn.
pub(super) struct AdaptiveLimit {
    queue: FairQueue,
    aimd: Mutex<Aimd>,
    circuit_open: watch::Sender<bool>,
}

struct Aimd {
    most: usize,
    limit: usize,
    /// Below it the limit doubles with each round of successes, above it grows by one.
    threshold: usize,
    /// Successes since the limit grew.
    successes: usize,
    /// Failures without a success between them.
    failures: u32,
    /// The source of the last failure.
    source: Option<u64>,
}

/// The last requests got no answer, and another one probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CircuitOpen;

impl AdaptiveLimit {
    /// At least one.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let aimd = Aimd { most, limit: most, threshold: most, successes: 0, failures: 0, source: None };
        Self { queue: FairQueue::new(most), aimd: Mutex::new(aimd), circuit_open: watch::Sender::new(false) }
    }

    /// Waits for a permit, which is released on drop, unless the circuit is open or opens meanwhile.
    pub(super) async fn acquire(&self, flow: &Flow) -> Result<Permit, CircuitOpen> {
        let mut circuit_open = self.circuit_open.subscribe();
        tokio::select! {
            biased;
            permit = self.queue.acquire(flow) => Ok(permit),
            _ = circuit_open.wait_for(|is_open| *is_open) => Err(CircuitOpen),
        }
    }

    /// A request from this source got no usable answer.
    pub(super) fn failed(&self, source: u64) {
        let mut aimd = self.aimd();
        if aimd.source.replace(source) == Some(source) {
            return;
        }
        aimd.failures = aimd.failures.saturating_add(1);
        if aimd.failures == OPEN_AFTER {
            let most = aimd.most;
            self.shrink(aimd, 1, most);
            self.circuit_open.send_replace(true);
        }
    }

    /// The API answered.
    pub(super) fn succeeded(&self) {
        let mut aimd = self.aimd();
        if aimd.failures >= OPEN_AFTER {
            self.circuit_open.send_replace(false);
        }
        aimd.failures = 0;
        aimd.source = None;
        aimd.successes += 1;
        let enough = if aimd.limit < aimd.threshold { 1 } else { aimd.limit };
        if aimd.limit < aimd.most && aimd.successes >= enough {
            aimd.limit += 1;
            aimd.successes = 0;
            self.queue.set_limit(aimd.limit);
        }
    }

    /// The API answers requests of others, so calls wait for the permit again until failures open the circuit again.
    pub(super) fn close_circuit(&self) {
        let mut aimd = self.aimd();
        if aimd.failures >= OPEN_AFTER {
            aimd.failures = 0;
            aimd.source = None;
            self.circuit_open.send_replace(false);
        }
    }

    /// The API got too many requests.
    pub(super) fn back_off(&self) {
        let aimd = self.aimd();
        let half = (aimd.limit / 2).max(1);
        self.shrink(aimd, half, half);
    }

    /// The API got too many requests, and gets one at first.
    pub(super) fn probe(&self) {
        let aimd = self.aimd();
        let half = (aimd.limit / 2).max(1);
        self.shrink(aimd, 1, half);
    }

    /// Lowers the maximum.
    pub(super) fn limit_to(&self, most: usize) {
        let mut aimd = self.aimd();
        aimd.most = most.max(1);
        self.shrink(aimd, most.max(1), most.max(1));
    }

    /// Raises the maximum.
    pub(super) fn extend_to(&self, most: usize) {
        let mut aimd = self.aimd();
        let full = aimd.limit == aimd.most;
        aimd.most = most.max(1);
        if full {
            aimd.limit = aimd.most;
            aimd.threshold = aimd.most;
            aimd.successes = 0;
            self.queue.set_limit(aimd.limit);
        }
    }

    fn shrink(&self, mut aimd: MutexGuard<'_, Aimd>, limit: usize, threshold: usize) {
        aimd.limit = aimd.limit.min(limit);
        aimd.threshold = threshold;
        aimd.successes = 0;
        self.queue.set_limit(aimd.limit);
    }

    fn aimd(&self) -> MutexGuard<'_, Aimd> {
        self.aimd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.queue.free()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fair_queue::Flow::Operator;
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn permits_are_limited_and_given_in_order() {
        let limit = Arc::new(AdaptiveLimit::new(2));
        let (log, mut acquired) = tokio::sync::mpsc::unbounded_channel();
        for n in 0..6 {
            let (limit, log) = (limit.clone(), log.clone());
            tokio::spawn(async move {
                let _permit = limit.acquire(&Operator).await.ok().unwrap();
                log.send(n).unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            });
            tokio::task::yield_now().await;
        }
        drop(log);
        let mut order = Vec::new();
        while let Some(n) = acquired.recv().await {
            order.push(n);
        }
        assert_eq!(order, [0, 1, 2, 3, 4, 5]);
        assert_eq!(limit.free(), 2);
    }

    #[test]
    fn there_is_always_a_permit() {
        assert_eq!(AdaptiveLimit::new(0).free(), 1);
    }

    #[tokio::test]
    async fn a_429_halves_the_limit_and_successes_regain_it_one_by_one() {
        let limit = AdaptiveLimit::new(8);
        let held = limit.acquire(&Operator).await.ok().unwrap();
        limit.back_off();
        assert_eq!(limit.free(), 3);
        drop(held);
        assert_eq!(limit.free(), 4);
        for expected in [4, 4, 4, 5, 5, 5, 5, 5, 6] {
            limit.succeeded();
            assert_eq!(limit.free(), expected);
        }
        (0..100).for_each(|_| limit.succeeded());
        assert_eq!(limit.free(), 8);
    }

    #[test]
    fn after_a_pause_successes_regain_half_the_limit_at_once_and_the_rest_one_by_one() {
        let limit = AdaptiveLimit::new(8);
        limit.probe();
        let free = |_| {
            limit.succeeded();
            limit.free()
        };
        assert_eq!(limit.free(), 1);
        assert_eq!([0; 7].map(free), [2, 3, 4, 4, 4, 4, 5]);
    }

    #[tokio::test]
    async fn after_an_outage_the_limit_starts_with_one_and_doubles() {
        let limit = AdaptiveLimit::new(8);
        let held = [
            limit.acquire(&Operator).await.ok(),
            limit.acquire(&Operator).await.ok(),
            limit.acquire(&Operator).await.ok(),
        ];
        (0..10).for_each(|request| limit.failed(request));
        drop(held);
        assert_eq!(limit.free(), 1);
        // One round of as many successes as the limit doubles it.
        limit.succeeded();
        assert_eq!(limit.free(), 2);
        (0..2).for_each(|_| limit.succeeded());
        assert_eq!(limit.free(), 4);
        (0..4).for_each(|_| limit.succeeded());
        assert_eq!(limit.free(), 8);
    }

    #[test]
    fn failures_of_one_source_do_not_open_the_circuit() {
        let limit = AdaptiveLimit::new(8);
        (0..10).for_each(|_| limit.failed(1));
        assert_eq!(limit.free(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_circuit_is_open_one_call_probes_and_none_waits() {
        let limit = Arc::new(AdaptiveLimit::new(1));
        let held = limit.acquire(&Operator).await.ok().unwrap();
        let waiting = tokio::spawn({
            let limit = limit.clone();
            async move { limit.acquire(&Operator).await.map(drop) }
        });
        tokio::task::yield_now().await;
        (0..3).for_each(|request| limit.failed(request));
        assert_eq!(waiting.await.unwrap(), Err(CircuitOpen), "a waiting call fails when the circuit opens");
        assert_eq!(limit.acquire(&Operator).await.map(drop), Err(CircuitOpen));
        drop(held);
        let trial = limit.acquire(&Operator).await.expect("one may try");
        limit.succeeded();
        let waiting = async { limit.acquire(&Operator).await.map(drop) };
        let freed = async { drop(trial) };
        assert_eq!(futures::join!(waiting, freed).0, Ok(()), "it is over, and waiting is worth while");
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_circuit_is_closed_one_call_probes_and_the_others_wait() {
        let limit = AdaptiveLimit::new(8);
        (0..3).for_each(|request| limit.failed(request));
        let trial = limit.acquire(&Operator).await.expect("one may try");
        assert_eq!(limit.acquire(&Operator).await.map(drop), Err(CircuitOpen));
        limit.close_circuit();
        let waiting = async { limit.acquire(&Operator).await.map(drop) };
        let freed = async { drop(trial) };
        assert_eq!(futures::join!(waiting, freed).0, Ok(()));
        assert_eq!(limit.free(), 1, "still one at a time");
        (0..3).for_each(|request| limit.failed(request));
        let _trial = limit.acquire(&Operator).await.expect("one may try");
        assert_eq!(limit.acquire(&Operator).await.map(drop), Err(CircuitOpen), "it goes on");
    }
}
