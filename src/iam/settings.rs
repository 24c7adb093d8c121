//! The settings of an HTTP client: the endpoint, its limits, and the credentials of the connection.
//! Nothing here shows a secret when it is printed.

use super::{ClientId, OrgId};
use crate::crd::Api;
use crate::lease::guard::LeadershipGuard;
use crate::metrics::ConnectionMetrics;
use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The endpoint and its limits.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The flavor.
    pub api: Api,
    /// The base URL: https, a path prefix if any, no query.
    pub endpoint: Url,
    /// PEM certificates to trust instead of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// The most in-flight requests, token requests included; at least 1.
    pub max_in_flight: usize,
    /// The most requests per second, if limited.
    pub requests_per_second: Option<NonZeroU32>,
    /// How long one request may take, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Counts the calls.
    pub metrics: ConnectionMetrics,
    /// Closed once this replica may send no request any more.
    pub guard: LeadershipGuard,
}

/// The credentials of a connection.
#[derive(Clone)]
pub enum ConnectionCredentials {
    /// An API token of a user. [auth-apitok, cpn-accesstoken]
    ApiToken(SecretString),
    /// An OAuth app with the client credentials grant. [vmc-org, cpn-account-token]
    Client {
        /// Its client id.
        id: String,
        /// Its secret.
        secret: SecretString,
    },
}

/// The kinds of credentials, which differ in the organizations for which they get access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsKind {
    /// It belongs to one organization. [csp-index]
    ApiToken,
    /// They get a token for each organization to which the app was added. [csp-index]
    ClientCredentials,
}

impl ConnectionCredentials {
    /// Which kind they are.
    pub fn kind(&self) -> CredentialsKind {
        match self {
            Self::ApiToken(_) => CredentialsKind::ApiToken,
            Self::Client { .. } => CredentialsKind::ClientCredentials,
        }
    }
}

/// Reads the credentials from their Secret, again each time and in bounded time, since all calls that need a token wait for it.
pub type LoadCredentials = Arc<dyn Fn() -> BoxFuture<'static, Result<ConnectionCredentials, LoadError>> + Send + Sync>;

/// Why there are no credentials; its message holds no secret.
pub type LoadError = Box<dyn std::error::Error + Send + Sync>;

/// The apps of an organization that are managed: of a list only their entries are kept.
pub type ManagedIds = Arc<dyn Fn(&OrgId) -> HashSet<ClientId> + Send + Sync>;

impl PartialEq for ConnectionCredentials {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ApiToken(one), Self::ApiToken(two)) => one.expose_secret() == two.expose_secret(),
            (Self::Client { id, secret }, Self::Client { id: other_id, secret: other_secret }) => {
                id == other_id && secret.expose_secret() == other_secret.expose_secret()
            }
            (Self::ApiToken(_), Self::Client { .. }) | (Self::Client { .. }, Self::ApiToken(_)) => false,
        }
    }
}

impl fmt::Debug for ConnectionCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiToken(_) => f.write_str("ApiToken(redacted)"),
            Self::Client { id, .. } => write!(f, "Client({id:?}, redacted)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(id: &str, secret: &str) -> ConnectionCredentials {
        ConnectionCredentials::Client { id: id.into(), secret: secret.to_owned().into() }
    }

    #[test]
    fn credentials_compare_by_value_and_print_none() {
        let token = |value: &str| ConnectionCredentials::ApiToken(value.to_owned().into());
        assert_eq!(token("hidden-1"), token("hidden-1"));
        assert_ne!(token("hidden-1"), token("hidden-2"));
        assert_eq!(client("a", "hidden-1"), client("a", "hidden-1"));
        assert_ne!(client("a", "hidden-1"), client("b", "hidden-1"));
        assert_ne!(client("a", "hidden-1"), client("a", "hidden-2"));
        assert_ne!(client("a", "hidden-1"), token("hidden-1"));
        let printed = format!("{:?} {:?}", client("a", "hidden-1"), token("hidden-1"));
        assert!(!printed.contains("hidden"), "{printed}");
    }
}
