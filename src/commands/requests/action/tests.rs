use super::*;
use crate::commands::output::{Report, Text};

const VALUE: &str = "2026-03-01T12:00:00.5Z";

fn app(spec: Value, status: Value) -> OrgOAuthApp {
    let mut all = json!({"orgId": "o"});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let metadata = json!({"name": "billing", "namespace": "team", "uid": "uid-1", "generation": 2});
    serde_json::from_value(json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
        "metadata": metadata, "spec": all, "status": status,
    }))
    .unwrap()
}

fn conditions(ready: &str, reason: &str, message: &str) -> Value {
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-03-01T12:00:00Z"});
    let stalled = if ready == "False" { "True" } else { "False" };
    json!([condition("Ready", ready), condition("Stalled", stalled)])
}

fn asked(action: Action) -> Asked {
    Asked { action, value: VALUE.into() }
}

fn result(action: Action, app: &OrgOAuthApp) -> Option<RequestResult> {
    asked(action).result(app, app, "2026-03-01T12:05:00Z".parse().unwrap())
}

const RETIRE: Action = Action::Retire { despite_stale_consumers: false };

#[test]
fn what_would_be_in_vain_is_refused_with_what_to_do() {
    let refusal = |action: Action, spec: Value| action.unneeded_or_refused(&app(spec, json!({})));
    let provided = json!({"clientSecretRef": {"name": "mine", "key": "value"}});
    let refused = refusal(Action::Rotate, provided).unwrap();
    assert_eq!(refused.outcome, RequestOutcome::Refused);
    assert!(refused.message.ends_with("change the value of key value in Secret mine"), "{refused:?}");
    for (action, spec, said) in [
        (Action::Rotate, json!({"publicClient": true}), "spec.publicClient"),
        (RETIRE, json!({"publicClient": true}), "spec.publicClient"),
        (Action::Rotate, json!({"managementPolicy": "Observe"}), "managementPolicy to Full"),
        (Action::Rotate, json!({"suspend": true}), "resume billing"),
        (Action::Reconcile, json!({"suspend": true}), "resume billing"),
        (Action::Suspend, json!({"suspend": true}), "already"),
        (Action::Resume, json!({}), "already"),
        (RETIRE, json!({}), "no previous client secret is valid"),
        (Action::Rotate, json!({}), "it has no app yet"),
    ] {
        let refused = refusal(action, spec.clone()).unwrap_or_else(|| panic!("{action:?} {spec}"));
        assert!(refused.message.contains(said), "{refused:?}");
    }
    let has_app = app(json!({}), json!({"clientId": "ooa-1"}));
    for action in [Action::Rotate, Action::Reconcile, Action::Suspend] {
        assert_eq!(action.unneeded_or_refused(&has_app), None);
    }
}

#[test]
fn an_overlap_that_pods_need_is_ended_only_on_demand() {
    let rotation =
        json!({"previousExpiresAt": "2026-03-02T00:00:00Z", "staleConsumers": ["web-1"], "staleConsumerCount": 3});
    let used = app(json!({}), json!({"rotation": rotation}));
    let refused = RETIRE.unneeded_or_refused(&used).unwrap();
    assert!(
        refused.message.contains("web-1 and 2 more; restart them first, or set --despite-stale-consumers"),
        "{refused:?}"
    );
    assert_eq!(Action::Retire { despite_stale_consumers: true }.unneeded_or_refused(&used), None);
}

#[test]
fn a_request_is_done_once_status_repeats_its_value() {
    let rotation = json!({"revision": 3, "previousExpiresAt": "2026-03-03T12:00:00Z"});
    let rotated = |value: &str| app(json!({}), json!({"lastHandledRotateAt": value, "rotation": rotation}));
    assert_eq!(result(Action::Rotate, &rotated("earlier")), None);
    let done = result(Action::Rotate, &rotated(VALUE)).unwrap();
    assert_eq!(done.outcome, RequestOutcome::Done);
    assert_eq!(done.message, "rotated; revision 3; the previous client secret is valid until 2026-03-03T12:00:00Z");
    assert_eq!((done.namespace.as_str(), done.name.as_str()), ("team", "billing"));
    let retired = |rotation: Value| app(json!({}), json!({"lastHandledRetireAt": VALUE, "rotation": rotation}));
    assert_eq!(result(RETIRE, &retired(json!({}))).unwrap().outcome, RequestOutcome::Done);
    let kept = result(RETIRE, &retired(rotation)).unwrap();
    assert_eq!((kept.outcome, kept.reason.as_deref()), (RequestOutcome::Blocked, Some("PreviousNotRetired")));
}

#[test]
fn what_blocked_it_before_the_request_does_not_count() {
    let stalled = |handled: &str| {
        let conditions = conditions("False", "SecretTampered", "edited");
        app(json!({}), json!({"lastHandledReconcileAt": handled, "conditions": conditions}))
    };
    assert_eq!(result(Action::Rotate, &stalled("earlier")), None);
    let blocked = result(Action::Rotate, &stalled(VALUE)).unwrap();
    assert_eq!((blocked.outcome, blocked.reason.as_deref()), (RequestOutcome::Blocked, Some("SecretTampered")));
    assert!(blocked.what_to_do.unwrap().contains("rotate-requested-at"));
}

#[test]
fn a_rotation_that_waits_for_days_is_not_waited_for() {
    let waits = |until: &str| {
        let message = "App x exists. The requested rotation waits until the previous client secret expires at T; do y.";
        let conditions = conditions("True", "Provisioned", message);
        let rotation = json!({"previousExpiresAt": until});
        app(json!({}), json!({"lastHandledReconcileAt": VALUE, "conditions": conditions, "rotation": rotation}))
    };
    let waiting = result(Action::Rotate, &waits("2026-03-03T12:00:00Z")).unwrap();
    assert_eq!(waiting.outcome, RequestOutcome::Waiting);
    assert!(waiting.message.starts_with("The requested rotation waits until"), "{waiting:?}");
    let soon = waits("2026-03-01T12:01:00Z");
    assert_eq!(result(Action::Rotate, &soon), None);
    assert!(asked(Action::Rotate).waits_for(&soon).unwrap().starts_with("The requested rotation waits until"));
    assert_eq!(asked(Action::Reconcile).waits_for(&soon), None);
    let overdue = asked(Action::Rotate).overdue(&soon, "5m");
    assert!(overdue.message.starts_with("The requested rotation waits until"), "{overdue:?}");
}

#[test]
fn a_change_of_the_spec_counts_from_its_generation_on() {
    let app_of = |suspend: bool, generation: i64, reason: &str| {
        let status = json!({"observedGeneration": generation, "conditions": conditions("True", reason, "fine")});
        app(json!({"suspend": suspend}), status)
    };
    assert_eq!(result(Action::Suspend, &app_of(true, 1, "Suspended")), None);
    assert_eq!(result(Action::Suspend, &app_of(true, 2, "Suspended")).unwrap().outcome, RequestOutcome::Done);
    assert_eq!(result(Action::Resume, &app_of(false, 2, "Provisioned")).unwrap().outcome, RequestOutcome::Done);
    let reverted = result(Action::Suspend, &app_of(false, 3, "Provisioned")).unwrap();
    assert_eq!(reverted.outcome, RequestOutcome::Blocked);
    assert!(reverted.message.contains("set to false again"), "{reverted:?}");
}

#[test]
fn a_line_names_the_app_and_what_to_do() {
    let result = RequestResult::new(Action::Rotate, RequestOutcome::Waiting, "m").because("Throttled");
    let mut text = Text::default();
    result.about(&app(json!({}), json!({}))).text(&mut text);
    let text = text.plain();
    assert!(text.starts_with("team/billing: waiting (Throttled): m\n  what to do: Nothing; if it happens"), "{text}");
}
