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
    for (document, least) in [("docs/behaviour.md", 20), ("docs/security.md", 15)] {
        let text = fs::read_to_string(repository().join(document)).unwrap();
        let promises: Vec<_> = text.split('[').filter_map(|rest| rest.split_once("](../")).collect();
        assert!(promises.len() > least, "{document} names tests");
        for (name, rest) in promises.into_iter().filter(|(name, _)| name.contains('_')) {
            let (file, _) = rest.split_once(')').unwrap();
            let source = fs::read_to_string(repository().join(file)).unwrap();
            assert!(source.contains(&format!("fn {name}(")), "{document}: {file} has no test {name}");
        }
    }
}
