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

    /// `rust-toolchain.toml` would select the newest compiler, and another one gives another binary.
    #[test]
    fn a_release_is_built_with_the_compiler_of_one_image() {
        let images = [
            (".github/workflows/release.yaml", "    container: "),
            (".github/workflows/nightly.yaml", "    container: "),
            ("Containerfile", "FROM docker.io/library/rust"),
            ("docs/verify.md", ""),
        ];
        let mut named = Vec::new();
        for (file, start) in images {
            let text = std::fs::read_to_string(repository().join(file)).unwrap();
            assert!(text.contains(r#"RUSTUP_TOOLCHAIN="${RUST_VERSION:?}""#), "{file}");
            let lines = text.lines().filter(|line| line.starts_with(start) && line.contains("docker.io/library/rust:"));
            named.extend(lines.filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned));
        }
        assert_eq!(named.len(), 3, "{named:?}");
        assert!(named.iter().all(|image| *image == named[0]), "{named:?}");
    }

    #[test]
    fn checksums_of_zizmor_are_those_of_its_version() {
        let Registry::PyPi { requirements } = ZIZMOR.registry else { panic!("zizmor is a Python package") };
        let text = std::fs::read_to_string(repository().join(requirements)).unwrap();
        assert!(text.contains(&format!("\nzizmor=={} \\\n", ZIZMOR.version)), "{text}");
    }
}
