//! Counts how many reconciliations of a resource ended alike in succession, which decides the backoff.
//! Resources that are gone are forgotten.

use crate::keyed::PrunedMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longer than any wait between two attempts.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(7200);

/// By the uid of the resource.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<PrunedMap<String, Last>>);

#[derive(Debug)]
struct Last {
    ending: &'static str,
    count: u32,
    at: Instant,
}

impl Attempts {
    /// Resets the count, since one succeeded.
    pub(super) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// Counts one that ended so, and returns how many ended alike before it.
    pub(super) fn record_attempt(&self, uid: String, ending: &'static str, now: Instant) -> u32 {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |_: &String, last: &Last| last.at + FORGOTTEN_AFTER > now;
        let last = attempts.get_or_insert_with(uid, || Last { ending, count: 0, at: now }, recent);
        if last.ending != ending {
            last.ending = ending;
            last.count = 0;
        }
        last.count += 1;
        last.at = now;
        last.count - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_count_while_they_end_alike() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let record = |ending| attempts.record_attempt("a".into(), ending, now);
        assert_eq!([record("x"), record("x"), record("y"), record("y"), record("x")], [0, 1, 0, 1, 0]);
        attempts.forget("a");
        assert_eq!(record("x"), 0);
    }

    #[test]
    fn resources_that_are_gone_are_forgotten() {
        let (attempts, begin) = (Attempts::default(), Instant::now());
        for n in 0..10_000_u64 {
            attempts.record_attempt(n.to_string(), "x", begin + Duration::from_secs(600 * n));
        }
        assert!(attempts.0.lock().unwrap().len() < 200);
    }
}
