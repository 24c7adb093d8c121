//! The `IamConnection`s of the cluster and the HTTP services behind them.
//! A service lives as long as its connection's spec, with its access tokens and its gate; credentials are read when asked for.

use crate::crd::{CaBundle, ClientCredentialsRef, IamConnection, KeyRef};
use crate::decide::Blocked;
use crate::duration;
use crate::reason::Reason;
use crate::reconcile::Connections;
use crate::remote::http::HttpIam;
use crate::remote::{ApiCredentials, LoadCredentials, Settings};
use futures::FutureExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, ResourceExt};
use secrecy::SecretString;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long to look for a Secret or ConfigMap before giving up.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections that a watch keeps current.
pub struct ClusterConnections {
    client: Client,
    namespace: String,
    store: Store<IamConnection>,
    open: Mutex<HashMap<String, Opened>>,
}

/// A service, and the version of the connection that it was made from.
struct Opened {
    version: (Option<String>, Option<i64>),
    iam: Arc<HttpIam>,
}

impl ClusterConnections {
    /// Secrets and ConfigMaps that connections name are read in `namespace`, the operator's own.
    pub fn new(client: Client, namespace: String, store: Store<IamConnection>) -> Self {
        Self { client, namespace, store, open: Mutex::new(HashMap::new()) }
    }

    fn opened(&self, connection: &IamConnection) -> Option<Arc<HttpIam>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&connection.name_any()).filter(|opened| opened.version == version(connection)).map(|o| o.iam.clone())
    }

    async fn build(&self, connection: &IamConnection) -> Result<HttpIam, String> {
        let spec = &connection.spec;
        let endpoint = spec.endpoint.parse().map_err(|error| format!("spec.endpoint: {error}"))?;
        let timeout = duration::parse(&spec.limits.timeout).map_err(|error| format!("spec.limits.timeout: {error}"))?;
        let ca_pem = match &spec.ca_bundle {
            Some(bundle) => Some(self.ca(bundle).await.map_err(|error| format!("spec.caBundle: {error}"))?),
            None => None,
        };
        let max_in_flight = spec.limits.max_in_flight.into();
        let requests_per_second = spec.limits.requests_per_second.and_then(NonZeroU32::new);
        let settings = Settings { api: spec.api, endpoint, ca_pem, max_in_flight, requests_per_second, timeout };
        HttpIam::new(settings, self.credentials(connection)?)
    }

    async fn ca(&self, bundle: &CaBundle) -> Result<Vec<u8>, String> {
        match (&bundle.config_map_ref, &bundle.secret_ref) {
            (Some(reference), None) => self.config_map_value(reference).await,
            (None, Some(reference)) => {
                secret_value(&self.client, &self.namespace, &reference.name, &reference.key).await
            }
            (None, None) | (Some(_), Some(_)) => Err("needs exactly one of configMapRef and secretRef".into()),
        }
    }

    async fn config_map_value(&self, reference: &KeyRef) -> Result<Vec<u8>, String> {
        let what = format!("ConfigMap {}/{}", self.namespace, reference.name);
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let map = bounded(&what, api.get_opt(&reference.name)).await?;
        let value = map.data.unwrap_or_default().remove(&reference.key);
        value.map(String::into_bytes).ok_or_else(|| format!("{what} has no key {}", reference.key))
    }

    /// Reads the Secret anew whenever a token is needed, so that a replaced credential is taken up by itself.
    fn credentials(&self, connection: &IamConnection) -> Result<LoadCredentials, String> {
        let (client, namespace) = (self.client.clone(), self.namespace.clone());
        let credentials = &connection.spec.credentials;
        match (credentials.api_token.clone(), credentials.client_credentials.clone()) {
            (Some(token), None) => {
                Ok(Arc::new(move || api_token(client.clone(), namespace.clone(), token.secret_ref.clone()).boxed()))
            }
            (None, Some(pair)) => {
                Ok(Arc::new(move || client_pair(client.clone(), namespace.clone(), pair.secret_ref.clone()).boxed()))
            }
            (None, None) | (Some(_), Some(_)) => {
                Err("spec.credentials needs exactly one of apiToken and clientCredentials".into())
            }
        }
    }
}

impl Connections for ClusterConnections {
    type Iam = HttpIam;

    fn find(&self, name: &str) -> Option<Arc<IamConnection>> {
        self.store.get(&ObjectRef::new(name))
    }

    async fn open(&self, connection: &IamConnection) -> Result<Arc<HttpIam>, Blocked> {
        if let Some(iam) = self.opened(connection) {
            return Ok(iam);
        }
        let name = connection.name_any();
        let built = self.build(connection).await.map_err(|error| {
            Blocked::new(Reason::ConnectionInvalid, format!("IamConnection {name} cannot be used: {error}"))
        })?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = Opened { version: version(connection), iam: Arc::new(built) };
        // Of several that were built at once one stays, so that all share its tokens and its gate.
        let kept = open.entry(name).and_modify(|kept| {
            if kept.version != opened.version {
                *kept = Opened { version: opened.version.clone(), iam: opened.iam.clone() };
            }
        });
        Ok(kept.or_insert(Opened { version: opened.version, iam: opened.iam }).iam.clone())
    }
}

fn version(connection: &IamConnection) -> (Option<String>, Option<i64>) {
    (connection.uid(), connection.metadata.generation)
}

async fn api_token(client: Client, namespace: String, reference: KeyRef) -> Result<ApiCredentials, String> {
    let token = secret_text(&client, &namespace, &reference.name, &reference.key).await?;
    Ok(ApiCredentials::ApiToken(token.into()))
}

async fn client_pair(
    client: Client,
    namespace: String,
    reference: ClientCredentialsRef,
) -> Result<ApiCredentials, String> {
    let id = secret_text(&client, &namespace, &reference.name, &reference.client_id_key).await?;
    let secret = secret_text(&client, &namespace, &reference.name, &reference.client_secret_key).await?;
    Ok(ApiCredentials::Client { id, secret: SecretString::from(secret) })
}

/// A value as text, without the line break that editors and `echo` leave at its end.
async fn secret_text(client: &Client, namespace: &str, name: &str, key: &str) -> Result<String, String> {
    let bytes = secret_value(client, namespace, name, key).await?;
    let text = String::from_utf8(bytes).map_err(|_| format!("key {key} of Secret {namespace}/{name} is not text"))?;
    match text.trim() {
        "" => Err(format!("key {key} of Secret {namespace}/{name} is empty")),
        text => Ok(text.to_owned()),
    }
}

async fn secret_value(client: &Client, namespace: &str, name: &str, key: &str) -> Result<Vec<u8>, String> {
    let what = format!("Secret {namespace}/{name}");
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = bounded(&what, api.get_opt(name)).await?;
    let value = secret.data.unwrap_or_default().remove(key);
    value.map(|value| value.0).ok_or_else(|| format!("{what} has no key {key}"))
}

async fn bounded<T>(what: &str, read: impl Future<Output = kube::Result<Option<T>>>) -> Result<T, String> {
    match tokio::time::timeout(READ_TIMEOUT, read).await {
        Ok(Ok(Some(object))) => Ok(object),
        Ok(Ok(None)) => Err(format!("{what} does not exist")),
        Ok(Err(error)) => Err(format!("{what} cannot be read: {error}")),
        Err(_) => Err(format!("{what} cannot be read: the Kubernetes API server did not answer in time")),
    }
}
