//! A Kubernetes operator that turns `OrgOAuthApp` resources into organization OAuth apps of VMware Cloud Services or
//! VMware Cloud Partner Navigator. A pass observes, decides (pure), performs and reports; this is where each part lives:
//!
//! - [`crd`]: the two resources: schema, defaults, limits, CEL rules
//! - [`controller`]: the two controllers and their watches: what is reconciled when
//! - [`reconcile`]: one pass over one resource; the only place with effects
//! - [`decide`]: what to do next, from what was seen; the only place with policy
//! - [`outcome`]: how a reconciliation ends; [`status`] and [`reason`]: what users and tools read of it
//! - [`secret`]: the Secret, and the one guard of every read and write of it
//! - [`template`]: further keys of the Secret, filled in
//! - [`claim`]: the signed record that an app is a resource's
//! - [`secret_value`] and [`text`]: what comes from outside: credentials within limits, and text that is fit to be shown
//! - [`grants`]: which resources may use a connection
//! - [`iam`]: the port to an IAM API, the HTTP client beneath it, and one flavor for each vendor API
//! - [`cluster`]: the port to Kubernetes; beneath it the real one
//! - [`consumers`]: pods that still hold an earlier secret, and restarts
//! - [`connections`]: the port to the `IamConnection`s; beneath it those of the cluster
//! - [`lease`]: which replica leads; [`guard`]: how a pass knows that it still does
//! - [`fair_queue`] and [`keyed`]: who is served when, so that nobody waits for a neighbor, and maps that shrink again
//! - [`backoff`]: when to look again
//! - [`metrics`], [`log`] and [`traces`]: what is counted and measured, what is said, and what belongs together
//! - [`panics`]: where the operator failed
//! - [`cli`], [`run`], [`server`] and [`readiness`]: flags, the life of the process, `/healthz`, `/readyz` and `/metrics`

pub mod backoff;
pub mod claim;
pub mod cli;
pub mod cluster;
pub mod connections;
pub mod consumers;
pub mod controller;
pub mod crd;
pub mod decide;
pub mod fair_queue;
pub mod grants;
pub mod iam;
pub mod keyed;
pub mod lease;
pub mod log;
pub mod metrics;
pub mod outcome;
pub mod panics;
pub mod readiness;
pub mod reason;
pub mod reconcile;
pub mod run;
pub mod secret;
pub mod secret_value;
pub mod server;
pub mod status;
pub mod template;
pub mod text;
pub mod traces;
