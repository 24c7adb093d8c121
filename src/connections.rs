//! The port to the `IamConnection`s: which there are, the IAM service behind each, and whether it can be used.
//! No HTTP here; `connections::watched` has those of the cluster, and simulations bring their own.

#![warn(missing_docs)]

mod credentials;
pub(crate) mod watched;

use crate::crd::IamConnection;
use crate::iam::{Iam, OrgId, TokenClaims};
use crate::reason::Blocked;
use k8s_openapi::jiff::Timestamp;
use std::future::Future;
use std::sync::Arc;

/// The connections of the cluster, and the services behind them.
pub trait Connections: Send + Sync + 'static {
    /// The service behind a connection.
    type Iam: Iam;

    /// The connection of that name.
    fn find(&self, name: &str) -> Option<Arc<IamConnection>>;

    /// Whether a connection of that name exists and cannot be read, so that `find` does not have it.
    fn is_unreadable(&self, name: &str) -> bool;

    /// The service with the connection's identity; opening again returns the same.
    /// Where each namespace provides its own credentials, the identity is that of `namespace`.
    fn open(
        &self,
        connection: &IamConnection,
        namespace: &str,
    ) -> impl Future<Output = Result<Arc<Self::Iam>, Blocked>> + Send;

    /// Checks whether the connection can be used now, with what was replaced since it was opened. An API whose token requests
    /// must name an organization is asked about `org`.
    fn check(&self, connection: &IamConnection, org: Option<&OrgId>) -> impl Future<Output = CheckResult> + Send;
}

/// Tells one spec of a connection from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpecVersion {
    uid: Option<String>,
    generation: Option<i64>,
}

impl SpecVersion {
    pub(crate) fn of(connection: &IamConnection) -> Self {
        Self { uid: connection.metadata.uid.clone(), generation: connection.metadata.generation }
    }
}

/// The result of a check of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// Whether it can be used.
    pub health: ConnectionHealth,
    /// When its credentials expire.
    pub expiry: Expiry,
}

impl CheckResult {
    /// Where the credentials were not read, or belong to others.
    pub fn without_expiry(health: ConnectionHealth) -> Self {
        let expiry = match health {
            ConnectionHealth::Delayed(_) => Expiry::NotRead,
            ConnectionHealth::Accepted(_)
            | ConnectionHealth::ByEachNamespace
            | ConnectionHealth::NotAsked
            | ConnectionHealth::Unreachable(_)
            | ConnectionHealth::Undecided(_)
            | ConnectionHealth::Wrong(_) => Expiry::NotKnown,
        };
        Self { health, expiry }
    }
}

/// Whether a connection can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionHealth {
    /// The API issued an access token for the credentials, with these claims.
    Accepted(TokenClaims),
    /// Each namespace provides its own credentials.
    ByEachNamespace,
    /// The API could not be asked yet, for want of an organization.
    NotAsked,
    /// The API gives no usable answer.
    Unreachable(String),
    /// It could not be found out now: the API asks to wait, or Kubernetes gave no usable answer.
    Delayed(String),
    /// The API issues no token for the only organization that it could be asked about.
    Undecided(String),
    /// A person must change something.
    Wrong(Blocked),
}

/// When credentials expire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// No annotation has it, nor the token, nor the API.
    NotKnown,
    /// It could not be found out now.
    NotRead,
    /// At a time.
    At {
        /// The Secret that holds the credentials.
        what: String,
        /// The time.
        at: Timestamp,
    },
    /// The annotation with it cannot be parsed.
    Unreadable(String),
}
