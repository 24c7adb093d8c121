//! Reads what an `IamConnection` names: credentials and certificate authorities, in the operator's namespace, or
//! credentials in that of a tenant who consents. Nothing is kept, so whatever is replaced is taken up.

use crate::cluster::lenient::Lenient;
use crate::crd::{CaBundle, ClientCredentialsRef, EXPIRES_AT, IamConnection, KeyRef};
use crate::credentials;
use crate::decide::Blocked;
use crate::reason::Reason;
use crate::remote::{ApiCredentials, token_expiry};
use crate::status::{Expiry, Proven};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client, ResourceExt};
use secrecy::SecretString;
use std::fmt;
use std::time::Duration;

/// How long to look for a Secret or ConfigMap before giving up.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Where connections find what they name.
#[derive(Clone)]
pub struct Sources {
    client: Client,
    namespace: String,
}

/// Where the credentials of one identity are kept.
#[derive(Clone)]
pub struct Kept {
    /// The namespace of the tenant whose they are; they are the operator's own when there is none.
    tenant: Option<String>,
    form: Form,
}

#[derive(Clone)]
enum Form {
    ApiToken(KeyRef),
    Client(ClientCredentialsRef),
}

impl Kept {
    /// As the connection says.
    pub fn of(connection: &IamConnection, tenant: Option<String>) -> Result<Self, String> {
        let credentials = &connection.spec.credentials;
        let form = match (credentials.api_token.clone(), credentials.client_credentials.clone()) {
            (Some(token), None) => Form::ApiToken(token.secret_ref),
            (None, Some(pair)) => Form::Client(pair.secret_ref),
            (None, None) | (Some(_), Some(_)) => {
                return Err("spec.credentials needs exactly one of apiToken and clientCredentials".into());
            }
        };
        Ok(Self { tenant, form })
    }

    fn secret_name(&self) -> &str {
        match &self.form {
            Form::ApiToken(reference) => &reference.name,
            Form::Client(reference) => &reference.name,
        }
    }
}

/// Credentials, and what is known of their end.
pub struct Loaded {
    /// The Secret that holds them.
    pub what: String,
    /// The credentials.
    pub credentials: ApiCredentials,
    /// When they end.
    pub expiry: Expiry,
}

/// Why something could not be read, as a sentence without a value.
pub enum Unread {
    /// It is missing or cannot be used: a person must mend it.
    Wrong(String),
    /// Kubernetes did not answer.
    Passing(String),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(message) | Self::Passing(message) => f.write_str(message),
        }
    }
}

impl Unread {
    /// What that says about the connection.
    pub fn proven(self, reason: Reason) -> Proven {
        match self {
            Self::Wrong(message) => Proven::Wrong(Blocked::new(reason, message)),
            Self::Passing(message) => Proven::Delayed(message),
        }
    }
}

impl Sources {
    /// `namespace` is the operator's own.
    pub fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    /// PEM certificates.
    pub async fn ca(&self, bundle: &CaBundle) -> Result<Vec<u8>, Unread> {
        match (&bundle.config_map_ref, &bundle.secret_ref) {
            (Some(reference), None) => self.config_map_value(reference).await,
            (None, Some(reference)) => {
                let what = format!("Secret {}/{}", self.namespace, reference.name);
                let api: Api<Lenient<Secret>> = Api::namespaced(self.client.clone(), &self.namespace);
                value(&there(&what, bounded(&what, api.get_opt(&reference.name)).await?)?, &what, &reference.key)
            }
            (None, None) | (Some(_), Some(_)) => {
                Err(Unread::Wrong("spec.caBundle needs exactly one of configMapRef and secretRef".into()))
            }
        }
    }

    async fn config_map_value(&self, reference: &KeyRef) -> Result<Vec<u8>, Unread> {
        let what = format!("ConfigMap {}/{}", self.namespace, reference.name);
        let api: Api<Lenient<ConfigMap>> = Api::namespaced(self.client.clone(), &self.namespace);
        let map = there(&what, bounded(&what, api.get_opt(&reference.name)).await?)?;
        let value = map.data.unwrap_or_default().remove(&reference.key);
        value.map(String::into_bytes).ok_or_else(|| lacks(&what, &reference.key))
    }

    /// The credentials as they are now.
    pub async fn credentials(&self, kept: &Kept) -> Result<Loaded, Unread> {
        let namespace = kept.tenant.as_deref().unwrap_or(&self.namespace);
        let what = format!("Secret {namespace}/{}", kept.secret_name());
        let api: Api<Lenient<Secret>> = Api::namespaced(self.client.clone(), namespace);
        let found = bounded(&what, api.get_opt(kept.secret_name())).await?;
        let secret = match kept.tenant {
            Some(_) => credentials::consented(&what, found).map_err(Unread::Wrong)?,
            None => there(&what, found)?,
        };
        let credentials = match &kept.form {
            Form::ApiToken(reference) => ApiCredentials::ApiToken(text(&secret, &what, &reference.key)?.into()),
            Form::Client(reference) => ApiCredentials::Client {
                id: text(&secret, &what, &reference.client_id_key)?,
                secret: SecretString::from(text(&secret, &what, &reference.client_secret_key)?),
            },
        };
        Ok(Loaded { expiry: expiry(&secret, &what, &credentials), what, credentials })
    }
}

/// What the owner of the Secret says, or the token itself.
fn expiry(secret: &Secret, what: &str, credentials: &ApiCredentials) -> Expiry {
    match secret.annotations().get(EXPIRES_AT).map(|text| text.parse::<Timestamp>()) {
        Some(Ok(at)) => Expiry::At { what: what.to_owned(), at },
        Some(Err(_)) => Expiry::Unreadable(format!("annotation {EXPIRES_AT} of {what} is no time as in RFC 3339")),
        None => match credentials {
            ApiCredentials::ApiToken(token) => {
                token_expiry(token).map_or(Expiry::NotKnown, |at| Expiry::At { what: what.to_owned(), at })
            }
            ApiCredentials::Client { .. } => Expiry::NotKnown,
        },
    }
}

/// A value as text, without the line break that editors and `echo` leave at its end.
fn text(secret: &Secret, what: &str, key: &str) -> Result<String, Unread> {
    let bytes = value(secret, what, key)?;
    let text = String::from_utf8(bytes).map_err(|_| Unread::Wrong(format!("key {key} of {what} is not text")))?;
    match text.trim() {
        "" => Err(Unread::Wrong(format!("key {key} of {what} is empty"))),
        text => Ok(text.to_owned()),
    }
}

fn value(secret: &Secret, what: &str, key: &str) -> Result<Vec<u8>, Unread> {
    let value = secret.data.as_ref().and_then(|data| data.get(key));
    value.map(|value| value.0.clone()).ok_or_else(|| lacks(what, key))
}

fn lacks(what: &str, key: &str) -> Unread {
    Unread::Wrong(format!("{what} has no key {key}"))
}

fn there<T>(what: &str, found: Option<T>) -> Result<T, Unread> {
    found.ok_or_else(|| Unread::Wrong(format!("{what} does not exist: create it")))
}

async fn bounded<T>(
    what: &str,
    read: impl Future<Output = kube::Result<Option<Lenient<T>>>>,
) -> Result<Option<T>, Unread> {
    match tokio::time::timeout(READ_TIMEOUT, read).await {
        Ok(Ok(None)) => Ok(None),
        Ok(Ok(Some(Lenient(Ok(found))))) => Ok(Some(found)),
        // Not quoted: what cannot be read may be the value.
        Ok(Ok(Some(Lenient(Err(_))))) => Err(Unread::Wrong(format!("{what} cannot be read"))),
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
            Err(Unread::Wrong(format!("{what} cannot be read: {}", status.message)))
        }
        Ok(Err(error)) => Err(Unread::Passing(format!("{what} cannot be read: {error}"))),
        Err(_) => {
            Err(Unread::Passing(format!("{what} cannot be read: the Kubernetes API server did not answer in time")))
        }
    }
}
