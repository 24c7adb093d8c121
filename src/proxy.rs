//! The proxy of a request, as `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say, in upper or lower case.
//! The HTTP client of the IAM API and of traces reads them with the same rules, so one set of variables controls all requests.

use hyper::Uri;
use hyper::http::uri::Scheme;
use hyper_util::client::proxy::matcher::Matcher;
use std::error::Error;
use std::fmt;
use std::iter::successors;
use url::Url;

/// For each variable both spellings, the one that is read first at the front.
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const NO: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// How each error of a CONNECT request begins; its type is private to the library.
const TUNNEL: &str = "tunnel error: ";

/// A proxy through which a request goes. What shows it has neither the user nor the password of its URL.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    url: Uri,
    source: Source,
}

/// Where a proxy is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An environment variable, by its name.
    Variable(&'static str),
    /// `proxy-url` of a cluster in a kubeconfig.
    Kubeconfig,
}

/// The setting whose value is no URL of a proxy. The value may hold a password, so it is not quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not the URL of an HTTP proxy, such as http://proxy.example.com:3128")]
pub struct InvalidProxy(Source);

/// Why a request through a proxy was not sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The proxy cannot be reached, or refuses.
    Proxy(String),
    /// What is behind the proxy.
    Destination(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Variable(name) => name,
            Self::Kubeconfig => "proxy-url of the kubeconfig",
        })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {} ({})", address(&self.url), self.source)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxy(why) | Self::Destination(why) => f.write_str(why),
        }
    }
}

impl Proxy {
    /// The proxy of a request to this URL, by the environment of the process; `None` when it is sent directly.
    ///
    /// # Errors
    /// When the variable that applies has no URL of a proxy.
    pub(crate) fn of(destination: &Uri) -> Result<Option<Self>, InvalidProxy> {
        Self::find(destination, variable)
    }

    fn find(
        destination: &Uri,
        variable: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Option<Self>, InvalidProxy> {
        let names = if destination.scheme() == Some(&Scheme::HTTP) { HTTP } else { HTTPS };
        let set = [names, ALL].into_iter().filter_map(|names| first(names, &variable)).find(|(_, url)| !url.is_empty());
        let Some((name, url)) = set else { return Ok(None) };
        let excluded = first(NO, &variable).map(|(_, excluded)| excluded).unwrap_or_default();
        if is_excluded(destination, &excluded) {
            return Ok(None);
        }
        Self::new(&url, Source::Variable(name)).map(Some)
    }

    /// # Errors
    /// When the text is no URL of a proxy.
    pub(crate) fn new(url: &str, source: Source) -> Result<Self, InvalidProxy> {
        let url = parse(url).ok_or(InvalidProxy(source))?;
        Ok(Self { url, source })
    }

    /// Its URL, which may hold a user and a password.
    pub(crate) fn url(&self) -> &Uri {
        &self.url
    }

    /// An IPv6 address is in brackets.
    pub(crate) fn host_and_port(&self) -> (String, Option<u16>) {
        (self.url.host().unwrap_or_default().to_owned(), Some(port(&self.url)))
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// What an error of a request to this address, `host:port`, says.
    pub(crate) fn explain(&self, destination: &str, error: &(dyn Error + 'static)) -> Failure {
        let causes = || successors(Some(error), |error| Error::source(*error));
        let innermost = causes().last().map(ToString::to_string).unwrap_or_default();
        let of_tunnel = causes().find_map(|error| error.to_string().strip_prefix(TUNNEL).map(str::to_owned));
        match of_tunnel.as_deref() {
            Some("unsuccessful") => Failure::Proxy(format!("{self} refuses to connect to {destination}")),
            Some("proxy authorization required") => {
                Failure::Proxy(format!("{self} demands a user and a password, or rejects those in its URL"))
            }
            Some("failed to create underlying connection") => {
                Failure::Proxy(format!("cannot connect to {self}: {innermost}"))
            }
            Some(other) => Failure::Proxy(format!("{self} does not connect to {destination}: {other}")),
            None => Failure::Destination(format!("through {self}: {innermost}")),
        }
    }
}

/// Checks the variables once, before anything uses them: the HTTP client would ignore a value that it cannot use.
///
/// # Errors
/// The first variable that has no URL of a proxy.
pub(crate) fn validate() -> Result<(), InvalidProxy> {
    for (name, url) in [HTTPS, HTTP, ALL].into_iter().filter_map(|names| first(names, variable)) {
        if !url.is_empty() {
            Proxy::new(&url, Source::Variable(name))?;
        }
    }
    Ok(())
}

/// The same as [`Proxy::of`] for a URL of another type.
pub(crate) fn of_url(destination: &Url) -> Result<Option<Proxy>, InvalidProxy> {
    uri(destination).map_or(Ok(None), |destination| Proxy::of(&destination))
}

/// The same as [`address`] for a URL of another type.
pub(crate) fn address_of_url(url: &Url) -> String {
    uri(url).map(|url| address(&url)).unwrap_or_default()
}

/// What is a URL is a URI too.
fn uri(url: &Url) -> Option<Uri> {
    url.as_str().parse().ok()
}

/// The variables that are set, for the log; `None` when there is no proxy.
pub(crate) fn variables() -> Option<String> {
    let is_set = |names| first(names, variable).filter(|(_, value)| !value.is_empty());
    let proxies = [HTTPS, HTTP, ALL].into_iter().filter_map(is_set);
    let mut shown: Vec<String> =
        proxies.filter_map(|(name, url)| Some(format!("{name}={}", address(&parse(&url)?)))).collect();
    if shown.is_empty() {
        return None;
    }
    shown.extend(is_set(NO).map(|(name, excluded)| format!("{name}={excluded}")));
    Some(shown.join(" "))
}

/// Host and port of a URL, without a user.
pub(crate) fn address(url: &Uri) -> String {
    format!("{}:{}", url.host().unwrap_or_default(), port(url))
}

fn port(url: &Uri) -> u16 {
    url.port_u16().unwrap_or(if url.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 })
}

fn variable(name: &'static str) -> Option<String> {
    std::env::var(name).ok()
}

/// The spelling that is set, and its value.
fn first(
    names: [&'static str; 2],
    variable: impl Fn(&'static str) -> Option<String>,
) -> Option<(&'static str, String)> {
    names.into_iter().find_map(|name| Some((name, variable(name)?)))
}

/// Whether this value of `NO_PROXY` names the destination, decided by the code that the HTTP client uses.
fn is_excluded(destination: &Uri, excluded: &str) -> bool {
    Matcher::builder().all("http://any").no(excluded).build().intercept(destination).is_none()
}

/// Without a scheme it is `http`. A path, a query or a fragment would be the rest of a password with an unescaped character.
fn parse(text: &str) -> Option<Uri> {
    let given: Uri = text.parse().ok()?;
    let scheme = given.scheme().cloned().unwrap_or(Scheme::HTTP);
    let authority = given.authority()?;
    let (_, port) = authority.as_str().rsplit_once(authority.host())?;
    let is_bare = ["", "/"].contains(&given.path()) && given.query().is_none() && !text.contains('#');
    let is_address = !authority.host().is_empty() && (port.is_empty() || authority.port_u16().is_some());
    if !is_bare || !is_address || ![Scheme::HTTP, Scheme::HTTPS].contains(&scheme) {
        return None;
    }
    Uri::builder().scheme(scheme).authority(authority.clone()).path_and_query("/").build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(destination: &str, set: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variable =
            |name: &'static str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        let found = Proxy::find(&destination.parse().unwrap(), variable);
        found.map(|proxy| proxy.map(|proxy| proxy.to_string())).map_err(|error| error.to_string())
    }

    #[test]
    fn the_variable_of_the_scheme_goes_first_and_both_spellings_work() {
        let (api, collector) = ("https://api.example.com", "http://collector:4318");
        let found = |address: &str, variable: &str| Ok(Some(format!("proxy {address} ({variable})")));
        for (destination, set, expected) in [
            (api, &[][..], Ok(None)),
            (api, &[("HTTPS_PROXY", "http://a:3128")], found("a:3128", "HTTPS_PROXY")),
            (api, &[("https_proxy", "http://a:3128/")], found("a:3128", "https_proxy")),
            (api, &[("https_proxy", "http://a"), ("HTTPS_PROXY", "https://b")], found("b:443", "HTTPS_PROXY")),
            (api, &[("HTTP_PROXY", "http://a:3128")], Ok(None)),
            (collector, &[("HTTP_PROXY", "a:3128")], found("a:3128", "HTTP_PROXY")),
            (collector, &[("HTTPS_PROXY", "http://a")], Ok(None)),
            (api, &[("HTTPS_PROXY", ""), ("ALL_PROXY", "http://a")], found("a:80", "ALL_PROXY")),
            (api, &[("HTTPS_PROXY", "http://[fd00::1]:3128")], found("[fd00::1]:3128", "HTTPS_PROXY")),
        ] {
            assert_eq!(find(destination, set), expected, "{destination} {set:?}");
        }
    }

    #[test]
    fn no_proxy_names_domains_addresses_and_networks() {
        for (excluded, destination, direct) in [
            ("example.com", "https://api.example.com", true),
            (".example.com", "https://api.example.com", true),
            (".example.com", "https://notexample.com", false),
            ("10.96.0.1", "https://10.96.0.1:443", true),
            ("10.96.0.0/12, fd00::/8", "https://10.97.1.2", true),
            ("10.96.0.0/12,fd00::/8", "https://[fd00::1]:6443", true),
            ("fd00::1", "https://[fd00::1]", true),
            (".svc,.cluster.local", "https://kubernetes.default.svc", true),
            ("*", "https://api.example.com", true),
            // As with curl and with the client of the API, an entry has no port.
            ("api.example.com:443", "https://api.example.com", false),
            ("", "https://api.example.com", false),
        ] {
            let set = [("HTTPS_PROXY", "http://a"), ("no_proxy", excluded)];
            assert_eq!(find(destination, &set) == Ok(None), direct, "{excluded} {destination}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_proxy_is_refused_by_the_name_of_its_variable_and_not_quoted() {
        for url in [
            "socks5://hidden:1080",
            "http://user:hid/den@a:3128",
            "http://user:hid?den@a:3128",
            "http://user:hid#den@a:3128",
            "http://a:hidden",
            "hid den",
            "http://",
        ] {
            let refused = find("https://api.example.com", &[("HTTPS_PROXY", url)]).unwrap_err();
            assert!(refused.starts_with("HTTPS_PROXY is not the URL of an HTTP proxy"), "{url}: {refused}");
            assert!(!refused.contains("hid") && !refused.contains("den"), "{refused}");
        }
        let excluded = [("HTTPS_PROXY", "socks5://a"), ("NO_PROXY", "example.com")];
        assert_eq!(find("https://example.com", &excluded), Ok(None));
    }

    #[test]
    fn a_user_and_a_password_are_not_shown() {
        let proxy = Proxy::new("http://user:hidden%40@a:3128", Source::Kubeconfig).unwrap();
        assert_eq!(proxy.url().authority().unwrap(), "user:hidden%40@a:3128");
        assert_eq!(format!("{proxy}"), "proxy a:3128 (proxy-url of the kubeconfig)");
        assert_eq!(format!("{proxy:?}"), "Proxy(proxy a:3128 (proxy-url of the kubeconfig))");
    }
}
