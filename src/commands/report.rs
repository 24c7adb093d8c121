//! `report`: one text file for an issue, with what helps to understand a problem and nothing that is secret. No Secret is read, and
//! what could not be read is listed with the right that is missing.

mod bounds;
mod collect;
mod redact;

use super::cluster::ClusterArgs;
use super::live::OperatorArgs;
use super::output::{self, Mood, OutputArgs, Report, Text};
use super::version::LONG_VERSION;
use super::{CommandError, Done};
use crate::text::{clean, one_line};
use clap::Args;
use collect::Collection;
use k8s_openapi::jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file name that means the standard output.
const STDOUT: &str = "-";
/// The most bytes of why something could not be read.
const LONGEST: usize = 600;

/// What is collected, and where to.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// File to write, which must not exist; - for the standard output [default: oauth-app-operator-report-TIME.txt]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How many of the last lines of each log are included
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(0..=20_000))]
    log_lines: u32,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What was written.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// The file.
    file: String,
    sections: Vec<String>,
    not_read: Vec<NotRead>,
}

/// What the file lacks.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotRead {
    what: String,
    why: String,
}

/// A part of the file.
struct Section {
    title: String,
    content: String,
}

/// The parts of the file, and what it lacks.
#[derive(Default)]
struct Bundle {
    sections: Vec<Section>,
    not_read: Vec<NotRead>,
}

impl Bundle {
    fn add(&mut self, title: impl Into<String>, content: impl Into<String>) {
        self.sections.push(Section { title: title.into(), content: content.into() });
    }

    fn lacks(&mut self, what: impl Into<String>, why: &CommandError) {
        self.not_read.push(NotRead { what: what.into(), why: clean(&why.to_string(), LONGEST) });
    }

    fn text(&self, at: Timestamp) -> String {
        let mut text = format!(
            "oauth-app-operator report\n\ncommand: {LONG_VERSION}\ntime: {at}\n\n\
             No Secret was read. Read the file before you share it: it names organizations, namespaces and apps.\n"
        );
        if !self.not_read.is_empty() {
            text += "\n=== Not read\n\n";
            text.extend(self.not_read.iter().map(|NotRead { what, why }| format!("{what}: {why}\n")));
        }
        for Section { title, content } in &self.sections {
            text += &format!("\n=== {}\n\n", one_line(title));
            text.extend(content.trim_end().lines().map(|line| content_line(line) + "\n"));
        }
        text
    }
}

/// Only a title begins like one.
fn content_line(line: &str) -> String {
    let indent = if line.starts_with("===") { " " } else { "" };
    format!("{indent}{}", one_line(line))
}

impl ReportArgs {
    pub(crate) async fn run(self) -> Result<Done, CommandError> {
        let cluster = self.cluster.connect().await?;
        let collection = Collection {
            client: cluster.client,
            namespace: self.cluster.namespace.clone(),
            operator_namespace: self.operator.operator_namespace.clone(),
            log_lines: self.log_lines,
        };
        let bundle = collection.collect().await;
        let at = Timestamp::now();
        let text = bundle.text(at);
        let file = self.out.unwrap_or_else(|| default_file(at));
        if file == Path::new(STDOUT) {
            output::print(&text)?;
            return Ok(Done::Clean);
        }
        write(&file, &text)?;
        let sections = bundle.sections.into_iter().map(|section| section.title).collect();
        let written = Written { file: file.display().to_string(), sections, not_read: bundle.not_read };
        self.output.print(&written)?;
        Ok(Done::Clean)
    }
}

fn default_file(at: Timestamp) -> PathBuf {
    format!("oauth-app-operator-report-{}.txt", at.strftime("%Y%m%dT%H%M%SZ")).into()
}

/// Never into a file or through a link that someone else put there.
fn write(file: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |error| {
        CommandError::message(format!("cannot write {}: {error}; choose another file with --out", file.display()))
    };
    let mut open = OpenOptions::new().write(true).create_new(true).open(file).map_err(failed)?;
    open.write_all(text.as_bytes()).map_err(failed)
}

impl Report for Written {
    fn text(&self, text: &mut Text) {
        text.line(format_args!("wrote {}, with {} sections", self.file, self.sections.len()));
        for NotRead { what, why } in &self.not_read {
            text.row([Mood::Attention.of("not read"), what.into(), why.into()]);
        }
        text.line("Read the file before you share it: it names organizations, namespaces and apps.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_is_not_overwritten() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = write(file.path(), "text").unwrap_err().to_string();
        assert!(error.ends_with("choose another file with --out"), "{error}");
    }

    #[test]
    fn no_content_forges_a_section() {
        let mut bundle = Bundle::default();
        bundle.add("Log", "a\r=== Log of Pod x\u{1b}[2K\n=== Pods\nb\n");
        let text = bundle.text("2026-01-02T03:04:05Z".parse().unwrap());
        assert!(text.ends_with("\n=== Log\n\na === Log of Pod x [2K\n === Pods\nb\n"), "{text:?}");
    }

    #[test]
    fn the_file_begins_with_what_it_lacks() {
        let mut bundle = Bundle::default();
        bundle.add("Kubernetes", "v1.33.0\n");
        bundle.lacks("Pods", &CommandError::message("cannot list\nthem"));
        let text = bundle.text("2026-01-02T03:04:05Z".parse().unwrap());
        assert!(text.contains("\n=== Not read\n\nPods: cannot list them\n\n=== Kubernetes\n\nv1.33.0\n"), "{text}");
        assert_eq!(
            default_file("2026-01-02T03:04:05.5Z".parse().unwrap()),
            Path::new("oauth-app-operator-report-20260102T030405Z.txt")
        );
    }
}
