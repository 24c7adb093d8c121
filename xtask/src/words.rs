//! No generated or shipped text uses a word that the vocabulary replaces.
//! `WORDS` lists these words; the words to use are in `docs/development.md`.

use std::fs;
use std::path::Path;

use clap::CommandFactory;

use crate::repository;

/// Words to avoid, and what to use instead. A word can have alternatives, separated by `|`. Case and line breaks do not matter.
const WORDS: &[(&str, &str)] = &[
    ("acquit|acquits", "confirm"),
    ("anew", "again"),
    ("at the API", "in the API"),
    ("at work", "active, or running"),
    ("begun", "started"),
    ("brought", "provided"),
    ("crowd", "many"),
    ("flavour|flavours", "flavor"),
    ("for ever", "forever"),
    ("handed out|over", "issued, or provided"),
    ("hands out|over", "issues, or provides"),
    ("hear|hears of", "is sent to"),
    ("is|are|was|were|been|be said", "reported"),
    ("let|lets|letting go", "release"),
    ("looked at", "reconciled, read or checked"),
    ("made valid", "activated"),
    ("made-up", "invented"),
    ("mend|mends|mended|mending", "fix, repair or correct"),
    ("a|each|every|no|one|per|that|this pass", "reconcile"),
    ("passes over|under|wait|take|end|that", "reconciles"),
    ("present secret|secrets", "current secret"),
    ("put|puts back", "restored, or corrected"),
    ("leads no more", "lost leadership"),
    ("nobody|replica|which|that leads", "is the leader"),
    ("says so", "reports it"),
    ("status|it says", "reports"),
    ("stand|stands by", "standby"),
    ("taken for", "treated as"),
    ("taken|takes up", "picked up"),
    ("tell|tells|told", "report, or show"),
    ("the definitions", "the CRDs"),
    ("tried|tries|try again", "retried, retries, retry"),
    ("under way", "in progress, or in flight"),
    ("vendor's console", "console"),
    ("wake|wakes|woken", "trigger a reconcile"),
    ("whoever", "a user who"),
    ("witness|witnesses", "source, or confirmation"),
    ("words of the", "message of the"),
];

/// A text that users read, under the name of its file or command.
struct Text {
    name: String,
    content: String,
}

#[test]
fn no_text_uses_a_word_that_the_vocabulary_replaces() {
    let texts = texts();
    assert!(texts.len() > 40, "{}", texts.len());
    let found: Vec<String> = texts.iter().flat_map(replaced_words).collect();
    assert!(found.is_empty(), "{} words:\n{}", found.len(), found.join("\n"));
}

fn texts() -> Vec<Text> {
    let mut texts = vec![
        Text {
            name: "oauth-app-operator --help".into(),
            content: help(oauth_app_operator::cli::Program::Operator.command()),
        },
        Text { name: "cargo xtask --help".into(), content: help(crate::Cli::command()) },
    ];
    let root = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md", "Containerfile"];
    let others = [".github/ISSUE_TEMPLATE", ".github/PULL_REQUEST_TEMPLATE.md", "crds", "deploy", "docs"];
    root.iter().chain(&others).for_each(|path| read(&repository(), Path::new(path), &mut texts));
    texts
}

/// The help of a command and of its subcommands.
fn help(mut command: clap::Command) -> String {
    let own = command.render_long_help().to_string();
    command.get_subcommands().cloned().map(help).fold(own, |all, next| all + "\n" + &next)
}

/// Reads a file, or every file in a directory.
fn read(root: &Path, path: &Path, texts: &mut Vec<Text>) {
    let full = root.join(path);
    if !full.is_dir() {
        texts.push(Text { name: path.display().to_string(), content: fs::read_to_string(full).unwrap() });
        return;
    }
    for entry in fs::read_dir(full).unwrap() {
        read(root, &path.join(entry.unwrap().file_name()), texts);
    }
}

/// Each use of a replaced word, with file, line and what to use.
fn replaced_words(text: &Text) -> Vec<String> {
    let lines = text.content.lines().zip(1..);
    let words: Vec<(usize, &str)> =
        lines.flat_map(|(line, number)| words(line).map(move |word| (number, word))).collect();
    let uses = (0..words.len()).flat_map(|start| {
        let rest = &words[start..];
        WORDS.iter().filter(|(pattern, _)| matches(pattern, rest)).map(move |(pattern, instead)| {
            let found: Vec<&str> = rest.iter().take(pattern.split(' ').count()).map(|(_, word)| *word).collect();
            format!("{}:{}: \"{}\", use: {instead}", text.name, rest[0].0, found.join(" "))
        })
    });
    uses.collect()
}

/// Identifiers such as `a_test` or `a-name` are one word, and so is `vendor's`.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && !"_-'".contains(c)).filter(|word| !word.is_empty())
}

fn matches(pattern: &str, words: &[(usize, &str)]) -> bool {
    let is = |alternatives: &str, word: &str| alternatives.split('|').any(|one| one.eq_ignore_ascii_case(word));
    pattern.split(' ').enumerate().all(|(n, alternatives)| words.get(n).is_some_and(|(_, word)| is(alternatives, word)))
}

#[test]
fn a_replaced_word_is_found_with_its_line_and_what_to_use() {
    let content = "It commends a_pass_under_way.\nMended at\n# the API.\n".to_owned();
    let found = replaced_words(&Text { name: "a.md".into(), content });
    assert_eq!(found, ["a.md:2: \"Mended\", use: fix, repair or correct", "a.md:2: \"at the API\", use: in the API"]);
}
