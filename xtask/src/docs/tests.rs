//! That the documents are what the code says, and that what they point at is there.

mod links;

use super::{DOCUMENTS, repository};
use std::fs;

#[test]
fn the_documents_are_what_the_code_says() {
    for (file, written) in DOCUMENTS {
        let text = fs::read_to_string(repository().join(file)).unwrap_or_default();
        assert!(written(&text).unwrap() == text, "{file} is stale: run `cargo xtask docs`");
    }
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let promises = fs::read_to_string(repository().join("docs/behaviour.md")).unwrap();
    let links: Vec<_> = promises.lines().filter_map(|line| line.strip_suffix(") |")?.rsplit_once("| [")).collect();
    assert!(links.len() > 20, "the table of docs/behaviour.md has rows with a test");
    for (_, link) in links {
        let (name, file) = link.split_once("](../").unwrap();
        let source = fs::read_to_string(repository().join(file)).unwrap();
        let found = source.contains(&format!("fn {name}()"));
        assert!(found, "{file} has no test {name}");
    }
}
