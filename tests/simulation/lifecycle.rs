//! Every event in the life of an app after its creation, interrupted at every effect: change, drift, adoption, rotation, renaming, roles,
//! observing. All the while consumers read the Secret, and find nothing in it that the API does not accept.

use crate::env::TestEnv;
use crate::{create, interrupt_everywhere};
use k8s_openapi::jiff::SignedDuration;
use oauth_app_operator::crd::{ConditionStatus, ConditionType};
use serde_json::{Value, json};

fn rotating() -> Value {
    json!({"rotation": {"interval": "720h", "overlap": "48h"}})
}

async fn settle(env: &TestEnv) {
    env.run_until_settled().await;
    env.assert_provisioned("billing");
}

#[tokio::test(start_paused = true)]
async fn a_changed_spec_is_one_update_of_the_app() {
    interrupt_everywhere(async |env| {
        create(env, json!({})).await;
        let id = env.client_id("billing");
        env.change("billing", json!({"displayName": "Other"}));
        settle(env).await;
        assert_eq!(env.remote(&id).unwrap().fields["displayName"], "Other");
        assert!(env.updates() <= if env.was_interrupted() { 2 } else { 1 }, "{}", env.updates());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn field_changed_in_the_console_is_corrected() {
    for lists in [true, false] {
        interrupt_everywhere(async |env| {
            env.set_lists(lists);
            create(env, json!({})).await;
            let id = env.client_id("billing");
            env.edit_app(&id, "description", json!("changed by hand"));
            settle(env).await;
            assert_eq!(env.remote(&id).unwrap().fields["description"], "Nightly");
            assert_eq!(env.app("billing").status.unwrap().drift, None);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn app_deleted_in_the_console_is_created_again_with_the_same_id() {
    for (more, lists) in [(json!({}), true), (json!({}), false), (json!({"id": "billing-export"}), true)] {
        interrupt_everywhere(async |env| {
            env.set_lists(lists);
            create(env, more.clone()).await;
            let id = env.client_id("billing");
            env.delete_app_by_hand(&id);
            settle(env).await;
            assert_eq!(env.client_id("billing"), id);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_is_due_leaves_no_moment_without_a_valid_secret() {
    for code in [false, true] {
        let spec = if code { json!({"grantTypes": ["authorization_code"]}) } else { json!({}) };
        interrupt_everywhere(async |env| {
            let mut all = rotating();
            all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
            create(env, all).await;
            let first = env.data("billing", "client-secret");
            env.advance_clock(720);
            settle(env).await;
            assert_eq!(env.data("billing-rotation", "previous"), first, "the previous one is kept");
            assert_ne!(env.data("billing", "client-secret"), first);
            assert_eq!(env.data("billing-rotation", "pending"), None);
            assert_eq!(env.rotations(), 1);
            env.advance_clock(49);
            settle(env).await;
            assert_eq!(env.data("billing-rotation", "previous"), None);
            assert_eq!(env.app("billing").status.unwrap().rotation.unwrap().revision, Some(2));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_requested_rotation_happens_once_per_value_and_is_echoed() {
    interrupt_everywhere(async |env| {
        create(env, json!({})).await;
        env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
        settle(env).await;
        assert_eq!(env.rotations(), 1);
        assert_eq!(env.app("billing").status.unwrap().last_handled_rotate_at.as_deref(), Some("1"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_rotation_begins_before_a_request_without_an_answer_can_no_longer_end_its_overlap() {
    let env = &TestEnv::new(None);
    create(env, json!({})).await;
    env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
    settle(env).await;
    env.advance_clock(1);
    env.backend().iam.unanswered_ends = 1;
    env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "2");
    env.reconcile_all().await;
    env.assert_waiting("billing", "ConnectionUnavailable");
    env.backend().now += SignedDuration::from_secs(119);
    env.reconcile_all().await;
    assert_eq!(env.rotations(), 1);
    assert_eq!(env.data("billing-rotation", "previous"), None, "the end was requested again, and answered");
    let ready = env.app("billing").condition(ConditionType::Ready).unwrap().message.clone();
    assert!(ready.contains("waits until two minutes have passed since a request to end an overlap"), "{ready}");
    env.backend().now += SignedDuration::from_secs(1);
    settle(env).await;
    assert_eq!(env.rotations(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_rotation_begins_before_a_replacement_without_an_answer_can_no_longer_end_its_overlap() {
    let env = &TestEnv::new(None);
    create(env, json!({})).await;
    env.consumers_may_fail();
    env.backend().iam.unanswered_ends = 1;
    env.delete_secret("billing");
    env.reconcile_all().await;
    env.assert_waiting("billing", "ConnectionUnavailable");
    env.backend().now += SignedDuration::from_secs(119);
    env.reconcile_all().await;
    env.assert_provisioned("billing");
    env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
    env.reconcile_all().await;
    assert_eq!(env.rotations(), 0);
    env.backend().now += SignedDuration::from_secs(1);
    settle(env).await;
    assert_eq!(env.rotations(), 1);
}

async fn retire(env: &TestEnv, more: Value) {
    create(env, more).await;
    for annotation in ["rotate-requested-at", "retire-previous-at"] {
        env.annotate("billing", &format!("oauth-apps.dev/{annotation}"), "1");
        settle(env).await;
    }
    assert_eq!(env.app("billing").status.unwrap().last_handled_retire_at.as_deref(), Some("1"));
}

fn says_stays_valid(env: &TestEnv) -> bool {
    env.backend().events.iter().any(|message| message.contains("stays valid"))
}

#[tokio::test(start_paused = true)]
async fn an_end_whose_answer_was_lost_is_found_out_by_a_token_request() {
    interrupt_everywhere(async |env| {
        retire(env, json!({})).await;
        assert_eq!(env.data("billing-rotation", "previous"), None);
        assert!(!says_stays_valid(env));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_false_refusal_does_not_make_a_refused_end_of_an_overlap_look_like_an_end() {
    let env = &TestEnv::new(None);
    create(env, json!({})).await;
    env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
    settle(env).await;
    let previous = env.data("billing-rotation", "previous");
    assert!(previous.is_some());
    (env.backend().iam.refused_ends, env.backend().iam.false_refusals) = (2, 1);
    env.annotate("billing", "oauth-apps.dev/retire-previous-at", "1");
    env.reconcile_all().await;
    assert_eq!(env.data("billing-rotation", "previous"), previous, "it is valid, though a token was refused once");
    assert!(!says_stays_valid(env), "that is not known yet");
    settle(env).await;
    assert_eq!(env.data("billing-rotation", "previous"), previous);
    assert!(says_stays_valid(env));
    assert_eq!(env.app("billing").status.unwrap().last_handled_retire_at.as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn where_no_token_can_tell_an_end_whose_answer_was_lost_is_not_said_to_have_failed() {
    interrupt_everywhere(async |env| {
        retire(env, json!({"grantTypes": ["authorization_code"]})).await;
        let was_killed = env.backend().interruption.is_some_and(|interruption| interruption.mode.is_kill());
        // A process that crashed has forgotten the request.
        assert!(was_killed || !says_stays_valid(env));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_renamed_secret_and_renamed_keys_move_the_credential() {
    interrupt_everywhere(async |env| {
        create(env, json!({})).await;
        let (before, changes) = (env.data("billing", "client-secret"), env.replacements());
        env.change("billing", json!({"secret": {"name": "other", "keys": {"clientId": "ID", "clientSecret": "KEY"}}}));
        env.run_until_settled().await;
        assert_eq!(env.data("other", "KEY"), before);
        assert_eq!(env.data("billing", "client-secret"), None, "the former Secret is removed");
        assert_eq!(env.replacements() + env.rotations(), changes);
        assert_eq!(env.app("billing").status.unwrap().secret_name.as_deref(), Some("other"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn value_edited_during_an_overlap_is_repaired_on_request_without_waiting() {
    interrupt_everywhere(async |env| {
        create(env, json!({})).await;
        env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
        settle(env).await;
        env.consumers_may_fail();
        env.edit_secret("billing", "client-secret", "nonsense");
        env.run_until_settled().await;
        env.assert_blocked("billing", "SecretTampered");
        env.advance_clock(1);
        env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "2");
        settle(env).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn edited_value_of_a_provided_secret_is_restored() {
    interrupt_everywhere(async |env| {
        env.provide_secret("mine", "provided-1");
        create(env, json!({"clientSecretRef": {"name": "mine", "key": "value"}})).await;
        let writes = env.remote_writes();
        env.consumers_may_fail();
        env.edit_secret("billing", "client-secret", "nonsense");
        settle(env).await;
        assert_eq!(env.remote_writes(), writes);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_client_credentials_an_edited_value_is_reported_and_one_without_its_checksum_is_trusted() {
    interrupt_everywhere(async |env| {
        create(env, json!({"grantTypes": ["authorization_code"]})).await;
        let writes = env.remote_writes();
        env.clear_annotations("billing");
        settle(env).await;
        assert_eq!(env.remote_writes(), writes);
        env.consumers_may_fail();
        env.edit_secret("billing", "client-secret", "nonsense");
        env.run_until_settled().await;
        env.assert_blocked("billing", "SecretTampered");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_secret_of_an_adopted_app_is_rotated_on_request_and_its_old_one_stays_valid_for_a_while() {
    interrupt_everywhere(async |env| {
        env.add_foreign_app("billing-export");
        env.apply("billing", json!({"id": "billing-export", "adoptionPolicy": "Adopt"}));
        env.run_until_settled().await;
        env.assert_blocked("billing", "SecretUnknown");
        env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
        settle(env).await;
        let app = env.remote("billing-export").unwrap();
        assert_eq!(app.previous.map(|(secret, _)| secret).as_deref(), Some("foreign"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_template_says_is_filled_and_follows_the_credential() {
    let template = json!({"url": "{{ clientId }}:{{ clientSecret }}@{{ orgId }}"});
    let url = |env: &TestEnv, name: &str, key: &str| {
        let secret = env.data(name, key).unwrap();
        Some(format!("{}:{secret}@org-1", env.client_id_of("billing")))
    };
    interrupt_everywhere(async |env| {
        create(env, json!({"secret": {"template": template.clone()}})).await;
        assert_eq!(env.data("billing", "url"), url(env, "billing", "client-secret"));
        env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
        settle(env).await;
        assert_eq!(env.data("billing", "url"), url(env, "billing", "client-secret"));
        let keys = json!({"clientId": "ID", "clientSecret": "KEY"});
        let (before, changes) = (env.data("billing", "client-secret"), env.replacements() + env.rotations());
        env.change("billing", json!({"secret": {"name": "other", "keys": keys, "template": template.clone()}}));
        env.run_until_settled().await;
        assert_eq!((env.data("other", "KEY"), env.data("other", "url")), (before, url(env, "other", "KEY")));
        assert_eq!(env.data("other", "ID"), Some(env.client_id_of("billing")));
        assert_eq!(env.replacements() + env.rotations(), changes);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_template_of_a_public_client_has_no_secret() {
    let env = TestEnv::new(None);
    let template = json!({"id": "{{ clientId }}"});
    let public = json!({"publicClient": true, "grantTypes": ["authorization_code"], "secret": {"template": template}});
    create(&env, public).await;
    assert_eq!(env.data("billing", "id"), Some(env.client_id("billing")));
    env.change("billing", json!({"secret": {"template": {"id": "{{ clientSecret }}"}}}));
    env.run_until_settled().await;
    env.assert_blocked("billing", "TemplateInvalid");
}

#[tokio::test(start_paused = true)]
async fn edited_value_is_reported_and_repaired_on_request() {
    interrupt_everywhere(async |env| {
        create(env, json!({})).await;
        env.consumers_may_fail();
        env.edit_secret("billing", "client-secret", "nonsense");
        env.run_until_settled().await;
        env.assert_blocked("billing", "SecretTampered");
        env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
        settle(env).await;
        assert_eq!(env.data("billing-rotation", "previous"), None, "nonsense is not kept");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn provided_secret_is_used_and_followed_when_it_changes() {
    interrupt_everywhere(async |env| {
        env.provide_secret("mine", "provided-1");
        create(env, json!({"clientSecretRef": {"name": "mine", "key": "value"}})).await;
        assert_eq!(env.data("billing", "client-secret").as_deref(), Some("provided-1"));
        env.provide_secret("mine", "provided-2");
        settle(env).await;
        assert_eq!(env.data("billing", "client-secret").as_deref(), Some("provided-2"));
        assert_eq!(env.data("billing-rotation", "previous").as_deref(), Some("provided-1"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn app_is_adopted_with_the_provided_secret() {
    interrupt_everywhere(async |env| {
        env.add_foreign_app("billing-export");
        env.provide_secret("mine", "foreign");
        let provided = json!({"name": "mine", "key": "value"});
        create(env, json!({"id": "billing-export", "adoptionPolicy": "Adopt", "clientSecretRef": provided})).await;
        assert_eq!(env.replacements() + env.rotations(), 0, "its secret stays");
        assert_eq!(env.remote("billing-export").unwrap().fields["displayName"], "Billing");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn app_adopted_without_its_secret_publishes_the_id_and_reports_it_until_it_may_be_replaced() {
    interrupt_everywhere(async |env| {
        env.add_foreign_app("billing-export");
        env.apply("billing", json!({"id": "billing-export"}));
        env.run_until_settled().await;
        env.assert_blocked("billing", "IdTaken");
        env.change("billing", json!({"adoptionPolicy": "Adopt"}));
        env.run_until_settled().await;
        env.assert_blocked("billing", "SecretUnknown");
        assert_eq!(env.client_id("billing"), "billing-export");
        env.assert_foreign_app_untouched("billing-export");
        env.change("billing", json!({"adoptionPolicy": "AdoptAndRotate"}));
        settle(env).await;
        assert!(env.replacements() <= if env.was_interrupted() { 2 } else { 1 });
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn with_adopt_an_id_that_is_free_is_created_and_its_secret_never_lost() {
    interrupt_everywhere(async |env| create(env, json!({"id": "billing-export", "adoptionPolicy": "Adopt"})).await)
        .await;
}

#[tokio::test(start_paused = true)]
async fn roles_are_assigned_and_kept() {
    interrupt_everywhere(async |env| {
        let roles = |name: &str| json!({"roles": {"organizationRoles": [{"name": name}]}});
        create(env, roles("org_member")).await;
        let id = env.client_id("billing");
        let held = |env: &TestEnv| env.remote(&id).unwrap().roles.unwrap().organization_roles[0].name.clone();
        assert_eq!(held(env), "org_member");
        env.change("billing", roles("developer"));
        settle(env).await;
        assert_eq!(held(env), "developer");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn observe_never_writes_to_the_api() {
    let plan = |env: &TestEnv| {
        let conditions = env.app("billing").status.unwrap().conditions;
        conditions.into_iter().find(|c| c.reason == "PlanPending").map(|c| c.message).unwrap_or_default()
    };
    let observe = json!({"managementPolicy": "Observe"});
    let env = TestEnv::new(None);
    env.apply("billing", observe.clone());
    env.run_until_settled().await;
    assert_eq!(plan(&env), "managementPolicy Full would create the app.");
    env.change("billing", json!({"managementPolicy": "Full"}));
    settle(&env).await;
    env.change("billing", observe);
    settle(&env).await;
    let writes = env.remote_writes();
    let id = env.client_id("billing");
    env.edit_app(&id, "description", json!("by hand"));
    env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
    env.run_until_settled().await;
    let message =
        env.app("billing").status.unwrap().conditions.into_iter().map(|c| c.message).find(|m| m.contains("would"));
    assert_eq!(message.unwrap(), "managementPolicy Full would rotate the client secret, change description.");
    assert_eq!(env.app("billing").status.unwrap().drift, Some(vec!["description".to_owned()]));
    env.assert_ready("billing", ConditionStatus::True);
    env.consumers_may_fail();
    env.edit_secret("billing", "client-secret", "nonsense");
    env.run_until_settled().await;
    env.assert_ready("billing", ConditionStatus::False);
    env.delete("billing");
    env.run_until_settled().await;
    assert!(!env.exists("billing"));
    assert_eq!((env.remote_writes(), env.remote_apps()), (writes, 1));
}

#[tokio::test(start_paused = true)]
async fn suspend_stops_everything_but_deletion() {
    let env = TestEnv::new(None);
    create(&env, json!({})).await;
    let id = env.client_id("billing");
    env.change("billing", json!({"suspend": true, "displayName": "Other"}));
    env.edit_app(&id, "description", json!("by hand"));
    let calls = env.remote_calls();
    env.run_until_settled().await;
    assert_eq!(env.remote_calls(), calls);
    env.delete("billing");
    env.run_until_settled().await;
    env.assert_gone("billing");
    assert_eq!(env.remote_apps(), 0);
}

#[tokio::test(start_paused = true)]
async fn deletion_waits_for_the_last_pod_that_uses_the_secret() {
    let env = TestEnv::new(None);
    create(&env, json!({"deletionPolicy": "DeleteWhenUnused"})).await;
    env.set_pods(&["web-1"]);
    env.delete("billing");
    env.run_until_settled().await;
    env.assert_waiting("billing", "InUse");
    assert_eq!(env.remote_apps(), 1);
    env.set_pods(&[]);
    env.run_until_settled().await;
    env.assert_gone("billing");
}

#[tokio::test(start_paused = true)]
async fn a_resource_restored_without_its_status_finds_its_app_again() {
    for more in [json!({}), json!({"id": "billing-export"}), rotating()] {
        interrupt_everywhere(async |env| {
            create(env, more.clone()).await;
            let (before, changes) = (env.data("billing", "client-secret"), env.replacements());
            env.lose_status("billing");
            settle(env).await;
            assert_eq!(env.data("billing", "client-secret"), before);
            assert_eq!(env.replacements() + env.rotations(), changes);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_operators_at_once_do_no_harm_in_any_order() {
    for seed in 0..300 {
        let env = TestEnv::new(None);
        let more = if seed % 2 == 0 { json!({}) } else { json!({"id": "billing-export"}) };
        env.apply("billing", more);
        let before = env.app("billing");
        env.reconcile_concurrently("billing", before.clone(), seed).await;
        env.reconcile_concurrently("billing", before.clone(), seed + 1).await;
        settle(&env).await;
        env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1");
        env.reconcile_concurrently("billing", before.clone(), seed).await;
        settle(&env).await;
        env.delete_secret("billing");
        env.reconcile_concurrently("billing", before, seed).await;
        settle(&env).await;
    }
}
