//! The commands for people, on the real control plane, with the rights that their users have.

mod basics;

use crate::cluster::plane;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// How a command ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The report of a command that was asked for JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs a command as the user of a kubeconfig.
pub(crate) fn run_as(kubeconfig: &Path, arguments: &[&str]) -> Ran {
    ran(test_environment::command(binary(), kubeconfig).args(arguments))
}

/// Runs a command as an administrator of the cluster.
pub(crate) fn run(arguments: &[&str]) -> Ran {
    run_as(plane().admin_kubeconfig(), arguments)
}

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_oauth-app-operator"))
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}
