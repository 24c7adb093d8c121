//! Times of the policy: how late the API may show what it accepted, and instants that are a while after others.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How long the API may take to show, and to know, what it accepted. Nothing documents a time. (undocumented)
const LAG: SignedDuration = SignedDuration::from_mins(2);

/// When the API knows and shows what it accepted at that time.
pub fn lag_end(at: Timestamp) -> Option<Timestamp> {
    at.checked_add(LAG).ok()
}

/// Whether that was less than the longest lag ago. A time that is yet to come is wrong, and says nothing: tenants can write
/// the times of a Secret.
pub fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now.duration_since(at) < LAG
}

/// An instant so much later.
pub fn add(at: Timestamp, duration: Duration) -> Option<Timestamp> {
    at.checked_add(SignedDuration::try_from(duration).ok()?).ok()
}
