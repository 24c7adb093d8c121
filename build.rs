//! The commit for `version`. A debug build does not ask, so that it is not built again after each commit.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=COMMIT");
    let given = env::var("COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(committed).unwrap_or_else(|| "not known".to_owned());
    println!("cargo::rustc-env=COMMIT={commit}");
}

fn committed() -> Option<String> {
    if env::var("PROFILE").ok()? != "release" {
        return None;
    }
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/refs/heads");
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| commit.trim().to_owned())
}
