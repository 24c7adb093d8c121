//! `cargo xtask test`: provides the programs for the tests, then runs every test of the workspace.
//! The first run builds or downloads the control plane for minutes; its progress is visible, so it does not look like a slow test.

use std::error::Error;
use std::process::Command;

use control_plane::binaries::{self, Tool};

/// Arguments for cargo.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments for `cargo test --workspace`, such as a name of tests or `--no-fail-fast`
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Provides the control plane, helm and promtool, builds everything and runs the tests.
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    eprintln!("control plane: looking for etcd, kube-apiserver, kube-controller-manager, kubectl, helm and promtool");
    let programs = binaries::provide(&[&Tool::CONTROL_PLANE[..], &[Tool::Helm, Tool::Promtool]].concat())?;
    for (_, path, _) in programs.iter() {
        eprintln!("control plane: {}", path.display());
    }
    let mut command = Command::new(env!("CARGO"));
    // All binaries of the workspace are built too, since tests run them.
    command.args(["test", "--workspace"]).args(&args.arguments);
    eprintln!("running: cargo test --workspace {}", args.arguments.join(" "));
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("the tests failed: cargo test: {status}").into()) }
}
