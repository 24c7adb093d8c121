//! The files of the policy have one direction: each uses only those that stand before it here.

use std::path::Path;

const FILES: [&str; 33] = [
    "resource",
    "time",
    "role_note",
    "claims",
    "access",
    "validate",
    "model",
    "drift",
    "observe",
    "plan",
    "step",
    "faults",
    "ownership",
    "secrets",
    "fill_in",
    "absence",
    "verification",
    "schedule",
    "writes",
    "claiming",
    "replacement",
    "overlap",
    "creation",
    "rotation",
    "first_secret",
    "overlap_end",
    "consumers",
    "maintenance",
    "remote_app",
    "roles",
    "deletion",
    "enforce",
    "settled",
];

#[test]
fn each_file_uses_only_those_before_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/decide");
    let mut uses = 0;
    for (n, file) in FILES.iter().enumerate() {
        let source = std::fs::read_to_string(folder.join(format!("{file}.rs"))).unwrap();
        for line in source.lines().filter_map(|line| line.strip_prefix("use super::")) {
            let used = line.split([':', ';']).next().unwrap();
            assert!(FILES[..n].contains(&used), "{file} uses {used}");
            uses += 1;
        }
    }
    assert!(uses > 50, "{uses}");
}

#[test]
fn every_file_is_in_the_order() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/decide");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files = names.filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned()));
    let mut files: Vec<String> = files.filter(|file| file != "tests").collect();
    files.sort();
    let mut listed = FILES;
    listed.sort_unstable();
    assert_eq!(files, listed);
}
