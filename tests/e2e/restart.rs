//! A restart looks at what changed while nobody watched, and at nothing else.

use crate::env::TenantEnv;
use control_plane::AuditRecord;
use iam_simulator::types::{Flavor, Human, Operation};
use kube::api::{DeleteParams, Patch, PatchParams};
use oauth_app_operator::crd::ConditionType;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Intervals so long that within a test no turn of a settled resource comes.
fn never() -> Value {
    json!({"resyncInterval": "10000h", "credentialCheckInterval": "10000h"})
}

/// An environment with these settled apps, whose operator was killed after it had looked at their connection.
async fn killed_when_settled(namespace: &str, connection: Value, names: &[String], spec: Value) -> TenantEnv {
    let env = TenantEnv::new(namespace, Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(connection).await;
    env.operator().start().unwrap();
    for name in names {
        env.create(name, spec.clone()).await;
    }
    for name in names {
        env.until_ready(name).await;
    }
    env.until_connection("Ready", "True", "Provisioned").await;
    env.until("the Events", async || env.audit(|r| r.resource == "events").len() == names.len()).await;
    env.operator().kill().unwrap();
    env
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("app-{n}")).collect()
}

/// The Secrets that the operator read, each as often as it did.
fn read_secrets(env: &TenantEnv) -> Vec<String> {
    let read = env.audit(|r| r.resource == "secrets" && r.verb == "get").into_iter().map(|r| r.name);
    // Each is read with the one of its rotation.
    read.filter(|name| !name.ends_with("-rotation")).collect()
}

#[tokio::test]
async fn restart_with_two_hundred_settled_apps_reconciles_changed_ones_only() {
    let env = killed_when_settled("restart-many", never(), &names(200), json!({})).await;
    let before = read_secrets(&env).len();
    let writes = env.audit(AuditRecord::is_write).len();
    env.control.clear_calls().await.unwrap();
    env.change("app-0", json!({"description": "Daily"})).await;
    env.annotate("app-1", "oauth-apps.dev/reconcile-requested-at", "now").await;
    env.delete("app-2").await;
    env.create("new", json!({})).await;
    env.operator().start().unwrap();
    env.until_gone("app-2").await;
    env.until_ready("new").await;
    let status = async |name: &str| env.app(name).await.status.unwrap();
    env.until("the change is made", async || status("app-0").await.observed_generation == Some(2)).await;
    let echoed = async || status("app-1").await.last_handled_reconcile_at.as_deref() == Some("now");
    env.until("the request is echoed", echoed).await;
    assert_eq!(env.operator().stop().unwrap().code(), Some(0), "what was begun is ended");
    let read: BTreeSet<_> = read_secrets(&env).split_off(before).into_iter().collect();
    assert_eq!(read, ["app-0", "app-1", "app-2", "new"].map(str::to_owned).into());
    let stats = env.control.stats().await.unwrap();
    println!("{:?}, {} writes", stats.by_operation, env.audit(AuditRecord::is_write).len() - writes);
    assert_eq!((env.calls(Operation::CreateApp).await, env.calls(Operation::UpdateApp).await), (1, 1), "{stats:?}");
}

#[tokio::test]
async fn settled_apps_cost_a_restarted_operator_neither_a_call_nor_a_write() {
    let env = killed_when_settled("restart-quiet", never(), &names(20), json!({})).await;
    let of_settled = || env.audit(|r| r.name.starts_with("app-"));
    let before = of_settled();
    env.control.clear_calls().await.unwrap();
    env.operator().start().unwrap();
    env.until_metric("apps", &[("ready", "true")], |count| count == 20.0).await;
    // The one that comes last has its turn after all that were there.
    env.create("new", json!({"suspend": true})).await;
    let suspended = async || {
        let synced = env.condition("new", ConditionType::Synced).await;
        synced.is_some_and(|synced| synced.reason == "Suspended")
    };
    env.until("it is looked at", suspended).await;
    assert_eq!(env.operator().stop().unwrap().code(), Some(0));
    assert_eq!((of_settled(), env.app_calls().await), (before, 0));
}

#[tokio::test]
async fn rotation_due_during_downtime_is_done_at_the_start() {
    let rotating = json!({"rotation": {"interval": "720h", "overlap": "48h"}});
    let env = killed_when_settled("restart-due", never(), &names(2), rotating).await;
    let (_, first) = env.credential("app-0").await.unwrap();
    // As both are after so long an absence.
    let (rotated, due) = ("2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z");
    let annotation = json!({"metadata": {"annotations": {"oauth-apps.dev/rotated-at": rotated}}});
    env.secrets().patch("app-0", &PatchParams::default(), &Patch::Merge(annotation)).await.unwrap();
    let status = Patch::Merge(json!({"status": {"rotation": {"rotatedAt": rotated, "nextAt": due}}}));
    env.apps().patch_status("app-0", &PatchParams::default(), &status).await.unwrap();
    env.operator().start().unwrap();
    let rotated = async || env.credential("app-0").await.unwrap().1 != first;
    env.until("the secret is rotated", rotated).await;
    env.assert_credential_works("app-0").await;
}

#[tokio::test]
async fn a_previous_secret_that_ends_after_a_restart_is_removed_when_it_does() {
    let rotating = json!({"rotation": {"interval": "720h", "overlap": "20s"}});
    let env = killed_when_settled("restart-expiry", never(), &names(1), rotating).await;
    env.operator().start().unwrap();
    env.annotate("app-0", "oauth-apps.dev/rotate-requested-at", "now").await;
    let handled = async || env.app("app-0").await.status.unwrap().last_handled_rotate_at.as_deref() == Some("now");
    env.until("the secret is rotated", handled).await;
    env.until_ready("app-0").await;
    env.operator().kill().unwrap();
    assert!(env.value("app-0-rotation", "previous").await.is_some(), "it ended before the restart");
    env.operator().start().unwrap();
    let ended = async || env.value("app-0-rotation", "previous").await.is_none();
    env.until("the previous secret is removed", ended).await;
}

#[tokio::test]
async fn connection_changed_during_downtime_has_its_apps_reconciled() {
    let env = killed_when_settled("restart-grant", never(), &names(3), json!({})).await;
    let mut connection = never();
    connection["grants"] = json!([]);
    env.connect(connection).await;
    env.operator().start().unwrap();
    for name in names(3) {
        env.until_stalled(&name, "NotGranted").await;
    }
}

#[tokio::test]
async fn drift_during_downtime_is_corrected_within_the_interval() {
    let env = killed_when_settled("restart-by-hand", json!({"resyncInterval": "10s"}), &names(2), json!({})).await;
    let (flavor, id) = (env.flavor, env.credential("app-0").await.unwrap().0);
    let fields = json!({"description": "by hand"}).as_object().unwrap().clone();
    env.control.human(Human::Edit { flavor, id: id.clone(), fields }).await.unwrap();
    let deleted = env.credential("app-1").await;
    env.secrets().delete("app-1", &DeleteParams::default()).await.unwrap();
    env.operator().start().unwrap();
    let shown = async || env.remote_app(&id).await.unwrap().fields["description"].clone();
    env.until("the app is corrected", async || shown().await == "Nightly").await;
    let renewed = async || env.credential("app-1").await.is_some_and(|now| Some(&now) != deleted.as_ref());
    env.until("the Secret is written again", renewed).await;
    env.assert_credential_works("app-1").await;
}

#[tokio::test]
async fn a_credential_is_checked_within_its_interval_after_a_restart_too() {
    let often = json!({"resyncInterval": "10000h", "credentialCheckInterval": "5s"});
    let env = killed_when_settled("restart-check", often, &names(1), json!({})).await;
    let verified = async || env.app("app-0").await.status?.rotation?.verified_at;
    let before = verified().await;
    env.operator().start().unwrap();
    env.until("a token was asked for", async || verified().await > before).await;
}
