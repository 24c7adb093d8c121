//! Known vulnerabilities of packages, from `xtask/advisories.toml`: a snapshot of the RustSec advisory database.
//! A package is checked against it without a network.

mod database;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use semver::{Comparator, Version, VersionReq};
use toml_edit::{DocumentMut, TableLike};

use super::graph::Package;

/// All advisories of the database, as it was once.
pub(super) struct Snapshot {
    /// The day of its newest commit.
    pub date: String,
    /// In the order of the file.
    pub advisories: Vec<Advisory>,
}

/// What is known of the versions of a package.
pub(super) struct Advisory {
    id: String,
    package: String,
    title: String,
    /// `unmaintained`, `unsound` or `notice`; none is a vulnerability.
    informational: Option<String>,
    patched: Vec<VersionReq>,
    unaffected: Vec<VersionReq>,
}

impl Snapshot {
    /// As it is in the repository.
    pub(super) fn read() -> Result<Self, Box<dyn Error>> {
        Self::parse(&fs::read_to_string(file())?)
    }

    /// Reads a checkout of the database and writes the snapshot.
    pub(super) fn refresh(checkout: &Path) -> Result<(), Box<dyn Error>> {
        let text = database::snapshot(checkout)?;
        Self::parse(&text)?;
        Ok(fs::write(file(), text)?)
    }

    fn parse(text: &str) -> Result<Self, Box<dyn Error>> {
        let document: DocumentMut = text.parse()?;
        let date = document.get("date").and_then(|date| date.as_str()).ok_or("no date")?.to_owned();
        let lines = document.get("advisories").and_then(|table| table.as_table_like()).ok_or("no advisories")?;
        let advisories = lines.iter().map(|(id, line)| {
            let fields = line.as_table_like().ok_or_else(|| format!("{id} is no table"))?;
            Advisory::read(id, fields).map_err(|error| format!("{id}: {error}").into())
        });
        Ok(Self { date, advisories: advisories.collect::<Result<_, Box<dyn Error>>>()? })
    }

    /// Which packages have an advisory that is not ignored, and which one.
    pub(super) fn found_in(&self, packages: &[Package], ignored: &[String]) -> Result<Vec<String>, Box<dyn Error>> {
        let mut found = Vec::new();
        for package in packages {
            let version = Version::parse(&package.version)?;
            let relevant = self.advisories.iter().filter(|a| a.package == package.name && !ignored.contains(&a.id));
            found.extend(relevant.filter(|a| a.affects(&version)).map(|a| a.message(&version)));
        }
        Ok(found)
    }
}

impl Advisory {
    fn read(id: &str, fields: &dyn TableLike) -> Result<Self, Box<dyn Error>> {
        let text = |name: &str| fields.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        let ranges = |name: &str| -> Result<Vec<VersionReq>, Box<dyn Error>> {
            let ranges = fields.get(name).and_then(|value| value.as_array()).into_iter().flatten();
            ranges.map(|range| Ok(VersionReq::parse(range.as_str().unwrap_or_default())?)).collect()
        };
        Ok(Self {
            id: id.to_owned(),
            package: text("package").ok_or("no package")?,
            title: text("title").ok_or("no title")?,
            informational: text("informational"),
            patched: ranges("patched")?,
            unaffected: ranges("unaffected")?,
        })
    }

    fn affects(&self, version: &Version) -> bool {
        !self.patched.iter().chain(&self.unaffected).any(|range| includes(range, version))
    }

    fn message(&self, version: &Version) -> String {
        let Self { id, package, title, .. } = self;
        let kind = self.informational.as_deref().unwrap_or("vulnerability");
        let patched: Vec<_> = self.patched.iter().map(VersionReq::to_string).collect();
        let patched = if patched.is_empty() { "no version".to_owned() } else { patched.join(" or ") };
        format!("{id}: {package} {version}: {kind}: {title}; patched: {patched}")
    }
}

/// A range of Cargo does not match most pre-releases. Here it includes those of a release that it matches, except where it
/// begins or ends at that release: then they may be without the fix.
fn includes(range: &VersionReq, version: &Version) -> bool {
    let release = Version::new(version.major, version.minor, version.patch);
    let bound = |at: &Comparator| Version::new(at.major, at.minor.unwrap_or(0), at.patch.unwrap_or(0));
    let is_bound = range.comparators.iter().any(|comparator| bound(comparator) == release);
    range.matches(version) || !version.pre.is_empty() && !is_bound && range.matches(&release)
}

fn file() -> PathBuf {
    crate::repository().join("xtask/advisories.toml")
}

#[cfg(test)]
mod tests;
