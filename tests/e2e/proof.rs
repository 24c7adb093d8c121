//! Ready means that the API issues tokens for what the Secret holds: after it was published, after somebody touched the app in
//! the console, and from time to time.

use crate::env::{EACH, TenantEnv};
use iam_simulator::types::{Action, CallFilter, Fault, Flavor, Human, Operation, Replication, Target};
use oauth_app_operator::crd::{ConditionStatus, ConditionType};
use serde_json::json;

#[tokio::test]
async fn a_secret_is_published_at_once_and_ready_follows_once_the_api_issues_a_token_for_it() {
    for (name, flavor) in EACH {
        let env = TenantEnv::running(&format!("proof-{name}"), flavor).await;
        let late = Replication { tokens_ms: 4000, ..Replication::default() };
        env.control.set(|settings| settings.replication = late).await.unwrap();
        env.create("billing", json!({})).await;
        let said = env.until_reason("billing", ConditionType::Reconciling, "SecretNotProven").await;
        assert!(said.contains("client secret in Secret billing yet"), "{said}");
        assert!(env.credential("billing").await.is_some(), "{flavor:?}: consumers need not wait for the proof");
        env.until_ready("billing").await;
        env.assert_credential_works("billing").await;
        let rotation = env.app("billing").await.status.unwrap().rotation.unwrap();
        assert_eq!(rotation.verified_revision, Some(1), "{flavor:?}");
        assert!(rotation.verified_at.is_some(), "{flavor:?}");
        assert_eq!(
            env.notes("billing", "Created").len(),
            1,
            "{flavor:?}: what was done is reported though it was not Ready yet"
        );
    }
}

#[tokio::test]
async fn secret_regenerated_in_the_console_is_rotated_or_under_observe_reported() {
    for (name, flavor) in EACH {
        let env = TenantEnv::running(&format!("console-{name}"), flavor).await;
        env.create("full", json!({})).await;
        env.create("observed", json!({})).await;
        for app in ["full", "observed"] {
            env.until_ready(app).await;
        }
        env.change("observed", json!({"managementPolicy": "Observe"})).await;
        for app in ["full", "observed"] {
            let (id, _) = env.credential(app).await.unwrap();
            env.control.human(Human::Regenerate { flavor, id }).await.unwrap();
            env.annotate(app, "oauth-apps.dev/reconcile-requested-at", "now").await;
        }
        let (_, before) = env.credential("full").await.unwrap();
        env.until("the secret is rotated", async || env.credential("full").await.unwrap().1 != before).await;
        env.assert_credential_works("full").await;
        env.until_ready("full").await;
        let is_reported = async || {
            let ready = env.condition("observed", ConditionType::Ready).await.unwrap();
            ready.status == ConditionStatus::False && ready.reason == "CredentialRefused"
        };
        env.until("it is reported", is_reported).await;
        let has_event = async |app, reason| env.notes(app, reason).len() == 1;
        env.until("an Event reports it", async || has_event("observed", "CredentialRefused").await).await;
        env.until("an Event reports why it was rotated", async || has_event("full", "SecretNotProven").await).await;
        assert_eq!(env.calls(Operation::RotateSecret).await, 1, "{flavor:?}");
        assert_eq!(env.calls(Operation::UpdateApp).await, 0, "{flavor:?}: nothing is replaced");
    }
}

#[tokio::test]
async fn one_false_refusal_of_a_token_replaces_nothing() {
    let env = TenantEnv::new("proof-false", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"credentialCheckInterval": "2s"})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let before = env.credential("billing").await;
    let id = before.clone().unwrap().0;
    let denied = Fault::once(Action::refused(401)).on(Operation::Token).client(&id);
    env.control.fault(denied).await.unwrap();
    let on = Target { operation: Some(Operation::Token), ..Target::default() };
    let asked = async |status| {
        let calls = env.control.calls(&CallFilter { on: on.clone(), ..CallFilter::default() }).await.unwrap();
        calls.iter().filter(|call| call.status == Some(status)).count()
    };
    env.until("it was refused once", async || asked(401).await == 1).await;
    let accepted = asked(200).await;
    env.until("and accepted afterwards", async || asked(200).await > accepted).await;
    env.until_ready("billing").await;
    assert_eq!(env.credential("billing").await, before);
    assert_eq!(env.calls(Operation::RotateSecret).await, 0);
}

#[tokio::test]
async fn first_refusal_of_a_token_is_reported_and_keeps_ready() {
    let env = TenantEnv::new("proof-first", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"credentialCheckInterval": "2s"})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let (id, _) = env.credential("billing").await.unwrap();
    // For less than the minute after which a refusal counts.
    let denied = Fault::always(Action::refused(401)).on(Operation::Token).client(&id);
    env.control.fault(denied).await.unwrap();
    let said = env.until_reason("billing", ConditionType::Reconciling, "SecretNotProven").await;
    assert_eq!(said, "the API refused the client secret in Secret billing once; it is asked again within a minute");
    assert_eq!(env.condition("billing", ConditionType::Ready).await.unwrap().status, ConditionStatus::True);
    env.control.clear_faults().await.unwrap();
    let is_over = async || {
        let reconciling = env.condition("billing", ConditionType::Reconciling).await.unwrap();
        reconciling.status == ConditionStatus::False
    };
    env.until("a token was issued", is_over).await;
    env.until_ready("billing").await;
    assert_eq!(env.calls(Operation::RotateSecret).await, 0);
}
