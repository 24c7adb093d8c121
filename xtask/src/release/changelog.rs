//! What the changelog says about a version: the release notes, and the changes that Artifact Hub shows.

use std::error::Error;
use std::fs;

use serde_json::{Value, json};

use super::version::Version;
use crate::repository;

/// The section of one version.
pub(super) struct Section(String);

/// The section of the version; without a tag also the one of unreleased changes.
pub(super) fn read(version: &Version) -> Result<Section, Box<dyn Error>> {
    let text = fs::read_to_string(repository().join("CHANGELOG.md"))?;
    let found = choose(&text, &version.number, version.is_tagged);
    Ok(found.ok_or_else(|| format!("CHANGELOG.md has no section for {}", version.number))?)
}

fn choose(text: &str, number: &str, is_tagged: bool) -> Option<Section> {
    section(text, number).or_else(|| section(text, "Unreleased").filter(|_| !is_tagged))
}

/// From its heading to the next one.
fn section(text: &str, name: &str) -> Option<Section> {
    let start = text.find(&format!("\n## [{name}]"))? + 1;
    let body = text[start..].split_once('\n')?.1;
    let end = body.find("\n## [").map_or(body.len(), |end| end + 1);
    Some(Section(body[..end].trim().to_owned()))
}

impl Section {
    /// The release notes: how to get it, then the changes.
    pub(super) fn notes(&self, version: &Version, digest: &str) -> String {
        let Version { image, number, .. } = version;
        format!(
            "Image: `{image}:{number}@{digest}`, for the architectures of the archives below. `SHA256SUMS` has the \
             checksums of all files. `docs/install.md` describes the installation and `docs/verify.md` how to verify \
             these files.\n\n{}\n",
            self.0
        )
    }

    /// The changes as Artifact Hub wants them: a list, each with its kind.
    pub(super) fn changes(&self) -> Vec<Value> {
        let mut changes: Vec<(String, String)> = Vec::new();
        let mut kind = String::new();
        for line in self.0.lines() {
            if let Some(heading) = line.strip_prefix("### ") {
                kind = heading.trim().to_lowercase();
            } else if let Some(item) = line.strip_prefix("- ") {
                changes.push((kind.clone(), item.trim().to_owned()));
            } else if let Some((_, last)) = changes.last_mut().filter(|_| line.starts_with("  ")) {
                *last += &format!(" {}", line.trim());
            }
        }
        changes.into_iter().map(|(kind, description)| json!({"kind": kind, "description": description})).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- One\n  line.\n- Two.\n\n### Fixed\n\n- Three.\n\n\
                        ## [0.1.0] - 2026-01-01\n\n### Added\n\n- All.\n";

    #[test]
    fn section_ends_before_the_next_version() {
        assert!(section(TEXT, "Unreleased").unwrap().0.ends_with("- Three."));
        assert_eq!(section(TEXT, "0.1.0").unwrap().0, "### Added\n\n- All.");
        assert!(section(TEXT, "0.2.0").is_none());
    }

    #[test]
    fn tagged_version_needs_a_section_of_its_own() {
        assert!(choose(TEXT, "0.2.0", false).is_some_and(|section| section.0.ends_with("- Three.")));
        assert!(choose(TEXT, "0.2.0", true).is_none());
        assert!(choose(TEXT, "0.1.0", true).is_some());
    }

    #[test]
    fn changes_have_their_kind_and_their_whole_text() {
        let expected = [("added", "One line."), ("added", "Two."), ("fixed", "Three.")];
        let expected = expected.map(|(kind, text)| json!({"kind": kind, "description": text}));
        assert_eq!(section(TEXT, "Unreleased").unwrap().changes(), expected);
    }
}
