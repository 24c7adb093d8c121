//! What ships, on a control plane: the CRDs, the manifests of `deploy`, and, in the place of a kubelet, the process of the Deployment.
//! There are no nodes here, so the operator runs with the pod's arguments, its environment and its ServiceAccount.

use std::path::{Path, PathBuf};

use control_plane::ControlPlane;
use serde_json::Value;

use crate::{Error, Operator, operator};

/// The namespace, ServiceAccount, Deployment and Lease of the shipped manifests.
pub const OPERATOR: &str = "oauth-app-operator";
/// The user that the shipped ServiceAccount is to the API server.
pub const OPERATOR_USER: &str = "system:serviceaccount:oauth-app-operator:oauth-app-operator";

/// Where the shipped files are.
#[must_use]
pub fn repository() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own)
}

/// Installs the CRDs: they are served when this returns, and the garbage collector knows them.
///
/// # Errors
/// When they are refused.
pub fn install_crds(cluster: &ControlPlane) -> Result<(), Error> {
    Ok(cluster.install_crds(&repository().join("crds"))?)
}

/// Installs what `kubectl apply -k deploy` does.
///
/// # Errors
/// When something is refused.
pub fn install(cluster: &ControlPlane) -> Result<(), Error> {
    install_crds(cluster)?;
    cluster.kubectl(&["apply", "-k", &repository().join("deploy").to_string_lossy()])?;
    Ok(())
}

/// Writes a kubeconfig of the shipped ServiceAccount, with the rights that ship.
///
/// # Errors
/// When there is no such ServiceAccount.
pub async fn operator_kubeconfig(cluster: &ControlPlane, name: &str) -> Result<PathBuf, Error> {
    let account = cluster.service_account(OPERATOR, OPERATOR).await?;
    Ok(cluster.write_kubeconfig(name, &account)?)
}

/// How the Deployment runs the operator.
pub struct Deployment {
    /// How many pods it would have.
    pub replicas: usize,
    /// Arguments of the container.
    pub arguments: Vec<String>,
    /// Its variables, each as in the manifest.
    environment: Vec<Value>,
    service_account: String,
}

impl Deployment {
    /// The installed one, if there is one.
    ///
    /// # Errors
    /// When `kubectl` fails, or it is none that can be run.
    pub fn read(cluster: &ControlPlane) -> Result<Option<Self>, Error> {
        let place = ["-n", OPERATOR, "deployment", OPERATOR];
        if !cluster.exists(&place)? {
            return Ok(None);
        }
        Self::parse(&cluster.get(&place)?).ok_or(Error::Deployment(OPERATOR)).map(Some)
    }

    fn parse(deployment: &Value) -> Option<Self> {
        let pod = &deployment["spec"]["template"]["spec"];
        Some(Self {
            replicas: deployment["spec"]["replicas"].as_u64()?.try_into().ok()?,
            arguments: serde_json::from_value(pod["containers"][0]["args"].clone()).ok()?,
            environment: pod["containers"][0]["env"].as_array().cloned().unwrap_or_default(),
            service_account: pod["serviceAccountName"].as_str()?.to_owned(),
        })
    }

    /// One of its replicas, not yet started; its log and its kubeconfig have this name.
    ///
    /// # Errors
    /// When its ServiceAccount does not exist.
    pub async fn replica(&self, cluster: &ControlPlane, program: &Path, name: &str) -> Result<Operator, Error> {
        let account = cluster.service_account(OPERATOR, &self.service_account).await?;
        let mut command = operator::command(program, &cluster.write_kubeconfig(name, &account)?);
        command.args(&self.arguments);
        let containerfile = std::fs::read_to_string(repository().join("Containerfile"))?;
        command.envs(image_environment(&containerfile));
        for variable in &self.environment {
            let value = value(cluster, variable)?;
            command.envs(variable["name"].as_str().zip(value));
        }
        Ok(Operator::new(command, cluster.directory().join(format!("{name}.log"))))
    }
}

/// The value of a variable, as a kubelet makes it: from a key of a Secret, or a text with the address of the API server.
fn value(cluster: &ControlPlane, variable: &Value) -> Result<Option<String>, Error> {
    let reference = &variable["valueFrom"]["secretKeyRef"];
    if let (Some(name), Some(key)) = (reference["name"].as_str(), reference["key"].as_str()) {
        let path = format!("-o=go-template={{{{with index .data {key:?}}}}}{{{{base64decode .}}}}{{{{end}}}}");
        let value = cluster.kubectl(&["-n", OPERATOR, "get", "secret", name, &path])?;
        return Ok(Some(value).filter(|value| !value.is_empty()));
    }
    let server = cluster.server();
    let address = server.trim_start_matches("https://").rsplit_once(':').map_or(server, |(host, _)| host);
    Ok(variable["value"].as_str().map(|text| text.replace("$(KUBERNETES_SERVICE_HOST)", address)))
}

/// The environment that the image sets.
fn image_environment(containerfile: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = containerfile.lines().filter_map(|line| line.strip_prefix("ENV "));
    lines.flat_map(str::split_whitespace).filter_map(|variable| variable.split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_runs_in_the_environment_of_the_image() {
        let set: Vec<_> = image_environment(include_str!("../../../Containerfile")).collect();
        assert!(set.contains(&("MALLOC_ARENA_MAX", "1")), "{set:?}");
    }
}
