//! The way to an endpoint, step by step: proxy, DNS, TCP, TLS. Each is tried from where the command runs, with the environment that
//! it has; in a pod that is what the operator has.

use super::certificate;
use super::rows::Rows;
use crate::iam::http::HttpIam;
use hyper_util::client::proxy::matcher::Matcher;
use k8s_openapi::jiff::Timestamp;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Url;

const TIMEOUT: Duration = Duration::from_secs(5);
/// The most addresses that are named and tried.
const MOST_ADDRESSES: usize = 8;
/// A certificate that ends sooner is a warning, in days.
const SOON: i64 = 14;
const DAY: i64 = 24 * 60 * 60;

/// `iam` is absent where the endpoint cannot be opened; `ca` says where its certificate authority is set.
pub(super) async fn check(url: &Url, iam: Option<&HttpIam>, ca: &str, rows: &mut Rows) {
    let proxy = proxy(url);
    match &proxy {
        Some(proxy) => {
            rows.ok("proxy", format!("requests go through {}, as HTTPS_PROXY or ALL_PROXY says", place(proxy)))
        }
        None => rows.ok("proxy", "none; HTTPS_PROXY, ALL_PROXY and NO_PROXY would be used"),
    }
    let first = proxy.as_ref().unwrap_or(url);
    rows.begin("DNS");
    if let Some(addresses) = resolve(first, rows).await {
        rows.begin("TCP");
        connect(first, &addresses, rows).await;
    }
    match iam {
        Some(iam) => {
            rows.begin("TLS");
            handshake(iam, ca, rows).await;
        }
        None => rows.skipped("TLS", "the endpoint cannot be opened"),
    }
}

/// The proxy of a request, chosen by the code that the HTTP client uses.
fn proxy(url: &Url) -> Option<Url> {
    let intercept = Matcher::from_env().intercept(&url.as_str().parse().ok()?)?;
    intercept.uri().to_string().parse().ok()
}

/// Host and port: a user or a password of a proxy is not shown.
fn place(url: &Url) -> String {
    let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

async fn resolve(url: &Url, rows: &mut Rows) -> Option<Vec<SocketAddr>> {
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default()?;
    let what_to_do = format!("correct the host in the endpoint, or the DNS that resolves {host}");
    match timeout(TIMEOUT, lookup_host((host.as_str(), port))).await {
        Ok(Ok(addresses)) => {
            let addresses: Vec<SocketAddr> = addresses.take(MOST_ADDRESSES).collect();
            if addresses.is_empty() {
                rows.failed("DNS", format!("{host} has no address"), what_to_do);
                return None;
            }
            let ips: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            rows.ok("DNS", format!("{host} is {}", ips.join(", ")));
            Some(addresses)
        }
        Ok(Err(error)) => {
            rows.failed("DNS", format!("{host}: {error}"), what_to_do);
            None
        }
        Err(_) => {
            rows.failed("DNS", format!("{host}: no answer within {} s", TIMEOUT.as_secs()), what_to_do);
            None
        }
    }
}

async fn connect(url: &Url, addresses: &[SocketAddr], rows: &mut Rows) {
    let mut last = String::new();
    for address in addresses {
        match timeout(TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return rows.ok("TCP", format!("connected to {address}")),
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address}: no connection within {} s", TIMEOUT.as_secs()),
        }
    }
    let what_to_do =
        format!("allow {} in firewalls and in the NetworkPolicy of the chart (networkPolicy.endpoints)", place(url));
    rows.failed("TCP", last, what_to_do);
}

async fn handshake(iam: &HttpIam, ca: &str, rows: &mut Rows) {
    let found = match iam.certificate().await {
        Ok(Some(der)) => certificate::read(&der),
        Ok(None) => None,
        Err(error) => {
            return rows.failed(
                "TLS",
                error.to_string(),
                format!("put the certificate authority of the API into {ca}, if that is the cause"),
            );
        }
    };
    let Some(found) = found else { return rows.ok("TLS", "the certificate is trusted") };
    let issuer = found.issuer.map_or_else(String::new, |issuer| format!(", issued by {issuer}"));
    let Some(expires_at) = found.expires_at else {
        return rows.ok("TLS", format!("the certificate is trusted{issuer}"));
    };
    let days = (expires_at.as_second() - Timestamp::now().as_second()) / DAY;
    let found = format!("the certificate is trusted{issuer}; it expires in {days} days");
    if days < SOON {
        rows.warning("TLS", found, "have the certificate of the API renewed");
    } else {
        rows.ok("TLS", found);
    }
}
