//! The software bill of materials, as CycloneDX JSON: cargo-cyclonedx lists the crates of the binary, and this adds what the image
//! has besides: the Debian packages of its libraries, and its CA certificates.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use control_plane::Scratch;
use image_builder::packages::Package;
use serde_json::{Value, json};
use toml_edit::DocumentMut;

use super::version::Version;
use crate::tools::{Registry, Tool};
use crate::{command, repository};

const CARGO_CYCLONEDX: Tool = Tool {
    name: "cargo-cyclonedx",
    package: "cargo-cyclonedx",
    // renovate: datasource=crate depName=cargo-cyclonedx
    version: "0.5.9",
    registry: Registry::CratesIo { options: &[] },
};

/// The crate with the CA certificates.
const CERTIFICATES: &str = "webpki-root-certs";

/// The document for this machine's architecture.
pub(super) fn document(version: &Version, packages: &[Package]) -> Result<String, Box<dyn Error>> {
    let scratch = Scratch::new()?;
    let text = crates(version, scratch.path())?;
    // The directory is another one each time.
    let text = text.replace(&scratch.path().display().to_string(), "/source");
    let mut document: Value = serde_json::from_str(&text)?;
    let components = document["components"].as_array_mut().ok_or("cargo-cyclonedx lists no components")?;
    let distribution = fs::read_to_string("/etc/os-release").unwrap_or_default();
    components.extend(packages.iter().map(|package| component(package, &distribution)));
    components.push(certificates()?);
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// What cargo-cyclonedx writes. It leaves a file in each crate, so it gets a copy of the repository.
fn crates(version: &Version, copy: &Path) -> Result<String, Box<dyn Error>> {
    let archive = copy.join("source.tar");
    command::output(
        Command::new("git").args(["archive", "--output"]).arg(&archive).arg("HEAD").current_dir(repository()),
    )?;
    command::output(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(copy))?;
    let mut cargo = Command::new(CARGO_CYCLONEDX.provide()?);
    cargo.args(["cyclonedx", "--format=json", "--spec-version=1.5", "--no-build-deps", "--override-filename=sbom"]);
    command::output(cargo.current_dir(copy).env("SOURCE_DATE_EPOCH", version.time.to_string()))?;
    Ok(fs::read_to_string(copy.join("sbom.json"))?)
}

/// A Debian package. `distribution` is the content of os-release.
fn component(package: &Package, distribution: &str) -> Value {
    let field = |name: &str| {
        let value = distribution.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches('"')
    };
    let Package { name, version, architecture } = package;
    let (id, number) = (field("ID"), field("VERSION_ID"));
    let encoded = version.replace('%', "%25").replace('+', "%2B").replace(':', "%3A");
    let purl = format!("pkg:deb/{id}/{name}@{encoded}?arch={architecture}&distro={id}-{number}");
    json!({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl})
}

/// Mozilla's CA certificates, by the version of their crate.
fn certificates() -> Result<Value, Box<dyn Error>> {
    let lock: DocumentMut = fs::read_to_string(repository().join("Cargo.lock"))?.parse()?;
    let packages = lock["package"].as_array_of_tables().ok_or("Cargo.lock has no packages")?;
    let package =
        packages.iter().find(|package| package.get("name").and_then(|name| name.as_str()) == Some(CERTIFICATES));
    let version =
        package.and_then(|package| package.get("version")?.as_str()).ok_or("no CA certificates in Cargo.lock")?;
    let purl = format!("pkg:cargo/{CERTIFICATES}@{version}");
    let licenses = json!([{"expression": "CDLA-Permissive-2.0"}]);
    Ok(
        json!({"type": "data", "bom-ref": purl, "name": CERTIFICATES, "version": version, "purl": purl, "licenses": licenses}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_package_has_the_url_that_scanners_know() {
        let [name, version, architecture] = ["libc6", "2.36-9+deb12u14", "amd64"].map(str::to_owned);
        let package = Package { name, version, architecture };
        let component = component(&package, "PRETTY_NAME=\"Debian\"\nVERSION_ID=\"12\"\nID=debian\n");
        assert_eq!(component["purl"], "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12");
        assert_eq!(component["version"], "2.36-9+deb12u14");
    }

    #[test]
    fn certificates_are_of_the_version_in_the_lock_file() {
        let purl = certificates().unwrap()["purl"].to_string();
        assert!(purl.starts_with("\"pkg:cargo/webpki-root-certs@1."), "{purl}");
    }
}
