//! An API that shows and knows late what it accepted, or denies an app once: nothing is sent twice, and consumers keep a
//! credential that works.

use crate::env::{EACH, TenantEnv};
use iam_simulator::types::{Action, Fault, Flavor, Operation, Replication};
use oauth_app_operator::crd::ConditionType;
use serde_json::json;

const RECONCILE: &str = "oauth-apps.dev/reconcile-requested-at";
const ROTATE: &str = "oauth-apps.dev/rotate-requested-at";
const LAG_MS: u64 = 4000;

async fn ready(namespace: &str, flavor: Flavor) -> TenantEnv {
    let env = TenantEnv::running(namespace, flavor).await;
    env.create("billing", json!({"rotation": {"overlap": "48h"}})).await;
    env.until_ready("billing").await;
    env
}

async fn lag(env: &TenantEnv) {
    let all = Replication { reads_ms: LAG_MS, lists_ms: LAG_MS, tokens_ms: LAG_MS };
    env.control.set(|settings| settings.replication = all).await.unwrap();
}

#[tokio::test]
async fn one_false_404_replaces_no_secret_that_consumers_use() {
    for (name, flavor) in EACH {
        let env = ready(&format!("false-404-{name}"), flavor).await;
        let before = env.credential("billing").await;
        let denied = Fault::once(Action::refused(404)).on(Operation::GetApp).flavor(flavor);
        env.control.fault(denied).await.unwrap();
        env.annotate("billing", RECONCILE, "1").await;
        env.until_reason("billing", ConditionType::Reconciling, "AppNotShown").await;
        let handled =
            async || env.app("billing").await.status.unwrap().last_handled_reconcile_at.as_deref() == Some("1");
        env.until("it is looked at again", handled).await;
        env.until_ready("billing").await;
        assert_eq!(env.credential("billing").await, before, "{flavor:?}");
        env.assert_credential_works("billing").await;
        for write in [Operation::UpdateApp, Operation::RotateSecret, Operation::RegenerateSecret] {
            assert_eq!(env.calls(write).await, 0, "{flavor:?} {write:?}");
        }
        assert_eq!(env.calls(Operation::CreateApp).await, 1, "{flavor:?}");
    }
}

/// Cloud Partner Navigator takes a second rotation, which retires the secret that consumers use.
#[tokio::test]
async fn a_rotation_is_sent_once_however_late_the_api_knows_it_and_consumers_are_served_meanwhile() {
    for (name, flavor) in EACH {
        let env = ready(&format!("lag-rotate-{name}"), flavor).await;
        let (_, first) = env.credential("billing").await.unwrap();
        lag(&env).await;
        env.annotate("billing", ROTATE, "1").await;
        let rotated = async || {
            env.assert_credential_works("billing").await;
            env.credential("billing").await.unwrap().1 != first
        };
        env.until("the new secret is published", rotated).await;
        env.assert_credential_works("billing").await;
        env.until_ready("billing").await;
        assert_eq!(env.calls(Operation::RotateSecret).await, 1, "{flavor:?}");
    }
}

#[tokio::test]
async fn a_rotation_that_was_sent_before_the_operator_was_killed_is_not_sent_again_while_the_api_may_not_know_it() {
    let env = ready("lag-kill", Flavor::Cpn).await;
    let (_, first) = env.credential("billing").await.unwrap();
    lag(&env).await;
    let lost = Fault::once(Action::ResponseLost).on(Operation::RotateSecret);
    env.control.fault(lost).await.unwrap();
    env.annotate("billing", ROTATE, "1").await;
    env.until("it is sent", async || env.calls(Operation::RotateSecret).await == 1).await;
    env.operator().kill().unwrap();
    env.operator().start().unwrap();
    let rotated = async || {
        env.assert_credential_works("billing").await;
        env.credential("billing").await.unwrap().1 != first
    };
    env.until("the new secret is published", rotated).await;
    env.assert_credential_works("billing").await;
    assert_eq!(env.calls(Operation::RotateSecret).await, 1);
}

#[tokio::test]
async fn a_change_that_is_shown_late_is_one_patch() {
    for (name, flavor) in EACH {
        let env = ready(&format!("lag-change-{name}"), flavor).await;
        lag(&env).await;
        env.change("billing", json!({"description": "Daily"})).await;
        let synced = async || {
            let synced = env.condition("billing", ConditionType::Synced).await.unwrap();
            synced.observed_generation == Some(2) && synced.reason == "Provisioned"
        };
        env.until("the change is shown", synced).await;
        assert_eq!(env.calls(Operation::UpdateApp).await, 1, "{flavor:?}");
    }
}
