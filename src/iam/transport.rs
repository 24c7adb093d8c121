//! Sends one request over TLS and reads the whole answer: one attempt, no redirect, a limit in time and in size.
//! What goes wrong on the way is said without addresses of the request and without what it carried.

use super::answer::Answer;
use super::request::{Body, Request};
use super::scrub::{KnownSecrets, scrub};
use super::{Error, Settings, ca};
use crate::metrics::{CallResult, ConnectionMetrics};
use crate::text::clean;
use crate::traces;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, redirect};
use secrecy::ExposeSecret;
use std::error::Error as _;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument;
use tracing::field::Empty;
use url::Url;

/// The largest page of a list that is read, in bytes.
const LARGEST_PAGE: usize = 4 << 20;
/// The largest of all other answers, in bytes.
const LARGEST: usize = 256 << 10;
/// So many answers that are larger than that are in memory at once.
const LARGE_AT_ONCE: usize = 2;
/// Shorter than what load balancers keep, so that a call seldom meets a connection that is being closed.
const IDLE: Duration = Duration::from_secs(30);
/// The longest name of a host, in bytes.
const LONGEST_HOST: usize = 255;
const CONNECT: Duration = Duration::from_secs(5);
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// The way to one endpoint.
pub struct Transport {
    client: Client,
    endpoint: Url,
    timeout: Duration,
    metrics: ConnectionMetrics,
    large: Arc<Semaphore>,
}

/// The body of an answer. While one is kept that is large, few others are read.
#[derive(Default)]
pub struct Payload {
    bytes: Vec<u8>,
    large: Option<OwnedSemaphorePermit>,
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self { bytes: text.into(), large: None }
    }
}

#[cfg(test)]
impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, large: None }
    }
}

/// Why there is no answer.
struct Lost {
    result: CallResult,
    fault: Error,
}

impl Transport {
    /// # Errors
    /// A sentence about the setting that cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        check(&settings.endpoint)?;
        // HTTP/2 is not compiled in: one dead connection would stall every call.
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .https_only(true)
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(settings.timeout)
            .connect_timeout(CONNECT.min(settings.timeout))
            .pool_idle_timeout(IDLE);
        if let Some(pem) = &settings.ca_pem {
            let certificates = ca::certificates(pem).map_err(|why| format!("the CA bundle cannot be used: {why}"))?;
            builder = builder.tls_certs_only(certificates);
        }
        let client = builder.build().map_err(|error| match settings.ca_pem {
            Some(_) => {
                format!("the CA bundle cannot be used: one of its certificates cannot be read: {}", cause(&error))
            }
            None => format!("no HTTP client can be made: {}", cause(&error)),
        })?;
        let (endpoint, metrics) = (settings.endpoint.clone(), settings.metrics.clone());
        Ok(Self {
            client,
            endpoint,
            timeout: settings.timeout,
            metrics,
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
        })
    }

    /// One attempt. `known` are the secrets that the request carries; `header` is marked as sensitive.
    pub async fn send(
        &self,
        request: &Request,
        header: Option<(HeaderName, HeaderValue)>,
        known: KnownSecrets,
    ) -> Result<Answer, Error> {
        let started = Instant::now();
        let mut builder = self.build(request)?;
        if let Some((name, mut value)) = header {
            value.set_sensitive(true);
            builder = builder.header(name, value);
        }
        let span = tracing::debug_span!(
            traces::REQUEST,
            otel.kind = "client",
            operation = request.operation.label(),
            status = Empty
        );
        let builder = builder.headers(traces::headers(&span));
        let answer = self.receive(builder, request, known).instrument(span.clone()).await;
        let result = answer.as_ref().map_or_else(|lost| lost.result, |answer| CallResult::Status(answer.status));
        span.record("status", result.status());
        tracing::debug!(
            operation = request.operation.label(),
            ?result,
            ms = started.elapsed().as_millis(),
            "remote call"
        );
        self.metrics.called(request.operation, result, started.elapsed());
        answer.map_err(|lost| lost.fault)
    }

    fn build(&self, request: &Request) -> Result<RequestBuilder, Error> {
        let builder = self.client.request(request.method.clone(), url(&self.endpoint, request)?);
        Ok(match &request.body {
            Body::None => builder,
            Body::Json(body) => builder.json(body),
            Body::Form { fields, basic: None } => builder.form(fields),
            Body::Form { fields, basic: Some((id, secret)) } => {
                builder.form(fields).basic_auth(id, Some(secret.expose_secret()))
            }
        })
    }

    async fn receive(&self, builder: RequestBuilder, request: &Request, known: KnownSecrets) -> Result<Answer, Lost> {
        let fault = |error: reqwest::Error| self.lost(request, &known, error);
        let response = builder.send().await.map_err(fault)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        let note = response.status().is_redirection().then(|| redirect(&response));
        // What is said of a failure needs no more than the rest.
        let limit = if request.operation.is_list() && response.status().is_success() { LARGEST_PAGE } else { LARGEST };
        let Some(body) = read(response, limit, &self.large).await.map_err(fault)? else {
            let fault = Error::Unavailable(format!("{}: {status}: the answer is too large", request.operation));
            return Err(Lost { result: CallResult::Error, fault });
        };
        Ok(Answer { operation: request.operation, status, retry_after, note, body, quote: request.quote, known })
    }

    fn lost(&self, request: &Request, known: &KnownSecrets, error: reqwest::Error) -> Lost {
        let why = if error.is_timeout() && error.is_connect() {
            "cannot connect in time".into()
        } else if error.is_timeout() {
            format!("no whole answer within {:?}", self.timeout)
        } else if error.is_connect() {
            with_ca_hint(format!("cannot connect: {}", scrub(&cause(&error), known, &[])))
        } else {
            // The words for this differ from one time to the next, depending on what was lost.
            "the connection broke before the whole answer had come".into()
        };
        tracing::debug!(operation = request.operation.label(), error = scrub(&cause(&error), known, &[]), "no answer");
        let result = if error.is_timeout() { CallResult::Timeout } else { CallResult::Error };
        Lost { result, fault: Error::Unavailable(format!("{}: {why}", request.operation)) }
    }
}

fn check(endpoint: &Url) -> Result<(), String> {
    if endpoint.scheme() != "https" || endpoint.host_str().is_none() {
        return Err("the endpoint must be an https URL".into());
    }
    if endpoint.query().is_some() || endpoint.fragment().is_some() {
        return Err("the endpoint must have no query and no fragment".into());
    }
    if !endpoint.username().is_empty() || endpoint.password().is_some() {
        return Err("the endpoint must hold no user and no password".into());
    }
    Ok(())
}

/// Escapes each segment. What a URL cannot carry as one segment is refused, since it would name something else.
fn url(endpoint: &Url, request: &Request) -> Result<Url, Error> {
    let unfit = |segment: &String| {
        matches!(segment.as_str(), "" | "." | "..") || segment.chars().any(|character| character.is_control())
    };
    if request.path.iter().any(unfit) {
        return Err(Error::Rejected(format!("{}: an id cannot be part of a URL", request.operation)));
    }
    let mut url = endpoint.clone();
    match url.path_segments_mut() {
        Ok(mut segments) => drop(segments.pop_if_empty().extend(&request.path)),
        Err(()) => return Err(Error::Rejected(format!("{}: the endpoint has no path", request.operation))),
    }
    if !request.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.query);
    }
    Ok(url)
}

/// Where a redirect leads: the host alone, since the rest could repeat what was sent.
fn redirect(response: &Response) -> String {
    let location = response.headers().get("location").and_then(|location| location.to_str().ok());
    let target = location.and_then(|location| response.url().join(location).ok());
    match target.as_ref().and_then(Url::host_str).map(|host| clean(host, LONGEST_HOST)) {
        Some(host) => format!("a redirect to {host} is not followed"),
        None => "a redirect is not followed".into(),
    }
}

/// The body, unless it is too large.
async fn read(mut response: Response, limit: usize, large: &Arc<Semaphore>) -> reqwest::Result<Option<Payload>> {
    let mut body = Payload::default();
    while let Some(chunk) = response.chunk().await? {
        let size = body.len() + chunk.len();
        if size > limit {
            return Ok(None);
        }
        if size > LARGEST && body.large.is_none() {
            // The time that the request may take bounds this wait too.
            body.large = large.clone().acquire_owned().await.ok();
        }
        body.bytes.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The field that is to be set where no trusted authority has signed the certificate of the API, or one of the same name has.
fn with_ca_hint(why: String) -> String {
    match ["UnknownIssuer", "BadSignature"].iter().any(|error| why.ends_with(error)) {
        true => why + "; put the certificate authority of the API into spec.caBundle of the IamConnection",
        false => why,
    }
}

/// The innermost cause: what stands around it repeats it, or names the URL.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = match error.source() {
        Some(source) => source,
        None => return "no cause is known".into(),
    };
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
