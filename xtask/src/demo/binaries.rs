//! The binaries of this workspace, built with cargo in view of the user.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_environment::OPERATOR;

use super::narrator::Narrator;

/// Where they are.
pub(crate) struct Binaries {
    directory: PathBuf,
    pub operator: PathBuf,
}

impl Binaries {
    /// The debug builds.
    pub(crate) fn build(narrator: &Narrator) -> Result<Self, Box<dyn Error>> {
        // With xtask, which is built already: the same features, so no dependency is compiled twice.
        cargo(narrator, &["build", "-p", OPERATOR, "-p", "iam-simulator", "-p", "xtask"])?;
        let own = std::env::current_exe()?;
        let directory = own.parent().ok_or("this program is in no directory")?.to_owned();
        Ok(Self { operator: directory.join(OPERATOR), directory })
    }

    /// The operator as it is shipped, and a simulator that is fast enough for it.
    pub(crate) fn build_release(narrator: &Narrator) -> Result<Self, Box<dyn Error>> {
        // Each by itself: together they would share features, and the operator would not be the one that is shipped.
        for package in [OPERATOR, "iam-simulator"] {
            cargo(narrator, &["build", "--release", "-p", package])?;
        }
        let own = std::env::current_exe()?;
        let target = own.parent().and_then(Path::parent).ok_or("this program is in no directory of builds")?;
        let directory = target.join("release");
        Ok(Self { operator: directory.join(OPERATOR), directory })
    }

    /// The same with another operator.
    pub(crate) fn with_operator(self, operator: &Path) -> Self {
        Self { operator: operator.to_owned(), ..self }
    }

    pub(crate) fn simulator(&self) -> PathBuf {
        self.directory.join("iam-simulator")
    }
}

fn cargo(narrator: &Narrator, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    narrator.say("$", format!("cargo {}", arguments.join(" ")));
    let status = Command::new(env!("CARGO")).args(arguments).status()?;
    if status.success() { Ok(()) } else { Err(format!("cargo {}: {status}", arguments.join(" ")).into()) }
}
