//! The control plane that all tests of this binary share, with the operator's resources installed once.

use control_plane::ControlPlane;
use std::path::Path;
use std::sync::LazyLock;

static INSTALLED: LazyLock<()> = LazyLock::new(|| {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    for file in ["iamconnections.yaml", "orgoauthapps.yaml"] {
        ControlPlane::shared().install_crds(&crds.join(file)).expect("the definitions are accepted");
    }
});

/// Returns once both kinds are served.
pub fn ready() {
    LazyLock::force(&INSTALLED);
}
