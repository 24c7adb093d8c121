//! The gate that every HTTP exchange of a connection passes: so many at once, and none while the API asks to wait.
//! Places are given in the order in which they were asked for.

use super::Fault;
use k8s_openapi::jiff::{Timestamp, fmt::rfc2822};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::Instant;

/// How long to wait after a 429 that does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// A wait of zero would turn all who wait into a storm.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// A mistaken `Retry-After` must not stop a connection for a day.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Limits the calls under way and can be closed for a while.
pub struct Gate {
    places: Semaphore,
    closed: watch::Sender<Option<Instant>>,
}

impl Gate {
    /// With at least one place.
    pub fn new(max_in_flight: usize) -> Self {
        let places = max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Self { places: Semaphore::new(places), closed: watch::Sender::new(None) }
    }

    /// Waits for a place, which is given back on drop; refused at once when the gate is closed or closes meanwhile.
    pub async fn enter(&self) -> Result<SemaphorePermit<'_>, Fault> {
        let mut closed = self.closed.subscribe();
        let closing = async {
            let until = closed.wait_for(|until| still(*until).is_some()).await;
            until.ok().and_then(|until| *until)
        };
        tokio::select! {
            biased;
            Some(until) = closing => Err(throttled(until)),
            Ok(place) = self.places.acquire() => Ok(place),
            else => Err(Fault::Unavailable("the connection is shut".into())),
        }
    }

    /// Refuses while the gate is closed; asked before every exchange.
    pub fn check(&self) -> Result<(), Fault> {
        still(*self.closed.borrow()).map_or(Ok(()), |until| Err(throttled(until)))
    }

    /// Closes the gate for all, for as long as the latest 429 asks.
    pub fn close(&self, wait: Duration) -> Fault {
        let until = Instant::now() + wait;
        self.closed.send_modify(|closed| *closed = (*closed).max(Some(until)));
        throttled(self.closed.borrow().unwrap_or(until))
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
        let gate = Arc::new(Gate::new(1));
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
        let gate = Gate::new(1);
        let long = gate.close(Duration::from_secs(30));
        assert_eq!(gate.close(Duration::from_secs(1)), long);
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(gate.check(), Err(long));
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_limited_and_given_in_order() {
        let gate = Arc::new(Gate::new(2));
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
        assert_eq!(Gate::new(0).places.available_permits(), 1);
    }
}
