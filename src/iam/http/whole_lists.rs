//! Lists of which nothing is left out, for commands: all apps of an organization with all that the API shows of them, and the roles
//! of all its members. The operator keeps only its own apps of a list, and does not come here.

use super::{Entries, HttpIam};
use crate::iam::answer::{self, Answer};
use crate::iam::client::listing::{Keep, unknown_members};
use crate::iam::client::rate_limiter::OrgLimiter;
use crate::iam::flavor::{ApiFlavor, ListMembers, Memberships};
use crate::iam::request::{Page, Request};
use crate::iam::{ClientId, Error, HeldRoles, OrgId, RemoteApp};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// How often a call waits because the API asks it to, before its error is the answer.
const MOST_WAITS: usize = 20;

/// An app, and what the API shows of it beyond the fields that are known.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownApp {
    /// The known part.
    pub app: RemoteApp,
    /// The names of the unknown fields that hold something.
    pub unknown: Vec<String>,
    /// Whether it has to be read to see all its fields.
    pub is_summary: bool,
}

/// The roles of a member of an organization.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShownRoles {
    /// Those that an `OrgOAuthApp` can have.
    pub held: HeldRoles,
    /// The names of other fields that hold something, such as `customRoles`.
    pub unknown: Vec<String>,
}

/// The fields of a member that are known. [csp-clients]
const MEMBER: [&str; 5] = ["id", "clientId", "displayName", "organizationRoles", "serviceRoles"];

impl HttpIam {
    /// The same API, for a command: a call waits when the API asks it to, instead of failing.
    #[must_use]
    pub fn patient(&self) -> Self {
        Self { waits_when_throttled: true, ..self.clone() }
    }

    /// One call, after the wait that the API asks for.
    pub(super) async fn call(&self, limiter: &OrgLimiter<'_>, request: Request) -> Result<Answer, Error> {
        for _ in 0..MOST_WAITS {
            match self.session().call(limiter, request.clone()).await {
                Err(Error::Throttled { until }) if self.waits_when_throttled => {
                    tokio::time::sleep_until(Instant::from_std(until)).await;
                }
                answer => return answer,
            }
        }
        self.session().call(limiter, request).await
    }

    /// All apps of an organization by id, some perhaps as a summary; `None` where the API has no list. Calls `progress` with how
    /// many there are so far.
    ///
    /// # Errors
    /// Those of the calls.
    pub async fn list_all(
        &self,
        org: &OrgId,
        mut progress: impl FnMut(usize),
    ) -> Result<Option<BTreeMap<ClientId, ShownApp>>, Error> {
        let flavor = self.flavor();
        let mut apps = BTreeMap::new();
        let each = |page: Entries| {
            apps.extend(page.into_iter().map(|(id, text)| (id.clone(), shown(flavor, id, &text))));
            progress(apps.len());
        };
        let request = |page: &Page| flavor.list(org, page);
        if !self.pages(org, Keep::Everything, request, each).await? {
            return Ok(None);
        }
        let limiter = self.limiter(org);
        for (id, shown) in &mut apps {
            shown.app.is_caller = self.session().calls_as(&limiter, id).await?;
        }
        Ok(Some(apps))
    }

    /// An app with all its fields; `None` when the API says that there is none.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn read_whole(&self, org: &OrgId, id: &ClientId) -> Result<Option<ShownApp>, Error> {
        let limiter = self.limiter(org);
        let answer = self.call(&limiter, self.flavor().read(org, id)).await?;
        let answer = match self.session().succeeded(answer) {
            Ok(answer) => answer,
            Err(Error::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let app = answer.app(self.flavor(), id)?;
        let app = RemoteApp { is_caller: self.session().calls_as(&limiter, id).await?, ..app };
        let fields = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(Some(ShownApp { app, unknown: unknown_fields(self.flavor(), &fields), is_summary: false }))
    }

    /// The roles of all members of an organization; `None` where the API has no list of members.
    ///
    /// # Errors
    /// Those of the calls.
    pub async fn list_roles(&self, org: &OrgId) -> Result<Option<BTreeMap<ClientId, ShownRoles>>, Error> {
        let Some(list) = self.members_list() else { return Ok(None) };
        let mut roles = BTreeMap::new();
        let each = |page: Entries| roles.extend(page.into_iter().map(|(id, text)| (id, shown_roles(text.as_bytes()))));
        let has_list = self.pages(org, Keep::Everything, |page| list(org, page), each).await?;
        Ok(has_list.then_some(roles))
    }

    /// The roles of an app, read alone; `None` when it was not added to its organization.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn read_roles(&self, org: &OrgId, id: &ClientId) -> Result<Option<ShownRoles>, Error> {
        let Some(memberships) = self.flavor().memberships() else { return Ok(None) };
        let answer = self.call(&self.limiter(org), memberships.read(org, id)).await?;
        match self.session().succeeded(answer) {
            Ok(answer) => Ok(Some(shown_roles(&answer.body))),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether apps of this API have roles, and how the roles of several are found.
    pub fn finds_roles(&self) -> FindsRoles {
        match (self.flavor().memberships(), self.members_list()) {
            (None, _) => FindsRoles::None,
            (Some(_), None) => FindsRoles::OneByOne,
            (Some(_), Some(_)) => FindsRoles::InOneList,
        }
    }

    fn members_list(&self) -> Option<ListMembers> {
        self.flavor().memberships().and_then(Memberships::list)
    }
}

/// How the roles of several apps are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindsRoles {
    /// Apps have no roles.
    None,
    /// With a request for each.
    OneByOne,
    /// In the list of the members.
    InOneList,
}

/// An entry of the list. One that was too large to keep has to be read.
fn shown(flavor: &dyn ApiFlavor, id: ClientId, text: &str) -> ShownApp {
    let fields: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let is_summary = flavor.list_is_summary() || fields.is_empty();
    let unknown = unknown_fields(flavor, &fields);
    let known = flavor.shown_fields();
    let fields: Map<_, _> = fields.into_iter().filter(|(name, _)| known.contains(&name.as_str())).collect();
    ShownApp { app: answer::app_of(id, flavor.normalize(fields)), unknown, is_summary }
}

fn unknown_fields(flavor: &dyn ApiFlavor, fields: &Map<String, Value>) -> Vec<String> {
    unknown_members(fields, &[&flavor.shown_fields(), flavor.informative_fields()].concat())
}

fn shown_roles(entry: &[u8]) -> ShownRoles {
    let fields = serde_json::from_slice(entry).unwrap_or_default();
    ShownRoles { held: answer::roles(entry).unwrap_or_default(), unknown: unknown_members(&fields, &MEMBER) }
}
