//! Reads what an `IamConnection` names: credentials and certificate authorities, in the operator's namespace, or
//! credentials in that of a tenant who consents. Nothing is kept, so whatever is replaced is taken up.

use super::{ConnectionHealth, Expiry};
use crate::cluster::lenient::Lenient;
use crate::crd::{CaBundle, ClientCredentialsRef, EXPIRES_AT, IamConnection, KeyRef};
use crate::decide::Blocked;
use crate::iam::{ApiCredentials, CredentialsKind, token_expiry};
use crate::reason::Reason;
use crate::secret;
use crate::secret_value;
use crate::text::clean;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client, ResourceExt};
use std::fmt;
use std::time::Duration;

/// How long to look for a Secret or ConfigMap before giving up.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes of a message of Kubernetes that are quoted.
const QUOTED: usize = 400;

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

    /// The namespace of the tenant whose they are.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Which kind they are.
    pub fn kind(&self) -> CredentialsKind {
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
    pub fn health(self, reason: Reason) -> ConnectionHealth {
        match self {
            Self::Wrong(message) => ConnectionHealth::Wrong(Blocked::new(reason, message)),
            Self::Passing(message) => ConnectionHealth::Delayed(message),
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
                let secret = there(&what, bounded(&what, api.get_opt(&reference.name)).await?)?;
                value(&secret, &what, &reference.key).map(<[u8]>::to_vec)
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
            Some(_) => secret::consented(&what, found).map_err(Unread::Wrong)?,
            None => there(&what, found)?,
        };
        let credentials = match &kept.form {
            Form::ApiToken(reference) => {
                ApiCredentials::ApiToken(text(&secret, &what, &reference.key, secret_value::TOKEN)?.into())
            }
            Form::Client(reference) => ApiCredentials::Client {
                id: text(&secret, &what, &reference.client_id_key, secret_value::CREDENTIAL)?,
                secret: text(&secret, &what, &reference.client_secret_key, secret_value::CREDENTIAL)?.into(),
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

/// A credential, refused with the name of its Secret and key where it cannot be one.
fn text(secret: &Secret, what: &str, key: &str, most_bytes: usize) -> Result<String, Unread> {
    let value = value(secret, what, key)?;
    let text = secret_value::read(value, most_bytes);
    text.map(str::to_owned).map_err(|error| Unread::Wrong(format!("key {key} of {what} {error}")))
}

fn value<'a>(secret: &'a Secret, what: &str, key: &str) -> Result<&'a [u8], Unread> {
    let value = secret.data.as_ref().and_then(|data| data.get(key));
    value.map(|value| value.0.as_slice()).ok_or_else(|| lacks(what, key))
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
            Err(Unread::Wrong(format!("{what} cannot be read: {}", clean(&status.message, QUOTED))))
        }
        Ok(Err(error)) => Err(Unread::Passing(format!("{what} cannot be read: {}", clean(&error.to_string(), QUOTED)))),
        Err(_) => {
            Err(Unread::Passing(format!("{what} cannot be read: the Kubernetes API server did not answer in time")))
        }
    }
}
