//! The whole reconcile loop over in-memory ports, interrupted at every effect: killed, refused or its response lost, before and
//! after the effect took hold. Whatever happens, the resource settles with one app and a credential that works.

// A test may panic: that is how it fails.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod backend;
mod cluster;
mod env;
mod iam;
mod invariants;
mod lifecycle;
mod panics;
mod previews;
mod schedule;

use backend::{Interruption, Mode};
use env::TestEnv;
use serde_json::{Value, json};

/// Runs a scenario once undisturbed to count its effects, then once for every effect and every way to interrupt it there.
pub async fn interrupt_everywhere(scenario: impl AsyncFn(&TestEnv)) {
    let whole = TestEnv::new(None);
    scenario(&whole).await;
    let effects = whole.effects();
    assert!(effects > 0, "a scenario without effects shows nothing");
    for at in 0..effects {
        for mode in Mode::ALL {
            let env = TestEnv::new(Some(Interruption { at, mode }));
            scenario(&env).await;
            assert!(env.was_interrupted(), "effect {at} was not reached with {mode:?}");
        }
    }
}

/// Applies a resource, lets the operator settle it, and finds it provisioned.
pub async fn create(env: &TestEnv, more: Value) {
    env.apply("billing", more);
    env.run_until_settled().await;
    env.assert_provisioned("billing");
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_id_is_derived_is_created_once() {
    interrupt_everywhere(async |env| create(env, json!({})).await).await;
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_id_was_chosen_is_created_once() {
    interrupt_everywhere(async |env| create(env, json!({"id": "billing-export"})).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_public_client_is_created_once() {
    let public = json!({"publicClient": true, "grantTypes": ["authorization_code"]});
    interrupt_everywhere(async |env| create(env, public.clone()).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_secret_is_published_again_for_the_same_client_id() {
    interrupt_everywhere(async |env| {
        create(env, json!({})).await;
        let id = env.client_id("billing");
        env.delete_secret("billing");
        env.run_until_settled().await;
        env.assert_provisioned("billing");
        assert_eq!(env.client_id("billing"), id);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn edited_key_is_restored_without_a_new_secret() {
    interrupt_everywhere(async |env| {
        create(env, json!({})).await;
        let before = env.replacements();
        env.consumers_may_fail();
        env.edit_secret("billing", "client-id", "something else");
        env.run_until_settled().await;
        env.assert_provisioned("billing");
        assert_eq!(env.replacements(), before);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_resource_takes_its_app_along() {
    for more in [json!({}), json!({"id": "billing-export"})] {
        interrupt_everywhere(async |env| {
            create(env, more.clone()).await;
            env.delete("billing");
            env.run_until_settled().await;
            env.assert_gone("billing");
            assert_eq!(env.remote_apps(), 0);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_resource_deleted_while_it_is_being_created_leaves_nothing() {
    for more in [json!({}), json!({"id": "billing-export"})] {
        for rounds in 1..4 {
            interrupt_everywhere(async |env| {
                env.apply("billing", more.clone());
                env.reconcile_times(rounds).await;
                env.delete("billing");
                env.run_until_settled().await;
                env.assert_gone("billing");
                assert_eq!(env.remote_apps(), 0);
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn retain_leaves_app_and_secret_in_place() {
    interrupt_everywhere(async |env| {
        create(env, json!({"deletionPolicy": "Retain"})).await;
        env.delete("billing");
        env.run_until_settled().await;
        assert!(!env.exists("billing"));
        assert_eq!(env.remote_apps(), 1);
        env.assert_credential_works("billing");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_app_that_was_there_before_is_left_alone() {
    interrupt_everywhere(async |env| {
        env.add_foreign_app("billing-export");
        env.apply("billing", json!({"id": "billing-export"}));
        env.run_until_settled().await;
        env.assert_blocked("billing", "IdTaken");
        env.delete("billing");
        env.run_until_settled().await;
        env.assert_gone("billing");
        env.assert_foreign_app_untouched("billing-export");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_two_resources_with_one_id_the_older_has_it() {
    interrupt_everywhere(async |env| {
        env.apply("older", json!({"id": "shared-id"}));
        env.apply("younger", json!({"id": "shared-id"}));
        env.run_until_settled().await;
        env.assert_provisioned("older");
        env.assert_blocked("younger", "IdConflict");
        assert_eq!(env.remote_apps(), 1);
        env.delete("younger");
        env.run_until_settled().await;
        env.assert_gone("younger");
        env.assert_provisioned("older");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_secret_is_left_alone_and_no_call_is_made() {
    let env = TestEnv::new(None);
    env.add_foreign_secret("billing");
    env.apply("billing", json!({}));
    env.run_until_settled().await;
    env.assert_blocked("billing", "SecretConflict");
    assert_eq!((env.remote_calls(), env.remote_apps()), (0, 0));
    env.delete_secret("billing");
    env.run_until_settled().await;
    env.assert_provisioned("billing");
}

#[tokio::test(start_paused = true)]
async fn while_kubernetes_refuses_the_secret_no_further_secret_is_asked_for() {
    let env = TestEnv::new(None);
    env.refuse_secrets(true);
    env.apply("billing", json!({}));
    env.reconcile_times(5).await;
    env.assert_waiting("billing", "SecretNotWritten");
    assert_eq!((env.remote_apps(), env.replacements()), (0, 0), "the API hears of nothing");
    env.refuse_secrets(false);
    env.run_until_settled().await;
    env.assert_provisioned("billing");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_kubernetes_begins_to_refuse_costs_one_create_and_no_further_call() {
    let env = TestEnv::new(None);
    create(&env, json!({})).await;
    env.refuse_secrets(true);
    env.apply("second", json!({}));
    env.reconcile_times(5).await;
    env.assert_waiting("second", "SecretNotWritten");
    assert_eq!((env.remote_apps(), env.replacements()), (2, 0));
    env.refuse_secrets(false);
    env.run_until_settled().await;
    env.assert_ready("second", oauth_app_operator::crd::ConditionStatus::True);
}

#[tokio::test(start_paused = true)]
async fn a_resource_restored_with_another_uid_finds_its_app_again() {
    for more in [json!({}), json!({"id": "billing-export"}), json!({"grantTypes": ["authorization_code"]})] {
        interrupt_everywhere(async |env| {
            create(env, more.clone()).await;
            let (id, secret) = (env.client_id("billing"), env.data("billing", "client-secret"));
            env.restore("billing");
            env.run_until_settled().await;
            env.assert_ready("billing", oauth_app_operator::crd::ConditionStatus::True);
            assert_eq!((env.client_id("billing"), env.data("billing", "client-secret")), (id, secret));
            assert_eq!(env.remote_apps(), 1);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_settled_resource_causes_no_write() {
    let env = TestEnv::new(None);
    create(&env, json!({})).await;
    let effects = env.effects();
    env.run_until_settled().await;
    assert_eq!(env.effects(), effects);
}
