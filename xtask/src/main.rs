//! The project's own commands, `cargo xtask <command>`.
//! Each command is a module with its arguments and a function that runs it.

mod attack;
mod control_plane;
mod crds;
mod demo;
mod dependencies;
mod docs;
mod gitops;
mod manifests;
mod picture;
mod simulate;
mod test;

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
    /// Write the CustomResourceDefinitions into crds/.
    Crds(crds::Args),
    /// Show the whole job on a real control plane, step by step.
    Demo(demo::Args),
    /// Check the dependencies, and write their licenses into THIRD-PARTY-NOTICES.
    Dependencies(dependencies::Args),
    /// Write the parts of the documentation that repeat the code.
    Docs(docs::Args),
    /// Write the settings of Argo CD from their Lua.
    Gitops(gitops::Args),
    /// Render deploy/install.yaml from the chart.
    Manifests(manifests::Args),
    /// Draw the dashboard into docs/dashboard.svg, as a real Prometheus measures it over a story.
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
        Command::Crds(args) => crds::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Dependencies(args) => dependencies::run(&args),
        Command::Docs(args) => docs::run(&args),
        Command::Gitops(args) => gitops::run(&args),
        Command::Manifests(args) => manifests::run(&args),
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
