//! Each fault does what it says, and the log shows what happened.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use common::*;
use iam_simulator::types::{Action, CallFilter, Fault, Operation, Spelling};
use serde_json::{Value, json};

fn create_body(id: &str) -> Value {
    with(&app(), "id", json!(id), "secret", json!(SECRET))
}

#[tokio::test]
async fn a_lost_response_leaves_the_app() {
    let env = TestEnv::new().await;
    env.order(Fault::once(Action::ResponseLost).on(Operation::CreateApp).client("lost-app")).await;
    env.create(CSP, "other").await;
    let path = format!("orgs/{ORG}/oauth-apps");
    let sent = env.request(CSP, "POST", &path).json(&create_body("lost-app")).send().await;
    assert!(sent.unwrap_err().is_request());
    assert!(env.works(CSP, "lost-app", SECRET).await);
    let calls = env.control.calls(&CallFilter::operation(Operation::CreateApp)).await.unwrap();
    assert_eq!((calls[1].status, calls[1].performed), (None, true));
    assert_eq!(calls[1].fault, Some(Action::ResponseLost));
    assert_eq!(env.control.faults().await.unwrap()[0].hits, 1);
}

#[tokio::test]
async fn a_reset_connection_changes_nothing() {
    let env = TestEnv::new().await;
    env.order(Fault::once(Action::ConnectionReset)).await;
    let path = format!("orgs/{ORG}/oauth-apps");
    assert!(env.request(CSP, "POST", &path).json(&create_body("reset-app")).send().await.is_err());
    assert_eq!(env.control.apps().await.unwrap(), []);
    env.create(CSP, "reset-app").await;
}

#[tokio::test]
async fn a_redirect_names_its_target_and_changes_nothing() {
    let env = TestEnv::new().await;
    env.order(Fault::once(Action::Redirect { location: "https://elsewhere.example.com/".into() })).await;
    let create = env.request(CSP, "POST", &format!("orgs/{ORG}/oauth-apps")).json(&create_body("redirected"));
    let redirect = create.send().await.unwrap();
    let target = redirect.headers()["location"].to_str().unwrap();
    assert_eq!((redirect.status().as_u16(), target), (302, "https://elsewhere.example.com/"));
    assert_eq!(env.control.apps().await.unwrap(), []);
}

#[tokio::test]
async fn too_many_requests_can_say_how_long() {
    let env = TestEnv::new().await;
    env.order(Fault::once(Action::TooManyRequests { retry_after: Some(7) })).await;
    env.order(Fault::once(Action::TooManyRequests { retry_after: None })).await;
    let path = format!("orgs/{ORG}/oauth-apps/nobody");
    let first = env.request(CSP, "GET", &path).send().await.unwrap();
    assert_eq!((first.status().as_u16(), first.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    let second = env.request(CSP, "GET", &path).send().await.unwrap();
    assert_eq!((second.status().as_u16(), second.headers().get("retry-after")), (429, None));
    env.csp("GET", "oauth-apps/nobody", Value::Null).await.ok(404);
}

#[tokio::test]
async fn an_error_can_quote_the_call_in_several_spellings() {
    let env = TestEnv::new().await;
    let body = create_body("quoted-app");
    let text = body.to_string();
    let path = format!("orgs/{ORG}/oauth-apps");
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &text);
    for (spelling, quoted) in [
        (Spelling::Plain, text.clone()),
        (Spelling::Json, json!(text).to_string()),
        (Spelling::Percent, text.replace('"', "%22").replace('{', "%7B")),
        (Spelling::Base64, base64),
        (Spelling::Headers, "authorization: Bearer ".to_owned()),
    ] {
        env.order(Fault::once(Action::Echo { status: 422, spelling }).on(Operation::CreateApp)).await;
        let sent = env.request(CSP, "POST", &path).header("content-type", "application/json").body(text.clone());
        let answer = sent.send().await.unwrap();
        assert_eq!(answer.status(), 422);
        let said: Value = answer.json().await.unwrap();
        let begin: String = quoted.chars().take(8).collect();
        assert!(said["message"].as_str().unwrap().starts_with(&format!("cannot handle {begin}")), "{said}");
    }
    assert_eq!(env.control.apps().await.unwrap(), [], "the change is not made");
}

#[tokio::test]
async fn a_status_comes_in_the_form_of_its_api() {
    let env = TestEnv::new().await;
    let status = |status, message: &str, performed| Action::Status { status, message: message.into(), performed };
    env.order(Fault::once(status(503, "down", false)).flavor(CPN)).await;
    env.order(Fault::once(status(500, "oops", true)).on(Operation::CreateApp).flavor(CSP)).await;
    let csp = env.csp("POST", "oauth-apps", create_body("made-it")).await.ok(500);
    for field in
        ["cspErrorCode", "errorCode", "message", "moduleCode", "requestId", "statusCode", "metadata", "traceId"]
    {
        assert!(csp.get(field).is_some(), "{field}");
    }
    assert!(env.works(CSP, "made-it", SECRET).await);
    assert_eq!(env.cpn("GET", "oauth-apps/nobody", Value::Null).await.ok(503)["message"], "down");
}

#[tokio::test]
async fn faults_count_skip_and_expire() {
    let env = TestEnv::new().await;
    let five = || Action::Status { status: 500, message: "x".into(), performed: false };
    let status = async || env.csp("GET", "oauth-apps/nobody", Value::Null).await.status;
    env.order(Fault::always(five()).on(Operation::GetApp).skip(1).times(2).org(ORG)).await;
    assert_eq!([status().await, status().await, status().await, status().await], [404, 500, 500, 404]);
    env.control.clear_faults().await.unwrap();
    env.order(Fault::always(five()).for_ms(150)).await;
    assert_eq!([status().await, status().await], [500, 500]);
    tokio::time::sleep(Duration::from_millis(160)).await;
    assert_eq!(status().await, 404);
    env.order(Fault::always(five()).probability(0.0)).await;
    env.order(Fault::always(five()).org("org-2")).await;
    assert_eq!(status().await, 404);
    env.order(Fault::once(Action::ExpiredToken)).await;
    assert_eq!([status().await, status().await], [401, 404]);
}

#[tokio::test]
async fn bodies_come_slowly_or_broken() {
    let env = TestEnv::new().await;
    env.create(CSP, "an-app").await;
    env.order(Fault::once(Action::SlowBody { ms: Some(300) })).await;
    let start = Instant::now();
    assert_eq!(env.csp("GET", "oauth-apps/an-app", Value::Null).await.ok(200)["id"], "an-app");
    assert!(start.elapsed() >= Duration::from_millis(280));

    let path = format!("orgs/{ORG}/oauth-apps/an-app");
    env.order(Fault::once(Action::SlowBody { ms: None })).await;
    let endless = env.request(CSP, "GET", &path).timeout(Duration::from_millis(300)).send().await.unwrap();
    assert!(endless.bytes().await.unwrap_err().is_timeout());

    env.order(Fault::once(Action::MalformedBody)).await;
    let broken = env.csp("PUT", "oauth-apps/an-app/secret", json!({})).await;
    assert_eq!(broken.status, 200);
    assert!(matches!(broken.body, Value::String(_)), "not JSON: {}", broken.body);
    assert!(!env.works(CSP, "an-app", SECRET).await, "the change was made");
}

#[tokio::test]
async fn answers_can_be_large_and_lists_without_an_end() {
    let env = TestEnv::new().await;
    env.create(CSP, "an-app").await;
    env.order(Fault::once(Action::LargeBody { bytes: 1000 })).await;
    let shown = env.csp("GET", "oauth-apps/an-app", Value::Null).await.ok(200);
    assert_eq!((shown["id"].as_str(), shown["noise"].as_array().map(Vec::len)), (Some("an-app"), Some(501)));
    env.order(Fault::always(Action::EndlessList { page_bytes: 1000 }).on(Operation::ListApps)).await;
    let mut pages = std::collections::BTreeSet::new();
    let mut start = String::from("0");
    for _ in 0..10 {
        let page = env.csp("GET", &format!("oauth-apps?pageStart={start}"), Value::Null).await.ok(200);
        let link = page["nextLink"].as_str().unwrap().to_owned();
        start = link.split_once("pageStart=").unwrap().1.into();
        assert!(pages.insert(link), "a page comes twice");
    }
}

#[tokio::test]
async fn a_hanging_call_and_latency_and_calls_in_flight() {
    let env = TestEnv::new().await;
    env.order(Fault::once(Action::Hang { performed: true }).on(Operation::CreateApp)).await;
    let path = format!("orgs/{ORG}/oauth-apps");
    let create = env.request(CSP, "POST", &path).json(&create_body("hung-app")).timeout(Duration::from_millis(200));
    assert!(create.send().await.unwrap_err().is_timeout());
    env.control.set(|s| s.latency_ms = 100).await.unwrap();
    env.order(Fault::once(Action::Latency { ms: 100 })).await;
    let start = Instant::now();
    let get = || env.csp("GET", "oauth-apps/hung-app", Value::Null);
    let (a, b, c) = tokio::join!(get(), get(), get());
    assert_eq!([a.status, b.status, c.status], [200; 3]);
    assert!(start.elapsed() >= Duration::from_millis(200));
    let stats = env.control.stats().await.unwrap();
    assert_eq!((stats.max_in_flight, stats.in_flight), (3, 0));
    assert_eq!((stats.by_operation["createApp -"], stats.by_operation["getApp 200"]), (1, 3));
}

#[tokio::test]
async fn down_closes_every_connection_but_the_control() {
    let env = TestEnv::new().await;
    env.control.set(|s| s.down = true).await.unwrap();
    let path = format!("orgs/{ORG}/oauth-apps");
    assert!(env.request(CSP, "GET", &path).send().await.is_err());
    assert!(!env.works(CPN, "operator", "Oper@t0r").await);
    env.control.set(|s| s.down = false).await.unwrap();
    assert!(env.works(CPN, "operator", "Oper@t0r").await);
}

#[tokio::test]
async fn the_log_shows_hashes_for_secrets() {
    let env = TestEnv::new().await;
    env.create(CPN, "logged").await;
    let calls = env.control.calls(&CallFilter::operation(Operation::CreateApp)).await.unwrap();
    assert_eq!(calls[0].body["secret"], format!("sha256:{}", iam_simulator::sha256_hex(SECRET)));
    assert_eq!((calls[0].status, calls[0].org_id.as_deref()), (Some(200), Some(ORG)));
    let mut filter = CallFilter { status: Some(200), performed: Some(true), after: 0, ..CallFilter::default() };
    filter.on.client_id = Some("logged".into());
    assert_eq!(env.control.count(&filter).await.unwrap(), 1);
    filter.after = calls[0].seq;
    assert_eq!(env.control.count(&filter).await.unwrap(), 0);
    env.control.reset().await.unwrap();
    assert_eq!(env.control.apps().await.unwrap(), []);
}
