//! What goes wrong on the way to the API and back: each ends as the contract says, without a person where none is needed.

use crate::env::TenantEnv;
use iam_simulator::types::{Action, CallFilter, Fault, Flavor, Operation, Target};
use oauth_app_operator::crd::ConditionType;
use serde_json::json;
use std::time::{Duration, Instant};

/// An app is created while the API does this to one kind of call, once.
async fn created_in_spite_of(namespace: &str, operation: Operation, action: Action) -> TenantEnv {
    let env = TenantEnv::running(namespace, Flavor::Csp).await;
    env.control.fault(Fault::once(action).on(operation)).await.unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    env.assert_credential_works("billing").await;
    let stats = env.control.stats().await.unwrap();
    assert_eq!(stats.creations.values().copied().collect::<Vec<_>>(), [1], "one app");
    env
}

#[tokio::test]
async fn lost_create_response_makes_one_app_with_working_credentials() {
    let env = created_in_spite_of("lost-create", Operation::CreateApp, Action::ResponseLost).await;
    assert_eq!(env.calls(Operation::UpdateApp).await, 1, "nobody has seen the first secret");
}

#[tokio::test]
async fn interrupted_create_is_retried() {
    let env = created_in_spite_of("reset-create", Operation::CreateApp, Action::ConnectionReset).await;
    assert_eq!(env.calls(Operation::UpdateApp).await, 0);
}

#[tokio::test]
async fn unreadable_response_is_treated_as_lost() {
    let env = created_in_spite_of("malformed-create", Operation::CreateApp, Action::MalformedBody).await;
    assert_eq!(env.calls(Operation::UpdateApp).await, 1);
}

#[tokio::test]
async fn endless_response_is_treated_as_lost() {
    let env = created_in_spite_of("slow-create", Operation::CreateApp, Action::SlowBody { ms: None }).await;
    assert_eq!(env.calls(Operation::UpdateApp).await, 1);
}

#[tokio::test]
async fn unanswered_call_times_out_and_is_retried() {
    created_in_spite_of("hang-create", Operation::CreateApp, Action::Hang { performed: false }).await;
}

#[tokio::test]
async fn server_errors_are_retried() {
    for (namespace, status) in [("error-500", 500), ("error-503", 503)] {
        let action = Action::Status { status, message: "broken".into(), performed: false };
        created_in_spite_of(namespace, Operation::CreateApp, action).await;
    }
}

#[tokio::test]
async fn an_expired_token_is_renewed_once() {
    let env = created_in_spite_of("expired", Operation::CreateApp, Action::ExpiredToken).await;
    let asked = env.calls(Operation::Token).await;
    assert_eq!(asked, 4, "two of the operator, one that proves the credential, and one of this test");
}

#[tokio::test]
async fn lost_regenerate_response_ends_in_working_credentials() {
    let env = TenantEnv::running("lost-regenerate", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let (id, _) = env.credential("billing").await.unwrap();
    env.control.fault(Fault::once(Action::ResponseLost).on(Operation::UpdateApp)).await.unwrap();
    env.secrets().delete("billing", &Default::default()).await.unwrap();
    env.until("the Secret is back", async || env.credential("billing").await.is_some()).await;
    assert_eq!(env.credential("billing").await.unwrap().0, id);
    env.assert_credential_works("billing").await;
}

#[tokio::test]
async fn lost_delete_response_ends_in_deletion() {
    let env = TenantEnv::running("lost-delete", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    env.control.fault(Fault::once(Action::ResponseLost).on(Operation::DeleteApps)).await.unwrap();
    env.delete("billing").await;
    env.until_gone("billing").await;
    assert_eq!(env.control.apps().await.unwrap().len(), 0);
}

#[tokio::test]
async fn rate_limited_connection_pauses_all_its_apps() {
    let env = TenantEnv::running("throttled", Flavor::Csp).await;
    let throttle = Fault::once(Action::TooManyRequests { retry_after: Some(4) }).on(Operation::CreateApp).skip(5);
    env.control.fault(throttle).await.unwrap();
    let names: Vec<String> = (0..50).map(|n| format!("app-{n}")).collect();
    for name in &names {
        env.create(name, json!({})).await;
    }
    for name in &names {
        env.until_ready(name).await;
    }
    let creates = env.control.calls(&CallFilter::operation(Operation::CreateApp)).await.unwrap();
    let refused = creates.iter().find(|call| call.status == Some(429)).expect("one was asked to wait");
    let refused_at = refused.done_ms.unwrap();
    // Calls that were on their way already end; after that none comes before the time is over.
    let limit = 8;
    let early = creates.iter().filter(|call| call.at_ms > refused_at && call.at_ms < refused_at + 3900).count();
    assert!(early <= limit, "{early} calls while the API asked to wait");
    let most = env.control.stats().await.unwrap().max_in_flight;
    assert!(most <= limit as u64, "{most} calls at once, more than the connection allows");
    assert_eq!(creates.len(), 51, "each app was created by one call, and one was refused");
}

#[tokio::test]
async fn rejection_quotes_the_api_and_is_retried_on_a_spec_change() {
    let env = TenantEnv::running("refused", Flavor::Csp).await;
    let refuse =
        |status| Action::Status { status, message: "Display name is a reserved word".into(), performed: false };
    env.control.fault(Fault::once(refuse(400)).on(Operation::CreateApp)).await.unwrap();
    env.create("billing", json!({"displayName": "Admin"})).await;
    let message = env.until_stalled("billing", "Rejected").await;
    assert!(message.contains("Display name is a reserved word"), "{message}");
    assert_eq!(env.calls(Operation::CreateApp).await, 1, "not hammered");
    env.change("billing", json!({"displayName": "Billing"})).await;
    env.until_ready("billing").await;
}

#[tokio::test]
async fn missing_role_error_quotes_the_api() {
    let env = TenantEnv::running("forbidden", Flavor::Csp).await;
    let refuse = Action::Status { status: 403, message: "Organization owner needed".into(), performed: false };
    env.control.fault(Fault::always(refuse).on(Operation::CreateApp)).await.unwrap();
    env.create("billing", json!({})).await;
    let message = env.until_stalled("billing", "Forbidden").await;
    let why =
        "create app: 403: Organization owner needed; the token has csp:org_owner in organization org-of-forbidden";
    assert!(message.starts_with("IamConnection forbidden: ") && message.contains(why), "{message}");
}

#[tokio::test]
async fn unknown_organization_is_reported() {
    let env = TenantEnv::running("no-org", Flavor::Csp).await;
    env.control.set(|settings| settings.org_scoped_tokens = false).await.unwrap();
    env.create("billing", json!({"orgId": "unknown-org"})).await;
    env.until_stalled("billing", "OrgNotFound").await;
}

#[tokio::test]
async fn an_api_that_takes_api_tokens_in_the_older_form_only_is_asked_in_the_present_form_once() {
    let env = TenantEnv::new("older-token", Flavor::Csp).await;
    env.control.set(|settings| settings.older_api_token_form = true).await.unwrap();
    let credentials = env.give_api_token().await;
    env.connect(credentials).await;
    env.operator().start().unwrap();
    env.control.fault(Fault::once(Action::ExpiredToken).on(Operation::CreateApp)).await.unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    env.until_connection("Ready", "True", "Provisioned").await;
    let asked = env.control.calls(&CallFilter::operation(Operation::Token)).await.unwrap();
    let refused = asked.iter().filter(|call| call.status == Some(400)).count();
    assert_eq!((refused, asked.len()), (1, 4), "the older form, its renewal, and the proof of the credential");
}

#[tokio::test]
async fn wrong_credentials_are_tried_once_and_corrected_ones_are_picked_up() {
    let env = TenantEnv::new("wrong-credentials", Flavor::Csp).await;
    env.store_credentials("not-the-right-token").await;
    env.connect(json!({})).await;
    env.operator().start().unwrap();
    for name in ["a", "b", "c"] {
        env.create(name, json!({})).await;
    }
    for name in ["a", "b", "c"] {
        env.until_reason(name, ConditionType::Reconciling, "CredentialsUnavailable").await;
    }
    assert_eq!((env.calls(Operation::Token).await, env.app_calls().await), (1, 0), "one exchange, no call of any app");
    env.give_credentials().await;
    for name in ["a", "b", "c"] {
        env.until_ready(name).await;
    }
}

#[tokio::test]
async fn outage_keeps_ready_apps_ready_and_delays_new_ones() {
    let env = TenantEnv::running("down", Flavor::Csp).await;
    env.create("old", json!({})).await;
    env.until_ready("old").await;
    env.control.set(|settings| settings.down = true).await.unwrap();
    env.change("old", json!({"secret": {"labels": {"team": "a"}}})).await;
    env.create("new", json!({})).await;
    for name in ["old", "new"] {
        let message = env.until_reason(name, ConditionType::Reconciling, "ConnectionUnavailable").await;
        assert!(!message.is_empty());
    }
    let synced = env.condition("old", ConditionType::Synced).await.unwrap();
    assert_eq!((format!("{:?}", synced.status).as_str(), synced.reason.as_str()), ("Unknown", "ConnectionUnavailable"));
    env.until_ready("old").await;
    env.control.set(|settings| settings.down = false).await.unwrap();
    env.until_ready("new").await;
    env.until("old is synced again", async || {
        env.condition("old", ConditionType::Synced).await.unwrap().reason == "Provisioned"
    })
    .await;
}

#[tokio::test]
async fn waiting_apps_resume_when_their_connection_is_ready() {
    let env = TenantEnv::running("ready-again", Flavor::Csp).await;
    env.create("user", json!({"suspend": true})).await;
    env.until_connection("Ready", "True", "Provisioned").await;
    env.control.set(|settings| settings.down = true).await.unwrap();
    let names = ["a", "b", "c"];
    for name in names {
        env.create(name, json!({})).await;
    }
    let waiting = [("outcome", "waiting"), ("reason", "ConnectionUnavailable")];
    // Each attempt doubles the wait for the next one, up to five minutes.
    for n in 1..=12 {
        for name in names {
            env.annotate(name, "oauth-apps.dev/reconcile-requested-at", &n.to_string()).await;
        }
        let attempts = f64::from(n) * 3.0;
        env.until_metric("reconciles_total", &waiting, |count| count >= attempts).await;
    }
    env.until_connection("Ready", "Unknown", "ConnectionUnavailable").await;
    let back = Instant::now();
    env.control.set(|settings| settings.down = false).await.unwrap();
    let woken =
        async || env.operator().log().contains("connection is Ready again; reconciling the apps that wait for it");
    env.until("the apps are woken", woken).await;
    for name in names {
        env.until_ready(name).await;
    }
    assert!(back.elapsed() < Duration::from_secs(120), "no app waited for its own next attempt");
}

#[tokio::test]
async fn apps_that_hang_or_fail_never_delay_a_hundred_others() {
    let env = TenantEnv::running("neighbours", Flavor::Csp).await;
    let hang = Fault::always(Action::Hang { performed: false }).on(Operation::GetApp).client("hangs-always");
    env.control.fault(hang).await.unwrap();
    let fail = Action::Status { status: 500, message: "broken".into(), performed: false };
    env.control.fault(Fault::always(fail).on(Operation::GetApp).client("fails-always")).await.unwrap();
    env.create("hangs", json!({"id": "hangs-always"})).await;
    env.create("fails", json!({"id": "fails-always"})).await;
    let hanging = async || env.calls(Operation::GetApp).await >= 2;
    env.until("both are at it", hanging).await;
    let names: Vec<String> = (0..100).map(|n| format!("app-{n}")).collect();
    for name in &names {
        env.create(name, json!({})).await;
    }
    for name in &names {
        env.until_ready(name).await;
    }
    for name in ["hangs", "fails"] {
        env.until_reason(name, ConditionType::Reconciling, "ConnectionUnavailable").await;
    }
    // None of the others ever had to wait for its turn so long that it would have said so.
    assert_eq!(env.calls(Operation::CreateApp).await, 100, "one call each");
}

#[tokio::test]
async fn unresponsive_organization_does_not_block_others() {
    let env = TenantEnv::new("hanging-org", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"resyncInterval": "10m"})).await;
    env.operator().start().unwrap();
    env.control.seed_org(env.flavor, "org-that-hangs", true).await.unwrap();
    let hang = Fault::always(Action::Hang { performed: false }).org("org-that-hangs");
    env.control.fault(hang).await.unwrap();
    for n in 0..150 {
        env.create(&format!("hangs-{n}"), json!({"orgId": "org-that-hangs"})).await;
    }
    let of =
        |org: &str| CallFilter { on: Target { org_id: Some(org.into()), ..Target::default() }, ..Default::default() };
    let hanging = async || env.control.count(&of("org-that-hangs")).await.unwrap();
    env.until("it hangs", async || hanging().await > 0).await;
    let names: Vec<String> = (0..100).map(|n| format!("app-{n}")).collect();
    for name in &names {
        env.create(name, json!({})).await;
    }
    for name in &names {
        env.until_ready(name).await;
    }
    // Had the others waited for their turn among all, most of the calls that hang would have come before them.
    let calls = hanging().await;
    assert!(calls < 50, "{calls} calls that hang");
    let message = env.until_reason("hangs-149", ConditionType::Reconciling, "ConnectionUnavailable").await;
    assert!(!message.is_empty());
}
