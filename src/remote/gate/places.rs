//! Places for calls under way, fewer when the API is in trouble: halved by a 429 and regained one by one; after an outage
//! one, and then doubled. While an outage lasts nobody waits for the one place, since it may take long to be free.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// So many faults in a row, no two in succession from the same source, are an outage.
const OUTAGE: u32 = 3;

/// Limits the calls under way; places are given in the order in which they were asked for.
pub struct Places {
    permits: Semaphore,
    pace: Mutex<Pace>,
    outage: watch::Sender<bool>,
}

struct Pace {
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
    /// Places that are still taken and are not to be given again.
    owed: usize,
}

/// A place, given back on drop.
pub struct Place<'a> {
    places: &'a Places,
    permit: Option<SemaphorePermit<'a>>,
}

/// Nobody is to wait, since the last calls brought no answer and another one is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage;

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut pace = self.places.pace();
        if pace.owed > 0
            && let Some(permit) = self.permit.take()
        {
            pace.owed -= 1;
            permit.forget();
        }
    }
}

impl Places {
    /// At least one.
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let pace = Pace { most, limit: most, threshold: most, good: 0, faults: 0, source: None, owed: 0 };
        Self { permits: Semaphore::new(most), pace: Mutex::new(pace), outage: watch::Sender::new(false) }
    }

    /// Waits for a place, unless there is an outage or it begins meanwhile.
    pub async fn enter(&self) -> Result<Place<'_>, Outage> {
        let mut outage = self.outage.subscribe();
        tokio::select! {
            biased;
            Ok(permit) = self.permits.acquire() => Ok(Place { places: self, permit: Some(permit) }),
            _ = outage.wait_for(|outage| *outage) => Err(Outage),
            else => Err(Outage),
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
            drop(pace);
            self.shrink(1, most);
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
            if pace.owed > 0 {
                pace.owed -= 1;
            } else {
                self.permits.add_permits(1);
            }
        }
    }

    /// The API had too many calls.
    pub fn halve(&self) {
        let half = (self.pace().limit / 2).max(1);
        self.shrink(half, half);
    }

    /// From now on never more than so many.
    pub fn limit_to(&self, most: usize) {
        let most = most.max(1);
        self.pace().most = most;
        self.shrink(most, most);
    }

    fn shrink(&self, limit: usize, threshold: usize) {
        let mut pace = self.pace();
        let fewer = pace.limit.saturating_sub(limit);
        pace.owed += fewer - self.permits.forget_permits(fewer);
        (pace.limit, pace.threshold, pace.good) = (limit.min(pace.limit), threshold, 0);
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn free(&self) -> usize {
        self.permits.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn places_are_limited_and_given_in_order() {
        let places = Arc::new(Places::new(2));
        let (log, mut entered) = tokio::sync::mpsc::unbounded_channel();
        for n in 0..6 {
            let (places, log) = (places.clone(), log.clone());
            tokio::spawn(async move {
                let _place = places.enter().await.ok().unwrap();
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
        assert_eq!(places.free(), 2);
    }

    #[test]
    fn there_is_always_a_place() {
        assert_eq!(Places::new(0).free(), 1);
    }

    #[tokio::test]
    async fn a_429_halves_the_calls_under_way_and_successes_win_them_back_one_by_one() {
        let places = Places::new(8);
        let held = places.enter().await.ok().unwrap();
        places.halve();
        assert_eq!(places.free(), 3);
        drop(held);
        assert_eq!(places.free(), 4);
        for expected in [4, 4, 4, 5, 5, 5, 5, 5, 6] {
            places.succeeded();
            assert_eq!(places.free(), expected);
        }
        (0..100).for_each(|_| places.succeeded());
        assert_eq!(places.free(), 8);
    }

    #[tokio::test]
    async fn after_an_outage_the_calls_under_way_start_with_one_and_double() {
        let places = Places::new(8);
        let held = [places.enter().await.ok(), places.enter().await.ok(), places.enter().await.ok()];
        (0..10).for_each(|request| places.failed(request));
        drop(held);
        assert_eq!(places.free(), 1);
        // One round of as many successes as there are places doubles them.
        places.succeeded();
        assert_eq!(places.free(), 2);
        (0..2).for_each(|_| places.succeeded());
        assert_eq!(places.free(), 4);
        (0..4).for_each(|_| places.succeeded());
        assert_eq!(places.free(), 8);
    }

    #[test]
    fn one_source_of_faults_is_no_outage() {
        let places = Places::new(8);
        (0..10).for_each(|_| places.failed(1));
        assert_eq!(places.free(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn in_an_outage_one_tries_and_nobody_waits() {
        let places = Arc::new(Places::new(1));
        let held = places.enter().await.ok().unwrap();
        let waiting = tokio::spawn({
            let places = places.clone();
            async move { places.enter().await.map(drop) }
        });
        tokio::task::yield_now().await;
        (0..3).for_each(|request| places.failed(request));
        assert_eq!(waiting.await.unwrap(), Err(Outage), "who waits when it begins is told");
        assert_eq!(places.enter().await.map(drop), Err(Outage));
        drop(held);
        let trial = places.enter().await.expect("one may try");
        places.succeeded();
        let waiting = async { places.enter().await.map(drop) };
        let freed = async { drop(trial) };
        assert_eq!(futures::join!(waiting, freed).0, Ok(()), "it is over, and waiting is worth while");
    }
}
