//! The way to an endpoint, step by step: proxy, DNS, TCP, TLS. Each is tried from where the command runs, with the environment that
//! it has; in a pod that is what the operator has.

use super::certificate;
use super::rows::Rows;
use crate::iam::http::HttpIam;
use crate::proxy::{self, Proxy, address_of_url};
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
    let proxy = match proxy::of_url(url) {
        Ok(proxy) => proxy,
        Err(error) => return rows.failed("proxy", error.to_string(), "correct the variable, or unset it"),
    };
    match &proxy {
        Some(proxy) => rows.ok("proxy", format!("requests go through {proxy}")),
        None => rows.ok("proxy", "none; HTTPS_PROXY, ALL_PROXY and NO_PROXY would be used"),
    }
    let way = Way { url, proxy: proxy.as_ref() };
    rows.begin("DNS");
    if let Some(addresses) = resolve(&way, rows).await {
        rows.begin("TCP");
        connect(&way, &addresses, rows).await;
    }
    match iam {
        Some(iam) => {
            rows.begin("TLS");
            handshake(iam, &way, ca, rows).await;
        }
        None => rows.skipped("TLS", "the endpoint cannot be opened"),
    }
}

/// How an endpoint is reached.
struct Way<'a> {
    url: &'a Url,
    proxy: Option<&'a Proxy>,
}

impl Way<'_> {
    /// Host and port to which a connection is made first.
    fn first(&self) -> (String, Option<u16>) {
        match self.proxy {
            Some(proxy) => proxy.host_and_port(),
            None => (self.url.host_str().unwrap_or_default().to_owned(), self.url.port_or_known_default()),
        }
    }

    fn what_to_do_about_name(&self, host: &str) -> String {
        match self.proxy {
            Some(proxy) => format!("correct {}, or the DNS that resolves {host}", proxy.source()),
            None => format!("correct the host in the endpoint, or the DNS that resolves {host}"),
        }
    }

    fn what_to_do_about_connection(&self) -> String {
        let (place, value) = match self.proxy {
            Some(proxy) => (proxy.to_string(), "proxy"),
            None => (address_of_url(self.url), "endpoints"),
        };
        format!("allow {place} in firewalls and in the NetworkPolicy of the chart (networkPolicy.{value})")
    }

    fn what_to_do_about_refusal(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!(
            "allow {} in the proxy, or add {host} to NO_PROXY if it is reached without one",
            address_of_url(self.url)
        )
    }
}

async fn resolve(way: &Way<'_>, rows: &mut Rows) -> Option<Vec<SocketAddr>> {
    let (host, port) = way.first();
    let (host, port) = (host.trim_matches(['[', ']']).to_owned(), port?);
    let what_to_do = way.what_to_do_about_name(&host);
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

async fn connect(way: &Way<'_>, addresses: &[SocketAddr], rows: &mut Rows) {
    let mut last = String::new();
    for address in addresses {
        match timeout(TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return rows.ok("TCP", format!("connected to {address}")),
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address}: no connection within {} s", TIMEOUT.as_secs()),
        }
    }
    rows.failed("TCP", last, way.what_to_do_about_connection());
}

async fn handshake(iam: &HttpIam, way: &Way<'_>, ca: &str, rows: &mut Rows) {
    let found = match iam.certificate().await {
        Ok(Some(der)) => certificate::read(&der),
        Ok(None) => None,
        Err(error) if error.is_of_proxy() => {
            return rows.failed("TLS", error.to_string(), way.what_to_do_about_refusal());
        }
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
