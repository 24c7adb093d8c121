//! The port over HTTP: a place at the gate, an access token, one call, and what its answer means.
//! A call is repeated in one case only: the API refused the access token, and a new one was got.

use super::answer::{self, Answer};
use super::batch::Batches;
use super::cpn::CloudPartnerNavigator;
use super::csp::CloudServices;
use super::dialect::{Dialect, Members};
use super::gate::{self, Gate, Lane};
use super::request::{Page, Request};
use super::scrub::Known;
use super::survey::Survey;
use super::token::{AccessToken, Granted, Slot, Tokens};
use super::wire::Wire;
use super::{ApiCredentials, ClientId, ClientSecret, Credentials, Deletion, Fault, Iam, LoadCredentials, Look, NewApp};
use super::{OrgId, Proof, RemoteApp, Settings, Update, grant};
use crate::crd::{Api, Context, Roles};
use k8s_openapi::jiff::Timestamp;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, time::Duration};
use tracing::Instrument;

/// One of the two APIs with one identity; its gate, tokens, lists and batches are shared by all who call it.
pub struct HttpIam {
    caller: Arc<Caller>,
    apps: Survey<RemoteApp>,
    members: Survey<Roles>,
    deletions: Arc<Batches>,
    /// Operations that the API turned out not to have.
    no_list: AtomicBool,
    no_page_limit: AtomicBool,
}

/// What it takes to make a call.
struct Caller {
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
        let gate = Gate::new(settings.max_in_flight, settings.requests_per_second);
        Ok(Self {
            caller: Arc::new(Caller { dialect, wire, gate, tokens: Tokens::new(credentials) }),
            apps: Survey::new(),
            members: Survey::new(),
            deletions: Arc::default(),
            no_list: AtomicBool::new(false),
            no_page_limit: AtomicBool::new(false),
        })
    }

    /// All entries of a list that come with an id, page by page; `None` where the API has no such list.
    async fn pages(&self, org: &OrgId, request: impl Fn() -> Request) -> Result<Option<Entries>, Fault> {
        let (dialect, mut entries) = (self.caller.dialect, Entries::new());
        let (mut page, mut seen) = (self.first_page(), HashSet::new());
        loop {
            let answer = self.caller.call(org, request().page(&page)).await?;
            if answer.status == 400 && page == self.first_page() && page.limit.is_some() {
                self.no_page_limit.store(true, Ordering::Relaxed);
                page = self.first_page();
                continue;
            }
            if dialect.offers_no_list(&answer) {
                return Ok(None);
            }
            let answer = self.caller.succeeded(answer)?;
            let (found, next) = answer.page()?;
            entries.extend(found.into_iter().filter_map(|fields| Some((answer::entry_id(&fields)?, fields))));
            let Some(next) = next else { return Ok(Some(entries)) };
            if !seen.insert(next.clone()) {
                return Err(answer.malformed("the list does not end"));
            }
            page = next;
        }
    }

    /// How long a page may be is not documented; an API that refuses what is asked for chooses itself. (undocumented)
    fn first_page(&self) -> Page {
        let limit = (!self.no_page_limit.load(Ordering::Relaxed)).then(|| PAGE_LIMIT.to_owned());
        Page { start: None, limit }
    }
}

/// The longest page that is documented for any list of the API. [csp-clients]
const PAGE_LIMIT: &str = "200";

type Entries = HashMap<ClientId, Map<String, Value>>;

impl Caller {
    /// The exchange runs in the place of the call that needs it, so it counts as a call under way.
    async fn token(&self, lane: &Lane<'_>, slot: &Slot) -> Result<Arc<AccessToken>, Fault> {
        slot.token(|credentials| self.exchange(lane, credentials)).await
    }

    async fn exchange(&self, lane: &Lane<'_>, credentials: ApiCredentials) -> Result<Granted, Fault> {
        let request = self.dialect.exchange(lane.org(), &credentials);
        let answer = self.attempt(lane, &request, None, Known::of(&credentials)).await?;
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
        let lane = self.gate.lane(org);
        let _places = lane.enter().await?;
        let slot = self.tokens.slot(self.dialect.token_of(org));
        let token = self.token(&lane, &slot).await?;
        let answer = self.with_token(&lane, &request, &token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        slot.drop_token(&token).await;
        let token = self.token(&lane, &slot).await?;
        let answer = self.with_token(&lane, &request, &token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let said = answer.message().map(|message| format!(": {message}")).unwrap_or_default();
        let fault = Fault::Credentials(format!("the API refuses the access token that it has just given: 401{said}"));
        Err(slot.refuse(&token, fault).await)
    }

    async fn with_token(&self, lane: &Lane<'_>, request: &Request, token: &AccessToken) -> Result<Answer, Fault> {
        let (name, before) = self.dialect.token_header();
        let value = SecretString::from(format!("{before}{}", token.expose()));
        let value = HeaderValue::from_str(value.expose_secret());
        let value = value.map_err(|_| Fault::Unavailable("the access token cannot be sent".into()))?;
        self.attempt(lane, request, Some((HeaderName::from_static(name), value)), token.known().clone()).await
    }

    /// One HTTP exchange, unless the gate is closed; a 429 closes it.
    async fn attempt(
        &self,
        lane: &Lane<'_>,
        request: &Request,
        header: Option<(HeaderName, HeaderValue)>,
        known: Known,
    ) -> Result<Answer, Fault> {
        lane.wait_for_turn().await?;
        let known = request.carries.iter().fold(known, |known, secret| known.with(secret.expose()));
        let answer = match self.wire.send(request, header, known).await {
            Ok(answer) if answer.status < 500 => answer,
            failed => {
                lane.failed(request.fingerprint());
                return failed;
            }
        };
        if answer.status != 429 {
            lane.succeeded();
            return Ok(answer);
        }
        let wait = gate::wait(answer.retry_after.as_deref(), Timestamp::now());
        tracing::info!(operation = request.operation, seconds = wait.as_secs(), "the API asks to wait");
        Err(lane.close(wait))
    }

    fn succeeded(&self, answer: Answer) -> Result<Answer, Fault> {
        match answer.status {
            200..300 => Ok(answer),
            // Something in between that finds no route would make an app seem gone that is there.
            404 if !self.dialect.is_own(&answer) => Err(answer.malformed("it does not come from the API")),
            _ => Err(answer.fault()),
        }
    }

    /// Deletes apps with one call, and one by one where the API refuses the call as a whole for the sake of one.
    async fn delete(&self, org: &OrgId, ids: &[ClientId]) -> Vec<Result<Deletion, Fault>> {
        let answer = match self.call(org, self.dialect.delete(org, ids)).await {
            Ok(answer) => answer,
            Err(fault) => return ids.iter().map(|_| Err(fault.clone())).collect(),
        };
        if matches!(answer.status, 400 | 404) && ids.len() > 1 {
            let mut answers = Vec::with_capacity(ids.len());
            for id in ids {
                answers.extend(Box::pin(self.delete(org, std::slice::from_ref(id))).await);
            }
            return answers;
        }
        match self
            .dialect
            .deletion(&answer)
            .map_or_else(|| self.succeeded(answer).map(Err), |deletion| Ok(Ok(deletion)))
        {
            Ok(Ok(deletion)) => ids.iter().map(|_| Ok(deletion.clone())).collect(),
            Ok(Err(answer)) => ids.iter().map(|id| answer.deletion(id)).collect(),
            Err(fault) => ids.iter().map(|_| Err(fault.clone())).collect(),
        }
    }
}

impl Iam for HttpIam {
    async fn authenticate(&self, org: &OrgId) -> Result<(), Fault> {
        let caller = &self.caller;
        let slot = caller.tokens.slot(caller.dialect.token_of(org));
        if slot.fresh().is_some() {
            return Ok(());
        }
        let lane = caller.gate.lane(org);
        let _places = lane.enter().await?;
        caller.token(&lane, &slot).await.map(drop)
    }

    async fn create(&self, org: &OrgId, app: &NewApp) -> Result<Credentials, Fault> {
        let caller = &self.caller;
        let answer = caller.call(org, caller.dialect.create(org, app)).await?;
        self.apps.changed(&app.id);
        let public = app.fields.get("publicClient") == Some(&Value::Bool(true));
        caller.succeeded(answer)?.credentials(&app.id, public)
    }

    async fn read(&self, org: &OrgId, id: &ClientId) -> Result<Option<RemoteApp>, Fault> {
        let answer = self.caller.call(org, self.caller.dialect.read(org, id)).await?;
        match self.caller.succeeded(answer) {
            Ok(answer) => answer.app(id).map(Some),
            Err(Fault::NotFound(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn look(&self, org: &OrgId, id: &ClientId, max_age: Duration) -> Result<Look, Fault> {
        if !self.no_list.load(Ordering::Relaxed) {
            let list = async {
                let entries = self.pages(org, || self.caller.dialect.list(org)).await?;
                self.no_list.store(entries.is_none(), Ordering::Relaxed);
                let apps = entries.into_iter().flatten().map(|(id, fields)| (id.clone(), answer::listed(id, fields)));
                Ok(apps.collect())
            };
            match self.apps.find(org, id, max_age, list).await {
                Ok(found) if !self.no_list.load(Ordering::Relaxed) => {
                    return Ok(found.map_or(Look::NotListed, Look::Listed));
                }
                // Who may not list may still read, and what is said of one app says more than what is said of a list.
                Ok(_) | Err(Fault::Forbidden(_) | Fault::NotFound(_) | Fault::Conflict(_) | Fault::Rejected(_)) => {}
                Err(fault @ (Fault::Unavailable(_) | Fault::Throttled { .. } | Fault::Credentials(_))) => {
                    return Err(fault);
                }
            }
        }
        self.read(org, id).await.map(Look::Read)
    }

    async fn update(&self, org: &OrgId, id: &ClientId, update: &Update) -> Result<Option<RemoteApp>, Fault> {
        let caller = &self.caller;
        let answer = caller.call(org, caller.dialect.update(org, id, update)).await?;
        self.apps.changed(id);
        Ok(caller.succeeded(answer)?.updated(id))
    }

    async fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> Result<(), Fault> {
        let caller = &self.caller;
        let answer = caller.call(org, caller.dialect.rotate_secret(org, id, secret, overlap)).await?;
        self.apps.changed(id);
        caller.succeeded(answer).map(drop)
    }

    async fn prove(&self, org: &OrgId, id: &ClientId, secret: &ClientSecret) -> Result<Proof, Fault> {
        let caller = &self.caller;
        let lane = caller.gate.lane(org);
        let _places = lane.enter().await?;
        let credentials = ApiCredentials::Client { id: id.0.clone(), secret: secret.expose().to_owned().into() };
        let request = caller.dialect.exchange(org, &credentials);
        let answer = caller.attempt(&lane, &request, None, Known::of(&credentials)).await?;
        match answer.status {
            200..300 => Ok(Proof::Accepted),
            408 | 425 => Err(answer.fault()),
            400..500 => {
                let said = answer.message().map(|message| format!(": {message}")).unwrap_or_default();
                Ok(Proof::Refused(format!("{}{said}", answer.status)))
            }
            _ => Err(answer.fault()),
        }
    }

    async fn delete(&self, org: &OrgId, id: &ClientId) -> Result<Deletion, Fault> {
        let (caller, of) = (self.caller.clone(), org.clone());
        let send = move |ids: Vec<ClientId>| async move { caller.delete(&of, &ids).await };
        let answer = self.deletions.delete(org, id, send).await;
        self.apps.changed(id);
        answer
    }

    async fn roles(&self, org: &OrgId, id: &ClientId, max_age: Duration) -> Result<Option<Roles>, Fault> {
        match self.caller.dialect.members(org, id) {
            Members::One(request) => match self.caller.succeeded(self.caller.call(org, request).await?) {
                Ok(answer) => answer.roles().map(Some),
                Err(Fault::NotFound(_)) => Ok(None),
                Err(fault) => Err(fault),
            },
            Members::List(_) => {
                let request = || match self.caller.dialect.members(org, id) {
                    Members::One(request) | Members::List(request) => request,
                };
                let list = async {
                    let entries = self.pages(org, request).await?.unwrap_or_default();
                    Ok(entries.into_iter().map(|(id, fields)| (id, answer::roles(&fields))).collect())
                };
                self.members.find(org, id, max_age, list).await
            }
        }
    }

    async fn add_to_organization(
        &self,
        org: &OrgId,
        id: &ClientId,
        context: Option<Context>,
        roles: &Roles,
    ) -> Result<(), Fault> {
        let request = self.caller.dialect.add(org, id, context, roles)?;
        let answer = self.caller.call(org, request).await?;
        self.members.changed(id);
        self.caller.succeeded(answer)?.added(id)
    }

    async fn change_roles(&self, org: &OrgId, id: &ClientId, add: &Roles, remove: &Roles) -> Result<(), Fault> {
        let request = self.caller.dialect.change_roles(org, id, add, remove)?;
        let answer = self.caller.call(org, request).await?;
        self.members.changed(id);
        self.caller.succeeded(answer).map(drop)
    }
}
