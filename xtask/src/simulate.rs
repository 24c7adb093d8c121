//! `cargo xtask simulate`: runs a number of random schedules of events, starting at a seed.
//! `cargo xtask test` runs the first ten thousand; a schedule that breaks an invariant prints its seed.

use std::error::Error;
use std::process::Command;

/// Which schedules, and how many.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Number of schedules
    #[arg(long, default_value_t = 10_000)]
    schedules: u64,

    /// Seed of the first schedule; the next ones count up from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs them, and fails with the seed of the first one that breaks an invariant.
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let Args { schedules, seed } = args;
    eprintln!("running {schedules} random schedules from seed {seed}");
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "test",
        "--profile",
        "optimized",
        "--package",
        "oauth-app-operator",
        "--test",
        "simulation",
        "schedule",
    ]);
    let status = command.env("SCHEDULES", schedules.to_string()).env("SEED", seed.to_string()).status()?;
    if status.success() { Ok(()) } else { Err("a schedule broke an invariant; its seed is printed above".into()) }
}
