//! One call to an API with the credentials of one connection: a permit of the rate limiter, an access token, one request.
//! A call is repeated in one case only: the API refused the access token, and a new one was obtained.

use super::endpoint::Endpoint;
use super::rate_limiter::OrgLimiter;
use super::token_cache::{AccessToken, CachedToken};
use super::transport::TransportError;
use crate::fair_queue::Flow;
use crate::iam::answer::Answer;
use crate::iam::authentication::Authenticator;
use crate::iam::authentication::claims::TokenClaims;
use crate::iam::flavor::ApiFlavor;
use crate::iam::request::{Page, Request};
use crate::iam::{ClientId, ConnectionCredentials, CredentialsKind, Deletion, Error, LoadCredentials, OrgId};
use tracing::Instrument;

/// The endpoint and the credentials of a connection.
pub(crate) struct Session {
    endpoint: Endpoint,
    authenticator: Authenticator,
    /// The owner of the credentials.
    owner: Flow,
}

impl Session {
    /// Makes no call; `credentials` are read when the first token is needed.
    pub(crate) fn new(endpoint: Endpoint, kind: CredentialsKind, credentials: LoadCredentials, owner: Flow) -> Self {
        let authenticator = Authenticator::new(endpoint.clone(), kind, credentials, owner.clone());
        Self { endpoint, authenticator, owner }
    }

    pub(crate) fn flavor(&self) -> &'static dyn ApiFlavor {
        self.endpoint.flavor()
    }

    /// The limiter of calls about this organization that are made for this flow.
    pub(crate) fn limiter(&self, org: &OrgId, flow: &Flow) -> OrgLimiter<'_> {
        self.endpoint.limiter(org, flow)
    }

    /// The same for a list that all resources of the organization share.
    pub(crate) fn shared_limiter(&self, org: &OrgId, flow: &Flow) -> OrgLimiter<'_> {
        self.endpoint.shared_limiter(org, flow)
    }

    /// What requests access tokens for these credentials.
    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// The certificate of the API as DER.
    pub(crate) async fn certificate(&self) -> Result<Option<Vec<u8>>, TransportError> {
        self.endpoint.certificate().await
    }

    /// Whether the API accepts these credentials, which are the current ones, and what the token that they get says. `None` where
    /// the API requires an organization and none is given.
    pub(crate) async fn check(
        &self,
        org: Option<&OrgId>,
        credentials: &ConnectionCredentials,
    ) -> Option<Result<TokenClaims, Error>> {
        let token = self.authenticator.check(org, credentials).await?;
        // A cached token needs no request, so it alone would not show that the API is unreachable, nor that it is back.
        if let (Ok(_), Some(_), Some(org)) = (&token, self.endpoint.unreachable_cause(), org) {
            self.probe(org).await;
        }
        match (token, self.endpoint.unreachable_cause()) {
            (Ok(_) | Err(Error::Unavailable(_)), Some(cause)) => {
                Some(Err(Error::Unavailable(format!("the last requests to the API got no usable response: {cause}"))))
            }
            (token, _) => Some(token.map(|token| token.claims().clone())),
        }
    }

    /// One call that changes nothing: with any answer to it the API is reachable again.
    async fn probe(&self, org: &OrgId) {
        let one = Page { start: None, limit: Some("1".into()) };
        let answer = self.call(&self.limiter(org, &self.owner), self.flavor().list(org, &one)).await;
        tracing::debug!(%org, answered = answer.is_ok(), "asked whether the API answers again");
    }

    /// Whether calls about this organization are made as this app.
    pub(crate) async fn calls_as(&self, limiter: &OrgLimiter<'_>, app: &ClientId) -> Result<bool, Error> {
        Ok(self.authenticator.valid_token(limiter).await?.is_of(app))
    }

    /// One authenticated call, with any status.
    pub(crate) async fn call(&self, limiter: &OrgLimiter<'_>, request: Request) -> Result<Answer, Error> {
        let span = tracing::debug_span!("iam", org = %limiter.org());
        self.call_authenticated(limiter, request).instrument(span).await
    }

    async fn call_authenticated(&self, limiter: &OrgLimiter<'_>, request: Request) -> Result<Answer, Error> {
        let _in_flight = limiter.acquire().await?;
        let CachedToken { slot, token } = self.authenticator.token(limiter).await?;
        let answer = self.send(limiter, &request, &token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        slot.drop_token(&token).await;
        let CachedToken { slot, token } = self.authenticator.token(limiter).await?;
        let answer = self.send(limiter, &request, &token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let refusal = answer.refusal();
        let error = Error::Credentials(format!("the API refuses the access token that it has just given: {refusal}"));
        Err(slot.refuse(&token, error).await)
    }

    async fn send(&self, limiter: &OrgLimiter<'_>, request: &Request, token: &AccessToken) -> Result<Answer, Error> {
        let header = self.authenticator.header(token)?;
        let mut answer = self.endpoint.attempt(limiter, request, Some(header), token.known().clone()).await?;
        if answer.status == 403 {
            answer.note = Some(self.flavor().why_forbidden(token.claims(), request.operation));
        }
        Ok(answer)
    }

    /// The answer if it is a success.
    pub(crate) fn succeeded(&self, answer: Answer) -> Result<Answer, Error> {
        match answer.status {
            200..300 => Ok(answer),
            // A 404 of a proxy that finds no route would make an existing app seem gone.
            404 if !self.flavor().is_from_api(&answer) => Err(answer.malformed("it does not come from the API")),
            _ => Err(answer.error()),
        }
    }

    /// Deletes apps with one call, and one by one where the API refuses the call as a whole because of one.
    pub(crate) async fn delete(&self, limiter: &OrgLimiter<'_>, ids: &[ClientId]) -> Vec<Result<Deletion, Error>> {
        let answer = match self.call(limiter, self.flavor().delete(limiter.org(), ids)).await {
            Ok(answer) => answer,
            Err(error) => return vec![Err(error); ids.len()],
        };
        if matches!(answer.status, 400 | 404) && ids.len() > 1 {
            let mut answers = Vec::with_capacity(ids.len());
            for id in ids {
                answers.extend(Box::pin(self.delete(limiter, std::slice::from_ref(id))).await);
            }
            return answers;
        }
        if let Some(deletion) = self.flavor().deletion(&answer) {
            return vec![Ok(deletion); ids.len()];
        }
        match self.succeeded(answer) {
            Ok(answer) => ids.iter().map(|id| answer.deletion(id)).collect(),
            Err(error) => vec![Err(error); ids.len()],
        }
    }
}
