//! `cargo xtask docs`: writes what the documentation repeats of the code: the table of reasons in `README.md`, and
//! `docs/metrics.md`.
//! A test fails when it is no longer what the code says.

mod metrics;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use oauth_app_operator::reason::Reason;

const BEGIN: &str = "<!-- reasons: written by `cargo xtask docs` -->\n";
const END: &str = "<!-- end of reasons -->\n";

/// Nothing to choose.
#[derive(clap::Args)]
pub struct Args {}

/// Writes the table.
pub fn run(_: &Args) -> Result<(), Box<dyn Error>> {
    fs::write(path(), updated(&fs::read_to_string(path())?)?)?;
    println!("{}", path().display());
    fs::write(metrics_path(), metrics::document("")?)?;
    println!("{}", metrics_path().display());
    Ok(())
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")
}

fn metrics_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md")
}

/// The text with the table of now between its markers.
fn updated(text: &str) -> Result<String, String> {
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("README.md lacks the markers {BEGIN}{END}"))?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", table()))
}

fn table() -> String {
    let row = |reason: Reason| {
        let (meaning, remedy) = reason.explanation();
        format!("| `{}` | {meaning} | {remedy} |\n", reason.as_str())
    };
    let rows: String = Reason::ALL.into_iter().map(row).collect();
    format!("\n| Reason | What it means | What to do |\n|---|---|---|\n{rows}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_every_reason_as_the_code_explains_it() {
        let written = fs::read_to_string(path()).unwrap();
        assert!(updated(&written).unwrap() == written, "README.md is stale: run `cargo xtask docs`");
    }

    #[test]
    fn the_metrics_are_documented_as_the_code_has_them() {
        let written = fs::read_to_string(metrics_path()).unwrap();
        assert!(metrics::document("").unwrap() == written, "docs/metrics.md is stale: run `cargo xtask docs`");
    }

    #[test]
    fn no_explanation_breaks_the_table() {
        assert!(Reason::ALL.iter().all(|reason| {
            let (meaning, remedy) = reason.explanation();
            ![meaning, remedy].iter().any(|text| text.contains(['|', '\n']))
        }));
    }

    #[test]
    fn every_promise_names_a_test_that_exists() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let promises = std::fs::read_to_string(root.join("docs/behaviour.md")).unwrap();
        let links: Vec<_> = promises.lines().filter_map(|line| line.strip_suffix(") |")?.rsplit_once("| [")).collect();
        assert!(links.len() > 20, "the table of docs/behaviour.md has rows with a test");
        for (_, link) in links {
            let (name, file) = link.split_once("](../").unwrap();
            let source = std::fs::read_to_string(root.join(file)).unwrap();
            let found = source.contains(&format!("fn {name}()"));
            assert!(found, "{file} has no test {name}");
        }
    }
}
