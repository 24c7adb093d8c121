//! The program mdBook, in one version: from the `PATH`, from the user's cache, or installed there by cargo.

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::output;

// renovate: datasource=crate depName=mdbook
const VERSION: &str = "0.5.4";

/// Finds mdBook, or installs it, which takes minutes.
pub(super) fn provide() -> Result<PathBuf, Box<dyn Error>> {
    let root = cache()?.join(format!("oauth-app-operator/mdbook-{VERSION}"));
    let cached = root.join("bin/mdbook");
    if let Some(found) = [PathBuf::from("mdbook"), cached.clone()].into_iter().find(|program| is_wanted(program)) {
        return Ok(found);
    }
    eprintln!("installing mdbook {VERSION} in {}; only the first time, it takes minutes", root.display());
    let mut install = Command::new(set("CARGO").unwrap_or_else(|| "cargo".into()));
    install.args(["install", "--locked", "--no-default-features", "--features=search", &format!("mdbook@{VERSION}")]);
    // Its files do not belong into the target directory of this repository.
    let status = install.arg("--root").arg(&root).env_remove("CARGO_TARGET_DIR").status()?;
    if status.success() { Ok(cached) } else { Err(format!("cargo install mdbook: {status}").into()) }
}

/// Builds the book in this directory.
pub(super) fn build(program: &Path, book: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    output(Command::new(program).arg("build").arg(book).arg("--dest-dir").arg(out)).map(drop)
}

fn is_wanted(program: &Path) -> bool {
    output(Command::new(program).arg("--version")).is_ok_and(|printed| printed.trim() == format!("mdbook v{VERSION}"))
}

fn cache() -> Result<PathBuf, Box<dyn Error>> {
    let base = set("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")));
    base.ok_or_else(|| "set HOME: mdbook is kept in ~/.cache".into())
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
