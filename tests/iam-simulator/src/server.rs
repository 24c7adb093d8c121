//! The listener: TLS, HTTP/1.1, and the faults that happen to connections and answers.
//! It works on hyper's own service, because only there can a request be dropped without a response.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderValue, LOCATION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::call::{Answer, Call, Refusal};
use crate::control;
use crate::dispatch::{perform, refused};
use crate::faults::{Facts, Plan};
use crate::store::State;
use crate::tokens::implied_org;
use crate::types::{Action, Flavor};
use crate::{broker, paging};

/// A response body: known at once, or sent piece by piece.
pub(crate) type Body = Either<Full<Bytes>, Channel<Bytes, Infallible>>;

/// The state that all connections share.
pub(crate) struct Shared(Mutex<State>);

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self(Mutex::new(state))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no operation panics")
    }
}

/// How a connection ends without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Abort {
    #[error("closed without an answer")]
    Close,
    #[error("reset")]
    Reset,
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Accepts connections until it is dropped.
pub(crate) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, acceptor.clone(), shared.clone()))),
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let Ok(tls) = acceptor.accept(stream).await else { return };
    let service = service_fn(|request| Box::pin(handle(shared.clone(), request)));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(tls), service);
    let ended = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let mut io = connection.into_parts().io.into_inner();
    let abort = ended.as_ref().err().and_then(std::error::Error::source).and_then(|e| e.downcast_ref::<Abort>());
    match abort {
        Some(Abort::Reset) => drop(io.get_ref().0.set_zero_linger()),
        Some(Abort::Close) => {}
        None => drop(io.shutdown().await),
    }
}

/// A call being served; tells the log when it is over, even if the client went away.
struct Visit {
    shared: Arc<Shared>,
    seq: u64,
}

impl Visit {
    fn arrive(shared: &Arc<Shared>, call: &Call) -> (Self, Plan) {
        let mut state = shared.state();
        let clients = call.client_ids();
        let realm = call.route.flavor.and_then(|flavor| state.realm(flavor, call.org()));
        let implied_org = realm.and_then(|realm| implied_org(realm, call));
        let facts = Facts {
            operation: call.route.operation,
            flavor: call.route.flavor,
            org: call.route.org.as_deref(),
            implied_org: implied_org.as_deref(),
            clients: &clients,
        };
        let mut plan = if state.settings.down {
            Plan { latency_ms: 0, action: Some(Action::ConnectionReset) }
        } else {
            let now = state.now();
            state.faults.plan(&facts, now)
        };
        plan.latency_ms += state.settings.latency_ms;
        let seq = state.log.arrive(call, clients);
        state.log.hit(seq, plan.action.clone());
        (Self { shared: shared.clone(), seq }, plan)
    }

    fn perform(&self, call: &Call) -> Answer {
        let mut state = self.shared.state();
        let now = state.now();
        let (answer, succeeded) = perform(&mut state, call, now);
        if succeeded {
            state.log.performed(self.seq);
        }
        answer
    }

    /// The API's form of an error without a cause in its state.
    fn refuse(&self, call: &Call, status: u16, message: &str) -> Answer {
        refused(&self.shared.state().settings, &call.route, &Refusal::new(status, message))
    }

    fn perform_if(&self, call: &Call, performed: bool) {
        if performed {
            self.perform(call);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.shared.state().log.leave(self.seq);
    }
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Abort> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Abort::Close)?.to_bytes();
    if let Some(path) = parts.uri.path().strip_prefix("/control/") {
        return Ok(respond(&control::serve(&mut shared.state(), parts.method.as_str(), path, &body)));
    }
    let call = Call::new(parts, body);
    let (visit, plan) = Visit::arrive(&shared, &call);
    if plan.latency_ms > 0 {
        sleep(Duration::from_millis(plan.latency_ms)).await;
    }
    let response = answer(&visit, &call, plan.action.as_ref()).await?;
    shared.state().log.answer(visit.seq, response.status().as_u16());
    Ok(response)
}

async fn answer(visit: &Visit, call: &Call, action: Option<&Action>) -> Result<Response<Body>, Abort> {
    let refuse = |status, message: &str| visit.refuse(call, status, message);
    let answer = match action {
        None | Some(Action::Latency { .. }) => visit.perform(call),
        Some(Action::TooManyRequests { retry_after }) => {
            Answer { retry_after: *retry_after, ..refuse(429, "too many requests") }
        }
        Some(Action::Status { status, message, performed }) => {
            visit.perform_if(call, *performed);
            refuse(*status, message)
        }
        Some(Action::Echo { status, spelling }) => {
            refuse(*status, &format!("cannot handle {}", call.quoted(*spelling)))
        }
        Some(Action::ExpiredToken) => refuse(401, "the access token has expired"),
        Some(Action::Redirect { location }) => return Ok(redirect(location)),
        Some(Action::ConnectionReset) => return Err(Abort::Reset),
        Some(Action::ResponseLost) => {
            visit.perform(call);
            return Err(Abort::Close);
        }
        Some(Action::Hang { performed }) => {
            visit.perform_if(call, *performed);
            std::future::pending().await
        }
        Some(Action::SlowBody { ms }) => return Ok(dribbled(&visit.perform(call), *ms)),
        Some(Action::MalformedBody) => return Ok(malformed(&visit.perform(call))),
        Some(Action::EndlessList { page_bytes }) => return Ok(endless(call, *page_bytes)),
        Some(Action::LargeBody { bytes }) => return Ok(large(&visit.perform(call), *bytes)),
    };
    Ok(respond(&answer))
}

fn response(answer: &Answer, body: Body) -> Response<Body> {
    let mut builder = Response::builder().status(answer.status);
    if answer.body.is_some() {
        builder = builder.header("content-type", answer.media_type);
    }
    if let Some(seconds) = answer.retry_after {
        builder = builder.header("retry-after", seconds);
    }
    builder.body(body).expect("status and headers are valid")
}

fn text(answer: &Answer) -> String {
    answer.body.as_ref().map(Value::to_string).unwrap_or_default()
}

fn respond(answer: &Answer) -> Response<Body> {
    response(answer, Either::Left(Full::from(text(answer))))
}

/// 302 to another address, without a body.
fn redirect(location: &str) -> Response<Body> {
    let mut redirect = respond(&Answer::empty(302));
    if let Ok(location) = HeaderValue::from_str(location) {
        redirect.headers_mut().insert(LOCATION, location);
    }
    redirect
}

/// The answer as 200 with its JSON broken off in the middle.
fn malformed(answer: &Answer) -> Response<Body> {
    let text = text(answer);
    let half: String = text.chars().take(text.chars().count() / 2).collect();
    let broken = Answer::ok(Value::Null).media_type(answer.media_type);
    response(&broken, Either::Left(Full::from(format!("{{\"{half}"))))
}

/// An array of so many bytes.
fn tiny_values(bytes: usize) -> String {
    format!("[{}0]", "0,".repeat(bytes / 2))
}

/// A page of a list that has no end.
fn endless(call: &Call, page_bytes: usize) -> Response<Body> {
    let (answer, page) = match call.route.flavor {
        Some(Flavor::Broker) => broker::endless(call, &tiny_values(page_bytes)),
        Some(Flavor::Csp | Flavor::Cpn) | None => paging::endless(call, &tiny_values(page_bytes)),
    };
    response(&answer, Either::Left(Full::from(page)))
}

/// The answer with one more field.
fn large(answer: &Answer, bytes: usize) -> Response<Body> {
    let text = text(answer);
    let rest = text.strip_prefix('{').unwrap_or("}");
    let comma = if rest == "}" { "" } else { "," };
    response(answer, Either::Left(Full::from(format!("{{\"noise\":{}{comma}{rest}", tiny_values(bytes)))))
}

/// The answer in twenty pieces over `ms` milliseconds, or blanks without end.
fn dribbled(answer: &Answer, ms: Option<u64>) -> Response<Body> {
    const PIECES: usize = 20;
    let bytes = Bytes::from(text(answer));
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        let pause = Duration::from_millis(ms.map_or(20, |ms| ms / PIECES as u64));
        let size = bytes.len().div_ceil(PIECES).max(1);
        let mut rest = bytes;
        while ms.is_none() || !rest.is_empty() {
            sleep(pause).await;
            let piece = match ms {
                Some(_) => rest.split_to(size.min(rest.len())),
                None => Bytes::from_static(b" "),
            };
            if sender.send_data(piece).await.is_err() {
                return;
            }
        }
    });
    response(answer, Either::Right(body))
}
