//! Argo CD and kstatus, with which Flux reads resources, take every state that the operator can produce for what it is.

// A test may panic: that is how it fails.
#![allow(clippy::unwrap_used)]

use gitops::argocd::{self, Health};
use gitops::kstatus::{self, Status};
use gitops::states::{Class, State, apps, connections};
use std::collections::HashSet;

/// What each tool is to make of a state: Argo CD and kstatus.
fn expected(class: Class) -> (Health, Status) {
    use Health::{Degraded, Healthy, Progressing, Suspended};
    use Status::{Current, Failed, InProgress, Terminating};
    match class {
        Class::New | Class::Behind | Class::Waiting => (Progressing, InProgress),
        Class::Deleting => (Progressing, Terminating),
        Class::Settled | Class::ObservedWithCredential => (Healthy, Current),
        Class::Stalled => (Degraded, Failed),
        Class::SuspendedWithCredential => (Suspended, Current),
        Class::SuspendedWithoutCredential | Class::ObservedWithoutCredential => (Suspended, InProgress),
    }
}

fn kinds() -> [(&'static str, Vec<State>); 2] {
    [("OrgOAuthApp", apps()), ("IamConnection", connections())]
}

/// Every manifest of a file of the kit.
fn manifests(file: &str) -> Vec<serde_json::Value> {
    serde_saphyr::from_multiple(&gitops::read(file)).unwrap()
}

#[test]
fn states_of_every_class_are_among_them() {
    let found = |states: Vec<State>| states.into_iter().map(|state| state.class).collect::<HashSet<_>>().len();
    assert_eq!((found(apps()), found(connections())), (10, 6));
}

#[test]
fn argo_cd_reports_each_state_and_its_reason() {
    for (kind, states) in kinds() {
        let script = gitops::read(&format!("argocd/{kind}.lua"));
        for State { what, class, object } in states {
            let (health, message) = argocd::health(&script, &object);
            assert_eq!(health, expected(class).0, "{kind}: {what}\n{object:#}");
            assert!(!message.is_empty(), "{kind}: {what}");
        }
    }
}

#[test]
fn the_message_of_a_degraded_resource_is_that_of_the_operator() {
    for (kind, states) in kinds() {
        let script = gitops::read(&format!("argocd/{kind}.lua"));
        for state in states.iter().filter(|state| expected(state.class).0 == Health::Degraded) {
            let (_, message) = argocd::health(&script, &state.object);
            let conditions = state.object["status"]["conditions"].as_array().unwrap();
            let ready = conditions.iter().find(|condition| condition["type"] == "Ready").unwrap();
            let [reason, said] = ["reason", "message"].map(|name| ready[name].as_str().unwrap());
            assert_eq!(message, format!("{reason}: {said}"));
        }
    }
}

#[test]
fn flux_waits_for_every_part_with_what_kstatus_reports() {
    for kustomization in manifests("flux/kustomizations.yaml") {
        let spec = &kustomization["spec"];
        assert_eq!((&spec["wait"], &spec["healthCheckExprs"]), (&true.into(), &serde_json::Value::Null), "{spec:#}");
    }
}

#[test]
fn kstatus_reports_each_state_correctly() {
    for (kind, states) in kinds() {
        for State { what, class, object } in states {
            assert_eq!(kstatus::read(&object), expected(class).1, "{kind}: {what}\n{object:#}");
        }
    }
}

#[test]
fn argo_cd_offers_what_can_be_requested_of_an_app() {
    let discovery = gitops::read("argocd/actions/discovery.lua");
    let mut app = apps().remove(0).object;
    assert_eq!(argocd::actions(&discovery, &app), ["reconcile", "rotate"]);
    app["status"]["rotation"] = serde_json::json!({"revision": 2, "previousExpiresAt": "2026-01-03T00:00:00Z"});
    assert_eq!(argocd::actions(&discovery, &app), ["reconcile", "retire-previous", "rotate"]);
    app["status"]["rotation"]["staleConsumerCount"] = 0.into();
    assert_eq!(argocd::actions(&discovery, &app), ["reconcile", "retire-previous", "rotate"]);
    app["status"]["rotation"]["staleConsumerCount"] = 1.into();
    assert_eq!(argocd::actions(&discovery, &app), ["reconcile", "rotate"], "pods would fail");
    app["status"]["rotation"] = serde_json::json!({"revision": 2});
    app["spec"]["publicClient"] = true.into();
    assert_eq!(argocd::actions(&discovery, &app), ["reconcile"]);
    app["status"] = serde_json::Value::Null;
    assert_eq!(argocd::actions(&discovery, &app), ["reconcile"]);
    for (action, annotation) in [
        ("reconcile", oauth_app_operator::crd::RECONCILE_REQUESTED),
        ("rotate", oauth_app_operator::crd::ROTATE_REQUESTED),
        ("retire-previous", oauth_app_operator::crd::RETIRE_REQUESTED),
    ] {
        let script = gitops::read(&format!("argocd/actions/{action}.lua"));
        let annotations = argocd::annotations_after(&script, &app);
        assert_eq!(annotations, [(annotation.to_owned(), "2026-01-01T00:00:00Z".to_owned())]);
    }
}

#[test]
fn the_settings_of_argo_cd_hold_the_lua_that_is_tested() {
    let settings = &manifests("argocd/argocd-cm.yaml")[0]["data"];
    for kind in ["IamConnection", "OrgOAuthApp"] {
        let key = format!("resource.customizations.health.oauth-apps.dev_{kind}");
        assert_eq!(settings[&key], gitops::read(&format!("argocd/{kind}.lua")), "{key}");
    }
    let actions = settings["resource.customizations.actions.oauth-apps.dev_OrgOAuthApp"].as_str().unwrap();
    let actions: serde_json::Value = serde_saphyr::from_str(actions).unwrap();
    assert_eq!(actions["discovery.lua"], gitops::read("argocd/actions/discovery.lua"));
    for action in actions["definitions"].as_array().unwrap() {
        let name = action["name"].as_str().unwrap();
        assert_eq!(action["action.lua"], gitops::read(&format!("argocd/actions/{name}.lua")), "{name}");
    }
}
