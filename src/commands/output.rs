//! How a report is printed: as text for people, with colors on a terminal only, or as JSON or YAML for scripts.
//! One type is the source of all three, so they cannot disagree.

use super::CommandError;
use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use tabwriter::TabWriter;

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
                text.finish()?
            }
            Format::Json => format!("{:#}\n", value(report)?),
            Format::Yaml => serde_saphyr::to_string(&value(report)?).map_err(CommandError::message)?,
        };
        print(&text)
    }
}

/// One form for all reports, so that the binary has one writer of each format.
fn value(report: &impl Report) -> Result<Value, CommandError> {
    serde_json::to_value(report).map_err(CommandError::message)
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
    writeln!(anstream::stderr(), "{style}error:{style:#} {error}").ok();
}

/// What a person should know, on the error output too.
pub(crate) fn print_warning(warning: impl Display) {
    let style = Mood::Attention.style();
    writeln!(anstream::stderr(), "{style}warning:{style:#} {warning}").ok();
}

/// What is about to be done, on the error output too.
pub(crate) fn print_note(note: impl Display) {
    let style = Mood::Aside.style();
    writeln!(anstream::stderr(), "{style}{note}{style:#}").ok();
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
    pub(crate) fn of(self, words: impl Display) -> String {
        let style = self.style();
        format!("{style}{words}{style:#}")
    }
}

/// A text whose columns are aligned: cells end with a tab, and an empty line begins new columns.
#[derive(Default)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn line(&mut self, line: impl Display) {
        self.0.push_str(&line.to_string());
        self.0.push('\n');
    }

    /// A name and its value, aligned with those before and after it.
    pub(crate) fn field(&mut self, name: &str, value: impl Display) {
        self.line(format!("{name}\t{value}"));
    }

    /// A table, or nothing without a row.
    pub(crate) fn table<const N: usize>(&mut self, head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        self.line(head.join("\t"));
        rows.for_each(|row| self.line(row.join("\t")));
    }

    fn finish(self) -> io::Result<String> {
        let mut aligned = TabWriter::new(Vec::new()).ansi(true).padding(3);
        aligned.write_all(self.0.as_bytes())?;
        let bytes = aligned.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
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
            write!(io::stderr(), "\r\x1b[2K{state}").ok();
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
        text.table(["NAME", "READY"], [["a".into(), Mood::Good.of("True")], ["longer".into(), "False".into()]]);
        let plain = anstream::adapter::strip_str(&text.finish().unwrap()).to_string();
        assert_eq!(plain, "NAME     READY\na        True\nlonger   False\n");
    }

    #[test]
    fn a_table_without_rows_is_nothing() {
        let mut text = Text::default();
        text.table(["NAME"], []);
        assert_eq!(text.finish().unwrap(), "");
    }
}
