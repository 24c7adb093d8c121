//! A strict stand-in for the IAM APIs of VMware Cloud Partner Navigator (CPN), VMware Cloud Services (CSP) and VCF Identity Broker.
//! It is a second reading of their documentation, made apart from the operator's, and refuses whatever that does not allow.
//!
//! Map: [`Simulator`] runs one inside a test, [`process::Process`] runs the binary; [`client::Control`] gives orders
//! and looks inside, in the words of [`types`]. Within: `server` accepts and applies `faults`, `route` finds the
//! operation, `call` and `schema` read it strictly, `dispatch` sends it to `csp`, `cpn`, `broker` or `tokens`, which work on
//! `apps` and `members` by `names` and the rules of `policy` and show them by `roles`, `scopes`, `timestamp` and `paging`; `store`
//! holds the state and `versioned` what it was, `log` the calls, `control` is the control API.

// A test tool: a broken invariant of its own should end it loudly.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod apps;
mod broker;
mod call;
pub mod client;
mod control;
mod cpn;
mod crypto;
mod csp;
mod dispatch;
mod faults;
mod log;
mod members;
mod names;
mod paging;
mod policy;
pub mod process;
mod roles;
mod route;
mod schema;
mod scopes;
mod server;
mod simulator;
mod store;
mod timestamp;
mod tls;
mod tokens;
pub mod types;
mod versioned;

pub use crypto::sha256_hex;
pub use simulator::{Options, Simulator};
pub use tls::NAME_BEHIND_A_PROXY;
