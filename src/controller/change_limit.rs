//! Limits how often a resource is reconciled because it changed: at once, and then at most once a second.
//! A resource that changes in a loop waits, and no other one does.

use crate::keyed::{PrunedMap, fingerprint};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two reconciles that changes of one resource cause.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The last changes, by a hash of the resource's uid.
#[derive(Debug, Default)]
pub(super) struct ChangeLimit(Mutex<PrunedMap<u64, Accepted>>);

/// The change that was reconciled last.
#[derive(Clone, Copy, Debug)]
struct Accepted {
    change: u64,
    at: Instant,
    secret_changed: bool,
}

impl ChangeLimit {
    /// How long the resource with this uid has to wait, with `change` as its state. `None` when it may be reconciled, which is then
    /// counted; a reconciliation without a change is not counted and does not wait.
    pub(super) fn wait(&self, uid: &str, change: impl Hash, now: Instant) -> Option<Duration> {
        let uid = fingerprint(uid);
        let change = fingerprint(change);
        let mut accepted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |_: &u64, accepted: &Accepted| accepted.at + MIN_INTERVAL > now;
        let last = accepted.get_or_insert_with(uid, || Accepted { change, at: now, secret_changed: false }, recent);
        if last.change == change && !last.secret_changed {
            return None;
        }
        let left = (last.at + MIN_INTERVAL).saturating_duration_since(now);
        if left.is_zero() {
            *last = Accepted { change, at: now, secret_changed: false };
        }
        (!left.is_zero()).then_some(left)
    }

    /// The Secret of the resource with this uid changed, which counts like a change of the resource.
    pub(super) fn mark_changed(&self, uid: &str) {
        let mut accepted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = accepted.get_mut(&fingerprint(uid)) {
            last.secret_changed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_at_once_and_the_newest_of_many_after_a_second() {
        let (limit, begin) = (ChangeLimit::default(), Instant::now());
        let at = |millis| begin + Duration::from_millis(millis);
        assert_eq!(limit.wait("a", 0, at(0)), None);
        assert_eq!(limit.wait("a", 1, at(5000)), None, "the first change after a while");
        assert_eq!(limit.wait("a", 2, at(5400)), Some(Duration::from_millis(600)));
        assert_eq!(limit.wait("a", 3, at(5900)), Some(Duration::from_millis(100)));
        assert_eq!(limit.wait("b", 1, at(5900)), None, "another resource does not wait");
        assert_eq!(limit.wait("a", 3, at(6000)), None);
        assert_eq!(limit.wait("a", 4, at(6001)), Some(Duration::from_millis(999)));
    }

    #[test]
    fn a_secret_in_a_loop_of_changes_causes_one_reconcile_a_second() {
        let (limit, begin) = (ChangeLimit::default(), Instant::now());
        let reconciled = |millis: &u64| {
            limit.mark_changed("a");
            limit.wait("a", 0, begin + Duration::from_millis(*millis)).is_none()
        };
        let reconciled: Vec<u64> = (0..=3000).step_by(10).filter(reconciled).collect();
        assert_eq!(reconciled, [0, 1000, 2000, 3000]);
    }

    #[test]
    fn a_reconcile_without_a_change_is_never_delayed() {
        let (limit, now) = (ChangeLimit::default(), Instant::now());
        assert!((0..100).all(|_| limit.wait("a", 1, now).is_none()));
    }

    #[test]
    fn resources_of_the_past_are_forgotten() {
        let (limit, begin) = (ChangeLimit::default(), Instant::now());
        for n in 0..10_000_u64 {
            limit.wait(&n.to_string(), 1, begin + Duration::from_millis(100 * n));
        }
        assert!(limit.0.lock().unwrap().len() < 200);
    }
}
