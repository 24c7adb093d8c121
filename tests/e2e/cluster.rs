//! The control plane that all tests of this binary share, with what `deploy/` holds installed once.

use control_plane::ControlPlane;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The namespace of the shipped manifests.
pub const OPERATOR_NAMESPACE: &str = "oauth-app-operator";
/// The user that the shipped ServiceAccount is to the API server.
pub const OPERATOR_USER: &str = "system:serviceaccount:oauth-app-operator:oauth-app-operator";

static INSTALLED: LazyLock<()> = LazyLock::new(|| {
    let plane = ControlPlane::shared();
    for file in ["iamconnections.yaml", "orgoauthapps.yaml"] {
        plane.install_crds(&repository().join("crds").join(file)).expect("the definitions are accepted");
    }
    let deploy = repository().join("deploy");
    plane.kubectl(&["apply", "-k", &deploy.to_string_lossy()]).expect("the manifests are accepted");
});

/// Where the shipped files are.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The control plane, once everything is installed.
pub fn plane() -> &'static ControlPlane {
    LazyLock::force(&INSTALLED);
    ControlPlane::shared()
}
