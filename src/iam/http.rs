//! The port over HTTP: which requests an operation takes, and what their answers mean.
//! Calls that look for apps share a list, and deletions that come together share a request.

mod whole_lists;

pub use whole_lists::{FindsRoles, ShownApp, ShownRoles};

use super::answer;
use super::app_fields::ROTATION_IN_PROGRESS;
use super::client::batch::Batches;
pub use super::client::endpoint::Endpoint;
use super::client::list_cache::ListCache;
use super::client::listing::{Keep, Listing, MEMBER_FIELDS};
use super::client::rate_limiter::OrgLimiter;
use super::client::read_cache::ReadCache;
use super::client::session::Session;
pub(crate) use super::client::transport::{SettingsError, TransportError};
use super::flavor::{ApiFlavor, ListMembers, Memberships};
use super::probe::{AnswerShape, Trial};
use super::request::{Page, Request};
use super::{
    AppToken, ClientCredentials, ClientId, ClientSecret, ConnectionCredentials, CredentialsExpiry, CredentialsKind,
    Deletion, Error, HeldRoles, Iam, LoadCredentials, Lookup, ManagedIds, NewApp, OrgId, RemoteApp, TokenClaims,
    Update, Verification,
};
use crate::crd::{Context, Roles};
use crate::fair_queue::Flow;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;

/// An API with the credentials of one connection, called for one flow. Clones for other flows share tokens, lists and batches.
#[derive(Clone)]
pub struct HttpIam {
    shared: Arc<Shared>,
    flow: Flow,
    /// Whether a list or a read waits when the API asks it to.
    waits_when_throttled: bool,
}

struct Shared {
    session: Session,
    managed: ManagedIds,
    apps: ListCache<Box<str>>,
    reads: ReadCache,
    members: ListCache<Box<str>>,
    deletions: Arc<Batches>,
    /// Operations that the API does not have, as its answers showed.
    no_list: AtomicBool,
    no_page_limit: AtomicBool,
    /// Whether an API with a list of members can also read the roles of one app, once an answer showed it.
    reads_roles: OnceCell<bool>,
}

impl fmt::Debug for HttpIam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpIam")
    }
}

impl HttpIam {
    /// `owner` has the credentials. Makes no call; `credentials` are read when the first token is needed.
    pub fn new(
        endpoint: Endpoint,
        kind: CredentialsKind,
        credentials: LoadCredentials,
        managed: ManagedIds,
        owner: Flow,
    ) -> Self {
        let deletions = Arc::new(Batches::new(endpoint.flavor().max_deletions()));
        let shared = Shared {
            session: Session::new(endpoint, kind, credentials, owner.clone()),
            managed,
            apps: ListCache::new(),
            reads: ReadCache::default(),
            members: ListCache::new(),
            deletions,
            no_list: AtomicBool::new(false),
            no_page_limit: AtomicBool::new(false),
            reads_roles: OnceCell::new(),
        };
        Self { shared: Arc::new(shared), flow: owner, waits_when_throttled: false }
    }

    /// The same API, called for another flow: calls of a flow wait for each other, and never for those of other flows.
    pub fn on_behalf_of(&self, flow: Flow) -> Self {
        Self { flow, ..self.clone() }
    }

    fn session(&self) -> &Session {
        &self.shared.session
    }

    fn flavor(&self) -> &'static dyn ApiFlavor {
        self.session().flavor()
    }

    fn limiter(&self, org: &OrgId) -> OrgLimiter<'_> {
        self.session().limiter(org, &self.flow)
    }

    /// Whether the API accepts these credentials, which are the current ones, and what the token that they get says. `None` where
    /// the API requires an organization and none is given.
    pub async fn check(
        &self,
        org: Option<&OrgId>,
        credentials: &ConnectionCredentials,
    ) -> Option<Result<TokenClaims, Error>> {
        self.session().check(org, credentials).await
    }

    /// When these credentials, which are the current ones, expire according to the API; free if it was asked today.
    pub(crate) async fn credentials_expiry(&self, credentials: &ConnectionCredentials) -> CredentialsExpiry {
        self.session().authenticator().expiry(credentials).await
    }

    /// The token that the API issues for an app's own credentials; the credentials of the connection are not used.
    pub(crate) async fn app_token(&self, org: &OrgId, id: &ClientId, secret: &ClientSecret) -> Result<AppToken, Error> {
        self.session().authenticator().app_token(&self.limiter(org), id, secret).await
    }

    /// Tries an operation; `None` where the API has none.
    pub(crate) async fn probe(&self, org: &OrgId, trial: Trial<'_>) -> Result<Option<AnswerShape>, Error> {
        let Some(request) = trial.request(self.flavor(), org)? else { return Ok(None) };
        let answer = self.session().call(&self.limiter(org), request).await?;
        trial.changes().iter().for_each(|id| self.shared.apps.invalidate(id));
        Ok(Some(AnswerShape::of(self.flavor(), &answer)))
    }

    /// The certificate of the API as DER, once the TLS library accepted it; `None` where it does not show it. Sends no credentials.
    pub(crate) async fn certificate(&self) -> Result<Option<Vec<u8>>, TransportError> {
        self.session().certificate().await
    }

    /// The entries of a list about apps that are managed; `None` where the API has no such list.
    async fn managed_entries(
        &self,
        org: &OrgId,
        asked: &ClientId,
        fields: Vec<&'static str>,
        request: impl Fn(&Page) -> Request,
    ) -> Result<Option<Entries>, Error> {
        let mut managed = (self.shared.managed)(org);
        managed.insert(asked.clone());
        let mut entries = Entries::new();
        let collect = |page: Entries| entries.extend(page);
        let has_list = self.pages(org, Keep::Managed(managed, fields), request, collect).await?;
        Ok(has_list.then_some(entries))
    }

    /// Calls with the entries of each page; `false` where the API has no such list.
    async fn pages(
        &self,
        org: &OrgId,
        keep: Keep,
        request: impl Fn(&Page) -> Request,
        mut each: impl FnMut(Entries),
    ) -> Result<bool, Error> {
        let limiter = self.session().shared_limiter(org, &self.flow);
        let mut listing = Listing::new(self.flavor(), keep);
        let mut page = self.first_page();
        loop {
            let answer = self.call(&limiter, request(&page)).await?;
            if answer.status == 400 && page == self.first_page() && page.limit.is_some() {
                self.shared.no_page_limit.store(true, Ordering::Relaxed);
                page = self.first_page();
                continue;
            }
            if self.flavor().list_unsupported(&answer) {
                return Ok(false);
            }
            let next = listing.add(&page, &self.session().succeeded(answer)?)?;
            each(listing.take_entries());
            match next {
                Some(next) => page = next,
                None => return Ok(true),
            }
        }
    }

    /// How long a page may be is not documented; an API that refuses the limit gets none. (undocumented)
    fn first_page(&self) -> Page {
        let limit =
            (!self.shared.no_page_limit.load(Ordering::Relaxed)).then(|| self.flavor().page_limit().to_string());
        Page { start: None, limit }
    }

    fn has_list(&self) -> bool {
        !self.shared.no_list.load(Ordering::Relaxed)
    }

    fn memberships(&self) -> Result<&'static dyn Memberships, Error> {
        self.flavor().memberships().ok_or_else(|| Error::Rejected("the API has no roles of apps".into()))
    }

    async fn roles_of_one(&self, org: &OrgId, id: &ClientId) -> Result<Option<HeldRoles>, Error> {
        let session = self.session();
        let request = self.memberships()?.read(org, id);
        match session.succeeded(session.call(&self.limiter(org), request).await?) {
            Ok(answer) => answer.roles().map(Some),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads once the roles of an app that the list shows: a 404 then means that the API has no such operation, and not that the
    /// app is no member. [py-csptools]
    async fn detect_reads_roles(&self, org: &OrgId, id: &ClientId) {
        let ask = async || {
            let request = self.memberships()?.read(org, id);
            let answer = self.session().call(&self.limiter(org), request).await?;
            Ok::<_, Error>(answer.shows_roles())
        };
        // Without an answer the next call tries again; the list already has the roles.
        self.shared.reads_roles.get_or_try_init(ask).await.ok();
    }

    async fn listed_roles(
        &self,
        org: &OrgId,
        id: &ClientId,
        max_age: Duration,
        request: ListMembers,
    ) -> Result<Option<HeldRoles>, Error> {
        let list = async {
            let entries = self.managed_entries(org, id, MEMBER_FIELDS.to_vec(), |page| request(org, page)).await?;
            entries.ok_or_else(|| Error::Rejected("list clients: the API has no such operation".into()))
        };
        let found = self.shared.members.find(org, id, max_age, list).await?;
        Ok(found.and_then(|text| answer::roles(text.as_bytes())))
    }

    /// A listed app with all its fields. One that a read does not show stays listed.
    async fn whole(&self, org: &OrgId, listed: RemoteApp) -> Result<Lookup, Error> {
        if !self.flavor().list_is_summary() {
            return Ok(Lookup::Listed(listed));
        }
        if let Some(read) = self.shared.reads.unchanged(&listed) {
            return Ok(Lookup::Listed(read));
        }
        let Some(read) = self.read(org, &listed.id).await? else { return Ok(Lookup::Listed(listed)) };
        let read = RemoteApp { last_updated_at: read.last_updated_at.or(listed.last_updated_at), ..read };
        self.shared.reads.record(&listed, &read);
        Ok(Lookup::Read(Some(read)))
    }

    /// Whether the app shows that a rotation is in progress.
    async fn is_rotating(&self, org: &OrgId, id: &ClientId) -> Result<bool, Error> {
        let shown = self.read(org, id).await?;
        Ok(shown.is_some_and(|app| app.fields.get(ROTATION_IN_PROGRESS) == Some(&Value::Bool(true))))
    }
}

type Entries = HashMap<ClientId, Box<str>>;

impl Iam for HttpIam {
    async fn authenticate(&self, org: &OrgId) -> Result<(), Error> {
        self.session().authenticator().valid_token(&self.limiter(org)).await.map(drop)
    }

    async fn create(&self, org: &OrgId, app: &NewApp) -> Result<ClientCredentials, Error> {
        let session = self.session();
        let answer = session.call(&self.limiter(org), self.flavor().create(org, app)).await?;
        self.shared.apps.invalidate(&app.id);
        self.flavor().issued_credentials(&session.succeeded(answer)?, app)
    }

    async fn read(&self, org: &OrgId, id: &ClientId) -> Result<Option<RemoteApp>, Error> {
        let limiter = self.limiter(org);
        let answer = self.session().call(&limiter, self.flavor().read(org, id)).await?;
        match self.session().succeeded(answer) {
            Ok(answer) => {
                let app = answer.app(self.flavor(), id)?;
                Ok(Some(RemoteApp { is_caller: self.session().calls_as(&limiter, id).await?, ..app }))
            }
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn find(&self, org: &OrgId, id: &ClientId, max_age: Duration) -> Result<Lookup, Error> {
        if self.has_list() {
            let list = async {
                let list = |page: &Page| self.flavor().list(org, page);
                let entries = self.managed_entries(org, id, self.flavor().shown_fields(), list).await?;
                self.shared.no_list.store(entries.is_none(), Ordering::Relaxed);
                Ok(entries.unwrap_or_default())
            };
            match self.shared.apps.find(org, id, max_age, list).await {
                Ok(found) if self.has_list() => {
                    let listed = found.and_then(|text| answer::listed(self.flavor(), id.clone(), &text));
                    return match listed {
                        Some(listed) => self.whole(org, listed).await,
                        None => Ok(Lookup::NotListed),
                    };
                }
                // Credentials that may not list may still read, and the error about one app says more than that about a list.
                Ok(_) | Err(Error::Forbidden(_) | Error::NotFound(_) | Error::Conflict(_) | Error::Rejected(_)) => {}
                Err(
                    error @ (Error::Unavailable(_)
                    | Error::Throttled { .. }
                    | Error::Credentials(_)
                    | Error::WrongOrganization(_)),
                ) => {
                    return Err(error);
                }
            }
        }
        self.read(org, id).await.map(Lookup::Read)
    }

    async fn update(&self, org: &OrgId, id: &ClientId, update: &Update) -> Result<Option<RemoteApp>, Error> {
        let session = self.session();
        if update.secret.is_some() && self.flavor().ends_rotation_first() {
            match self.end_rotation(org, id).await {
                // Where no rotation ends, the update says whether one is in its way.
                Ok(()) | Err(Error::Rejected(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let answer = session.call(&self.limiter(org), self.flavor().update(org, id, update)).await?;
        self.shared.apps.invalidate(id);
        Ok(session.succeeded(answer)?.updated(self.flavor(), id))
    }

    async fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> Result<(), Error> {
        let session = self.session();
        let request = self.flavor().rotate_secret(org, id, secret, overlap)?;
        let answer = session.call(&self.limiter(org), request).await?;
        self.shared.apps.invalidate(id);
        if self.flavor().leaves_rotation_open(&answer) && self.is_rotating(org, id).await? {
            return Err(Error::Conflict(answer.error().to_string()));
        }
        session.succeeded(answer).map(drop)
    }

    async fn end_rotation(&self, org: &OrgId, id: &ClientId) -> Result<(), Error> {
        let Some(request) = self.flavor().end_rotation() else {
            return Err(Error::Rejected("the API has no operation that ends a rotation".into()));
        };
        let answer = self.session().call(&self.limiter(org), request(org, id)).await?;
        self.shared.apps.invalidate(id);
        if self.flavor().leaves_rotation_open(&answer) && !self.is_rotating(org, id).await? {
            return Ok(());
        }
        self.session().succeeded(answer).map(drop)
    }

    async fn verify_secret(&self, org: &OrgId, id: &ClientId, secret: &ClientSecret) -> Result<Verification, Error> {
        self.session().authenticator().verify_secret(&self.limiter(org), id, secret).await
    }

    async fn delete(&self, org: &OrgId, id: &ClientId) -> Result<Deletion, Error> {
        let iam = self.clone();
        let of = org.clone();
        let send = move |ids: Vec<ClientId>| async move { iam.session().delete(&iam.limiter(&of), &ids).await };
        let answer = self.shared.deletions.delete(org, &self.flow, id, send).await;
        self.shared.apps.invalidate(id);
        answer
    }

    /// All apps of an organization share a list, so one is read alone only when its current roles are needed.
    async fn roles(&self, org: &OrgId, id: &ClientId, max_age: Duration) -> Result<Option<HeldRoles>, Error> {
        let Some(memberships) = self.flavor().memberships() else { return Ok(Some(HeldRoles::default())) };
        let reads_one = max_age.is_zero() && self.shared.reads_roles.get() == Some(&true);
        let Some(list) = memberships.list().filter(|_| !reads_one) else { return self.roles_of_one(org, id).await };
        let listed = self.listed_roles(org, id, max_age, list).await?;
        if listed.is_some() {
            self.detect_reads_roles(org, id).await;
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
        let request = self.memberships()?.add(org, id, context, roles)?;
        let answer = self.session().call(&self.limiter(org), request).await?;
        self.shared.members.invalidate(id);
        self.session().succeeded(answer)?.added(id)
    }

    async fn change_roles(&self, org: &OrgId, id: &ClientId, add: &Roles, remove: &Roles) -> Result<(), Error> {
        let request = self.memberships()?.change(org, id, add, remove)?;
        let answer = self.session().call(&self.limiter(org), request).await?;
        self.shared.members.invalidate(id);
        self.session().succeeded(answer).map(drop)
    }
}
