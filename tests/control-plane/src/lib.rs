//! A real Kubernetes control plane (etcd, kube-apiserver, kube-controller-manager) for tests, demo and benchmark.
//! [`ControlPlane`] starts one within seconds and gives access to it; [`Supervised`] and [`Scratch`] are the
//! processes and directories that vanish with the process that made them, however that one ends.
//!
//! - [`binaries`] finds, downloads or builds the programs.
//! - [`ControlPlane::shared`] is the one for the tests of a test binary, each in a namespace of its own.
//! - [`ControlPlane::audit`] reads which calls reached the apiserver.

// A test fails by panicking.
#![cfg_attr(test, allow(clippy::expect_used))]

pub mod audit;
pub mod binaries;
mod certificates;
mod error;
mod kubeconfig;
mod kubectl;
mod plane;
mod readiness;
mod scratch;
mod servers;
mod supervised;

pub use audit::AuditRecord;
pub use error::Error;
pub use kubeconfig::client;
pub use plane::ControlPlane;
pub use scratch::Scratch;
pub use supervised::Supervised;
