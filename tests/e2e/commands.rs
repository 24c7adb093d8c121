//! The commands for people, on the real control plane, with the rights that their users have.

mod basics;
mod check;
mod import;
mod orphans;
mod plan;
mod report;
mod requests;
mod schema;
mod status;
mod template;
mod token;

use crate::cluster::plane;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

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

/// Runs a command in an environment with these variables, as an administrator of the cluster.
pub(crate) fn run_with(variables: &[(&str, String)], arguments: &[&str]) -> Ran {
    let mut command = test_environment::command(binary(), plane().admin_kubeconfig());
    ran(command.envs(variables.iter().map(|(name, value)| (name, value))).args(arguments))
}

/// Runs a command with a standard input, as an administrator of the cluster.
fn ran_with_input(arguments: &[&str], input: &str) -> Ran {
    let mut command = test_environment::command(binary(), plane().admin_kubeconfig());
    let piped = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    ended(child.wait_with_output().unwrap())
}

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_oauth-app-operator"))
}

fn ran(command: &mut Command) -> Ran {
    ended(command.output().unwrap())
}

fn ended(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A user with ClusterRole `view` in a namespace: the file of its kubeconfig.
pub(crate) fn viewer(namespace: &str) -> PathBuf {
    let user = format!("viewer-of-{namespace}");
    let binding = ["create", "rolebinding", "view", "--clusterrole=view", &format!("--user={user}")];
    plane().kubectl(&[&["-n", namespace], &binding[..]].concat()).unwrap();
    plane().write_kubeconfig(&user, &plane().user(&user, None).unwrap()).unwrap()
}
