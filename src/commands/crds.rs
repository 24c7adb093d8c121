//! `crds`: the CustomResourceDefinitions for `kubectl apply`, or JSON schemas for editors and kubeconform.
//! Works without a cluster.

use super::output::print;
use super::{CommandError, Done};
use crate::crd::{definitions, json_schema, yaml};
use clap::{Args, ValueEnum};
use kube::ResourceExt;
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
            (CrdFormat::JsonSchema, None) => print(&(json_schema::of_all(&definitions()) + "\n"))?,
            (CrdFormat::JsonSchema, Some(directory)) => {
                fs::create_dir_all(&directory)?;
                for (file, schema) in json_schema::files(&definitions()) {
                    fs::write(directory.join(file), schema + "\n")?;
                }
            }
        }
        Ok(Done::Clean)
    }
}

fn print_definitions() -> Result<(), CommandError> {
    for definition in definitions() {
        let yaml = yaml(&definition).map_err(|error| {
            CommandError::message(format!("cannot write {} as YAML: {error}", definition.name_any()))
        })?;
        print(&format!("---\n{yaml}"))?;
    }
    Ok(())
}
