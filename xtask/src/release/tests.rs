//! The artifacts of a release around a small image, since a release build takes minutes.

use std::collections::BTreeSet;

use control_plane::Scratch;
use image_builder::{Image, Tree};
use serde_json::Value;

use super::*;

fn version() -> Version {
    let [number, revision] = [env!("CARGO_PKG_VERSION"), "0123456789abcdef"].map(str::to_owned);
    let created = "2026-01-02T03:04:05Z".to_owned();
    let image = "registry.example.com/team/operator".to_owned();
    Version {
        number,
        revision,
        time: 1_767_323_045,
        created,
        source: Some("https://git.example.com/app".to_owned()),
        image,
        is_tagged: false,
    }
}

fn layout(version: &Version, architecture: &str) -> Layout {
    let mut root = Tree::default();
    root.program(image_builder::PROGRAM, architecture);
    let (created, labels) = (version.created.clone(), version.labels());
    Layout::new(&Image { architecture: architecture.to_owned(), root, time: version.time, created, labels }).unwrap()
}

/// The output of a run on one architecture.
fn output(directory: &Path, architecture: &str) -> Output {
    let (version, output) = (version(), Output::create(directory).unwrap());
    let archive = platform::archive(&version, Path::new("/bin/sh"), "stem").unwrap();
    output.write(&format!("oauth-app-operator-linux-{architecture}.tar.gz"), &archive).unwrap();
    publish(&version, &layout(&version, architecture), &output).unwrap();
    output
}

#[test]
fn same_version_gives_the_same_files() {
    let scratch = Scratch::new().unwrap();
    let sums = ["one", "other"].map(|name| output(&scratch.path().join(name), "amd64").checksums().unwrap());
    assert_eq!(sums[0], sums[1]);
    assert!(sums[0].len() > 10, "{sums:?}");
}

#[test]
fn packaged_chart_and_manifests_name_the_image_by_its_digest() {
    let scratch = Scratch::new().unwrap();
    let output = output(&scratch.path().join("out"), "amd64");
    let digest = layout(&version(), "amd64").digest();
    let image = format!("registry.example.com/team/operator@{digest}");
    let manifests = fs::read_to_string(output.path("install.yaml")).unwrap();
    let images: BTreeSet<_> = manifests.lines().filter_map(|line| line.trim().strip_prefix("image: ")).collect();
    assert_eq!(images, BTreeSet::from([image.as_str()]));
    assert_eq!(fs::read_to_string(output.path("image-digest.txt")).unwrap().trim(), digest);
    assert!(fs::read_to_string(output.path("NOTES.md")).unwrap().contains(&digest));
}

#[test]
fn packaged_chart_has_what_artifact_hub_shows() {
    let chart = chart::package(&version(), &layout(&version(), "amd64")).unwrap();
    let scratch = Scratch::new().unwrap();
    let path = scratch.path().join("chart.tgz");
    fs::write(&path, chart).unwrap();
    let mut tar = std::process::Command::new("tar");
    let text = crate::command::output(tar.arg("-xzOf").arg(&path).arg("oauth-app-operator/Chart.yaml")).unwrap();
    let metadata: Value = serde_saphyr::from_str(&text).unwrap();
    let list = |name: &str| -> Vec<Value> {
        let annotation = metadata["annotations"][format!("artifacthub.io/{name}")].as_str();
        serde_saphyr::from_str(annotation.unwrap_or_else(|| panic!("no {name} in {text}"))).unwrap()
    };
    assert_eq!(list("images")[0]["platforms"][0], "linux/amd64");
    let kinds: Vec<_> = list("crds").iter().map(|crd| crd["kind"].clone()).collect();
    assert_eq!(kinds, ["IamConnection", "OrgOAuthApp"]);
    assert_eq!(list("crdsExamples").len(), 2);
    assert!(list("changes").iter().all(|change| change["kind"].as_str().is_some_and(|kind| !kind.is_empty())));
    assert_eq!(list("links")[0]["url"], "https://git.example.com/app/tree/HEAD/docs");
    assert_eq!(metadata["annotations"]["artifacthub.io/license"], "Apache-2.0");
}

#[test]
fn outputs_of_two_architectures_merge_to_one_image_and_all_archives() {
    let scratch = Scratch::new().unwrap();
    let directories = ["amd64", "arm64"].map(|architecture| {
        let directory = scratch.path().join(architecture);
        output(&directory, architecture);
        directory
    });
    let merged = Output::create(&scratch.path().join("merged")).unwrap();
    let layout = merge(&directories, &version(), &merged).unwrap();
    publish(&version(), &layout, &merged).unwrap();
    assert_eq!(layout.architectures().collect::<Vec<_>>(), ["amd64", "arm64"]);
    assert_eq!(Layout::read(&merged.path(IMAGE)).unwrap().digest(), layout.digest());
    let files: Vec<_> = merged.checksums().unwrap().into_iter().map(|(name, _)| name).collect();
    for architecture in ["amd64", "arm64"] {
        assert!(files.contains(&format!("oauth-app-operator-linux-{architecture}.tar.gz")), "{files:?}");
    }
}

#[test]
fn images_of_another_commit_do_not_merge() {
    let scratch = Scratch::new().unwrap();
    let directory = scratch.path().join("amd64");
    output(&directory, "amd64");
    let merged = Output::create(&scratch.path().join("merged")).unwrap();
    let newer = Version { revision: "fedcba".to_owned(), ..version() };
    assert!(merge(&[directory], &newer, &merged).unwrap_err().to_string().contains("0123456789abcdef"));
}

#[test]
fn directory_with_files_is_refused() {
    let scratch = Scratch::new().unwrap();
    fs::write(scratch.path().join("old"), "").unwrap();
    assert!(Output::create(scratch.path()).is_err());
}
