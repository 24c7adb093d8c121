//! Patterns of redirect URIs. Only a URI of plain form can match, one that every parser reads alike; whatever could send
//! a browser elsewhere than it seems matches no pattern.

/// A scheme, a host or the domain above it, a port and the beginning of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern<'a> {
    scheme: &'a str,
    host: Host<'a>,
    port: Option<&'a str>,
    path: Path<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host<'a> {
    Exactly(&'a str),
    /// One label before this domain, as with certificates: who may choose deeper names is not for the pattern to say.
    LabelBefore(&'a str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Path<'a> {
    Exactly(&'a str),
    /// This, and whatever comes after it.
    Prefix(&'a str),
}

impl<'a> Pattern<'a> {
    /// Reads a pattern such as `https://*.example.com/app/*`; `None` where it is none, and so covers nothing.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (stem, is_prefix) = text.strip_suffix('*').map_or((text, false), |stem| (stem, true));
        let parts = Parts::split(stem)?;
        let host = match parts.host.strip_prefix("*.") {
            Some(domain) => Host::LabelBefore(domain),
            None => Host::Exactly(parts.host),
        };
        let (Host::Exactly(name) | Host::LabelBefore(name)) = host;
        // `https://a.example.com*` would cover other hosts.
        let whole = is_name(name) && name == name.to_ascii_lowercase() && (!is_prefix || !parts.path.is_empty());
        let path = if is_prefix { Path::Prefix(parts.path) } else { Path::Exactly(root(parts.path)) };
        whole.then_some(Self { scheme: parts.scheme, host, port: parts.port, path })
    }

    /// Whether a URI is one of those that the pattern stands for.
    pub(super) fn covers(&self, uri: &str) -> bool {
        let Some(parts) = Parts::split(uri).filter(|_| is_plain(uri)) else { return false };
        let host = parts.host.to_ascii_lowercase();
        let path = root(parts.path);
        is_name(&host)
            && parts.scheme.eq_ignore_ascii_case(self.scheme)
            && parts.port == self.port
            && match self.host {
                Host::Exactly(name) => host == name,
                Host::LabelBefore(domain) => host.split_once('.').is_some_and(|(_, rest)| rest == domain),
            }
            && match self.path {
                Path::Exactly(exactly) => path == exactly,
                Path::Prefix(prefix) => path.starts_with(prefix),
            }
    }
}

/// What stands between the delimiters of `scheme://host:port/path?query`.
struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<&'a str>,
    /// With the query, since a path that is meant literally has none.
    path: &'a str,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        Some(Self { scheme, host, port, path })
    }
}

/// No path is the same as the root. (RFC 3986, 6.2.3)
fn root(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

/// No user, fragment, escape, wildcard, backslash, space or foreign letter, and no step upwards in the path.
fn is_plain(uri: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()+,=:/?".contains(c);
    let path = uri.split('?').next().unwrap_or_default();
    uri.chars().all(known) && !path.split('/').any(|segment| segment == "." || segment == "..")
}

/// Labels of letters, digits and hyphens.
fn is_name(host: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
    host.split('.')
        .all(|label| !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, uri: &str) -> bool {
        Pattern::parse(pattern).is_some_and(|pattern| pattern.covers(uri))
    }

    #[test]
    fn a_pattern_covers_its_own_hosts_and_paths() {
        for (pattern, uri) in [
            ("https://*.example.com/*", "https://a.example.com/cb"),
            ("https://*.example.com/*", "HTTPS://A.Example.com/cb"),
            ("https://*.example.com/*", "https://a.example.com"),
            ("https://*.example.com/*", "https://a.example.com/?next=1"),
            ("https://*.example.com/*", "https://a.example.com/..a/.well-known/x"),
            ("https://a.example.com/app/*", "https://a.example.com/app/cb?x=1"),
            ("https://a.example.com/app*", "https://a.example.com/application"),
            ("https://a.example.com", "https://a.example.com/"),
            ("https://a.example.com/cb", "https://a.example.com/cb"),
            ("http://localhost:8080/*", "http://localhost:8080/cb"),
            ("http://127.0.0.1:8080/*", "http://127.0.0.1:8080/cb"),
            ("com.example.app://callback/*", "com.example.app://callback/done"),
        ] {
            assert!(covers(pattern, uri), "{pattern} {uri}");
        }
    }

    #[test]
    fn no_uri_leads_elsewhere_than_its_pattern_says() {
        let any = "https://*.example.com/*";
        for (pattern, uri) in [
            (any, "https://example.com/cb"),
            (any, "https://a.b.example.com/cb"),
            (any, "https://.example.com/cb"),
            (any, "https://aexample.com/cb"),
            (any, "https://a.example.com.evil.test/cb"),
            (any, "https://a.example.com./cb"),
            (any, "https://evil.test/a.example.com/cb"),
            (any, "https://evil.test?a.example.com/cb"),
            (any, "https://evil.test#a.example.com/cb"),
            (any, "https://evil.test\\.example.com/cb"),
            (any, "https://a.example.com\\@evil.test/cb"),
            (any, "https://evil.test%2f.example.com/cb"),
            (any, "https://a.example.com@evil.test/cb"),
            (any, "https://user:pass@a.example.com/cb"),
            (any, "https://a.example.com:443/cb"),
            (any, "https://a.example.com:/cb"),
            (any, "https://a.example.com:8443:1/cb"),
            (any, "http://a.example.com/cb"),
            (any, "javascript://a.example.com/%0aalert(1)"),
            (any, "https:/a.example.com/cb"),
            (any, "https:a.example.com/cb"),
            (any, "//a.example.com/cb"),
            (any, " https://a.example.com/cb"),
            (any, "https://a.example.com/cb\n"),
            (any, "https://*.example.com/cb"),
            (any, "https://a.example.com/*"),
            (any, "https://a.example.com/cb#token"),
            (any, "https://\u{430}.example.com/cb"),
            (any, "https://a.example.com\u{2215}evil.test/cb"),
            (any, "https://[::1].example.com/cb"),
            (any, "https://-.example.com/cb"),
            ("https://a.example.com/app/*", "https://a.example.com/app"),
            ("https://a.example.com/app/*", "https://a.example.com/app/../admin"),
            ("https://a.example.com/app/*", "https://a.example.com/app/%2e%2e/admin"),
            ("https://a.example.com/app/*", "https://a.example.com/app/..;/admin"),
            ("https://a.example.com/app/*", "https://a.example.com/App/cb"),
            ("https://a.example.com/app/*", "https://a.example.com?/app/cb"),
            ("https://a.example.com/cb", "https://a.example.com/cb?next=https://evil.test"),
            ("https://a.example.com/cb", "https://a.example.com/cb/"),
            ("https://a.example.com:8443/*", "https://a.example.com/cb"),
        ] {
            assert!(!covers(pattern, uri), "{pattern} {uri}");
        }
    }

    #[test]
    fn what_is_no_pattern_covers_nothing() {
        for (pattern, uri) in [
            ("https://a.example.com*", "https://a.example.com.evil.test/"),
            ("https://a.example.com*", "https://a.example.com/"),
            ("https://a.*.com/*", "https://a.example.com/"),
            ("https://a*.example.com/*", "https://ab.example.com/"),
            ("https://*/*", "https://a.example.com/"),
            ("https://*.*/*", "https://a.example.com/"),
            ("*://a.example.com/*", "https://a.example.com/"),
            ("*", "https://a.example.com/"),
            ("", ""),
            ("https://A.example.com/*", "https://a.example.com/"),
            ("https:///*", "https:///cb"),
        ] {
            assert!(!covers(pattern, uri), "{pattern} {uri}");
        }
    }
}
