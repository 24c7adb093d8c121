//! The way to the collector: the exporter's own thread hands its requests to the runtime of the operator.
//! So they use the same HTTP client as all others, with the same TLS, certificate authorities and proxies.

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_TIMEOUT, OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT, OTEL_EXPORTER_OTLP_TRACES_TIMEOUT,
};
use reqwest::redirect::Policy;
use std::env;
use std::error::Error;
use std::iter::successors;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// Logs when the collector stops to accept traces and when it accepts them again, instead of each failed export.
#[derive(Debug)]
pub(super) struct Collector {
    client: reqwest::Client,
    runtime: Handle,
    accepts: AtomicBool,
}

impl Collector {
    /// # Errors
    /// When no HTTP client can be made.
    pub(super) fn new() -> reqwest::Result<Self> {
        // A redirect would take the headers, which can have a key, to another host.
        let client = reqwest::Client::builder().redirect(Policy::none()).referer(false);
        let client = client.timeout(timeout(|name| env::var(name).ok())).build()?;
        Ok(Self { client, runtime: Handle::current(), accepts: AtomicBool::new(true) })
    }

    fn report(&self, failure: Option<&str>) {
        let accepted = self.accepts.swap(failure.is_none(), Ordering::Relaxed);
        match failure {
            Some(error) if accepted => tracing::warn!(error, "the collector does not accept traces"),
            None if !accepted => tracing::info!("the collector accepts traces again"),
            Some(_) | None => {}
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        // The client needs a runtime, which the thread of the exporter does not have.
        let sent = self.runtime.spawn(async move { client.send_bytes(request).await }).await?;
        let failure = match &sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(response.status().to_string()),
            Err(error) => Some(cause(error.as_ref())),
        };
        self.report(failure.as_deref());
        sent
    }
}

/// In milliseconds; the limit of a whole export, retries included, is the exporter's.
fn timeout(variable: impl Fn(&str) -> Option<String>) -> Duration {
    let names = [OTEL_EXPORTER_OTLP_TRACES_TIMEOUT, OTEL_EXPORTER_OTLP_TIMEOUT];
    let set = names.into_iter().find_map(|name| variable(name)?.parse().ok());
    set.map_or(OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT, Duration::from_millis)
}

/// The innermost error, since the outer ones have the URL, which can hold a secret in its query.
fn cause(error: &(dyn Error + 'static)) -> String {
    successors(Some(error), |outer| Error::source(*outer)).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_of_traces_goes_before_that_of_all_signals() {
        let with = |set: &'static [(&str, &str)]| {
            timeout(|name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(with(&[]), Duration::from_secs(10));
        assert_eq!(with(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "1500")]), Duration::from_millis(1500));
        let both = with(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "20")]);
        assert_eq!(both, Duration::from_millis(20));
    }

    #[tokio::test]
    async fn an_error_is_logged_without_the_url() {
        let sent = reqwest::get("http://user:hidden@127.0.0.1:1/hidden").await.unwrap_err();
        let cause = cause(&sent);
        assert!(cause.contains("refused") && !cause.contains("hidden"), "{cause}");
    }
}
