//! Tests on a real control plane: what Kubernetes, the shipped manifests and the operator's binary do together.

// A test may panic: that is how it fails.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod admission;
mod alerts;
mod allow;
mod availability;
mod bad_items;
mod cluster;
mod commands;
mod consumers;
mod deletion;
mod env;
mod faults;
mod generated;
mod gitops;
mod ha;
mod hostile_load;
mod hostile_tenant;
mod hostile_text;
mod identity_broker;
mod kill;
mod lag;
mod life;
mod management;
mod metrics;
mod network;
mod obstacles;
mod organizations;
mod process;
mod promtool;
mod proof;
mod proxy;
mod refusals;
mod restart;
mod rotation;
mod schema;
mod scrape;
mod secret_watch;
mod short_manifests;
mod state_metrics;
mod table;
mod tenancy;
mod traces;
