//! When a secret is to be rotated, and what a rotation waits for: the end of the previous secret, and the least interval.
//! Times come from the Secret, which tenants can write, and from status.

use super::model::{Observed, OverlapEnd};
use super::resource::{DEFAULT_OVERLAP, is_public, overlap_of};
use super::time::{add, lag_end, within_api_lag};
use crate::backoff::fraction;
use crate::crd::{OrgOAuthApp, ROTATE_REQUESTED, RotationStatus};
use crate::iam::app_fields::Fields;
use crate::secret::SecretContents;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

/// Rotations come early by up to this part of their interval, so that apps of one age do not rotate in one second. This spread,
/// as that of verifications, is one-sided: nothing is late. That of `backoff` goes both ways.
const SPREAD: f64 = 0.1;
/// The least time between two rotations, even if they are requested more often.
const MIN_ROTATION_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// Whether a rotation is requested that the Secret does not say to be fulfilled.
pub(super) fn is_requested(app: &OrgOAuthApp, contents: &SecretContents) -> bool {
    app.annotations().get(ROTATE_REQUESTED).is_some_and(|asked| contents.rotate_requested.as_ref() != Some(asked))
}

/// Whether the API accepts the previous secret, so that it may refuse a further rotation.
pub(super) fn previous_is_valid(observed: &Observed, contents: &SecretContents) -> bool {
    previous_end(observed, contents).is_some_and(|end| end > observed.now)
}

/// When the previous secret ends: as status reports since it was published, also where the Secret of the rotation was deleted,
/// since the API accepts the secret all the same; else as that Secret says. A later end there than a rotation gives is an edit.
pub(crate) fn previous_end(observed: &Observed, contents: &SecretContents) -> Option<Timestamp> {
    if has_ended_early(observed, contents) {
        return None;
    }
    let rotation = recorded_rotation(observed, contents);
    let recorded = rotation.and_then(|rotation| rotation.previous_expires_at.as_ref()).map(|at| at.0);
    let Some(previous) = &contents.previous else { return recorded };
    // While a secret is pending, status speaks of the previous secret of before.
    match recorded.filter(|_| contents.pending.is_none()) {
        Some(recorded) => Some(recorded),
        None => Some(previous.expires_at.min(latest_end(observed, contents)?)),
    }
}

/// Whether the overlap may be ended so that a requested rotation need not wait for it: the API can, as far as is known, and
/// nobody is known to use the previous secret. Who uses that of an adopted app is not known.
pub(super) fn may_end_overlap(observed: &Observed, contents: &SecretContents) -> bool {
    let is_offered = observed.desired.as_ref().is_ok_and(Fields::api_ends_rotations);
    let is_refused = observed.overlap_end == OverlapEnd::Refused || observed.end_was_refused(contents.revision);
    let is_known = contents.previous.as_ref().is_some_and(|previous| previous.secret.is_some());
    is_offered && !is_refused && is_known && no_consumer_is_stale(observed, contents)
}

fn no_consumer_is_stale(observed: &Observed, contents: &SecretContents) -> bool {
    let recorded = recorded_rotation(observed, contents).and_then(|rotation| rotation.stale_consumer_count);
    let found = observed.stale_consumers.as_ref().map(|stale| stale.count);
    found.map_or(recorded.unwrap_or_default() == 0, |count| count == 0)
}

pub(super) fn has_ended_early(observed: &Observed, contents: &SecretContents) -> bool {
    match &observed.overlap_end {
        OverlapEnd::Ended(ended) => contents.previous.is_none() || contents.previous == *ended,
        OverlapEnd::NotTried | OverlapEnd::Refused | OverlapEnd::Doubted => false,
    }
}

/// What status reports about the rotation that published the present secret.
pub(super) fn recorded_rotation<'a>(observed: &'a Observed, contents: &SecretContents) -> Option<&'a RotationStatus> {
    let recorded = observed.app.status.as_ref()?.rotation.as_ref();
    recorded.filter(|recorded| recorded.revision == Some(contents.revision))
}

/// The latest end that a rotation gives, though the overlap in the spec may have been shortened since.
fn latest_end(observed: &Observed, contents: &SecretContents) -> Option<Timestamp> {
    let recorded = recorded_rotation(observed, contents).and_then(|rotation| rotation.rotated_at.as_ref());
    let published = recorded.map(|at| at.0).or(contents.rotated_at);
    let accepted = contents.pending.as_ref().map(|pending| pending.accepted_at.unwrap_or(pending.staged_at));
    // A time in the future is wrong and is ignored.
    let last = [published, accepted].into_iter().flatten().filter(|at| *at <= observed.now).max();
    add(last.unwrap_or(observed.now), overlap_of(&observed.app).max(DEFAULT_OVERLAP))
}

/// Until when no rotation may follow the last one. What a tenant edits in the Secret does not bring it forward, since
/// status reports too when that was; the first secret is no rotation.
pub(super) fn min_interval_end(observed: &Observed, contents: &SecretContents) -> Option<Timestamp> {
    let recorded = observed.app.status.as_ref().and_then(|status| status.rotation.clone()).unwrap_or_default();
    let revision = contents.revision.max(recorded.revision.unwrap_or_default());
    let times = [contents.rotated_at, recorded.rotated_at.map(|at| at.0)];
    // A time in the future is wrong and is ignored.
    let last = times.into_iter().flatten().filter(|at| *at <= observed.now).max()?;
    last.checked_add(MIN_ROTATION_INTERVAL).ok().filter(|until| revision > 1 && *until > observed.now)
}

/// Until when a request that ends an overlap and got no answer may arrive: it would end the overlap of a rotation that begins
/// before. A process that crashes forgets it, and what it leaves in Kubernetes is the same whether it sent the request or not. The
/// next process sends another one before it rotates, so what is left is a request that arrives after both, and so after a
/// takeover of the Lease: at least 15 s late.
pub(super) fn late_end(observed: &Observed) -> Option<Timestamp> {
    let at = observed.remembered.unanswered_end?;
    within_api_lag(at, observed.now).then(|| lag_end(at)).flatten()
}

/// When the secret is due to be rotated; the same for every process that asks.
pub(crate) fn next_rotation(app: &OrgOAuthApp, contents: &SecretContents) -> Option<Timestamp> {
    let interval = app.spec.rotation.as_ref()?.interval.as_ref()?.get();
    let part = SPREAD * fraction(&format!("{} {}", app.uid_any(), contents.revision));
    add(contents.rotated_at?, interval.mul_f64(1.0 - part))
}

/// Why a rotation that is requested has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RotationWaits {
    /// Until the previous secret ends.
    Previous,
    /// Until a minute has passed since the last rotation.
    MinInterval,
    /// Until a request that ends an overlap, and got no answer, can no longer reach the API.
    LateEnd,
}

pub(crate) fn requested_rotation_waits(observed: &Observed) -> Option<RotationWaits> {
    let contents = observed.contents();
    if is_public(&observed.app) || contents.pending.is_some() || !is_requested(&observed.app, contents) {
        return None;
    }
    // What was edited is replaced without waiting for the previous secret to end.
    let previous_is_valid = previous_is_valid(observed, contents);
    let waits_for_previous = previous_is_valid && !may_end_overlap(observed, contents);
    if waits_for_previous && !contents.is_edited(&observed.app) {
        Some(RotationWaits::Previous)
    } else if min_interval_end(observed, contents).is_some() {
        Some(RotationWaits::MinInterval)
    } else {
        late_end(observed).filter(|_| !previous_is_valid).map(|_| RotationWaits::LateEnd)
    }
}
