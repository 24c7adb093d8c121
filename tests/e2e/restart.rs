//! A restart looks at what changed while nobody watched, and at nothing else.

use crate::world::World;
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

/// A world with these settled apps, whose operator was killed after it had looked at their connection.
async fn killed_when_settled(namespace: &str, connection: Value, names: &[String], spec: Value) -> World {
    let world = World::new(namespace, Flavor::Csp).await;
    world.give_credentials().await;
    world.connect(connection).await;
    world.operator().start();
    for name in names {
        world.create(name, spec.clone()).await;
    }
    for name in names {
        world.until_ready(name).await;
    }
    world.until_connection("Ready", "True", "Provisioned").await;
    world.until("the Events", async || world.audit(|r| r.resource == "events").len() == names.len()).await;
    world.operator().kill();
    world
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("app-{n}")).collect()
}

/// The Secrets that the operator read, each as often as it did.
fn read_secrets(world: &World) -> Vec<String> {
    let read = world.audit(|r| r.resource == "secrets" && r.verb == "get").into_iter().map(|r| r.name);
    // Each is read with the one of its rotation.
    read.filter(|name| !name.ends_with("-rotation")).collect()
}

#[tokio::test]
async fn two_hundred_settled_apps_cost_a_restarted_operator_nothing_and_what_changed_is_looked_at() {
    let world = killed_when_settled("restart-many", never(), &names(200), json!({})).await;
    let before = read_secrets(&world).len();
    let writes = world.audit(AuditRecord::is_write).len();
    world.control.clear_calls().await.unwrap();
    world.change("app-0", json!({"description": "Daily"})).await;
    world.annotate("app-1", "oauth-apps.dev/reconcile-requested-at", "now").await;
    world.delete("app-2").await;
    world.create("new", json!({})).await;
    world.operator().start();
    world.until_gone("app-2").await;
    world.until_ready("new").await;
    let status = async |name: &str| world.app(name).await.status.unwrap();
    world.until("the change is made", async || status("app-0").await.observed_generation == Some(2)).await;
    let echoed = async || status("app-1").await.last_handled_reconcile_at.as_deref() == Some("now");
    world.until("the request is echoed", echoed).await;
    assert_eq!(world.operator().stop().code(), Some(0), "what was begun is ended");
    let read: BTreeSet<_> = read_secrets(&world).split_off(before).into_iter().collect();
    assert_eq!(read, ["app-0", "app-1", "app-2", "new"].map(str::to_owned).into());
    let stats = world.control.stats().await.unwrap();
    println!("{:?}, {} writes", stats.by_operation, world.audit(AuditRecord::is_write).len() - writes);
    assert_eq!((world.calls(Operation::CreateApp).await, world.calls(Operation::UpdateApp).await), (1, 1), "{stats:?}");
}

#[tokio::test]
async fn settled_apps_cost_a_restarted_operator_neither_a_call_nor_a_write() {
    let world = killed_when_settled("restart-quiet", never(), &names(20), json!({})).await;
    let of_settled = || world.audit(|r| r.name.starts_with("app-"));
    let before = of_settled();
    world.control.clear_calls().await.unwrap();
    world.operator().start();
    world.until_metric("apps", &[("ready", "true")], |count| count == 20.0).await;
    // The one that comes last has its turn after all that were there.
    world.create("new", json!({"suspend": true})).await;
    let suspended = async || {
        let synced = world.condition("new", ConditionType::Synced).await;
        synced.is_some_and(|synced| synced.reason == "Suspended")
    };
    world.until("it is looked at", suspended).await;
    assert_eq!(world.operator().stop().code(), Some(0));
    assert_eq!((of_settled(), world.app_calls().await), (before, 0));
}

#[tokio::test]
async fn a_rotation_that_came_due_while_nobody_watched_is_done_at_the_start() {
    let rotating = json!({"rotation": {"interval": "720h", "overlap": "48h"}});
    let world = killed_when_settled("restart-due", never(), &names(2), rotating).await;
    let (_, first) = world.credential("app-0").await.unwrap();
    // As both are after so long an absence.
    let (rotated, due) = ("2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z");
    let annotation = json!({"metadata": {"annotations": {"oauth-apps.dev/rotated-at": rotated}}});
    world.secrets().patch("app-0", &PatchParams::default(), &Patch::Merge(annotation)).await.unwrap();
    let status = Patch::Merge(json!({"status": {"rotation": {"rotatedAt": rotated, "nextAt": due}}}));
    world.apps().patch_status("app-0", &PatchParams::default(), &status).await.unwrap();
    world.operator().start();
    let rotated = async || world.credential("app-0").await.unwrap().1 != first;
    world.until("the secret is rotated", rotated).await;
    world.assert_credential_works("app-0").await;
}

#[tokio::test]
async fn a_previous_secret_that_ends_after_a_restart_is_removed_when_it_does() {
    let rotating = json!({"rotation": {"interval": "720h", "overlap": "20s"}});
    let world = killed_when_settled("restart-expiry", never(), &names(1), rotating).await;
    world.operator().start();
    world.annotate("app-0", "oauth-apps.dev/rotate-requested-at", "now").await;
    let handled = async || world.app("app-0").await.status.unwrap().last_handled_rotate_at.as_deref() == Some("now");
    world.until("the secret is rotated", handled).await;
    world.until_ready("app-0").await;
    world.operator().kill();
    assert!(world.value("app-0-rotation", "previous").await.is_some(), "it ended before the restart");
    world.operator().start();
    let ended = async || world.value("app-0-rotation", "previous").await.is_none();
    world.until("the previous secret is removed", ended).await;
}

#[tokio::test]
async fn a_connection_that_changed_while_nobody_watched_has_its_apps_looked_at() {
    let world = killed_when_settled("restart-grant", never(), &names(3), json!({})).await;
    let mut connection = never();
    connection["grants"] = json!([]);
    world.connect(connection).await;
    world.operator().start();
    for name in names(3) {
        world.until_stalled(&name, "NotGranted").await;
    }
}

#[tokio::test]
async fn what_was_changed_by_hand_while_nobody_watched_is_put_back_within_the_interval() {
    let world = killed_when_settled("restart-by-hand", json!({"resyncInterval": "10s"}), &names(2), json!({})).await;
    let (flavor, id) = (world.flavor, world.credential("app-0").await.unwrap().0);
    let fields = json!({"description": "by hand"}).as_object().unwrap().clone();
    world.control.human(Human::Edit { flavor, id: id.clone(), fields }).await.unwrap();
    let deleted = world.credential("app-1").await;
    world.secrets().delete("app-1", &DeleteParams::default()).await.unwrap();
    world.operator().start();
    let shown = async || world.remote_app(&id).await.unwrap().fields["description"].clone();
    world.until("the app is corrected", async || shown().await == "Nightly").await;
    let renewed = async || world.credential("app-1").await.is_some_and(|now| Some(&now) != deleted.as_ref());
    world.until("the Secret is written again", renewed).await;
    world.assert_credential_works("app-1").await;
}

#[tokio::test]
async fn a_credential_is_checked_within_its_interval_after_a_restart_too() {
    let often = json!({"resyncInterval": "10000h", "credentialCheckInterval": "5s"});
    let world = killed_when_settled("restart-check", often, &names(1), json!({})).await;
    let verified = async || world.app("app-0").await.status?.rotation?.verified_at;
    let before = verified().await;
    world.operator().start();
    world.until("a token was asked for", async || verified().await > before).await;
}
