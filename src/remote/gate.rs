//! The gate that every HTTP exchange of a connection passes: so many at once, and none while the API asks to wait.
//! Places are given in the order in which they were asked for.

use super::Fault;
use k8s_openapi::jiff::{Timestamp, fmt::rfc2822};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::Instant;

/// How long to wait after a 429 that does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// A wait of zero would turn all who wait into a storm.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// A mistaken `Retry-After` must not stop a connection for a day.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// So many faults in a row are an outage.
const OUTAGE: u32 = 3;

/// Limits the calls under way and can be closed for a while.
pub struct Gate {
    places: Semaphore,
    closed: watch::Sender<Option<Instant>>,
    pace: Mutex<Pace>,
    quota: Option<Quota>,
}

/// How many calls may be under way: halved by a 429 and regained one by one; after an outage one, and then doubled.
struct Pace {
    most: usize,
    limit: usize,
    /// Below it the limit doubles with each round of successes, above it grows by one.
    threshold: usize,
    /// Successes since the limit grew.
    good: usize,
    /// Faults without a success between them.
    faults: u32,
    /// Places that are still taken and are not to be given again.
    owed: usize,
}

/// Evenly spaced turns.
struct Quota {
    interval: Duration,
    next: tokio::sync::Mutex<Instant>,
}

/// A place at the gate, given back on drop.
pub struct Place<'a> {
    gate: &'a Gate,
    permit: Option<SemaphorePermit<'a>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut pace = self.gate.pace();
        if pace.owed > 0
            && let Some(permit) = self.permit.take()
        {
            pace.owed -= 1;
            permit.forget();
        }
    }
}

impl Gate {
    /// With at least one place, and so many turns in a second if there is a quota.
    pub fn new(max_in_flight: usize, requests_per_second: Option<NonZeroU32>) -> Self {
        let most = max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        let quota = requests_per_second.map(|count| Quota {
            interval: Duration::from_secs(1) / count.get(),
            next: tokio::sync::Mutex::new(Instant::now()),
        });
        let pace = Pace { most, limit: most, threshold: most, good: 0, faults: 0, owed: 0 };
        Self { places: Semaphore::new(most), closed: watch::Sender::new(None), pace: Mutex::new(pace), quota }
    }

    /// Waits for a place, which is given back on drop; refused at once when the gate is closed or closes meanwhile.
    pub async fn enter(&self) -> Result<Place<'_>, Fault> {
        let mut closed = self.closed.subscribe();
        let closing = async {
            let until = closed.wait_for(|until| still(*until).is_some()).await;
            until.ok().and_then(|until| *until)
        };
        tokio::select! {
            biased;
            Some(until) = closing => Err(throttled(until)),
            Ok(permit) = self.places.acquire() => Ok(Place { gate: self, permit: Some(permit) }),
            else => Err(Fault::Unavailable("the connection is shut".into())),
        }
    }

    /// Before every exchange: waits for a turn where there is a quota, and refuses while the gate is closed.
    pub async fn wait_for_turn(&self) -> Result<(), Fault> {
        self.check()?;
        if let Some(quota) = &self.quota {
            let mut next = quota.next.lock().await;
            tokio::time::sleep_until(*next).await;
            *next = Instant::now() + quota.interval;
        }
        self.check()
    }

    fn check(&self) -> Result<(), Fault> {
        still(*self.closed.borrow()).map_or(Ok(()), |until| Err(throttled(until)))
    }

    /// Closes the gate for all, for as long as the latest 429 asks, and halves the calls under way.
    pub fn close(&self, wait: Duration) -> Fault {
        let until = Instant::now() + wait;
        // The calls that were under way together are one sign of too many, not several.
        if still(*self.closed.borrow()).is_none() {
            let half = (self.pace().limit / 2).max(1);
            self.shrink(half, half);
        }
        self.closed.send_modify(|closed| *closed = (*closed).max(Some(until)));
        throttled(self.closed.borrow().unwrap_or(until))
    }

    /// An exchange brought no usable answer.
    pub fn failed(&self) {
        let mut pace = self.pace();
        pace.faults = pace.faults.saturating_add(1);
        if pace.faults == OUTAGE {
            let most = pace.most;
            drop(pace);
            self.shrink(1, most);
        }
    }

    /// The API answered.
    pub fn succeeded(&self) {
        let mut pace = self.pace();
        (pace.faults, pace.good) = (0, pace.good + 1);
        let enough = if pace.limit < pace.threshold { 1 } else { pace.limit };
        if pace.limit < pace.most && pace.good >= enough {
            (pace.limit, pace.good) = (pace.limit + 1, 0);
            if pace.owed > 0 {
                pace.owed -= 1;
            } else {
                self.places.add_permits(1);
            }
        }
    }

    fn shrink(&self, limit: usize, threshold: usize) {
        let mut pace = self.pace();
        let fewer = pace.limit.saturating_sub(limit);
        pace.owed += fewer - self.places.forget_permits(fewer);
        (pace.limit, pace.threshold, pace.good) = (limit.min(pace.limit), threshold, 0);
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn still(until: Option<Instant>) -> Option<Instant> {
    until.filter(|until| *until > Instant::now())
}

fn throttled(until: Instant) -> Fault {
    Fault::Throttled { until: until.into_std() }
}

/// How long a 429 asks to wait: seconds or an HTTP date, within bounds. No statement of either API about it was found,
/// so both forms of HTTP are read. (undocumented)
pub fn wait(retry_after: Option<&str>, now: Timestamp) -> Duration {
    let asked = retry_after.map(str::trim).and_then(|text| match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = rfc2822::parse(text).ok()?.timestamp();
            Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
        }
    });
    asked.unwrap_or(DEFAULT_WAIT).clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let now = at("1994-11-06T08:49:07Z");
        let cases = [
            (Some("2"), 2),
            (Some(" 30 "), 30),
            (Some("0"), 1),
            (Some("86400"), 600),
            (Some("Sun, 06 Nov 1994 08:49:37 GMT"), 30),
            (Some("Sun, 06 Nov 1994 08:00:00 GMT"), 1),
            (Some("Mon, 07 Nov 1994 08:49:37 GMT"), 600),
            (Some("soon"), 5),
            (Some("-1"), 5),
            (Some(""), 5),
            (None, 5),
        ];
        for (text, seconds) in cases {
            assert_eq!(wait(text, now), Duration::from_secs(seconds), "{text:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_are_refused_when_the_gate_closes() {
        let gate = Arc::new(Gate::new(1, None));
        let held = gate.enter().await.unwrap();
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let gate = gate.clone();
                tokio::spawn(async move { gate.enter().await.map(drop) })
            })
            .collect();
        tokio::task::yield_now().await;
        let fault = gate.close(Duration::from_secs(3));
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Err(fault.clone()));
        }
        drop(held);
        assert_eq!(gate.enter().await.map(drop), Err(fault.clone()));
        assert_eq!(gate.check(), Err(fault));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(gate.check(), Ok(()));
        assert_eq!(gate.enter().await.map(drop), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_wait_does_not_open_the_gate() {
        let gate = Gate::new(1, None);
        let long = gate.close(Duration::from_secs(30));
        assert_eq!(gate.close(Duration::from_secs(1)), long);
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(gate.check(), Err(long));
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_limited_and_given_in_order() {
        let gate = Arc::new(Gate::new(2, None));
        let (log, mut entered) = tokio::sync::mpsc::unbounded_channel();
        for n in 0..6 {
            let (gate, log) = (gate.clone(), log.clone());
            tokio::spawn(async move {
                let _place = gate.enter().await.unwrap();
                log.send((n, gate.places.available_permits())).unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            });
            tokio::task::yield_now().await;
        }
        drop(log);
        let mut order = Vec::new();
        while let Some((n, _)) = entered.recv().await {
            order.push(n);
        }
        assert_eq!(order, [0, 1, 2, 3, 4, 5]);
        assert_eq!(gate.places.available_permits(), 2);
    }

    #[test]
    fn there_is_always_a_place() {
        assert_eq!(Gate::new(0, None).places.available_permits(), 1);
    }

    fn places(gate: &Gate) -> usize {
        gate.places.available_permits()
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_halves_the_calls_under_way_and_successes_win_them_back_one_by_one() {
        let gate = Gate::new(8, None);
        let held = gate.enter().await.ok().unwrap();
        gate.close(Duration::from_secs(1));
        gate.close(Duration::from_secs(1));
        assert_eq!(places(&gate), 3);
        drop(held);
        assert_eq!(places(&gate), 4);
        for expected in [4, 4, 4, 5, 5, 5, 5, 5, 6] {
            gate.succeeded();
            assert_eq!(places(&gate), expected);
        }
        (0..100).for_each(|_| gate.succeeded());
        assert_eq!(places(&gate), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_outage_the_calls_under_way_start_with_one_and_double() {
        let gate = Gate::new(8, None);
        let held = [gate.enter().await.ok(), gate.enter().await.ok(), gate.enter().await.ok()];
        (0..10).for_each(|_| gate.failed());
        drop(held);
        assert_eq!(places(&gate), 1);
        // One round of as many successes as there are places doubles them.
        gate.succeeded();
        assert_eq!(places(&gate), 2);
        (0..2).for_each(|_| gate.succeeded());
        assert_eq!(places(&gate), 4);
        (0..4).for_each(|_| gate.succeeded());
        assert_eq!(places(&gate), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_spaces_the_calls_evenly() {
        let gate = Gate::new(8, NonZeroU32::new(5));
        let begin = Instant::now();
        for _ in 0..11 {
            gate.wait_for_turn().await.unwrap();
        }
        assert_eq!(begin.elapsed(), Duration::from_secs(2));
    }
}
