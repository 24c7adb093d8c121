//! An IAM service in memory: apps with a current and a previous secret, and refusals as documented.
//! What the real APIs say is tested against the strict simulator.

use crate::backend::{Backend, Lost, Shared, effect, interleave};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use oauth_app_operator::connections::{CheckResult, ConnectionHealth, Connections};
use oauth_app_operator::crd::{Context, IamConnection, Role, Roles};
use oauth_app_operator::iam::{
    self, ClientCredentials, ClientId, ClientSecret, Deletion, HeldRoles, Iam, Lookup, NewApp, OrgId, RemoteApp,
    TokenClaims, Update, Verification,
};
use oauth_app_operator::reason::Blocked;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Default)]
pub struct IamState {
    pub apps: BTreeMap<String, App>,
    /// By id: how often it was created while it was not there.
    pub creations: BTreeMap<String, usize>,
    /// By id: how often somebody but the operator deleted it.
    pub deleted_by_hand: BTreeMap<String, usize>,
    pub writes: usize,
    pub calls: usize,
    pub updates: usize,
    pub rotations: usize,
    pub replacements: usize,
    /// Whether there is a list of an organization's apps.
    pub lists: bool,
    pub generated: usize,
    /// How long reads, lists and token requests show what was before a write.
    pub lag: SignedDuration,
    /// What there was since when, while there is a lag.
    pub past: Vec<(Timestamp, BTreeMap<String, App>)>,
    /// So many of the next reads answer falsely that there is no app.
    pub false_absences: usize,
    /// So many of the next requests that end an overlap, replacements among them, get no answer and may arrive late.
    pub unanswered_ends: usize,
    /// So many of the next requests that end an overlap are refused for another cause.
    pub refused_ends: usize,
    /// So many of the next token requests with a valid previous secret are refused falsely.
    pub false_refusals: usize,
    /// By id: what was done to apps, in its order.
    pub done: Vec<(String, Done)>,
}

/// What the operator did to an app.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Done {
    Created,
    /// This field has another value now.
    Changed(String),
    SecretReplaced,
    SecretRotated,
    OverlapEnded,
    AddedToOrganization,
    RolesChanged,
    Deleted,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct App {
    pub secret: Option<String>,
    pub previous: Option<(String, Timestamp)>,
    pub fields: Map<String, Value>,
    pub roles: Option<Roles>,
}

impl App {
    pub fn accepts(&self, secret: &str, now: Timestamp) -> bool {
        let previous = self.previous.as_ref().filter(|(_, until)| *until > now);
        self.secret.as_deref() == Some(secret) || previous.is_some_and(|(previous, _)| previous == secret)
    }
}

impl IamState {
    pub fn add(&mut self, id: &str, secret: &str) {
        let app = App { secret: Some(secret.into()), ..App::default() };
        self.apps.insert(id.into(), app);
    }

    /// Keeps what there is now, for those who see it late.
    pub fn record(&mut self, now: Timestamp) {
        if self.past.last().is_none_or(|(_, apps)| *apps != self.apps) {
            self.past.push((now, self.apps.clone()));
        }
    }

    /// The app as it is shown now.
    fn shown(&self, id: &ClientId, now: Timestamp) -> Option<&App> {
        let known = self.past.iter().rev().find(|(at, _)| *at <= now - self.lag);
        known.map_or(&self.apps, |(_, apps)| apps).get(&id.0)
    }

    pub fn delete_by_hand(&mut self, id: &str) {
        if self.apps.remove(id).is_some() {
            *self.deleted_by_hand.entry(id.into()).or_default() += 1;
        }
    }

    fn app(&mut self, id: &ClientId) -> Result<&mut App, iam::Error> {
        self.apps.get_mut(&id.0).ok_or_else(|| iam::Error::NotFound("no such app".into()))
    }

    fn create(&mut self, app: &NewApp) -> Result<ClientCredentials, iam::Error> {
        if self.apps.contains_key(&app.id.0) {
            return Err(iam::Error::Conflict("exists".into()));
        }
        *self.creations.entry(app.id.0.clone()).or_default() += 1;
        self.done.push((app.id.0.clone(), Done::Created));
        self.generated += 1;
        let public = app.fields.get("publicClient") == Some(&Value::Bool(true));
        let provided = app.secret.as_ref().map(|secret| secret.expose().to_owned());
        let secret = (!public).then(|| provided.unwrap_or(format!("created-{}", self.generated)));
        let new = App { secret: secret.clone(), fields: app.fields.clone(), ..App::default() };
        self.apps.insert(app.id.0.clone(), new);
        Ok(ClientCredentials { client_id: app.id.clone(), client_secret: secret.map(ClientSecret::new) })
    }

    fn update(&mut self, id: &ClientId, update: &Update) -> Result<Option<RemoteApp>, iam::Error> {
        if update.secret.is_some() {
            self.answer_end()?;
        }
        let app = self.app(id)?;
        let is_other = |(name, value): &(&String, &Value)| app.fields.get(*name) != Some(value);
        let changed: Vec<String> = update.fields.iter().filter(is_other).map(|(name, _)| name.clone()).collect();
        app.fields.extend(update.fields.clone());
        if let Some(secret) = &update.secret {
            app.secret = Some(secret.expose().to_owned());
            app.previous = None;
            self.replacements += 1;
            self.done.push((id.0.clone(), Done::SecretReplaced));
        } else {
            self.updates += 1;
        }
        self.done.extend(changed.into_iter().map(|field| (id.0.clone(), Done::Changed(field))));
        Ok(None)
    }

    fn rotate(
        &mut self,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<(), iam::Error> {
        let app = self.app(id)?;
        if app.previous.as_ref().is_some_and(|(_, until)| *until > now) {
            return Err(iam::Error::Conflict("a rotation is in progress".into()));
        }
        let until = now + SignedDuration::try_from(overlap).unwrap();
        app.previous = app.secret.replace(secret.expose().to_owned()).map(|old| (old, until));
        self.rotations += 1;
        self.done.push((id.0.clone(), Done::SecretRotated));
        Ok(())
    }

    fn answer_end(&mut self) -> Result<(), iam::Error> {
        if self.unanswered_ends == 0 {
            return Ok(());
        }
        self.unanswered_ends -= 1;
        Err(iam::Error::Unavailable("no response".into()))
    }

    fn end_rotation(&mut self, id: &ClientId, now: Timestamp) -> Result<(), iam::Error> {
        self.answer_end()?;
        if self.refused_ends > 0 {
            self.refused_ends -= 1;
            return Err(iam::Error::Rejected("not now".into()));
        }
        let previous = &mut self.app(id)?.previous;
        match previous.take_if(|(_, until)| *until > now) {
            Some(_) => {
                self.done.push((id.0.clone(), Done::OverlapEnded));
                Ok(())
            }
            None => Err(iam::Error::Rejected("no rotation is in progress".into())),
        }
    }
}

/// The connection `default`, and `elsewhere` to another API.
pub struct FakeConnections([(Arc<IamConnection>, Arc<FakeIam>); 2]);

impl FakeConnections {
    pub fn new(shared: Shared) -> Self {
        let connection = |name: &str| -> Arc<IamConnection> {
            let connection = json!({
                "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection", "metadata": {"name": name},
                "spec": {"api": "CloudServices", "endpoint": format!("https://{name}.example.com"),
                         "credentials": {"apiToken": {"secretRef": {"name": "token", "key": "token"}}},
                         "grants": [{"namespaces": {"from": "All"}, "orgs": {"from": "All"},
                                     "allow": {"organizationRoles": ["*"], "adoption": true}}]},
            });
            Arc::new(serde_json::from_value(connection).unwrap())
        };
        let of: [fn(&mut Backend) -> &mut IamState; 2] = [|backend| &mut backend.iam, |backend| &mut backend.elsewhere];
        let iam = |of| Arc::new(FakeIam(shared.clone(), of));
        Self([(connection("default"), iam(of[0])), (connection("elsewhere"), iam(of[1]))])
    }

    fn at(&self, name: &str) -> &(Arc<IamConnection>, Arc<FakeIam>) {
        &self.0[usize::from(name == "elsewhere")]
    }
}

impl Connections for FakeConnections {
    type Iam = FakeIam;

    fn find(&self, name: &str) -> Option<Arc<IamConnection>> {
        Some(self.at(name).0.clone())
    }

    fn is_unreadable(&self, _: &str) -> bool {
        false
    }

    async fn open(&self, connection: &IamConnection, _: &str) -> Result<Arc<FakeIam>, Blocked> {
        Ok(self.at(&connection.name_any()).1.clone())
    }

    async fn check(&self, _: &IamConnection, _: Option<&OrgId>) -> CheckResult {
        CheckResult::without_expiry(ConnectionHealth::Accepted(TokenClaims::default()))
    }
}

pub struct FakeIam(Shared, fn(&mut Backend) -> &mut IamState);

impl FakeIam {
    async fn write<T>(
        &self,
        act: impl FnOnce(&mut IamState, Timestamp) -> Result<T, iam::Error>,
    ) -> Result<T, iam::Error> {
        let counted = |backend: &mut Backend| {
            let now = backend.now;
            let iam = self.1(backend);
            iam.calls += 1;
            iam.writes += 1;
            iam.record(now);
            let result = act(iam, now);
            iam.record(now);
            result
        };
        effect(&self.0, counted).await.unwrap_or_else(|Lost| Err(iam::Error::Unavailable("lost".into())))
    }

    async fn read<T>(&self, look: impl FnOnce(&mut IamState, Timestamp) -> T) -> T {
        interleave(&self.0).await;
        let backend = &mut *self.0.lock().unwrap();
        let now = backend.now;
        let iam = self.1(backend);
        iam.calls += 1;
        iam.record(now);
        look(iam, now)
    }
}

fn shown(id: &ClientId, app: &App) -> RemoteApp {
    RemoteApp { id: id.clone(), fields: app.fields.clone(), created_at: None, last_updated_at: None, is_caller: false }
}

impl Iam for FakeIam {
    async fn authenticate(&self, _: &OrgId) -> Result<(), iam::Error> {
        Ok(())
    }

    async fn create(&self, _: &OrgId, app: &NewApp) -> Result<ClientCredentials, iam::Error> {
        self.write(|iam, _| iam.create(app)).await
    }

    async fn read(&self, _: &OrgId, id: &ClientId) -> Result<Option<RemoteApp>, iam::Error> {
        let read = |iam: &mut IamState, now| match iam.false_absences {
            0 => iam.shown(id, now).map(|app| shown(id, app)),
            lies => {
                iam.false_absences = lies - 1;
                None
            }
        };
        Ok(self.read(read).await)
    }

    async fn find(&self, _: &OrgId, id: &ClientId, _: Duration) -> Result<Lookup, iam::Error> {
        let look = |iam: &mut IamState, now| match (iam.lists, iam.shown(id, now).map(|app| shown(id, app))) {
            (false, app) => Lookup::Read(app),
            (true, Some(app)) => Lookup::Listed(app),
            (true, None) => Lookup::NotListed,
        };
        Ok(self.read(look).await)
    }

    async fn update(&self, _: &OrgId, id: &ClientId, update: &Update) -> Result<Option<RemoteApp>, iam::Error> {
        self.write(|iam, _| iam.update(id, update)).await
    }

    async fn rotate_secret(
        &self,
        _: &OrgId,
        id: &ClientId,
        new: &ClientSecret,
        overlap: Duration,
    ) -> Result<(), iam::Error> {
        self.write(|iam, now| iam.rotate(id, new, overlap, now)).await
    }

    async fn end_rotation(&self, _: &OrgId, id: &ClientId) -> Result<(), iam::Error> {
        self.write(|iam, now| iam.end_rotation(id, now)).await
    }

    async fn verify_secret(&self, _: &OrgId, id: &ClientId, secret: &ClientSecret) -> Result<Verification, iam::Error> {
        let accepts = |iam: &mut IamState, now| {
            let Some(app) = iam.shown(id, now).filter(|app| app.accepts(secret.expose(), now)) else { return false };
            let is_false = iam.false_refusals > 0 && app.secret.as_deref() != Some(secret.expose());
            iam.false_refusals -= usize::from(is_false);
            !is_false
        };
        Ok(if self.read(accepts).await {
            Verification::Accepted
        } else {
            Verification::Refused("invalid client".into())
        })
    }

    async fn delete(&self, _: &OrgId, id: &ClientId) -> Result<Deletion, iam::Error> {
        let delete = |iam: &mut IamState, _| match iam.apps.remove(&id.0) {
            Some(_) => {
                // The next resource with this id starts again.
                iam.creations.remove(&id.0);
                iam.deleted_by_hand.remove(&id.0);
                iam.done.push((id.0.clone(), Done::Deleted));
                Ok(Deletion::Accepted)
            }
            None => Ok(Deletion::NotFound),
        };
        self.write(delete).await
    }

    async fn roles(&self, _: &OrgId, id: &ClientId, _: Duration) -> Result<Option<HeldRoles>, iam::Error> {
        let direct = self.read(|iam, now| iam.shown(id, now).and_then(|app| app.roles.clone())).await;
        Ok(direct.map(|direct| HeldRoles { direct, inherited: Roles::default() }))
    }

    async fn add_to_organization(
        &self,
        _: &OrgId,
        id: &ClientId,
        _: Option<Context>,
        roles: &Roles,
    ) -> Result<(), iam::Error> {
        self.write(|iam, _| match &mut iam.app(id)?.roles {
            Some(_) => Err(iam::Error::Rejected("already a member".into())),
            none => {
                *none = Some(roles.clone());
                iam.done.push((id.0.clone(), Done::AddedToOrganization));
                Ok(())
            }
        })
        .await
    }

    async fn change_roles(&self, _: &OrgId, id: &ClientId, add: &Roles, remove: &Roles) -> Result<(), iam::Error> {
        self.write(|iam, _| {
            let roles = iam.app(id)?.roles.as_mut().ok_or_else(|| iam::Error::NotFound("no member".into()))?;
            let taken = |role: &Role| remove.organization_roles.contains(role);
            roles.organization_roles.retain(|role| !taken(role));
            roles.organization_roles.extend(add.organization_roles.clone());
            iam.done.push((id.0.clone(), Done::RolesChanged));
            Ok(())
        })
        .await
    }
}
