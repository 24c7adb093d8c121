//! The resources whose finalizer this process removed, until the watch shows that they are gone. So the removal by anyone
//! else can be told from it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A watch that lags longer is restarted.
const REMEMBERED: Duration = Duration::from_secs(600);
/// With so many the old ones are looked for.
const MANY: usize = 1024;

/// Uids, each with when its finalizer was removed.
#[derive(Debug, Default)]
pub struct Released(Mutex<HashMap<String, Instant>>);

impl Released {
    /// Before the finalizer is removed, since the watch may show it before the answer comes.
    pub fn remember(&self, uid: String) {
        let mut uids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if uids.len() >= MANY {
            uids.retain(|_, at| at.elapsed() < REMEMBERED);
        }
        uids.insert(uid, Instant::now());
    }

    /// Whether this process removed it; forgotten with the question.
    pub fn forget(&self, uid: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid).is_some()
    }
}
