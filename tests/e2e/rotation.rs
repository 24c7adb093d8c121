//! The Secret over the life of an app: rotation, moving, provided and edited values. Consumers are never cut off.

use crate::availability::Consumers;
use crate::env::TenantEnv;
use iam_simulator::types::{Action, Fault, Flavor, Human, Operation};
use k8s_openapi::ByteString;
use kube::api::{Patch, PatchParams};
use oauth_app_operator::crd::{ConditionStatus, ConditionType};
use serde_json::{Value, json};

const ROTATE: &str = "oauth-apps.dev/rotate-requested-at";
const RETIRE: &str = "oauth-apps.dev/retire-previous-at";

async fn ready(namespace: &str, flavor: Flavor, spec: Value) -> TenantEnv {
    let env = TenantEnv::running(namespace, flavor).await;
    env.create("billing", spec).await;
    env.until_ready("billing").await;
    env
}

#[tokio::test]
async fn a_requested_rotation_keeps_the_previous_secret_until_it_expires() {
    for (namespace, flavor) in [("rotate-csp", Flavor::Csp), ("rotate-cpn", Flavor::Cpn)] {
        let spec = json!({"rotation": {"interval": "720h", "overlap": "4s"}});
        let env = ready(namespace, flavor, spec).await;
        let (id, first) = env.credential("billing").await.unwrap();
        env.annotate("billing", ROTATE, "now").await;
        env.until_rotated("billing", "now").await;
        let (_, second) = env.credential("billing").await.unwrap();
        assert_ne!(second, first);
        env.assert_credential_works("billing").await;
        let status = env.app("billing").await.status.unwrap().rotation.unwrap();
        assert_eq!(status.revision, Some(2));
        assert!(status.next_at.is_some() && status.rotated_at.is_some());
        env.until("the previous secret is removed, and its Secret with it", async || {
            env.secret("billing-rotation").await.is_none()
        })
        .await;
        let refused = async || env.control.token(flavor, &env.org, &id, &first).await.is_err();
        env.until("the API no longer takes it either", refused).await;
        assert_eq!(env.calls(Operation::RotateSecret).await, 1);
    }
}

#[tokio::test]
async fn a_requested_rotation_ends_the_overlap_before_it_where_the_api_can() {
    for (namespace, flavor) in [("rotate-again-csp", Flavor::Csp), ("rotate-again-broker", Flavor::Broker)] {
        let env = ready(namespace, flavor, json!({"rotation": {"interval": "720h", "overlap": "48h"}})).await;
        let (id, first) = env.credential("billing").await.unwrap();
        env.annotate("billing", ROTATE, "one").await;
        env.until_rotated("billing", "one").await;
        let (_, second) = env.credential("billing").await.unwrap();
        env.annotate("billing", ROTATE, "two").await;
        env.until_rotated("billing", "two").await;
        let (_, third) = env.credential("billing").await.unwrap();
        for valid in [&second, &third] {
            assert!(env.control.token(flavor, &env.org, &id, valid).await.is_ok(), "{flavor:?}: in the new overlap");
        }
        assert!(third != second && env.control.token(flavor, &env.org, &id, &first).await.is_err(), "it has ended");
        assert_eq!(env.value("billing-rotation", "previous").await, Some(second), "{flavor:?}");
    }
}

#[tokio::test]
async fn an_overlap_is_ended_early_by_an_annotation() {
    for (namespace, flavor) in [("retire-csp", Flavor::Csp), ("retire-broker", Flavor::Broker)] {
        let env = ready(namespace, flavor, json!({"rotation": {"overlap": "48h"}})).await;
        let (id, first) = env.credential("billing").await.unwrap();
        env.annotate("billing", ROTATE, "now").await;
        env.until_rotated("billing", "now").await;
        env.annotate("billing", RETIRE, "now").await;
        env.until_retired("billing", "now").await;
        assert!(env.control.token(flavor, &env.org, &id, &first).await.is_err(), "{flavor:?}: it has ended");
        env.assert_credential_works("billing").await;
        env.until("nothing is kept of it", async || env.secret("billing-rotation").await.is_none()).await;
        let rotation = env.app("billing").await.status.unwrap().rotation.unwrap();
        assert_eq!(rotation.previous_expires_at, None, "{flavor:?}");
        env.until("an Event says so", async || env.notes("billing", "PreviousRetired").len() == 1).await;
        assert_eq!(env.calls(Operation::EndOverlap).await, 1, "{flavor:?}");
    }
}

#[tokio::test]
async fn an_end_whose_response_was_lost_and_that_is_then_refused_is_confirmed_by_a_token_request() {
    let env = ready("retire-lost", Flavor::Csp, json!({"rotation": {"overlap": "48h"}})).await;
    let (id, first) = env.credential("billing").await.unwrap();
    env.annotate("billing", ROTATE, "now").await;
    env.until_rotated("billing", "now").await;
    let refused = Action::Status { status: 400, message: "no secret rotation is in progress".into(), performed: false };
    for fault in [Fault::once(Action::ResponseLost), Fault::once(refused)] {
        env.control.fault(fault.on(Operation::EndOverlap)).await.unwrap();
    }
    env.annotate("billing", RETIRE, "now").await;
    env.until_retired("billing", "now").await;
    // Lost, refused, and asked again when a second refusal of the previous secret could confirm that it has ended.
    assert_eq!(env.calls(Operation::EndOverlap).await, 3);
    assert!(env.control.token(env.flavor, &env.org, &id, &first).await.is_err(), "it has ended");
    assert_eq!(env.app("billing").await.status.unwrap().rotation.unwrap().previous_expires_at, None);
    env.until("an Event says so", async || env.notes("billing", "PreviousRetired").len() == 1).await;
    assert!(env.notes("billing", "PreviousNotRetired").is_empty());
}

#[tokio::test]
async fn an_overlap_that_cannot_be_ended_early_stays_and_an_event_says_so() {
    let env = ready("retire-cpn", Flavor::Cpn, json!({"rotation": {"overlap": "48h"}})).await;
    let (id, first) = env.credential("billing").await.unwrap();
    env.annotate("billing", ROTATE, "now").await;
    env.until_rotated("billing", "now").await;
    env.annotate("billing", RETIRE, "now").await;
    env.until_retired("billing", "now").await;
    assert!(env.control.token(env.flavor, &env.org, &id, &first).await.is_ok());
    let rotation = env.app("billing").await.status.unwrap().rotation.unwrap();
    assert!(rotation.previous_expires_at.is_some());
    env.until("an Event says so", async || env.notes("billing", "PreviousNotRetired").len() == 1).await;
}

#[tokio::test]
async fn requested_rotation_waits_for_the_previous_secret_and_reports_how_to_end_all_at_once() {
    let env = ready("rotate-waits", Flavor::Cpn, json!({"rotation": {"interval": "720h", "overlap": "48h"}})).await;
    let (id, first) = env.credential("billing").await.unwrap();
    env.annotate("billing", ROTATE, "one").await;
    env.until_rotated("billing", "one").await;
    let (_, second) = env.credential("billing").await.unwrap();
    env.annotate("billing", ROTATE, "two").await;
    let says = async || {
        let ready = env.condition("billing", ConditionType::Ready).await.unwrap();
        ready.message.contains("waits until the previous client secret expires")
    };
    env.until("status says that it waits", says).await;
    assert_eq!(env.credential("billing").await.unwrap().1, second);
    env.secrets().delete("billing", &Default::default()).await.unwrap();
    let renewed = async || env.credential("billing").await.is_some_and(|(_, third)| third != second);
    env.until("there is a new secret", renewed).await;
    env.assert_credential_works("billing").await;
    for former in [first, second] {
        assert!(env.control.token(env.flavor, &env.org, &id, &former).await.is_err(), "it has ended");
    }
    env.until_rotated("billing", "two").await;
}

#[tokio::test]
async fn a_rotation_changes_the_secret_that_consumers_use_once() {
    let env = TenantEnv::new("rotate-once", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"resyncInterval": "10m"})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({"rotation": {"overlap": "5s"}})).await;
    env.until_ready("billing").await;
    let token_url = env.value("billing", "token-url").await.unwrap();
    assert!(token_url.starts_with("https://"), "{token_url}");
    let (_, first) = env.credential("billing").await.unwrap();
    let writes = |name: &str| env.audit(|r| r.resource == "secrets" && r.is_write() && r.name == name).len();
    let before = writes("billing");
    env.annotate("billing", ROTATE, "now").await;
    env.until_rotated("billing", "now").await;
    env.until_ready("billing").await;
    assert_eq!(env.value("billing-rotation", "previous").await, Some(first));
    assert_eq!(env.value("billing-rotation", "pending").await, None);
    let gone = async || env.secret("billing-rotation").await.is_none();
    env.until("what the rotation needed is gone", gone).await;
    assert_eq!(writes("billing") - before, 1);
    let rotation = || env.audit(|r| r.resource == "secrets" && r.is_write() && r.name == "billing-rotation").len();
    env.until("four writes for the rest: staged, accepted, no longer pending, over", async || rotation() >= 4).await;
    assert_eq!(rotation(), 4);
}

#[tokio::test]
async fn a_rotation_that_is_due_happens_by_itself() {
    let env = ready("rotate-due", Flavor::Csp, json!({"rotation": {"interval": "720h", "overlap": "48h"}})).await;
    let (_, first) = env.credential("billing").await.unwrap();
    env.operator().kill().unwrap();
    let long_ago = json!({"metadata": {"annotations": {"oauth-apps.dev/rotated-at": "2026-01-01T00:00:00Z"}}});
    env.secrets().patch("billing", &PatchParams::default(), &Patch::Merge(long_ago)).await.unwrap();
    env.operator().start().unwrap();
    let rotated = async || env.credential("billing").await.unwrap().1 != first;
    env.until("the secret is rotated", rotated).await;
    assert_eq!(env.value("billing-rotation", "previous").await, Some(first));
    env.assert_credential_works("billing").await;
}

#[tokio::test]
async fn secret_restored_from_a_backup_is_repaired_by_a_requested_rotation() {
    let spec = json!({"rotation": {"interval": "720h", "overlap": "1s"}});
    let env = ready("set-back", Flavor::Csp, spec).await;
    let backup = env.secret("billing").await.unwrap();
    env.annotate("billing", ROTATE, "before the loss").await;
    env.until_rotated("billing", "before the loss").await;
    let (id, lost) = env.credential("billing").await.unwrap();
    let back = Patch::Merge(json!({"data": {"client-secret": backup.data.unwrap()["client-secret"]},
        "metadata": {"annotations": backup.metadata.annotations}}));
    env.operator().kill().unwrap();
    env.secrets().patch("billing", &PatchParams::default(), &back).await.unwrap();
    let (_, old) = env.credential("billing").await.unwrap();
    let refused = async || env.control.token(env.flavor, &env.org, &id, &old).await.is_err();
    env.until("the API no longer takes it", refused).await;
    env.operator().start().unwrap();
    env.annotate("billing", ROTATE, "after the loss").await;
    env.until_rotated("billing", "after the loss").await;
    let (_, new) = env.credential("billing").await.unwrap();
    assert!(new != old && new != lost);
    env.assert_credential_works("billing").await;
}

#[tokio::test]
async fn a_renamed_secret_moves_and_its_former_name_is_free() {
    let env = ready("renamed", Flavor::Csp, json!({})).await;
    let before = env.credential("billing").await;
    env.change("billing", json!({"secret": {"name": "other"}})).await;
    env.until("the former Secret is gone", async || env.secret("billing").await.is_none()).await;
    assert_eq!(env.credential("other").await, before);
    env.change("billing", json!({"secret": {"keys": {"clientId": "ID", "clientSecret": "KEY"}}})).await;
    env.until("the keys are others", async || env.value("other", "KEY").await == before.clone().map(|pair| pair.1))
        .await;
    assert_eq!(env.calls(Operation::UpdateApp).await, 0);
}

#[tokio::test]
async fn provided_secret_is_used_and_followed_and_needs_its_owners_consent() {
    let env = TenantEnv::running("provided", Flavor::Csp).await;
    env.provide_secret("mine", "Brought_secret_1").await;
    env.kubectl(&["label", "secret", "mine", "oauth-apps.dev/use-"]);
    env.create("billing", json!({"clientSecretRef": {"name": "mine", "key": "value"}})).await;
    let message = env.until_stalled("billing", "SecretRefInvalid").await;
    assert!(message.contains("lacks the label oauth-apps.dev/use"), "{message}");
    assert_eq!(env.app_calls().await, 0);
    env.provide_secret("mine", "Brought_secret_1").await;
    env.until_ready("billing").await;
    assert_eq!(env.credential("billing").await.unwrap().1, "Brought_secret_1");
    env.assert_credential_works("billing").await;
    env.provide_secret("mine", "Brought_secret_2").await;
    let followed = async || env.credential("billing").await.unwrap().1 == "Brought_secret_2";
    env.until("the Secret follows", followed).await;
    assert_eq!(env.value("billing-rotation", "previous").await.as_deref(), Some("Brought_secret_1"));
    env.assert_credential_works("billing").await;
}

#[tokio::test]
async fn leaked_provided_secret_is_set_again_until_it_is_replaced() {
    let env = TenantEnv::running("provided-leaked", Flavor::Csp).await;
    env.provide_secret("mine", "Brought_secret_1").await;
    env.create("billing", json!({"clientSecretRef": {"name": "mine", "key": "value"}})).await;
    env.until_ready("billing").await;
    let (id, first) = env.credential("billing").await.unwrap();
    env.annotate("billing", ROTATE, "now").await;
    env.until_rotated("billing", "now").await;
    let message = format!(
        "Set the client secret of app {id} to the value that Secret mine provides, and ended every other one. To rotate it, put a new value into Secret mine."
    );
    let events = async || env.kubectl(&["get", "events", "-o", "jsonpath={.items[*].message}{.items[*].note}"]);
    env.until("an Event says so", async || events().await.contains(&message)).await;
    assert_eq!(env.credential("billing").await.unwrap().1, first);
    env.assert_credential_works("billing").await;
    env.provide_secret("mine", "Brought_secret_2").await;
    env.secrets().delete("billing", &Default::default()).await.unwrap();
    let second = async || env.credential("billing").await.is_some_and(|(_, now)| now == "Brought_secret_2");
    env.until("the new value is published", second).await;
    let refused = async || env.control.token(Flavor::Csp, &env.org, &id, &first).await.is_err();
    env.until("the API no longer accepts the former one", refused).await;
    env.assert_credential_works("billing").await;
}

#[tokio::test]
async fn edited_value_is_reported_and_repaired_on_request() {
    let env = ready("tampered", Flavor::Csp, json!({})).await;
    let wrong = serde_json::to_value(ByteString(b"edited".to_vec())).unwrap();
    let edit = Patch::Merge(json!({"data": {"client-secret": wrong}}));
    env.secrets().patch("billing", &PatchParams::default(), &edit).await.unwrap();
    let message = env.until_stalled("billing", "SecretTampered").await;
    assert!(message.contains(ROTATE), "{message}");
    let published = env.condition("billing", ConditionType::SecretPublished).await.unwrap();
    assert_eq!((published.status, published.reason.as_str()), (ConditionStatus::False, "SecretTampered"));
    env.annotate("billing", ROTATE, "now").await;
    env.until_ready("billing").await;
    env.assert_credential_works("billing").await;
    assert_eq!(env.value("billing-rotation", "previous").await, None, "what was edited is not kept");
    let rotation = env.app("billing").await.status.unwrap().rotation.unwrap();
    assert!(rotation.previous_expires_at.is_some(), "what was published before the edit is valid for the overlap");
}

#[tokio::test]
async fn the_secret_of_an_adopted_app_is_a_previous_secret_with_an_end_though_nobody_knows_its_value() {
    let env = TenantEnv::running("adopted-rotates", Flavor::Csp).await;
    let existing = json!({"id": "existing", "displayName": "Billing export", "description": "Nightly",
        "grantTypes": ["client_credentials"], "allowedScopes": {}, "secret": "Made_in_the_console1"});
    let (flavor, org_id, fields) = (env.flavor, env.org.clone(), existing.as_object().unwrap().clone());
    env.control.human(Human::Create { flavor, org_id, fields }).await.unwrap();
    env.create("billing", json!({"id": "existing", "adoptionPolicy": "Adopt", "rotation": {"overlap": "48h"}})).await;
    env.until_stalled("billing", "SecretUnknown").await;
    env.annotate("billing", ROTATE, "one").await;
    env.until_ready("billing").await;
    env.assert_credential_works("billing").await;
    let rotation = env.app("billing").await.status.unwrap().rotation.unwrap();
    let (rotated_at, expires_at) = (rotation.rotated_at.unwrap().0, rotation.previous_expires_at.unwrap().0);
    let overlap = expires_at.duration_since(rotated_at).as_secs();
    assert!((48 * 3600 - 120..=48 * 3600).contains(&overlap), "{overlap}");
    assert_eq!(env.value("billing-rotation", "previous").await, None);
    let former = env.control.token(flavor, &env.org, "existing", "Made_in_the_console1").await;
    assert!(former.is_ok(), "{former:?}");
    env.annotate("billing", ROTATE, "two").await;
    let waits = async || {
        let ready = env.condition("billing", ConditionType::Ready).await.unwrap();
        ready.status == ConditionStatus::True
            && ready.message.contains("waits until the previous client secret expires")
    };
    env.until("status says that the next rotation waits", waits).await;
    assert_eq!(env.calls(Operation::RotateSecret).await, 1, "none is sent that the API would refuse");
}

#[tokio::test]
async fn a_secret_that_somebody_made_immutable_stays_ready_and_is_replaced_when_it_must_change() {
    let env = ready("immutable", Flavor::Csp, json!({})).await;
    env.secrets().patch("billing", &PatchParams::default(), &Patch::Merge(json!({"immutable": true}))).await.unwrap();
    let before = env.credential("billing").await.unwrap();
    env.change("billing", json!({"secret": {"keys": {"clientId": "ID"}}})).await;
    let moved = async || env.value("billing", "ID").await.as_deref() == Some(before.0.as_str());
    env.until("the renamed key is there", moved).await;
    assert_eq!(env.value("billing", "client-secret").await, Some(before.1), "with the same secret");
    env.until_ready("billing").await;
}

#[tokio::test]
async fn killed_while_it_rotates_thirty_apps_of_cloud_services_no_consumer_is_cut_off() {
    killed_while_it_rotates("kill-rotate-csp", Flavor::Csp).await;
}

#[tokio::test]
async fn killed_while_it_rotates_thirty_apps_of_the_identity_broker_no_consumer_is_cut_off() {
    killed_while_it_rotates("kill-rotate-broker", Flavor::Broker).await;
}

async fn killed_while_it_rotates(namespace: &str, flavor: Flavor) {
    let env = TenantEnv::running(namespace, flavor).await;
    let names: Vec<String> = (0..30).map(|n| format!("app-{n}")).collect();
    for name in &names {
        env.create(name, json!({"rotation": {"interval": "720h", "overlap": "48h"}})).await;
    }
    for name in &names {
        env.until_ready(name).await;
    }
    let latency = iam_simulator::types::Action::Latency { ms: 50 };
    let slow = iam_simulator::types::Fault::always(latency).on(Operation::RotateSecret);
    env.control.fault(slow).await.unwrap();
    let consumers = Consumers::of(&env, &names);
    for name in &names {
        env.annotate(name, ROTATE, "now").await;
    }
    env.kill_repeatedly(12, 50..400).await;
    for name in &names {
        env.until_rotated(name, "now").await;
        env.until_ready(name).await;
    }
    let records = consumers.end().await;
    let refusals: Vec<_> = records.values().flat_map(|record| &record.refusals).collect();
    assert!(refusals.is_empty(), "consumers were cut off: {refusals:?}");
    for name in &names {
        env.assert_credential_works(name).await;
        let (id, _) = env.credential(name).await.unwrap();
        assert_eq!(env.remote_app(&id).await.unwrap().secret_changes, 1, "{name} is rotated once");
    }
    println!(
        "12 kills, {} tokens asked for by consumers, none refused",
        records.values().map(|record| record.asked).sum::<usize>()
    );
}
