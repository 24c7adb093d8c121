//! Makes the status from what a reconciliation observed and from its outcome.
//! Pure and deterministic: the same state gives the same status, and a transition time moves only with its condition.

mod conditions;
mod connection;
mod events;

pub(crate) use conditions::rotation_waits;
pub use connection::of_connection;
pub(crate) use events::{connection_events, events};

use crate::crd::{Condition, ConditionStatus, ConditionType, OrgOAuthApp, OrgOAuthAppStatus, RotationStatus};
use crate::decide::{
    Observed, Remote, drift, handled_retire_request, holds_claim, is_ours, next_rotation, overlap_ending, previous_end,
    reconcile_requested, signed_claim, stale_consumers, verified_at,
};
use crate::outcome::Outcome;
use crate::reason::Reason;
use crate::secret::{SecretState, secret_name};
use crate::text::clean;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// The longest message of a condition, in bytes.
const MAX_MESSAGE: usize = 2048;

/// The status after a reconciliation. `Outcome::Gone` has none.
pub fn after(observed: &Observed, outcome: &Outcome, now: Timestamp) -> OrgOAuthAppStatus {
    let app = &observed.app;
    let before = app.status.clone().unwrap_or_default();
    let old = before.clone();
    let published = is_published(observed);
    let is_claimed = published == Some(true) || holds_claim(observed);
    let conditions = conditions::conditions(observed, outcome, published).into_iter();
    let conditions = conditions.map(|new| new.after(&old.conditions, app.metadata.generation, now)).collect();
    let status = OrgOAuthAppStatus {
        observed_generation: app.metadata.generation,
        client_id: if published == Some(true) { Some(observed.client_id().0) } else { old.client_id },
        // A claim that does not verify may do so again, with a key that is restored.
        claim: signed_claim(observed).filter(|_| is_claimed).or(old.claim),
        secret_name: if is_only_secret(observed, published) { Some(secret_name(app)) } else { old.secret_name },
        rotation: rotation(observed).or(old.rotation),
        drift: Some(drift(observed)).filter(|fields| !fields.is_empty()),
        last_handled_reconcile_at: handled_reconcile(app, outcome).or(old.last_handled_reconcile_at),
        last_handled_rotate_at: match observed.secret() {
            Some(_) => observed.contents().rotate_requested.clone(),
            None => old.last_handled_rotate_at,
        },
        last_handled_retire_at: handled_retire_request(observed).or(old.last_handled_retire_at),
        conditions,
        ..old
    };
    if status == before { status } else { with_times(observed, status) }
}

/// Whether the credentials are in the Secret that the spec names, and in no other. While the previous Secret exists,
/// status keeps its name.
fn is_only_secret(observed: &Observed, published: Option<bool>) -> bool {
    let has_old_name = match &observed.old_name_secret {
        Some(SecretState::Owned(_)) => true,
        None | Some(SecretState::Absent | SecretState::Foreign { .. }) => false,
    };
    published == Some(true) && !has_old_name
}

/// The request to reconcile, if it was handled; a resource that waits handles it later.
fn handled_reconcile(app: &OrgOAuthApp, outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Suspended | Outcome::Waiting { .. } => None,
        Outcome::Settled { .. } | Outcome::PlanOnly(_) | Outcome::Gone | Outcome::Blocked(_) => {
            reconcile_requested(app).cloned()
        }
    }
}

/// The times of the remote app are updated when status is written anyway, since a change of them alone needs no write.
fn with_times(observed: &Observed, status: OrgOAuthAppStatus) -> OrgOAuthAppStatus {
    let (Remote::Shown(shown) | Remote::Listed(Some(shown))) = &observed.remote else { return status };
    OrgOAuthAppStatus {
        created_at: shown.created_at.map(Time).or(status.created_at),
        last_updated_at: shown.last_updated_at.map(Time).or(status.last_updated_at),
        last_used_at: shown.last_used_at().map(Time).or(status.last_used_at),
        secret_age: shown.secret_age().or(status.secret_age),
        ..status
    }
}

/// Whether the Secret holds the credentials of the resource's app; `None` when it was not read. What a tenant writes into a Secret
/// does not make an app its own.
fn is_published(observed: &Observed) -> Option<bool> {
    let public = observed.app.spec.public_client == Some(true);
    let contents = observed.contents();
    let holds = contents.client_id.is_some() && (public || contents.current.is_some());
    observed.secret().map(|_| holds && is_ours(observed))
}

/// The state of rotation in the Secret; `None` when it was not read or holds no client secret.
fn rotation(observed: &Observed) -> Option<RotationStatus> {
    let content = observed.contents();
    let stale = stale_consumers(observed);
    let warned_now = stale.as_ref().and_then(|_| overlap_ending(observed)).map(|_| content.revision);
    let warned_before = observed.app.status.as_ref().and_then(|status| status.rotation.as_ref()?.warned_revision);
    (content.revision > 0).then(|| RotationStatus {
        revision: Some(content.revision),
        rotated_at: content.rotated_at.map(whole_seconds).map(Time),
        next_at: next_rotation(&observed.app, content).map(whole_seconds).map(Time),
        previous_expires_at: previous_end(observed, content)
            .filter(|end| content.previous.is_some() || *end > observed.now)
            .map(whole_seconds)
            .map(Time),
        verified_at: verified_at(observed).map(whole_seconds).map(Time),
        verified_revision: verified_at(observed).map(|_| content.revision),
        stale_consumer_count: stale.as_ref().and_then(|stale| i64::try_from(stale.count).ok()),
        stale_consumers: stale.map(|stale| stale.first),
        warned_revision: warned_now.or(warned_before),
    })
}

/// Kubernetes stores whole seconds, so a time with a fraction would differ from the stored status in every reconciliation.
pub(crate) fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// A condition without its history.
#[derive(Clone, Debug)]
struct NewCondition {
    kind: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: String,
}

impl NewCondition {
    fn new(kind: ConditionType, status: ConditionStatus, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, status, reason, message: message.into() }
    }

    fn after(self, old: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
        let same = old.iter().find(|condition| condition.r#type == self.kind && condition.status == self.status);
        Condition {
            r#type: self.kind,
            status: self.status,
            reason: self.reason.as_str().into(),
            message: clean(&self.message, MAX_MESSAGE),
            observed_generation: generation,
            last_transition_time: same.map_or(Time(now), |condition| condition.last_transition_time.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
