//! The operator's binary: reads flags, sets up log and traces, and runs the subcommand.
//! It decides nothing; see `run`.

use clap::Parser;
use oauth_app_operator::cli::{Cli, Command, LogFormat, RunArgs};
use oauth_app_operator::crd::{definitions, yaml};
use oauth_app_operator::log::Lines;
use oauth_app_operator::run::run;
use oauth_app_operator::traces::Traces;
use std::error::Error;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let arguments = match cli.command {
        None => cli.run,
        Some(Command::Run(arguments)) => *arguments,
        Some(Command::Crds) => return print_crds(),
    };
    let traces = init_tracing(&arguments);
    match run(arguments).await {
        Ok(()) => {
            traces.iter().for_each(Traces::flush);
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("{error}");
            // Returning would wait for a name lookup that may be in progress.
            std::process::exit(1)
        }
    }
}

fn print_crds() -> ExitCode {
    let printed = definitions().iter().try_for_each(|definition| -> Result<(), Box<dyn Error>> {
        Ok(write!(std::io::stdout(), "---\n{}", yaml(definition)?)?)
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        // A closed pipe (`… | head`) is not an error.
        Err(error) if is_closed_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oauth-app-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
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
