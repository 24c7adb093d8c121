//! The port to an IAM service: what the operator needs of it, in the operator's own words.
//! No HTTP here; `iam::http` speaks to the two real APIs, and tests bring services of their own.

mod answer;
mod batch;
mod ca;
mod claims;
mod cpn;
mod csp;
mod flavor;
pub mod http;
mod list_cache;
mod listing;
mod operation;
#[cfg(test)]
mod properties;
mod rate_limiter;
mod request;
mod scrub;
mod session;
mod settings;
mod token;
mod token_response;
mod transport;

pub use claims::{TokenClaims, expiry as token_expiry};
pub use operation::Operation;
pub use settings::{ApiCredentials, CredentialsKind, LoadCredentials, ManagedIds, Settings};

use crate::crd::{Context, Roles};
use k8s_openapi::jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::time::{Duration, Instant};
use std::{fmt, future::Future};

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
    /// Takes the value out of plain sight.
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

/// What create and regenerate hand out, once.
#[derive(Clone, Debug, PartialEq)]
pub struct Credentials {
    /// The app.
    pub client_id: ClientId,
    /// Its secret; none for a public client. [csp-struct]
    pub client_secret: Option<ClientSecret>,
}

/// The body of a create: the fields that the spec sets, under the API's names, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct NewApp {
    /// Chosen before the call, so that a repeated create cannot make a second app.
    pub id: ClientId,
    /// The `context` query parameter. [cpn-create]
    pub context: Option<Context>,
    /// The documented fields, without `id` and `secret`.
    pub fields: Map<String, Value>,
    /// A secret that the user brings; the API generates one when there is none. [cpn-create, csp-create]
    pub secret: Option<ClientSecret>,
}

/// The body of an update: what differs, and what the API always wants beside it. An absent field is kept.
/// [cpn-patch, csp-patch]
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The `context` query parameter. [cpn-patch]
    pub context: Option<Context>,
    /// The documented fields, without `secret`.
    pub fields: Map<String, Value>,
    /// Becomes the only valid secret at once and cancels a rotation under way. Repeating it changes nothing.
    /// [cpn-patch, csp-patch]
    pub secret: Option<ClientSecret>,
}

/// What is known of an app without asking for it alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// The list of its organization shows it so. The list may be as old as was allowed.
    Listed(RemoteApp),
    /// The list of its organization does not show it, which proves nothing.
    NotListed,
    /// The API has no list, so the app was read: shown, or absent.
    Read(Option<RemoteApp>),
}

/// What the API says to a token request with a client's own credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// It gave a token, so the secret is valid.
    Accepted,
    /// It refused these credentials, in its words, scrubbed and cut.
    Refused(String),
    /// It gave none for another cause, in its words, scrubbed and cut.
    NotKnown(String),
}

/// An app as the API shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteApp {
    /// Its client id.
    pub id: ClientId,
    /// The documented fields of the answer, within bounds.
    pub fields: Map<String, Value>,
    /// Whether it is the one as which the operator calls. A list does not say.
    pub is_caller: bool,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub last_updated_at: Option<Timestamp>,
}

/// The roles of an app in its organization.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeldRoles {
    /// Given to the app itself.
    pub direct: Roles,
    /// Held through a group or a bundle; they cannot be taken from the app. [tcsp-role-binding]
    pub inherited: Roles,
}

/// What the API says to a deletion. Whether the app is gone is found out by reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Taken on; it may still be running.
    Accepted,
    /// No such app.
    NotFound,
    /// Listed under `failed` in a 200. [csp-delete]
    Failed,
    /// The API has no such operation. (undocumented)
    NotOffered,
}

/// Why a call brought nothing. Messages are scrubbed of secrets and cut; they hold no time, count or request id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No usable answer: unreachable, too slow, 5xx or malformed. The call may have taken hold all the same.
    #[error("{0}")]
    Unavailable(String),
    /// 429, or a call that was not made because an earlier one met 429.
    #[error("the API asks to wait")]
    Throttled {
        /// When it may be asked again.
        until: Instant,
    },
    /// The connection's credentials are missing, unusable or refused; no call was made with them.
    #[error("{0}")]
    Credentials(String),
    /// The access token is for another organization; no call was made with it.
    #[error("{0}")]
    WrongOrganization(String),
    /// 403, or no access token for the organization from credentials that may be good for others.
    #[error("{0}")]
    Forbidden(String),
    /// 404, where it means more than an absent app.
    #[error("{0}")]
    NotFound(String),
    /// 409.
    #[error("{0}")]
    Conflict(String),
    /// 400, 422 and whatever else the API will not do for this request.
    #[error("{0}")]
    Rejected(String),
}

impl Error {
    /// Whether the API answered and will not do it.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Forbidden(_) | Self::NotFound(_) | Self::Conflict(_) | Self::Rejected(_) => true,
            Self::Unavailable(_) | Self::Throttled { .. } | Self::Credentials(_) | Self::WrongOrganization(_) => false,
        }
    }

    /// Whether the call may have taken hold all the same.
    pub fn may_have_taken_hold(&self) -> bool {
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

/// An IAM service with the identity that one `IamConnection` gives.
pub trait Iam: Send + Sync + 'static {
    /// Makes sure that there is an access token for calls about this organization; free while one is valid.
    fn authenticate(&self, org: &OrgId) -> impl Future<Output = Result<(), Error>> + Send;

    /// Creates an app. [cpn-create, csp-create]
    fn create(&self, org: &OrgId, app: &NewApp) -> impl Future<Output = Result<Credentials, Error>> + Send;

    /// Reads an app; `None` when the API says that there is none. [cpn-get, csp-get]
    fn read(&self, org: &OrgId, id: &ClientId) -> impl Future<Output = Result<Option<RemoteApp>, Error>> + Send;

    /// Looks an app up in the list of its organization, which all apps of the organization share while it is not older
    /// than `max_age` and not older than the last change to this app; reads the app where the API has no list. [csp-list]
    fn look(&self, org: &OrgId, id: &ClientId, max_age: Duration)
    -> impl Future<Output = Result<Lookup, Error>> + Send;

    /// Changes an app; brings the app as it is now if the API shows it. [cpn-patch, csp-patch]
    fn update(
        &self,
        org: &OrgId,
        id: &ClientId,
        update: &Update,
    ) -> impl Future<Output = Result<Option<RemoteApp>, Error>> + Send;

    /// Gives an app a new secret; the present one stays valid for `overlap` beside it. [cpn-secret-post, csp-secret-post]
    fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Asks for a token with an app's own credentials, for apps with the grant type client_credentials. Every answer but a
    /// fault of the service itself is a verification.
    /// [vmc-org, cpn-account-token]
    fn prove(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
    ) -> impl Future<Output = Result<Verification, Error>> + Send;

    /// Deletes an app, together with others of its organization that are deleted at the same time. [csp-delete]
    fn delete(&self, org: &OrgId, id: &ClientId) -> impl Future<Output = Result<Deletion, Error>> + Send;

    /// The roles of an app in its organization, not older than `max_age`; `None` when it was not added to it.
    /// [cpn-clients-get, csp-clients, py-csptools]
    fn roles(
        &self,
        org: &OrgId,
        id: &ClientId,
        max_age: Duration,
    ) -> impl Future<Output = Result<Option<HeldRoles>, Error>> + Send;

    /// Adds an app to its organization; a failure that a success names is a fault too. [cpn-clients-post, csp-clients]
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
