//! The throw-away app: its id, its fields and its secrets. It has the least that the API accepts.

use crate::commands::CommandError;
use crate::commands::check::api::random_id;
use crate::commands::check::target::Target;
use crate::crd::{OrgOAuthApp, OrgOAuthAppSpec};
use crate::iam::app_fields::Fields;
use crate::iam::flavor::flavor;
use crate::iam::http::HttpIam;
use crate::iam::{ClientId, ClientSecret, NewApp, OrgId, Update};
use crate::secret::client_secret;
use serde_json::json;

const DESCRIPTION: &str = "Made by oauth-app-operator check --write, and deleted at its end";
const CHANGED: &str = "Made by oauth-app-operator check --write, and deleted at its end; changed";

pub(super) struct ThrowAway<'a> {
    pub(super) target: &'a Target,
    pub(super) new: NewApp,
    /// The first is that of the create, the others are for rotations.
    pub(super) secrets: [ClientSecret; 4],
    spec: OrgOAuthAppSpec,
}

impl<'a> ThrowAway<'a> {
    pub(super) fn new(target: &'a Target) -> Result<Self, CommandError> {
        let secret = || client_secret(getrandom::fill).map_err(CommandError::message);
        let secrets = [secret()?, secret()?, secret()?, secret()?];
        let spec = spec(target, DESCRIPTION)?;
        let app = OrgOAuthApp::new("check", spec.clone());
        let fields = Fields::of(target.api, &spec).map_err(CommandError::message)?.for_create(&app);
        let secret = Some(secrets[0].clone());
        let new = NewApp { id: random_id(), context: target.context, fields, secret };
        Ok(Self { target, new, secrets, spec })
    }

    pub(super) fn id(&self) -> &ClientId {
        &self.new.id
    }

    pub(super) fn org(&self) -> &OrgId {
        &self.target.org
    }

    pub(super) fn iam(&self) -> &HttpIam {
        &self.target.iam
    }

    /// Changes the description.
    pub(super) fn update(&self) -> Result<Update, CommandError> {
        let spec = OrgOAuthAppSpec { description: Some(CHANGED.into()), ..self.spec.clone() };
        let app = OrgOAuthApp::new("check", spec.clone());
        let fields = Fields::of(self.target.api, &spec).map_err(CommandError::message)?;
        let fields = fields.for_update(&app, &["description".to_owned()], None);
        Ok(Update { context: self.target.context, fields, secret: None })
    }

    pub(super) fn is_changed(fields: &serde_json::Map<String, serde_json::Value>) -> bool {
        fields.get("description").is_some_and(|description| description == CHANGED)
    }
}

fn spec(target: &Target, description: &str) -> Result<OrgOAuthAppSpec, CommandError> {
    // The Identity Broker requires a scope; this one lets an app read no more than who it is.
    let scopes =
        if flavor(target.api).admin_scopes().is_empty() { json!({}) } else { json!({"generalScopes": ["openid"]}) };
    let spec = json!({
        "connectionRef": {"name": "check"},
        "orgId": target.org.0,
        "displayName": "oauth-app-operator check",
        "description": description,
        "grantTypes": ["client_credentials"],
        "allowedScopes": scopes,
    });
    serde_json::from_value(spec).map_err(CommandError::message)
}
