//! The project's own commands, `cargo xtask <command>`.
//! Each command is a module with its arguments and a function that runs it.

mod attack;
mod command;
mod control_plane;
mod demo;
mod dependencies;
mod generate;
#[cfg(test)]
mod links;
mod picture;
mod plot;
mod simulate;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Let one tenant attack the operator, and measure what its neighbor and the operator's process feel of it.
    Attack(attack::Args),
    /// Provide the programs of a Kubernetes control plane, or start one to play with.
    ControlPlane(control_plane::Args),
    /// Show the whole job on a real control plane, step by step.
    Demo(demo::Args),
    /// Check the dependencies, and write their licenses into THIRD-PARTY-NOTICES.
    Dependencies(dependencies::Args),
    /// Write the generated files: CRDs, deploy/install.yaml, the settings of Argo CD, parts of the documentation.
    Generate(generate::Args),
    /// Draw the dashboard into docs/dashboard.svg, as a real Prometheus measures it over a scenario.
    Picture(picture::Args),
    /// Live random lives of apps, any number of them, and check the invariants.
    Simulate(simulate::Args),
    /// Provide what the tests need and run them all.
    ///
    /// The first time it provides a control plane (etcd, kube-apiserver, kube-controller-manager and kubectl), helm and
    /// promtool: downloaded, or built from their sources, which takes minutes. They are kept in the user's cache directory.
    ///
    /// To run one test of the whole: `cargo xtask test -- --test e2e NAME`.
    Test(test::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Attack(args) => attack::run(&args),
        Command::ControlPlane(args) => control_plane::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Dependencies(args) => dependencies::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Picture(args) => picture::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Test(args) => test::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
