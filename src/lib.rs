//! A Kubernetes operator that turns `OrgOAuthApp` resources into OAuth apps of VMware Cloud Services, VMware Cloud
//! Partner Navigator or the VCF Identity Broker. A reconciliation observes, decides (pure), performs and reports.
//!
//! What is reconciled when:
//! - [`controller`]: the two controllers, their watches, and the limits of concurrent reconciliations
//! - [`backoff`]: the delay until the next reconciliation; its bounds are in [`reason::Pace`]
//!
//! One reconciliation:
//! - [`reconcile`]: reconciles one resource; the only place with effects
//! - [`decide`]: the next step, from what was observed; the only place with policy
//! - [`preview`]: the same without any effect
//! - [`outcome`]: how a reconciliation ends; [`status`] and [`reason`]: what users and tools read of it
//! - [`grants`]: which resources may use a connection
//! - [`claim`]: the signed record that an app belongs to a resource
//! - [`secret`]: the Secret, and the check before each read and write of it; [`template`]: its further keys
//! - [`consumers`]: pods that still hold an earlier client secret, and restarts of workloads
//!
//! The ports, and what implements them:
//! - [`iam`]: an IAM API; [`iam::http`] is its HTTP client, with rate limiter and caches, and [`iam::flavor`] has one file for each
//!   vendor API
//! - [`cluster`]: Kubernetes; [`cluster::kubernetes`] implements it
//! - [`connections`]: the `IamConnection`s; [`connections::watched`] implements it
//!
//! Types and tools that all of them use:
//! - [`crd`]: the two resources: schema, defaults, limits, CEL rules
//! - [`secret_value`] and [`text`]: credentials and texts from outside, within limits
//! - [`given`]: Secrets and ConfigMaps of manifests, for a plan
//! - [`proxy`]: the proxy of a request
//! - [`fair_queue`]: a semaphore that serves namespaces in turn; [`keyed`]: maps that drop the keys that are no longer used
//!
//! The process:
//! - [`cli`] and [`commands`]: the command line, and what people run
//! - [`run`], [`server`] and [`readiness`]: start and shutdown, `/healthz`, `/readyz` and `/metrics`
//! - [`lease`]: leader election; [`lease::guard`]: stops all requests when the leader could not renew its Lease in time
//! - [`metrics`], [`log`], [`traces`] and [`panics`]: metrics, log lines, traces, and where a panic occurred
//!
//! A tag such as `[csp-struct]` names a source of the vendor's documentation, and `(undocumented)` an assumption without one:
//! `docs/api.md` lists them.

#![allow(rustdoc::private_intra_doc_links, reason = "the map above is for readers of the source")]

mod backoff;
pub mod claim;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod connections;
pub mod consumers;
mod controller;
pub mod crd;
pub mod decide;
pub mod fair_queue;
mod given;
mod grants;
pub mod iam;
mod keyed;
pub mod lease;
pub mod log;
pub mod metrics;
pub mod outcome;
mod panics;
pub mod preview;
pub mod proxy;
mod readiness;
pub mod reason;
pub mod reconcile;
pub mod run;
pub mod secret;
mod secret_value;
mod server;
pub mod status;
mod template;
mod text;
pub mod traces;
