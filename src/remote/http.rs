//! The port over HTTP: which calls an operation takes, and what their answers mean.
//! Lists are shared by all who look, and deletions that come together share calls.

use super::answer;
use super::batch::Batches;
use super::caller::Caller;
pub use super::caller::Service;
use super::gate::Lane;
use super::listing::{APP_FIELDS, Listing, MEMBER_FIELDS};
use super::request::{Page, Request};
use super::survey::Survey;
use super::{ApiCredentials, ClientId, ClientSecret, Credentials, CredentialsKind, Deletion, Fault, HeldRoles, Iam};
use super::{LoadCredentials, Look, ManagedIds, NewApp, OrgId, RemoteApp, TokenClaims, Update, Verification};
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
    caller: Caller,
    managed: ManagedIds,
    apps: Survey<Box<str>>,
    members: Survey<Box<str>>,
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
        service: Service,
        kind: CredentialsKind,
        credentials: LoadCredentials,
        managed: ManagedIds,
        owner: Flow,
    ) -> Self {
        let identity = Identity {
            caller: Caller::new(service, kind, credentials, owner.clone()),
            managed,
            apps: Survey::new(),
            members: Survey::new(),
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

    fn caller(&self) -> &Caller {
        &self.identity.caller
    }

    fn lane(&self, org: &OrgId) -> Lane<'_> {
        self.caller().lane(org, &self.flow)
    }

    /// Whether the API takes these credentials, which are those of now, and what the token says that it gives for them: a
    /// token that came from others is dropped. `None` where the API wants to know an organization and none is given.
    pub async fn check(&self, org: Option<&OrgId>, credentials: &ApiCredentials) -> Option<Result<TokenClaims, Fault>> {
        self.caller().check(org, credentials).await
    }

    /// The entries of a list about apps that are managed, page by page; `None` where the API has no such list.
    async fn pages(
        &self,
        org: &OrgId,
        asked: &ClientId,
        fields: &[&'static str],
        request: Request,
    ) -> Result<Option<Entries>, Fault> {
        let lane = self.caller().shared_lane(org, &self.flow);
        let mut managed = (self.identity.managed)(org);
        managed.insert(asked.clone());
        let (mut listing, mut page) = (Listing::new(fields, managed), self.first_page());
        loop {
            let answer = self.caller().call(&lane, request.clone().page(&page)).await?;
            if answer.status == 400 && page == self.first_page() && page.limit.is_some() {
                self.identity.no_page_limit.store(true, Ordering::Relaxed);
                page = self.first_page();
                continue;
            }
            if self.caller().dialect().offers_no_list(&answer) {
                return Ok(None);
            }
            match listing.add(&self.caller().succeeded(answer)?)? {
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

    async fn roles_of_one(&self, org: &OrgId, id: &ClientId) -> Result<Option<HeldRoles>, Fault> {
        let caller = self.caller();
        match caller.succeeded(caller.call(&self.lane(org), caller.dialect().read_roles(org, id)).await?) {
            Ok(answer) => answer.roles().map(Some),
            Err(Fault::NotFound(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Asks once for the roles of an app that the list shows: a 404 then says that the API has no such operation, and not
    /// that the app is no member. [py-csptools]
    async fn find_out_whether_roles_of_one_can_be_read(&self, org: &OrgId, id: &ClientId) {
        let ask = async || {
            let answer = self.caller().call(&self.lane(org), self.caller().dialect().read_roles(org, id)).await?;
            Ok::<_, Fault>(answer.shows_roles())
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
    ) -> Result<Option<HeldRoles>, Fault> {
        let list = async {
            let entries = self.pages(org, id, &MEMBER_FIELDS, request).await?;
            entries.ok_or_else(|| Fault::Rejected("list clients: the API has no such operation".into()))
        };
        let found = self.identity.members.find(org, id, max_age, list).await?;
        Ok(found.and_then(|text| answer::roles(text.as_bytes())))
    }
}

/// The longest page that is documented for any list of the API. [csp-clients]
const PAGE_LIMIT: &str = "200";

type Entries = HashMap<ClientId, Box<str>>;

impl Iam for HttpIam {
    async fn authenticate(&self, org: &OrgId) -> Result<(), Fault> {
        self.caller().authenticate(&self.lane(org)).await
    }

    async fn create(&self, org: &OrgId, app: &NewApp) -> Result<Credentials, Fault> {
        let caller = self.caller();
        let answer = caller.call(&self.lane(org), caller.dialect().create(org, app)).await?;
        self.identity.apps.changed(&app.id);
        let public = app.fields.get("publicClient") == Some(&Value::Bool(true));
        caller.succeeded(answer)?.credentials(&app.id, public)
    }

    async fn read(&self, org: &OrgId, id: &ClientId) -> Result<Option<RemoteApp>, Fault> {
        let lane = self.lane(org);
        let answer = self.caller().call(&lane, self.caller().dialect().read(org, id)).await?;
        match self.caller().succeeded(answer) {
            Ok(answer) => {
                let app = answer.app(id)?;
                Ok(Some(RemoteApp { is_caller: self.caller().calls_as(&lane, id).await?, ..app }))
            }
            Err(Fault::NotFound(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn look(&self, org: &OrgId, id: &ClientId, max_age: Duration) -> Result<Look, Fault> {
        if self.has_list() {
            let list = async {
                let entries = self.pages(org, id, &APP_FIELDS, self.caller().dialect().list(org)).await?;
                self.identity.no_list.store(entries.is_none(), Ordering::Relaxed);
                Ok(entries.unwrap_or_default())
            };
            match self.identity.apps.find(org, id, max_age, list).await {
                Ok(found) if self.has_list() => {
                    let listed = found.and_then(|text| answer::listed(id.clone(), &text));
                    return Ok(listed.map_or(Look::NotListed, Look::Listed));
                }
                // Who may not list may still read, and what is said of one app says more than what is said of a list.
                Ok(_) | Err(Fault::Forbidden(_) | Fault::NotFound(_) | Fault::Conflict(_) | Fault::Rejected(_)) => {}
                Err(
                    fault @ (Fault::Unavailable(_)
                    | Fault::Throttled { .. }
                    | Fault::Credentials(_)
                    | Fault::WrongOrganization(_)),
                ) => {
                    return Err(fault);
                }
            }
        }
        self.read(org, id).await.map(Look::Read)
    }

    async fn update(&self, org: &OrgId, id: &ClientId, update: &Update) -> Result<Option<RemoteApp>, Fault> {
        let caller = self.caller();
        let answer = caller.call(&self.lane(org), caller.dialect().update(org, id, update)).await?;
        self.identity.apps.changed(id);
        Ok(caller.succeeded(answer)?.updated(id))
    }

    async fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> Result<(), Fault> {
        let caller = self.caller();
        let request = caller.dialect().rotate_secret(org, id, secret, overlap)?;
        let answer = caller.call(&self.lane(org), request).await?;
        self.identity.apps.changed(id);
        caller.succeeded(answer).map(drop)
    }

    async fn prove(&self, org: &OrgId, id: &ClientId, secret: &ClientSecret) -> Result<Verification, Fault> {
        self.caller().prove(&self.lane(org), id, secret).await
    }

    async fn delete(&self, org: &OrgId, id: &ClientId) -> Result<Deletion, Fault> {
        let (iam, of) = (self.clone(), org.clone());
        let send = move |ids: Vec<ClientId>| async move { iam.caller().delete(&iam.lane(&of), &ids).await };
        let answer = self.identity.deletions.delete(org, &self.flow, id, send).await;
        self.identity.apps.changed(id);
        answer
    }

    /// All apps of an organization share a list, so one is read alone only when its roles of now are wanted.
    async fn roles(&self, org: &OrgId, id: &ClientId, max_age: Duration) -> Result<Option<HeldRoles>, Fault> {
        let Some(list) = self.caller().dialect().list_clients(org) else { return self.roles_of_one(org, id).await };
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
    ) -> Result<(), Fault> {
        let request = self.caller().dialect().add(org, id, context, roles)?;
        let answer = self.caller().call(&self.lane(org), request).await?;
        self.identity.members.changed(id);
        self.caller().succeeded(answer)?.added(id)
    }

    async fn change_roles(&self, org: &OrgId, id: &ClientId, add: &Roles, remove: &Roles) -> Result<(), Fault> {
        let request = self.caller().dialect().change_roles(org, id, add, remove)?;
        let answer = self.caller().call(&self.lane(org), request).await?;
        self.identity.members.changed(id);
        self.caller().succeeded(answer).map(drop)
    }
}
