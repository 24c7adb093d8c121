//! `cargo xtask test`: every test of the workspace, with what the tests need provided first.
//! The programs of the control plane take minutes the first time, which then is seen and not mistaken for a slow test.

use std::error::Error;
use std::process::Command;

use control_plane::binaries::{self, Tool};

/// What to pass on.
#[derive(clap::Args)]
pub struct Args {
    /// Arguments for `cargo test --workspace`, such as a name of tests or `--no-fail-fast`
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Provides the control plane, helm and promtool, builds everything and runs the tests.
pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
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
