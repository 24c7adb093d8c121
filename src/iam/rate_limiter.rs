//! The rate_limiter that every HTTP exchange of a connection passes: so many at once, in turn, none while the API asks to wait, and
//! no organization takes so many in_flight that nothing is left for the others.

mod adaptive_limit;
mod pauses;

use super::{Error, OrgId};
use crate::fair_queue::{FairQueue, Flow, Permit, share};
use crate::keyed::PrunedMap;
use crate::metrics::ConnectionMetrics;
use crate::text::clean;
use adaptive_limit::{AdaptiveLimit, CircuitOpen};
use k8s_openapi::jiff::{Timestamp, fmt::rfc2822};
use pauses::{Pauses, Scope};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
const UNREACHABLE_AFTER: u32 = 3;
/// The longest cause of that, in bytes.
const LONGEST_CAUSE: usize = 400;

/// What is known of an organization that nobody asks about is forgotten after so long.
const IDLE: Duration = Duration::from_secs(600);
/// The same of one for which no call ever succeeded, since anybody can make one up.
const UNKNOWN_IDLE: Duration = Duration::from_secs(60);

/// Limits the calls under way and can be closed for a while.
pub struct RateLimiter {
    most: usize,
    all: AdaptiveLimit,
    /// For the calls about organizations for which none ever succeeded: however many are made up, they weigh no more
    /// than one.
    unknown: FairQueue,
    orgs: Mutex<PrunedMap<OrgId, Org>>,
    pauses: watch::Sender<Pauses>,
    quota: Option<Quota>,
    silence: Mutex<Silence>,
    metrics: ConnectionMetrics,
}

/// Exchanges in a row, of whatever kind, that brought no usable answer.
#[derive(Default)]
struct Silence {
    calls: u32,
    /// What became of the last one.
    cause: String,
}

struct Org {
    in_flight: Arc<AdaptiveLimit>,
    /// Whether a call about it ever succeeded.
    is_known: bool,
    used: Instant,
}

/// Evenly spaced turns.
struct Quota {
    interval: Duration,
    queue: FairQueue,
    next: Mutex<Instant>,
}

/// What calls about one organization, made for one flow, go through.
pub struct OrgLimiter<'a> {
    rate_limiter: &'a RateLimiter,
    org: OrgId,
    scope: Scope,
    is_known: bool,
    /// For whom the calls are made.
    flow: Flow,
    /// With whom they wait.
    turn: Flow,
    in_flight: Arc<AdaptiveLimit>,
}

/// Room for one call, given back on drop.
#[derive(Debug)]
pub struct Entered {
    _of_org: Permit,
    _of_unknown: Option<Permit>,
    _of_all: Permit,
}

impl RateLimiter {
    /// With at least one permit, and so many turns in a second if there is a quota.
    pub fn new(max_in_flight: usize, requests_per_second: Option<NonZeroU32>, metrics: ConnectionMetrics) -> Self {
        let quota = requests_per_second.map(|count| Quota {
            interval: Duration::from_secs(1) / count.get(),
            queue: FairQueue::new(1),
            next: Mutex::new(Instant::now()),
        });
        Self {
            most: max_in_flight,
            all: AdaptiveLimit::new(max_in_flight),
            unknown: FairQueue::new(share(max_in_flight)),
            orgs: Mutex::default(),
            pauses: watch::Sender::new(Pauses::default()),
            quota,
            silence: Mutex::default(),
            metrics,
        }
    }

    /// The limiter of an organization, for calls that are made for this flow.
    pub fn limiter(&self, org: &OrgId, flow: &Flow) -> OrgLimiter<'_> {
        let now = Instant::now();
        let mut orgs = self.orgs();
        let new = || Org { in_flight: Arc::new(AdaptiveLimit::new(share(self.most))), is_known: false, used: now };
        let known = orgs.get_or_insert_with(org.clone(), new, |_, org| org.is_of_use(now));
        known.used = now;
        let (in_flight, is_known, scope) = (known.in_flight.clone(), known.is_known, Scope::Org(org.clone()));
        OrgLimiter {
            rate_limiter: self,
            org: org.clone(),
            scope,
            is_known,
            flow: flow.clone(),
            turn: flow.clone(),
            in_flight,
        }
    }

    /// The same for what all resources of the organization share, so that none waits for the queue of another
    /// namespace. An organization that may be made up has no turn of its own.
    pub fn shared_limiter(&self, org: &OrgId, flow: &Flow) -> OrgLimiter<'_> {
        let limiter = self.limiter(org, flow);
        match limiter.is_known {
            true => OrgLimiter { turn: Flow::Organization(org.clone()), ..limiter },
            false => limiter,
        }
    }

    /// A limiter for access tokens that serve several organizations, of the identity of this owner.
    pub fn token_limiter(&self, owner: &Flow) -> OrgLimiter<'_> {
        let (org, scope, in_flight) =
            (OrgId(String::new()), Scope::Token(owner.clone()), Arc::new(AdaptiveLimit::new(1)));
        OrgLimiter {
            rate_limiter: self,
            org,
            scope,
            is_known: true,
            flow: owner.clone(),
            turn: owner.clone(),
            in_flight,
        }
    }

    /// A call about the organization succeeded. The first one may take every permit, since there may be no other.
    fn know(&self, org: &OrgId) {
        let mut orgs = self.orgs();
        let known: Vec<Arc<AdaptiveLimit>> =
            orgs.iter().filter(|(_, org)| org.is_known).take(2).map(|(_, org)| org.in_flight.clone()).collect();
        let (share, now) = (share(self.most), Instant::now());
        let most = if known.is_empty() { self.most } else { share };
        let new = || Org { in_flight: Arc::new(AdaptiveLimit::new(most)), is_known: true, used: now };
        let found = orgs.get_or_insert_with(org.clone(), new, |_, org| org.is_of_use(now));
        if found.is_known {
            return;
        }
        found.is_known = true;
        match known.as_slice() {
            [] => found.in_flight.extend_to(self.most),
            [first] => first.limit_to(share),
            [..] => {}
        }
    }

    fn orgs(&self) -> MutexGuard<'_, PrunedMap<OrgId, Org>> {
        self.orgs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of the last call, if the API is to be taken for unreachable: the last calls brought no usable answer,
    /// whatever they were about.
    pub fn silence(&self) -> Option<String> {
        let silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        (silence.calls >= UNREACHABLE_AFTER).then(|| silence.cause.clone())
    }

    fn unanswered(&self, cause: &str) {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        *silence = Silence { calls: silence.calls.saturating_add(1), cause: clean(cause, LONGEST_CAUSE) };
    }

    /// An API that answers again is one for all organizations: each begins with one call, and those who wait for it wait.
    fn answered(&self) {
        let before = std::mem::take(&mut *self.silence.lock().unwrap_or_else(PoisonError::into_inner));
        if before.calls >= UNREACHABLE_AFTER {
            self.orgs().iter().for_each(|(_, org)| org.in_flight.end_outage());
        }
    }
}

impl Org {
    fn is_of_use(&self, now: Instant) -> bool {
        let idle = if self.is_known { IDLE } else { UNKNOWN_IDLE };
        Arc::strong_count(&self.in_flight) > 1 || now < self.used + idle
    }
}

impl OrgLimiter<'_> {
    /// The organization.
    pub fn org(&self) -> &OrgId {
        &self.org
    }

    /// For whom calls are made.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Waits for a permit in turn, which is given back on drop; refused at once when the limiter is paused or is meanwhile, or
    /// when the last calls brought no answer and another one is under way.
    pub async fn enter(&self) -> Result<Entered, Error> {
        tokio::select! {
            biased;
            fault = self.pausing() => Err(fault),
            entered = self.in_flight() => entered,
        }
    }

    async fn in_flight(&self) -> Result<Entered, Error> {
        let silent_org = |CircuitOpen| silent(&format!("organization {}", self.org));
        let of_org = self.in_flight.enter(&self.turn).await.map_err(silent_org)?;
        let of_unknown = match self.is_known {
            true => None,
            false => Some(self.rate_limiter.unknown.acquire(&self.turn).await),
        };
        let of_all = self.rate_limiter.all.enter(&self.turn).await.map_err(|CircuitOpen| silent("the API"))?;
        Ok(Entered { _of_org: of_org, _of_unknown: of_unknown, _of_all: of_all })
    }

    /// Before every exchange: waits for a turn where there is a quota, and refuses while the limiter is paused.
    pub async fn wait_for_turn(&self) -> Result<(), Error> {
        self.check()?;
        if let Some(quota) = &self.rate_limiter.quota {
            tokio::select! {
                biased;
                fault = self.pausing() => return Err(fault),
                () = quota.wait(&self.turn) => {}
            }
        }
        self.check()
    }

    fn check(&self) -> Result<(), Error> {
        self.rate_limiter
            .pauses
            .borrow()
            .until(&self.scope, &self.flow, Instant::now())
            .map_or(Ok(()), |until| Err(throttled(until)))
    }

    /// The fault of all who come while the limiter is paused, once it is.
    async fn pausing(&self) -> Error {
        let mut pauses = self.rate_limiter.pauses.subscribe();
        let until = |pauses: &Pauses| pauses.until(&self.scope, &self.flow, Instant::now());
        match pauses.wait_for(|pauses| until(pauses).is_some()).await {
            Ok(pauses) => throttled(until(&pauses).unwrap_or_else(Instant::now)),
            Err(_) => Error::Unavailable("the connection is shut".into()),
        }
    }

    /// The API answered 429: pauses what that is about, and begins again with one call at a time. Only when it is about
    /// the connection are the calls of all others halved.
    pub fn pause(&self, wait: Duration) -> Error {
        let now = Instant::now();
        self.rate_limiter.pauses.send_modify(|pauses| {
            let paused = pauses.pause(&self.scope, self.is_known, &self.flow, wait, now);
            self.rate_limiter.metrics.throttled(paused.longer);
            if paused.is_new {
                self.in_flight.probe();
            }
            if paused.beside == Some(Scope::Connection) {
                self.rate_limiter.all.back_off();
                self.rate_limiter.orgs().iter().for_each(|(_, org)| org.in_flight.probe());
            }
        });
        self.check().err().unwrap_or(throttled(now + wait))
    }

    /// An exchange brought no usable answer. One request that always fails is no outage of its organization, and one
    /// namespace that always fails is none of the API.
    pub fn failed(&self, request: u64, cause: &str) {
        self.rate_limiter.unanswered(cause);
        self.in_flight.failed(request);
        let mut flow = DefaultHasher::new();
        self.flow.hash(&mut flow);
        self.rate_limiter.all.failed(flow.finish());
    }

    /// The API answered; `about_org` when it did what was asked about the organization.
    pub fn succeeded(&self, about_org: bool) {
        self.rate_limiter.answered();
        self.in_flight.succeeded();
        self.rate_limiter.all.succeeded();
        self.rate_limiter.pauses.send_if_modified(|pauses| {
            pauses.answered();
            false
        });
        if about_org && !self.is_known {
            self.rate_limiter.know(&self.org);
        }
    }
}

impl Quota {
    /// Whoever goes away meanwhile takes no turn.
    async fn wait(&self, turn: &Flow) {
        let _permit = self.queue.acquire(turn).await;
        let next = *self.next();
        tokio::time::sleep_until(next).await;
        *self.next() = Instant::now() + self.interval;
    }

    fn next(&self) -> MutexGuard<'_, Instant> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn silent(who: &str) -> Error {
    Error::Unavailable(format!("the last calls about {who} brought no answer; one call at a time tries again"))
}

fn throttled(until: Instant) -> Error {
    Error::Throttled { until: until.into_std() }
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
mod tests;
