//! What a process remembers of resources between two reconciles, by uid.
//! An entry is kept for `KEPT_FOR` at most, so that the map does not grow with what tenants create and delete.

use crate::decide::Remembered;
use crate::keyed::PrunedMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longer than the longest delay between two reconciles that wait for something.
const KEPT_FOR: Duration = Duration::from_secs(3600);

/// By uid.
#[derive(Default)]
pub(super) struct Memory(Mutex<PrunedMap<String, Entry>>);

/// What is remembered of one resource, as it has been since then.
struct Entry {
    remembered: Remembered,
    since: Instant,
}

/// What a reconcile began with.
pub(super) struct Recalled {
    pub(crate) remembered: Remembered,
    since: Instant,
}

impl Memory {
    /// Takes out what is remembered of a resource: a reconcile that is canceled leaves nothing behind that may be wrong.
    pub(super) fn take(&self, uid: &str) -> Recalled {
        match self.entries().remove(uid).filter(Entry::is_of_use) {
            Some(Entry { remembered, since }) => Recalled { remembered, since },
            None => Recalled { remembered: Remembered::default(), since: Instant::now() },
        }
    }

    /// Stores what is to be remembered after a reconcile that began with `before`. Its age continues if nothing changed.
    pub(super) fn remember(&self, uid: String, before: Recalled, remembered: Remembered) {
        if remembered == Remembered::default() {
            return;
        }
        let since = if remembered == before.remembered { before.since } else { Instant::now() };
        let entry = Entry { remembered, since };
        self.entries().insert(uid, entry, |_, entry| entry.is_of_use());
    }

    fn entries(&self) -> MutexGuard<'_, PrunedMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_of_use(&self) -> bool {
        self.since.elapsed() < KEPT_FOR
    }
}
