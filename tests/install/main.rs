//! Tests of installing: what the chart and the manifests rendered from it do on a real control plane.
//! What they install is what ships; only the image is replaced, by the binary as a process with the pod's arguments.

// A test may panic: that is how it fails.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chart;
mod check;
mod dry_run;
mod env;
mod former;
mod fresh;
mod guide;
mod helm;
mod image;
mod life;
mod network;
mod rights;
mod roles;
mod values;
