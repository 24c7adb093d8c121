//! A Kubernetes operator for organization OAuth apps.

pub mod crd;
pub mod remote;
