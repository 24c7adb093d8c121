//! When a resource is reconciled again: soon after a transient error, slowly where a person is needed.
//! Pure formulas; the count of attempts and the random number are arguments.

use crate::outcome::{Outcome, Retry};
use crate::reason::Pace;
use k8s_openapi::jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use std::time::{Duration, Instant};

/// Delays are up to this part shorter or longer. Verifications of a secret use it one-sided: up to this part shorter.
pub(crate) const SPREAD: f64 = 0.2;

/// How long to wait after a reconciliation. `attempts` counts those that ended alike without a break, from 0;
/// `random` lies in 0..1 and spreads the delay by ±20 %. `now` and `time` are the same moment.
pub(crate) fn delay(
    outcome: &Outcome,
    resync: Duration,
    attempts: u32,
    random: f64,
    (now, time): (Instant, Timestamp),
) -> Duration {
    let shortly = Duration::from_secs(1).mul_f64(random);
    let Some((reason, retry)) = outcome.retry() else {
        let deadline = outcome.deadline().map(|at| until(at, time) + shortly);
        return spread(resync, random).min(deadline.unwrap_or(Duration::MAX));
    };
    let backoff = spread(grown(reason.pace(), attempts), random);
    match retry {
        Retry::Backoff => backoff,
        // A time that came during the reconciliation was not considered by it.
        Retry::NoLaterThan(at) => backoff.min(until(at, time) + shortly),
        Retry::NotBefore(at) => at.saturating_duration_since(now) + shortly,
    }
}

/// How long a process may wait with the first reconciliation of a settled resource. The time of the last one is
/// unknown, so the delay is random within the interval; with a fixed delay, frequent restarts would keep a late resource from ever
/// being reconciled.
pub(crate) fn first_delay(interval: Duration, deadline: Option<Timestamp>, random: f64, now: Timestamp) -> Duration {
    interval.mul_f64(random).min(deadline.map_or(Duration::MAX, |at| until(at, now)))
}

/// The delay after a failed request to Kubernetes.
pub(crate) fn cluster_delay(attempts: u32, random: f64) -> Duration {
    spread(grown(Pace::Fast, attempts), random)
}

/// Rounded up, since reconciliations compare whole seconds; zero for a time that is over.
fn until(at: Timestamp, now: Timestamp) -> Duration {
    let whole = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
    let at = at.round(whole).unwrap_or(at);
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

fn grown(pace: Pace, attempts: u32) -> Duration {
    let (first, longest) = pace.bounds();
    first.saturating_mul(1 << attempts.min(16)).min(longest)
}

fn spread(delay: Duration, random: f64) -> Duration {
    delay.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * random)
}

/// A number in 0..1 that depends on the text only, in every process and release: FNV-1a, since the hash of the standard library
/// may change between versions.
pub(crate) fn fraction(of: &str) -> f64 {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    (of.bytes().fold(0xcbf2_9ce4_8422_2325, hash) % 1000) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{Blocked, Reason};

    fn waiting(reason: Reason) -> Outcome {
        Outcome::Waiting { reason, message: String::new(), retry: Retry::Backoff }
    }

    #[test]
    fn a_transient_error_is_retried_soon_and_then_ever_more_slowly() {
        let now = Instant::now();
        let at = |attempts| {
            delay(&waiting(Reason::ConnectionUnavailable), Duration::ZERO, attempts, 0.5, (now, Timestamp::UNIX_EPOCH))
                .as_secs()
        };
        assert_eq!([at(0), at(1), at(2), at(8), at(9), at(1000)], [1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn where_a_person_is_needed_the_api_is_asked_slowly() {
        let blocked = Outcome::Blocked(Blocked::new(Reason::Rejected, "no"));
        let at = |attempts| {
            delay(&blocked, Duration::ZERO, attempts, 0.5, (Instant::now(), Timestamp::UNIX_EPOCH)).as_secs()
        };
        assert_eq!([at(0), at(1), at(20)], [60, 120, 1800]);
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let (now, time) = (Instant::now(), Timestamp::from_second(1000).unwrap());
        let at = |attempts, second| {
            let retry = Retry::NoLaterThan(Timestamp::from_second(second).unwrap());
            let outcome = Outcome::Waiting { reason: Reason::SecretNotProven, message: String::new(), retry };
            delay(&outcome, Duration::ZERO, attempts, 0.5, (now, time)).as_millis()
        };
        assert_eq!([at(0, 1020), at(4, 1020), at(5, 1020), at(9, 1020)], [1000, 16_000, 20_500, 20_500]);
        assert_eq!([at(5, 1000), at(5, 999)], [500, 500], "it came during the reconcile");
        let retry = Retry::NoLaterThan(Timestamp::new(1019, 1).unwrap());
        let outcome = Outcome::Waiting { reason: Reason::SecretNotProven, message: String::new(), retry };
        let delay = delay(&outcome, Duration::ZERO, 9, 0.5, (now, time));
        assert_eq!(delay.as_millis(), 20_500, "reconciles know whole seconds");
    }

    #[test]
    fn throttled_resources_wait_as_the_api_asked_and_not_all_equally_long() {
        let now = Instant::now();
        let retry = Retry::NotBefore(now + Duration::from_secs(7));
        let throttled = Outcome::Waiting { reason: Reason::Throttled, message: String::new(), retry };
        assert_eq!(delay(&throttled, Duration::ZERO, 3, 0.0, (now, Timestamp::UNIX_EPOCH)), Duration::from_secs(7));
        assert_eq!(
            delay(&throttled, Duration::ZERO, 3, 0.5, (now, Timestamp::UNIX_EPOCH)),
            Duration::from_millis(7500)
        );
    }

    #[test]
    fn a_settled_resource_is_reconciled_once_per_interval_spread_by_a_fifth() {
        let at = |random| {
            delay(
                &Outcome::Settled { wake: None },
                Duration::from_secs(600),
                9,
                random,
                (Instant::now(), Timestamp::UNIX_EPOCH),
            )
            .as_secs()
        };
        assert_eq!([at(0.0), at(0.5), at(1.0)], [480, 600, 720]);
    }

    #[test]
    fn a_settled_resource_is_first_reconciled_within_the_interval_and_never_after_its_deadline() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let first = |deadline: Option<i64>, random| {
            first_delay(Duration::from_secs(600), deadline.map(at), random, at(1000)).as_secs()
        };
        assert_eq!([first(None, 0.0), first(None, 0.5), first(None, 1.0)], [0, 300, 600]);
        assert_eq!([first(Some(1060), 0.5), first(Some(900), 0.5), first(Some(99_999), 0.5)], [60, 0, 300]);
    }

    #[test]
    fn a_settled_resource_is_reconciled_when_its_rotation_is_due() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let settled = |wake| Outcome::Settled { wake: Some(at(wake)) };
        let delay = |wake, random| {
            delay(&settled(wake), Duration::from_secs(600), 0, random, (Instant::now(), at(1000))).as_secs_f64()
        };
        assert_eq!([delay(1060, 0.0), delay(900, 0.0), delay(99_999, 0.0)], [60.0, 0.0, 480.0]);
        assert_eq!(delay(1060, 0.5), 60.5, "never before it is due");
    }
    #[test]
    fn a_fraction_never_changes_with_a_release() {
        // The published test vectors of FNV-1a.
        assert_eq!(["", "a", "foobar"].map(fraction), [0.037, 0.996, 0.968]);
    }

    #[test]
    fn fractions_are_spread_evenly() {
        let mut tenths = [0; 10];
        for n in 0..10_000 {
            tenths[(fraction(&format!("7f0c-uid {n}")) * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (900..1100).contains(count)), "{tenths:?}");
    }
}
