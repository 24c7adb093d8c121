//! The port over HTTP: which calls an operation takes, and what their answers mean.
//! Lists are shared by all who look, and deletions that come together share calls.

use super::answer;
use super::batch::Batches;
use super::caller::Caller;
pub use super::caller::Service;
use super::dialect::Members;
use super::request::{Page, Request};
use super::survey::Survey;
use super::{ApiCredentials, ClientId, ClientSecret, Credentials, Deletion, Fault, Iam, LoadCredentials, Look, NewApp};
use super::{OrgId, Proof, RemoteApp, Update};
use crate::crd::{Context, Roles};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, time::Duration};

/// One of the two APIs with one identity; its tokens, lists and batches are shared by all who call it.
pub struct HttpIam {
    caller: Arc<Caller>,
    apps: Survey<RemoteApp>,
    members: Survey<Roles>,
    deletions: Arc<Batches>,
    /// Operations that the API turned out not to have.
    no_list: AtomicBool,
    no_page_limit: AtomicBool,
}

impl fmt::Debug for HttpIam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpIam")
    }
}

impl HttpIam {
    /// An identity of a service. Makes no call; `credentials` are read when the first token is needed.
    pub fn new(service: Service, credentials: LoadCredentials) -> Self {
        Self {
            caller: Arc::new(Caller::new(service, credentials)),
            apps: Survey::new(),
            members: Survey::new(),
            deletions: Arc::default(),
            no_list: AtomicBool::new(false),
            no_page_limit: AtomicBool::new(false),
        }
    }

    /// Whether the API takes these credentials, which are those of now: a token that came from others is dropped.
    /// `None` where the API wants to know an organization and none is given.
    pub async fn check(&self, org: Option<&OrgId>, credentials: &ApiCredentials) -> Option<Result<(), Fault>> {
        self.caller.check(org, credentials).await
    }

    /// All entries of a list that come with an id, page by page; `None` where the API has no such list.
    async fn pages(&self, org: &OrgId, request: impl Fn() -> Request) -> Result<Option<Entries>, Fault> {
        let (dialect, mut entries) = (self.caller.dialect(), Entries::new());
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

impl Iam for HttpIam {
    async fn authenticate(&self, org: &OrgId) -> Result<(), Fault> {
        self.caller.authenticate(org).await
    }

    async fn create(&self, org: &OrgId, app: &NewApp) -> Result<Credentials, Fault> {
        let caller = &self.caller;
        let answer = caller.call(org, caller.dialect().create(org, app)).await?;
        self.apps.changed(&app.id);
        let public = app.fields.get("publicClient") == Some(&Value::Bool(true));
        caller.succeeded(answer)?.credentials(&app.id, public)
    }

    async fn read(&self, org: &OrgId, id: &ClientId) -> Result<Option<RemoteApp>, Fault> {
        let answer = self.caller.call(org, self.caller.dialect().read(org, id)).await?;
        match self.caller.succeeded(answer) {
            Ok(answer) => {
                let app = answer.app(id)?;
                Ok(Some(RemoteApp { is_caller: self.caller.calls_as(org, id).await?, ..app }))
            }
            Err(Fault::NotFound(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn look(&self, org: &OrgId, id: &ClientId, max_age: Duration) -> Result<Look, Fault> {
        if !self.no_list.load(Ordering::Relaxed) {
            let list = async {
                let entries = self.pages(org, || self.caller.dialect().list(org)).await?;
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
        let answer = caller.call(org, caller.dialect().update(org, id, update)).await?;
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
        let answer = caller.call(org, caller.dialect().rotate_secret(org, id, secret, overlap)).await?;
        self.apps.changed(id);
        caller.succeeded(answer).map(drop)
    }

    async fn prove(&self, org: &OrgId, id: &ClientId, secret: &ClientSecret) -> Result<Proof, Fault> {
        self.caller.prove(org, id, secret).await
    }

    async fn delete(&self, org: &OrgId, id: &ClientId) -> Result<Deletion, Fault> {
        let (caller, of) = (self.caller.clone(), org.clone());
        let send = move |ids: Vec<ClientId>| async move { caller.delete(&of, &ids).await };
        let answer = self.deletions.delete(org, id, send).await;
        self.apps.changed(id);
        answer
    }

    async fn roles(&self, org: &OrgId, id: &ClientId, max_age: Duration) -> Result<Option<Roles>, Fault> {
        match self.caller.dialect().members(org, id) {
            Members::One(request) => match self.caller.succeeded(self.caller.call(org, request).await?) {
                Ok(answer) => answer.roles().map(Some),
                Err(Fault::NotFound(_)) => Ok(None),
                Err(fault) => Err(fault),
            },
            Members::List(_) => {
                let request = || match self.caller.dialect().members(org, id) {
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
        let request = self.caller.dialect().add(org, id, context, roles)?;
        let answer = self.caller.call(org, request).await?;
        self.members.changed(id);
        self.caller.succeeded(answer)?.added(id)
    }

    async fn change_roles(&self, org: &OrgId, id: &ClientId, add: &Roles, remove: &Roles) -> Result<(), Fault> {
        let request = self.caller.dialect().change_roles(org, id, add, remove)?;
        let answer = self.caller.call(org, request).await?;
        self.members.changed(id);
        self.caller.succeeded(answer).map(drop)
    }
}
