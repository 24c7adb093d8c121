//! The Events that follow from a change of status: one for each reason that a condition has now and had not before.
//! The Events of what a reconciliation did are recorded where it is done: in `perform`, `answers` and `consumers` of `reconcile`.

use crate::cluster::AppEvent;
use crate::consumers::StaleConsumers;
use crate::crd::{Condition, ConditionType, OrgOAuthAppStatus, RotationStatus};
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
