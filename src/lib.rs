//! A Kubernetes operator for organization OAuth apps.

pub mod backoff;
pub mod cli;
pub mod cluster;
pub mod connections;
pub mod controller;
pub mod crd;
pub mod credentials;
pub mod decide;
pub mod definition;
pub mod duration;
pub mod grants;
pub mod reason;
pub mod reconcile;
pub mod remote;
pub mod server;
pub mod status;
