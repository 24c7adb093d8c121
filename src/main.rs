//! The operator's binary: reads flags, sets up log and traces, and runs the operator or a command.
//! It decides nothing; see `run` and `commands`.

use oauth_app_operator::cli::{self, Cli, Command, LogFormat, Program, RunArgs};
use oauth_app_operator::commands;
use oauth_app_operator::commands::completion::candidates;
use oauth_app_operator::log::Lines;
use oauth_app_operator::run::run;
use oauth_app_operator::traces::Traces;
use std::process::ExitCode;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

// One thread: nearly all of the work is waiting, and a thread for each processor costs memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if cli::program() == Program::Completer {
        let words: Vec<String> = std::env::args().skip(1).collect();
        print!("{}", candidates(&words));
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::from_arguments() {
        Ok(cli) => cli,
        Err(error) => {
            error.print().ok();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match cli.command {
        None => run_operator(cli.run).await,
        Some(Command::Run(arguments)) => run_operator(*arguments).await,
        Some(command) => commands::run(command).await,
    }
}

async fn run_operator(arguments: RunArgs) -> ExitCode {
    let traces = init_tracing(&arguments);
    match run(arguments).await {
        Ok(()) => {
            if let Some(traces) = traces {
                // On another thread, since this one has to send what is left.
                tokio::task::spawn_blocking(move || traces.flush()).await.ok();
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("{error}");
            // Returning would wait for a name lookup that may be in progress.
            std::process::exit(1)
        }
    }
}

/// The log, and traces where a collector is named.
fn init_tracing(arguments: &RunArgs) -> Option<Traces> {
    let log = fmt::layer().with_writer(|| Lines::new(std::io::stderr()));
    let log = match arguments.log_format {
        LogFormat::Text => log.boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    let log = log.with_filter(arguments.log_level.filter());
    let traces = arguments.traces_endpoint().map(|endpoint| Traces::to(&endpoint)).transpose();
    let layer = traces.as_ref().ok().and_then(|traces| traces.as_ref()?.as_ref()).map(Traces::layer);
    tracing_subscriber::registry().with(log).with(layer).init();
    traces
        .unwrap_or_else(|error| {
            tracing::error!(%error, "no traces are exported");
            None
        })
        .flatten()
}
