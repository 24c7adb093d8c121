//! What differs between the two APIs, and what the session of either needs of it.
//! `csp` and `cpn` implement it; `http` is written once, for both.

use super::answer::Answer;
use super::request::Request;
use super::{
    ApiCredentials, ClientId, ClientSecret, Context, CredentialsKind, Deletion, Error, NewApp, OrgId, Roles, Update,
};
use std::time::Duration;

/// One of the two APIs: its paths, its header, its request forms, and what its refusals mean.
pub trait ApiFlavor: Send + Sync {
    /// Whether an exchange of such credentials must name an organization.
    fn must_name_organization(&self, kind: CredentialsKind) -> bool;

    /// Exchanges credentials for an access token: for this organization, where they give tokens for several, or for the
    /// one that owns them.
    fn exchange(&self, org: Option<&OrgId>, credentials: &ApiCredentials) -> Request;

    /// What to do where client credentials give no token for an organization.
    fn advice_without_token(&self) -> &'static str;

    /// The header that carries an access token, and what stands before the token in it.
    fn token_header(&self) -> (&'static str, &'static str);

    /// Creates an app.
    fn create(&self, org: &OrgId, app: &NewApp) -> Request;

    /// Reads an app.
    fn read(&self, org: &OrgId, id: &ClientId) -> Request;

    /// Whether a 404 comes from the API itself, so that it says something about apps.
    fn is_from_api(&self, answer: &Answer) -> bool;

    /// A page of the apps of an organization.
    fn list(&self, org: &OrgId) -> Request;

    /// Whether the answer to a list says that there is no such operation.
    fn list_unsupported(&self, answer: &Answer) -> bool;

    /// Changes an app.
    fn update(&self, org: &OrgId, id: &ClientId, update: &Update) -> Request;

    /// Gives an app a new secret beside the present one.
    fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> Result<Request, Error>;

    /// Deletes apps.
    fn delete(&self, org: &OrgId, ids: &[ClientId]) -> Request;

    /// What an error status says about a deletion, where it is no fault.
    fn deletion(&self, answer: &Answer) -> Option<Deletion>;

    /// Adds an app to its organization.
    fn add(&self, org: &OrgId, id: &ClientId, context: Option<Context>, roles: &Roles) -> Result<Request, Error>;

    /// Reads the roles of an app in its organization.
    fn read_roles(&self, org: &OrgId, id: &ClientId) -> Request;

    /// A page of the apps that were added to an organization, with their roles; `None` where there is no such list.
    fn list_clients(&self, org: &OrgId) -> Option<Request>;

    /// Gives roles to an app and takes roles from it.
    fn change_roles(&self, org: &OrgId, id: &ClientId, add: &Roles, remove: &Roles) -> Result<Request, Error>;
}
