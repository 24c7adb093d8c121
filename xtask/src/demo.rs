//! `cargo xtask demo`: demonstrates the operator on a real control plane, step by step.
//! It cleans up at the end; `--keep` leaves everything running until Ctrl-C.

mod binaries;
pub(crate) mod env;
mod narrator;
mod observer;
mod scenario;

use std::error::Error;
use std::path::Path;

pub(crate) use binaries::Binaries;
use control_plane::binaries::{Tool, provide};
pub(crate) use narrator::Narrator;
use scenario::Scenario;

/// How long the demo runs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Delete nothing, and leave everything running until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// Builds the binaries, starts everything, runs the scenario and stops everything.
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
    let narrator = Narrator::new();
    let binaries = Binaries::build(&narrator)?;
    provide(&Tool::CONTROL_PLANE)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(show(args.keep, &narrator, &binaries))
}

async fn show(keep: bool, narrator: &Narrator, binaries: &Binaries) -> Result<(), Box<dyn Error>> {
    // Until here, and while this starts, Ctrl-C ends this process, and its children with it.
    let env = env::start(narrator, binaries).await?;
    let result = tokio::select! {
        result = Scenario::new(&env, narrator).await?.run(keep) => result,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Into::into),
    };
    env::stop(env, narrator, result)
}
