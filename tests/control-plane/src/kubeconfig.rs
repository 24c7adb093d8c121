//! Kubeconfigs for the users of a control plane, and clients from them.
//! They carry their certificates and tokens inline, so one file is all that a program needs.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::Error;
use crate::certificates::Identity;

/// A client as the user of this kubeconfig; it belongs to the runtime in which it is made.
///
/// # Errors
/// When the kubeconfig has no usable context.
pub async fn client(kubeconfig: &Kubeconfig) -> Result<kube::Client, Error> {
    Ok(kube::Client::try_from(config(kubeconfig).await?)?)
}

/// The configuration of a client as the user of this kubeconfig.
pub(crate) async fn config(kubeconfig: &Kubeconfig) -> Result<kube::Config, Error> {
    Ok(kube::Config::from_custom_kubeconfig(kubeconfig.clone(), &KubeConfigOptions::default()).await?)
}

/// Where the apiserver is and whose certificate it shows.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub server: String,
    pub authority: String,
}

impl Endpoint {
    /// For a user with a client certificate.
    pub(crate) fn with_certificate(&self, identity: &Identity) -> Result<Kubeconfig, Error> {
        self.kubeconfig(
            "default",
            &json!({
                "client-certificate-data": STANDARD.encode(&identity.certificate),
                "client-key-data": STANDARD.encode(&identity.key),
            }),
        )
    }

    /// For a user with a bearer token, at home in a namespace.
    pub(crate) fn with_token(&self, namespace: &str, token: &str) -> Result<Kubeconfig, Error> {
        self.kubeconfig(namespace, &json!({ "token": token }))
    }

    fn kubeconfig(&self, namespace: &str, user: &Value) -> Result<Kubeconfig, Error> {
        let cluster = json!({
            "server": self.server,
            "certificate-authority-data": STANDARD.encode(&self.authority),
        });
        let document = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "control-plane", "cluster": cluster }],
            "users": [{ "name": "user", "user": user }],
            "contexts": [{
                "name": "control-plane",
                "context": { "cluster": "control-plane", "user": "user", "namespace": namespace },
            }],
            "current-context": "control-plane",
        });
        // JSON is YAML too.
        Ok(Kubeconfig::from_yaml(&document.to_string())?)
    }
}

/// Writes a kubeconfig as JSON, which every reader of kubeconfigs takes for the YAML that it is.
pub(crate) fn write(kubeconfig: &Kubeconfig, path: &Path) -> Result<(), Error> {
    let what = || format!("write {}", path.display());
    let text = serde_json::to_vec_pretty(kubeconfig).map_err(|error| Error::io(what())(error.into()))?;
    write_private(path, &text)
}

/// Writes a file that only this user can read.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    let mut options = std::fs::File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content)).map_err(Error::io(format!("write {}", path.display())))
}
