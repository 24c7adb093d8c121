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
    /// Where it appears, and how the operator goes on.
    kind: String,
    meaning: &'static str,
    what_to_do: &'static str,
}

impl Explanation {
    fn of(reason: Reason) -> Self {
        let row = reason.row();
        let kind = match reason.kind() {
            Kind::State => "a state".to_owned(),
            Kind::Paused => "paused by the spec".to_owned(),
            Kind::Event => "an Event".to_owned(),
            Kind::Waiting(pace) => format!("the operator goes on by itself, {}", attempts(pace)),
            Kind::Blocked(pace) => format!("someone has to act; the operator checks again, {}", attempts(pace)),
        };
        Self { reason: reason.as_str(), kind, meaning: row.meaning, what_to_do: row.remedy }
    }
}

fn attempts(pace: Pace) -> String {
    let (first, longest) = pace.bounds();
    format!("every {} to {} s", first.as_secs(), longest.as_secs())
}

impl Report for Explanation {
    fn text(&self, text: &mut Text) {
        text.field("Reason", Mood::Attention.of(self.reason));
        text.field("Kind", &self.kind);
        text.field("Meaning", self.meaning);
        text.field("What to do", self.what_to_do);
    }
}

impl Report for Vec<Explanation> {
    fn text(&self, text: &mut Text) {
        text.table(["REASON", "MEANING"], self.iter().map(|row| [row.reason.to_owned(), row.meaning.to_owned()]));
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
