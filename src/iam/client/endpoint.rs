//! One API behind one rate limiter, which every connection to it shares, and one attempt at a request to it.

use super::rate_limiter::{OrgLimiter, RateLimiter};
use super::retry_after::retry_after_wait;
use super::scrub::KnownSecrets;
use super::transport::{SettingsError, Transport, TransportError};
use crate::fair_queue::Flow;
use crate::iam::answer::Answer;
use crate::iam::flavor::{ApiFlavor, flavor};
use crate::iam::request::Request;
use crate::iam::{Error, Operation, OrgId, Settings};
use crate::lease::guard::LeadershipGuard;
use crate::metrics::ConnectionMetrics;
use crate::traces;
use k8s_openapi::jiff::Timestamp;
use reqwest::header::{HeaderName, HeaderValue};
use std::sync::Arc;
use tracing::Span;

/// One API behind one rate limiter, which every connection to it shares.
#[derive(Clone)]
pub struct Endpoint {
    flavor: &'static dyn ApiFlavor,
    transport: Arc<Transport>,
    rate_limiter: Arc<RateLimiter>,
    metrics: ConnectionMetrics,
    guard: LeadershipGuard,
}

impl Endpoint {
    /// Makes no call.
    ///
    /// # Errors
    /// The setting that cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let transport = Arc::new(Transport::new(settings)?);
        let metrics = settings.metrics.clone();
        let rate_limiter =
            Arc::new(RateLimiter::new(settings.max_in_flight, settings.requests_per_second, metrics.clone()));
        Ok(Self { flavor: flavor(settings.api), transport, rate_limiter, metrics, guard: settings.guard.clone() })
    }

    pub(crate) fn flavor(&self) -> &'static dyn ApiFlavor {
        self.flavor
    }

    pub(crate) fn metrics(&self) -> &ConnectionMetrics {
        &self.metrics
    }

    /// The limiter of calls about this organization that are made for this flow.
    pub(crate) fn limiter(&self, org: &OrgId, flow: &Flow) -> OrgLimiter<'_> {
        self.rate_limiter.limiter(org, flow)
    }

    /// The same for a list or a token that all resources of the organization share.
    pub(crate) fn shared_limiter(&self, org: &OrgId, flow: &Flow) -> OrgLimiter<'_> {
        self.rate_limiter.shared_limiter(org, flow)
    }

    /// The limiter of requests for a token that serves several organizations.
    pub(crate) fn token_limiter(&self, owner: &Flow) -> OrgLimiter<'_> {
        self.rate_limiter.token_limiter(owner)
    }

    pub(crate) fn details_limiter(&self, owner: &Flow) -> OrgLimiter<'_> {
        self.rate_limiter.details_limiter(owner)
    }

    /// The certificate of the API as DER.
    pub(crate) async fn certificate(&self) -> Result<Option<Vec<u8>>, TransportError> {
        self.transport.certificate().await
    }

    pub(crate) fn unreachable_cause(&self) -> Option<String> {
        self.rate_limiter.unreachable_cause()
    }

    /// One HTTP request, unless the limiter is paused or leadership was lost; a 429 pauses the limiter. A failure is logged.
    pub(crate) async fn attempt(
        &self,
        limiter: &OrgLimiter<'_>,
        request: &Request,
        header: Option<(HeaderName, HeaderValue)>,
        known: KnownSecrets,
    ) -> Result<Answer, Error> {
        limiter.wait_for_turn().await?;
        let known = request.secret.iter().fold(known, |known, secret| known.with(secret.expose()));
        let response = self.transport.send(request, header, known);
        let Some(response) = self.guard.run(response).await else {
            return Err(Error::Unavailable("this replica lost leadership".into()));
        };
        log_failure(request.operation, &response);
        let answer = match response {
            Ok(answer) if answer.status < 500 => answer,
            Ok(answer) => {
                limiter.failed(request.fingerprint(), &answer.status_line());
                return Ok(answer);
            }
            Err(error) => {
                limiter.failed(request.fingerprint(), &error.to_string());
                return Err(error.during(request.operation));
            }
        };
        if answer.status != 429 {
            let about_org = (200..300).contains(&answer.status) && request.path.contains(&limiter.org().0);
            limiter.succeeded(about_org);
            return Ok(answer);
        }
        let wait = retry_after_wait(answer.retry_after.as_deref(), Timestamp::now());
        let (operation, seconds) = (request.operation.label(), wait.as_secs());
        let (request_id, trace_id) = (answer.request_id(), traces::trace_id(&Span::current()));
        tracing::info!(operation, seconds, request_id, trace_id, "the API asks to wait");
        Err(limiter.pause(wait))
    }
}

/// One line for each failed call, with what finds it in the logs of the API and among the traces. That an object is absent is no
/// failure of a read, and a 429 has a line of its own.
fn log_failure(operation: Operation, response: &Result<Answer, TransportError>) {
    let (status, request_id, error) = match response {
        Ok(answer) if answer.status < 300 || answer.status == 429 => return,
        Ok(answer) if answer.status == 404 && operation.is_read() => return,
        Ok(answer) => (Some(answer.status), answer.request_id(), answer.refusal()),
        Err(error) => (None, None, error.to_string()),
    };
    let (operation, trace_id) = (operation.label(), traces::trace_id(&Span::current()));
    tracing::warn!(operation, status, request_id, trace_id, error, "a call to the API failed");
}
