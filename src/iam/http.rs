//! The port over HTTP: which calls an operation takes, and what their answers mean.
//! Lists are shared by all who look, and deletions that come together share calls.

use super::answer;
use super::batch::Batches;
use super::list_cache::ListCache;
use super::listing::{APP_FIELDS, Listing, MEMBER_FIELDS};
use super::rate_limiter::OrgLimiter;
use super::request::{Page, Request};
pub use super::session::Endpoint;
use super::session::Session;
use super::{ApiCredentials, ClientId, ClientSecret, Credentials, CredentialsKind, Deletion, Error, HeldRoles, Iam};
use super::{LoadCredentials, Lookup, ManagedIds, NewApp, OrgId, RemoteApp, TokenClaims, Update, Verification};
use crate::crd::{Context, Roles};
use crate::fair_queue::Flow;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, time::Duration};
use tokio::sync::OnceCell;

/// One of the two APIs with one identity, called for one flow. Clones for other flows share tokens, lists and batches.
#[derive(Clone)]
pub struct HttpIam {
    identity: Arc<Identity>,
    flow: Flow,
}

struct Identity {
    session: Session,
    managed: ManagedIds,
    apps: ListCache<Box<str>>,
    members: ListCache<Box<str>>,
    deletions: Arc<Batches>,
    /// Operations that the API turned out not to have.
    no_list: AtomicBool,
    no_page_limit: AtomicBool,
    /// Whether an API with a list of clients can also read the roles of one app, once an answer has told.
    reads_roles: OnceCell<bool>,
}

impl fmt::Debug for HttpIam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpIam")
    }
}

impl HttpIam {
    /// An identity of a service and whose it is. Makes no call; `credentials` are read when the first token is needed.
    pub fn new(
        endpoint: Endpoint,
        kind: CredentialsKind,
        credentials: LoadCredentials,
        managed: ManagedIds,
        owner: Flow,
    ) -> Self {
        let identity = Identity {
            session: Session::new(endpoint, kind, credentials, owner.clone()),
            managed,
            apps: ListCache::new(),
            members: ListCache::new(),
            deletions: Arc::default(),
            no_list: AtomicBool::new(false),
            no_page_limit: AtomicBool::new(false),
            reads_roles: OnceCell::new(),
        };
        Self { identity: Arc::new(identity), flow: owner }
    }

    /// The same identity, called for others: their calls wait for each other, and never for those of another flow.
    pub fn on_behalf_of(&self, flow: Flow) -> Self {
        Self { identity: self.identity.clone(), flow }
    }

    fn session(&self) -> &Session {
        &self.identity.session
    }

    fn limiter(&self, org: &OrgId) -> OrgLimiter<'_> {
        self.session().limiter(org, &self.flow)
    }

    /// Whether the API takes these credentials, which are those of now, and what the token says that it gives for them: a
    /// token that came from others is dropped. `None` where the API wants to know an organization and none is given.
    pub async fn check(&self, org: Option<&OrgId>, credentials: &ApiCredentials) -> Option<Result<TokenClaims, Error>> {
        self.session().check(org, credentials).await
    }

    /// The entries of a list about apps that are managed, page by page; `None` where the API has no such list.
    async fn pages(
        &self,
        org: &OrgId,
        asked: &ClientId,
        fields: &[&'static str],
        request: Request,
    ) -> Result<Option<Entries>, Error> {
        let limiter = self.session().shared_limiter(org, &self.flow);
        let mut managed = (self.identity.managed)(org);
        managed.insert(asked.clone());
        let (mut listing, mut page) = (Listing::new(fields, managed), self.first_page());
        loop {
            let answer = self.session().call(&limiter, request.clone().page(&page)).await?;
            if answer.status == 400 && page == self.first_page() && page.limit.is_some() {
                self.identity.no_page_limit.store(true, Ordering::Relaxed);
                page = self.first_page();
                continue;
            }
            if self.session().flavor().list_unsupported(&answer) {
                return Ok(None);
            }
            match listing.add(&self.session().succeeded(answer)?)? {
                Some(next) => page = next,
                None => return Ok(Some(listing.into_entries())),
            }
        }
    }

    /// How long a page may be is not documented; an API that refuses what is asked for chooses itself. (undocumented)
    fn first_page(&self) -> Page {
        let limit = (!self.identity.no_page_limit.load(Ordering::Relaxed)).then(|| PAGE_LIMIT.to_owned());
        Page { start: None, limit }
    }

    fn has_list(&self) -> bool {
        !self.identity.no_list.load(Ordering::Relaxed)
    }

    async fn roles_of_one(&self, org: &OrgId, id: &ClientId) -> Result<Option<HeldRoles>, Error> {
        let session = self.session();
        match session.succeeded(session.call(&self.limiter(org), session.flavor().read_roles(org, id)).await?) {
            Ok(answer) => answer.roles().map(Some),
            Err(Error::NotFound(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Asks once for the roles of an app that the list shows: a 404 then says that the API has no such operation, and not
    /// that the app is no member. [py-csptools]
    async fn find_out_whether_roles_of_one_can_be_read(&self, org: &OrgId, id: &ClientId) {
        let ask = async || {
            let answer = self.session().call(&self.limiter(org), self.session().flavor().read_roles(org, id)).await?;
            Ok::<_, Error>(answer.shows_roles())
        };
        // Without an answer nothing is learned, and the list has told what was wanted all the same.
        self.identity.reads_roles.get_or_try_init(ask).await.ok();
    }

    async fn listed_roles(
        &self,
        org: &OrgId,
        id: &ClientId,
        max_age: Duration,
        request: Request,
    ) -> Result<Option<HeldRoles>, Error> {
        let list = async {
            let entries = self.pages(org, id, &MEMBER_FIELDS, request).await?;
            entries.ok_or_else(|| Error::Rejected("list clients: the API has no such operation".into()))
        };
        let found = self.identity.members.find(org, id, max_age, list).await?;
        Ok(found.and_then(|text| answer::roles(text.as_bytes())))
    }
}

/// The longest page that is documented for any list of the API. [csp-clients]
const PAGE_LIMIT: &str = "200";

type Entries = HashMap<ClientId, Box<str>>;

impl Iam for HttpIam {
    async fn authenticate(&self, org: &OrgId) -> Result<(), Error> {
        self.session().authenticate(&self.limiter(org)).await
    }

    async fn create(&self, org: &OrgId, app: &NewApp) -> Result<Credentials, Error> {
        let session = self.session();
        let answer = session.call(&self.limiter(org), session.flavor().create(org, app)).await?;
        self.identity.apps.changed(&app.id);
        let public = app.fields.get("publicClient") == Some(&Value::Bool(true));
        session.succeeded(answer)?.credentials(&app.id, public)
    }

    async fn read(&self, org: &OrgId, id: &ClientId) -> Result<Option<RemoteApp>, Error> {
        let limiter = self.limiter(org);
        let answer = self.session().call(&limiter, self.session().flavor().read(org, id)).await?;
        match self.session().succeeded(answer) {
            Ok(answer) => {
                let app = answer.app(id)?;
                Ok(Some(RemoteApp { is_caller: self.session().calls_as(&limiter, id).await?, ..app }))
            }
            Err(Error::NotFound(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn look(&self, org: &OrgId, id: &ClientId, max_age: Duration) -> Result<Lookup, Error> {
        if self.has_list() {
            let list = async {
                let entries = self.pages(org, id, &APP_FIELDS, self.session().flavor().list(org)).await?;
                self.identity.no_list.store(entries.is_none(), Ordering::Relaxed);
                Ok(entries.unwrap_or_default())
            };
            match self.identity.apps.find(org, id, max_age, list).await {
                Ok(found) if self.has_list() => {
                    let listed = found.and_then(|text| answer::listed(id.clone(), &text));
                    return Ok(listed.map_or(Lookup::NotListed, Lookup::Listed));
                }
                // Who may not list may still read, and what is said of one app says more than what is said of a list.
                Ok(_) | Err(Error::Forbidden(_) | Error::NotFound(_) | Error::Conflict(_) | Error::Rejected(_)) => {}
                Err(
                    fault @ (Error::Unavailable(_)
                    | Error::Throttled { .. }
                    | Error::Credentials(_)
                    | Error::WrongOrganization(_)),
                ) => {
                    return Err(fault);
                }
            }
        }
        self.read(org, id).await.map(Lookup::Read)
    }

    async fn update(&self, org: &OrgId, id: &ClientId, update: &Update) -> Result<Option<RemoteApp>, Error> {
        let session = self.session();
        let answer = session.call(&self.limiter(org), session.flavor().update(org, id, update)).await?;
        self.identity.apps.changed(id);
        Ok(session.succeeded(answer)?.updated(id))
    }

    async fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> Result<(), Error> {
        let session = self.session();
        let request = session.flavor().rotate_secret(org, id, secret, overlap)?;
        let answer = session.call(&self.limiter(org), request).await?;
        self.identity.apps.changed(id);
        session.succeeded(answer).map(drop)
    }

    async fn prove(&self, org: &OrgId, id: &ClientId, secret: &ClientSecret) -> Result<Verification, Error> {
        self.session().prove(&self.limiter(org), id, secret).await
    }

    async fn delete(&self, org: &OrgId, id: &ClientId) -> Result<Deletion, Error> {
        let (iam, of) = (self.clone(), org.clone());
        let send = move |ids: Vec<ClientId>| async move { iam.session().delete(&iam.limiter(&of), &ids).await };
        let answer = self.identity.deletions.delete(org, &self.flow, id, send).await;
        self.identity.apps.changed(id);
        answer
    }

    /// All apps of an organization share a list, so one is read alone only when its roles of now are wanted.
    async fn roles(&self, org: &OrgId, id: &ClientId, max_age: Duration) -> Result<Option<HeldRoles>, Error> {
        let Some(list) = self.session().flavor().list_clients(org) else { return self.roles_of_one(org, id).await };
        if max_age.is_zero() && self.identity.reads_roles.get() == Some(&true) {
            return self.roles_of_one(org, id).await;
        }
        let listed = self.listed_roles(org, id, max_age, list).await?;
        if listed.is_some() {
            self.find_out_whether_roles_of_one_can_be_read(org, id).await;
        }
        Ok(listed)
    }

    async fn add_to_organization(
        &self,
        org: &OrgId,
        id: &ClientId,
        context: Option<Context>,
        roles: &Roles,
    ) -> Result<(), Error> {
        let request = self.session().flavor().add(org, id, context, roles)?;
        let answer = self.session().call(&self.limiter(org), request).await?;
        self.identity.members.changed(id);
        self.session().succeeded(answer)?.added(id)
    }

    async fn change_roles(&self, org: &OrgId, id: &ClientId, add: &Roles, remove: &Roles) -> Result<(), Error> {
        let request = self.session().flavor().change_roles(org, id, add, remove)?;
        let answer = self.session().call(&self.limiter(org), request).await?;
        self.identity.members.changed(id);
        self.session().succeeded(answer).map(drop)
    }
}
