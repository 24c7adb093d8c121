//! Access tokens: the token requests of a flavor (trait `Authentication`, implemented in the files of `flavor`), and the choice of the
//! token for a call (`Authenticator`). A session asks for a token and knows nothing of token requests, scopes or headers.

pub(super) mod claims;
mod errors;
pub(super) mod expiry;
pub(super) mod token_response;

use super::answer::Answer;
use super::client::endpoint::Endpoint;
use super::client::rate_limiter::OrgLimiter;
use super::client::scrub::KnownSecrets;
use super::client::token_cache::{AccessToken, CachedToken, TokenCache};
use super::request::Request;
use super::{
    ClientId, ClientSecret, ConnectionCredentials, CredentialsKind, Error, LoadCredentials, Operation, OrgId,
    Verification,
};
use crate::fair_queue::Flow;
use crate::metrics::Refresh;
use claims::TokenClaims;
use errors::TokenError;
use expiry::{CredentialsExpiry, ExpiryCache};
use k8s_openapi::jiff::Timestamp;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// For which organization a token request gets a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOrganization {
    /// The organization that owns the credentials, or another one that the request names.
    Own,
    /// The organization that the request has to name.
    Named,
}

pub struct TokenResponse {
    pub(crate) token: SecretString,
    pub(crate) lifetime: Duration,
    pub(crate) claims: TokenClaims,
}

/// The result of a token request with an app's own credentials.
pub(crate) enum AppToken {
    Issued(TokenResponse),
    NotIssued(Verification),
}

/// How an API issues access tokens and accepts them.
pub trait Authentication: Send + Sync {
    /// For which organization a token request with such credentials gets a token.
    fn token_organization(&self, kind: CredentialsKind) -> TokenOrganization;

    /// Requests an access token for this organization, or for the one that owns the credentials.
    fn token_request(&self, org: Option<&OrgId>, credentials: &ConnectionCredentials) -> Request;

    /// The same request in an older form, which is sent where the API answers 400 to the present one.
    fn older_token_request(&self, _credentials: &ConnectionCredentials) -> Option<Request> {
        None
    }

    /// The request for the details of these credentials, with their expiry; `None` where the API has none.
    fn expiry_request(&self, _credentials: &ConnectionCredentials) -> Option<Request> {
        None
    }

    /// Reads the answer to a token request that succeeded.
    fn token_response(&self, answer: &Answer) -> Result<TokenResponse, Error> {
        token_response::read(answer)
    }

    /// Whether a token for no named organization serves calls about this one. One that does not say for which it is serves every
    /// organization, unless the credentials get a token for each.
    fn serves(&self, kind: CredentialsKind, claims: &TokenClaims, org: &OrgId) -> Result<bool, Error> {
        match (kind, claims.is_for(org)) {
            (CredentialsKind::ApiToken, Some(false)) => Err(TokenError::wrong_organization(claims, org).into()),
            (CredentialsKind::ApiToken, None) | (_, Some(true)) => Ok(true),
            (CredentialsKind::ClientCredentials, Some(false) | None) => Ok(false),
        }
    }

    /// Where a client of this organization gets a token, for consumers of its credentials.
    fn token_url(&self, endpoint: &str, org: &OrgId) -> String;

    /// What to do where client credentials get no token for an organization.
    fn advice_without_token(&self) -> &'static str;

    /// Whether a connection may have such credentials.
    fn accepts(&self, _kind: CredentialsKind) -> bool {
        true
    }

    /// The possible causes of a 403 to an operation with a token that has these claims.
    fn why_forbidden(&self, claims: &TokenClaims, operation: Operation) -> String {
        claims.why_forbidden(operation)
    }

    /// The header with an access token, and what precedes the token in it.
    fn token_header(&self) -> (&'static str, &'static str);
}

/// The access tokens of one connection.
pub(super) struct Authenticator {
    endpoint: Endpoint,
    kind: CredentialsKind,
    tokens: TokenCache,
    /// Whether the API accepted the last token request in its older form only.
    older_form: AtomicBool,
    expiry: ExpiryCache,
    /// The owner of the credentials.
    owner: Flow,
}

impl Authenticator {
    /// Makes no call; `credentials` are read when the first token is needed.
    pub(super) fn new(endpoint: Endpoint, kind: CredentialsKind, credentials: LoadCredentials, owner: Flow) -> Self {
        let (tokens, older_form) = (TokenCache::new(credentials), AtomicBool::new(false));
        Self { endpoint, kind, tokens, older_form, expiry: ExpiryCache::default(), owner }
    }

    /// A token that these credentials, which are the current ones, get: a token that came from others is dropped. `None` where
    /// the API requires an organization and none is given.
    pub(super) async fn check(
        &self,
        org: Option<&OrgId>,
        credentials: &ConnectionCredentials,
    ) -> Option<Result<Arc<AccessToken>, Error>> {
        self.tokens.retain_from(credentials);
        match self.token_organization() {
            TokenOrganization::Own => Some(self.valid_own_token().await),
            TokenOrganization::Named => {
                // A valid token already proves them, whatever the API says about another organization.
                let org = self.tokens.any_organization().or_else(|| org.cloned())?;
                Some(self.valid_token(&self.endpoint.limiter(&org, &self.owner)).await)
            }
        }
    }

    /// When these credentials, which are the current ones, expire according to the API.
    pub(super) async fn expiry(&self, credentials: &ConnectionCredentials) -> CredentialsExpiry {
        let Some(request) = self.endpoint.flavor().expiry_request(credentials) else {
            return CredentialsExpiry::NotKnown;
        };
        if let Some(known) = self.expiry.recent(credentials) {
            return known;
        }
        let read = self.read_expiry(&request, credentials).await;
        self.expiry.record(credentials, read)
    }

    async fn read_expiry(
        &self,
        request: &Request,
        credentials: &ConnectionCredentials,
    ) -> Result<Option<Timestamp>, Error> {
        let limiter = self.endpoint.details_limiter(&self.owner);
        let _in_flight = limiter.acquire().await?;
        let answer = self.endpoint.attempt(&limiter, request, None, KnownSecrets::of(credentials)).await?;
        match answer.status {
            200..300 => answer.expires_at(),
            _ => Err(answer.error()),
        }
    }

    /// A valid token for calls about the organization; free while there is one.
    pub(super) async fn valid_token(&self, limiter: &OrgLimiter<'_>) -> Result<Arc<AccessToken>, Error> {
        if let Some(cached) = self.cached(limiter.org())? {
            return Ok(cached.token);
        }
        let _in_flight = limiter.acquire().await?;
        Ok(self.token(limiter).await?.token)
    }

    async fn valid_own_token(&self) -> Result<Arc<AccessToken>, Error> {
        if let Some(cached) = self.tokens.fresh(None) {
            return Ok(cached.token);
        }
        let _in_flight = self.endpoint.token_limiter(&self.owner).acquire().await?;
        Ok(self.own_token().await?.token)
    }

    /// A token for the organization: the credentials' own one, or one that is requested by name. The caller has a permit of the
    /// limiter.
    pub(super) async fn token(&self, limiter: &OrgLimiter<'_>) -> Result<CachedToken, Error> {
        let org = limiter.org();
        if let Some(cached) = self.cached(org)? {
            return Ok(cached);
        }
        if self.token_organization() == TokenOrganization::Own {
            let own = self.own_token().await?;
            if self.serves(&own.token, org)? {
                return Ok(own);
            }
        }
        // All waiting calls share the result of the token request, so it must not queue behind the calls of one namespace.
        let shared = self.endpoint.shared_limiter(org, limiter.flow());
        self.obtain(&shared, Some(org)).await
    }

    /// A token for this organization that needs no request.
    fn cached(&self, org: &OrgId) -> Result<Option<CachedToken>, Error> {
        if let Some(cached) = self.tokens.fresh(Some(org.clone())) {
            return Ok(Some(cached));
        }
        match self.tokens.fresh(None) {
            Some(own) if self.serves(&own.token, org)? => Ok(Some(own)),
            Some(_) | None => Ok(None),
        }
    }

    /// The token for the organization that owns the credentials.
    async fn own_token(&self) -> Result<CachedToken, Error> {
        self.obtain(&self.endpoint.token_limiter(&self.owner), None).await
    }

    fn serves(&self, own: &AccessToken, org: &OrgId) -> Result<bool, Error> {
        self.endpoint.flavor().serves(self.kind, own.claims(), org)
    }

    fn token_organization(&self) -> TokenOrganization {
        self.endpoint.flavor().token_organization(self.kind)
    }

    /// The token request uses the permit of the call that needs it, so it counts as in flight.
    async fn obtain(&self, limiter: &OrgLimiter<'_>, org: Option<&OrgId>) -> Result<CachedToken, Error> {
        let slot = self.tokens.slot(org.cloned());
        let request = async |credentials| {
            let response = self.request_token(limiter, org, credentials).await;
            self.endpoint.metrics().refreshed(refresh(&response));
            response
        };
        let token = slot.token(request).await?;
        Ok(CachedToken { slot, token })
    }

    async fn request_token(
        &self,
        limiter: &OrgLimiter<'_>,
        org: Option<&OrgId>,
        credentials: ConnectionCredentials,
    ) -> Result<TokenResponse, Error> {
        let flavor = self.endpoint.flavor();
        let (request, other) = self.token_requests(org, &credentials);
        let mut answer = self.endpoint.attempt(limiter, &request, None, KnownSecrets::of(&credentials)).await?;
        if answer.status == 400
            && let Some(other) = other
            && let Ok(second) = self.endpoint.attempt(limiter, &other, None, KnownSecrets::of(&credentials)).await
            && (200..300).contains(&second.status)
        {
            self.older_form.fetch_not(Ordering::Relaxed);
            answer = second;
        }
        match answer.status {
            200..300 => response_for(org, flavor.token_response(&answer)?),
            400..500 if !matches!(answer.status, 408 | 425) => {
                let advice = flavor.advice_without_token();
                Err(TokenError::refused(org, &request, &answer, credentials.kind(), advice).into())
            }
            _ => Err(answer.error()),
        }
    }

    /// The request in the form that the API accepted last, and in the other one.
    fn token_requests(&self, org: Option<&OrgId>, credentials: &ConnectionCredentials) -> (Request, Option<Request>) {
        let flavor = self.endpoint.flavor();
        let present = flavor.token_request(org, credentials);
        match flavor.older_token_request(credentials) {
            Some(older) if self.older_form.load(Ordering::Relaxed) => (older, Some(present)),
            older => (present, older),
        }
    }

    /// Whether the API issues a token for the credentials of an app.
    pub(super) async fn verify_secret(
        &self,
        limiter: &OrgLimiter<'_>,
        id: &ClientId,
        secret: &ClientSecret,
    ) -> Result<Verification, Error> {
        let answer = self.request_app_token(limiter, id, secret).await?;
        match answer.status {
            200..300 => Ok(Verification::Accepted),
            _ => without_token(&answer),
        }
    }

    /// The token that the API issues for the credentials of an app.
    pub(super) async fn app_token(
        &self,
        limiter: &OrgLimiter<'_>,
        id: &ClientId,
        secret: &ClientSecret,
    ) -> Result<AppToken, Error> {
        let answer = self.request_app_token(limiter, id, secret).await?;
        match answer.status {
            200..300 => self.endpoint.flavor().token_response(&answer).map(AppToken::Issued),
            _ => without_token(&answer).map(AppToken::NotIssued),
        }
    }

    async fn request_app_token(
        &self,
        limiter: &OrgLimiter<'_>,
        id: &ClientId,
        secret: &ClientSecret,
    ) -> Result<Answer, Error> {
        let _in_flight = limiter.acquire().await?;
        let credentials = ConnectionCredentials::Client { id: id.0.clone(), secret: secret.expose().to_owned().into() };
        let flavor = self.endpoint.flavor();
        // The app's own organization is the one that owns it.
        let org = match flavor.token_organization(credentials.kind()) {
            TokenOrganization::Own => None,
            TokenOrganization::Named => Some(limiter.org()),
        };
        let request = flavor.token_request(org, &credentials);
        self.endpoint.attempt(limiter, &request, None, KnownSecrets::of(&credentials)).await
    }

    /// The header of a call with this token.
    pub(super) fn header(&self, token: &AccessToken) -> Result<(HeaderName, HeaderValue), Error> {
        let (name, prefix) = self.endpoint.flavor().token_header();
        let value = SecretString::from(format!("{prefix}{}", token.expose()));
        let value = HeaderValue::from_str(value.expose_secret());
        let value = value.map_err(|_| Error::Unavailable("the access token cannot be sent".into()))?;
        Ok((HeaderName::from_static(name), value))
    }
}

/// Why a token request with the credentials of an app got no token.
fn without_token(answer: &Answer) -> Result<Verification, Error> {
    if answer.refuses_credentials() {
        return Ok(Verification::Refused(answer.refusal()));
    }
    match answer.error() {
        error if error.may_have_taken_effect() => Err(error),
        _ => Ok(Verification::NotKnown(answer.refusal())),
    }
}

/// The label of a token request in the metrics.
fn refresh(response: &Result<TokenResponse, Error>) -> Refresh {
    match response {
        Ok(_) => Refresh::Granted,
        Err(Error::Credentials(_) | Error::WrongOrganization(_) | Error::Forbidden(_)) => Refresh::Refused,
        Err(
            Error::Unavailable(_)
            | Error::Throttled { .. }
            | Error::NotFound(_)
            | Error::Conflict(_)
            | Error::Rejected(_),
        ) => Refresh::Failed,
    }
}

/// A token that was requested by name must be for that organization.
fn response_for(org: Option<&OrgId>, response: TokenResponse) -> Result<TokenResponse, Error> {
    match org {
        Some(org) if response.claims.is_for(org) == Some(false) => {
            Err(TokenError::wrong_organization(&response.claims, org).into())
        }
        Some(_) | None => Ok(response),
    }
}
