//! The rate limiter of a connection, which every HTTP request passes. It limits in-flight requests, grants permits in turn, pauses
//! after a 429, and leaves permits for other organizations.

mod adaptive_limit;
mod pauses;

use super::retry_after::LONGEST_WAIT;
use crate::fair_queue::{FairQueue, Flow, Permit, share};
use crate::iam::{Error, OrgId};
use crate::keyed::PrunedMap;
use crate::metrics::ConnectionMetrics;
use crate::text::clean;
use adaptive_limit::{AdaptiveLimit, CircuitOpen};
use pauses::{Pauses, Scope};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// After so many requests in a row without a usable answer the API counts as unreachable.
const UNREACHABLE_AFTER: u32 = 3;
/// The longest cause of that, in bytes.
const LONGEST_CAUSE: usize = 400;

/// An organization is forgotten after so long without a call about it: not before the longest pause of it ends.
const IDLE: Duration = LONGEST_WAIT;
/// The same for one about which no call ever succeeded, since anyone can invent one.
const UNKNOWN_IDLE: Duration = Duration::from_secs(60);

/// Limits the in-flight requests and can be paused.
pub(crate) struct RateLimiter {
    most: usize,
    all: AdaptiveLimit,
    /// For calls about organizations about which none ever succeeded: however many a tenant invents, they share the permits of one.
    unknown: FairQueue,
    orgs: Mutex<PrunedMap<OrgId, Org>>,
    pauses: watch::Sender<Pauses>,
    quota: Option<Quota>,
    unanswered: Mutex<Unanswered>,
    metrics: ConnectionMetrics,
}

/// Requests in a row, about whatever, without a usable answer.
#[derive(Default)]
struct Unanswered {
    requests: u32,
    /// Why the last one has none, for messages.
    cause: String,
}

struct Org {
    limit: Arc<AdaptiveLimit>,
    /// Whether a call about it ever succeeded.
    is_known: bool,
    used: Instant,
}

/// A limit of requests per second, evenly spaced.
struct Quota {
    interval: Duration,
    queue: FairQueue,
    next: Mutex<Instant>,
}

/// The limiter of calls about one organization that are made for one flow.
pub(crate) struct OrgLimiter<'a> {
    rate_limiter: &'a RateLimiter,
    org: OrgId,
    scope: Scope,
    is_known: bool,
    /// The flow whose 429s and failures these are.
    charged_to: Flow,
    /// The flow in whose queue the calls wait.
    queue_as: Flow,
    limit: Arc<AdaptiveLimit>,
}

/// The permits of one call, which are released on drop.
#[derive(Debug)]
pub(crate) struct InFlight {
    _of_org: Permit,
    _of_unknown: Option<Permit>,
    _of_all: Permit,
}

impl RateLimiter {
    /// With at least one permit, and with a quota if `requests_per_second` is set.
    pub(crate) fn new(
        max_in_flight: usize,
        requests_per_second: Option<NonZeroU32>,
        metrics: ConnectionMetrics,
    ) -> Self {
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
            unanswered: Mutex::default(),
            metrics,
        }
    }

    /// The limiter of an organization, for calls that are made for this flow.
    pub(crate) fn limiter(&self, org: &OrgId, flow: &Flow) -> OrgLimiter<'_> {
        let now = Instant::now();
        let mut orgs = self.orgs();
        let new = || Org { limit: Arc::new(AdaptiveLimit::new(share(self.most))), is_known: false, used: now };
        let entry = orgs.get_or_insert_with(org.clone(), new, |_, org| org.is_of_use(now));
        entry.used = now;
        OrgLimiter {
            rate_limiter: self,
            org: org.clone(),
            scope: Scope::Org(org.clone()),
            is_known: entry.is_known,
            charged_to: flow.clone(),
            queue_as: flow.clone(),
            limit: entry.limit.clone(),
        }
    }

    /// The same for what all resources of the organization share, so that none waits in the queue of another namespace. An
    /// organization that may be invented has no queue of its own.
    pub(crate) fn shared_limiter(&self, org: &OrgId, flow: &Flow) -> OrgLimiter<'_> {
        let limiter = self.limiter(org, flow);
        if limiter.is_known { OrgLimiter { queue_as: Flow::Organization(org.clone()), ..limiter } } else { limiter }
    }

    /// The limiter of requests for a token that serves several organizations, with the credentials of this owner.
    pub(crate) fn token_limiter(&self, owner: &Flow) -> OrgLimiter<'_> {
        OrgLimiter {
            rate_limiter: self,
            org: OrgId(String::new()),
            scope: Scope::Token(owner.clone()),
            is_known: true,
            charged_to: owner.clone(),
            queue_as: owner.clone(),
            limit: Arc::new(AdaptiveLimit::new(1)),
        }
    }

    /// The limiter of requests about the credentials of this owner: a 429 to one of them delays no token.
    pub(crate) fn details_limiter(&self, owner: &Flow) -> OrgLimiter<'_> {
        OrgLimiter { scope: Scope::Details(owner.clone()), ..self.token_limiter(owner) }
    }

    /// A call about the organization succeeded. The first one may use every permit, since there may be no other.
    fn mark_known(&self, org: &OrgId) {
        let mut orgs = self.orgs();
        let known: Vec<Arc<AdaptiveLimit>> =
            orgs.iter().filter(|(_, org)| org.is_known).take(2).map(|(_, org)| org.limit.clone()).collect();
        let share = share(self.most);
        let now = Instant::now();
        let most = if known.is_empty() { self.most } else { share };
        let new = || Org { limit: Arc::new(AdaptiveLimit::new(most)), is_known: true, used: now };
        let found = orgs.get_or_insert_with(org.clone(), new, |_, org| org.is_of_use(now));
        if found.is_known {
            return;
        }
        found.is_known = true;
        match known.as_slice() {
            [] => found.limit.extend_to(self.most),
            [first] => first.limit_to(share),
            [..] => {}
        }
    }

    fn orgs(&self) -> MutexGuard<'_, PrunedMap<OrgId, Org>> {
        self.orgs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the last request got no usable answer, if the API counts as unreachable: the last requests got none, whatever they
    /// were about.
    pub(crate) fn unreachable_cause(&self) -> Option<String> {
        let unanswered = self.unanswered();
        (unanswered.requests >= UNREACHABLE_AFTER).then(|| unanswered.cause.clone())
    }

    fn record_unanswered(&self, cause: &str) {
        let mut unanswered = self.unanswered();
        unanswered.requests = unanswered.requests.saturating_add(1);
        unanswered.cause = clean(cause, LONGEST_CAUSE);
    }

    /// An API that answers again does so for all organizations: the limit of each starts from one, and calls wait for it.
    fn record_answered(&self) {
        let before = std::mem::take(&mut *self.unanswered());
        if before.requests >= UNREACHABLE_AFTER {
            self.orgs().iter().for_each(|(_, org)| org.limit.close_circuit());
        }
    }

    fn unanswered(&self) -> MutexGuard<'_, Unanswered> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Org {
    fn is_of_use(&self, now: Instant) -> bool {
        let idle = if self.is_known { IDLE } else { UNKNOWN_IDLE };
        Arc::strong_count(&self.limit) > 1 || now < self.used + idle
    }
}

impl OrgLimiter<'_> {
    pub(crate) fn org(&self) -> &OrgId {
        &self.org
    }

    pub(crate) fn flow(&self) -> &Flow {
        &self.charged_to
    }

    /// Waits in turn for the permits of a call. Fails at once when the limiter is or gets paused, and while the circuit is open and
    /// another call probes.
    pub(crate) async fn acquire(&self) -> Result<InFlight, Error> {
        tokio::select! {
            biased;
            error = self.paused() => Err(error),
            permits = self.acquire_permits() => permits,
        }
    }

    async fn acquire_permits(&self) -> Result<InFlight, Error> {
        let org_unreachable = |CircuitOpen| not_responding(&format!("organization {}", self.org));
        let of_org = self.limit.acquire(&self.queue_as).await.map_err(org_unreachable)?;
        let of_unknown =
            if self.is_known { None } else { Some(self.rate_limiter.unknown.acquire(&self.queue_as).await) };
        let of_all =
            self.rate_limiter.all.acquire(&self.queue_as).await.map_err(|CircuitOpen| not_responding("the API"))?;
        Ok(InFlight { _of_org: of_org, _of_unknown: of_unknown, _of_all: of_all })
    }

    /// Before every HTTP request: waits for a turn where there is a quota, and fails while the limiter is paused.
    pub(crate) async fn wait_for_turn(&self) -> Result<(), Error> {
        self.check()?;
        if let Some(quota) = &self.rate_limiter.quota {
            tokio::select! {
                biased;
                error = self.paused() => return Err(error),
                () = quota.wait(&self.queue_as) => {}
            }
        }
        self.check()
    }

    fn check(&self) -> Result<(), Error> {
        self.rate_limiter
            .pauses
            .borrow()
            .until(&self.scope, &self.charged_to, Instant::now())
            .map_or(Ok(()), |until| Err(throttled(until)))
    }

    /// Waits until the limiter is paused.
    async fn paused(&self) -> Error {
        let mut pauses = self.rate_limiter.pauses.subscribe();
        let until = |pauses: &Pauses| pauses.until(&self.scope, &self.charged_to, Instant::now());
        match pauses.wait_for(|pauses| until(pauses).is_some()).await {
            Ok(pauses) => throttled(until(&pauses).unwrap_or_else(Instant::now)),
            Err(_) => Error::Unavailable("the connection was closed".into()),
        }
    }

    /// The API answered 429: pauses the scope of the call, and starts again with one request at a time. The limits of all
    /// others are halved only when the whole connection is paused.
    pub(crate) fn pause(&self, wait: Duration) -> Error {
        let now = Instant::now();
        self.rate_limiter.pauses.send_modify(|pauses| {
            let paused = pauses.pause(&self.scope, self.is_known, &self.charged_to, wait, now);
            self.rate_limiter.metrics.throttled(paused.longer);
            if paused.is_new {
                self.limit.probe();
            }
            if paused.also_paused == Some(Scope::Connection) {
                self.rate_limiter.all.back_off();
                self.rate_limiter.orgs().iter().for_each(|(_, org)| org.limit.probe());
            }
        });
        self.check().err().unwrap_or(throttled(now + wait))
    }

    /// A request got no usable answer. One request that always fails does not open the circuit of its organization, and one
    /// namespace whose requests always fail does not open that of the API.
    pub(crate) fn failed(&self, request: u64, cause: &str) {
        self.rate_limiter.record_unanswered(cause);
        self.limit.failed(request);
        let mut flow = DefaultHasher::new();
        self.charged_to.hash(&mut flow);
        self.rate_limiter.all.failed(flow.finish());
    }

    /// The API answered; `about_org` when it did what was asked about the organization.
    pub(crate) fn succeeded(&self, about_org: bool) {
        self.rate_limiter.record_answered();
        self.limit.succeeded();
        self.rate_limiter.all.succeeded();
        self.rate_limiter.pauses.send_if_modified(|pauses| {
            pauses.answered();
            false
        });
        if about_org && !self.is_known {
            self.rate_limiter.mark_known(&self.org);
        }
    }
}

impl Quota {
    /// A call that is canceled meanwhile uses up no turn.
    async fn wait(&self, flow: &Flow) {
        let _permit = self.queue.acquire(flow).await;
        let next = *self.next();
        tokio::time::sleep_until(next).await;
        *self.next() = Instant::now() + self.interval;
    }

    fn next(&self) -> MutexGuard<'_, Instant> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_responding(what: &str) -> Error {
    Error::Unavailable(format!("{what} is not responding; probing with one request at a time"))
}

fn throttled(until: Instant) -> Error {
    Error::Throttled { until: until.into_std() }
}

#[cfg(test)]
mod tests;
