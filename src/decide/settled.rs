//! Whether status reports that the last reconcile left nothing to do and that nothing has changed since, so that a process which
//! starts may skip the resource at first. A tenant that forges such a status delays its own resource, and no other.

use super::claims::recorded_claim;
use super::resource::{
    has_finalizer, is_being_deleted, is_observe_only, is_synced, reconcile_requested, retire_requested,
};
use crate::claim::ClaimKey;
use crate::crd::{ConditionStatus, ConditionType, OrgOAuthApp, ROTATE_REQUESTED};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

/// The conditions that a settled reconcile leaves, beside `Synced`.
const CONDITIONS: [(ConditionType, ConditionStatus); 4] = [
    (ConditionType::Ready, ConditionStatus::True),
    (ConditionType::Reconciling, ConditionStatus::False),
    (ConditionType::Stalled, ConditionStatus::False),
    (ConditionType::SecretPublished, ConditionStatus::True),
];

/// Whether status, spec, annotations and finalizer are as a settled reconcile leaves them. A claim that this resource did not
/// get here, such as one from before a restore, is none.
pub(crate) fn is_settled(app: &OrgOAuthApp, key: &ClaimKey) -> bool {
    !is_being_deleted(app)
        && (has_finalizer(app) || is_observe_only(app))
        && is_synced(app)
        && CONDITIONS.iter().all(|(kind, status)| is_current(app, *kind, *status))
        && reconcile_requested(app).is_none()
        && !is_rotation_requested(app)
        && retire_requested(app).is_none()
        && recorded_claim(app, key).is_some_and(|claim| claim.created)
}

fn is_current(app: &OrgOAuthApp, kind: ConditionType, status: ConditionStatus) -> bool {
    let generation = app.metadata.generation;
    app.condition(kind).is_some_and(|c| c.status == status && c.observed_generation == generation)
}

/// By status alone; only the Secret knows for sure.
fn is_rotation_requested(app: &OrgOAuthApp) -> bool {
    let handled = app.status.as_ref().and_then(|status| status.last_handled_rotate_at.as_ref());
    app.annotations().get(ROTATE_REQUESTED).is_some_and(|asked| handled != Some(asked))
}

/// When the Secret is to change next, as status reports.
pub(crate) fn recorded_deadline(app: &OrgOAuthApp) -> Option<Timestamp> {
    let rotation = app.status.as_ref()?.rotation.as_ref()?;
    [&rotation.next_at, &rotation.previous_expires_at].into_iter().flatten().map(|time| time.0).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::ApiAddress;
    use crate::cluster::cached::outline;
    use crate::crd::{Api, FINALIZER};
    use crate::decide::{Access, Observed, client_id};
    use crate::iam::ClientSecret;
    use crate::outcome::Outcome;
    use crate::secret::{SecretContents, SecretState, SecretWrite, guard};
    use crate::status;
    use serde_json::{Value, json};
    use std::time::Duration;

    const ASKED: &str = "oauth-apps.dev/reconcile-requested-at";

    fn key() -> ClaimKey {
        ClaimKey::new(&[1; 32], []).unwrap()
    }

    /// A resource with the status that a settled reconcile writes.
    fn settled() -> Value {
        let mut app: OrgOAuthApp = serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": "a", "namespace": "n", "uid": "uid-1", "generation": 3, "finalizers": [FINALIZER]},
            "spec": {"orgId": "o", "grantTypes": ["client_credentials"]},
        }))
        .unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let secret = ClientSecret::new("value".into());
        let contents = SecretContents::default().publish(&app, &client_id(&app), Some(secret.clone()), now);
        let Some(SecretWrite::Create(published)) = SecretState::Absent.write(&app, &contents) else { panic!() };
        let address = ApiAddress::new(Api::CloudServices, "https://iam.example.com", &[]);
        let credential_check_interval = Duration::from_secs(86_400);
        let access = Access::Granted { address, context: None, adoption: false, credential_check_interval };
        let mut observed = Observed::new(app.clone(), access, key(), now, secret);
        observed.observe_secret(guard(&app, &key(), Some(published)));
        app.status = Some(status::after(&observed, &Outcome::Settled { wake: None }, now));
        json!(app)
    }

    /// The answer for the whole resource, which must be that for the outline that is kept of a large one.
    fn is_settled_after(change: impl FnOnce(&mut Value)) -> bool {
        let mut changed = settled();
        change(&mut changed);
        let app: OrgOAuthApp = serde_json::from_value(changed).unwrap();
        let is_settled = super::is_settled(&app, &key());
        assert_eq!(super::is_settled(&outline(app), &key()), is_settled, "the outline says otherwise");
        is_settled
    }

    fn set(path: &'static str, value: Value) -> impl FnOnce(&mut Value) {
        move |app| {
            let (parent, field) = path.rsplit_once('/').unwrap();
            app.pointer_mut(parent).unwrap()[field] = value;
        }
    }

    #[test]
    fn what_a_settled_reconcile_leaves_is_settled() {
        assert!(is_settled_after(|_| {}));
        assert!(!super::is_settled(&serde_json::from_value(settled()).unwrap(), &ClaimKey::new(&[2; 32], []).unwrap()));
    }

    #[test]
    fn each_thing_that_changed_or_is_left_to_do_unsettles() {
        for (path, value) in [
            ("/metadata/generation", json!(4)),
            ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
            ("/metadata/finalizers", json!(["other/one"])),
            ("/metadata/annotations", json!({ASKED: "now"})),
            ("/metadata/annotations", json!({ROTATE_REQUESTED: "now"})),
            ("/metadata/uid", json!("restored")),
            ("/metadata/name", json!("copy")),
            ("/status", json!(null)),
            ("/status/observedGeneration", json!(2)),
            ("/status/claim", json!(null)),
            ("/status/claim/clientId", json!("forged")),
            ("/status/claim/created", json!(false)),
        ] {
            assert!(!is_settled_after(set(path, value.clone())), "{path} {value}");
        }
    }

    #[test]
    fn a_claim_that_only_says_what_is_about_to_be_created_unsettles() {
        assert!(!is_settled_after(|changed| {
            let app: OrgOAuthApp = serde_json::from_value(changed.clone()).unwrap();
            let address = ApiAddress::new(Api::CloudServices, "https://iam.example.com", &[]);
            changed["status"]["claim"] = json!(key().sign(&app, &address, &client_id(&app), false));
        }));
    }

    #[test]
    fn each_condition_counts_with_its_status_and_generation() {
        for n in 0..5 {
            let change = move |field: &'static str, value: Value| {
                is_settled_after(move |app| app["status"]["conditions"][n][field] = value)
            };
            let before = settled()["status"]["conditions"][n]["status"].clone();
            let opposite = if before == "True" { "False" } else { "True" };
            assert!(!change("status", json!(opposite)), "condition {n} is {opposite}");
            assert!(!change("status", json!("Unknown")), "condition {n} is unknown");
            assert!(!change("observedGeneration", json!(2)), "condition {n} is old");
            let without = |app: &mut Value| drop(app["status"]["conditions"].as_array_mut().unwrap().remove(n));
            assert!(!is_settled_after(without), "condition {n} is missing");
        }
        assert_eq!(settled()["status"]["conditions"].as_array().unwrap().len(), 5);
    }

    #[test]
    fn a_request_that_was_acted_upon_and_a_finalizer_that_observing_does_not_need_do_not_unsettle() {
        assert!(is_settled_after(|app| {
            app["metadata"]["annotations"] = json!({ASKED: "1", ROTATE_REQUESTED: "2"});
            app["status"]["lastHandledReconcileAt"] = "1".into();
            app["status"]["lastHandledRotateAt"] = "2".into();
        }));
        assert!(is_settled_after(|app| {
            app["metadata"]["finalizers"] = json!(null);
            app["spec"]["managementPolicy"] = "Observe".into();
        }));
    }

    #[test]
    fn the_deadline_is_the_next_rotation_or_the_end_of_the_previous_secret() {
        let deadline = |rotation: Value| {
            let mut app = settled();
            app["status"]["rotation"] = rotation;
            recorded_deadline(&serde_json::from_value(app).unwrap()).map(|at| at.to_string())
        };
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        assert_eq!(deadline(json!({"revision": 1})), None);
        for (rotation, expected) in [
            (json!({"nextAt": late}), late),
            (json!({"nextAt": late, "previousExpiresAt": early}), early),
            (json!({"nextAt": early, "previousExpiresAt": late}), early),
        ] {
            assert_eq!(deadline(rotation).as_deref(), Some(expected));
        }
    }
}
