//! The operator's binary: reads flags, sets up the log and runs what was asked for.
//! It decides nothing; see `run`.

use clap::Parser;
use oauth_app_operator::cli::{Cli, Command, LogFormat, RunArgs};
use oauth_app_operator::crd::{definitions, yaml};
use oauth_app_operator::run::run;
use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let arguments = match cli.command {
        None => cli.run,
        Some(Command::Run(arguments)) => arguments,
        Some(Command::Crds) => return print_crds(),
    };
    log_to_stderr(&arguments);
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
        print!("---\n{}", yaml(definition)?);
        Ok(())
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oauth-app-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn log_to_stderr(arguments: &RunArgs) {
    let log = tracing_subscriber::registry().with(arguments.log_level.filter());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Text => log.with(lines.with_ansi(std::io::stderr().is_terminal())).init(),
        LogFormat::Json => log.with(lines.json().flatten_event(true)).init(),
    }
}
