//! The Debian packages of shared libraries, so that scanners find their versions and users their licenses in the image.
//! The files are where the distroless images have them.

use std::path::Path;
use std::process::{Command, Output};

use crate::{Error, Tree};

/// A package of this machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// As Debian names it.
    pub architecture: String,
}

/// The packages of these files, sorted; none where `dpkg-query` is not installed.
///
/// # Errors
/// When a file is of no package.
pub fn of(files: &[impl AsRef<Path>]) -> Result<Vec<Package>, Error> {
    let mut packages = Vec::new();
    for file in files {
        match owner(file.as_ref()) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            owner => packages.push(read(&owner?)?),
        }
    }
    packages.sort();
    packages.dedup();
    Ok(packages)
}

/// The name of the package, such as `libc6:amd64`.
fn owner(file: &Path) -> Result<String, Error> {
    // The database has a path with or without /usr, though both lead to one file.
    let under_usr = Path::new("/usr").join(file.strip_prefix("/").unwrap_or(file));
    for path in [file, &under_usr] {
        let output = query(&["--search".as_ref(), path])?;
        if output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            return Ok(text.split_once(": ").map_or(text.clone(), |(package, _)| package.to_owned()));
        }
    }
    Err(Error::Program { program: "dpkg-query", message: format!("{} is of no package", file.display()) })
}

fn read(package: &str) -> Result<Package, Error> {
    let text = text(&["--show", "--showformat=${Package} ${Version} ${Architecture}", package])?;
    let mut words = text.split(' ').map(str::to_owned);
    let mut word = || words.next().unwrap_or_default();
    Ok(Package { name: word(), version: word(), architecture: word() })
}

/// Adds the record of each package, its license, and the name of the distribution.
///
/// # Errors
/// When one of these cannot be read.
pub fn record(packages: &[Package], tree: &mut Tree) -> Result<(), Error> {
    for Package { name, architecture, .. } in packages {
        let status = text(&["--status", &format!("{name}:{architecture}")])?;
        tree.file(&format!("var/lib/dpkg/status.d/{name}"), status);
        let license = format!("/usr/share/doc/{name}/copyright");
        tree.file(&license, std::fs::read(&license).map_err(Error::io(&license))?);
    }
    if !packages.is_empty() {
        let path = "/etc/os-release";
        tree.file(path, std::fs::read(path).map_err(Error::io(path))?);
    }
    Ok(())
}

fn text(arguments: &[&str]) -> Result<String, Error> {
    let arguments: Vec<&Path> = arguments.iter().map(Path::new).collect();
    let output = query(&arguments)?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Error::Program { program: "dpkg-query", message })
        }
    }
}

fn query(arguments: &[&Path]) -> Result<Output, Error> {
    Command::new("dpkg-query").args(arguments).env("LC_ALL", "C").output().map_err(Error::io("dpkg-query"))
}
