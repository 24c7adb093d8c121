//! Ready means that the API issues tokens for what the Secret holds: after it was published, after somebody touched the app in
//! the console, and from time to time.

use crate::world::World;
use iam_simulator::types::{Action, CallFilter, Fault, Flavor, Human, Operation, Replication, Target};
use oauth_app_operator::crd::{ConditionStatus, ConditionType};
use serde_json::json;

const BOTH: [(&str, Flavor); 2] = [("csp", Flavor::Csp), ("cpn", Flavor::Cpn)];

#[tokio::test]
async fn a_secret_is_published_at_once_and_ready_follows_once_the_api_issues_a_token_for_it() {
    for (name, flavor) in BOTH {
        let world = World::running(&format!("proof-{name}"), flavor).await;
        let late = Replication { tokens_ms: 4000, ..Replication::default() };
        world.control.set(|settings| settings.replication = late).await.unwrap();
        world.create("billing", json!({})).await;
        let said = world.until_reason("billing", ConditionType::Reconciling, "SecretNotProven").await;
        assert!(said.contains("client secret in Secret billing yet"), "{said}");
        assert!(world.credential("billing").await.is_some(), "{flavor:?}: consumers need not wait for the proof");
        world.until_ready("billing").await;
        world.assert_credential_works("billing").await;
        let rotation = world.app("billing").await.status.unwrap().rotation.unwrap();
        assert_eq!(rotation.verified_revision, Some(1), "{flavor:?}");
        assert!(rotation.verified_at.is_some(), "{flavor:?}");
    }
}

#[tokio::test]
async fn a_secret_that_was_regenerated_in_the_console_is_rotated_by_itself_and_told_where_the_operator_observes() {
    for (name, flavor) in BOTH {
        let world = World::running(&format!("console-{name}"), flavor).await;
        world.create("full", json!({})).await;
        world.create("observed", json!({})).await;
        for app in ["full", "observed"] {
            world.until_ready(app).await;
        }
        world.change("observed", json!({"managementPolicy": "Observe"})).await;
        for app in ["full", "observed"] {
            let (id, _) = world.credential(app).await.unwrap();
            world.control.human(Human::Regenerate { flavor, id }).await.unwrap();
            world.annotate(app, "oauth-apps.dev/reconcile-requested-at", "now").await;
        }
        let (_, before) = world.credential("full").await.unwrap();
        world.until("the secret is rotated", async || world.credential("full").await.unwrap().1 != before).await;
        world.assert_credential_works("full").await;
        world.until_ready("full").await;
        let is_told = async || {
            let ready = world.condition("observed", ConditionType::Ready).await.unwrap();
            ready.status == ConditionStatus::False && ready.reason == "CredentialRefused"
        };
        world.until("it is told", is_told).await;
        let has_event = async |app, reason| world.notes(app, reason).len() == 1;
        world.until("an Event tells it", async || has_event("observed", "CredentialRefused").await).await;
        world.until("an Event told why it was rotated", async || has_event("full", "SecretNotProven").await).await;
        assert_eq!(world.calls(Operation::RotateSecret).await, 1, "{flavor:?}");
        assert_eq!(world.calls(Operation::UpdateApp).await, 0, "{flavor:?}: nothing is replaced");
    }
}

#[tokio::test]
async fn one_false_refusal_of_a_token_replaces_nothing() {
    let world = World::new("proof-false", Flavor::Csp).await;
    world.give_credentials().await;
    world.connect(json!({"credentialCheckInterval": "2s"})).await;
    world.operator().start();
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    let before = world.credential("billing").await;
    let id = before.clone().unwrap().0;
    let denied = Fault::once(Action::refused(401)).on(Operation::Token).client(&id);
    world.control.fault(denied).await.unwrap();
    let on = Target { operation: Some(Operation::Token), ..Target::default() };
    let asked = async |status| {
        let calls = world.control.calls(&CallFilter { on: on.clone(), ..CallFilter::default() }).await.unwrap();
        calls.iter().filter(|call| call.status == Some(status)).count()
    };
    world.until("it was refused once", async || asked(401).await == 1).await;
    let accepted = asked(200).await;
    world.until("and accepted afterwards", async || asked(200).await > accepted).await;
    world.until_ready("billing").await;
    assert_eq!(world.credential("billing").await, before);
    assert_eq!(world.calls(Operation::RotateSecret).await, 0);
}

#[tokio::test]
async fn a_first_refusal_is_said_and_leaves_ready_as_it_is() {
    let world = World::new("proof-first", Flavor::Csp).await;
    world.give_credentials().await;
    world.connect(json!({"credentialCheckInterval": "2s"})).await;
    world.operator().start();
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    let (id, _) = world.credential("billing").await.unwrap();
    // For less than the minute after which a refusal counts.
    let denied = Fault::always(Action::refused(401)).on(Operation::Token).client(&id);
    world.control.fault(denied).await.unwrap();
    let said = world.until_reason("billing", ConditionType::Reconciling, "SecretNotProven").await;
    assert_eq!(said, "The API refused the client secret in Secret billing once; it is asked again in a minute.");
    assert_eq!(world.condition("billing", ConditionType::Ready).await.unwrap().status, ConditionStatus::True);
    world.control.clear_faults().await.unwrap();
    let is_over = async || {
        let reconciling = world.condition("billing", ConditionType::Reconciling).await.unwrap();
        reconciling.status == ConditionStatus::False
    };
    world.until("a token was issued", is_over).await;
    world.until_ready("billing").await;
    assert_eq!(world.calls(Operation::RotateSecret).await, 0);
}
