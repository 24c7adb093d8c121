//! AdaptiveLimit for calls under way, fewer when the API is in trouble: halved by a 429 and regained one by one; after an outage
//! one, and then doubled. While an outage lasts nobody waits for the one permit, since it may take long to be free.

use crate::fair_queue::{FairQueue, Flow, Permit};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// So many faults in a row, no two in succession from the same source, are an outage.
const OUTAGE: u32 = 3;

/// Limits the calls under way; in_flight are given in turn.
pub struct AdaptiveLimit {
    queue: FairQueue,
    pace: Mutex<Aimd>,
    outage: watch::Sender<bool>,
}

struct Aimd {
    most: usize,
    limit: usize,
    /// Below it the limit doubles with each round of successes, above it grows by one.
    threshold: usize,
    /// Successes since the limit grew.
    good: usize,
    /// Faults without a success between them.
    faults: u32,
    /// Where the last of them came from.
    source: Option<u64>,
}

/// Nobody is to wait, since the last calls brought no answer and another one is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitOpen;

impl AdaptiveLimit {
    /// At least one.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        let pace = Aimd { most, limit: most, threshold: most, good: 0, faults: 0, source: None };
        Self { queue: FairQueue::new(most), pace: Mutex::new(pace), outage: watch::Sender::new(false) }
    }

    /// Waits for a permit, which is given back on drop, unless there is an outage or it begins meanwhile.
    pub async fn enter(&self, turn: &Flow) -> Result<Permit, CircuitOpen> {
        let mut outage = self.outage.subscribe();
        tokio::select! {
            biased;
            permit = self.queue.acquire(turn) => Ok(permit),
            _ = outage.wait_for(|outage| *outage) => Err(CircuitOpen),
        }
    }

    /// A call brought no usable answer; `source` tells it from others.
    pub fn failed(&self, source: u64) {
        let mut pace = self.pace();
        if pace.source.replace(source) == Some(source) {
            return;
        }
        pace.faults = pace.faults.saturating_add(1);
        if pace.faults == OUTAGE {
            let most = pace.most;
            self.shrink(pace, 1, most);
            self.outage.send_replace(true);
        }
    }

    /// The API answered.
    pub fn succeeded(&self) {
        let mut pace = self.pace();
        if pace.faults >= OUTAGE {
            self.outage.send_replace(false);
        }
        (pace.faults, pace.source, pace.good) = (0, None, pace.good + 1);
        let enough = if pace.limit < pace.threshold { 1 } else { pace.limit };
        if pace.limit < pace.most && pace.good >= enough {
            (pace.limit, pace.good) = (pace.limit + 1, 0);
            self.queue.set_limit(pace.limit);
        }
    }

    /// Others are answered again, so who comes may wait for the permit until faults say otherwise.
    pub fn end_outage(&self) {
        let mut pace = self.pace();
        if pace.faults >= OUTAGE {
            (pace.faults, pace.source) = (0, None);
            self.outage.send_replace(false);
        }
    }

    /// The API had too many calls.
    pub fn back_off(&self) {
        let pace = self.pace();
        let half = (pace.limit / 2).max(1);
        self.shrink(pace, half, half);
    }

    /// The API had too many calls, and is asked again by one at first.
    pub fn probe(&self) {
        let pace = self.pace();
        let half = (pace.limit / 2).max(1);
        self.shrink(pace, 1, half);
    }

    /// From now on never more than so many.
    pub fn limit_to(&self, most: usize) {
        let mut pace = self.pace();
        pace.most = most.max(1);
        self.shrink(pace, most.max(1), most.max(1));
    }

    /// From now on as many as so many.
    pub fn extend_to(&self, most: usize) {
        let mut pace = self.pace();
        let full = pace.limit == pace.most;
        pace.most = most.max(1);
        if full {
            (pace.limit, pace.threshold, pace.good) = (pace.most, pace.most, 0);
            self.queue.set_limit(pace.limit);
        }
    }

    fn shrink(&self, mut pace: MutexGuard<'_, Aimd>, limit: usize, threshold: usize) {
        (pace.limit, pace.threshold, pace.good) = (limit.min(pace.limit), threshold, 0);
        self.queue.set_limit(pace.limit);
    }

    fn pace(&self) -> MutexGuard<'_, Aimd> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn free(&self) -> usize {
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
    async fn places_are_limited_and_given_in_order() {
        let in_flight = Arc::new(AdaptiveLimit::new(2));
        let (log, mut entered) = tokio::sync::mpsc::unbounded_channel();
        for n in 0..6 {
            let (in_flight, log) = (in_flight.clone(), log.clone());
            tokio::spawn(async move {
                let _place = in_flight.enter(&Operator).await.ok().unwrap();
                log.send(n).unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            });
            tokio::task::yield_now().await;
        }
        drop(log);
        let mut order = Vec::new();
        while let Some(n) = entered.recv().await {
            order.push(n);
        }
        assert_eq!(order, [0, 1, 2, 3, 4, 5]);
        assert_eq!(in_flight.free(), 2);
    }

    #[test]
    fn there_is_always_a_place() {
        assert_eq!(AdaptiveLimit::new(0).free(), 1);
    }

    #[tokio::test]
    async fn a_429_halves_the_calls_under_way_and_successes_win_them_back_one_by_one() {
        let in_flight = AdaptiveLimit::new(8);
        let held = in_flight.enter(&Operator).await.ok().unwrap();
        in_flight.back_off();
        assert_eq!(in_flight.free(), 3);
        drop(held);
        assert_eq!(in_flight.free(), 4);
        for expected in [4, 4, 4, 5, 5, 5, 5, 5, 6] {
            in_flight.succeeded();
            assert_eq!(in_flight.free(), expected);
        }
        (0..100).for_each(|_| in_flight.succeeded());
        assert_eq!(in_flight.free(), 8);
    }

    #[test]
    fn after_a_pause_one_asks_and_successes_win_the_half_back_at_once_and_the_rest_one_by_one() {
        let in_flight = AdaptiveLimit::new(8);
        in_flight.probe();
        let free = |_| {
            in_flight.succeeded();
            in_flight.free()
        };
        assert_eq!(in_flight.free(), 1);
        assert_eq!([0; 7].map(free), [2, 3, 4, 4, 4, 4, 5]);
    }

    #[tokio::test]
    async fn after_an_outage_the_calls_under_way_start_with_one_and_double() {
        let in_flight = AdaptiveLimit::new(8);
        let held = [
            in_flight.enter(&Operator).await.ok(),
            in_flight.enter(&Operator).await.ok(),
            in_flight.enter(&Operator).await.ok(),
        ];
        (0..10).for_each(|request| in_flight.failed(request));
        drop(held);
        assert_eq!(in_flight.free(), 1);
        // One round of as many successes as there are in_flight doubles them.
        in_flight.succeeded();
        assert_eq!(in_flight.free(), 2);
        (0..2).for_each(|_| in_flight.succeeded());
        assert_eq!(in_flight.free(), 4);
        (0..4).for_each(|_| in_flight.succeeded());
        assert_eq!(in_flight.free(), 8);
    }

    #[test]
    fn one_source_of_faults_is_no_outage() {
        let in_flight = AdaptiveLimit::new(8);
        (0..10).for_each(|_| in_flight.failed(1));
        assert_eq!(in_flight.free(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn in_an_outage_one_tries_and_nobody_waits() {
        let in_flight = Arc::new(AdaptiveLimit::new(1));
        let held = in_flight.enter(&Operator).await.ok().unwrap();
        let waiting = tokio::spawn({
            let in_flight = in_flight.clone();
            async move { in_flight.enter(&Operator).await.map(drop) }
        });
        tokio::task::yield_now().await;
        (0..3).for_each(|request| in_flight.failed(request));
        assert_eq!(waiting.await.unwrap(), Err(CircuitOpen), "who waits when it begins is told");
        assert_eq!(in_flight.enter(&Operator).await.map(drop), Err(CircuitOpen));
        drop(held);
        let trial = in_flight.enter(&Operator).await.expect("one may try");
        in_flight.succeeded();
        let waiting = async { in_flight.enter(&Operator).await.map(drop) };
        let freed = async { drop(trial) };
        assert_eq!(futures::join!(waiting, freed).0, Ok(()), "it is over, and waiting is worth while");
    }

    #[tokio::test(start_paused = true)]
    async fn when_others_are_answered_again_one_tries_and_the_rest_wait_for_it() {
        let in_flight = AdaptiveLimit::new(8);
        (0..3).for_each(|request| in_flight.failed(request));
        let trial = in_flight.enter(&Operator).await.expect("one may try");
        assert_eq!(in_flight.enter(&Operator).await.map(drop), Err(CircuitOpen));
        in_flight.end_outage();
        let waiting = async { in_flight.enter(&Operator).await.map(drop) };
        let freed = async { drop(trial) };
        assert_eq!(futures::join!(waiting, freed).0, Ok(()));
        assert_eq!(in_flight.free(), 1, "still one at a time");
        (0..3).for_each(|request| in_flight.failed(request));
        let _trial = in_flight.enter(&Operator).await.expect("one may try");
        assert_eq!(in_flight.enter(&Operator).await.map(drop), Err(CircuitOpen), "it goes on");
    }
}
