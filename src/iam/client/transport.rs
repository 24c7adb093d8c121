//! Sends one request over TLS and reads the whole answer: one attempt, no redirect, a limit in time and in size.
//! Its errors hold neither the URL of the request nor a secret.

use super::ca;
use super::scrub::{KnownSecrets, scrub};
use crate::iam::answer::Answer;
use crate::iam::request::{Body, Request};
use crate::iam::{Error, Operation, Settings};
use crate::metrics::{CallResult, ConnectionMetrics};
use crate::proxy::{self, Failure, InvalidProxy, Proxy};
use crate::text::clean;
use crate::traces;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::tls::TlsInfo;
use reqwest::{Client, Method, RequestBuilder, Response, redirect};
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
/// The number of larger answers that are in memory at once.
const LARGE_AT_ONCE: usize = 2;
/// Shorter than what load balancers keep, so that a call seldom meets a connection that is being closed.
const IDLE: Duration = Duration::from_secs(30);
/// The longest name of a host, in bytes.
const LONGEST_HOST: usize = 255;
const CONNECT: Duration = Duration::from_secs(5);
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// The HTTP client of one endpoint.
pub(crate) struct Transport {
    client: Client,
    endpoint: Url,
    /// Through which the client sends its requests.
    proxy: Option<Proxy>,
    timeout: Duration,
    metrics: ConnectionMetrics,
    large: Arc<Semaphore>,
}

/// The body of an answer. A large one holds a permit, so that few of them are in memory.
#[derive(Default)]
pub(crate) struct Payload {
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

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("the endpoint must {0}")]
    Endpoint(&'static str),
    #[error("the CA bundle cannot be used: {0}")]
    CaBundle(#[from] ca::BundleError),
    #[error("the CA bundle cannot be used: one of its certificates cannot be read: {}", innermost(.0))]
    Certificate(#[source] reqwest::Error),
    #[error("no HTTP client can be made: {}", innermost(.0))]
    Client(#[source] reqwest::Error),
    #[error(transparent)]
    Proxy(#[from] InvalidProxy),
}

/// Why there is no answer. The causes hold no URL and no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error("an id cannot be part of a URL")]
    InvalidPath,
    #[error("the endpoint has no path")]
    NoPath,
    #[error("cannot connect in time{}", through(.0.as_ref()))]
    ConnectTimeout(Option<Proxy>),
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The proxy cannot be reached, or refuses.
    #[error("cannot connect: {0}")]
    Proxy(String),
    #[error("no complete response within {0:?}")]
    Timeout(Duration),
    /// The words of the cause differ from one time to the next, depending on what was lost.
    #[error("connection closed before the response was complete")]
    Interrupted,
    #[error("{status}: the answer is too large")]
    TooLarge { status: u16 },
}

impl TransportError {
    pub(crate) fn during(self, operation: Operation) -> Error {
        let message = format!("{operation}: {self}");
        match self {
            Self::InvalidPath | Self::NoPath => Error::Rejected(message),
            Self::ConnectTimeout(_)
            | Self::Connect(_)
            | Self::Proxy(_)
            | Self::Timeout(_)
            | Self::Interrupted
            | Self::TooLarge { .. } => Error::Unavailable(message),
        }
    }

    /// Whether the proxy is the cause, and not what is behind it.
    pub(crate) fn is_of_proxy(&self) -> bool {
        matches!(self, Self::Proxy(_))
    }

    /// The label in the metrics.
    fn result(&self) -> CallResult {
        match self {
            Self::ConnectTimeout(_) | Self::Timeout(_) => CallResult::Timeout,
            Self::InvalidPath
            | Self::NoPath
            | Self::Connect(_)
            | Self::Proxy(_)
            | Self::Interrupted
            | Self::TooLarge { .. } => CallResult::Error,
        }
    }
}

impl Transport {
    /// # Errors
    /// The setting that cannot be used.
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        check(&settings.endpoint)?;
        let proxy = proxy::of_url(&settings.endpoint)?;
        // HTTP/2 is not compiled in: one dead connection would stall every call.
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .https_only(true)
            .redirect(redirect::Policy::none())
            .referer(false)
            .tls_info(true)
            .timeout(settings.timeout)
            .connect_timeout(CONNECT.min(settings.timeout))
            .pool_idle_timeout(IDLE);
        if let Some(pem) = &settings.ca_pem {
            builder = builder.tls_certs_only(ca::certificates(pem)?);
        }
        let client = builder.build().map_err(|error| match settings.ca_pem {
            Some(_) => SettingsError::Certificate(error),
            None => SettingsError::Client(error),
        })?;
        let endpoint = settings.endpoint.clone();
        let metrics = settings.metrics.clone();
        Ok(Self {
            client,
            endpoint,
            proxy,
            timeout: settings.timeout,
            metrics,
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
        })
    }

    /// One attempt. `known` are the secrets in the request; `header` is marked as sensitive.
    pub(crate) async fn send(
        &self,
        request: &Request,
        header: Option<(HeaderName, HeaderValue)>,
        known: KnownSecrets,
    ) -> Result<Answer, TransportError> {
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
        let result = answer.as_ref().map_or_else(TransportError::result, |answer| CallResult::Status(answer.status));
        span.record("status", result.status());
        tracing::debug!(
            operation = request.operation.label(),
            ?result,
            ms = started.elapsed().as_millis(),
            "remote call"
        );
        self.metrics.called(request.operation, result, started.elapsed());
        answer
    }

    /// The certificate of the API as DER, from a request without path and credentials; any answer will do.
    pub(crate) async fn certificate(&self) -> Result<Option<Vec<u8>>, TransportError> {
        let request = Request::new(Operation::ListApps, Method::GET, &[]);
        let response = self.client.get(self.endpoint.clone()).send().await;
        let response = response.map_err(|error| self.error(&request, &KnownSecrets::default(), &error))?;
        let info = response.extensions().get::<TlsInfo>();
        Ok(info.and_then(TlsInfo::peer_certificate).map(<[u8]>::to_vec))
    }

    fn build(&self, request: &Request) -> Result<RequestBuilder, TransportError> {
        let builder = self.client.request(request.method.clone(), url(&self.endpoint, request)?);
        let builder = match request.media_type {
            Some(media_type) => builder.header(ACCEPT, media_type),
            None => builder,
        };
        Ok(match &request.body {
            Body::None => match request.media_type.filter(|_| request.method != Method::GET) {
                Some(media_type) => builder.header(CONTENT_TYPE, media_type),
                None => builder,
            },
            Body::Json(body) => match request.media_type {
                Some(media_type) => builder.header(CONTENT_TYPE, media_type).json(body),
                None => builder.json(body),
            },
            Body::Form { fields, basic: None } => builder.form(fields),
            Body::Form { fields, basic: Some((id, secret)) } => {
                builder.form(fields).basic_auth(id, Some(secret.expose_secret()))
            }
        })
    }

    async fn receive(
        &self,
        builder: RequestBuilder,
        request: &Request,
        known: KnownSecrets,
    ) -> Result<Answer, TransportError> {
        let failed = |error: reqwest::Error| self.error(request, &known, &error);
        let response = builder.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        let note = response.status().is_redirection().then(|| redirect(&response));
        // An error message needs no more than that.
        let limit = if request.operation.is_list() && response.status().is_success() { LARGEST_PAGE } else { LARGEST };
        let Some(body) = read(response, limit, &self.large).await.map_err(failed)? else {
            return Err(TransportError::TooLarge { status });
        };
        Ok(Answer {
            operation: request.operation,
            status,
            retry_after,
            note,
            body,
            disclosure: request.disclosure,
            known,
        })
    }

    fn error(&self, request: &Request, known: &KnownSecrets, error: &reqwest::Error) -> TransportError {
        let cause = scrub(&innermost(error), known, &[]);
        tracing::debug!(operation = request.operation.label(), error = cause, "no answer");
        if error.is_timeout() && error.is_connect() {
            TransportError::ConnectTimeout(self.proxy.clone())
        } else if error.is_timeout() {
            TransportError::Timeout(self.timeout)
        } else if error.is_connect() {
            self.connect_error(cause, error)
        } else {
            TransportError::Interrupted
        }
    }

    fn connect_error(&self, cause: String, error: &reqwest::Error) -> TransportError {
        match self.proxy.as_ref().map(|proxy| proxy.explain(&proxy::address_of_url(&self.endpoint), error)) {
            None => TransportError::Connect(with_ca_hint(cause)),
            Some(Failure::Proxy(why)) => TransportError::Proxy(why),
            Some(Failure::Destination(why)) => TransportError::Connect(with_ca_hint(why)),
        }
    }
}

fn check(endpoint: &Url) -> Result<(), SettingsError> {
    if endpoint.scheme() != "https" || endpoint.host_str().is_none() {
        return Err(SettingsError::Endpoint("be an https URL"));
    }
    if endpoint.query().is_some() || endpoint.fragment().is_some() {
        return Err(SettingsError::Endpoint("have no query and no fragment"));
    }
    if !endpoint.username().is_empty() || endpoint.password().is_some() {
        return Err(SettingsError::Endpoint("hold no user and no password"));
    }
    Ok(())
}

/// Escapes each segment. What a URL cannot carry as one segment is refused, since it would name something else.
fn url(endpoint: &Url, request: &Request) -> Result<Url, TransportError> {
    let unfit = |segment: &String| {
        matches!(segment.as_str(), "" | "." | "..") || segment.chars().any(|character| character.is_control())
    };
    if request.path.iter().any(unfit) {
        return Err(TransportError::InvalidPath);
    }
    let mut url = endpoint.clone();
    match url.path_segments_mut() {
        Ok(mut segments) => drop(segments.pop_if_empty().extend(&request.path)),
        Err(()) => return Err(TransportError::NoPath),
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

/// The proxy, for a message about a request that did not get through.
fn through(proxy: Option<&Proxy>) -> String {
    proxy.map(|proxy| format!(" through {proxy}")).unwrap_or_default()
}

/// The field that is to be set where no trusted authority has signed the certificate of the API, or one of the same name has.
fn with_ca_hint(why: String) -> String {
    if ["UnknownIssuer", "BadSignature"].iter().any(|error| why.ends_with(error)) {
        why + "; put the certificate authority of the API into spec.caBundle of the IamConnection"
    } else {
        why
    }
}

/// The innermost cause: what stands around it repeats it, or names the URL.
fn innermost(error: &reqwest::Error) -> String {
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
