//! An IAM service in memory: one secret per app, handed out once, and refusals as documented.
//! What the real APIs say is tested against the strict simulator.

use crate::world::{Lost, Outside, Shared, effect};
use oauth_app_operator::crd::{Context, IamConnection, Roles};
use oauth_app_operator::decide::Blocked;
use oauth_app_operator::reconcile::Connections;
use oauth_app_operator::remote::{
    AddFailure, ClientId, ClientSecret, Credentials, Deletion, Fault, Iam, NewApp, OrgId, RemoteApp,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Default)]
pub struct IamState {
    pub apps: BTreeMap<String, App>,
    pub creations: BTreeMap<String, usize>,
    pub regenerations: usize,
    pub calls: usize,
}

pub struct App {
    pub secret: Option<String>,
    fields: Map<String, Value>,
}

impl IamState {
    pub fn add(&mut self, id: &str, secret: &str) {
        self.apps.insert(id.into(), App { secret: Some(secret.into()), fields: Map::new() });
    }

    fn create(&mut self, app: &NewApp) -> Result<Credentials, Fault> {
        if self.apps.contains_key(&app.id.0) {
            return Err(Fault::Conflict("exists".into()));
        }
        let count = self.creations.entry(app.id.0.clone()).or_default();
        *count += 1;
        let public = app.fields.get("publicClient") == Some(&Value::Bool(true));
        let secret = (!public).then(|| format!("created-{count}"));
        self.apps.insert(app.id.0.clone(), App { secret: secret.clone(), fields: app.fields.clone() });
        Ok(Credentials { client_id: app.id.clone(), client_secret: secret.map(ClientSecret::new) })
    }

    fn regenerate(&mut self, id: &ClientId) -> Result<Credentials, Fault> {
        let app = self.apps.get_mut(&id.0).ok_or_else(|| Fault::NotFound("no such app".into()))?;
        self.regenerations += 1;
        let secret = format!("regenerated-{}", self.regenerations);
        app.secret = Some(secret.clone());
        Ok(Credentials { client_id: id.clone(), client_secret: Some(ClientSecret::new(secret)) })
    }
}

/// The one connection.
pub struct FakeConnections {
    connection: Arc<IamConnection>,
    iam: Arc<FakeIam>,
}

impl FakeConnections {
    pub fn new(shared: Shared, connection: IamConnection) -> Self {
        Self { connection: Arc::new(connection), iam: Arc::new(FakeIam(shared)) }
    }
}

impl Connections for FakeConnections {
    type Iam = FakeIam;

    fn find(&self, _: &str) -> Option<Arc<IamConnection>> {
        Some(self.connection.clone())
    }

    async fn open(&self, _: &IamConnection) -> Result<Arc<FakeIam>, Blocked> {
        Ok(self.iam.clone())
    }
}

pub struct FakeIam(Shared);

impl FakeIam {
    async fn write<T>(&self, act: impl FnOnce(&mut IamState) -> Result<T, Fault>) -> Result<T, Fault> {
        let counted = |outside: &mut Outside| {
            outside.iam.calls += 1;
            act(&mut outside.iam)
        };
        effect(&self.0, counted).await.unwrap_or_else(|Lost| Err(Fault::Unavailable("lost".into())))
    }
}

impl Iam for FakeIam {
    async fn authenticate(&self, _: &OrgId) -> Result<(), Fault> {
        Ok(())
    }

    async fn create(&self, _: &OrgId, app: &NewApp) -> Result<Credentials, Fault> {
        self.write(|iam| iam.create(app)).await
    }

    async fn read(&self, _: &OrgId, id: &ClientId) -> Result<Option<RemoteApp>, Fault> {
        let mut outside = self.0.lock().unwrap();
        outside.iam.calls += 1;
        let shown = |app: &App| RemoteApp {
            id: id.clone(),
            fields: app.fields.clone(),
            created_at: None,
            last_updated_at: None,
        };
        Ok(outside.iam.apps.get(&id.0).map(shown))
    }

    async fn regenerate_secret(&self, _: &OrgId, id: &ClientId) -> Result<Credentials, Fault> {
        self.write(|iam| iam.regenerate(id)).await
    }

    async fn delete(&self, _: &OrgId, id: &ClientId) -> Result<Deletion, Fault> {
        let delete = |iam: &mut IamState| match iam.apps.remove(&id.0) {
            Some(_) => Ok(Deletion::Accepted),
            None => Ok(Deletion::NotFound),
        };
        self.write(delete).await
    }

    async fn add_to_organization(
        &self,
        _: &OrgId,
        _: &ClientId,
        _: Option<Context>,
        _: &Roles,
    ) -> Result<Vec<AddFailure>, Fault> {
        Ok(Vec::new())
    }
}
