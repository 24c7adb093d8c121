//! `cargo xtask attack`: one tenant attacks for a while, and a table shows the effect on another tenant, on the probes and on the
//! memory of the operator. Each attack has its own control plane, simulator and operator.

mod measure;
mod queue;
mod size;
mod table;
mod tenant;
mod text;

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use control_plane::binaries::{self, Tool};
use futures::future::{join, pending};
use test_environment::TestEnv;

use crate::demo::{Binaries, Narrator, env};
use measure::{Measured, Probe};
use tenant::{Attacker, Tenant};

/// Which attacks to run, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Duration of each attack in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Run only this attack; repeatable [default: all]
    #[arg(long)]
    only: Vec<Attack>,
    /// Use the debug build of the operator, which builds faster but gives less meaningful figures
    #[arg(long)]
    debug: bool,
    /// Attack this operator binary instead of building one
    #[arg(long, conflicts_with = "debug")]
    operator: Option<PathBuf>,
    /// Copy the log of the operator into this directory after each attack
    #[arg(long)]
    logs: Option<PathBuf>,
}

/// What the attacker does.
#[derive(Clone, Copy, ValueEnum)]
enum Attack {
    /// No attack: the baseline
    None,
    /// Templates, huge Secrets, control characters, an API that echoes requests
    Text,
    /// Resources and pods of the maximum size, endless lists, requests that are never completed
    Size,
    /// Many rejected resources in invented organizations, one organization that always returns 429, annotations in loops
    Queue,
}

/// Builds, attacks, prints the table, and fails if a target is missed.
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
    let narrator = Narrator::new();
    let binaries = match &args.operator {
        None if args.debug => Binaries::build(&narrator)?,
        None => Binaries::build_release(&narrator)?,
        Some(operator) => Binaries::build_release(&narrator)?.with_operator(operator),
    };
    binaries::provide(&Tool::CONTROL_PLANE)?;
    let attacks = if args.only.is_empty() { Attack::value_variants() } else { &args.only };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for attack in attacks {
        let load = std::fs::read_to_string("/proc/loadavg")?;
        narrator.say("attack", format!("{attack} for {} s; load average before: {}", args.seconds, load.trim()));
        rows.push((*attack, runtime.block_on(attack.measure(args, &binaries))?));
    }
    table::print(&rows)
}

impl Attack {
    async fn measure(self, args: &Args, binaries: &Binaries) -> Result<Measured, Box<dyn Error>> {
        let silent = Narrator::silent();
        let env = env::start(&silent, binaries).await?;
        let measured = self.happens(&env, Duration::from_secs(args.seconds)).await;
        if let Some(directory) = &args.logs {
            std::fs::create_dir_all(directory)?;
            std::fs::copy(env.operator().log_file(), directory.join(format!("{self}.log")))?;
        }
        let narrator = if measured.is_err() { Narrator::new() } else { silent };
        // Dropped before the runtime ends, with whatever the attacker has left.
        env::stop(env, &narrator, measured.as_ref().map(drop).map_err(|error| error.to_string().into()))?;
        measured
    }

    async fn happens(self, env: &TestEnv, time: Duration) -> Result<Measured, Box<dyn Error>> {
        tenant::connect(env).await?;
        let attacker = Attacker::new(env).await?;
        let probe = Probe::new(env, Tenant::new(env, tenant::NEIGHBOR).await?)?;
        // The probe has a thread of its own, so that the work of the attacker does not disturb its clock.
        let probing = tokio::spawn(probe.run(time));
        let mut measured = tokio::select! {
            measured = probing => measured?.map_err(|error| error as Box<dyn Error>)?,
            ((), never) = join(self.go_on(&attacker), pending::<Infallible>()) => match never {},
        };
        measured.made = attacker.tenant.tally();
        Ok(measured)
    }

    async fn go_on(self, attacker: &Attacker) {
        match self {
            Self::None => {}
            Self::Text => text::attack(attacker).await,
            Self::Size => size::attack(attacker).await,
            Self::Queue => queue::attack(attacker).await,
        }
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Text => "text",
            Self::Size => "size",
            Self::Queue => "queue",
        })
    }
}
