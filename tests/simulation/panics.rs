//! The operator itself fails in a reconcile: its resource says so, all others are served, and it is tried again.

use crate::env::TestEnv;
use kube::ResourceExt;
use oauth_app_operator::crd::{ConditionStatus, ConditionType};
use oauth_app_operator::outcome::Outcome;
use oauth_app_operator::reason::Reason;
use serde_json::json;

/// One reconcile of each resource, with one operator: what they ended with.
async fn reconcile_all(env: &TestEnv) -> Vec<(String, bool)> {
    let operator = env.start();
    let mut ended = Vec::new();
    for app in env.resources() {
        let outcome = operator.reconcile_catching_panics(&app.clone().into()).await.unwrap();
        let failed = matches!(outcome, Outcome::Blocked(blocked) if blocked.reason == Reason::InternalError);
        ended.push((app.name_any(), failed));
    }
    ended
}

#[tokio::test(start_paused = true)]
async fn panic_in_one_reconcile_is_reported_in_its_status_and_the_others_are_served() {
    let env = TestEnv::new(None);
    for name in ["a", "b", "c"] {
        env.apply(name, json!({}));
    }
    env.backend().panics = 1;
    assert_eq!(reconcile_all(&env).await.iter().map(|(_, failed)| *failed).collect::<Vec<_>>(), [true, false, false]);
    let app = env.resources().into_iter().find(|app| app.name_any() == "a").unwrap();
    let stalled = app.condition(ConditionType::Stalled).unwrap();
    assert_eq!((stalled.status, stalled.reason.as_str()), (ConditionStatus::True, "InternalError"));
    assert!(stalled.message.contains("please report it"), "{}", stalled.message);
    env.run_until_settled().await;
    for name in ["a", "b", "c"] {
        env.assert_provisioned(name);
    }
}

#[tokio::test(start_paused = true)]
async fn panic_while_reporting_a_panic_leaves_the_others_served() {
    let env = TestEnv::new(None);
    for name in ["a", "b"] {
        env.apply(name, json!({}));
    }
    env.backend().panics = 2;
    assert_eq!(reconcile_all(&env).await, [("a".to_owned(), true), ("b".to_owned(), false)]);
}
