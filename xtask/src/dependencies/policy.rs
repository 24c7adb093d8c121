//! The rules of `deny.toml` that need no network.

use std::error::Error;
use std::fs;

use toml_edit::{DocumentMut, Item, Value};

use super::graph::Package;

/// What dependencies may be.
pub(super) struct Policy {
    licenses: Vec<String>,
    banned: Vec<String>,
    registries: Vec<String>,
    /// The ids of advisories that are accepted.
    pub ignored: Vec<String>,
}

impl Policy {
    /// As `deny.toml` says.
    pub(super) fn read() -> Result<Self, Box<dyn Error>> {
        let file: DocumentMut = fs::read_to_string(crate::repository().join("deny.toml"))?.parse()?;
        let strings = |item: &Item, field: Option<&str>| -> Vec<String> {
            let items = item.as_array().into_iter().flatten();
            let text = items.filter_map(|item| match field {
                None => item.as_str(),
                Some(field) => item.as_inline_table()?.get(field)?.as_str(),
            });
            text.map(str::to_owned).collect()
        };
        Ok(Self {
            licenses: strings(&file["licenses"]["allow"], None),
            banned: strings(&file["bans"]["deny"], Some("name")),
            registries: strings(&file["sources"]["allow-registry"], None),
            ignored: ignored(file["advisories"].get("ignore")),
        })
    }

    /// Which packages break a rule, and which rule.
    pub(super) fn broken_by(&self, packages: &[Package]) -> Vec<String> {
        let mut broken = Vec::new();
        for package in packages {
            let Package { name, license, source, .. } = package;
            if !self.allows(license) {
                broken.push(format!("{name}: license {license:?} is not allowed"));
            }
            if self.banned.contains(name) {
                broken.push(format!("{name} is banned"));
            }
            if !self.registries.iter().any(|registry| *source == format!("registry+{registry}")) {
                broken.push(format!("{name} comes from {source}"));
            }
        }
        broken
    }

    /// One of the alternatives of an SPDX expression must be allowed in all its parts.
    fn allows(&self, license: &str) -> bool {
        let license = license.replace('/', " OR ");
        let mut words = words(&license).into_iter().peekable();
        self.either(&mut words) && words.peek().is_none()
    }

    fn either(&self, words: &mut Words) -> bool {
        let mut allowed = self.both(words);
        while words.next_if(|word| word == "OR").is_some() {
            allowed |= self.both(words);
        }
        allowed
    }

    fn both(&self, words: &mut Words) -> bool {
        let mut allowed = self.one(words);
        while words.next_if(|word| word == "AND").is_some() {
            allowed &= self.one(words);
        }
        allowed
    }

    fn one(&self, words: &mut Words) -> bool {
        let Some(mut name) = words.next() else { return false };
        if name == "(" {
            let allowed = self.either(words);
            return words.next().as_deref() == Some(")") && allowed;
        }
        if words.next_if(|word| word == "WITH").is_some() {
            name = format!("{name} WITH {}", words.next().unwrap_or_default());
        }
        self.licenses.contains(&name)
    }
}

/// The ids that are listed with a reason; one without is not ignored.
fn ignored(list: Option<&Item>) -> Vec<String> {
    let tables = list.and_then(Item::as_array).into_iter().flatten().filter_map(Value::as_inline_table);
    let has_reason = tables.filter(|table| table.get("reason").and_then(Value::as_str).is_some_and(|r| !r.is_empty()));
    has_reason.filter_map(|table| Some(table.get("id")?.as_str()?.to_owned())).collect()
}

type Words = std::iter::Peekable<std::vec::IntoIter<String>>;

fn words(license: &str) -> Vec<String> {
    let spaced = license.replace('(', " ( ").replace(')', " ) ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(license: &str, source: &str) -> [Package; 1] {
        let [name, version, repository] = ["p", "1.0.0", ""].map(str::to_owned);
        let (license, source, directory) = (license.into(), source.into(), std::path::PathBuf::new());
        [Package { name, version, license, repository, source, directory }]
    }

    fn policy() -> Policy {
        let licenses = vec!["MIT".into(), "ISC".into()];
        Policy { licenses, banned: Vec::new(), registries: vec!["here".into()], ignored: Vec::new() }
    }

    #[test]
    fn a_license_needs_an_alternative_that_is_allowed_in_all_its_parts() {
        for (license, allowed) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("MIT/GPL-3.0", true),
            ("MIT AND GPL-3.0", false),
            ("ISC AND (GPL-3.0 OR MIT)", true),
            ("(ISC OR MIT) AND GPL-3.0", false),
            ("MIT WITH exception", false),
            ("", false),
        ] {
            assert_eq!(policy().broken_by(&package(license, "registry+here")).is_empty(), allowed, "{license}");
        }
    }

    #[test]
    fn a_package_from_elsewhere_or_of_a_banned_name_is_found() {
        assert_eq!(policy().broken_by(&package("MIT", "git+there")), ["p comes from git+there"]);
        let banning = Policy { banned: vec!["p".into()], ..policy() };
        assert_eq!(banning.broken_by(&package("MIT", "registry+here")), ["p is banned"]);
    }

    #[test]
    fn an_advisory_is_ignored_with_a_reason_only() {
        let file: DocumentMut =
            r#"ignore = [{ id = "A", reason = "not used" }, { id = "B", reason = "" }, { id = "C" }, "D"]"#.parse().unwrap();
        assert_eq!(ignored(file.get("ignore")), ["A"]);
        assert!(ignored(None).is_empty());
    }
}
