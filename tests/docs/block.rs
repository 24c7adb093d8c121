//! The fenced blocks of a document, and the marks behind their language that say what the test does with them.
//! Readers do not see the marks: a renderer takes the first word for the language and leaves out the rest.

use std::str::FromStr;

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    /// The document and the line of the first line within.
    pub document: String,
    pub line: usize,
    pub text: Text,
    pub mark: Option<Mark>,
    pub content: String,
}

/// What a block is, by its language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// Commands.
    Sh,
    /// Commands after `$`, and what they print.
    Console,
    /// Manifests.
    Yaml,
    /// A file.
    Json,
    /// Nothing to run.
    Picture,
    /// What only a test of its own can run.
    Other,
}

/// What is done with a block that is not simply run or applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// `file=<name>`: it is written to a file, for the commands that follow.
    File(String),
    /// `background`: it runs on while the following blocks run.
    Background,
    /// `no-test=<reason>`: it cannot run here.
    NoTest(NoTest),
}

/// Why a block cannot run in a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NoTest {
    /// It builds, loads or runs an image.
    NeedsAContainerEngine,
    /// It asks for what a kubelet does: logs, a rollout that comes to an end.
    NeedsANode,
    /// It asks for what a vCenter does, which the simulator does not.
    NeedsAVcenter,
    /// It asks for what the release workflow publishes.
    NeedsARelease,
    /// It shows a part of a manifest.
    Fragment,
    /// It starts what the test has started, or a test of its own.
    TestedElsewhere,
}

impl FromStr for NoTest {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "needs-a-container-engine" => Ok(Self::NeedsAContainerEngine),
            "needs-a-node" => Ok(Self::NeedsANode),
            "needs-a-vcenter" => Ok(Self::NeedsAVcenter),
            "needs-a-release" => Ok(Self::NeedsARelease),
            "fragment" => Ok(Self::Fragment),
            "tested-elsewhere" => Ok(Self::TestedElsewhere),
            other => Err(format!("no-test={other} is no reason")),
        }
    }
}

impl Block {
    /// Document and line, as editors and terminals understand it.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.document, self.line)
    }

    /// The blocks of a document.
    ///
    /// # Panics
    /// When a block has a mark that is not known: it would not be tested.
    pub(crate) fn all(document: &str, markdown: &str) -> Vec<Self> {
        let mut blocks = Vec::new();
        let mut lines = markdown.lines().zip(1..);
        while let Some((fence, number)) = lines.next() {
            let indent = fence.len() - fence.trim_start().len();
            let Some(words) = fence.trim_start().strip_prefix("```") else { continue };
            let within = lines.by_ref().map(|(line, _)| line).take_while(|line| !line.trim_start().starts_with("```"));
            let content = within.map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect();
            let (text, mark) = read(words).unwrap_or_else(|error| panic!("{document}:{number}: {error}"));
            blocks.push(Self { document: document.to_owned(), line: number + 1, text, mark, content });
        }
        blocks
    }
}

fn read(words: &str) -> Result<(Text, Option<Mark>), String> {
    let (language, mark) = words.split_once(' ').unwrap_or((words, ""));
    let text = match language {
        "sh" => Text::Sh,
        "console" => Text::Console,
        "yaml" => Text::Yaml,
        "json" => Text::Json,
        "text" => Text::Picture,
        _ => Text::Other,
    };
    let mark = match mark.split_once('=') {
        Some(("file", name)) => Some(Mark::File(name.to_owned())),
        Some(("no-test", reason)) => Some(Mark::NoTest(reason.parse()?)),
        None if mark == "background" => Some(Mark::Background),
        None if mark.is_empty() => None,
        Some(_) | None => return Err(format!("{mark} is no mark")),
    };
    Ok((text, mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_lines_and_marks() {
        let markdown = "text\n\n```sh\necho 1\n```\n   ```yaml file=a.yaml\n   a: 1\n     b\n   ```\n```sh no-test=needs-a-node\n```\n";
        let blocks = Block::all("a.md", markdown);
        let found: Vec<_> = blocks.iter().map(|b| (b.line, b.text, b.mark.clone(), b.content.as_str())).collect();
        assert_eq!(
            found,
            [
                (4, Text::Sh, None, "echo 1\n"),
                (7, Text::Yaml, Some(Mark::File("a.yaml".into())), "a: 1\n  b\n"),
                (11, Text::Sh, Some(Mark::NoTest(NoTest::NeedsANode)), ""),
            ]
        );
    }

    #[test]
    #[should_panic(expected = "a.md:1: no-test=lazy is no reason")]
    fn no_block_goes_untested_for_a_reason_of_its_own() {
        Block::all("a.md", "```sh no-test=lazy\n```\n");
    }
}
