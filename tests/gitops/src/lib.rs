//! Resources in every state that the operator can produce, and how tools of GitOps read them: Argo CD by Lua, Flux and
//! others by the rules of kstatus.

// Only tests use this, and a test may panic: that is how it fails.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod argocd;
pub mod kstatus;
pub mod states;

use std::path::{Path, PathBuf};

/// Where the manifests for GitOps are.
pub fn kit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/gitops")
}

/// A file of the kit.
pub fn read(file: &str) -> String {
    std::fs::read_to_string(kit().join(file)).unwrap_or_else(|error| panic!("deploy/gitops/{file}: {error}"))
}
