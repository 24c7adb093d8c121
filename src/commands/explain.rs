//! `explain`: what a reason means and what to do about it, from the table of reasons.
//! Works without a cluster.

use super::output::{Mood, OutputArgs, Report, Text};
use super::{CommandError, Done};
use crate::reason::{Kind, Pace, Reason};
use crate::text::one_line;
use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Args, Command};
use schemars::JsonSchema;
use serde::Serialize;
use std::ffi::OsStr;

/// From here on a word is similar to a reason: the threshold of clap for its own words.
const SIMILAR: f64 = 0.7;

/// What to explain.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// A reason, as in the column REASON of kubectl get; without one, all are listed
    #[arg(value_name = "REASON", value_parser = ReasonParser, hide_possible_values = true)]
    reason: Option<Reason>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Takes a reason in any case. What is none gets the most similar one, and not a list of all.
#[derive(Clone)]
struct ReasonParser;

impl TypedValueParser for ReasonParser {
    type Value = Reason;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Reason, clap::Error> {
        let word = value.to_string_lossy();
        let found = Reason::ALL.iter().find(|reason| word.eq_ignore_ascii_case(reason.as_str())).copied();
        found.ok_or_else(|| clap::Error::raw(ErrorKind::InvalidValue, unknown(&word)).with_cmd(command))
    }

    /// For completion.
    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Reason::ALL.iter().map(|reason| PossibleValue::new(reason.as_str()))))
    }
}

fn unknown(word: &str) -> String {
    let similarity = |reason: &Reason| strsim::jaro(&reason.as_str().to_lowercase(), &word.to_lowercase());
    let similar = Reason::ALL.iter().max_by(|one, two| similarity(one).total_cmp(&similarity(two)));
    let similar = similar.filter(|reason| similarity(reason) > SIMILAR);
    let similar = similar.map(|reason| format!("did you mean {}? ", reason.as_str())).unwrap_or_default();
    format!("{} is not a reason; {similar}explain without a reason lists all\n", one_line(word))
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
        match self.reason {
            Some(reason) => self.output.print(&Explanation::of(reason))?,
            None => self.output.print(&Reason::ALL.iter().copied().map(Explanation::of).collect::<Vec<_>>())?,
        }
        Ok(Done::Clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_reason_gets_the_most_similar_one() {
        let message = unknown("notgrantd");
        assert_eq!(message, "notgrantd is not a reason; did you mean NotGranted? explain without a reason lists all\n");
        assert_eq!(unknown("xyz"), "xyz is not a reason; explain without a reason lists all\n");
    }
}
