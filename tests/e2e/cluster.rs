//! The control plane that all tests of this binary share, with what `deploy/` holds installed once.

use control_plane::ControlPlane;
use std::sync::{Arc, LazyLock};
pub(crate) use test_environment::{OPERATOR as OPERATOR_NAMESPACE, OPERATOR_USER, repository};

static INSTALLED: LazyLock<()> =
    LazyLock::new(|| test_environment::install(ControlPlane::shared()).expect("what ships is accepted"));

/// The control plane, once everything is installed.
pub(crate) fn plane() -> &'static Arc<ControlPlane> {
    LazyLock::force(&INSTALLED);
    ControlPlane::shared()
}
