//! Faults, errors and the log for VCF Identity Broker: the same orders as for the other APIs, in its own forms.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::*;
use iam_simulator::sha256_hex;
use iam_simulator::types::{Action, CallFilter, Fault, Operation, Spelling};
use serde_json::{Value, json};

const NEW: &str = "N3w-secret!";

fn create_body(id: &str) -> Value {
    with(&client(), "client_id", json!(id), "secret", json!(SECRET))
}

/// The same request as [`TestEnv::broker`] sends, for a call whose connection breaks.
fn create(env: &TestEnv, id: &str) -> reqwest::RequestBuilder {
    let media_type = "application/vnd.vmware.horizon.manager.accesscontrol.broker.oauth2client.with.rule.sets+json";
    let request = env.request(BROKER, "POST", &in_org(BROKER, ORG, "oauth-apps"));
    request.header("accept", media_type).header("content-type", media_type).body(create_body(id).to_string())
}

#[tokio::test]
async fn a_lost_response_leaves_the_change() {
    let env = TestEnv::new().await;
    env.order(Fault::once(Action::ResponseLost).on(Operation::CreateApp).client("lost-app")).await;
    env.create(BROKER, "other").await;
    assert!(create(&env, "lost-app").send().await.is_err());
    assert!(env.works(BROKER, "lost-app", SECRET).await);
    env.order(Fault::once(Action::Status { status: 500, message: "oops".into(), performed: true })).await;
    let lost = env.rotate(BROKER, "lost-app", NEW, 600).await;
    assert_eq!((lost.status, lost.message()), (500, "oops"));
    assert!(env.works(BROKER, "lost-app", NEW).await);
    let calls = env.control.calls(&CallFilter::operation(Operation::CreateApp)).await.unwrap();
    assert_eq!((calls[1].status, calls[1].performed, &*calls[1].client_ids[0]), (None, true, "lost-app"));
}

#[tokio::test]
async fn a_reset_and_a_hanging_call_change_nothing_unless_ordered() {
    let env = TestEnv::new().await;
    env.order(Fault::once(Action::ConnectionReset).flavor(BROKER)).await;
    assert!(create(&env, "reset-app").send().await.is_err());
    assert_eq!(env.control.apps().await.unwrap(), []);
    env.order(Fault::once(Action::Hang { performed: true }).on(Operation::CreateApp)).await;
    assert!(create(&env, "hung-app").timeout(Duration::from_millis(200)).send().await.unwrap_err().is_timeout());
    assert!(env.works(BROKER, "hung-app", SECRET).await);
    env.set(|s| s.down = true).await;
    assert!(create(&env, "down-app").send().await.is_err());
}

#[tokio::test]
async fn errors_have_the_form_of_the_guide_or_no_body() {
    let env = TestEnv::new().await;
    env.order(Fault::once(Action::TooManyRequests { retry_after: Some(7) })).await;
    let limited = create(&env, "an-app").send().await.unwrap();
    assert_eq!((limited.status().as_u16(), limited.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    env.order(Fault::once(Action::refused(403))).await;
    let refused = env.broker("GET", "oauth-apps", Value::Null).await.ok(403);
    let error = &refused["errors"][0];
    assert!(error["code"].is_string() && error["message"].is_string() && error["parameters"].is_object(), "{refused}");
    env.order(Fault::once(Action::refused(404))).await;
    assert_eq!(env.broker("GET", "oauth-apps", Value::Null).await.ok(404), "");
    env.order(Fault::once(Action::ExpiredToken)).await;
    env.broker("GET", "oauth-apps", Value::Null).await.ok(401);
    env.set(|s| s.broker.bare_errors = true).await;
    assert_eq!(env.broker("GET", "oauth-apps?page_size=0", Value::Null).await.ok(400), "");
    env.order(Fault::once(Action::refused(503)).on(Operation::Token).org(ORG)).await;
    assert!(env.control.token(BROKER, ORG, "operator", "Oper@t0r").await.is_err());
}

#[tokio::test]
async fn an_error_can_quote_the_call() {
    let env = TestEnv::new().await;
    for (spelling, begin) in
        [(Spelling::Plain, "cannot handle {"), (Spelling::Headers, "cannot handle authorization: ")]
    {
        env.order(Fault::once(Action::Echo { status: 422, spelling }).on(Operation::CreateApp)).await;
        let quoted = env.broker("POST", "oauth-apps", create_body("an-app")).await;
        assert!(quoted.status == 422 && quoted.message().starts_with(begin), "{}", quoted.body);
    }
    assert_eq!(env.control.apps().await.unwrap(), []);
}

#[tokio::test]
async fn bodies_can_be_broken_large_or_without_an_end() {
    let env = TestEnv::new().await;
    env.order(Fault::once(Action::MalformedBody)).await;
    let broken = env.broker("POST", "oauth-apps", create_body("an-app")).await;
    assert!(broken.status == 200 && matches!(broken.body, Value::String(_)), "not JSON: {}", broken.body);
    env.order(Fault::once(Action::LargeBody { bytes: 1000 })).await;
    let shown = env.broker("GET", "oauth-apps/an-app", Value::Null).await.ok(200);
    assert_eq!((shown["client_id"].as_str(), shown["noise"].as_array().map(Vec::len)), (Some("an-app"), Some(501)));
    env.order(Fault::once(Action::SlowBody { ms: Some(100) })).await;
    assert_eq!(env.broker("GET", "oauth-apps/an-app", Value::Null).await.ok(200)["client_id"], "an-app");
    env.order(Fault::always(Action::EndlessList { page_bytes: 1000 }).on(Operation::ListApps)).await;
    for number in 1..=3_u64 {
        let page = env.broker("GET", &format!("oauth-apps?start_index={number}"), Value::Null).await.ok(200);
        assert_eq!((&page["pageNumber"], &page["totalPages"]), (&json!(number), &json!(number + 1)));
        assert_eq!(page["items"][0]["client_id"], format!("of-nobody-{number}"));
    }
}

#[tokio::test]
async fn the_log_shows_hashes_for_secrets_and_the_operation_of_an_action() {
    let env = TestEnv::new().await;
    env.create(BROKER, "an-app").await;
    env.rotate(BROKER, "an-app", NEW, 600).await.ok(204);
    env.end_overlap(BROKER, "an-app").await.ok(204);
    let form = [("grant_type", "client_credentials"), ("client_id", "an-app"), ("client_secret", NEW)];
    env.http.post(env.url(BROKER, &format!("{ORG}/token"))).form(&form).send().await.unwrap();
    let calls = env.control.calls(&CallFilter::default()).await.unwrap();
    let seen: Vec<Operation> = calls.iter().map(|call| call.operation).collect();
    assert_eq!(seen, [Operation::CreateApp, Operation::RotateSecret, Operation::EndOverlap, Operation::Token]);
    for call in &calls {
        assert_eq!((call.flavor, call.org_id.as_deref(), call.performed), (Some(BROKER), Some(ORG), true));
        assert_eq!(call.client_ids, ["an-app"]);
    }
    let hash = |secret: &str| json!(format!("sha256:{}", sha256_hex(secret)));
    assert_eq!(calls[0].body["secret"], hash(SECRET));
    assert_eq!(calls[1].body["secondary_secret"], hash(NEW));
    assert_eq!(calls[3].body["client_secret"], hash(NEW));
}
