//! The commands for people. Each reads what its user may read, asks the code of the operator, and prints a report; none has
//! policy of its own.
//!
//! - [`cluster`]: which cluster and namespace, with whose rights
//! - [`output`]: text, JSON or YAML; [`error`]: what went wrong, and what to do
//! - [`endpoint`]: an API without a cluster
//! - [`live`]: connections as the operator opens them, with the rights of the user; [`managed`]: the apps that resources have

pub(crate) mod apps;
pub mod check;
pub mod cluster;
pub mod completion;
pub mod crds;
pub mod endpoint;
mod error;
pub mod explain;
pub mod import;
mod live;
mod managed;
pub mod orphans;
pub mod output;
pub mod plan;
mod raw;
pub mod report;
pub mod requests;
pub mod status;
pub mod template;
pub mod token;
pub mod version;

pub use error::CommandError;

use crate::cli::Command;
use schemars::{Schema, schema_for};
use serde_json::Value;
use std::process::ExitCode;

/// How a command ends that did what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Nothing is to be done.
    Clean,
    /// It found what its user has to look at: a change that would be made, or a check that failed.
    Findings,
    /// It found what is wrong and would not work.
    Failed,
}

impl From<Done> for ExitCode {
    fn from(done: Done) -> Self {
        match done {
            Done::Clean => Self::SUCCESS,
            Done::Findings => Self::from(2),
            Done::Failed => Self::FAILURE,
        }
    }
}

/// Runs a command, and says what went wrong.
pub async fn run(command: Command) -> ExitCode {
    match dispatch(command).await {
        Ok(done) => done.into(),
        // A closed pipe (`… | head`) is not an error.
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(command: Command) -> Result<Done, CommandError> {
    match command {
        Command::Run(_) => Ok(Done::Clean),
        Command::Check(arguments) => arguments.run().await,
        Command::Crds(arguments) => arguments.run(),
        Command::Explain(arguments) => arguments.run(),
        Command::Status(arguments) => arguments.run().await,
        Command::Token(arguments) => arguments.run().await,
        Command::Rotate(arguments) => arguments.rotate().await,
        Command::Reconcile(arguments) => arguments.reconcile().await,
        Command::Suspend(arguments) => arguments.suspend().await,
        Command::Resume(arguments) => arguments.resume().await,
        Command::Retire(arguments) => arguments.run().await,
        Command::Template(arguments) => arguments.run(),
        Command::Plan(arguments) => arguments.run().await,
        Command::Report(arguments) => arguments.run().await,
        Command::Version(arguments) => arguments.run().await,
        Command::Completion(arguments) => arguments.run(),
        Command::Import(arguments) => arguments.run().await,
        Command::Orphans(arguments) => arguments.run().await,
    }
}

/// The JSON schema of the report of each command that has one.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let schema = |schema: Schema| schema.to_value();
    vec![
        ("check", schema(schema_for!(check::Checks))),
        ("explain", schema(schema_for!(explain::Explanation))),
        ("import", schema(schema_for!(import::ImportReport))),
        ("orphans", schema(schema_for!(orphans::OrphanReport))),
        ("plan", schema(schema_for!(plan::PlanReport))),
        ("report", schema(schema_for!(report::Written))),
        ("requests", schema(schema_for!(Vec<requests::RequestResult>))),
        ("status", schema(schema_for!(status::AppStatus))),
        ("status-list", schema(schema_for!(Vec<status::AppSummary>))),
        ("template", schema(schema_for!(Vec<template::SecretPreview>))),
        ("token", schema(schema_for!(token::TokenReport))),
        ("version", schema(schema_for!(version::Versions))),
    ]
}
