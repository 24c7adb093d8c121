//! `crds`: the CustomResourceDefinitions for `kubectl apply`, or JSON schemas for editors and kubeconform.
//! Works without a cluster.

use super::output::print;
use super::{CommandError, Done};
use crate::crd::{json_schema, shipped};
use clap::{Args, ValueEnum};
use std::fs;
use std::path::PathBuf;

/// What is printed.
#[derive(Args, Debug)]
pub struct CrdsArgs {
    /// What to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: CrdFormat,
    /// Write JSON schemas into this directory, one file for each kind, named as kubeconform expects [default: one schema of all kinds, printed]
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
}

/// What is printed of the kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CrdFormat {
    /// CustomResourceDefinitions
    #[default]
    Yaml,
    /// JSON schemas
    JsonSchema,
}

impl CrdsArgs {
    pub(crate) fn run(self) -> Result<Done, CommandError> {
        match (self.format, self.out) {
            (CrdFormat::Yaml, None) => print_definitions()?,
            (CrdFormat::Yaml, Some(_)) => return Err(CommandError::message("--out needs --format json-schema")),
            (CrdFormat::JsonSchema, None) => print(&(json_schema::of_all(&shipped::values()) + "\n"))?,
            (CrdFormat::JsonSchema, Some(directory)) => {
                fs::create_dir_all(&directory)?;
                for (file, schema) in json_schema::files(&shipped::values()) {
                    fs::write(directory.join(file), schema + "\n")?;
                }
            }
        }
        Ok(Done::Clean)
    }
}

fn print_definitions() -> Result<(), CommandError> {
    shipped::YAML.iter().try_for_each(|yaml| print(&format!("---\n{yaml}")))
}
