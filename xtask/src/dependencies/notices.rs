//! The licenses of what is in the binary and its image, each text once.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::fs;

use super::graph::Package;

/// Names of the files that hold a license or a notice, in capitals.
const FILES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// Who made what, and the texts of all licenses.
pub(super) fn text(packages: &[&Package]) -> Result<String, Box<dyn Error>> {
    let mut text = String::from(
        "Third-party notices of oauth-app-operator, written by `cargo xtask dependencies`.\n\
         The program and its image contain the packages below. The texts of their licenses follow.\n\n",
    );
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages {
        let Package { name, version, license, repository, .. } = package;
        writeln!(text, "  {name} {version}, {license}, {repository}")?;
        for found in license_texts(package)? {
            texts.entry(found).or_default().push(format!("{name} {version}"));
        }
    }
    for (license, packages) in texts {
        writeln!(text, "\n{}\n{}:\n\n{license}", "-".repeat(100), packages.join(", "))?;
    }
    Ok(text)
}

/// A package that ships no text has the license of this repository, or it is an error.
fn license_texts(package: &Package) -> Result<Vec<String>, Box<dyn Error>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(&package.directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if entry.file_type()?.is_file() && FILES.iter().any(|file| name.starts_with(file)) {
            let text = String::from_utf8_lossy(&fs::read(entry.path())?).replace("\r\n", "\n");
            let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
            texts.push(lines.join("\n").trim_matches('\n').to_owned());
        }
    }
    texts.sort();
    if texts.is_empty() && package.license.contains("Apache-2.0") {
        texts.push(fs::read_to_string(crate::repository().join("LICENSE"))?.trim_matches('\n').to_owned());
    }
    match texts.is_empty() {
        true => Err(format!("{} ships no text of its license", package.name).into()),
        false => Ok(texts),
    }
}
