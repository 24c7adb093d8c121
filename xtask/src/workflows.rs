//! `cargo xtask workflows`: checks the GitHub workflows with actionlint and zizmor.
//! actionlint finds mistakes; zizmor finds unpinned actions, injections into scripts and excessive permissions.

use std::error::Error;
use std::process::Command;

use crate::repository;
use crate::tools::{Registry, Tool};

const ACTIONLINT: Tool = Tool {
    name: "actionlint",
    package: "github.com/rhysd/actionlint/cmd/actionlint",
    // renovate: datasource=github-releases depName=rhysd/actionlint
    version: "v1.7.12",
    registry: Registry::GoModule,
};
const ZIZMOR: Tool = Tool {
    name: "zizmor",
    package: "zizmor",
    // renovate: datasource=pypi depName=zizmor
    version: "1.32.0",
    registry: Registry::PyPi { requirements: "xtask/zizmor.txt" },
};

/// Runs both.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    // Other linters of scripts would run only where they are installed.
    check(&ACTIONLINT, &["-shellcheck=", "-pyflakes="])?;
    // Offline: the result does not depend on the state of other repositories.
    check(&ZIZMOR, &["--offline", "--strict-collection", "--persona=pedantic", "--quiet", ".github"])
}

fn check(tool: &Tool, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(tool.provide()?);
    let status = command.args(arguments).current_dir(repository()).status()?;
    if !status.success() {
        return Err(format!("{} found problems in the workflows", tool.name).into());
    }
    println!("{} {}: no problem in the workflows", tool.name, tool.version);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_zizmor_are_those_of_its_version() {
        let Registry::PyPi { requirements } = ZIZMOR.registry else { panic!("zizmor is a Python package") };
        let text = std::fs::read_to_string(repository().join(requirements)).unwrap();
        assert!(text.contains(&format!("\nzizmor=={} \\\n", ZIZMOR.version)), "{text}");
    }
}
