//! `cargo xtask demo`: the whole job on a real control plane, told step by step as it happens.
//! Nothing is left behind; `--keep` leaves everything running until Ctrl-C.

pub mod manifests;
mod narrator;
mod stage;
mod story;
mod witness;

use std::error::Error;
use std::path::Path;

use control_plane::binaries::{self, Tool};
pub use narrator::Narrator;
pub use stage::{Binaries, OPERATOR, Stage, kubectl};
use story::Story;

/// How long the show goes on.
#[derive(clap::Args)]
pub struct Args {
    /// Delete nothing, and leave everything running until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// Builds the binaries, starts everything, tells the story and stops everything.
pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
    let narrator = Narrator::new();
    let binaries = Binaries::build(&narrator)?;
    binaries::provide(&Tool::CONTROL_PLANE)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(play(args.keep, &narrator, &binaries))
}

async fn play(keep: bool, narrator: &Narrator, binaries: &Binaries) -> Result<(), Box<dyn Error>> {
    // Until here, and while this starts, Ctrl-C ends this process, and its children with it.
    let stage = Stage::set(narrator, binaries).await?;
    let told = tokio::select! {
        told = Story::new(&stage, narrator).await?.tell(keep) => told,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Into::into),
    };
    stage.clear(narrator, told)
}
