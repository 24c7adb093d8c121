//! The whole reconcile loop over in-memory ports, cut at every effect: killed, refused or its answer lost, before and
//! after the effect took hold. Whatever happens, the resource comes to rest with one app and a credential that works.

// A test may panic: that is how it fails.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;
mod iam;
mod invariants;
mod lives;
mod panics;
mod schedule;
mod world;

use serde_json::{Value, json};
use world::{Cut, How, World};

/// Runs `life` once untouched to count its effects, then once for every effect and every way to cut there.
pub async fn cut_everywhere(life: impl AsyncFn(&World)) {
    let whole = World::new(None);
    life(&whole).await;
    let effects = whole.effects();
    assert!(effects > 0, "a life without effects shows nothing");
    for at in 0..effects {
        for how in How::ALL {
            let world = World::new(Some(Cut { at, how }));
            life(&world).await;
            assert!(world.was_cut(), "effect {at} was not reached with {how:?}");
        }
    }
}

/// Applies a resource, lets the operator come to rest, and finds it provided for.
pub async fn create(world: &World, more: Value) {
    world.apply("billing", more);
    world.run_to_rest().await;
    world.assert_provisioned("billing");
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_id_is_derived_is_created_once() {
    cut_everywhere(async |world| create(world, json!({})).await).await;
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_id_was_chosen_is_created_once() {
    cut_everywhere(async |world| create(world, json!({"id": "billing-export"})).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_public_client_is_created_once() {
    let public = json!({"publicClient": true, "grantTypes": ["authorization_code"]});
    cut_everywhere(async |world| create(world, public.clone()).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_secret_is_published_again_for_the_same_client_id() {
    cut_everywhere(async |world| {
        create(world, json!({})).await;
        let id = world.client_id("billing");
        world.delete_secret("billing");
        world.run_to_rest().await;
        world.assert_provisioned("billing");
        assert_eq!(world.client_id("billing"), id);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_edited_key_is_put_back_without_a_new_secret() {
    cut_everywhere(async |world| {
        create(world, json!({})).await;
        let before = world.replacements();
        world.consumers_may_fail();
        world.edit_secret("billing", "client-id", "something else");
        world.run_to_rest().await;
        world.assert_provisioned("billing");
        assert_eq!(world.replacements(), before);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_resource_takes_its_app_along() {
    for more in [json!({}), json!({"id": "billing-export"})] {
        cut_everywhere(async |world| {
            create(world, more.clone()).await;
            world.delete("billing");
            world.run_to_rest().await;
            world.assert_gone("billing");
            assert_eq!(world.remote_apps(), 0);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_resource_deleted_while_it_is_being_created_leaves_nothing() {
    for more in [json!({}), json!({"id": "billing-export"})] {
        for passes in 1..4 {
            cut_everywhere(async |world| {
                world.apply("billing", more.clone());
                world.run_passes(passes).await;
                world.delete("billing");
                world.run_to_rest().await;
                world.assert_gone("billing");
                assert_eq!(world.remote_apps(), 0);
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn retain_leaves_app_and_secret_in_place() {
    cut_everywhere(async |world| {
        create(world, json!({"deletionPolicy": "Retain"})).await;
        world.delete("billing");
        world.run_to_rest().await;
        assert!(!world.exists("billing"));
        assert_eq!(world.remote_apps(), 1);
        world.assert_credential_works("billing");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_app_that_was_there_before_is_left_alone() {
    cut_everywhere(async |world| {
        world.add_foreign_app("billing-export");
        world.apply("billing", json!({"id": "billing-export"}));
        world.run_to_rest().await;
        world.assert_blocked("billing", "IdTaken");
        world.delete("billing");
        world.run_to_rest().await;
        world.assert_gone("billing");
        world.assert_foreign_app_untouched("billing-export");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_two_resources_with_one_id_the_older_has_it() {
    cut_everywhere(async |world| {
        world.apply("older", json!({"id": "shared-id"}));
        world.apply("younger", json!({"id": "shared-id"}));
        world.run_to_rest().await;
        world.assert_provisioned("older");
        world.assert_blocked("younger", "IdConflict");
        assert_eq!(world.remote_apps(), 1);
        world.delete("younger");
        world.run_to_rest().await;
        world.assert_gone("younger");
        world.assert_provisioned("older");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_secret_is_left_alone_and_no_call_is_made() {
    let world = World::new(None);
    world.add_foreign_secret("billing");
    world.apply("billing", json!({}));
    world.run_to_rest().await;
    world.assert_blocked("billing", "SecretConflict");
    assert_eq!((world.remote_calls(), world.remote_apps()), (0, 0));
    world.delete_secret("billing");
    world.run_to_rest().await;
    world.assert_provisioned("billing");
}

#[tokio::test(start_paused = true)]
async fn while_kubernetes_refuses_the_secret_no_further_secret_is_asked_for() {
    let world = World::new(None);
    world.refuse_secrets(true);
    world.apply("billing", json!({}));
    world.run_passes(5).await;
    world.assert_waiting("billing", "SecretNotWritten");
    assert_eq!((world.remote_apps(), world.replacements()), (0, 0), "the API hears of nothing");
    world.refuse_secrets(false);
    world.run_to_rest().await;
    world.assert_provisioned("billing");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_kubernetes_begins_to_refuse_costs_one_create_and_no_further_call() {
    let world = World::new(None);
    create(&world, json!({})).await;
    world.refuse_secrets(true);
    world.apply("second", json!({}));
    world.run_passes(5).await;
    world.assert_waiting("second", "SecretNotWritten");
    assert_eq!((world.remote_apps(), world.replacements()), (2, 0));
    world.refuse_secrets(false);
    world.run_to_rest().await;
    world.assert_ready("second", oauth_app_operator::crd::ConditionStatus::True);
}

#[tokio::test(start_paused = true)]
async fn a_resource_restored_with_another_uid_finds_its_app_again() {
    for more in [json!({}), json!({"id": "billing-export"}), json!({"grantTypes": ["authorization_code"]})] {
        cut_everywhere(async |world| {
            create(world, more.clone()).await;
            let (id, secret) = (world.client_id("billing"), world.data("billing", "client-secret"));
            world.restore("billing");
            world.run_to_rest().await;
            world.assert_ready("billing", oauth_app_operator::crd::ConditionStatus::True);
            assert_eq!((world.client_id("billing"), world.data("billing", "client-secret")), (id, secret));
            assert_eq!(world.remote_apps(), 1);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_settled_resource_causes_no_write() {
    let world = World::new(None);
    create(&world, json!({})).await;
    let effects = world.effects();
    world.run_to_rest().await;
    assert_eq!(world.effects(), effects);
}
