//! Makes the conditions of an `OrgOAuthApp` from what was observed and from the outcome.
//! Messages hold no time but fixed deadlines, so that an unchanged status is not written again.

use super::{NewCondition, whole_seconds};
use crate::crd::{ConditionStatus, ConditionType, DeletionPolicy, OrgOAuthApp};
use crate::decide::{
    Observed, Plan, RotationWaits, SecretWriteProgress, Validity, is_observe_only, is_refusal_unconfirmed, is_verified,
    previous_end, requested_rotation_waits, role_note, standing_refusal,
};
use crate::iam::ClientId;
use crate::iam::app_fields::Fields;
use crate::outcome::Outcome;
use crate::reason::{Blocked, Reason};
use crate::secret::secret_name;
use ConditionStatus::{False, True, Unknown};
use ConditionType::{Ready, Reconciling, SecretPublished, Stalled, Synced};

/// `Ready`, `Reconciling`, `Stalled`, `Synced` and `SecretPublished`, in this order. `published` says whether the Secret holds the
/// app's credentials, if it was read.
pub(super) fn conditions(observed: &Observed, outcome: &Outcome, published: Option<bool>) -> Vec<NewCondition> {
    let mut conditions = match outcome {
        Outcome::Settled { .. } | Outcome::Gone => settled(observed),
        Outcome::PlanOnly(plan) => planned(observed, plan, published),
        Outcome::Suspended => suspended(observed, published),
        Outcome::Blocked(blocked) => stalled(blocked),
        Outcome::Waiting { reason, message, .. } => waiting(observed, *reason, message, published),
    }
    .to_vec();
    let reason = conditions[0].reason;
    conditions.push(secret_published(observed, published, reason));
    conditions
}

fn settled(observed: &Observed) -> [NewCondition; 4] {
    let reconciling = if is_refusal_unconfirmed(observed) {
        // One answer may be an error, so the resource stays Ready.
        NewCondition::new(Reconciling, True, Reason::SecretNotProven, refused_once(&observed.app))
    } else {
        NewCondition::new(Reconciling, False, Reason::Provisioned, "")
    };
    [
        NewCondition::new(Ready, True, Reason::Provisioned, ready_message(observed)),
        reconciling,
        NewCondition::new(Stalled, False, Reason::Provisioned, ""),
        NewCondition::new(Synced, True, Reason::Provisioned, "The API matches the spec."),
    ]
}

fn planned(observed: &Observed, plan: &Plan, published: Option<bool>) -> [NewCondition; 4] {
    let message = format!("managementPolicy Full would {plan}.");
    let is_good =
        published == Some(true) && plan.leaves_credential() && !is_tampered(observed) && is_verified(observed);
    let ready = match standing_refusal(observed, observed.contents()) {
        Some(why) => {
            let refused = format!("the API does not issue a token for the client secret now: {why}; {message}");
            NewCondition::new(Ready, False, Reason::CredentialRefused, refused)
        }
        None if is_good => NewCondition::new(Ready, True, Reason::Provisioned, ready_message(observed)),
        None => NewCondition::new(Ready, False, Reason::PlanPending, &message),
    };
    [
        ready,
        NewCondition::new(Reconciling, False, Reason::PlanPending, ""),
        NewCondition::new(Stalled, False, Reason::PlanPending, ""),
        NewCondition::new(Synced, False, Reason::PlanPending, message),
    ]
}

/// The reason of `Ready` is the column REASON of `kubectl get`, so it is `Suspended` also while the app stays Ready.
fn suspended(observed: &Observed, published: Option<bool>) -> [NewCondition; 4] {
    let message = "spec.suspend is set; only a deletion is reconciled";
    let ready = if keeps_ready(observed, published) {
        let provisioned = provisioned_message(&observed.client_id(), &observed.app);
        let message = format!("{provisioned} Reconciliation is suspended (spec.suspend).");
        NewCondition::new(Ready, True, Reason::Suspended, message)
    } else {
        NewCondition::new(Ready, False, Reason::Suspended, message)
    };
    [
        ready,
        NewCondition::new(Reconciling, False, Reason::Suspended, ""),
        NewCondition::new(Stalled, False, Reason::Suspended, ""),
        NewCondition::new(Synced, Unknown, Reason::Suspended, message),
    ]
}

fn stalled(Blocked { reason, message }: &Blocked) -> [NewCondition; 4] {
    [
        NewCondition::new(Ready, False, *reason, message),
        NewCondition::new(Reconciling, False, *reason, ""),
        NewCondition::new(Stalled, True, *reason, message),
        NewCondition::new(Synced, False, *reason, message),
    ]
}

fn waiting(observed: &Observed, reason: Reason, message: &str, published: Option<bool>) -> [NewCondition; 4] {
    let ready = if keeps_ready(observed, published) {
        NewCondition::new(Ready, True, Reason::Provisioned, ready_message(observed))
    } else {
        NewCondition::new(Ready, False, reason, message)
    };
    [
        ready,
        NewCondition::new(Reconciling, True, reason, message),
        NewCondition::new(Stalled, False, reason, ""),
        NewCondition::new(Synced, Unknown, reason, message),
    ]
}

/// While the operator waits, credentials that were valid stay so.
fn keeps_ready(observed: &Observed, published: Option<bool>) -> bool {
    let was_ready = observed.app.condition(Ready).is_some_and(|condition| condition.status == True);
    was_ready
        && published != Some(false)
        && is_verified(observed)
        && !is_tampered(observed)
        && observed.app.metadata.deletion_timestamp.is_none()
}

/// Whether the Secret holds a value that is not the published one, and the API was not seen to accept it.
fn is_tampered(observed: &Observed) -> bool {
    let contents = observed.contents();
    let is_valid = |current| observed.validity(current) == Validity::Valid;
    contents.is_edited(&observed.app) && !contents.current.as_ref().is_some_and(is_valid)
}

fn secret_published(observed: &Observed, published: Option<bool>, reason: Reason) -> NewCondition {
    let name = secret_name(&observed.app);
    match published {
        Some(true) if is_tampered(observed) => {
            let message = format!("the client secret in Secret {name} was edited and is not known to be valid");
            NewCondition::new(SecretPublished, False, Reason::SecretTampered, message)
        }
        Some(true) => {
            let message = if observed.secret_write == SecretWriteProgress::Overridden {
                format!(
                    "Secret {name} holds the credentials; an admission policy of the cluster changes its labels or annotations."
                )
            } else {
                format!("Secret {name} holds the credentials.")
            };
            NewCondition::new(SecretPublished, True, Reason::Provisioned, message)
        }
        Some(false) => NewCondition::new(SecretPublished, False, reason, holds_none(&name)),
        None if observed.app.metadata.deletion_timestamp.is_some() => while_deleting(&observed.app, reason),
        None => {
            let last = observed.app.condition(SecretPublished).map_or(Unknown, |condition| condition.status);
            // What stops the operator from reading the Secret is no reason why it holds the credentials.
            let reason = if last == True { Reason::Provisioned } else { reason };
            NewCondition::new(SecretPublished, last, reason, format!("Secret {name} was not read"))
        }
    }
}

fn holds_none(secret: &str) -> String {
    format!("Secret {secret} does not hold the credentials of this resource")
}

/// While the resource is deleted, its Secret is neither read nor updated any more.
fn while_deleting(app: &OrgOAuthApp, reason: Reason) -> NewCondition {
    let Some(name) = app.status.as_ref().and_then(|status| status.secret_name.as_ref()) else {
        return NewCondition::new(SecretPublished, False, reason, holds_none(&secret_name(app)));
    };
    let is_kept = match app.spec.deletion_policy {
        DeletionPolicy::Retain => true,
        DeletionPolicy::Delete | DeletionPolicy::DeleteWhenUnused => is_observe_only(app),
    };
    let message = if is_kept {
        format!("Secret {name} is kept when this resource is gone; it is no longer updated")
    } else {
        format!("Secret {name} is deleted with this resource; it is no longer updated")
    };
    NewCondition::new(SecretPublished, Unknown, reason, message)
}

/// Begins the sentence about a requested rotation that waits, in the message of `Ready`.
const WAITS_FOR_PREVIOUS: &str = "The requested rotation waits until the previous client secret expires";
const WAITS_FOR_MIN_INTERVAL: &str = "The requested rotation waits until a minute has passed since the last one.";
const WAITS_FOR_LATE_END: &str =
    "The requested rotation waits until two minutes have passed since a request to end an overlap got no response.";

/// Why a requested rotation waits, with the sentence that the condition `Ready` has about it.
pub(crate) fn rotation_waits(app: &OrgOAuthApp) -> Option<(RotationWaits, &str)> {
    let message = &app.condition(Ready)?.message;
    let causes = [
        (RotationWaits::Previous, WAITS_FOR_PREVIOUS),
        (RotationWaits::MinInterval, WAITS_FOR_MIN_INTERVAL),
        (RotationWaits::LateEnd, WAITS_FOR_LATE_END),
    ];
    causes.into_iter().find_map(|(cause, sentence)| Some((cause, &message[message.find(sentence)?..])))
}

/// A request that has to wait would otherwise seem to be forgotten. Its sentence is the last one.
fn ready_message(observed: &Observed) -> String {
    let message = provisioned_message(&observed.client_id(), &observed.app);
    let message = role_note(&observed.app).map_or(message.clone(), |note| format!("{message} {note}"));
    match requested_rotation_waits(observed) {
        Some(RotationWaits::Previous) => {
            let expiry = previous_end(observed, observed.contents()).map(whole_seconds);
            let expiry = expiry.map(|at| format!(" at {at}")).unwrap_or_default();
            let is_documented = observed.desired.as_ref().is_ok_and(Fields::api_replaces_all_secrets);
            let advice = if is_documented {
                format!("; to invalidate all earlier ones now, delete Secret {}", secret_name(&observed.app))
            } else {
                String::new()
            };
            format!("{message} {WAITS_FOR_PREVIOUS}{expiry}{advice}.")
        }
        Some(RotationWaits::MinInterval) => format!("{message} {WAITS_FOR_MIN_INTERVAL}"),
        Some(RotationWaits::LateEnd) => format!("{message} {WAITS_FOR_LATE_END}"),
        None => message,
    }
}

fn refused_once(app: &OrgOAuthApp) -> String {
    format!("the API refused the client secret in Secret {} once; it is asked again within a minute", secret_name(app))
}

fn provisioned_message(id: &ClientId, app: &OrgOAuthApp) -> String {
    format!("App {id} exists and its credentials are in Secret {}.", secret_name(app))
}
