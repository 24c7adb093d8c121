//! The port over HTTP: a place at the gate, an access token, one call, and what its answer means.
//! A call is repeated in one case only: the API refused the access token, and a new one was got.

use super::answer::Answer;
use super::cpn::CloudPartnerNavigator;
use super::csp::CloudServices;
use super::gate::{self, Gate};
use super::request::{Dialect, Request};
use super::scrub::Known;
use super::token::{AccessToken, Granted, Slot, Tokens};
use super::wire::Wire;
use super::{AddFailure, ApiCredentials, ClientId, Credentials, Deletion, Fault, Iam, NewApp, OrgId, RemoteApp};
use super::{LoadCredentials, Settings, grant};
use crate::crd::{Api, Context, Roles};
use k8s_openapi::jiff::Timestamp;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::{fmt, sync::Arc};
use tracing::Instrument;

/// One of the two APIs with one identity; its gate and its tokens are shared by all who call it.
pub struct HttpIam {
    dialect: &'static dyn Dialect,
    wire: Wire,
    gate: Gate,
    tokens: Tokens,
}

impl fmt::Debug for HttpIam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpIam")
    }
}

impl HttpIam {
    /// Makes no call; `credentials` are read when the first token is needed.
    ///
    /// # Errors
    /// A sentence about the setting that cannot be used.
    pub fn new(settings: Settings, credentials: LoadCredentials) -> Result<Self, String> {
        let dialect: &'static dyn Dialect = match settings.api {
            Api::CloudServices => &CloudServices,
            Api::CloudPartnerNavigator => &CloudPartnerNavigator,
        };
        let wire = Wire::new(&settings)?;
        Ok(Self { dialect, wire, gate: Gate::new(settings.max_in_flight), tokens: Tokens::new(credentials) })
    }

    /// The exchange runs in the place of the call that needs it, so it counts as a call under way.
    async fn token(&self, org: &OrgId, slot: &Slot) -> Result<Arc<AccessToken>, Fault> {
        slot.token(|credentials| self.exchange(org, credentials)).await
    }

    async fn exchange(&self, org: &OrgId, credentials: ApiCredentials) -> Result<Granted, Fault> {
        let request = self.dialect.exchange(org, &credentials);
        let answer = self.attempt(&request, None, Known::of(&credentials)).await?;
        match answer.status {
            200..300 => grant::read(&answer),
            // A bad API token is answered with 400 or 404. [auth-apitok, image-builder-test]
            408 | 425 => Err(answer.fault()),
            400..500 => {
                let said = answer.message().map(|message| format!(": {message}")).unwrap_or_default();
                Err(Fault::Credentials(format!("the API refuses the credentials: {}{said}", answer.status)))
            }
            _ => Err(answer.fault()),
        }
    }

    async fn call(&self, org: &OrgId, request: Request) -> Result<Answer, Fault> {
        let span = tracing::debug_span!("iam", %org);
        self.call_authenticated(org, request).instrument(span).await
    }

    async fn call_authenticated(&self, org: &OrgId, request: Request) -> Result<Answer, Fault> {
        let _place = self.gate.enter().await?;
        let slot = self.tokens.slot(self.dialect.token_of(org));
        let token = self.token(org, &slot).await?;
        let answer = self.with_token(&request, &token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        slot.drop_token(&token).await;
        let token = self.token(org, &slot).await?;
        let answer = self.with_token(&request, &token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let said = answer.message().map(|message| format!(": {message}")).unwrap_or_default();
        let fault = Fault::Credentials(format!("the API refuses the access token that it has just given: 401{said}"));
        Err(slot.refuse(&token, fault).await)
    }

    async fn with_token(&self, request: &Request, token: &AccessToken) -> Result<Answer, Fault> {
        let (name, before) = self.dialect.token_header();
        let value = SecretString::from(format!("{before}{}", token.expose()));
        let value = HeaderValue::from_str(value.expose_secret());
        let value = value.map_err(|_| Fault::Unavailable("the access token cannot be sent".into()))?;
        self.attempt(request, Some((HeaderName::from_static(name), value)), token.known().clone()).await
    }

    /// One HTTP exchange, unless the gate is closed; a 429 closes it.
    async fn attempt(
        &self,
        request: &Request,
        header: Option<(HeaderName, HeaderValue)>,
        known: Known,
    ) -> Result<Answer, Fault> {
        self.gate.check()?;
        let answer = self.wire.send(request, header, known).await?;
        if answer.status != 429 {
            return Ok(answer);
        }
        let wait = gate::wait(answer.retry_after.as_deref(), Timestamp::now());
        tracing::info!(operation = request.operation, seconds = wait.as_secs(), "the API asks to wait");
        Err(self.gate.close(wait))
    }

    fn succeeded(&self, answer: Answer) -> Result<Answer, Fault> {
        match answer.status {
            200..300 => Ok(answer),
            // Something in between that finds no route would make an app seem gone that is there.
            404 if !self.dialect.is_own(&answer) => Err(answer.malformed("it does not come from the API")),
            _ => Err(answer.fault()),
        }
    }
}

impl Iam for HttpIam {
    async fn authenticate(&self, org: &OrgId) -> Result<(), Fault> {
        let slot = self.tokens.slot(self.dialect.token_of(org));
        if slot.fresh().is_some() {
            return Ok(());
        }
        let _place = self.gate.enter().await?;
        self.token(org, &slot).await.map(drop)
    }

    async fn create(&self, org: &OrgId, app: &NewApp) -> Result<Credentials, Fault> {
        let mut answer = self.call(org, self.dialect.create(org, app)).await?;
        if let Some(Value::String(secret)) = app.fields.get("secret") {
            answer.known = answer.known.with(secret);
        }
        let public = app.fields.get("publicClient") == Some(&Value::Bool(true));
        self.succeeded(answer)?.credentials(&app.id, public)
    }

    async fn read(&self, org: &OrgId, id: &ClientId) -> Result<Option<RemoteApp>, Fault> {
        let answer = self.call(org, self.dialect.read(org, id)).await?;
        match self.succeeded(answer) {
            Ok(answer) => answer.app(id).map(Some),
            Err(Fault::NotFound(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn regenerate_secret(&self, org: &OrgId, id: &ClientId) -> Result<Credentials, Fault> {
        let answer = self.call(org, self.dialect.regenerate_secret(org, id)).await?;
        self.succeeded(answer)?.credentials(id, false)
    }

    async fn delete(&self, org: &OrgId, id: &ClientId) -> Result<Deletion, Fault> {
        let answer = self.call(org, self.dialect.delete(org, id)).await?;
        match self.dialect.deletion(&answer) {
            Some(deletion) => Ok(deletion),
            None => self.succeeded(answer)?.deletion(id),
        }
    }

    async fn add_to_organization(
        &self,
        org: &OrgId,
        id: &ClientId,
        context: Option<Context>,
        roles: &Roles,
    ) -> Result<Vec<AddFailure>, Fault> {
        let request = self.dialect.add(org, id, context, roles)?;
        self.succeeded(self.call(org, request).await?)?.add_failures()
    }
}
