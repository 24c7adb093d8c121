//! The files of the image: the program, the shared libraries that it is linked with, CA certificates, licenses, and the few files
//! that glibc reads. There is no shell and no package manager.

use std::path::{Path, PathBuf};

use crate::image::{PROGRAM, USER};
use crate::{Error, Tree, packages};

/// Where programs look for CA certificates on Debian.
pub const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// What goes into the image.
#[derive(Clone, Copy, Debug)]
pub struct Root<'a> {
    pub program: &'a Path,
    /// What [`crate::libraries`] finds for it.
    pub libraries: &'a [PathBuf],
    /// What [`packages::of`] finds for them.
    pub packages: &'a [packages::Package],
    /// PEM.
    pub certificates: &'a str,
    /// License and notices.
    pub licenses: &'a [PathBuf],
}

impl Root<'_> {
    /// Reads all of it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn tree(&self) -> Result<Tree, Error> {
        let mut tree = Tree::default();
        tree.program(PROGRAM, read(self.program)?);
        for library in self.libraries {
            // Programs, since the loader is one.
            tree.program(&library.to_string_lossy(), read(library)?);
        }
        packages::record(self.packages, &mut tree)?;
        tree.file(CERTIFICATES, self.certificates);
        for license in self.licenses {
            let name = license.file_name().unwrap_or_default().to_string_lossy();
            tree.file(&format!("usr/share/doc/oauth-app-operator/{name}"), read(license)?);
        }
        tree.file("etc/passwd", format!("nonroot:x:{USER}:{USER}:nonroot:/:/sbin/nologin\n"));
        tree.file("etc/group", format!("nonroot:x:{USER}:\n"));
        // `hostAliases` of a pod are in /etc/hosts, which must be read before DNS is asked.
        tree.file("etc/nsswitch.conf", "hosts: files dns\n");
        Ok(tree)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(Error::io(path))
}
