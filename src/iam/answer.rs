//! Answers, read leniently: unused fields are skipped, and what the documentation leaves open is accepted either way.
//! A success that cannot be read is `Error::Unavailable`, since the request may have taken effect.

mod body;
mod error_body;
mod json;

use super::client::listing::documented;
use super::client::scrub::{KnownSecrets, NOT_SHOWN, scrub};
use super::client::transport::Payload;
use super::flavor::ApiFlavor;
use super::request::ErrorDisclosure;
use super::{ClientCredentials, ClientId, Deletion, Error, HeldRoles, Operation, RemoteApp};
use crate::secret_value;
use crate::text::clean;
use body::{CredentialsBody, Failure, IssuedSecret, PartialSuccess};
use error_body::{ErrorBody, RequestId, RequestIds};
use json::{FromAnyValue, Skipped};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value};

/// The longest request id that is logged, in bytes.
const LONGEST_REQUEST_ID: usize = 128;

/// The whole answer to a request. It can hold a secret, so it has no `Debug`.
pub struct Answer {
    pub(crate) operation: Operation,
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    /// A likely cause of an error, in addition to the words of the API.
    pub(crate) note: Option<String>,
    pub(crate) body: Payload,
    pub(crate) disclosure: ErrorDisclosure,
    /// The secrets that an error could repeat.
    pub(crate) known: KnownSecrets,
}

impl Answer {
    /// One that a test needs: no secret is known, and an error may be shown.
    #[cfg(test)]
    pub(crate) fn of(operation: Operation, status: u16, body: impl Into<Payload>) -> Self {
        let (disclosure, known) = (ErrorDisclosure::Any, KnownSecrets::default());
        Self { operation, status, retry_after: None, note: None, body: body.into(), disclosure, known }
    }

    /// Whether the body is a JSON object, as every documented answer with a body is.
    pub(crate) fn is_json_object(&self) -> bool {
        self.object(Skipped).is_ok()
    }

    /// Whether the body is HTML, as that of an error page of a proxy.
    pub(crate) fn is_html(&self) -> bool {
        self.body.trim_ascii_start().starts_with(b"<")
    }

    fn object<T: FromAnyValue>(&self, empty: T) -> Result<T, Error> {
        json::read_object(&self.body, empty).ok_or_else(|| self.malformed("it is not a JSON object"))
    }

    /// A success without what it should have.
    pub(crate) fn malformed(&self, why: &str) -> Error {
        Error::Unavailable(format!("{}: {}: the answer cannot be used: {why}", self.operation, self.status))
    }

    /// The status, and the message of the API if there is one.
    pub(crate) fn refusal(&self) -> String {
        match self.message() {
            Some(message) if message == NOT_SHOWN => format!("{}: {message}", self.status_line()),
            Some(message) => format!("{}: {message}", self.status),
            None => self.status_line(),
        }
    }

    /// The message of the API, scrubbed and cut. [tcsp-authn]
    pub(crate) fn message(&self) -> Option<String> {
        let body: Option<ErrorBody> = json::read(&self.body);
        let message = match (&body, self.disclosure) {
            (Some(body), disclosure) => body.message(disclosure),
            (None, ErrorDisclosure::Any) if !self.is_html() => str::from_utf8(&self.body).ok(),
            (None, ErrorDisclosure::Any | ErrorDisclosure::MessageOnly) => None,
        }?;
        let RequestIds(ids) = json::read(&self.body).unwrap_or_default();
        Some(scrub(message, &self.known, &ids)).filter(|message| !message.is_empty())
    }

    /// The id that the API gave to the request, scrubbed and cut; it is for the log, since it differs between answers that are the
    /// same otherwise.
    pub(crate) fn request_id(&self) -> Option<String> {
        let RequestId(id) = json::read(&self.body)?;
        Some(clean(&scrub(&id?, &self.known, &[]), LONGEST_REQUEST_ID)).filter(|id| !id.is_empty())
    }

    /// Whether a token request was refused because its credentials are wrong. Any other refusal does not prove that: a policy, a
    /// grant type or a proxy may be the cause.
    pub(crate) fn refuses_credentials(&self) -> bool {
        let names_them = || json::read::<ErrorBody>(&self.body).is_some_and(|body| body.names_invalid_credentials());
        match self.status {
            401 => !self.is_html(),
            400..500 => names_them(),
            _ => false,
        }
    }

    /// Whether a token request was refused because of the client, and not because of the organization that it named.
    pub(crate) fn refuses_client(&self) -> bool {
        self.status == 401 || json::read::<ErrorBody>(&self.body).is_some_and(|body| body.names_invalid_client())
    }

    /// The status with its reason phrase, without the message of the API.
    pub(crate) fn status_line(&self) -> String {
        let status = reqwest::StatusCode::from_u16(self.status).ok();
        let words = status.and_then(|status| status.canonical_reason()).map(|words| format!(" ({words})"));
        format!("{}{}", self.status, words.unwrap_or_default())
    }

    pub(crate) fn error(&self) -> Error {
        let message = format!("{}: {}", self.operation, self.refusal());
        let message = self.note.iter().fold(message, |message, note| format!("{message}; {note}"));
        match self.status {
            403 => Error::Forbidden(message),
            404 => Error::NotFound(message),
            409 => Error::Conflict(message),
            408 | 425 => Error::Unavailable(message),
            400..500 => Error::Rejected(message),
            _ => Error::Unavailable(message),
        }
    }

    /// The credentials that a create issues. [cpn-create, csp-create, csp-secret-put]
    pub(crate) fn credentials(&self, id: &ClientId, public: bool) -> Result<ClientCredentials, Error> {
        let body = self.object(CredentialsBody::default())?;
        if body.client_id.as_ref() != Some(&id.0) {
            return Err(self.malformed("its clientId is not the app's"));
        }
        let client_secret = match body.client_secret {
            IssuedSecret::Text(secret) => {
                let checked = secret_value::check(secret.expose(), secret_value::CREDENTIAL);
                checked.map_err(|error| self.malformed(&format!("its clientSecret {error}")))?;
                Some(secret)
            }
            IssuedSecret::Absent if public => None,
            IssuedSecret::Absent | IssuedSecret::UnexpectedType => {
                return Err(self.malformed("it has no clientSecret"));
            }
        };
        Ok(ClientCredentials { client_id: id.clone(), client_secret })
    }

    /// The app that the answer shows. [cpn-resp, csp-resp]
    pub(crate) fn app(&self, flavor: &dyn ApiFlavor, id: &ClientId) -> Result<RemoteApp, Error> {
        let text = documented(&self.body, &flavor.shown_fields());
        let app = text.and_then(|text| listed(flavor, id.clone(), &text));
        let app = app.ok_or_else(|| self.malformed("it is not a JSON object, or too large"))?;
        match app.fields.get("id") {
            Some(Value::String(shown)) if *shown != id.0 => Err(self.malformed("it is about another app")),
            Some(Value::String(_) | Value::Null) | None => Ok(app),
            Some(_) => Err(self.malformed("its id is not a text")),
        }
    }

    /// When the API token that the answer describes expires, if it does. Seconds are documented, and clients read milliseconds.
    /// [tcsp-token-details, csp-token-details]
    pub(crate) fn expires_at(&self) -> Result<Option<Timestamp>, Error> {
        let fields = documented(&self.body, &["expiresAt"]).and_then(|text| serde_json::from_str(&text).ok());
        let fields: Map<String, Value> =
            fields.ok_or_else(|| self.malformed("it is not a JSON object, or too large"))?;
        Ok(time(fields.get("expiresAt")))
    }

    /// Whether a deletion that was accepted names the app as failed; the form of its entries is not documented.
    /// [csp-delete]
    pub(crate) fn deletion(&self, id: &ClientId) -> Result<Deletion, Error> {
        let failure = self.failure("failed", |failure| failure.id() == Some(&id.0))?;
        Ok(if failure.is_some() { Deletion::Failed } else { Deletion::Accepted })
    }

    /// The app after an update, where the answer shows it. [cpn-patch] (undocumented for Cloud Services)
    pub(crate) fn updated(&self, flavor: &dyn ApiFlavor, id: &ClientId) -> Option<RemoteApp> {
        let shows_it = |app: &RemoteApp| app.fields.get("id").and_then(Value::as_str) == Some(&id.0);
        self.app(flavor, id).ok().filter(|app| shows_it(app) && app.fields.contains_key("displayName"))
    }

    /// Whether an app was added to its organization, which a success can deny. [cpn-clients-post, csp-clients]
    pub(crate) fn added(&self, id: &ClientId) -> Result<(), Error> {
        let failure = self.failure("failures", |failure| failure.id().is_none_or(|failed| failed == id.0))?;
        failure.map_or(Ok(()), |failure| {
            let message = failure.message().map(|message| scrub(message, &self.known, &[]));
            Err(Error::Rejected(format!("{}: {}", self.operation, message.unwrap_or("it failed".into()))))
        })
    }

    /// The failure about an app in a success. An empty body is a success as a whole.
    fn failure(&self, list: &'static str, is_about_app: impl Fn(&Failure) -> bool) -> Result<Option<Failure>, Error> {
        if self.body.trim_ascii().is_empty() {
            return Ok(None);
        }
        self.object(PartialSuccess { list, is_about_app, failure: None }).map(|success| success.failure)
    }

    /// The roles of the one app that it shows. [cpn-clients-get]
    pub(crate) fn roles(&self) -> Result<HeldRoles, Error> {
        self.object(HeldRoles::default())
    }

    /// Whether it is a success that shows the roles of an app in the form of the list. (undocumented)
    pub(crate) fn shows_roles(&self) -> bool {
        let roles = documented(&self.body, &["organizationRoles", "serviceRoles"]);
        (200..300).contains(&self.status) && roles.is_some_and(|roles| &*roles != "{}")
    }
}

/// The roles of an app as an entry of a list shows them; `None` when it is not an object. [csp-clients]
pub(super) fn roles(entry: &[u8]) -> Option<HeldRoles> {
    json::read_object(entry, HeldRoles::default())
}

/// An app as an entry of a list shows it. [csp-list]
pub(super) fn listed(flavor: &dyn ApiFlavor, id: ClientId, text: &str) -> Option<RemoteApp> {
    Some(app_of(id, flavor.normalize(serde_json::from_str(text).ok()?)))
}

/// An app with these fields, under the names of the CRD.
pub(super) fn app_of(id: ClientId, fields: Map<String, Value>) -> RemoteApp {
    let created_at = time(fields.get("createdAt"));
    let last_updated_at = time(fields.get("lastUpdatedAt"));
    RemoteApp { id, created_at, last_updated_at, fields, is_caller: false }
}

impl RemoteApp {
    /// When it was last used, where the API says. [tcsp-resp]
    pub(crate) fn last_used_at(&self) -> Option<Timestamp> {
        time(self.fields.get("lastUsedAt"))
    }

    /// The age of its secret in a unit that is not documented, where the API says. [tcsp-resp]
    pub(crate) fn secret_age(&self) -> Option<i64> {
        self.fields.get("secretAge")?.as_i64()
    }
}

/// The unit is not documented: as seconds, 10¹¹ is the year 5138; as milliseconds, 1973. A text is accepted too.
/// (undocumented)
fn time(value: Option<&Value>) -> Option<Timestamp> {
    match value? {
        Value::Number(number) => match number.as_i64()? {
            seconds @ 1..=100_000_000_000 => Timestamp::from_second(seconds).ok(),
            milliseconds @ 100_000_000_001.. => Timestamp::from_millisecond(milliseconds).ok(),
            _ => None,
        },
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
