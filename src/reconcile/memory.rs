//! What a process remembers of resources between two reconciles, by uid.
//! Only what is worth it is kept, and not for long, so that it does not grow with what tenants make and remove.

use crate::crd::OrgOAuthApp;
use crate::decide::{Outcome, Remembered};
use crate::reason::Reason;
use kube::ResourceExt;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longer than the longest delay between two reconciles that wait for something.
const KEPT_FOR: Duration = Duration::from_secs(3600);

#[derive(Default)]
pub struct Memory(Mutex<HashMap<String, (Remembered, Instant)>>);

impl Memory {
    /// What is remembered of a resource.
    pub fn recall(&self, app: &OrgOAuthApp) -> Remembered {
        let uid = app.uid().unwrap_or_default();
        self.entries().get(&uid).map(|(remembered, _)| remembered.clone()).unwrap_or_default()
    }

    /// What is to be remembered after a reconcile that ended so.
    pub fn remember(&self, app: &OrgOAuthApp, outcome: &Outcome, remembered: Remembered) {
        let (uid, now) = (app.uid().unwrap_or_default(), Instant::now());
        let mut entries = self.entries();
        entries.retain(|_, (_, since)| now < *since + KEPT_FOR);
        // After that the next attempt sends the change again.
        let is_over = *outcome == Outcome::Gone || is_not_taken(outcome);
        if is_over || remembered == Remembered::default() {
            entries.remove(&uid);
        } else {
            entries.insert(uid, (remembered, now));
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, (Remembered, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_not_taken(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Blocked(blocked) if blocked.reason == Reason::ChangeNotTaken)
}
