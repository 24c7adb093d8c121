//! Traces with OpenTelemetry: each reconciliation is a trace and each request to the API a span in it, exported with OTLP
//! over HTTP. The standard variables `OTEL_*` configure it; the API receives the W3C trace context.

mod collector;

use collector::Collector;
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_http::HeaderInjector;
use opentelemetry_otlp::{
    ExporterBuildError, OTEL_EXPORTER_OTLP_PROTOCOL, OTEL_EXPORTER_OTLP_PROTOCOL_HTTP_PROTOBUF,
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::header::HeaderMap;
use std::env;
use std::time::Duration;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

/// The name of a span around a request to the API.
pub(crate) const REQUEST: &str = "request";

/// What is left of the time that Kubernetes gives a pod to end, after the drain and the release of the Lease.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Exports the spans of the operator to a collector. A batch waits in bounded memory and beside the reconciliations.
#[derive(Clone, Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Exports to this URL, from within a Tokio runtime; nothing where the environment disables traces.
    ///
    /// # Errors
    /// When the environment has a setting that cannot be used.
    pub fn to(endpoint: &Url) -> Result<Option<Self>, ExporterBuildError> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        if is_disabled(variable) {
            return Ok(None);
        }
        if let Some(protocol) = unsupported_protocol(variable) {
            let why =
                format!("the protocol {protocol} is not supported, only {OTEL_EXPORTER_OTLP_PROTOCOL_HTTP_PROTOBUF}");
            return Err(ExporterBuildError::InvalidConfiguration(why));
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            let why =
                "the URL has credentials, which the exporter does not send; put them into OTEL_EXPORTER_OTLP_HEADERS";
            return Err(ExporterBuildError::InvalidConfiguration(why.into()));
        }
        let collector = Collector::new().map_err(|error| ExporterBuildError::InternalFailure(error.to_string()))?;
        let exporter = SpanExporter::builder().with_http().with_http_client(collector).with_endpoint(endpoint.as_str());
        let provider = SdkTracerProvider::builder().with_resource(resource(variable("OTEL_SERVICE_NAME")));
        Ok(Some(Self(provider.with_batch_exporter(exporter.build()?).build())))
    }

    /// Turns the spans of this crate into spans of traces. Of events, which can quote others, it takes none.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(&self) -> impl Layer<S> + use<S> {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(env!("CARGO_PKG_NAME")))
            .with_context_activation(false)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_exported).with_max_level_hint(LevelFilter::DEBUG))
    }

    /// Exports what is left, before the process ends.
    pub fn flush(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::debug!(%error, "the last traces were not exported");
        }
    }
}

fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
}

/// <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>
fn is_disabled(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is = |name, value: &str| variable(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
    is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none")
}

/// The exporter itself would use another one than was asked for.
fn unsupported_protocol(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let set = variable(OTEL_EXPORTER_OTLP_TRACES_PROTOCOL).or_else(|| variable(OTEL_EXPORTER_OTLP_PROTOCOL));
    set.filter(|protocol| protocol != OTEL_EXPORTER_OTLP_PROTOCOL_HTTP_PROTOBUF)
}

/// `OTEL_SERVICE_NAME` goes before `OTEL_RESOURCE_ATTRIBUTES`, and that before the name of the operator.
fn resource(service_name: Option<String>) -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name(env!("CARGO_PKG_NAME"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())]);
    match service_name {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

/// The id of the trace to which this span belongs; none where traces are off.
pub(crate) fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| context.trace_id().to_string())
}

/// The trace context header of this span; none where traces are off.
/// <https://www.w3.org/TR/trace-context/#traceparent-header>
pub(crate) fn headers(span: &Span) -> HeaderMap {
    let mut headers = HeaderMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut HeaderInjector(&mut headers));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An environment with these variables.
    fn with<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
    }

    #[tokio::test]
    async fn a_url_with_credentials_is_rejected_without_being_quoted() {
        for url in ["http://user:hidden@collector:4318", "http://hidden@collector:4318"] {
            let error = Traces::to(&url.parse().unwrap()).unwrap_err().to_string();
            assert!(error.contains("OTEL_EXPORTER_OTLP_HEADERS") && !error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn the_environment_disables_traces() {
        for (set, disabled) in [
            (&[][..], false),
            (&[("OTEL_SDK_DISABLED", "TRUE")], true),
            (&[("OTEL_SDK_DISABLED", "1")], false),
            (&[("OTEL_TRACES_EXPORTER", "none")], true),
            (&[("OTEL_TRACES_EXPORTER", "otlp")], false),
        ] {
            assert_eq!(is_disabled(with(set)), disabled, "{set:?}");
        }
    }

    #[test]
    fn a_protocol_that_is_not_supported_is_found_and_that_of_traces_goes_first() {
        let (all, traces) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL");
        for (set, unsupported) in [
            (&[][..], None),
            (&[(all, "http/protobuf")], None),
            (&[(all, "grpc")], Some("grpc")),
            (&[(all, "grpc"), (traces, "http/protobuf")], None),
            (&[(all, "http/protobuf"), (traces, "http/json")], Some("http/json")),
        ] {
            assert_eq!(unsupported_protocol(with(set)).as_deref(), unsupported, "{set:?}");
        }
    }
}
