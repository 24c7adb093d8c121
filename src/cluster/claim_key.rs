//! The Secret in the operator's namespace that holds the key with which it signs claims: read at the start, created at the
//! first one. Further keys in it are those from before a rotation, which still verify.

use crate::claim::{ClaimKey, KeyTooShort, MIN_KEY_BYTES};
use crate::crd::FIELD_MANAGER;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};
use std::collections::BTreeMap;

/// The name of the Secret.
pub(crate) const NAME: &str = "oauth-app-operator-claim-key";
/// The key in its data that signs.
const CURRENT: &str = "current";

/// Why there is no usable key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// Kubernetes refused a request, or did not answer.
    #[error("Secret {namespace}/{NAME}: {source}")]
    Kubernetes { namespace: String, source: Box<kube::Error> },
    /// The Secret has no key that signs.
    #[error("Secret {namespace}/{NAME} has no key {CURRENT}")]
    Missing { namespace: String },
    /// A key in the Secret is too short.
    #[error("Secret {namespace}/{NAME}: {source}")]
    TooShort { namespace: String, source: KeyTooShort },
    /// The system has no randomness for a new key.
    #[error("no randomness for a claim key: {0}")]
    Randomness(#[from] getrandom::Error),
}

/// The key as it is now, if there is one.
pub(crate) async fn find(client: &Client, namespace: &str) -> Result<Option<ClaimKey>, LoadError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let failed = |source| LoadError::Kubernetes { namespace: namespace.to_owned(), source: Box::new(source) };
    let secret = api.get_opt(NAME).await.map_err(failed)?;
    secret.map(|secret| read(&secret, namespace)).transpose()
}

/// The key as it is now; makes one where there is none.
pub(crate) async fn load(client: &Client, namespace: &str) -> Result<ClaimKey, LoadError> {
    if let Some(key) = find(client, namespace).await? {
        return Ok(key);
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let failed = |source| LoadError::Kubernetes { namespace: namespace.to_owned(), source: Box::new(source) };
    let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    match api.create(&params, &new()?).await {
        Ok(secret) => {
            tracing::info!(namespace, name = NAME, "created the key that signs claims; include it in backups");
            read(&secret, namespace)
        }
        // Another replica was first.
        Err(kube::Error::Api(status)) if status.code == 409 => read(&api.get(NAME).await.map_err(failed)?, namespace),
        Err(error) => Err(failed(error)),
    }
}

fn new() -> Result<Secret, getrandom::Error> {
    let mut key = vec![0; MIN_KEY_BYTES];
    getrandom::fill(&mut key)?;
    let mut secret = Secret { type_: Some("Opaque".into()), ..Secret::default() };
    secret.metadata.name = Some(NAME.into());
    secret.metadata.labels = Some([("app.kubernetes.io/managed-by".to_owned(), FIELD_MANAGER.to_owned())].into());
    secret.data = Some([(CURRENT.to_owned(), ByteString(key))].into());
    Ok(secret)
}

fn read(secret: &Secret, namespace: &str) -> Result<ClaimKey, LoadError> {
    let empty = BTreeMap::new();
    let data = secret.data.as_ref().unwrap_or(&empty);
    let current = data.get(CURRENT).ok_or_else(|| LoadError::Missing { namespace: namespace.to_owned() })?;
    let former = data.iter().filter(|(name, _)| *name != CURRENT).map(|(_, key)| key.0.as_slice());
    ClaimKey::new(&current.0, former).map_err(|source| LoadError::TooShort { namespace: namespace.to_owned(), source })
}
