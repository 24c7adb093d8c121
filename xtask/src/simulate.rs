//! `cargo xtask simulate`: as many random lives of apps as asked for, from the seed that is asked for.
//! `cargo xtask test` lives the first ten thousand; a life that breaks an invariant names its seed.

use std::error::Error;
use std::process::Command;

/// Which lives, and how many.
#[derive(clap::Args)]
pub struct Args {
    /// How many lives
    #[arg(long, default_value_t = 10_000)]
    schedules: u64,

    /// The seed of the first life; the next ones count up from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Lives them, and fails with the seed of the first that breaks an invariant.
pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let Args { schedules, seed } = args;
    eprintln!("living {schedules} random lives from seed {seed}");
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
    if status.success() { Ok(()) } else { Err("a life broke an invariant; its seed is said above".into()) }
}
