//! One call to one of the two APIs with one identity: a place at the rate_limiter, an access token, one exchange.
//! A call is repeated in one case only: the API refused the access token, and a new one was got.

use super::answer::Answer;
use super::claims::IP_POLICY;
use super::cpn::CloudPartnerNavigator;
use super::csp::CloudServices;
use super::flavor::ApiFlavor;
use super::rate_limiter::{self, OrgLimiter, RateLimiter};
use super::request::{Page, Request};
use super::scrub::KnownSecrets;
use super::token::{AccessToken, Held, TokenResponse, Tokens};
use super::transport::Transport;
use super::{ApiCredentials, ClientId, ClientSecret, CredentialsKind, Deletion, Error, LoadCredentials};
use super::{OrgId, Settings, TokenClaims, Verification, token_response};
use crate::crd::Api;
use crate::fair_queue::Flow;
use crate::lease::guard::LeadershipGuard;
use crate::metrics::{ConnectionMetrics, Refresh};
use k8s_openapi::jiff::Timestamp;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tracing::Instrument;

/// Another cause of a 404 at the token exchange.
const WRONG_PATH: &str =
    "; a wrong path in spec.endpoint of the IamConnection can also be the cause: correct spec.endpoint";

/// One of the two APIs behind one rate_limiter, which every identity that calls it shares.
#[derive(Clone)]
pub struct Endpoint {
    flavor: &'static dyn ApiFlavor,
    transport: Arc<Transport>,
    rate_limiter: Arc<RateLimiter>,
    metrics: ConnectionMetrics,
    guard: LeadershipGuard,
}

impl Endpoint {
    /// Makes no call.
    ///
    /// # Errors
    /// A sentence about the setting that cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let flavor: &'static dyn ApiFlavor = match settings.api {
            Api::CloudServices => &CloudServices,
            Api::CloudPartnerNavigator => &CloudPartnerNavigator,
        };
        let transport = Arc::new(Transport::new(settings)?);
        let metrics = settings.metrics.clone();
        let rate_limiter =
            Arc::new(RateLimiter::new(settings.max_in_flight, settings.requests_per_second, metrics.clone()));
        Ok(Self { flavor, transport, rate_limiter, metrics, guard: settings.guard.clone() })
    }
}

/// What it takes to make a call.
pub struct Session {
    endpoint: Endpoint,
    kind: CredentialsKind,
    tokens: Tokens,
    /// Whose identity it is.
    owner: Flow,
}

impl Session {
    /// Makes no call; `credentials` are read when the first token is needed.
    pub fn new(endpoint: Endpoint, kind: CredentialsKind, credentials: LoadCredentials, owner: Flow) -> Self {
        Self { endpoint, kind, tokens: Tokens::new(credentials), owner }
    }

    /// What is particular to the API.
    pub fn flavor(&self) -> &'static dyn ApiFlavor {
        self.endpoint.flavor
    }

    /// What calls about this organization go through that are made for this flow.
    pub fn limiter(&self, org: &OrgId, flow: &Flow) -> OrgLimiter<'_> {
        self.endpoint.rate_limiter.limiter(org, flow)
    }

    /// The same for a list that all resources of the organization share.
    pub fn shared_limiter(&self, org: &OrgId, flow: &Flow) -> OrgLimiter<'_> {
        self.endpoint.rate_limiter.shared_limiter(org, flow)
    }

    /// Makes sure that there is an access token for calls about this organization.
    pub async fn authenticate(&self, limiter: &OrgLimiter<'_>) -> Result<(), Error> {
        self.fresh_token(limiter).await.map(drop)
    }

    /// Whether the API takes these credentials, which are those of now, and what the token says that it gives for them: a
    /// token that came from others is dropped. `None` where the API wants to know an organization and none is given.
    pub async fn check(&self, org: Option<&OrgId>, credentials: &ApiCredentials) -> Option<Result<TokenClaims, Error>> {
        self.tokens.keep_only(credentials);
        let token = match self.must_name_organization() {
            false => self.fresh_own_token().await,
            true => {
                // A token that serves already proves them, whatever the API says about another organization.
                let org = self.tokens.served().or_else(|| org.cloned())?;
                self.fresh_token(&self.limiter(&org, &self.owner)).await
            }
        };
        // While a token serves none is asked for, so that alone would not show that the API is gone, nor that it is back.
        if let (Ok(_), Some(_), Some(org)) = (&token, self.endpoint.rate_limiter.silence(), org) {
            self.probe(org).await;
        }
        match (token, self.endpoint.rate_limiter.silence()) {
            (Ok(_) | Err(Error::Unavailable(_)), Some(cause)) => {
                Some(Err(Error::Unavailable(format!("the last calls to the API brought no usable answer: {cause}"))))
            }
            (token, _) => Some(token.map(|token| token.claims().clone())),
        }
    }

    /// One call that changes nothing: whatever the API says to it ends the silence.
    async fn probe(&self, org: &OrgId) {
        let one = Page { start: None, limit: Some("1".into()) };
        let answer = self.call(&self.limiter(org, &self.owner), self.flavor().list(org).page(&one)).await;
        tracing::debug!(%org, answered = answer.is_ok(), "asked whether the API answers again");
    }

    /// Whether calls about this organization are made as this app.
    pub async fn calls_as(&self, limiter: &OrgLimiter<'_>, app: &ClientId) -> Result<bool, Error> {
        Ok(self.fresh_token(limiter).await?.is_of(app))
    }

    fn must_name_organization(&self) -> bool {
        self.flavor().must_name_organization(self.kind)
    }

    async fn fresh_token(&self, limiter: &OrgLimiter<'_>) -> Result<Arc<AccessToken>, Error> {
        if let Some(held) = self.held(limiter.org())? {
            return Ok(held.token);
        }
        let _entered = limiter.enter().await?;
        Ok(self.token(limiter).await?.token)
    }

    async fn fresh_own_token(&self) -> Result<Arc<AccessToken>, Error> {
        if let Some(held) = self.tokens.fresh(None) {
            return Ok(held.token);
        }
        let _entered = self.endpoint.rate_limiter.token_limiter(&self.owner).enter().await?;
        Ok(self.own_token().await?.token)
    }

    /// A token for this organization that needs no exchange.
    fn held(&self, org: &OrgId) -> Result<Option<Held>, Error> {
        if let Some(held) = self.tokens.fresh(Some(org.clone())) {
            return Ok(Some(held));
        }
        match self.tokens.fresh(None) {
            Some(own) if self.serves(&own.token, org)? => Ok(Some(own)),
            Some(_) | None => Ok(None),
        }
    }

    /// A token for the organization: the own one of the credentials, or one that an exchange is asked for by name.
    async fn token(&self, limiter: &OrgLimiter<'_>) -> Result<Held, Error> {
        let org = limiter.org();
        if let Some(held) = self.held(org)? {
            return Ok(held);
        }
        if !self.must_name_organization() {
            let own = self.own_token().await?;
            if self.serves(&own.token, org)? {
                return Ok(own);
            }
        }
        // All who wait for the token share what comes of it, so it must not hang on one of them.
        let shared = self.shared_limiter(org, limiter.flow());
        self.obtain(&shared, Some(org)).await
    }

    /// The token for the organization that owns the credentials.
    async fn own_token(&self) -> Result<Held, Error> {
        self.obtain(&self.endpoint.rate_limiter.token_limiter(&self.owner), None).await
    }

    /// Whether the own token of the credentials is good for calls about this organization. One that does not say for which
    /// it is counts for every organization, unless the credentials give a token for each.
    fn serves(&self, own: &AccessToken, org: &OrgId) -> Result<bool, Error> {
        match (self.kind, own.claims().is_for(org)) {
            (CredentialsKind::ApiToken, Some(false)) => Err(wrong_organization(own.claims(), org)),
            (CredentialsKind::ApiToken, None) | (_, Some(true)) => Ok(true),
            (CredentialsKind::ClientCredentials, Some(false) | None) => Ok(false),
        }
    }

    /// Asks for a token with the credential of an app.
    pub async fn prove(
        &self,
        limiter: &OrgLimiter<'_>,
        id: &ClientId,
        secret: &ClientSecret,
    ) -> Result<Verification, Error> {
        let _entered = limiter.enter().await?;
        let credentials = ApiCredentials::Client { id: id.0.clone(), secret: secret.expose().to_owned().into() };
        // The app's own organization is the one that owns it.
        let org = self.flavor().must_name_organization(credentials.kind()).then_some(limiter.org());
        let request = self.flavor().exchange(org, &credentials);
        let answer = self.attempt(limiter, &request, None, KnownSecrets::of(&credentials)).await?;
        match answer.status {
            200..300 => Ok(Verification::Accepted),
            _ if answer.refuses_credentials() => Ok(Verification::Refused(answer.refusal())),
            _ => match answer.fault() {
                fault if fault.may_have_taken_hold() => Err(fault),
                _ => Ok(Verification::NotKnown(answer.refusal())),
            },
        }
    }

    /// The exchange runs in the place of the call that needs it, so it counts as a call under way.
    async fn obtain(&self, limiter: &OrgLimiter<'_>, org: Option<&OrgId>) -> Result<Held, Error> {
        let slot = self.tokens.slot(org.cloned());
        let exchange = async |credentials| {
            let granted = self.exchange(limiter, org, credentials).await;
            self.endpoint.metrics.refreshed(match &granted {
                Ok(_) => Refresh::Granted,
                Err(Error::Credentials(_) | Error::WrongOrganization(_) | Error::Forbidden(_)) => Refresh::Refused,
                Err(
                    Error::Unavailable(_)
                    | Error::Throttled { .. }
                    | Error::NotFound(_)
                    | Error::Conflict(_)
                    | Error::Rejected(_),
                ) => Refresh::Failed,
            });
            granted
        };
        let token = slot.token(exchange).await?;
        Ok(Held { slot, token })
    }

    async fn exchange(
        &self,
        limiter: &OrgLimiter<'_>,
        org: Option<&OrgId>,
        credentials: ApiCredentials,
    ) -> Result<TokenResponse, Error> {
        let request = self.flavor().exchange(org, &credentials);
        let answer = self.attempt(limiter, &request, None, KnownSecrets::of(&credentials)).await?;
        let other_cause = match answer.status {
            403 => IP_POLICY,
            404 => WRONG_PATH,
            _ => "",
        };
        let causes = || format!("{}{other_cause}", taken_by(&request, credentials.kind()));
        match (answer.status, org) {
            (200..300, org) => granted_for(org, token_response::read(&answer)?),
            (408 | 425, _) => Err(answer.fault()),
            // The credentials may be good for other organizations, so this says nothing about the connection.
            (400 | 402..500, Some(org)) => Err(Error::Forbidden(format!(
                "the API gives no access token for organization {org}: {}; delete this resource and create it again with the right orgId, or {}; {}",
                answer.refusal(),
                self.flavor().advice_without_token(),
                causes()
            ))),
            // A bad API token is answered with 400 or 404. [auth-apitok, image-builder-test]
            (400..500, _) => {
                Err(Error::Credentials(format!("the API refuses the credentials: {}; {}", answer.refusal(), causes())))
            }
            _ => Err(answer.fault()),
        }
    }

    pub async fn call(&self, limiter: &OrgLimiter<'_>, request: Request) -> Result<Answer, Error> {
        let span = tracing::debug_span!("iam", org = %limiter.org());
        self.call_authenticated(limiter, request).instrument(span).await
    }

    async fn call_authenticated(&self, limiter: &OrgLimiter<'_>, request: Request) -> Result<Answer, Error> {
        let _entered = limiter.enter().await?;
        let Held { slot, token } = self.token(limiter).await?;
        let answer = self.with_token(limiter, &request, &token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        slot.drop_token(&token).await;
        let Held { slot, token } = self.token(limiter).await?;
        let answer = self.with_token(limiter, &request, &token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let refusal = answer.refusal();
        let fault = Error::Credentials(format!("the API refuses the access token that it has just given: {refusal}"));
        Err(slot.refuse(&token, fault).await)
    }

    async fn with_token(
        &self,
        limiter: &OrgLimiter<'_>,
        request: &Request,
        token: &AccessToken,
    ) -> Result<Answer, Error> {
        let (name, before) = self.flavor().token_header();
        let value = SecretString::from(format!("{before}{}", token.expose()));
        let value = HeaderValue::from_str(value.expose_secret());
        let value = value.map_err(|_| Error::Unavailable("the access token cannot be sent".into()))?;
        let header = Some((HeaderName::from_static(name), value));
        let mut answer = self.attempt(limiter, request, header, token.known().clone()).await?;
        if answer.status == 403 {
            answer.note = Some(token.claims().why_forbidden(request.operation));
        }
        Ok(answer)
    }

    /// One HTTP exchange, unless the limiter is paused or the guard closed; a 429 pauses the limiter.
    async fn attempt(
        &self,
        limiter: &OrgLimiter<'_>,
        request: &Request,
        header: Option<(HeaderName, HeaderValue)>,
        known: KnownSecrets,
    ) -> Result<Answer, Error> {
        limiter.wait_for_turn().await?;
        let known = request.carries.iter().fold(known, |known, secret| known.with(secret.expose()));
        let exchange = self.endpoint.transport.send(request, header, known);
        let Some(answer) = self.endpoint.guard.run(exchange).await else {
            return Err(Error::Unavailable("this replica leads no more".into()));
        };
        let answer = match answer {
            Ok(answer) if answer.status < 500 => answer,
            failed => {
                limiter.failed(request.fingerprint(), &cause(request, &failed));
                return failed;
            }
        };
        if answer.status != 429 {
            let about_org = (200..300).contains(&answer.status) && request.path.contains(&limiter.org().0);
            limiter.succeeded(about_org);
            return Ok(answer);
        }
        let wait = rate_limiter::wait(answer.retry_after.as_deref(), Timestamp::now());
        tracing::info!(operation = request.operation.label(), seconds = wait.as_secs(), "the API asks to wait");
        Err(limiter.pause(wait))
    }

    pub fn succeeded(&self, answer: Answer) -> Result<Answer, Error> {
        match answer.status {
            200..300 => Ok(answer),
            // Something in between that finds no route would make an app seem gone that is there.
            404 if !self.flavor().is_from_api(&answer) => Err(answer.malformed("it does not come from the API")),
            _ => Err(answer.fault()),
        }
    }

    /// Deletes apps with one call, and one by one where the API refuses the call as a whole for the sake of one.
    pub async fn delete(&self, limiter: &OrgLimiter<'_>, ids: &[ClientId]) -> Vec<Result<Deletion, Error>> {
        let answer = match self.call(limiter, self.flavor().delete(limiter.org(), ids)).await {
            Ok(answer) => answer,
            Err(fault) => return ids.iter().map(|_| Err(fault.clone())).collect(),
        };
        if matches!(answer.status, 400 | 404) && ids.len() > 1 {
            let mut answers = Vec::with_capacity(ids.len());
            for id in ids {
                answers.extend(Box::pin(self.delete(limiter, std::slice::from_ref(id))).await);
            }
            return answers;
        }
        match self
            .flavor()
            .deletion(&answer)
            .map_or_else(|| self.succeeded(answer).map(Err), |deletion| Ok(Ok(deletion)))
        {
            Ok(Ok(deletion)) => ids.iter().map(|_| Ok(deletion.clone())).collect(),
            Ok(Err(answer)) => ids.iter().map(|id| answer.deletion(id)).collect(),
            Err(fault) => ids.iter().map(|_| Err(fault.clone())).collect(),
        }
    }
}

/// What became of a call without a usable answer, whatever it was about: the same for all calls of an outage.
fn cause(request: &Request, failed: &Result<Answer, Error>) -> String {
    match failed {
        Ok(answer) => answer.status_line(),
        Err(fault) => fault.to_string().replacen(&format!("{}: ", request.operation), "", 1),
    }
}

/// A token that was asked for by name must be for that organization.
fn granted_for(org: Option<&OrgId>, granted: TokenResponse) -> Result<TokenResponse, Error> {
    match org {
        Some(org) if granted.claims.is_for(org) == Some(false) => Err(wrong_organization(&granted.claims, org)),
        Some(_) | None => Ok(granted),
    }
}

fn wrong_organization(claims: &TokenClaims, org: &OrgId) -> Error {
    let own = claims.organization.as_ref().map(ToString::to_string).unwrap_or_default();
    Error::WrongOrganization(format!(
        "its access token is for organization {own}, and spec.orgId is {org}; use clientCredentials of an OAuth app that was added to both, or an IamConnection with credentials of organization {org}"
    ))
}

/// Which kind of credentials the endpoint of an exchange takes.
fn taken_by(request: &Request, kind: CredentialsKind) -> String {
    let path = request.path.join("/");
    match kind {
        CredentialsKind::ApiToken => format!("/{path} takes an API token, and no client id and secret of an OAuth app"),
        CredentialsKind::ClientCredentials => {
            format!("/{path} takes client id and secret of an OAuth app with client_credentials, and no API token")
        }
    }
}
