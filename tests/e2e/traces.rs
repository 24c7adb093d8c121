//! What a collector of traces gets, and what the API is told.

use crate::env::TenantEnv;
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use iam_simulator::types::{CallFilter, Flavor, Operation};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// A collector: its address, and the spans that it got.
async fn collector() -> (String, Arc<Mutex<Vec<Value>>>) {
    let spans = Arc::<Mutex<Vec<Value>>>::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let kept = spans.clone();
    let take = move |body: Bytes| async move {
        let message: Value = serde_json::from_slice(&body).unwrap();
        let resource = &message["resourceSpans"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "oauth-app-operator");
        kept.lock().unwrap().extend(resource["scopeSpans"][0]["spans"].as_array().unwrap().clone());
        "{}"
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/traces", post(take))).await });
    (address, spans)
}

fn says(span: &Value, name: &str, value: &str) -> bool {
    let attributes = span["attributes"].as_array().unwrap();
    attributes.contains(&json!({"key": name, "value": {"stringValue": value}}))
}

#[tokio::test]
async fn a_pass_is_a_trace_with_its_calls_and_the_api_is_told_which() {
    let (address, spans) = collector().await;
    let env = TenantEnv::new("traced", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"resyncInterval": "10m"})).await;
    env.operator().set("OTEL_EXPORTER_OTLP_ENDPOINT", &address);
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let find = |is: &dyn Fn(&Value) -> bool| spans.lock().unwrap().iter().find(|span| is(span)).cloned();
    let pass = |span: &Value| span["name"] == "app" && says(span, "resource", "billing");
    env.until("the pass is told", async || find(&pass).is_some()).await;
    let create = |span: &Value| span["name"] == "request" && says(span, "operation", "create_app");
    let (pass, create) = (find(&pass).unwrap(), find(&create).unwrap());
    assert_eq!((&create["traceId"], &create["kind"]), (&pass["traceId"], &json!(3)));
    assert!(says(&pass, "namespace", "traced") && says(&create, "status", "200"), "{pass} {create}");
    assert!(pass["parentSpanId"].is_null() && create["parentSpanId"].is_string());
    let calls = env.control.calls(&CallFilter::operation(Operation::CreateApp)).await.unwrap();
    let (trace, span) = (create["traceId"].as_str().unwrap(), create["spanId"].as_str().unwrap());
    assert_eq!(calls[0].traceparent, Some(format!("00-{trace}-{span}-01")));
    let all = spans.lock().unwrap().iter().map(ToString::to_string).collect::<String>();
    assert!(env.find_leaks(&all).is_empty());
}

#[tokio::test]
async fn without_a_collector_the_api_is_told_of_no_trace() {
    let env = TenantEnv::running("untraced", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let calls = env.control.calls(&CallFilter::default()).await.unwrap();
    assert!(calls.iter().all(|call| call.traceparent.is_none()));
}
