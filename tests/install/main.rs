//! Tests of installing: what the chart and the manifests rendered from it do on a real control plane.
//! What they install is what ships; the pods are processes with their arguments, but for the one test that runs the image.

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
mod podman;
mod rights;
mod roles;
mod values;
