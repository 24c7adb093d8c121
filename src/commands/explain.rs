//! `explain`: what a reason means and what to do about it, from the table of reasons.
//! Works without a cluster.

use super::output::{Mood, OutputArgs, Report, Text};
use super::{CommandError, Done};
use crate::reason::{Kind, Pace, Reason};
use clap::Args;
use clap::builder::PossibleValuesParser;
use schemars::JsonSchema;
use serde::Serialize;

/// What to explain.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// A reason, as in the column REASON of kubectl get; without one, all are listed
    #[arg(value_name = "REASON", value_parser = PossibleValuesParser::new(Reason::ALL.iter().map(|reason| reason.as_str())), hide_possible_values = true, ignore_case = true)]
    reason: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// A reason, and what to do.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    reason: &'static str,
    /// What kind of reason it is.
    kind: &'static str,
    /// How the operator goes on, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    retries: Option<String>,
    meaning: &'static str,
    what_to_do: &'static str,
}

impl Explanation {
    fn of(reason: Reason) -> Self {
        let row = reason.row();
        let (kind, pace) = match reason.kind() {
            Kind::State => ("state", None),
            Kind::Paused => ("paused", None),
            Kind::Event => ("event", None),
            Kind::Waiting(pace) => ("waiting", Some(pace)),
            Kind::Blocked(pace) => ("blocked", Some(pace)),
        };
        let (meaning, what_to_do) = (row.meaning, row.remedy);
        Self { reason: reason.as_str(), kind, retries: pace.map(retries), meaning, what_to_do }
    }
}

fn retries(pace: Pace) -> String {
    let (first, longest) = pace.bounds();
    format!("the operator retries after {} s at first, and after {} s at most", first.as_secs(), longest.as_secs())
}

/// Without the marks of a document.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

impl Report for Explanation {
    fn text(&self, text: &mut Text) {
        text.field("Reason", Mood::Attention.of(self.reason));
        let retries = self.retries.as_ref().map(|retries| format!("; {retries}")).unwrap_or_default();
        text.field("Kind", format!("{}{retries}", self.kind));
        text.field("Meaning", plain(self.meaning));
        text.field("What to do", plain(self.what_to_do));
    }
}

impl Report for Vec<Explanation> {
    fn text(&self, text: &mut Text) {
        let rows = self.iter().map(|row| [row.reason.to_owned(), row.kind.to_owned(), plain(row.meaning)]);
        text.table(["REASON", "KIND", "MEANING"], rows);
    }
}

impl ExplainArgs {
    pub(crate) fn run(self) -> Result<Done, CommandError> {
        let asked =
            |reason: &&Reason| self.reason.as_ref().is_none_or(|asked| asked.eq_ignore_ascii_case(reason.as_str()));
        let mut found: Vec<_> = Reason::ALL.iter().filter(asked).copied().map(Explanation::of).collect();
        match (&self.reason, found.len()) {
            (Some(_), 1) => self.output.print(&found.remove(0))?,
            (Some(_) | None, _) => self.output.print(&found)?,
        }
        Ok(Done::Clean)
    }
}
