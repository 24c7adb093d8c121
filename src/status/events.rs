//! The Events that follow from a change of status, of an app or of a connection: one for each reason that a condition has now and
//! had not before.
//! The Events of what a reconciliation did are recorded where it is done: in `perform`, `answers` and `consumers` of `reconcile`.

use crate::cluster::AppEvent;
use crate::consumers::StaleConsumers;
use crate::crd::{Condition, ConditionStatus, ConditionType, IamConnectionStatus, OrgOAuthAppStatus, RotationStatus};
use crate::reason::{Kind, Reason};

/// The conditions that report a reason of their own: `Stalled` repeats that of `Synced`, and `SecretPublished` that of `Ready`.
const REPORTED: [ConditionType; 3] = [ConditionType::Synced, ConditionType::Reconciling, ConditionType::Ready];

/// The Events about what `new` reports and `old` did not.
pub(crate) fn events(old: Option<&OrgOAuthAppStatus>, new: &OrgOAuthAppStatus) -> Vec<AppEvent> {
    let mut reported: Vec<Reason> = old.map_or_else(Vec::new, |old| reports(old).map(|(reason, _)| reason).collect());
    let mut events: Vec<AppEvent> = consumers_stale(old, new).into_iter().collect();
    for (reason, condition) in reports(new) {
        if !reported.contains(&reason) {
            reported.push(reason);
            events.push(AppEvent { reason, message: condition.message.clone() });
        }
    }
    events
}

/// The Events about a connection: also that it is Ready, since nothing else reports that.
pub(crate) fn connection_events(old: Option<&IamConnectionStatus>, new: &IamConnectionStatus) -> Vec<AppEvent> {
    let state = |condition: &Condition| (condition.status, condition.reason.clone());
    let report = |kind| {
        let condition = new.condition(kind)?;
        let before = old.and_then(|old| old.condition(kind)).map(state);
        let is_good = kind == ConditionType::CredentialsExpiring && condition.status == ConditionStatus::False;
        let reason = Reason::named(&condition.reason).filter(|_| !is_good && before != Some(state(condition)))?;
        Some(AppEvent { reason, message: condition.message.clone() })
    };
    [ConditionType::Ready, ConditionType::CredentialsExpiring].into_iter().filter_map(report).collect()
}

/// That nothing is wrong needs no Event.
fn reports(status: &OrgOAuthAppStatus) -> impl Iterator<Item = (Reason, &Condition)> {
    let of_type = |kind: &ConditionType| status.conditions.iter().find(|condition| condition.r#type == *kind);
    REPORTED.iter().filter_map(of_type).filter_map(|condition| {
        let reason = Reason::named(&condition.reason)?;
        (reason.kind() != Kind::State).then_some((reason, condition))
    })
}

/// The pods that still hold the previous secret, once for each rotation.
fn consumers_stale(old: Option<&OrgOAuthAppStatus>, new: &OrgOAuthAppStatus) -> Option<AppEvent> {
    let warned = |rotation: &RotationStatus| rotation.warned_revision;
    let rotation = new.rotation.as_ref()?;
    if warned(rotation) == old.and_then(|old| warned(old.rotation.as_ref()?)) {
        return None;
    }
    let first = rotation.stale_consumers.clone()?;
    let stale = StaleConsumers { first, count: usize::try_from(rotation.stale_consumer_count?).ok()? };
    let message = format!(
        "pods {} still use the previous client secret of app {}, which expires at {}; restart them before, or name their workloads in spec.rotation.restart",
        stale.named(),
        new.client_id.as_deref()?,
        rotation.previous_expires_at.as_ref()?.0,
    );
    Some(AppEvent { reason: Reason::ConsumersStale, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// With these reasons of `Ready`, `Reconciling` and `Synced`.
    fn status(ready: &str, reconciling: &str, synced: &str, rotation: Value) -> OrgOAuthAppStatus {
        let condition = |kind: &str, reason: &str| {
            json!({"type": kind, "status": "False", "reason": reason, "message": format!("{kind} says {reason}"),
                   "lastTransitionTime": "1970-01-01T00:00:00Z"})
        };
        let conditions = [("Ready", ready), ("Reconciling", reconciling), ("Stalled", synced), ("Synced", synced)];
        let conditions = conditions.map(|(kind, reason)| condition(kind, reason));
        serde_json::from_value(json!({"clientId": "app-1", "rotation": rotation, "conditions": conditions})).unwrap()
    }

    fn reasons(old: [&str; 3], new: [&str; 3]) -> Vec<&'static str> {
        let status = |[ready, reconciling, synced]: [&str; 3]| status(ready, reconciling, synced, json!(null));
        let events = events(Some(&status(old)), &status(new));
        events.into_iter().map(|event| event.reason.as_str()).collect()
    }

    #[test]
    fn a_reason_is_reported_once_until_another_took_its_place() {
        let settled = ["Provisioned", "Provisioned", "Provisioned"];
        let rejected = ["Rejected", "Rejected", "Rejected"];
        let down = ["Provisioned", "ConnectionUnavailable", "ConnectionUnavailable"];
        assert_eq!(reasons(settled, rejected), ["Rejected"]);
        assert_eq!(reasons(rejected, rejected), [""; 0]);
        assert_eq!(reasons(rejected, down), ["ConnectionUnavailable"]);
        assert_eq!(reasons(down, rejected), ["Rejected"]);
        assert_eq!(reasons(down, settled), [""; 0], "what goes well is reported by what was done");
    }

    #[test]
    fn a_refused_secret_is_reported_beside_whatever_else_is() {
        let planned = ["Provisioned", "PlanPending", "PlanPending"];
        let refused = ["CredentialRefused", "PlanPending", "PlanPending"];
        assert_eq!(reasons(planned, refused), ["CredentialRefused"]);
        assert_eq!(
            reasons(["Provisioned", "Provisioned", "Provisioned"], refused),
            ["PlanPending", "CredentialRefused"]
        );
        let once = ["Provisioned", "SecretNotProven", "Provisioned"];
        assert_eq!(reasons(["Provisioned", "Provisioned", "Provisioned"], once), ["SecretNotProven"]);
        assert_eq!(reasons(once, ["SecretNotProven"; 3]), [""; 0]);
    }

    #[test]
    fn the_message_is_that_of_the_condition_and_a_new_resource_has_reported_nothing() {
        let suspended = status("Suspended", "Suspended", "Suspended", json!(null));
        let expected = AppEvent { reason: Reason::Suspended, message: "Synced says Suspended".into() };
        assert_eq!(events(None, &suspended), [expected]);
        assert_eq!(events(None, &status("Pending", "Provisioned", "unheard of", json!(null))), []);
    }

    #[test]
    fn a_connection_reports_each_change_of_its_state_once() {
        let status = |ready: [&str; 2], expiring: [&str; 2]| -> IamConnectionStatus {
            let condition = |kind: &str, [status, reason]: [&str; 2]| {
                json!({"type": kind, "status": status, "reason": reason, "message": format!("{kind} says {reason}"),
                       "lastTransitionTime": "1970-01-01T00:00:00Z"})
            };
            let conditions = [condition("Ready", ready), condition("CredentialsExpiring", expiring)];
            serde_json::from_value(json!({ "conditions": conditions })).unwrap()
        };
        let (good, later) = (["True", "Provisioned"], ["False", "Provisioned"]);
        let reasons = |old: Option<&IamConnectionStatus>, new: &IamConnectionStatus| -> Vec<&str> {
            connection_events(old, new).into_iter().map(|event| event.reason.as_str()).collect()
        };
        let settled = status(good, later);
        assert_eq!(reasons(None, &settled), ["Provisioned"]);
        assert_eq!(reasons(Some(&settled), &settled), [""; 0]);
        let refused = status(["False", "CredentialsUnavailable"], ["True", "CredentialsExpiring"]);
        assert_eq!(reasons(Some(&settled), &refused), ["CredentialsUnavailable", "CredentialsExpiring"]);
        assert_eq!(reasons(Some(&refused), &settled), ["Provisioned"], "that they expire later is no news");
        assert_eq!(connection_events(Some(&settled), &refused)[0].message, "Ready says CredentialsUnavailable");
    }

    #[test]
    fn stale_consumers_are_reported_once_for_each_rotation() {
        let settled = |rotation| status("Provisioned", "Provisioned", "Provisioned", rotation);
        let stale = |warned: Value| {
            settled(
                json!({"revision": 2, "warnedRevision": warned, "staleConsumers": ["web", "worker"], "staleConsumerCount": 3,
                           "previousExpiresAt": "2026-01-01T00:00:00Z"}),
            )
        };
        let [event] = &events(Some(&stale(json!(1))), &stale(json!(2)))[..] else { panic!("not one Event") };
        let expected = "pods web, worker and 1 more still use the previous client secret of app app-1, which expires at 2026-01-01T00:00:00Z; restart them before, or name their workloads in spec.rotation.restart";
        assert_eq!((event.reason, event.message.as_str()), (Reason::ConsumersStale, expected));
        assert_eq!(events(Some(&stale(json!(2))), &stale(json!(2))), []);
        assert_eq!(events(Some(&stale(json!(1))), &settled(json!({"revision": 2, "warnedRevision": 2}))), []);
    }
}
