//! From what a pass saw and how it ended to the status that users and tools read.
//! Pure and deterministic: the same state gives the same status, and a transition time moves only with its condition.

mod connection;

pub use connection::of_connection;

use crate::crd::{
    Condition, ConditionStatus, ConditionType, DeletionPolicy, OrgOAuthApp, OrgOAuthAppStatus, RotationStatus,
};
use crate::decide::{
    Blocked, Observed, Outcome, Remote, RotationWaits, SecretWriteProgress, Validity, drift, holds_claim,
    is_observe_only, is_ours, is_proven, is_refused_once, next_rotation, overlap_ending, previous_end, proven_at,
    reconcile_requested, refusal, requested_rotation_waits, signed_claim, stale_consumers,
};
use crate::iam::ClientId;
use crate::reason::Reason;
use crate::secret::{SecretState, secret_name};
use crate::text::clean;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// The longest message of a condition, in bytes.
const LONGEST_MESSAGE: usize = 2048;

/// The status after a pass. `Outcome::Gone` has none.
pub fn after(observed: &Observed, outcome: &Outcome, now: Timestamp) -> OrgOAuthAppStatus {
    let app = &observed.app;
    let before = app.status.clone().unwrap_or_default();
    let old = before.clone();
    let published = is_published(observed);
    let id = observed.client_id().0;
    let is_claimed = published == Some(true) || holds_claim(observed);
    let status = OrgOAuthAppStatus {
        observed_generation: app.metadata.generation,
        client_id: if published == Some(true) { Some(id) } else { old.client_id },
        // What does not verify may do so again, with a key that is restored.
        claim: signed_claim(observed).filter(|_| is_claimed).or(old.claim),
        // While a former Secret is still there, it is the one to remember.
        secret_name: match (published, &observed.previous_target) {
            (Some(true), None | Some(SecretState::Absent | SecretState::Foreign { .. })) => Some(secret_name(app)),
            _ => old.secret_name,
        },
        rotation: rotation(observed).or(old.rotation),
        drift: Some(drift(observed)).filter(|fields| !fields.is_empty()),
        last_handled_reconcile_at: match outcome {
            // Who is suspended has handled nothing, and who waits will come back to it.
            Outcome::Suspended | Outcome::Waiting { .. } => old.last_handled_reconcile_at,
            Outcome::Settled { .. } | Outcome::Observed(_) | Outcome::Gone | Outcome::Blocked(_) => {
                reconcile_requested(app).cloned().or(old.last_handled_reconcile_at)
            }
        },
        last_handled_rotate_at: observed
            .secret
            .as_ref()
            .map_or(old.last_handled_rotate_at, |_| observed.contents().rotate_requested),
        conditions: conditions(observed, outcome, published)
            .into_iter()
            .map(|said| said.after(&old.conditions, app.metadata.generation, now))
            .collect(),
        ..old
    };
    if status == before { status } else { with_times(observed, status) }
}

/// The times of the remote app ride along with a status that is written anyway; they are worth no write of their own.
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

/// Whether the Secret holds a credential of the resource's app; `None` when it was not looked at. What a tenant writes into a Secret
/// does not make an app its own.
fn is_published(observed: &Observed) -> Option<bool> {
    let public = observed.app.spec.public_client == Some(true);
    let contents = observed.contents();
    let holds = contents.client_id.is_some() && (public || contents.current.is_some());
    observed.secret.as_ref().map(|_| holds && is_ours(observed))
}

/// What the Secret says of rotation; `None` when it was not looked at or holds no secret.
fn rotation(observed: &Observed) -> Option<RotationStatus> {
    let content = observed.contents();
    let stale = stale_consumers(observed);
    let warned_now = stale.as_ref().and_then(|_| overlap_ending(observed)).map(|_| content.revision);
    let warned_before = observed.app.status.as_ref().and_then(|status| status.rotation.as_ref()?.warned_revision);
    (content.revision > 0).then(|| RotationStatus {
        revision: Some(content.revision),
        rotated_at: content.rotated_at.map(whole_seconds).map(Time),
        next_at: next_rotation(&observed.app, &content).map(whole_seconds).map(Time),
        previous_expires_at: previous_end(observed, &content)
            .filter(|end| content.previous.is_some() || *end > observed.now)
            .map(whole_seconds)
            .map(Time),
        verified_at: proven_at(observed).map(whole_seconds).map(Time),
        verified_revision: proven_at(observed).map(|_| content.revision),
        stale_consumer_count: stale.as_ref().and_then(|stale| i64::try_from(stale.count).ok()),
        stale_consumers: stale.map(|stale| stale.first),
        warned_revision: warned_now.or(warned_before),
    })
}

/// As Kubernetes keeps times, so that what is written is what is read again: a part of a second would be written again in
/// every pass.
pub fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// A condition without its history.
struct NewCondition {
    kind: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: String,
}

impl NewCondition {
    fn after(self, old: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
        let same = old.iter().find(|condition| condition.r#type == self.kind && condition.status == self.status);
        Condition {
            r#type: self.kind,
            status: self.status,
            reason: self.reason.as_str().into(),
            message: clean(&self.message, LONGEST_MESSAGE),
            observed_generation: generation,
            last_transition_time: same.map_or(Time(now), |condition| condition.last_transition_time.clone()),
        }
    }
}

fn conditions(observed: &Observed, outcome: &Outcome, published: Option<bool>) -> Vec<NewCondition> {
    use ConditionStatus::{False, True, Unknown};
    use ConditionType::{Ready, Reconciling, Stalled, Synced};
    let said = |kind, status, reason, message: &str| NewCondition { kind, status, reason, message: message.into() };
    let ready_message = ready_message(observed);
    let mut conditions = match outcome {
        Outcome::Observed(plan) => {
            let message = format!("managementPolicy Full would {plan}.");
            let contents = observed.contents();
            let is_good = published == Some(true) && plan.leaves_credential() && !is_tampered(observed);
            vec![
                match refusal(observed, &contents) {
                    None if is_good && is_proven(observed) => said(Ready, True, Reason::Provisioned, &ready_message),
                    None => said(Ready, False, Reason::PlanPending, &message),
                    Some(why) => {
                        let message =
                            format!("the API does not issue a token for the client secret now: {why}; {message}");
                        said(Ready, False, Reason::CredentialRefused, &message)
                    }
                },
                said(Reconciling, False, Reason::PlanPending, ""),
                said(Stalled, False, Reason::PlanPending, ""),
                said(Synced, False, Reason::PlanPending, &message),
            ]
        }
        Outcome::Suspended => {
            let message = "spec.suspend is set; nothing is looked at.";
            vec![
                if keeps_ready(observed, published) {
                    said(Ready, True, Reason::Provisioned, &ready_message)
                } else {
                    said(Ready, False, Reason::Suspended, message)
                },
                said(Reconciling, False, Reason::Suspended, ""),
                said(Stalled, False, Reason::Suspended, ""),
                said(Synced, Unknown, Reason::Suspended, message),
            ]
        }
        Outcome::Settled { .. } | Outcome::Gone => vec![
            said(Ready, True, Reason::Provisioned, &ready_message),
            match is_refused_once(observed) {
                false => said(Reconciling, False, Reason::Provisioned, ""),
                true => said(Reconciling, True, Reason::SecretNotProven, &refused_once(&observed.app)),
            },
            said(Stalled, False, Reason::Provisioned, ""),
            said(Synced, True, Reason::Provisioned, "The API has what the spec says."),
        ],
        Outcome::Blocked(Blocked { reason, message }) => vec![
            said(Ready, False, *reason, message),
            said(Reconciling, False, *reason, ""),
            said(Stalled, True, *reason, message),
            said(Synced, False, *reason, message),
        ],
        Outcome::Waiting { reason, message, .. } => vec![
            if keeps_ready(observed, published) {
                said(Ready, True, Reason::Provisioned, &ready_message)
            } else {
                said(Ready, False, *reason, message)
            },
            said(Reconciling, True, *reason, message),
            said(Stalled, False, *reason, ""),
            said(Synced, Unknown, *reason, message),
        ],
    };
    conditions.push(secret_published(observed, published, &conditions[0]));
    conditions
}

/// While the operator waits, a credential that was good stays good.
fn keeps_ready(observed: &Observed, published: Option<bool>) -> bool {
    let was_ready = observed.app.condition(ConditionType::Ready).is_some_and(|c| c.status == ConditionStatus::True);
    was_ready
        && published != Some(false)
        && is_proven(observed)
        && !is_tampered(observed)
        && observed.app.metadata.deletion_timestamp.is_none()
}

/// Whether the Secret holds a value that is not the published one, and the API was not seen to accept it.
fn is_tampered(observed: &Observed) -> bool {
    let contents = observed.contents();
    let is_valid = |current| observed.validity(current) == Validity::Valid;
    contents.is_edited(&observed.app) && !contents.current.as_ref().is_some_and(is_valid)
}

fn secret_published(observed: &Observed, published: Option<bool>, ready: &NewCondition) -> NewCondition {
    let kind = ConditionType::SecretPublished;
    let name = secret_name(&observed.app);
    match published {
        Some(true) if is_tampered(observed) => NewCondition {
            kind,
            status: ConditionStatus::False,
            reason: Reason::SecretTampered,
            message: format!("The client secret in Secret {name} was edited, and is not known to be valid."),
        },
        Some(true) => NewCondition {
            kind,
            status: ConditionStatus::True,
            reason: Reason::Provisioned,
            message: match observed.secret_write == SecretWriteProgress::Overridden {
                false => format!("Secret {name} holds a credential."),
                true => format!(
                    "Secret {name} holds a credential; an admission policy of the cluster sets its labels or annotations otherwise than the spec."
                ),
            },
        },
        Some(false) => NewCondition {
            kind,
            status: ConditionStatus::False,
            reason: ready.reason,
            message: format!("Secret {name} holds no credential of this resource."),
        },
        None if observed.app.metadata.deletion_timestamp.is_some() => {
            let (status, message) = while_deleting(&observed.app);
            NewCondition { kind, status, reason: ready.reason, message }
        }
        None => NewCondition {
            kind,
            status: observed.app.condition(kind).map_or(ConditionStatus::Unknown, |c| c.status),
            reason: ready.reason,
            message: format!("Secret {name} was not looked at."),
        },
    }
}

/// What becomes of the Secret, which is neither read nor kept true any more.
fn while_deleting(app: &OrgOAuthApp) -> (ConditionStatus, String) {
    let Some(name) = app.status.as_ref().and_then(|status| status.secret_name.as_ref()) else {
        return (ConditionStatus::False, format!("Secret {} holds no credential of this resource.", secret_name(app)));
    };
    let is_left = match app.spec.deletion_policy {
        DeletionPolicy::Retain => true,
        DeletionPolicy::Delete | DeletionPolicy::DeleteWhenUnused => is_observe_only(app),
    };
    let fate = if is_left { "stays when this resource is gone" } else { "is deleted with this resource" };
    (ConditionStatus::Unknown, format!("Secret {name} {fate}; until then it is not kept up to date."))
}

/// A request that has to wait would otherwise seem to be forgotten.
fn ready_message(observed: &Observed) -> String {
    let message = provisioned_message(&observed.client_id(), &observed.app);
    match requested_rotation_waits(observed) {
        Some(RotationWaits::ForPrevious) => format!(
            "{message} The rotation that was asked for waits until the previous secret ends, at status.rotation.previousExpiresAt; to end all former secrets at once, delete Secret {}.",
            secret_name(&observed.app)
        ),
        Some(RotationWaits::ForPace) => format!(
            "{message} The requested rotation waits until a minute has passed since the last one (status.rotation.rotatedAt)."
        ),
        None => message,
    }
}

/// One answer may be false, so the resource stays Ready.
fn refused_once(app: &OrgOAuthApp) -> String {
    let name = secret_name(app);
    format!("The API refused the client secret in Secret {name} once; it is asked again in a minute.")
}

/// What a resource that has everything says.
pub fn provisioned_message(id: &ClientId, app: &OrgOAuthApp) -> String {
    format!("App {id} exists and its credential is in Secret {}.", secret_name(app))
}

#[cfg(test)]
mod tests;
