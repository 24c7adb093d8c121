//! `cargo xtask dependencies`: checks the dependencies by `deny.toml`, and writes their licenses into `THIRD-PARTY-NOTICES`.
//! A test fails when a dependency breaks a rule or has an advisory, or the file is stale.

mod advisories;
mod graph;
mod notices;
mod policy;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use advisories::Snapshot;
use graph::Graph;
use policy::Policy;

use crate::repository;

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Check only; write nothing
    #[arg(long)]
    check: bool,
    /// First update the advisories from a git checkout of the RustSec advisory database
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    advisories: Option<PathBuf>,
}

/// Checks, writes, and says what could not be checked.
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if let Some(checkout) = &args.advisories {
        Snapshot::refresh(checkout)?;
    }
    let (graph, policy, snapshot) = (Graph::read()?, Policy::read()?, Snapshot::read()?);
    let mut broken = policy.broken_by(&graph.0);
    broken.extend(snapshot.found_in(&graph.0, &policy.ignored)?);
    if !broken.is_empty() {
        return Err(broken.join("\n").into());
    }
    let (packages, advisories, date) = (graph.0.len(), snapshot.advisories.len(), &snapshot.date);
    println!("licenses, bans and sources of {packages} packages: allowed by deny.toml");
    println!("advisories: {packages} packages checked against {advisories} advisories of {date}");
    let notices = notices::text(&graph.shipped()?)?;
    match args.check {
        true if fs::read_to_string(notices_file())? != notices => return Err(STALE.into()),
        true => {}
        false => fs::write(notices_file(), notices)?,
    }
    println!("THIRD-PARTY-NOTICES");
    newer_advisories(date)
}

const STALE: &str = "THIRD-PARTY-NOTICES is stale: run `cargo xtask dependencies`";

fn notices_file() -> PathBuf {
    repository().join("THIRD-PARTY-NOTICES")
}

/// Advisories that are newer than the snapshot, as far as there is a way to know them.
fn newer_advisories(snapshot_date: &str) -> Result<(), Box<dyn Error>> {
    let deny = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        let succeeded = command.arg("deny").args(arguments).current_dir(repository()).status();
        succeeded.is_ok_and(|status| status.success())
    };
    let not_checked = |reason| println!("advisories newer than {snapshot_date}: not checked, since {reason}");
    let version = Command::new(env!("CARGO")).args(["deny", "--version"]).output();
    if !version.is_ok_and(|version| version.status.success()) {
        not_checked("cargo-deny is not installed (cargo install cargo-deny --locked)");
    } else if !deny(&["fetch", "db"]) {
        not_checked("the advisory database cannot be reached");
    } else if !deny(&["--offline", "check", "advisories"]) {
        return Err("a dependency has an advisory".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dependency_is_as_deny_toml_says() {
        assert_eq!(Policy::read().unwrap().broken_by(&Graph::read().unwrap().0), Vec::<String>::new());
    }

    #[test]
    fn no_dependency_has_an_advisory() {
        let (packages, ignored) = (Graph::read().unwrap().0, Policy::read().unwrap().ignored);
        assert_eq!(Snapshot::read().unwrap().found_in(&packages, &ignored).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_notices_are_those_of_the_dependencies() {
        let text = notices::text(&Graph::read().unwrap().shipped().unwrap()).unwrap();
        assert!(fs::read_to_string(notices_file()).unwrap_or_default() == text, "{STALE}");
        for name in ["kube-client", "tokio", "rustls", "aws-lc-sys"] {
            assert!(text.contains(&format!("\n  {name} ")), "{name}");
        }
        assert!(!text.contains("\n  proptest "), "what only tests need is not shipped");
    }
}
