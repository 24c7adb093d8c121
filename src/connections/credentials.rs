//! Reads what an `IamConnection` names: credentials and certificate authorities in the operator's namespace, or credentials
//! in that of a tenant who opts in. Nothing is cached, so that a replaced value is used at once.

use super::Expiry;
use crate::cluster::lenient::{Kept, Lenient};
use crate::crd::{CaBundle, ClientCredentialsRef, EXPIRES_AT, IamConnection, KeyRef};
use crate::given::{Given, Undecodable};
use crate::iam::{ConnectionCredentials, CredentialsKind, token_expiry};
use crate::metrics::{Metrics, Read};
use crate::secret::{OptInError, require_opt_in};
use crate::secret_value::{self, InvalidValue};
use crate::text::clean;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

/// No single read takes longer: kube itself sets no read timeout.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a message of Kubernetes that are quoted.
const MAX_QUOTED: usize = 400;

/// Where the credentials of one identity are.
#[derive(Clone)]
pub(super) struct CredentialLocation {
    /// The namespace of the tenant that owns them; without one, the operator does.
    tenant: Option<String>,
    form: Form,
}

#[derive(Clone)]
enum Form {
    ApiToken(KeyRef),
    Client(ClientCredentialsRef),
}

impl CredentialLocation {
    /// As `spec.credentials` names it.
    pub(super) fn of(connection: &IamConnection, tenant: Option<String>) -> Result<Self, InvalidError> {
        let credentials = &connection.spec.credentials;
        let form = match (credentials.api_token.clone(), credentials.client_credentials.clone()) {
            (Some(token), None) => Form::ApiToken(token.secret_ref),
            (None, Some(pair)) => Form::Client(pair.secret_ref),
            (None, None) | (Some(_), Some(_)) => return Err(InvalidError::CredentialsForm),
        };
        Ok(Self { tenant, form })
    }

    pub(super) fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    pub(super) fn kind(&self) -> CredentialsKind {
        match &self.form {
            Form::ApiToken(_) => CredentialsKind::ApiToken,
            Form::Client(_) => CredentialsKind::ClientCredentials,
        }
    }

    fn secret_name(&self) -> &str {
        match &self.form {
            Form::ApiToken(reference) => &reference.name,
            Form::Client(reference) => &reference.name,
        }
    }
}

/// Credentials, and what is known of their expiry.
pub(super) struct LoadedCredentials {
    pub(crate) secret: ObjectName,
    pub(crate) credentials: ConnectionCredentials,
    pub(crate) expiry: Expiry,
}

/// An object, as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectName {
    kind: String,
    namespace: String,
    name: String,
}

impl ObjectName {
    fn new<K: Resource<DynamicType = ()>>(namespace: &str, name: &str) -> Self {
        Self { kind: K::kind(&()).into_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Why something could not be read. Nothing here holds a credential.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// A person must correct something.
    #[error(transparent)]
    Invalid(#[from] InvalidError),
    /// The next attempt may succeed.
    #[error(transparent)]
    Transient(#[from] TransientError),
}

#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidError {
    #[error("spec.credentials needs exactly one of apiToken and clientCredentials")]
    CredentialsForm,
    #[error("spec.caBundle needs exactly one of configMapRef and secretRef")]
    CaBundleForm,
    #[error("{0} does not exist; create it")]
    Missing(ObjectName),
    #[error("{object} has no key {key}")]
    MissingKey { object: ObjectName, key: String },
    #[error("key {key} of {object} {source}")]
    Value { object: ObjectName, key: String, source: InvalidValue },
    #[error(transparent)]
    NotOptedIn(#[from] OptInError),
    /// Not quoted, since what cannot be decoded may be the credential.
    #[error("{0} cannot be read")]
    Undecodable(ObjectName),
    #[error("{object} cannot be read: {}", quote(source))]
    Forbidden { object: ObjectName, source: Box<kube::Error> },
}

#[derive(Debug, thiserror::Error)]
pub(super) enum TransientError {
    #[error("{object} cannot be read: {}", quote(source))]
    Kubernetes { object: ObjectName, source: Box<kube::Error> },
    #[error("{0} cannot be read: the Kubernetes API server did not answer in time")]
    Timeout(ObjectName),
}

fn quote(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => clean(&status.message, MAX_QUOTED),
        other => clean(&other.to_string(), MAX_QUOTED),
    }
}

/// Reads Secrets, and ConfigMaps with certificate authorities.
#[derive(Clone)]
pub(super) struct SecretReader {
    client: Client,
    /// The operator's own.
    namespace: String,
    given: Given,
    metrics: Arc<Metrics>,
}

impl SecretReader {
    pub(super) fn new(client: Client, namespace: String, metrics: Arc<Metrics>) -> Self {
        Self { client, namespace, given: Given::default(), metrics }
    }

    pub(super) fn with_given(self, given: Given) -> Self {
        Self { given, ..self }
    }

    /// PEM certificates.
    pub(super) async fn ca_bundle(&self, bundle: &CaBundle) -> Result<Vec<u8>, ReadError> {
        match (&bundle.config_map_ref, &bundle.secret_ref) {
            (Some(reference), None) => {
                let object = ObjectName::new::<ConfigMap>(&self.namespace, &reference.name);
                let map: ConfigMap = require_exists(&object, self.read(Read::GetConfigMap, &object).await?)?;
                let value = map.data.unwrap_or_default().remove(&reference.key);
                Ok(value.map(String::into_bytes).ok_or_else(|| missing_key(&object, &reference.key))?)
            }
            (None, Some(reference)) => {
                let object = ObjectName::new::<Secret>(&self.namespace, &reference.name);
                let secret = require_exists(&object, self.read(Read::GetSecret, &object).await?)?;
                Ok(value(&secret, &object, &reference.key)?.to_vec())
            }
            (None, None) | (Some(_), Some(_)) => Err(InvalidError::CaBundleForm.into()),
        }
    }

    pub(super) async fn credentials(&self, location: &CredentialLocation) -> Result<LoadedCredentials, ReadError> {
        let namespace = location.tenant().unwrap_or(&self.namespace);
        let object = ObjectName::new::<Secret>(namespace, location.secret_name());
        let found = self.read(Read::GetSecret, &object).await?;
        let secret = match location.tenant() {
            Some(_) => require_opt_in(&object.to_string(), found).map_err(InvalidError::from)?,
            None => require_exists(&object, found)?,
        };
        let credentials = match &location.form {
            Form::ApiToken(reference) => {
                ConnectionCredentials::ApiToken(text(&secret, &object, &reference.key, secret_value::TOKEN)?.into())
            }
            Form::Client(reference) => ConnectionCredentials::Client {
                id: text(&secret, &object, &reference.client_id_key, secret_value::CREDENTIAL)?,
                secret: text(&secret, &object, &reference.client_secret_key, secret_value::CREDENTIAL)?.into(),
            },
        };
        Ok(LoadedCredentials { expiry: expiry(&secret, &object, &credentials), secret: object, credentials })
    }

    async fn read<K>(&self, what: Read, object: &ObjectName) -> Result<Option<K>, ReadError>
    where
        K: Kept + Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug,
    {
        match self.given.read(&object.kind, &object.namespace, &object.name) {
            Ok(None) => {}
            Ok(given) => return Ok(given),
            Err(Undecodable) => return Err(InvalidError::Undecodable(object.clone()).into()),
        }
        let api: Api<Lenient<K>> = Api::namespaced(self.client.clone(), &object.namespace);
        match tokio::time::timeout(READ_TIMEOUT, api.get_opt(&object.name)).await {
            Ok(Ok(None)) => Ok(None),
            Ok(Ok(Some(Lenient(Ok(found))))) => Ok(Some(found)),
            Ok(Ok(Some(Lenient(Err(_))))) => Err(InvalidError::Undecodable(object.clone()).into()),
            Ok(Err(source)) => {
                self.metrics.read_failed(what);
                Err(failed(object.clone(), source))
            }
            Err(_) => {
                self.metrics.read_failed(what);
                Err(TransientError::Timeout(object.clone()).into())
            }
        }
    }
}

fn failed(object: ObjectName, source: kube::Error) -> ReadError {
    match &source {
        kube::Error::Api(status) if status.is_forbidden() => {
            InvalidError::Forbidden { object, source: Box::new(source) }.into()
        }
        _ => TransientError::Kubernetes { object, source: Box::new(source) }.into(),
    }
}

/// What the annotation of the Secret says, or the token itself.
fn expiry(secret: &Secret, object: &ObjectName, credentials: &ConnectionCredentials) -> Expiry {
    match secret.annotations().get(EXPIRES_AT).map(|text| text.parse::<Timestamp>()) {
        Some(Ok(at)) => Expiry::At { what: object.to_string(), at },
        Some(Err(_)) => Expiry::Unreadable(format!("annotation {EXPIRES_AT} of {object} is no time as in RFC 3339")),
        None => match credentials {
            ConnectionCredentials::ApiToken(token) => {
                token_expiry(token).map_or(Expiry::NotKnown, |at| Expiry::At { what: object.to_string(), at })
            }
            ConnectionCredentials::Client { .. } => Expiry::NotKnown,
        },
    }
}

fn text(secret: &Secret, object: &ObjectName, key: &str, most_bytes: usize) -> Result<String, InvalidError> {
    let value = value(secret, object, key)?;
    secret_value::read(value, most_bytes).map(str::to_owned).map_err(|source| InvalidError::Value {
        object: object.clone(),
        key: key.to_owned(),
        source,
    })
}

fn value<'a>(secret: &'a Secret, object: &ObjectName, key: &str) -> Result<&'a [u8], InvalidError> {
    let value = secret.data.as_ref().and_then(|data| data.get(key));
    value.map(|value| value.0.as_slice()).ok_or_else(|| missing_key(object, key))
}

fn missing_key(object: &ObjectName, key: &str) -> InvalidError {
    InvalidError::MissingKey { object: object.clone(), key: key.to_owned() }
}

fn require_exists<K>(object: &ObjectName, found: Option<K>) -> Result<K, InvalidError> {
    found.ok_or_else(|| InvalidError::Missing(object.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn object() -> ObjectName {
        ObjectName::new::<Secret>("operator", "token")
    }

    #[test]
    fn a_refused_read_is_invalid_and_any_other_failure_is_transient() {
        let read = |code| failed(object(), kube::Error::Api(Status::failure("no\nway", "X").with_code(code).boxed()));
        let forbidden =
            failed(object(), kube::Error::Api(Status::failure("no\nway", "Forbidden").with_code(403).boxed()));
        assert!(matches!(forbidden, ReadError::Invalid(InvalidError::Forbidden { .. })));
        assert_eq!(forbidden.to_string(), "Secret operator/token cannot be read: no way");
        assert!([401, 429, 500, 503].into_iter().all(|code| matches!(read(code), ReadError::Transient(_))));
    }

    #[test]
    fn a_value_that_is_no_credential_is_named_by_its_key_and_never_quoted() {
        let data = [("token".to_owned(), k8s_openapi::ByteString(b"hid\tden".to_vec()))].into();
        let secret = Secret { data: Some(data), ..Secret::default() };
        let read = |key| text(&secret, &object(), key, 100).unwrap_err().to_string();
        assert!(read("token").starts_with("key token of Secret operator/token holds a control character"));
        assert!(!read("token").contains("hid"));
        assert_eq!(read("other"), "Secret operator/token has no key other");
    }
}
