//! The operator's own HTTP endpoint: liveness, readiness and metrics; `readiness` and `metrics` decide what they are.
//! Anyone may connect, so the number of connections, their duration and the size of a request are limited.

use crate::metrics::Metrics;
use crate::readiness::Readiness;
use futures::FutureExt;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::prometheus_text;
use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// The most connections that are open at once.
const CONNECTIONS: usize = 256;
/// At the limit this many of the oldest are closed at once, followed by a pause: a client has 80 ms to be served before others
/// replace it, and 3,200 can connect in a second.
const CLOSED_AT_ONCE: usize = 16;
const CLOSE_PAUSE: Duration = Duration::from_millis(5);
const TIMEOUTS: Timeouts = Timeouts { head: Duration::from_secs(5), connection: Duration::from_secs(15) };
/// The most bytes and fields of the head of a request: what hyper needs at least, and more than a probe or a scraper sends.
const LARGEST_HEAD: usize = 8 << 10;
const HEADER_FIELDS: usize = 32;
/// When no connection can be accepted, such as for lack of file descriptors, the next attempt comes after this.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// So many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How long a client may take.
#[derive(Clone, Copy)]
struct Timeouts {
    /// Until the head of its request is complete.
    head: Duration,
    /// From the start of the connection to the last byte of its only response.
    connection: Duration,
}

type Answer = Response<http_body_util::Full<Bytes>>;

/// Serves `/healthz`, `/readyz` and `/metrics` for as long as the process lives.
///
/// # Errors
/// When the address cannot be bound.
pub(crate) async fn serve(address: SocketAddr, readiness: Readiness, metrics: Arc<Metrics>) -> io::Result<()> {
    let listener = TcpListener::from_std(bind(address, listen)?)?;
    tracing::info!(address = %listener.local_addr()?, "serving /healthz, /readyz and /metrics");
    let answer = move |request: Request<Incoming>| {
        let (readiness, metrics) = (readiness.clone(), metrics.clone());
        async move { answer(&request, &readiness, &metrics).await }
    };
    accept(listener, TIMEOUTS, answer).await;
    Ok(())
}

/// Where the kernel has no IPv6, all addresses are those of IPv4.
fn bind<T>(address: SocketAddr, listen: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match listen(address) {
        Err(error) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && !is_taken_or_forbidden(&error) => {
            listen((Ipv4Addr::UNSPECIFIED, address.port()).into()).map_err(|_| error)
        }
        bound => bound,
    }
}

fn is_taken_or_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

/// A listener that serves IPv4 too if its address is that of all IPv6 addresses, whatever the default of the system is.
fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// At the limit, the oldest connections are closed for new ones, so idle connections cannot lock others out.
async fn accept<F>(
    listener: TcpListener,
    timeouts: Timeouts,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = Answer> + Send + 'static,
{
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "failed to accept a connection");
                sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= CONNECTIONS {
            open.drain(..CLOSED_AT_ONCE).for_each(|oldest| oldest.abort());
            sleep(CLOSE_PAUSE).await;
        }
        open.push_back(tokio::spawn(connection(stream, timeouts, answer.clone())).abort_handle());
    }
}

/// Serves one request, without keep-alive: a connection that is kept open can be held open.
async fn connection<F: Future<Output = Answer>>(
    stream: TcpStream,
    timeouts: Timeouts,
    answer: impl Fn(Request<Incoming>) -> F,
) {
    let service = service_fn(|request| answer(request).map(Ok::<_, Infallible>));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeouts.head)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(HEADER_FIELDS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(timeouts.connection, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::trace!(%error, "a connection to the HTTP endpoint closed early"),
        Err(_) => tracing::trace!("a connection to the HTTP endpoint timed out"),
    }
}

async fn answer(request: &Request<Incoming>, readiness: &Readiness, metrics: &Metrics) -> Answer {
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/healthz") => text(StatusCode::OK, "ok"),
        (&Method::GET | &Method::HEAD, "/readyz") => match readiness.check().await {
            Ok(()) => text(StatusCode::OK, "ok"),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
        },
        (&Method::GET | &Method::HEAD, "/metrics") => match metrics.text() {
            Ok(metrics) => {
                let mut answer = text(StatusCode::OK, metrics);
                answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(prometheus_text::CONTENT_TYPE));
                answer
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
        (_, "/healthz" | "/readyz" | "/metrics") => text(StatusCode::METHOD_NOT_ALLOWED, ""),
        _ => text(StatusCode::NOT_FOUND, ""),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(http_body_util::Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const DEADLINE: Duration = Duration::from_secs(30);
    /// So long that nothing ends because of it.
    const PATIENT: Timeouts = Timeouts { head: Duration::from_secs(3600), connection: Duration::from_secs(3600) };

    async fn serving(timeouts: Timeouts) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, timeouts, |_| async { text(StatusCode::OK, "ok") }));
        address
    }

    /// What comes back until the connection is closed.
    async fn exchange(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A connection that is reset has ended too.
        timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("the connection is closed").ok();
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn all_addresses_are_those_of_ipv4_where_the_kernel_has_no_ipv6() {
        let (all, v4) = ("[::]:8080".parse().unwrap(), "0.0.0.0:8080".parse().unwrap());
        // What socket(2) says then, on Linux: EAFNOSUPPORT.
        let without_ipv6 = |address: SocketAddr| match address {
            SocketAddr::V4(_) => Ok(address),
            SocketAddr::V6(_) => Err(io::Error::from_raw_os_error(97)),
        };
        assert_eq!(bind(all, without_ipv6).unwrap(), v4);
        assert_eq!(bind(all, Ok).unwrap(), all);
        assert!(bind("[::1]:8080".parse().unwrap(), without_ipv6).is_err(), "one address has no other");
        let taken = |address: SocketAddr| match address {
            SocketAddr::V4(_) => Ok(()),
            SocketAddr::V6(_) => Err(io::ErrorKind::AddrInUse.into()),
        };
        assert!(bind(all, taken).is_err(), "a port that is taken is not served in half");
    }

    const REQUEST: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

    #[tokio::test]
    async fn connections_that_are_held_open_lock_no_client_out_and_are_closed() {
        let address = serving(PATIENT).await;
        let mut held = Vec::new();
        for _ in 0..500 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.unwrap();
            held.push(stream);
        }
        let answer = exchange(address, REQUEST).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
        for stream in &mut held[..500 - CONNECTIONS] {
            let closed = timeout(DEADLINE, stream.read(&mut [0; 1])).await.expect("it is closed");
            assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_is_given_up() {
        for timeouts in
            [Timeouts { head: TIMEOUTS.head, ..PATIENT }, Timeouts { connection: TIMEOUTS.connection, ..PATIENT }]
        {
            let address = serving(timeouts).await;
            let answer = exchange(address, "GET /healthz HTTP/1.1\r\nHost:").await;
            assert!(!answer.contains("200 OK"), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_refused() {
        let address = serving(PATIENT).await;
        let long = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(2 * LARGEST_HEAD));
        let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(HEADER_FIELDS + 1));
        for request in [long, many] {
            let answer = exchange(address, &request).await;
            assert!(!answer.contains("200 OK"), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_connection_serves_one_request() {
        let address = serving(PATIENT).await;
        let answer = exchange(address, &REQUEST.repeat(2)).await;
        assert_eq!(answer.matches("200 OK").count(), 1, "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}
