//! `cargo xtask docs`: writes the documents, and the parts of documents, that repeat the code.
//! Each is a module of its own and a line in `DOCUMENTS`; a test fails when one is no longer what the code says.

mod fields;
mod metrics;
mod reasons;
mod table;
#[cfg(test)]
mod tests;
mod values;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// The text of a document, from the one that is there; a document that is written as a whole does not look at it.
type Written = fn(&str) -> Result<String, String>;

const DOCUMENTS: [(&str, Written); 4] = [
    ("docs/fields.md", fields::document),
    ("docs/install.md", values::document),
    ("docs/metrics.md", metrics::document),
    ("docs/reasons.md", reasons::document),
];

/// Nothing to choose.
#[derive(clap::Args)]
pub struct Args {}

/// Writes them.
pub fn run(_: &Args) -> Result<(), Box<dyn Error>> {
    for (file, written) in DOCUMENTS {
        let path = repository().join(file);
        fs::write(&path, written(&fs::read_to_string(&path).unwrap_or_default())?)?;
        println!("{file}");
    }
    Ok(())
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
