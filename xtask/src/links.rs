//! That every relative link of every document leads to a file that is there, and to a heading that it has; and that every
//! promise names a test. Links to other sites are not followed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::markdown::{is_file, prose, resolve, split_anchor, targets};
use crate::repository;

#[test]
fn every_link_leads_somewhere() {
    let documents = documents();
    assert!(documents.len() > 5, "{documents:?}");
    let broken: Vec<String> = documents.iter().flat_map(|document| broken_links(document)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// README and its like, and everything under `docs` and `deploy`.
pub(crate) fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories =
        vec![(repository(), false), (repository().join("docs"), true), (repository().join("deploy"), true)];
    while let Some((directory, deep)) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && deep {
                directories.push((path, true));
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// Each link of a document that leads nowhere, with its line.
pub(crate) fn broken_links(document: &Path) -> Vec<String> {
    let text = fs::read_to_string(document).unwrap();
    let directory = document.parent().unwrap();
    let is_broken = |target: &str| {
        let (file, anchor) = split_anchor(target);
        let path = if file.is_empty() { document.to_owned() } else { resolve(directory, file) };
        let has_anchor = || anchors(&fs::read_to_string(&path).unwrap_or_default()).iter().any(|found| found == anchor);
        !path.exists() || !(anchor.is_empty() || has_anchor())
    };
    let links = prose(&text).flat_map(|(number, line)| targets(line).map(move |target| (number, target)));
    let inner = links.filter(|(_, target)| is_file(target) || target.starts_with('#'));
    let broken = inner.filter(|(_, target)| is_broken(target));
    broken.map(|(number, target)| format!("{}:{number}: nothing at {target}", document.display())).collect()
}

/// The anchors that GitHub gives to headings: lower case, hyphens for spaces, no punctuation, a number if it is not the first.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for title in prose(text).filter_map(|(_, line)| line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')) {
        let kept = title.trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
        let plain: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let numbered = |n: usize| if n == 0 { plain.clone() } else { format!("{plain}-{n}") };
        anchors.extend((0..).map(numbered).find(|name| !anchors.contains(name)));
    }
    anchors
}

#[test]
fn every_promise_names_a_test_that_exists() {
    for (document, least) in [("docs/behaviour.md", 20), ("docs/security.md", 15)] {
        let text = fs::read_to_string(repository().join(document)).unwrap();
        let promises: Vec<_> = text.split('[').filter_map(|rest| rest.split_once("](../")).collect();
        assert!(promises.len() > least, "{document} names tests");
        for (name, rest) in promises.into_iter().filter(|(name, _)| name.contains('_')) {
            let (file, _) = rest.split_once(')').unwrap();
            let source = fs::read_to_string(repository().join(file)).unwrap_or_default();
            assert!(source.contains(&format!("fn {name}(")), "{document}: {file} has no test {name}");
        }
    }
}

#[test]
fn a_broken_link_is_found() {
    let directory = control_plane::Scratch::new().unwrap();
    let document = directory.path().join("a.md");
    let text = "# A title, with `code`\n[ok](#a-title-with-code) [ok](a.md) [no](b.md)\n```sh\n[code](c.md)\n```\n[no](#other)\n";
    fs::write(&document, text).unwrap();
    let broken = broken_links(&document);
    assert_eq!(broken.len(), 2, "{broken:?}");
    assert!(broken[0].ends_with("a.md:2: nothing at b.md") && broken[1].ends_with("a.md:6: nothing at #other"));
}
