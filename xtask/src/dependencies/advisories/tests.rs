use std::path::PathBuf;

use super::super::graph::Package;
use super::*;

const SNAPSHOT: &str = r#"
date = "2026-01-31"

[advisories]
RUSTSEC-2026-0001 = { package = "fictional", title = "Reads too far", patched = [">= 1.2.3, < 2.0.0", ">= 2.1.0-rc.2"], unaffected = ["< 0.5"] }
RUSTSEC-2026-0002 = { package = "forsaken", title = "Nobody maintains it", informational = "unmaintained" }
"#;

fn package(name: &str, version: &str) -> Package {
    let [name, version, license, repository, source] = [name, version, "", "", ""].map(str::to_owned);
    Package { name, version, license, repository, source, directory: PathBuf::new() }
}

fn found(name: &str, version: &str, ignored: &[&str]) -> Vec<String> {
    let ignored: Vec<String> = ignored.iter().map(|id| (*id).to_owned()).collect();
    Snapshot::parse(SNAPSHOT).unwrap().found_in(&[package(name, version)], &ignored).unwrap()
}

#[test]
fn an_affected_version_is_found_with_the_versions_that_are_patched() {
    assert_eq!(
        found("fictional", "1.2.2", &[]),
        ["RUSTSEC-2026-0001: fictional 1.2.2: vulnerability: Reads too far; patched: >=1.2.3, <2.0.0 or >=2.1.0-rc.2"]
    );
    assert_eq!(
        found("forsaken", "7.0.0", &[]),
        ["RUSTSEC-2026-0002: forsaken 7.0.0: unmaintained: Nobody maintains it; patched: no version"]
    );
}

#[test]
fn a_version_is_affected_unless_it_is_patched_or_never_was() {
    for (version, affected) in [
        ("0.4.9", false),
        ("0.5.0", true),
        ("1.2.3", false),
        ("1.9.0", false),
        ("2.0.0", true),
        ("2.1.0", false),
        ("3.0.0", false),
    ] {
        assert_eq!(!found("fictional", version, &[]).is_empty(), affected, "{version}");
    }
    assert!(found("other", "1.0.0", &[]).is_empty());
}

#[test]
fn a_prerelease_counts_as_its_release_unless_a_range_begins_or_ends_there() {
    for (version, affected) in [
        ("0.4.0-rc.1", false),
        ("0.5.0-rc.1", true),
        ("1.2.3-rc.1", true),
        ("1.2.4-rc.1", false),
        ("2.0.0-rc.1", true),
        ("2.1.0-rc.1", true),
        ("2.1.0-rc.2", false),
        ("2.2.0-rc.1", false),
    ] {
        assert_eq!(!found("fictional", version, &[]).is_empty(), affected, "{version}");
    }
}

#[test]
fn an_ignored_advisory_is_not_found() {
    assert!(found("forsaken", "7.0.0", &["RUSTSEC-2026-0002"]).is_empty());
    assert!(!found("forsaken", "7.0.0", &["RUSTSEC-2026-0001"]).is_empty());
}

#[test]
fn the_snapshot_of_the_repository_is_whole_and_sorted() {
    let snapshot = Snapshot::read().unwrap();
    assert!(snapshot.advisories.len() > 1000, "{}", snapshot.advisories.len());
    assert!(snapshot.advisories.is_sorted_by(|a, b| a.id < b.id));
    let found = snapshot.found_in(&[package("time", "0.2.22"), package("time", "0.3.47")], &[]).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("RUSTSEC-2020-0071: time 0.2.22: vulnerability: "), "{found:?}");
}

#[test]
fn a_line_keeps_what_a_check_needs() {
    let advisory = |more: &str| {
        format!(
            "```toml\n[advisory]\nid = \"RUSTSEC-2026-0001\"\npackage = \"fictional\"\ndate = \"2026-01-31\"\n\
             url = \"https://example.com\"\n{more}\n[versions]\npatched = [\">= 1.2.3\"]\nunaffected = []\n```\n\n\
             # Reads \"too\" far\n\nIt does.\n"
        )
    };
    let line = |more: &str| database::line(&advisory(more)).unwrap();
    let start = r#"RUSTSEC-2026-0001 = { package = "fictional", title = "Reads \"too\" far", "#;
    let patched = r#"patched = [">= 1.2.3"]"#;
    assert_eq!(line(""), Some(format!("{start}{patched} }}\n")));
    assert_eq!(
        line("informational = \"unsound\"\nlicense = \"CC-BY-4.0\""),
        Some(format!(
            "{start}informational = \"unsound\", {patched}, url = \"https://example.com\", license = \"CC-BY-4.0\" }}\n"
        ))
    );
    assert_eq!(line("withdrawn = \"2026-02-01\""), None);
    assert!(database::line("# No TOML").is_err());
}
