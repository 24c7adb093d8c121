//! The operator's binary: reads flags, sets up the log and runs what was asked for.
//! It decides nothing; see `run`.

use clap::Parser;
use oauth_app_operator::cli::{Cli, Command, LogFormat, RunArgs};
use oauth_app_operator::crd::{definitions, yaml};
use oauth_app_operator::log::Lines;
use oauth_app_operator::run::run;
use oauth_app_operator::traces::{Traces, export};
use std::error::Error;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let arguments = match cli.command {
        None => cli.run,
        Some(Command::Run(arguments)) => arguments,
        Some(Command::Crds) => return print_crds(),
    };
    tell(&arguments);
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            // At once: to return would be to wait for the lookup of a name that may be under way.
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
        // Who reads no further, as `head` does, has what it wanted.
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
fn tell(arguments: &RunArgs) {
    let log = fmt::layer().with_writer(|| Lines::new(std::io::stderr()));
    let log = match arguments.log_format {
        LogFormat::Text => log.boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    let traces = arguments.otlp_endpoint.clone().map(|endpoint| {
        let (traces, spans) = Traces::new();
        tokio::spawn(export(endpoint, spans));
        traces.with_filter(filter_fn(Traces::wants).with_max_level_hint(LevelFilter::DEBUG))
    });
    tracing_subscriber::registry().with(log.with_filter(arguments.log_level.filter())).with(traces).init();
}
