//! One call as either API documents it, before it is sent: path, query, header and body.
//! What differs between the two APIs is behind `Dialect`.

use super::answer::Answer;
use super::{ApiCredentials, ClientId, Context, Deletion, Fault, NewApp, OrgId, Roles};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;

/// What is sent. It can hold a secret, so it has no `Debug`.
pub struct Request {
    /// What is tried, in words for messages and logs.
    pub operation: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// The path below the endpoint, segment by segment and not yet escaped.
    pub path: Vec<String>,
    /// The query, if any.
    pub query: Option<(&'static str, &'static str)>,
    /// The body.
    pub body: Body,
    /// How much of an error may be repeated.
    pub quote: Quote,
}

/// The body of a request.
pub enum Body {
    /// None.
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
pub enum Quote {
    /// Whatever says what went wrong.
    Any,
    /// Nothing but `message`: the answer could hold a secret that nobody knows yet.
    MessageOnly,
}

impl Request {
    /// Without query and body.
    pub fn new(operation: &'static str, method: Method, path: &[&str]) -> Self {
        let path = path.iter().map(|segment| (*segment).to_owned()).collect();
        Self { operation, method, path, query: None, body: Body::None, quote: Quote::Any }
    }

    /// With a body.
    pub fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// With the `context` query parameter when there is one. [cpn-create]
    pub fn context(self, context: Option<Context>) -> Self {
        let query = context.map(|context| match context {
            Context::Operator => ("context", "OPERATOR"),
            Context::Provider => ("context", "PROVIDER"),
            Context::Tenant => ("context", "TENANT"),
        });
        Self { query, ..self }
    }

    /// Its answer hands out a secret.
    pub fn secretive(self) -> Self {
        Self { quote: Quote::MessageOnly, ..self }
    }
}

/// One of the two APIs: its paths, its header, its request forms, and what its refusals mean.
pub trait Dialect: Send + Sync {
    /// Whose access token a call about this organization needs; `None` when one serves all.
    fn token_of(&self, org: &OrgId) -> Option<OrgId>;

    /// Exchanges credentials for an access token.
    fn exchange(&self, org: &OrgId, credentials: &ApiCredentials) -> Request;

    /// The header that carries an access token, and what stands before the token in it.
    fn token_header(&self) -> (&'static str, &'static str);

    /// Creates an app.
    fn create(&self, org: &OrgId, app: &NewApp) -> Request;

    /// Reads an app.
    fn read(&self, org: &OrgId, id: &ClientId) -> Request;

    /// Whether a 404 comes from the API itself, so that it says something about apps.
    fn is_own(&self, answer: &Answer) -> bool;

    /// Replaces the secret at once.
    fn regenerate_secret(&self, org: &OrgId, id: &ClientId) -> Request;

    /// Deletes an app.
    fn delete(&self, org: &OrgId, id: &ClientId) -> Request;

    /// What an error status says about a deletion, where it is no fault.
    fn deletion(&self, answer: &Answer) -> Option<Deletion>;

    /// Adds an app to its organization.
    fn add(&self, org: &OrgId, id: &ClientId, context: Option<Context>, roles: &Roles) -> Result<Request, Fault>;
}

/// Body of an exchange or a write that creates: the same in both APIs. [cpn-create, csp-create]
pub fn create_body(app: &NewApp) -> Body {
    let mut fields = app.fields.clone();
    fields.insert("id".into(), app.id.0.clone().into());
    Body::Json(Value::Object(fields))
}
