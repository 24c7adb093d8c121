//! One call as it came in, with the strict reading of its query, headers and body.
//! A reading fails with the sentence that the API would put into its error.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{HeaderMap, Method};
use serde_json::{Map, Value};

use crate::route::Route;
use crate::schema::{Shape, check};
use crate::types::{Flavor, Spelling};

/// What is answered instead of a success.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub status: u16,
    pub message: String,
    /// What Identity Broker calls the error, where that is known.
    pub code: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), code: None }
    }

    pub(crate) fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }
}

/// The media type of a body whose page names no other.
pub(crate) const JSON: &str = "application/json";

/// What is answered: a status and JSON, or nothing in the body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Option<Value>,
    pub media_type: &'static str,
    pub retry_after: Option<u64>,
}

impl Answer {
    pub(crate) fn ok(body: Value) -> Self {
        Self::status(200, body)
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, body: None, media_type: JSON, retry_after: None }
    }

    pub(crate) fn status(status: u16, body: Value) -> Self {
        Self { body: Some(body), ..Self::empty(status) }
    }

    pub(crate) fn media_type(self, media_type: &'static str) -> Self {
        Self { media_type, ..self }
    }
}

pub(crate) struct Call {
    pub route: Route,
    pub method: Method,
    pub path: String,
    pub raw_query: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    pub(crate) fn new(parts: hyper::http::request::Parts, body: Bytes) -> Self {
        let raw_query = parts.uri.query().unwrap_or_default().to_string();
        let query: Vec<(String, String)> = form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect();
        Self {
            route: Route::of(&parts.method, parts.uri.path(), &query),
            method: parts.method,
            path: parts.uri.path().to_string(),
            query,
            raw_query,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) fn org(&self) -> &str {
        self.route.org.as_deref().unwrap_or_default()
    }

    pub(crate) fn client(&self) -> &str {
        self.route.client.as_deref().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// Refuses every query parameter that is not `allowed`, and each that comes twice.
    pub(crate) fn allow_query(&self, allowed: &[&str]) -> Result<(), Refusal> {
        for (at, (name, _)) in self.query.iter().enumerate() {
            if !allowed.contains(&name.as_str()) {
                return Err(Refusal::bad(format!("unknown query parameter '{name}'")));
            }
            if self.query[..at].iter().any(|(n, _)| n == name) {
                return Err(Refusal::bad(format!("query parameter '{name}' is given twice")));
            }
        }
        Ok(())
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn query_number(&self, name: &str) -> Result<Option<usize>, Refusal> {
        self.query(name)
            .map(|v| v.parse().map_err(|_| Refusal::bad(format!("{name} must be a whole number"))))
            .transpose()
    }

    /// Refuses a `context` that the operation does not know `[cpn-create]`, `[cpn-patch]`.
    pub(crate) fn allow_context(&self, allowed: &[&str]) -> Result<(), Refusal> {
        self.allow_query(&["context"])?;
        match self.query("context") {
            Some(value) if !allowed.contains(&value) => {
                Err(Refusal::bad(format!("context must be one of {}, not '{value}'", allowed.join(", "))))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn no_body(&self) -> Result<(), Refusal> {
        if self.body.is_empty() { Ok(()) } else { Err(Refusal::bad("this operation takes no request body")) }
    }

    /// Refuses another `Content-Type`; Identity Broker does so with the status that HTTP has for it (undocumented).
    pub(crate) fn content_type(&self, wanted: &str) -> Result<(), Refusal> {
        let given = self.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("none");
        let essence = given.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case(wanted) {
            return Ok(());
        }
        let status = if self.route.flavor == Some(Flavor::Broker) { 415 } else { 400 };
        Err(Refusal::new(status, format!("Content-Type must be {wanted}, not {given}")))
    }

    /// The body as a JSON object of that shape.
    pub(crate) fn json(&self, shape: &Shape) -> Result<Map<String, Value>, Refusal> {
        self.json_as(JSON, shape)
    }

    /// The body as a JSON object of that shape under another media type.
    pub(crate) fn json_as(&self, media_type: &str, shape: &Shape) -> Result<Map<String, Value>, Refusal> {
        self.content_type(media_type)?;
        let value: Value = serde_json::from_slice(&self.body)
            .map_err(|e| Refusal::bad(format!("the request body is not JSON: {e}")))?;
        check(shape, &value, "").map_err(Refusal::bad)?;
        match value {
            Value::Object(map) => Ok(map),
            _ => Err(Refusal::bad("the request body must be a JSON object")),
        }
    }

    /// The body as a form with no other fields than `allowed`, none of them twice.
    pub(crate) fn form(&self, allowed: &[&str]) -> Result<Vec<(String, String)>, Refusal> {
        self.content_type("application/x-www-form-urlencoded")?;
        let fields: Vec<(String, String)> = form_urlencoded::parse(&self.body).into_owned().collect();
        for (at, (name, _)) in fields.iter().enumerate() {
            if !allowed.contains(&name.as_str()) || fields[..at].iter().any(|(n, _)| n == name) {
                return Err(Refusal::bad(format!("unknown or repeated form field '{name}'")));
            }
        }
        Ok(fields)
    }

    /// A text field of the body, whether that is JSON or a form; not strict, so for matching only.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let Ok(Value::Object(json)) = serde_json::from_slice(&self.body) else {
            return form_urlencoded::parse(&self.body).find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
        };
        json.get(name).and_then(Value::as_str).map(String::from)
    }

    /// The id and secret of an `Authorization: Basic` header.
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        let encoded = self.header(AUTHORIZATION.as_str())?.strip_prefix("Basic ")?;
        let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        decoded.split_once(':').map(|(id, secret)| (id.to_string(), secret.to_string()))
    }

    /// The call as a service quotes it in an error.
    pub(crate) fn quoted(&self, spelling: Spelling) -> String {
        let body = String::from_utf8_lossy(&self.body);
        match spelling {
            Spelling::Plain => body.into_owned(),
            Spelling::Json => Value::from(body).to_string(),
            Spelling::Percent => form_urlencoded::byte_serialize(&self.body).collect(),
            Spelling::Base64 => STANDARD.encode(&self.body),
            Spelling::Headers => {
                let caller = |name| self.header(name).map(|value| format!("{name}: {value}"));
                ["authorization", "csp-auth-token"].into_iter().filter_map(caller).collect()
            }
        }
    }

    /// The client ids that the call names anywhere, for matching and for the log.
    pub(crate) fn client_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.route.client.iter().cloned().collect();
        ids.extend(self.basic().map(|(id, _)| id).filter(|id| self.route.client.as_ref() != Some(id)));
        ids.extend(self.field("client_id"));
        let Ok(Value::Object(body)) = serde_json::from_slice(&self.body) else { return ids };
        for name in ["id", "clientId", "ids", "clientIdsToDelete"] {
            match body.get(name) {
                Some(Value::String(id)) => ids.push(id.clone()),
                Some(Value::Array(list)) => ids.extend(list.iter().filter_map(|v| v.as_str().map(String::from))),
                _ => {}
            }
        }
        ids
    }
}
