//! The resources whose finalizer this process removed, until the watch shows that they are deleted, so that the removal by
//! anyone else can be told from it.

use crate::keyed::PrunedMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A watch that lags longer is restarted.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Uids, each with when its finalizer was removed.
#[derive(Debug, Default)]
pub struct Released(Mutex<PrunedMap<String, Instant>>);

impl Released {
    /// Before the finalizer is removed, since the watch may show it before the answer comes.
    pub fn remember(&self, uid: String) {
        self.uids().insert(uid, Instant::now(), |_, at| at.elapsed() < REMEMBERED);
    }

    /// Whether this process removed it; forgotten with the question.
    pub fn forget(&self, uid: &str) -> bool {
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
        let released = Released::default();
        for n in 0..1000 {
            released.remember(n.to_string());
            advance(REMEMBERED / 10).await;
        }
        assert!(released.uids().len() < 200, "{}", released.uids().len());
        assert!(released.forget("999") && !released.forget("999"));
    }
}
