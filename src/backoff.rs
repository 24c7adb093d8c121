//! When a resource is looked at again: soon after a passing fault, slowly where a person is needed.
//! Pure formulas; the count of attempts and the random number are arguments.

use crate::decide::{Outcome, Retry};
use crate::reason::Reason;
use k8s_openapi::jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// First and longest delay of a kind of wait.
struct Pace {
    first: Duration,
    longest: Duration,
}

/// Delays are up to this part shorter or longer.
pub const SPREAD: f64 = 0.2;

const PASSING: Pace = Pace { first: Duration::from_secs(1), longest: Duration::from_secs(300) };
/// Found out without a call to the API, so it costs little to look again soon.
const LOCAL: Pace = Pace { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
const SLOW: Pace = Pace { first: Duration::from_secs(60), longest: Duration::from_secs(1800) };

/// How long to wait after a pass. `attempts` counts the passes that ended alike without a break, from 0;
/// `random` lies in 0..1 and spreads the delay by ±20 %. The same moment is `now` and `time`.
pub fn delay(
    outcome: &Outcome,
    resync: Duration,
    attempts: u32,
    random: f64,
    (now, time): (Instant, Timestamp),
) -> Duration {
    let shortly = Duration::from_secs(1).mul_f64(random);
    // Reconciles know whole seconds.
    let whole = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
    let after = |at: Timestamp| {
        let at = at.round(whole).unwrap_or(at);
        Duration::try_from(at.duration_since(time)).unwrap_or_default() + shortly
    };
    match outcome {
        Outcome::Settled { wake: Some(wake) } => spread(resync, random).min(after(*wake)),
        Outcome::Settled { wake: None } | Outcome::Observed(_) | Outcome::Suspended | Outcome::Gone => {
            spread(resync, random)
        }
        Outcome::Waiting { reason, retry, .. } => {
            let backoff = spread(grown(pace(*reason), attempts), random);
            match retry {
                Retry::Backoff => backoff,
                // One that came during the reconcile was not looked at by it.
                Retry::NoLaterThan(at) => backoff.min(after(*at)),
                Retry::NotBefore(at) => at.saturating_duration_since(now) + shortly,
            }
        }
        Outcome::Blocked(blocked) => spread(grown(pace(blocked.reason), attempts), random),
    }
}

/// How long a process may wait with the first reconcile of a settled resource: nobody knows when the last one was, so any time
/// within the interval is as good as another. Not the same one after each start, or one that comes late never had its turn.
pub fn first_delay(interval: Duration, deadline: Option<Timestamp>, random: f64, now: Timestamp) -> Duration {
    let left = deadline.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
    interval.mul_f64(random).min(left.unwrap_or(Duration::MAX))
}

/// After a fault of Kubernetes itself.
pub fn cluster_delay(attempts: u32, random: f64) -> Duration {
    spread(grown(LOCAL, attempts), random)
}

fn grown(pace: Pace, attempts: u32) -> Duration {
    pace.first.saturating_mul(1 << attempts.min(16)).min(pace.longest)
}

/// A number in 0..1 that is the same for every process that asks about the same.
pub fn fraction(of: impl Hash) -> f64 {
    let mut hash = DefaultHasher::new();
    of.hash(&mut hash);
    (hash.finish() % 1000) as f64 / 1000.0
}

fn spread(delay: Duration, random: f64) -> Duration {
    delay.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * random)
}

fn pace(reason: Reason) -> Pace {
    match reason {
        Reason::Pending
        | Reason::Provisioned
        | Reason::Created
        | Reason::Recreated
        | Reason::Updated
        | Reason::Regenerated
        | Reason::Rotated
        | Reason::ConsumersRestarted
        | Reason::ConsumersNotRestarted
        | Reason::ConsumersStale
        | Reason::Adopted
        | Reason::Moved
        | Reason::RolesChanged
        | Reason::Repaired
        | Reason::Deleted
        | Reason::Released
        | Reason::Deleting
        | Reason::Suspended
        | Reason::PlanPending
        | Reason::Throttled
        | Reason::ConnectionUnavailable
        | Reason::ApiConflict
        | Reason::RotationRunning
        | Reason::SecretNotProven
        | Reason::CredentialRefused
        | Reason::AppNotShown
        | Reason::Updating
        | Reason::SecretNotWritten
        | Reason::KubernetesRefused
        | Reason::FinalizerRemoved => PASSING,
        Reason::CredentialsUnavailable
        | Reason::CredentialsExpiring
        | Reason::InvalidSpec
        | Reason::ConnectionNotFound
        | Reason::ConnectionInvalid
        | Reason::NotGranted
        | Reason::IdConflict
        | Reason::InUse
        | Reason::SecretRefInvalid
        | Reason::TemplateInvalid
        | Reason::NotAllowed
        | Reason::WrongOrganization
        | Reason::EndpointChanged
        | Reason::SecretTooLarge
        | Reason::Unreadable
        | Reason::SecretConflict => LOCAL,
        Reason::Forbidden
        | Reason::Rejected
        | Reason::OrgNotFound
        | Reason::IdTaken
        | Reason::SecretTampered
        | Reason::SecretUnknown
        | Reason::ImmutableField
        | Reason::ChangeNotTaken
        | Reason::DeletionNotOffered
        | Reason::InternalError => SLOW,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Blocked;

    fn waiting(reason: Reason) -> Outcome {
        Outcome::Waiting { reason, message: String::new(), retry: Retry::Backoff }
    }

    #[test]
    fn a_passing_fault_is_retried_soon_and_then_ever_more_slowly() {
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
    fn what_time_decides_is_decided_in_time() {
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
    fn a_throttled_resource_waits_until_the_gate_opens_and_not_all_at_once() {
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
    fn a_settled_resource_is_looked_at_once_per_interval_spread_by_a_fifth() {
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
    fn a_settled_resource_is_looked_at_first_within_the_interval_and_never_after_its_deadline() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let first = |deadline: Option<i64>, random| {
            first_delay(Duration::from_secs(600), deadline.map(at), random, at(1000)).as_secs()
        };
        assert_eq!([first(None, 0.0), first(None, 0.5), first(None, 1.0)], [0, 300, 600]);
        assert_eq!([first(Some(1060), 0.5), first(Some(900), 0.5), first(Some(99_999), 0.5)], [60, 0, 300]);
    }

    #[test]
    fn a_rotation_that_is_due_is_not_slept_through() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let settled = |wake| Outcome::Settled { wake: Some(at(wake)) };
        let delay = |wake, random| {
            delay(&settled(wake), Duration::from_secs(600), 0, random, (Instant::now(), at(1000))).as_secs_f64()
        };
        assert_eq!([delay(1060, 0.0), delay(900, 0.0), delay(99_999, 0.0)], [60.0, 0.0, 480.0]);
        assert_eq!(delay(1060, 0.5), 60.5, "never before it is due");
    }
}
