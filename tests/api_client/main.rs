//! The HTTP client against the strict simulator: two readings of the documentation that must agree.
//! Each test has a simulator of its own, over TLS with a CA of its own.

// A test that cannot be set up should end loudly.
#![allow(clippy::unwrap_used)]

mod broker;
mod env;
mod fields;
mod lists;
mod operations;
mod organizations;
mod roles;
mod tokens;
mod trouble;
