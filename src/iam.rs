//! The port to an IAM API: what the operator needs of it. Nothing here depends on HTTP or on a vendor: `iam::http` implements the
//! port for the real APIs, whose differences are in `iam::flavor`; tests have implementations of their own.

#![warn(missing_docs)]

mod answer;
pub mod app_fields;
mod authentication;
mod client;
pub mod flavor;
pub mod http;
mod operation;
pub(crate) mod probe;
#[cfg(test)]
mod proptests;
mod request;
mod settings;

pub use authentication::claims::TokenClaims;
pub(crate) use authentication::claims::{expiry as token_expiry, scopes as token_scopes};
pub(crate) use authentication::expiry::CredentialsExpiry;
pub(crate) use authentication::{AppToken, TokenResponse};
pub(crate) use client::scrub::without_tokens;
pub(crate) use operation::Operation;
pub use settings::{ConnectionCredentials, CredentialsKind, LoadCredentials, LoadError, ManagedIds, Settings};

use crate::crd::{Context, Roles};
use k8s_openapi::jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

/// The id of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrgId(pub String);

/// The id of an OAuth app, which is its OAuth client id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub String);

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secret of an OAuth app: never printed, wiped from memory when dropped.
#[derive(Clone)]
pub struct ClientSecret(SecretString);

impl ClientSecret {
    /// Takes ownership of the value.
    pub fn new(value: String) -> Self {
        Self(value.into())
    }

    /// The value itself: for the Kubernetes Secret and the request body, nowhere else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for ClientSecret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(redacted)")
    }
}

/// The client id and client secret of an app. The API shows a secret that it generated only once, in the answer to the create.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientCredentials {
    /// The client id of the app.
    pub client_id: ClientId,
    /// The client secret; a public client has none. [csp-struct]
    pub client_secret: Option<ClientSecret>,
}

/// The body of a create: the fields that the spec sets, under the API's names, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct NewApp {
    /// Chosen before the request, so that a retried create finds the existing app instead of making a second one.
    pub id: ClientId,
    /// The `context` query parameter. [cpn-create]
    pub context: Option<Context>,
    /// The documented fields, without `id` and `secret`.
    pub fields: Map<String, Value>,
    /// The secret that the user provides or the operator has staged; where there is none, the API generates one.
    /// [cpn-create, csp-create]
    pub secret: Option<ClientSecret>,
}

impl NewApp {
    /// Whether it is a public client, which has no secret. [csp-struct]
    pub fn is_public(&self) -> bool {
        self.fields.get("publicClient") == Some(&Value::Bool(true))
    }
}

/// The body of an update: what differs, and what the API requires with it. Absent fields keep their values.
/// [cpn-patch, csp-patch]
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The `context` query parameter. [cpn-patch]
    pub context: Option<Context>,
    /// The documented fields, without `secret`.
    pub fields: Map<String, Value>,
    /// Becomes the only valid secret at once and cancels a rotation in progress. Repeating it changes nothing.
    /// [cpn-patch, csp-patch]
    pub secret: Option<ClientSecret>,
}

/// The result of looking for an app in the list of its organization.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// The list shows it. The list may be as old as `max_age`.
    Listed(RemoteApp),
    /// The list does not show it, which does not prove that it is gone.
    NotListed,
    /// The API has no list, so the app was read; `None` when the API shows none.
    Read(Option<RemoteApp>),
}

/// The result of a token request with an app's own credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The API issued a token, so the secret is valid.
    Accepted,
    /// The API refused these credentials. Its message, scrubbed and cut.
    Refused(String),
    /// The API issued no token for another cause. Its message, scrubbed and cut.
    NotKnown(String),
}

/// An app as the API shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteApp {
    /// The client id.
    pub id: ClientId,
    /// The documented fields of the answer, within bounds.
    pub fields: Map<String, Value>,
    /// Whether it is the operator's own OAuth client. Unknown, and so false, in a list.
    pub is_caller: bool,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub last_updated_at: Option<Timestamp>,
}

/// The roles of an app in its organization.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeldRoles {
    /// Roles that the app itself has.
    pub direct: Roles,
    /// Roles held through a group or a bundle; they cannot be taken from the app. [tcsp-role-binding]
    pub inherited: Roles,
}

/// The answer to a deletion. Only a read shows whether the app is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The deletion was accepted and may still be in progress.
    Accepted,
    /// No such app.
    NotFound,
    /// Listed under `failed` in a 200. [csp-delete]
    Failed,
    /// The API has no such operation. (undocumented)
    NotOffered,
}

/// A failed call. Messages are scrubbed of secrets and cut; they hold no time, count or request id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No usable answer: unreachable, too slow, 5xx or malformed. The request may have taken effect nevertheless.
    #[error("{0}")]
    Unavailable(String),
    /// 429, or a request that was not sent because an earlier one got 429.
    #[error("the API asks to wait")]
    Throttled {
        /// When requests may be sent again.
        until: Instant,
    },
    /// The connection's credentials are missing, unusable or refused; the operation was not tried.
    #[error("{0}")]
    Credentials(String),
    /// The access token is for another organization; the operation was not tried.
    #[error("{0}")]
    WrongOrganization(String),
    /// 403, or no access token for the organization for credentials that may be valid for others.
    #[error("{0}")]
    Forbidden(String),
    /// 404, where it means more than an absent app.
    #[error("{0}")]
    NotFound(String),
    /// 409.
    #[error("{0}")]
    Conflict(String),
    /// 400, 422 and every other refusal of this request.
    #[error("{0}")]
    Rejected(String),
}

impl Error {
    /// Whether the API refused the operation.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Forbidden(_) | Self::NotFound(_) | Self::Conflict(_) | Self::Rejected(_) => true,
            Self::Unavailable(_) | Self::Throttled { .. } | Self::Credentials(_) | Self::WrongOrganization(_) => false,
        }
    }

    /// Whether the request may have taken effect in spite of the error.
    pub(crate) fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Throttled { .. }
            | Self::Credentials(_)
            | Self::WrongOrganization(_)
            | Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Rejected(_) => false,
        }
    }
}

/// An IAM API with the credentials of one `IamConnection`.
pub trait Iam: Send + Sync + 'static {
    /// Makes sure that there is an access token for calls about this organization; sends nothing while one is valid.
    fn authenticate(&self, org: &OrgId) -> impl Future<Output = Result<(), Error>> + Send;

    /// Creates an app. [cpn-create, csp-create]
    fn create(&self, org: &OrgId, app: &NewApp) -> impl Future<Output = Result<ClientCredentials, Error>> + Send;

    /// Reads an app; `None` when the API says that there is none. [cpn-get, csp-get]
    fn read(&self, org: &OrgId, id: &ClientId) -> impl Future<Output = Result<Option<RemoteApp>, Error>> + Send;

    /// Looks an app up in the list of its organization, which all apps of the organization share while it is not older
    /// than `max_age` and not older than the last change to this app; reads the app where the API has no list. [csp-list]
    fn find(&self, org: &OrgId, id: &ClientId, max_age: Duration)
    -> impl Future<Output = Result<Lookup, Error>> + Send;

    /// Changes an app; returns the app as it is now if the answer shows it. [cpn-patch, csp-patch]
    fn update(
        &self,
        org: &OrgId,
        id: &ClientId,
        update: &Update,
    ) -> impl Future<Output = Result<Option<RemoteApp>, Error>> + Send;

    /// Gives an app a new secret; the current one stays valid for `overlap`. [cpn-secret-post, csp-secret-post]
    fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Ends the rotation of an app, so that only the newer of its secrets stays valid; succeeds if the API says that none is in
    /// progress. [csp-secret-del, vib-rotate]
    fn end_rotation(&self, org: &OrgId, id: &ClientId) -> impl Future<Output = Result<(), Error>> + Send;

    /// Requests a token with an app's own credentials, for apps with the grant type client_credentials. Any answer that is not an
    /// error of the API itself is a verification. [vmc-org, cpn-account-token]
    fn verify_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
    ) -> impl Future<Output = Result<Verification, Error>> + Send;

    /// Deletes an app, together with others of its organization that are deleted at about the same time. [csp-delete]
    fn delete(&self, org: &OrgId, id: &ClientId) -> impl Future<Output = Result<Deletion, Error>> + Send;

    /// The roles of an app in its organization, not older than `max_age`; `None` when it was not added to it.
    /// [cpn-clients-get, csp-clients, py-csptools]
    fn roles(
        &self,
        org: &OrgId,
        id: &ClientId,
        max_age: Duration,
    ) -> impl Future<Output = Result<Option<HeldRoles>, Error>> + Send;

    /// Adds an app to its organization; a failure in a success is an error too. [cpn-clients-post, csp-clients]
    fn add_to_organization(
        &self,
        org: &OrgId,
        id: &ClientId,
        context: Option<Context>,
        roles: &Roles,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Gives roles to an app of the organization and takes roles from it. [cpn-roles-patch, py-csptools]
    fn change_roles(
        &self,
        org: &OrgId,
        id: &ClientId,
        add: &Roles,
        remove: &Roles,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}
