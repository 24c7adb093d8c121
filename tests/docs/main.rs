//! Every command and every manifest in the documentation, run in order on a real control plane with the operator's binary
//! and the IAM simulator. What cannot run here is marked in the document, and counted in `EXCEPTIONS`.

// A test may panic: that is how it fails.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod block;
mod console;
mod env;
mod samples;
mod shell;

use block::{Block, Mark, NoTest, Text};
use env::{DocsEnv, Start};
use std::path::{Path, PathBuf};
use test_environment::repository;

/// Each document with commands or manifests, and what is there when its reader begins.
const DOCUMENTS: &[(&str, Run)] = &[
    ("README.md", Run::Here(Start::Empty)),
    ("docs/tutorials/one-team.md", Run::Here(Start::Empty)),
    ("docs/tutorials/many-teams.md", Run::Here(Start::Prepared)),
    ("docs/tutorials/navigator.md", Run::Here(Start::Prepared)),
    ("docs/concepts.md", Run::Here(Start::Installed)),
    ("docs/use.md", Run::Here(Start::Installed)),
    ("docs/operations.md", Run::Here(Start::Installed)),
    ("docs/migration.md", Run::Here(Start::Installed)),
    ("docs/security.md", Run::Here(Start::Installed)),
    ("docs/troubleshooting.md", Run::Here(Start::Installed)),
    ("docs/install.md", Run::By("tests/install")),
    ("docs/upgrade.md", Run::By("tests/install")),
    ("docs/release.md", Run::By("tests/install and the tests of xtask")),
    ("docs/verify.md", Run::By("nothing, until there is a release")),
    ("docs/runbook.md", Run::Here(Start::Installed)),
    ("docs/gitops.md", Run::Here(Start::Installed)),
    ("docs/identity-broker.md", Run::Here(Start::Installed)),
    ("docs/development.md", Run::By("the tests that it describes")),
];

/// Blocks that are not run, by document and reason. A number that grows has to be argued for.
const EXCEPTIONS: &[(&str, NoTest, usize)] = &[
    ("README.md", NoTest::TestedElsewhere, 1),
    ("docs/use.md", NoTest::TestedElsewhere, 1),
    ("docs/operations.md", NoTest::NeedsANode, 2),
    ("docs/install.md", NoTest::NeedsAContainerEngine, 2),
    ("docs/install.md", NoTest::NeedsARelease, 1),
    ("docs/install.md", NoTest::TestedElsewhere, 1),
    ("docs/release.md", NoTest::TestedElsewhere, 4),
    ("docs/verify.md", NoTest::NeedsARelease, 5),
    ("docs/install.md", NoTest::NeedsANode, 2),
    ("docs/tutorials/one-team.md", NoTest::NeedsAContainerEngine, 2),
    ("docs/runbook.md", NoTest::NeedsANode, 2),
    ("docs/identity-broker.md", NoTest::NeedsAVcenter, 3),
];

/// How a document is tested.
enum Run {
    /// By this test, beginning with this.
    Here(Start),
    /// By another one.
    By(&'static str),
}

/// One after the other: each has a control plane of its own.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn follow(document: &str) {
    let _alone = ALONE.lock().await;
    let (_, run) = DOCUMENTS.iter().find(|(name, _)| *name == document).expect("a document of the list");
    let start = match run {
        Run::Here(start) => *start,
        Run::By(test) => panic!("{document} is run by {test}"),
    };
    let mut env = DocsEnv::new(start).await;
    for block in blocks_before(start).into_iter().chain(blocks(document)) {
        if let Err(error) = env.run(&block).await {
            panic!("{}: {error}\n{}", block.place(), env.report().await);
        }
    }
}

#[tokio::test]
async fn readme() {
    follow("README.md").await;
}

#[tokio::test]
async fn one_team() {
    follow("docs/tutorials/one-team.md").await;
}

#[tokio::test]
async fn many_teams() {
    follow("docs/tutorials/many-teams.md").await;
}

#[tokio::test]
async fn navigator() {
    follow("docs/tutorials/navigator.md").await;
}

#[tokio::test]
async fn concepts() {
    follow("docs/concepts.md").await;
}

#[tokio::test]
async fn use_of_credentials() {
    follow("docs/use.md").await;
}

#[tokio::test]
async fn identity_broker() {
    follow("docs/identity-broker.md").await;
}

#[tokio::test]
async fn runbook() {
    follow("docs/runbook.md").await;
}

fn blocks(document: &str) -> Vec<Block> {
    Block::all(document, &std::fs::read_to_string(repository().join(document)).unwrap())
}

/// What a reader has done who begins there.
fn blocks_before(start: Start) -> Vec<Block> {
    match start {
        Start::Empty | Start::Installed => vec![],
        Start::Prepared => {
            let (document, end) = ("docs/tutorials/one-team.md", "\n## 4. ");
            let text = std::fs::read_to_string(repository().join(document)).unwrap();
            Block::all(document, text.split_once(end).unwrap().0)
        }
    }
}

/// README and everything under `docs`, as their paths in the repository.
fn documents() -> Vec<String> {
    let paths = files(&repository().join("docs"), "md").into_iter();
    let paths = paths.map(|path| path.strip_prefix(repository()).unwrap().display().to_string());
    let mut all: Vec<String> = paths.chain(["README.md".to_owned()]).collect();
    all.sort();
    all
}

#[test]
fn every_document_with_commands_is_tested() {
    for document in documents() {
        let runs = blocks(&document).iter().any(|block| block.text != Text::Picture);
        let known = DOCUMENTS.iter().any(|(name, _)| *name == document);
        assert!(!runs || known, "{document} has commands or manifests and is not in DOCUMENTS");
    }
}

#[test]
fn what_is_not_run_is_counted() {
    let mut found: Vec<(String, NoTest, usize)> = Vec::new();
    for document in documents() {
        for block in blocks(&document) {
            let Some(Mark::NoTest(reason)) = block.mark else { continue };
            match found.iter_mut().find(|(name, why, _)| *name == document && *why == reason) {
                Some((_, _, count)) => *count += 1,
                None => found.push((document.clone(), reason, 1)),
            }
        }
    }
    found.sort();
    let allowed = EXCEPTIONS.iter().map(|(document, reason, count)| ((*document).to_owned(), *reason, *count));
    let mut allowed: Vec<_> = allowed.collect();
    allowed.sort();
    assert_eq!(found, allowed, "blocks that are not run, by document and reason");
}

/// The keys in brackets of a line, such as `[csp-create, cpn-create]`.
fn keys(line: &str) -> Vec<&str> {
    let is_key = |text: &&str| {
        text.contains('-')
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let brackets = line.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
    let lists = brackets.map(|(list, _)| list.split(", ").collect::<Vec<_>>());
    lists.filter(|list| list.iter().all(is_key)).flatten().collect()
}

/// The files with this extension in a folder and in those within.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| if path.is_dir() { files(&path, extension) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

#[test]
fn each_source_of_a_fact_in_the_code_is_in_the_tables_of_the_api_and_each_of_these_has_an_address() {
    let api = std::fs::read_to_string(repository().join("docs/api.md")).unwrap();
    let (facts, sources) = api.split_once("## Sources").unwrap();
    let mut cited = 0;
    for file in files(&repository().join("src"), "rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        for key in text.lines().filter(|line| line.trim_start().starts_with("//")).flat_map(keys) {
            assert!(facts.contains(&format!("`{key}`")), "{}: {key} is in no table of docs/api.md", file.display());
            assert!(sources.contains(&format!("| `{key}` |")), "{}: {key} is no source in docs/api.md", file.display());
            cited += 1;
        }
    }
    assert!(cited > 100, "{cited} sources found in the code");
    for source in sources.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(key, _)| key) {
        assert!(facts.contains(&format!("`{source}`")), "{source} is a source of no fact in docs/api.md");
    }
}

#[tokio::test]
async fn operations() {
    follow("docs/operations.md").await;
}

#[tokio::test]
async fn migration() {
    follow("docs/migration.md").await;
}

#[tokio::test]
async fn security() {
    follow("docs/security.md").await;
}

#[tokio::test]
async fn troubleshooting() {
    follow("docs/troubleshooting.md").await;
}

#[tokio::test]
async fn gitops() {
    follow("docs/gitops.md").await;
}
