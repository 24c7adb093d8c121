//! One image for one architecture: its files and how a container engine runs them.
//! The format is that of the OCI image specification 1.1.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Tree;

/// Where the program is.
pub const PROGRAM: &str = "/usr/local/bin/oauth-app-operator";
/// User and group: the `nonroot` of the distroless images.
pub const USER: u32 = 65532;
/// One malloc arena and low thresholds return the memory of a burst to the system.
pub const ENVIRONMENT: [&str; 3] =
    ["MALLOC_ARENA_MAX=1", "MALLOC_MMAP_THRESHOLD_=131072", "MALLOC_TRIM_THRESHOLD_=131072"];

/// An image before it is packed.
#[derive(Clone, Debug)]
pub struct Image {
    /// As OCI names it, such as `amd64`.
    pub architecture: String,
    /// The files.
    pub root: Tree,
    /// The time of all files, in Unix seconds.
    pub time: u64,
    /// The same time, as RFC 3339.
    pub created: String,
    /// Labels, such as `org.opencontainers.image.version`; annotations of the manifest too.
    pub labels: BTreeMap<String, String>,
}

impl Image {
    /// The architecture of this machine, as OCI names it.
    #[must_use]
    pub fn architecture() -> &'static str {
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
    }

    /// The configuration of the image, whose only layer has this digest before it is compressed.
    pub(crate) fn config(&self, layer: &str) -> Value {
        json!({
            "architecture": self.architecture,
            "os": "linux",
            "created": self.created,
            "config": {
                "User": format!("{USER}:{USER}"),
                "Env": ENVIRONMENT,
                "Entrypoint": [PROGRAM],
                "WorkingDir": "/",
                "Labels": self.labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [layer]},
            "history": [{"created": self.created, "created_by": "cargo xtask release"}],
        })
    }
}
