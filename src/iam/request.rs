//! One request before it is sent: path, query and body.
//! The bodies that several flavors have in common are built here.

use super::{ClientSecret, Context, Error, NewApp, Operation, Roles, Update};
use crate::crd::Role;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// One request. It can hold a secret, so it has no `Debug`.
#[derive(Clone)]
pub struct Request {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    /// The path below the endpoint, segment by segment and not yet escaped.
    pub(crate) path: Vec<String>,
    /// The query: names and values, not yet escaped.
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Body,
    /// The media type of the body and of the answer, where it is not `application/json`.
    pub(crate) media_type: Option<&'static str>,
    /// How much of an error may be repeated.
    pub(crate) disclosure: ErrorDisclosure,
    /// The client secret in the body, which no message may repeat.
    pub(crate) secret: Option<ClientSecret>,
}

#[derive(Clone)]
pub(crate) enum Body {
    None,
    /// `application/json`.
    Json(Value),
    /// `application/x-www-form-urlencoded`, with `Authorization: Basic` when there is a pair.
    Form {
        /// Names and values.
        fields: Vec<(&'static str, String)>,
        /// Id and secret.
        basic: Option<(String, SecretString)>,
    },
}

/// How much of an error may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorDisclosure {
    /// Every text about the error.
    Any,
    /// Nothing but `message`: the answer could hold a new secret, which cannot be scrubbed.
    MessageOnly,
}

impl Request {
    /// Without query and body.
    pub(crate) fn new(operation: Operation, method: Method, path: &[&str]) -> Self {
        let path = path.iter().map(|segment| (*segment).to_owned()).collect();
        Self {
            operation,
            method,
            path,
            query: Vec::new(),
            body: Body::None,
            media_type: None,
            disclosure: ErrorDisclosure::Any,
            secret: None,
        }
    }

    pub(crate) fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// With this media type both ways.
    pub fn media_type(self, media_type: &'static str) -> Self {
        Self { media_type: Some(media_type), ..self }
    }

    /// With the `context` query parameter when there is one. [cpn-create]
    pub(crate) fn context(self, context: Option<Context>) -> Self {
        let query = context.map(|context| match context {
            Context::Operator => ("context", "OPERATOR".to_owned()),
            Context::Provider => ("context", "PROVIDER".to_owned()),
            Context::Tenant => ("context", "TENANT".to_owned()),
        });
        Self { query: query.into_iter().collect(), ..self }
    }

    /// One page of a list. [csp-list]
    pub(crate) fn page(self, page: &Page) -> Self {
        let start = page.start.clone().map(|start| ("pageStart", start));
        let limit = page.limit.clone().map(|limit| ("pageLimit", limit));
        Self { query: start.into_iter().chain(limit).collect(), ..self }
    }

    /// Tells it from other requests, for as long as the process runs.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        (&self.operation, &self.path).hash(&mut hash);
        if let Body::Json(body) = &self.body {
            body.to_string().hash(&mut hash);
        }
        hash.finish()
    }

    /// The answer holds a secret.
    pub(crate) fn response_is_secret(self) -> Self {
        Self { disclosure: ErrorDisclosure::MessageOnly, ..self }
    }

    /// The body holds this secret.
    pub(crate) fn with_secret(self, secret: Option<&ClientSecret>) -> Self {
        Self { secret: secret.cloned(), ..self.response_is_secret() }
    }
}

/// The URL of a path below an endpoint, to be read by people and clients.
pub(super) fn url(endpoint: &str, path: &[&str]) -> String {
    format!("{}/{}", endpoint.trim_end_matches('/'), path.join("/"))
}

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Page {
    /// Where it starts; the API chooses when absent, since its documentation counts from 0 in one place and from 1 in another.
    pub(crate) start: Option<String>,
    /// How long it is at most.
    pub(crate) limit: Option<String>,
}

impl Page {
    /// The page of a link, of which only the query is used.
    pub(crate) fn from_link(link: &str) -> Self {
        let query = link.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let value = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
        };
        Self { start: value("pageStart"), limit: value("pageLimit") }
    }
}

/// The form in which an operation takes roles.
type RoleForm = fn(&[Role]) -> Result<Value, Error>;

/// Body of a role change, without what is empty. [cpn-roles-patch]
pub(super) fn role_changes(add: &Roles, remove: &Roles, form: RoleForm) -> Result<Value, Error> {
    let mut body = Map::new();
    let organization = changes(&add.organization_roles, &remove.organization_roles, form)?;
    if !organization.is_empty() {
        body.insert("organizationRoles".into(), organization.into());
    }
    let of = |roles: &Roles, id: &str| -> Vec<Role> {
        let services = roles.service_roles.iter().filter(|service| service.service_definition_id == id);
        services.flat_map(|service| service.service_roles.clone()).collect()
    };
    let ids: BTreeSet<&String> =
        add.service_roles.iter().chain(&remove.service_roles).map(|s| &s.service_definition_id).collect();
    let services = ids.into_iter().map(|id| {
        let mut service = changes(&of(add, id), &of(remove, id), form)?;
        service.insert("serviceDefinitionId".into(), id.clone().into());
        Ok(Value::Object(service))
    });
    let services = services.collect::<Result<Vec<_>, Error>>()?;
    if !services.is_empty() {
        body.insert("serviceRoles".into(), services.into());
    }
    Ok(Value::Object(body))
}

fn changes(add: &[Role], remove: &[Role], form: RoleForm) -> Result<Map<String, Value>, Error> {
    let mut changes = Map::new();
    for (name, roles) in [("rolesToAdd", add), ("rolesToRemove", remove)] {
        if !roles.is_empty() {
            changes.insert(name.into(), form(roles)?);
        }
    }
    Ok(changes)
}

/// Roles that have a name and nothing else; what cannot be said is refused rather than left out.
pub(super) fn role_names(roles: &[Role]) -> Result<Value, Error> {
    let name = |role: &Role| match &role.resource {
        None => Ok(json!({"name": role.name})),
        Some(_) => Err(Error::Rejected(format!(
            "a role's resource, as of {}, is unknown to this operation of the API",
            role.name
        ))),
    };
    roles.iter().map(name).collect()
}

/// An overlap in whole seconds, rounded up, of which the API takes as many as an int32 holds.
/// [csp-rot-struct, cpn-secret-post]
pub(super) fn overlap_seconds(overlap: Duration) -> Result<i32, Error> {
    let seconds = overlap.as_secs().saturating_add(u64::from(overlap.subsec_nanos() > 0));
    let too_long = |_| {
        Error::Rejected(format!("an overlap of {seconds} seconds is longer than the {} that the API takes", i32::MAX))
    };
    i32::try_from(seconds).map_err(too_long)
}

/// Body of a create. [cpn-create, csp-create]
pub(super) fn create_body(app: &NewApp) -> Body {
    let mut fields = app.fields.clone();
    fields.insert("id".into(), app.id.0.clone().into());
    if let Some(secret) = &app.secret {
        fields.insert("secret".into(), secret.expose().into());
    }
    Body::Json(Value::Object(fields))
}

/// Body of an update. [cpn-patch, csp-patch]
pub(super) fn update_body(update: &Update) -> Body {
    let mut fields = update.fields.clone();
    if let Some(secret) = &update.secret {
        fields.insert("secret".into(), secret.expose().into());
    }
    Body::Json(Value::Object(fields))
}
