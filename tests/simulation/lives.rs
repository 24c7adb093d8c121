//! Every life of an app after its creation, cut at every effect: change, drift, adoption, rotation, renaming, roles,
//! observing. All the while consumers read the Secret, and find nothing in it that the API does not accept.

use crate::world::World;
use crate::{create, cut_everywhere};
use oauth_app_operator::crd::ConditionStatus;
use serde_json::{Value, json};

fn rotating() -> Value {
    json!({"rotation": {"interval": "720h", "overlap": "48h"}})
}

async fn settle(world: &World) {
    world.run_to_rest().await;
    world.assert_provisioned("billing");
}

#[tokio::test(start_paused = true)]
async fn a_changed_spec_is_one_update_of_the_app() {
    cut_everywhere(async |world| {
        create(world, json!({})).await;
        let id = world.client_id("billing");
        world.change("billing", json!({"displayName": "Other"}));
        settle(world).await;
        assert_eq!(world.remote(&id).unwrap().fields["displayName"], "Other");
        assert!(world.updates() <= if world.was_cut() { 2 } else { 1 }, "{}", world.updates());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_field_changed_at_the_api_is_put_back() {
    for lists in [true, false] {
        cut_everywhere(async |world| {
            world.set_lists(lists);
            create(world, json!({})).await;
            let id = world.client_id("billing");
            world.edit_app(&id, "description", json!("changed by hand"));
            settle(world).await;
            assert_eq!(world.remote(&id).unwrap().fields["description"], "Nightly");
            assert_eq!(world.app("billing").status.unwrap().drift, None);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_deleted_at_the_api_is_created_again_with_the_same_id() {
    for (more, lists) in [(json!({}), true), (json!({}), false), (json!({"id": "billing-export"}), true)] {
        cut_everywhere(async |world| {
            world.set_lists(lists);
            create(world, more.clone()).await;
            let id = world.client_id("billing");
            world.delete_app_by_hand(&id);
            settle(world).await;
            assert_eq!(world.client_id("billing"), id);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_is_due_leaves_no_moment_without_a_valid_secret() {
    for code in [false, true] {
        let spec = if code { json!({"grantTypes": ["authorization_code"]}) } else { json!({}) };
        cut_everywhere(async |world| {
            let mut all = rotating();
            all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
            create(world, all).await;
            let first = world.data("billing", "client-secret");
            world.pass_time(720);
            settle(world).await;
            assert_eq!(world.data("billing-rotation", "previous"), first, "the previous one is kept");
            assert_ne!(world.data("billing", "client-secret"), first);
            assert_eq!(world.data("billing-rotation", "pending"), None);
            assert_eq!(world.rotations(), 1);
            world.pass_time(49);
            settle(world).await;
            assert_eq!(world.data("billing-rotation", "previous"), None);
            assert_eq!(world.app("billing").status.unwrap().rotation.unwrap().revision, Some(2));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_requested_rotation_happens_once_per_value_and_is_echoed() {
    cut_everywhere(async |world| {
        create(world, json!({})).await;
        world.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
        settle(world).await;
        assert_eq!(world.rotations(), 1);
        assert_eq!(world.app("billing").status.unwrap().last_handled_rotate_at.as_deref(), Some("1"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_renamed_secret_and_renamed_keys_move_the_credential() {
    cut_everywhere(async |world| {
        create(world, json!({})).await;
        let (before, changes) = (world.data("billing", "client-secret"), world.replacements());
        world
            .change("billing", json!({"secret": {"name": "other", "keys": {"clientId": "ID", "clientSecret": "KEY"}}}));
        world.run_to_rest().await;
        assert_eq!(world.data("other", "KEY"), before);
        assert_eq!(world.data("billing", "client-secret"), None, "the former Secret is removed");
        assert_eq!(world.replacements() + world.rotations(), changes);
        assert_eq!(world.app("billing").status.unwrap().secret_name.as_deref(), Some("other"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_value_edited_while_the_previous_one_is_valid_is_mended_on_request_without_waiting() {
    cut_everywhere(async |world| {
        create(world, json!({})).await;
        world.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
        settle(world).await;
        world.consumers_may_fail();
        world.edit_secret("billing", "client-secret", "nonsense");
        world.run_to_rest().await;
        world.assert_blocked("billing", "SecretTampered");
        world.pass_time(1);
        world.annotate("billing", "oauth-apps.dev/rotate-requested-at", "2");
        settle(world).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_edited_value_of_a_brought_secret_is_put_back() {
    cut_everywhere(async |world| {
        world.bring("mine", "provided-1");
        create(world, json!({"clientSecretRef": {"name": "mine", "key": "value"}})).await;
        let writes = world.remote_writes();
        world.consumers_may_fail();
        world.edit_secret("billing", "client-secret", "nonsense");
        settle(world).await;
        assert_eq!(world.remote_writes(), writes);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn where_no_token_tells_an_edited_value_is_reported_and_one_without_its_checksum_is_trusted() {
    cut_everywhere(async |world| {
        create(world, json!({"grantTypes": ["authorization_code"]})).await;
        let writes = world.remote_writes();
        world.unmark_secret("billing");
        settle(world).await;
        assert_eq!(world.remote_writes(), writes);
        world.consumers_may_fail();
        world.edit_secret("billing", "client-secret", "nonsense");
        world.run_to_rest().await;
        world.assert_blocked("billing", "SecretTampered");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_secret_of_an_adopted_app_is_rotated_on_request_and_its_old_one_stays_valid_for_a_while() {
    cut_everywhere(async |world| {
        world.add_foreign_app("billing-export");
        world.apply("billing", json!({"id": "billing-export", "adoptionPolicy": "Adopt"}));
        world.run_to_rest().await;
        world.assert_blocked("billing", "SecretUnknown");
        world.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
        settle(world).await;
        let app = world.remote("billing-export").unwrap();
        assert_eq!(app.previous.map(|(secret, _)| secret).as_deref(), Some("foreign"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_template_says_is_filled_and_follows_the_credential() {
    let template = json!({"url": "{{ clientId }}:{{ clientSecret }}@{{ orgId }}"});
    let url = |world: &World, name: &str, key: &str| {
        let secret = world.data(name, key).unwrap();
        Some(format!("{}:{secret}@org-1", world.client_id_of("billing")))
    };
    cut_everywhere(async |world| {
        create(world, json!({"secret": {"template": template.clone()}})).await;
        assert_eq!(world.data("billing", "url"), url(world, "billing", "client-secret"));
        world.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
        settle(world).await;
        assert_eq!(world.data("billing", "url"), url(world, "billing", "client-secret"));
        let keys = json!({"clientId": "ID", "clientSecret": "KEY"});
        let (before, changes) = (world.data("billing", "client-secret"), world.replacements() + world.rotations());
        world.change("billing", json!({"secret": {"name": "other", "keys": keys, "template": template.clone()}}));
        world.run_to_rest().await;
        assert_eq!((world.data("other", "KEY"), world.data("other", "url")), (before, url(world, "other", "KEY")));
        assert_eq!(world.data("other", "ID"), Some(world.client_id_of("billing")));
        assert_eq!(world.replacements() + world.rotations(), changes);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_template_of_a_public_client_has_no_secret() {
    let world = World::new(None);
    let template = json!({"id": "{{ clientId }}"});
    let public = json!({"publicClient": true, "grantTypes": ["authorization_code"], "secret": {"template": template}});
    create(&world, public).await;
    assert_eq!(world.data("billing", "id"), Some(world.client_id("billing")));
    world.change("billing", json!({"secret": {"template": {"id": "{{ clientSecret }}"}}}));
    world.run_to_rest().await;
    world.assert_blocked("billing", "TemplateInvalid");
}

#[tokio::test(start_paused = true)]
async fn an_edited_value_is_reported_and_mended_on_request() {
    cut_everywhere(async |world| {
        create(world, json!({})).await;
        world.consumers_may_fail();
        world.edit_secret("billing", "client-secret", "nonsense");
        world.run_to_rest().await;
        world.assert_blocked("billing", "SecretTampered");
        world.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
        settle(world).await;
        assert_eq!(world.data("billing-rotation", "previous"), None, "nonsense is not kept");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_brought_secret_is_used_and_followed_when_it_changes() {
    cut_everywhere(async |world| {
        world.bring("mine", "provided-1");
        create(world, json!({"clientSecretRef": {"name": "mine", "key": "value"}})).await;
        assert_eq!(world.data("billing", "client-secret").as_deref(), Some("provided-1"));
        world.bring("mine", "provided-2");
        settle(world).await;
        assert_eq!(world.data("billing", "client-secret").as_deref(), Some("provided-2"));
        assert_eq!(world.data("billing-rotation", "previous").as_deref(), Some("provided-1"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_app_is_adopted_with_the_secret_that_is_brought() {
    cut_everywhere(async |world| {
        world.add_foreign_app("billing-export");
        world.bring("mine", "foreign");
        let provided = json!({"name": "mine", "key": "value"});
        create(world, json!({"id": "billing-export", "adoptionPolicy": "Adopt", "clientSecretRef": provided})).await;
        assert_eq!(world.replacements() + world.rotations(), 0, "its secret stays");
        assert_eq!(world.remote("billing-export").unwrap().fields["displayName"], "Billing");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_app_adopted_without_its_secret_publishes_the_id_and_says_so_until_it_may_be_replaced() {
    cut_everywhere(async |world| {
        world.add_foreign_app("billing-export");
        world.apply("billing", json!({"id": "billing-export"}));
        world.run_to_rest().await;
        world.assert_blocked("billing", "IdTaken");
        world.change("billing", json!({"adoptionPolicy": "Adopt"}));
        world.run_to_rest().await;
        world.assert_blocked("billing", "SecretUnknown");
        assert_eq!(world.client_id("billing"), "billing-export");
        world.assert_foreign_app_untouched("billing-export");
        world.change("billing", json!({"adoptionPolicy": "AdoptAndRotate"}));
        settle(world).await;
        assert!(world.replacements() <= if world.was_cut() { 2 } else { 1 });
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn with_adopt_an_id_that_is_free_is_created_and_its_secret_never_lost() {
    cut_everywhere(async |world| create(world, json!({"id": "billing-export", "adoptionPolicy": "Adopt"})).await).await;
}

#[tokio::test(start_paused = true)]
async fn roles_are_given_and_kept() {
    cut_everywhere(async |world| {
        let roles = |name: &str| json!({"roles": {"organizationRoles": [{"name": name}]}});
        create(world, roles("org_member")).await;
        let id = world.client_id("billing");
        let held = |world: &World| world.remote(&id).unwrap().roles.unwrap().organization_roles[0].name.clone();
        assert_eq!(held(world), "org_member");
        world.change("billing", roles("developer"));
        settle(world).await;
        assert_eq!(held(world), "developer");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_observes_never_writes_to_the_api() {
    let plan = |world: &World| {
        let conditions = world.app("billing").status.unwrap().conditions;
        conditions.into_iter().find(|c| c.reason == "PlanPending").map(|c| c.message).unwrap_or_default()
    };
    let observe = json!({"managementPolicy": "Observe"});
    let world = World::new(None);
    world.apply("billing", observe.clone());
    world.run_to_rest().await;
    assert_eq!(plan(&world), "managementPolicy Full would create the app.");
    world.change("billing", json!({"managementPolicy": "Full"}));
    settle(&world).await;
    world.change("billing", observe);
    settle(&world).await;
    let writes = world.remote_writes();
    let id = world.client_id("billing");
    world.edit_app(&id, "description", json!("by hand"));
    world.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
    world.run_to_rest().await;
    let message =
        world.app("billing").status.unwrap().conditions.into_iter().map(|c| c.message).find(|m| m.contains("would"));
    assert_eq!(message.unwrap(), "managementPolicy Full would rotate the client secret, change description.");
    assert_eq!(world.app("billing").status.unwrap().drift, Some(vec!["description".to_owned()]));
    world.assert_ready("billing", ConditionStatus::True);
    world.consumers_may_fail();
    world.edit_secret("billing", "client-secret", "nonsense");
    world.run_to_rest().await;
    world.assert_ready("billing", ConditionStatus::False);
    world.delete("billing");
    world.run_to_rest().await;
    assert!(!world.exists("billing"));
    assert_eq!((world.remote_writes(), world.remote_apps()), (writes, 1));
}

#[tokio::test(start_paused = true)]
async fn suspend_stops_everything_but_deletion() {
    let world = World::new(None);
    create(&world, json!({})).await;
    let id = world.client_id("billing");
    world.change("billing", json!({"suspend": true, "displayName": "Other"}));
    world.edit_app(&id, "description", json!("by hand"));
    let calls = world.remote_calls();
    world.run_to_rest().await;
    assert_eq!(world.remote_calls(), calls);
    world.delete("billing");
    world.run_to_rest().await;
    world.assert_gone("billing");
    assert_eq!(world.remote_apps(), 0);
}

#[tokio::test(start_paused = true)]
async fn deletion_waits_for_the_last_pod_that_uses_the_secret() {
    let world = World::new(None);
    create(&world, json!({"deletionPolicy": "DeleteWhenUnused"})).await;
    world.set_pods(&["web-1"]);
    world.delete("billing");
    world.run_to_rest().await;
    world.assert_waiting("billing", "InUse");
    assert_eq!(world.remote_apps(), 1);
    world.set_pods(&[]);
    world.run_to_rest().await;
    world.assert_gone("billing");
}

#[tokio::test(start_paused = true)]
async fn a_resource_restored_without_its_status_finds_its_app_again() {
    for more in [json!({}), json!({"id": "billing-export"}), rotating()] {
        cut_everywhere(async |world| {
            create(world, more.clone()).await;
            let (before, changes) = (world.data("billing", "client-secret"), world.replacements());
            world.lose_status("billing");
            settle(world).await;
            assert_eq!(world.data("billing", "client-secret"), before);
            assert_eq!(world.replacements() + world.rotations(), changes);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_operators_at_once_do_no_harm_in_any_order() {
    for seed in 0..300 {
        let world = World::new(None);
        let more = if seed % 2 == 0 { json!({}) } else { json!({"id": "billing-export"}) };
        world.apply("billing", more);
        let before = world.app("billing");
        world.pass_of_two("billing", before.clone(), seed).await;
        world.pass_of_two("billing", before.clone(), seed + 1).await;
        settle(&world).await;
        world.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
        world.pass_of_two("billing", before.clone(), seed).await;
        settle(&world).await;
        world.delete_secret("billing");
        world.pass_of_two("billing", before, seed).await;
        settle(&world).await;
    }
}
