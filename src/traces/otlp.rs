//! OTLP over HTTP in its JSON form: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.
//! The library for it would bring a runtime of its own and a dozen crates, for one request of this form.

use super::{REQUEST, Span};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::Receiver;
use url::Url;

/// How often spans are sent, and how many at once.
const INTERVAL: Duration = Duration::from_secs(1);
const BATCH: usize = 512;
const TIMEOUT: Duration = Duration::from_secs(10);

const INTERNAL: u8 = 1;
const CLIENT: u8 = 3;

/// Sends spans to the collector at `endpoint` for as long as there are any. What it does not take is lost.
pub async fn export(mut endpoint: Url, mut spans: Receiver<Span>) {
    let path = format!("{}/v1/traces", endpoint.path().trim_end_matches('/'));
    endpoint.set_path(&path);
    let client = match reqwest::Client::builder().timeout(TIMEOUT).build() {
        Ok(client) => client,
        Err(error) => return tracing::error!(%error, "no traces are sent"),
    };
    let (mut batch, mut taken) = (Vec::new(), true);
    while spans.recv_many(&mut batch, BATCH).await > 0 {
        let sent = client.post(endpoint.clone()).json(&message(batch.drain(..))).send().await;
        let answer = sent.and_then(reqwest::Response::error_for_status).map_err(reqwest::Error::without_url);
        match &answer {
            Err(error) if taken => tracing::warn!(%error, "the collector takes no traces"),
            Ok(_) if !taken => tracing::info!("the collector takes traces again"),
            Ok(_) | Err(_) => {}
        }
        taken = answer.is_ok();
        tokio::time::sleep(INTERVAL).await;
    }
}

fn message(spans: impl Iterator<Item = Span>) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let service = [attribute("service.name", env!("CARGO_PKG_NAME")), attribute("service.version", version)];
    json!({"resourceSpans": [{
        "resource": {"attributes": service},
        "scopeSpans": [{
            "scope": {"name": env!("CARGO_PKG_NAME"), "version": version},
            "spans": spans.map(|span| written(&span)).collect::<Vec<_>>(),
        }],
    }]})
}

fn written(span: &Span) -> Value {
    let attributes: Vec<Value> = span.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    let mut written = json!({
        "traceId": format!("{:032x}", span.trace),
        "spanId": format!("{:016x}", span.id),
        "name": span.name,
        "kind": if span.name == REQUEST { CLIENT } else { INTERNAL },
        "startTimeUnixNano": nanoseconds(span.began),
        "endTimeUnixNano": nanoseconds(span.ended),
        "attributes": attributes,
    });
    if let Some(parent) = span.parent {
        written["parentSpanId"] = format!("{parent:016x}").into();
    }
    written
}

fn attribute(name: &str, value: &str) -> Value {
    json!({"key": name, "value": {"stringValue": value}})
}

/// As text, since a number of JSON cannot hold it.
fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}
