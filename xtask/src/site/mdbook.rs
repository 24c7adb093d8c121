//! The program mdBook, in one version: from the `PATH`, or else as the other tools.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::output;
use crate::tools::{Registry, Tool};

const MDBOOK: Tool = Tool {
    name: "mdbook",
    package: "mdbook",
    // renovate: datasource=crate depName=mdbook
    version: "0.5.4",
    registry: Registry::CratesIo { options: &["--no-default-features", "--features=search"] },
};

/// Finds mdBook, or installs it, which takes minutes.
pub(super) fn provide() -> Result<PathBuf, Box<dyn Error>> {
    let in_path = PathBuf::from(MDBOOK.name);
    if is_wanted(&in_path) { Ok(in_path) } else { MDBOOK.provide() }
}

/// Builds the book in this directory.
pub(super) fn build(program: &Path, book: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    output(Command::new(program).arg("build").arg(book).arg("--dest-dir").arg(out)).map(drop)
}

fn is_wanted(program: &Path) -> bool {
    let wanted = format!("mdbook v{}", MDBOOK.version);
    output(Command::new(program).arg("--version")).is_ok_and(|printed| printed.trim() == wanted)
}
