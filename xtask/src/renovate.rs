//! That Renovate finds each program whose version is pinned in Rust source: a comment that its pattern does not match would
//! leave the version as it is for good, without a message.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

use crate::repository;

/// The pattern of `renovate.json`.
fn pattern() -> Regex {
    let config: Value = serde_json::from_str(&fs::read_to_string(repository().join("renovate.json")).unwrap()).unwrap();
    let patterns = config["customManagers"][0]["matchStrings"].as_array().unwrap();
    assert_eq!(patterns.len(), 1);
    Regex::new(patterns[0].as_str().unwrap()).unwrap()
}

#[test]
fn each_comment_for_renovate_is_matched() {
    let pattern = pattern();
    let mut found = Vec::new();
    let files = ["tests", "xtask"].iter().flat_map(|folder| rust_files(&repository().join(folder)));
    // This file has comments that are no comments.
    for file in files.filter(|file| !file.ends_with("xtask/src/renovate.rs")) {
        let text = fs::read_to_string(&file).unwrap();
        let names: Vec<_> = pattern.captures_iter(&text).map(|pinned| pinned["depName"].to_owned()).collect();
        let comments = text.matches("// renovate:").count();
        assert_eq!(names.len(), comments, "{}: comments that renovate.json does not match", file.display());
        found.extend(names);
    }
    for name in ["kubernetes/kubernetes", "etcd-io/etcd", "helm/helm", "prometheus/prometheus", "mdbook", "zizmor"] {
        assert!(found.iter().any(|found| found == name), "{name} is not in {found:?}");
    }
}

#[test]
fn the_pattern_finds_name_and_version() {
    let pattern = pattern();
    let text = "// renovate: datasource=github-releases depName=a/b extractVersion=^v(?<version>.+)$\npub(super) const B_4: &str = \"1.2.3\";\n";
    let pinned = pattern.captures(text).unwrap();
    let parts = ["datasource", "depName", "extractVersion", "currentValue"].map(|part| &pinned[part]);
    assert_eq!(parts, ["github-releases", "a/b", "^v(?<version>.+)$", "1.2.3"]);
    assert!(!pattern.is_match("// renovate: datasource=github-releases depName=a/b\n\nconst B: &str = \"1.2.3\";"));
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}
