//! The gate that every HTTP exchange of a connection passes: so many at once, none while the API asks to wait, and no
//! organization takes so many places that nothing is left for the others.

mod places;

use super::{Fault, OrgId};
use crate::metrics::Meter;
use k8s_openapi::jiff::{Timestamp, fmt::rfc2822};
use places::{Outage, Place, Places};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long to wait after a 429 that does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// A wait of zero would turn all who wait into a storm.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// A mistaken `Retry-After` must not stop a connection for a day.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// So many calls in a row without an answer, and the API is said to be unreachable.
const SILENCE: u32 = 3;

/// One place of so many is kept for other organizations.
const SPARED: usize = 4;

/// Limits the calls under way and can be closed for a while.
pub struct Gate {
    most: usize,
    all: Places,
    orgs: Mutex<HashMap<OrgId, Arc<Places>>>,
    closed: watch::Sender<Option<Instant>>,
    quota: Option<Quota>,
    /// Exchanges in a row, of whatever kind, that brought no usable answer.
    unanswered: AtomicU32,
    meter: Meter,
}

/// Evenly spaced turns.
struct Quota {
    interval: Duration,
    next: tokio::sync::Mutex<Instant>,
}

/// What calls about one organization go through.
pub struct Lane<'a> {
    gate: &'a Gate,
    org: OrgId,
    places: Arc<Places>,
}

impl Gate {
    /// With at least one place, and so many turns in a second if there is a quota.
    pub fn new(max_in_flight: usize, requests_per_second: Option<NonZeroU32>, meter: Meter) -> Self {
        let quota = requests_per_second.map(|count| Quota {
            interval: Duration::from_secs(1) / count.get(),
            next: tokio::sync::Mutex::new(Instant::now()),
        });
        Self {
            most: max_in_flight,
            all: Places::new(max_in_flight),
            orgs: Mutex::default(),
            closed: watch::Sender::new(None),
            quota,
            unanswered: AtomicU32::new(0),
            meter,
        }
    }

    /// The lane of an organization. The first one may take every place, since there may be no other.
    pub fn lane(&self, org: &OrgId) -> Lane<'_> {
        let mut orgs = self.orgs.lock().unwrap_or_else(PoisonError::into_inner);
        let share = self.most - self.most / SPARED;
        let most = if orgs.is_empty() { self.most } else { share };
        if orgs.len() == 1 && !orgs.contains_key(org) {
            orgs.values().for_each(|first| first.limit_to(share));
        }
        let places = orgs.entry(org.clone()).or_insert_with(|| Arc::new(Places::new(most))).clone();
        Lane { gate: self, org: org.clone(), places }
    }

    /// Whether the API is to be taken for unreachable: the last calls brought no answer, whatever they were about.
    pub fn is_silent(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) >= SILENCE
    }

    /// A lane for calls about no organization, which takes no place from those about one.
    pub fn aside(&self) -> Lane<'_> {
        Lane { gate: self, org: OrgId(String::new()), places: Arc::new(Places::new(1)) }
    }

    /// The fault of all who come while the gate is closed, once it is.
    async fn closing(&self) -> Fault {
        let mut closed = self.closed.subscribe();
        let until = closed.wait_for(|until| still(*until).is_some()).await;
        match until.ok().and_then(|until| *until) {
            Some(until) => throttled(until),
            None => Fault::Unavailable("the connection is shut".into()),
        }
    }

    fn check(&self) -> Result<(), Fault> {
        still(*self.closed.borrow()).map_or(Ok(()), |until| Err(throttled(until)))
    }
}

impl Lane<'_> {
    /// The organization.
    pub fn org(&self) -> &OrgId {
        &self.org
    }

    /// Waits for a place, which is given back on drop; refused at once when the gate is closed or closes meanwhile, or
    /// when the last calls brought no answer and another one is under way.
    pub async fn enter(&self) -> Result<(Place<'_>, Place<'_>), Fault> {
        let places = async {
            let of_org = self.places.enter().await.map_err(|Outage| silent(&format!("organization {}", self.org)))?;
            let of_all = self.gate.all.enter().await.map_err(|Outage| silent("the API"))?;
            Ok((of_org, of_all))
        };
        tokio::select! {
            biased;
            fault = self.gate.closing() => Err(fault),
            places = places => places,
        }
    }

    /// Before every exchange: waits for a turn where there is a quota, and refuses while the gate is closed.
    pub async fn wait_for_turn(&self) -> Result<(), Fault> {
        self.gate.check()?;
        if let Some(quota) = &self.gate.quota {
            let mut next = quota.next.lock().await;
            tokio::time::sleep_until(*next).await;
            *next = Instant::now() + quota.interval;
        }
        self.gate.check()
    }

    /// Closes the gate for all, for as long as the latest 429 asks, and halves the calls under way.
    pub fn close(&self, wait: Duration) -> Fault {
        let (gate, now) = (self.gate, Instant::now());
        let until = now + wait;
        // The calls that were under way together are one sign of too many, not several.
        if still(*gate.closed.borrow()).is_none() {
            gate.all.halve();
        }
        gate.closed.send_modify(|closed| {
            gate.meter.throttled(until.saturating_duration_since(still(*closed).unwrap_or(now)));
            *closed = (*closed).max(Some(until));
        });
        throttled(gate.closed.borrow().unwrap_or(until))
    }

    /// An exchange brought no usable answer. One request that always fails is no outage of its organization, and one
    /// organization that always fails is none of the API.
    pub fn failed(&self, request: u64) {
        self.gate.unanswered.fetch_add(1, Ordering::Relaxed);
        self.places.failed(request);
        let mut org = DefaultHasher::new();
        self.org.hash(&mut org);
        self.gate.all.failed(org.finish());
    }

    /// The API answered.
    pub fn succeeded(&self) {
        self.gate.unanswered.store(0, Ordering::Relaxed);
        self.places.succeeded();
        self.gate.all.succeeded();
    }
}

fn silent(who: &str) -> Fault {
    Fault::Unavailable(format!("the last calls about {who} brought no answer; one call at a time tries again"))
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
    use crate::metrics::Metrics;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn org(id: &str) -> OrgId {
        OrgId(id.into())
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
        let gate = Arc::new(Gate::new(1, None, Meter::default()));
        let lane = gate.lane(&org("a"));
        let held = lane.enter().await.ok().unwrap();
        let waiting: Vec<_> = (0..10)
            .map(|n| {
                let gate = gate.clone();
                tokio::spawn(async move { gate.lane(&org(["a", "b"][n % 2])).enter().await.map(drop) })
            })
            .collect();
        tokio::task::yield_now().await;
        let fault = lane.close(Duration::from_secs(3));
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Err(fault.clone()));
        }
        drop(held);
        assert_eq!(lane.enter().await.map(drop), Err(fault.clone()));
        assert_eq!(lane.wait_for_turn().await, Err(fault));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(lane.wait_for_turn().await, Ok(()));
        assert_eq!(lane.enter().await.map(drop), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_wait_does_not_open_the_gate_and_several_429_at_once_count_once() {
        let metrics = Arc::<Metrics>::default();
        let gate = Gate::new(8, None, Meter::new(metrics.clone(), "a".into()));
        let lane = gate.lane(&org("a"));
        let long = lane.close(Duration::from_secs(30));
        assert_eq!(lane.close(Duration::from_secs(1)), long);
        let seconds = metrics.text(Timestamp::UNIX_EPOCH).unwrap();
        assert!(seconds.contains("throttled_seconds_total{connection=\"a\"} 30.0\n"), "{seconds}");
        assert_eq!(gate.all.free(), 4);
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(gate.check(), Err(long));
    }

    #[tokio::test(start_paused = true)]
    async fn an_organization_that_does_not_answer_leaves_places_to_the_others() {
        let gate = Gate::new(8, None, Meter::default());
        let alone = gate.lane(&org("hangs"));
        assert_eq!(alone.places.free(), 8, "the only one may take all");
        let other = gate.lane(&org("good"));
        assert_eq!((alone.places.free(), other.places.free()), (6, 6));
        let hanging = futures::future::join_all((0..6).map(|_| alone.enter())).await;
        assert_eq!(other.enter().await.map(drop), Ok(()), "two are kept for others");
        (0..6).for_each(|request| alone.failed(request));
        drop(hanging);
        assert_eq!((alone.places.free(), other.places.free(), gate.all.free()), (1, 6, 8));
    }

    #[tokio::test(start_paused = true)]
    async fn when_no_organization_is_answered_it_is_an_outage_of_the_api() {
        let gate = Gate::new(8, None, Meter::default());
        let lanes = [gate.lane(&org("a")), gate.lane(&org("b"))];
        (0..2).for_each(|request| lanes.iter().for_each(|lane| lane.failed(request)));
        assert_eq!(gate.all.free(), 1);
        lanes[0].succeeded();
        assert_eq!(gate.all.free(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_spaces_the_calls_evenly() {
        let gate = Gate::new(8, NonZeroU32::new(5), Meter::default());
        let (a, b) = (gate.lane(&org("a")), gate.lane(&org("b")));
        let begin = Instant::now();
        for lane in [&a, &b, &a, &b, &a, &b, &a, &b, &a, &b, &a] {
            lane.wait_for_turn().await.unwrap();
        }
        assert_eq!(begin.elapsed(), Duration::from_secs(2));
    }
}
