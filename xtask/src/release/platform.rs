//! What a release has for one architecture: the binary as an archive, its SBOM, and its image.

use std::error::Error;
use std::fs;
use std::path::Path;

use image_builder::root::Root;
use image_builder::{Image, Layout, Tree, gzip, libraries, mozilla, packages};

use super::files::Output;
use super::version::Version;
use super::{binary, licenses, name, sbom};
use crate::repository;

/// Builds all of it for this machine.
pub(super) fn build(version: &Version, output: &Output) -> Result<Layout, Box<dyn Error>> {
    let program = binary::build(version)?;
    let libraries = libraries(&program)?;
    let packages = packages::of(&libraries)?;
    if packages.is_empty() && !libraries.is_empty() {
        return Err("make releases on Debian or Ubuntu: version and license of glibc come from its package".into());
    }
    let certificates = mozilla();
    let licenses = licenses();
    let root = Root {
        program: &program,
        libraries: &libraries,
        packages: &packages,
        certificates: &certificates,
        licenses: &licenses,
    };
    let stem = format!("oauth-app-operator-{}-linux-{}", version.number, Image::architecture());
    output.write(&format!("{stem}.tar.gz"), &archive(version, &program, &stem)?)?;
    output.write(&format!("{stem}.cdx.json"), sbom::document(version, &packages)?.as_bytes())?;
    image(version, root.tree()?)
}

/// The image of this machine's architecture with these files.
pub(super) fn image(version: &Version, root: Tree) -> Result<Layout, Box<dyn Error>> {
    Ok(Layout::new(&Image {
        architecture: Image::architecture().to_owned(),
        root,
        time: version.time,
        created: version.created.clone(),
        labels: version.labels(),
    })?)
}

/// The binary with the names by which kubectl finds it as a plugin, and the man pages.
pub(super) fn archive(version: &Version, program: &Path, stem: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut tree = Tree::default();
    tree.program(&format!("{stem}/oauth-app-operator"), fs::read(program)?);
    for plugin in ["kubectl-oauth_app", "kubectl_complete-oauth_app"] {
        tree.link(&format!("{stem}/{plugin}"), "oauth-app-operator");
    }
    for license in licenses() {
        tree.file(&format!("{stem}/{}", name(&license)), fs::read(&license)?);
    }
    for page in fs::read_dir(repository().join("docs/man"))? {
        let page = page?.path();
        tree.file(&format!("{stem}/man/{}", name(&page)), fs::read(&page)?);
    }
    Ok(gzip(&tree.tar(version.time)?)?)
}
