//! How a report is printed: as text for people, with colors on a terminal only, or as JSON or YAML for scripts.
//! One type is the source of all three, so they cannot disagree.

use super::CommandError;
use crate::text::{is_hidden, one_line};
use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::ops::Add;
use tabwriter::TabWriter;
use textwrap::core::display_width;

/// A last cell with fewer columns than these is not wrapped.
const NARROWEST: usize = 20;

/// How the report is printed.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct OutputArgs {
    /// Format of the report
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
}

/// The format of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For scripts
    Json,
    /// For scripts
    Yaml,
}

/// What a command found out.
pub(crate) trait Report: Serialize {
    fn text(&self, text: &mut Text);
}

impl OutputArgs {
    pub(crate) fn print(self, report: &impl Report) -> Result<(), CommandError> {
        let text = match self.output {
            Format::Text => {
                let mut text = Text::default();
                report.text(&mut text);
                text.finish(terminal_width())?
            }
            Format::Json => json(&value(report)?)?,
            Format::Yaml => yaml(&value(report)?)?,
        };
        print(&text)
    }
}

/// How many columns the terminal has; `None` where the output is a file or a pipe.
fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into())
}

/// One form for all reports, so that the binary has one writer of each format.
fn value(report: &impl Report) -> Result<Value, CommandError> {
    serde_json::to_value(report).map_err(CommandError::message)
}

fn json(value: &impl Serialize) -> Result<String, CommandError> {
    let json = serde_json::to_string_pretty(value).map_err(CommandError::message)?;
    let in_utf16 = |character: char| {
        let units = character.encode_utf16(&mut [0; 2]).to_vec();
        units.into_iter().map(|unit| format!("\\u{unit:04x}")).collect()
    };
    Ok(escaped(&json, in_utf16) + "\n")
}

/// In the form of JSON, which is YAML too, where a format character has to be escaped: the writer of YAML escapes none.
pub(crate) fn yaml(value: &impl Serialize) -> Result<String, CommandError> {
    let yaml = serde_saphyr::to_string(value).map_err(CommandError::message)?;
    if !yaml.chars().any(is_hidden) {
        return Ok(yaml);
    }
    let json = serde_json::to_string_pretty(value).map_err(CommandError::message)?;
    Ok(escaped(&json, |character| format!("\\U{:08x}", u32::from(character))) + "\n")
}

/// JSON without control and format characters, which are in strings only.
fn escaped(json: &str, escape: impl Fn(char) -> String) -> String {
    let must_be = |character: char| character != '\n' && (character.is_control() || is_hidden(character));
    json.chars().map(|c| if must_be(c) { escape(c) } else { c.to_string() }).collect()
}

/// Prints as it is; colors are left out unless a terminal shows them.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// On the error output, where it disturbs no script; a failure to print it is not reported.
pub(crate) fn print_error(error: &CommandError) {
    let style = Mood::Bad.style();
    writeln!(anstream::stderr(), "{style}error:{style:#} {}", one_line(&error.to_string())).ok();
}

/// What a person should know, on the error output too.
pub(crate) fn print_warning(warning: impl Display) {
    let style = Mood::Attention.style();
    writeln!(anstream::stderr(), "{style}warning:{style:#} {}", one_line(&warning.to_string())).ok();
}

/// What is about to be done, on the error output too.
pub(crate) fn print_note(note: impl Display) {
    let style = Mood::Aside.style();
    writeln!(anstream::stderr(), "{style}{}{style:#}", one_line(&note.to_string())).ok();
}

/// How good or bad a word is, which a terminal shows by its color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Attention,
    Bad,
    /// Less important than the rest.
    Aside,
}

impl Mood {
    fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Attention => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Aside => Style::new().dimmed(),
        }
    }

    /// The words in the color of the mood.
    pub(crate) fn of(self, words: impl Display) -> Words {
        let style = self.style();
        Words(format!("{style}{}{style:#}", one_line(&words.to_string())))
    }
}

/// Words of one line, which come from anyone: whatever they contain, only a mood colors them, and they begin neither a line nor a
/// column. They cannot be formatted, only joined, so that none is taken for its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words(String);

impl<T: Display> From<T> for Words {
    fn from(words: T) -> Self {
        Self(one_line(&words.to_string()))
    }
}

impl<T: Into<Self>> Add<T> for Words {
    type Output = Self;

    fn add(mut self, next: T) -> Self {
        self.0.push_str(&next.into().0);
        self
    }
}

/// A text whose columns are aligned: cells end with a tab, and an empty line begins new columns.
#[derive(Default)]
pub(crate) struct Text {
    lines: String,
    /// How wide the last cell of each line is.
    last_cells: Vec<usize>,
}

impl Text {
    pub(crate) fn line(&mut self, line: impl Into<Words>) {
        self.row([line]);
    }

    /// The cells of a line.
    pub(crate) fn row<const N: usize>(&mut self, cells: [impl Into<Words>; N]) {
        let cells = cells.map(|cell| cell.into().0);
        self.last_cells.push(cells.last().map_or(0, |cell| display_width(cell)));
        self.lines.push_str(&cells.join("\t"));
        self.lines.push('\n');
    }

    /// A name and its value, aligned with those before and after it.
    pub(crate) fn field(&mut self, name: &str, value: impl Into<Words>) {
        self.row([name.into(), value.into()]);
    }

    /// A table, or nothing without a row.
    pub(crate) fn table<const N: usize, W: Into<Words>>(
        &mut self,
        head: [&str; N],
        rows: impl IntoIterator<Item = [W; N]>,
    ) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        self.row(head);
        rows.for_each(|row| self.row(row));
    }

    /// In so many columns, if a limit is known: the last cell continues below itself.
    fn finish(self, width: Option<usize>) -> io::Result<String> {
        let mut aligned = TabWriter::new(Vec::new()).ansi(true).padding(3);
        aligned.write_all(self.lines.as_bytes())?;
        let bytes = aligned.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some(width) = width else { return Ok(text) };
        let lines = text.lines().zip(&self.last_cells);
        Ok(lines.map(|(line, last_cell)| wrapped(line, *last_cell, width) + "\n").collect())
    }
}

/// A line in so many columns. A word that is longer is not broken, so that it can be copied.
fn wrapped(line: &str, last_cell: usize, width: usize) -> String {
    let column = display_width(line).saturating_sub(last_cell);
    if width < column + NARROWEST {
        return line.to_owned();
    }
    let indent = " ".repeat(column);
    let options = textwrap::Options::new(width).subsequent_indent(&indent).break_words(false);
    textwrap::fill(line, options.word_splitter(textwrap::WordSplitter::NoHyphenation))
}

#[cfg(test)]
impl Text {
    /// Without colors.
    pub(crate) fn plain(self) -> String {
        anstream::adapter::strip_str(&self.finish(None).unwrap()).to_string()
    }
}

/// Says how far a command is, on one line of a terminal; nothing where the error output is a file.
pub(crate) struct Progress {
    is_shown: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal() }
    }

    pub(crate) fn show(&self, state: impl Display) {
        if self.is_shown {
            write!(io::stderr(), "\r\x1b[2K{}", one_line(&state.to_string())).ok();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_is_colored() {
        let mut text = Text::default();
        text.table(["NAME", "READY"], [["a".into(), Mood::Good.of("True")], ["longer".into(), Words::from("False")]]);
        assert_eq!(text.plain(), "NAME     READY\na        True\nlonger   False\n");
    }

    #[test]
    fn a_long_last_cell_continues_below_itself_on_a_terminal() {
        let text = || {
            let mut text = Text::default();
            text.row([Mood::Good.of("ok"), "list".into(), "the API lists what an administrator may see".into()]);
            text.row(["failed", "token", "https://iam.example.com/a/very/long/address/that/is/copied as it is"]);
            text.line("a line without cells continues at its left end, whatever it says");
            text
        };
        let plain = |width| anstream::adapter::strip_str(&text().finish(width).unwrap()).to_string();
        assert_eq!(plain(None).lines().count(), 3);
        assert_eq!(
            plain(Some(40)),
            "\
ok       list    the API lists what an
                 administrator may see
failed   token
                 https://iam.example.com/a/very/long/address/that/is/copied
                 as it is
a line without cells continues at its
left end, whatever it says
"
        );
        assert!(
            plain(Some(30)).starts_with("ok       list    the API lists what an administrator may see\n"),
            "13 are too few"
        );
    }

    #[test]
    fn data_changes_nothing_but_its_own_words() {
        let hostile = "a\n\tb\x1b]0;t\x07\x1b[2K\u{202e}c\u{9b}31m\r\x1b[32m";
        let mut text = Text::default();
        text.line(hostile);
        text.field("Name", Mood::Bad.of(hostile) + hostile);
        text.table(["HEAD", "NEXT"], [[hostile, "end"]]);
        let text = text.finish(None).unwrap();
        assert_eq!(text.lines().count(), 4, "{text:?}");
        let colors = text.split('\x1b').skip(1).map(|rest| rest.split_inclusive('m').next().unwrap());
        assert_eq!(colors.collect::<Vec<_>>(), ["[1m", "[31m", "[0m"], "{text:?}");
        assert!(!text.contains(['\t', '\r', '\x07', '\u{202e}', '\u{9b}']), "{text:?}");
    }

    #[test]
    fn json_and_yaml_show_no_control_or_format_character_and_lose_none() {
        let hostile = "a\n\tb\x1b[2K\u{202e}\u{e0041}c\u{9b}31m\u{7f}";
        for text in [json(&[hostile]).unwrap(), yaml(&[hostile]).unwrap(), yaml(&["\x1b\u{9b}"]).unwrap()] {
            assert!(!text.chars().any(|c| c != '\n' && (c.is_control() || is_hidden(c))), "{text:?}");
        }
        assert_eq!(serde_json::from_str::<[String; 1]>(&json(&[hostile]).unwrap()).unwrap(), [hostile]);
        assert_eq!(serde_saphyr::from_str::<[String; 1]>(&yaml(&[hostile]).unwrap()).unwrap(), [hostile]);
        assert_eq!(yaml(&["plain"]).unwrap(), "- plain\n");
    }

    #[test]
    fn a_table_without_rows_is_nothing() {
        let mut text = Text::default();
        text.table(["NAME"], [[""; 1]; 0]);
        assert_eq!(text.finish(Some(80)).unwrap(), "");
    }
}
