//! The commands of the project, `cargo xtask <command>`.
//! Each command is a module with its arguments and a function that runs it.

mod attack;
mod command;
mod control_plane;
mod demo;
mod dependencies;
mod generate;
#[cfg(test)]
mod links;
mod markdown;
mod picture;
mod plot;
mod release;
#[cfg(test)]
mod renovate;
mod simulate;
mod site;
mod test;
mod tools;
#[cfg(test)]
mod words;
mod workflows;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The commands of the project.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Let one tenant attack the operator, and measure the effect on another tenant and on the operator process.
    Attack(attack::Args),
    /// Provide the programs of a Kubernetes control plane, or start one to experiment with.
    ControlPlane(control_plane::Args),
    /// Demonstrate the operator on a real control plane, step by step.
    Demo(demo::Args),
    /// Check the dependencies, and write their licenses to THIRD-PARTY-NOTICES.
    Dependencies(dependencies::Args),
    /// Generate files: the CRDs, deploy/install.yaml, the settings of Argo CD, parts of the documentation.
    Generate(generate::Args),
    /// Draw the dashboard to docs/dashboard.svg, with data that a real Prometheus collects during a scenario.
    Picture(picture::Args),
    /// Build the documents as a site with mdBook, and check its links.
    ///
    /// The first run installs mdBook in the user's cache directory, which takes minutes.
    Site(site::Args),
    /// Make every file that a release publishes: binary, image, chart, manifests, SBOM, checksums, notes.
    ///
    /// It needs no container engine. The same commit gives the same files: see docs/release.md.
    Release(release::Args),
    /// Simulate random schedules of events, any number of them, and check the invariants.
    Simulate(simulate::Args),
    /// Provide the programs for the tests and run all tests.
    ///
    /// The first run provides a control plane (etcd, kube-apiserver, kube-controller-manager and kubectl), helm and
    /// promtool: downloaded, or built from source, which takes minutes. They are cached in the user's cache directory.
    ///
    /// To run one end-to-end test: `cargo xtask test -- --test e2e NAME`. To run those that depend on Kubernetes on an
    /// older version: `cargo xtask test --kubernetes 1.31`.
    Test(test::Args),
    /// Check the GitHub workflows with actionlint and zizmor.
    Workflows,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Attack(args) => attack::run(&args),
        Command::ControlPlane(args) => control_plane::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Dependencies(args) => dependencies::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Picture(args) => picture::run(&args),
        Command::Release(args) => release::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Site(args) => site::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Workflows => workflows::run(),
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
