//! The binary as it is released: with the list of its dependencies inside, and with no path of the machine.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::version::Version;
use crate::tools::{Registry, Tool};
use crate::{command, repository};

/// Writes the list of dependencies into the binary, where scanners find it.
const CARGO_AUDITABLE: Tool = Tool {
    name: "cargo-auditable",
    package: "cargo-auditable",
    // renovate: datasource=crate depName=cargo-auditable
    version: "0.7.7",
    registry: Registry::CratesIo { options: &[] },
};

/// Builds it for this machine; takes minutes.
pub(super) fn build(version: &Version) -> Result<PathBuf, Box<dyn Error>> {
    let target = target_directory()?;
    let prefixes = path_prefixes(&target)?;
    let mut cargo = Command::new(CARGO_AUDITABLE.provide()?);
    cargo.args(["auditable", "build", "--release", "--locked", "--package", "oauth-app-operator", "--target-dir"]);
    cargo.arg(&target).current_dir(repository());
    cargo.env("COMMIT", version.revision.get(..12).unwrap_or(&version.revision));
    cargo.env("SOURCE_DATE_EPOCH", version.time.to_string());
    let flags: Vec<_> = prefixes.iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}")).collect();
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    let flags: Vec<_> = prefixes.iter().map(|(from, to)| format!("-ffile-prefix-map={from}={to}")).collect();
    cargo.env("CFLAGS", flags.join(" "));
    eprintln!("building the release binary, which takes minutes");
    let status = cargo.status()?;
    if !status.success() {
        return Err(format!("cargo auditable build: {status}").into());
    }
    Ok(target.join("release/oauth-app-operator"))
}

/// A directory of its own, since other flags would have cargo build everything again.
fn target_directory() -> Result<PathBuf, Box<dyn Error>> {
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).ok_or("this program is in no directory of builds")?;
    Ok(target.join("xtask-release"))
}

/// Directories whose names would be in the binary, and what stands there instead. The last one that matches is used.
fn path_prefixes(target: &Path) -> Result<Vec<(String, &'static str)>, Box<dyn Error>> {
    let sysroot = command::output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(repository()))?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let directories = [
        (repository().canonicalize()?, "/source"),
        (target.to_owned(), "/target"),
        (PathBuf::from(sysroot.trim()), "/rust"),
        (home.ok_or("set HOME or CARGO_HOME")?, "/cargo"),
    ];
    Ok(directories.into_iter().map(|(path, name)| (path.display().to_string(), name)).collect())
}
