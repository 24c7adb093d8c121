//! Times of the policy: how late the API may show what it accepted, and sums of an instant and a duration.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How long the API may take to show a change that it accepted, and to accept a new secret in token requests. (undocumented)
pub(crate) const API_LAG: SignedDuration = SignedDuration::from_mins(2);

/// When the API is expected to show what it accepted at that time.
pub(super) fn lag_end(at: Timestamp) -> Option<Timestamp> {
    at.checked_add(API_LAG).ok()
}

/// Whether that was less than `API_LAG` ago. A time in the future is wrong and is ignored: tenants can write the times of a
/// Secret.
pub(super) fn within_api_lag(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now.duration_since(at) < API_LAG
}

pub(super) fn add(at: Timestamp, duration: Duration) -> Option<Timestamp> {
    at.checked_add(SignedDuration::try_from(duration).ok()?).ok()
}
