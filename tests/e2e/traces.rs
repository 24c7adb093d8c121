//! What a collector of traces gets, and which trace context the API gets.

use crate::env::TenantEnv;
use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use iam_simulator::types::{Action, CallFilter, Fault, Flavor, Operation};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use serde_json::json;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a collector got, each request with its headers.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>);

impl Collected {
    fn requests(&self) -> Vec<(HeaderMap, ExportTraceServiceRequest)> {
        self.0.lock().unwrap().clone()
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.requests().into_iter().flat_map(|(_, request)| request.resource_spans);
        requests.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    fn find(&self, name: &str, attribute: (&str, &str)) -> Option<Span> {
        self.spans().into_iter().find(|span| span.name == name && has(&span.attributes, attribute))
    }
}

fn has(attributes: &[KeyValue], (name, value): (&str, &str)) -> bool {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
    attributes.iter().any(|attribute| attribute.key == name && attribute.value == value)
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Serves beside a test that waits for the end of a process, so the tests have more than one thread.
async fn serve(collector: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, collector).await });
    address
}

/// A collector: its address, and what it got.
async fn collector() -> (String, Collected) {
    let collected = Collected::default();
    let kept = collected.clone();
    let take = move |headers: HeaderMap, body: Bytes| async move {
        kept.0.lock().unwrap().push((headers, ExportTraceServiceRequest::decode(body).unwrap()));
    };
    (serve(Router::new().route("/v1/traces", post(take))).await, collected)
}

/// An operator with these variables, and its app, which is Ready.
async fn with_a_ready_app(namespace: &str, environment: &[(&'static str, &str)]) -> TenantEnv {
    let env = TenantEnv::new(namespace, Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"resyncInterval": "10m"})).await;
    for (name, value) in environment {
        env.operator().set(name, value);
    }
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    env
}

/// The trace contexts that the API got, one for each call.
async fn contexts(env: &TenantEnv, filter: &CallFilter) -> Vec<Option<String>> {
    env.control.calls(filter).await.unwrap().into_iter().map(|call| call.traceparent).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconciliation_is_a_trace_with_its_calls_and_the_api_gets_their_context() {
    let (address, collected) = collector().await;
    let env = with_a_ready_app("traced", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &address)]).await;
    let app = || collected.find("app", ("resource", "billing"));
    let call = || collected.find("request", ("operation", "create_app"));
    env.until("the reconciliation is exported", async || app().is_some() && call().is_some()).await;
    let (app, call) = (app().unwrap(), call().unwrap());
    assert_eq!((&call.trace_id, call.kind), (&app.trace_id, SpanKind::Client.into()));
    assert!(has(&app.attributes, ("namespace", "traced")) && has(&call.attributes, ("status", "200")));
    assert!(app.parent_span_id.is_empty() && !call.parent_span_id.is_empty());
    let context = format!("00-{}-{}-01", hex(&call.trace_id), hex(&call.span_id));
    assert_eq!(contexts(&env, &CallFilter::operation(Operation::CreateApp)).await, [Some(context)]);
    for (headers, request) in collected.requests() {
        assert!(!headers.contains_key("traceparent"), "the requests of the exporter are not traced");
        let resource = request.resource_spans[0].resource.clone().unwrap();
        assert!(has(&resource.attributes, ("service.name", "oauth-app-operator")), "{resource:?}");
        assert!(has(&resource.attributes, ("service.version", env!("CARGO_PKG_VERSION"))), "{resource:?}");
    }
    let spans = collected.spans();
    assert!(spans.iter().all(|span| ["app", "iam", "request"].contains(&&*span.name) && span.events.is_empty()));
    assert!(env.find_leaks(&format!("{spans:?}")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_a_failed_call_has_the_ids_of_the_request_and_of_the_trace() {
    let (address, collected) = collector().await;
    let env = TenantEnv::new("failed-call", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"resyncInterval": "10m"})).await;
    env.operator().set("OTEL_EXPORTER_OTLP_ENDPOINT", &address);
    env.control.fault(Fault::once(Action::refused(503)).on(Operation::CreateApp)).await.unwrap();
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let failed = || collected.find("request", ("status", "503"));
    env.until("the call is exported", async || failed().is_some()).await;
    // Its end is confirmed by a read that finds nothing, which is no failure.
    env.delete("billing").await;
    env.until("it is gone", async || env.apps().get_opt("billing").await.unwrap().is_none()).await;
    let log = env.operator().log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("a call to the API failed")).collect();
    let [line] = lines[..] else { panic!("{lines:?}") };
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (&line["level"], &line["operation"], &line["status"]),
        (&"WARN".into(), &"create_app".into(), &503.into())
    );
    assert_eq!(line["trace_id"], hex(&failed().unwrap().trace_id), "{line}");
    assert_eq!(line["request_id"].as_str().map(str::len), Some(36), "{line}");
    assert_eq!(line["error"], "503: refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standard_variables_configure_the_export() {
    let (address, collected) = collector().await;
    let environment = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*format!("{address}/v1/traces")),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=team-a"),
        ("OTEL_SERVICE_NAME", "billing-operator"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging,service.name=overridden"),
        ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
    ];
    let env = with_a_ready_app("configured", &environment).await;
    assert!(collected.requests().is_empty(), "it waits for longer than this test");
    assert!(env.operator().stop().unwrap().success());
    let (headers, request) = collected.requests().first().cloned().expect("the rest is exported at the end");
    assert_eq!(headers["x-tenant"], "team-a");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let resource = request.resource_spans[0].resource.clone().unwrap();
    assert!(has(&resource.attributes, ("service.name", "billing-operator")), "{resource:?}");
    assert!(has(&resource.attributes, ("deployment.environment.name", "staging")), "{resource:?}");
    assert!(collected.find("request", ("operation", "create_app")).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sampler_decides_what_is_exported_and_the_api_learns_it() {
    let (address, collected) = collector().await;
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*address), ("OTEL_TRACES_SAMPLER", "always_off")];
    let env = with_a_ready_app("unsampled", &environment).await;
    let contexts = contexts(&env, &CallFilter::operation(Operation::CreateApp)).await;
    assert!(contexts[0].as_ref().unwrap().ends_with("-00"), "{contexts:?}");
    assert!(env.operator().stop().unwrap().success());
    assert!(collected.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_and_when_disabled_the_api_gets_no_context() {
    let (address, collected) = collector().await;
    let disabled = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*address), ("OTEL_SDK_DISABLED", "true")];
    for (namespace, environment) in [("untraced", &[][..]), ("disabled", &disabled)] {
        let env = with_a_ready_app(namespace, environment).await;
        assert!(contexts(&env, &CallFilter::default()).await.iter().all(Option::is_none), "{namespace}");
        assert!(env.operator().stop().unwrap().success());
    }
    assert!(collected.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_does_not_answer_delays_nothing() {
    let address = serve(Router::new().route("/v1/traces", post(async || pending::<()>().await))).await;
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*address), ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000")];
    let env = with_a_ready_app("unanswered", &environment).await;
    let begin = Instant::now();
    assert!(env.operator().stop().unwrap().success());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_is_logged_once_until_it_accepts_again() {
    let refuses = Arc::new(Mutex::new(3));
    let left = refuses.clone();
    let take = async move || {
        let mut left = left.lock().unwrap();
        let refused = *left > 0;
        *left = i32::max(*left - 1, 0);
        if refused { axum::http::StatusCode::FORBIDDEN } else { axum::http::StatusCode::OK }
    };
    let address = serve(Router::new().route("/v1/traces", post(take))).await;
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*address), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let env = with_a_ready_app("refusing", &environment).await;
    let logged = |text: &str| env.operator().log().matches(text).count();
    let mut edit = 0;
    while logged("the collector accepts traces again") == 0 {
        edit += 1;
        assert!(edit < 100, "{}", env.operator().log());
        let before = *refuses.lock().unwrap();
        env.annotate("billing", "oauth-apps.dev/reconcile-requested-at", &edit.to_string()).await;
        let exported = async || *refuses.lock().unwrap() < before || logged("the collector accepts traces again") > 0;
        env.until("spans are exported", exported).await;
    }
    assert_eq!(logged("the collector does not accept traces"), 1);
    assert!(env.operator().log().contains("403 Forbidden"));
}
