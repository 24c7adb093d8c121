//! The environment of everything that needs a Kubernetes API: a control plane, the IAM simulator and the operator as a process.
//! [`TestEnv`] holds the three; each test suite, the demo and the attacks add to it what only they need.
//!
//! - [`install`] applies what ships, and [`Deployment`] starts the operator as a kubelet would.
//! - [`Operator`] is the process: started, killed, paused, asked for its log and its address.
//! - [`Backend`] is the simulator, in a thread or in a process of its own.
//! - [`ConnectProxy`] is the proxy of a company.
//! - [`Wait`] is the one loop that waits for a condition.
//! - [`failures`] is the matrix of failed calls, as data for the tests and the documents.
//! - [`manifests`] are the resources that many apply, [`examples`] those of `deploy/examples` with the simulator for the API.

// A test fails by panicking.
#![cfg_attr(test, allow(clippy::expect_used, clippy::unwrap_used))]

mod backend;
mod connect_proxy;
mod env;
mod error;
pub mod examples;
pub mod failures;
mod install;
pub mod manifests;
mod operator;
mod wait;

pub use backend::Backend;
pub use connect_proxy::{Asked, ConnectProxy};
pub use env::TestEnv;
pub use error::Error;
pub use install::{Deployment, OPERATOR, OPERATOR_USER, install, install_crds, operator_kubeconfig, repository};
pub use operator::{Operator, command};
pub use wait::Wait;
