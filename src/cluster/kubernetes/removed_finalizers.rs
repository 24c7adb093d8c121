//! The resources whose finalizer this process removed, until the watch shows that they are deleted.
//! A resource that is deleted and is not among them lost its finalizer to someone else, which is reported.

use crate::keyed::PrunedMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Longer than a watch can lag, which is restarted before.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Uids, each with when its finalizer was removed.
#[derive(Debug, Default)]
pub(crate) struct RemovedFinalizers(Mutex<PrunedMap<String, Instant>>);

impl RemovedFinalizers {
    /// Called before the finalizer is removed, since the watch may show the removal before the answer comes.
    pub(crate) fn remember(&self, uid: String) {
        self.uids().insert(uid, Instant::now(), |_, at| at.elapsed() < REMEMBERED);
    }

    /// Whether this process removed the finalizer. Ends the record.
    pub(crate) fn take(&self, uid: &str) -> bool {
        self.uids().remove(uid).is_some()
    }

    fn uids(&self) -> MutexGuard<'_, PrunedMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn resources_whose_deletion_no_watch_shows_are_forgotten() {
        let removed = RemovedFinalizers::default();
        for n in 0..1000 {
            removed.remember(n.to_string());
            advance(REMEMBERED / 10).await;
        }
        assert!(removed.uids().len() < 200, "{}", removed.uids().len());
        assert!(removed.take("999") && !removed.take("999"));
    }
}
