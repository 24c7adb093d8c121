//! The rules of the election, those of client-go: what follows from a read of the Lease. Pure: times are arguments.
//! Whether another replica's claim has expired is judged by the local clock, from when it was seen to change; the times in the Lease
//! are never read.

use super::{LEASE_DURATION, NAME, RENEW_DEADLINE};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::ObjectMeta;
use std::time::Duration;
use tokio::time::Instant;

/// One replica's view of the election.
pub(super) struct Election {
    identity: String,
    /// The claim that was seen last, and since when it is so.
    seen: Option<(LeaseSpec, Instant)>,
    leads_until: Option<Instant>,
}

/// The next step of a replica.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// Write this; it fails when another one was faster.
    Claim(Box<Lease>),
    /// Let another one lead, at least until then.
    StandBy { holder: String, until: Instant },
    /// Stop: the time is over in which this replica led.
    Expired,
}

impl Election {
    pub(super) fn new(identity: String) -> Self {
        Self { identity, seen: None, leads_until: None }
    }

    /// After a read of the Lease. One that is missing says nothing: the holder that was seen last may still lead.
    pub(super) fn decide(&mut self, lease: Option<Lease>, now: Instant, time: Timestamp) -> Decision {
        if let Some(spec) = lease.as_ref().and_then(|lease| lease.spec.as_ref())
            && self.seen.as_ref().is_none_or(|(seen, _)| seen != spec)
        {
            self.seen = Some((spec.clone(), now));
        }
        if self.leads_until.is_some_and(|until| until <= now) {
            return Decision::Expired;
        }
        match self.current_holder() {
            Some((holder, until)) if now < until => Decision::StandBy { holder: holder.to_owned(), until },
            Some(_) | None => Decision::Claim(Box::new(self.claimed(lease, time))),
        }
    }

    /// After a claim that was written; `sent` is from before, since others count from when they see it.
    pub(super) fn record_acquired(&mut self, sent: Instant) -> Instant {
        let until = sent + RENEW_DEADLINE;
        self.leads_until = Some(until);
        until
    }

    /// The Lease without a holder, if this replica holds it.
    pub(super) fn released(&self, mut lease: Lease) -> Option<Lease> {
        let spec = lease.spec.as_mut()?;
        spec.holder_identity.take_if(|holder| *holder == self.identity)?;
        Some(lease)
    }

    /// Another holder, and until when its claim counts.
    fn current_holder(&self) -> Option<(&str, Instant)> {
        let (spec, since) = self.seen.as_ref()?;
        let holder = spec.holder_identity.as_deref().filter(|holder| !holder.is_empty() && *holder != self.identity)?;
        let duration = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Some((holder, *since + duration.map_or(LEASE_DURATION, Duration::from_secs)))
    }

    fn claimed(&self, lease: Option<Lease>, time: Timestamp) -> Lease {
        let Lease { metadata, spec } = lease.unwrap_or_else(unclaimed);
        let spec = spec.unwrap_or_default();
        let before = spec.holder_identity.as_deref().unwrap_or_default();
        let (acquired, transitions) = if before == self.identity {
            (spec.acquire_time, spec.lease_transitions)
        } else {
            (None, Some(spec.lease_transitions.map_or(0, |count| count.saturating_add(1))))
        };
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            acquire_time: acquired.or(Some(MicroTime(time))),
            renew_time: Some(MicroTime(time)),
            lease_transitions: transitions,
            ..spec
        };
        Lease { metadata, spec: Some(spec) }
    }
}

fn unclaimed() -> Lease {
    let labels = [("app.kubernetes.io/name".to_owned(), NAME.to_owned())].into();
    let metadata = ObjectMeta { name: Some(NAME.into()), labels: Some(labels), ..ObjectMeta::default() };
    Lease { metadata, spec: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lease(holder: &str, renewed: i64) -> Lease {
        let spec = LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(15),
            lease_transitions: Some(3),
            acquire_time: Some(MicroTime(at(0))),
            renew_time: Some(MicroTime(at(renewed))),
            ..LeaseSpec::default()
        };
        let metadata = ObjectMeta { resource_version: Some("7".into()), ..unclaimed().metadata };
        Lease { metadata, spec: Some(spec) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn us() -> Election {
        Election::new("us".into())
    }

    fn stands_by_for(decision: Decision, other: &str) -> bool {
        matches!(decision, Decision::StandBy { holder, .. } if holder == other)
    }

    fn claim(decision: Decision) -> Lease {
        match decision {
            Decision::Claim(lease) => *lease,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_lease_that_is_missing_or_blank_is_claimed_at_once() {
        let now = Instant::now();
        let first = claim(us().decide(None, now, at(100)));
        assert_eq!(first.metadata.resource_version, None);
        let spec = first.spec.unwrap();
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("us"), Some(0)));
        for blank in [lease("", 90), us_released()] {
            let taken = claim(us().decide(Some(blank), now, at(100)));
            assert_eq!(taken.metadata.resource_version.as_deref(), Some("7"), "a race ends in a refusal");
            let spec = taken.spec.unwrap();
            assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("us"), Some(4)));
            assert_eq!((spec.acquire_time, spec.renew_time), (Some(MicroTime(at(100))), Some(MicroTime(at(100)))));
        }
    }

    fn us_released() -> Lease {
        us().released(lease("us", 90)).unwrap()
    }

    #[test]
    fn anothers_claim_counts_for_its_duration_from_when_we_saw_it_whatever_its_clock_says() {
        let (mut us, begin) = (us(), Instant::now());
        // By our wall clock it was renewed a day ago, then a day ahead.
        assert!(stands_by_for(us.decide(Some(lease("them", -86_400)), begin, at(0)), "them"));
        assert!(stands_by_for(us.decide(Some(lease("them", 86_400)), begin + 14 * SECOND, at(14)), "them"));
        assert!(stands_by_for(us.decide(Some(lease("them", 86_400)), begin + 28 * SECOND, at(28)), "them"));
        let taken = claim(us.decide(Some(lease("them", 86_400)), begin + 29 * SECOND, at(29)));
        assert_eq!(taken.spec.unwrap().holder_identity.as_deref(), Some("us"));
    }

    #[test]
    fn a_new_label_does_not_prolong_a_claim() {
        let (mut us, begin) = (us(), Instant::now());
        us.decide(Some(lease("them", 0)), begin, at(0));
        let mut labelled = lease("them", 0);
        labelled.metadata.resource_version = Some("8".into());
        claim(us.decide(Some(labelled), begin + 15 * SECOND, at(15)));
    }

    #[test]
    fn a_deleted_lease_is_created_when_the_last_claim_has_run_out() {
        let (mut us, begin) = (us(), Instant::now());
        us.decide(Some(lease("them", 0)), begin, at(0));
        assert!(stands_by_for(us.decide(None, begin + 14 * SECOND, at(14)), "them"));
        claim(us.decide(None, begin + 15 * SECOND, at(15)));
    }

    #[test]
    fn a_leader_renews_its_claim_and_keeps_when_it_began() {
        let (mut us, begin) = (us(), Instant::now());
        us.record_acquired(begin);
        let renewed = claim(us.decide(Some(lease("us", 0)), begin + 2 * SECOND, at(2))).spec.unwrap();
        assert_eq!((renewed.acquire_time, renewed.lease_transitions), (Some(MicroTime(at(0))), Some(3)));
        assert_eq!(renewed.renew_time, Some(MicroTime(at(2))));
        // Blank or deleted by hand: no other replica leads, so it goes on.
        claim(us.decide(Some(lease("", 0)), begin + 4 * SECOND, at(4)));
        claim(us.decide(None, begin + 6 * SECOND, at(6)));
    }

    #[test]
    fn a_leader_claims_nothing_past_its_deadline_and_nothing_once_another_holds_the_lease() {
        let begin = Instant::now();
        let mut late = us();
        late.record_acquired(begin);
        assert_eq!(late.decide(Some(lease("us", 0)), begin + RENEW_DEADLINE, at(10)), Decision::Expired);
        let mut replaced = us();
        replaced.record_acquired(begin);
        assert!(stands_by_for(replaced.decide(Some(lease("them", 5)), begin + 5 * SECOND, at(5)), "them"));
    }

    #[test]
    fn the_deadline_of_a_leader_comes_before_another_may_take_over() {
        let (mut leader, mut standby, begin) = (us(), Election::new("them".into()), Instant::now());
        let Lease { metadata, spec } = claim(leader.decide(None, begin, at(0)));
        let until = leader.record_acquired(begin);
        let seen_at_the_earliest = begin;
        let decision = standby.decide(Some(Lease { metadata, spec }), seen_at_the_earliest, at(0));
        assert!(matches!(decision, Decision::StandBy { until: free, .. } if until + 5 * SECOND <= free));
    }

    #[test]
    fn only_our_own_claim_is_given_up() {
        assert_eq!(us_released().spec.unwrap().holder_identity, None);
        assert_eq!(us().released(lease("them", 0)), None);
        assert_eq!(us().released(unclaimed()), None);
    }
}
