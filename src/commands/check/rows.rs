//! The rows of a check: what was checked, what was found, and what to do about it.

use crate::commands::output::{Mood, Progress, Text, Words};
use crate::text::clean;
use schemars::JsonSchema;
use serde::Serialize;

/// The most bytes of a cell: what the API and Kubernetes answer is cut there.
const LONGEST: usize = 1000;

/// One thing that was checked.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What it belongs to, such as an IamConnection.
    pub group: String,
    pub check: String,
    pub result: RowResult,
    pub found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_to_do: Option<String>,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RowResult {
    Ok,
    /// The operator copes with it, or will not for long.
    Warning,
    Failed,
    /// It was not checked, or does not matter here.
    Skipped,
}

impl RowResult {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    pub(super) fn mood(self) -> Mood {
        match self {
            Self::Ok => Mood::Good,
            Self::Warning => Mood::Attention,
            Self::Failed => Mood::Bad,
            Self::Skipped => Mood::Aside,
        }
    }
}

/// Collects rows, and shows which is next.
pub(super) struct Rows {
    rows: Vec<Row>,
    group: String,
    progress: Progress,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self { rows: Vec::new(), group: String::new(), progress: Progress::new() }
    }

    /// The group of the rows that follow.
    pub(super) fn group(&mut self, group: impl Into<String>) {
        self.group = group.into();
    }

    /// Names the check that may take a while.
    pub(super) fn begin(&self, check: &str) {
        self.progress.show(format_args!("checking {}: {check} …", self.group));
    }

    pub(super) fn ok(&mut self, check: &str, found: impl AsRef<str>) {
        self.add(check, RowResult::Ok, found.as_ref(), None);
    }

    pub(super) fn warning(&mut self, check: &str, found: impl AsRef<str>, what_to_do: impl AsRef<str>) {
        self.add(check, RowResult::Warning, found.as_ref(), Some(what_to_do.as_ref()));
    }

    pub(super) fn failed(&mut self, check: &str, found: impl AsRef<str>, what_to_do: impl AsRef<str>) {
        self.add(check, RowResult::Failed, found.as_ref(), Some(what_to_do.as_ref()));
    }

    pub(super) fn skipped(&mut self, check: &str, found: impl AsRef<str>) {
        self.add(check, RowResult::Skipped, found.as_ref(), None);
    }

    fn add(&mut self, check: &str, result: RowResult, found: &str, what_to_do: Option<&str>) {
        let (group, check) = (self.group.clone(), check.to_owned());
        let found = clean(found, LONGEST);
        let what_to_do = what_to_do.map(|what_to_do| clean(what_to_do, LONGEST));
        self.rows.push(Row { group, check, result, found, what_to_do });
    }

    pub(super) fn into_rows(self) -> Vec<Row> {
        self.progress.show("");
        self.rows
    }
}

/// Group by group, with what to do below each row.
pub(super) fn print(rows: &[Row], text: &mut Text) {
    for group in rows.chunk_by(|one, two| one.group == two.group) {
        let Some(first) = group.first() else { continue };
        text.line(&first.group);
        for row in group {
            let result = Words::from("  ") + row.result.mood().of(row.result.word());
            text.row([result, Words::from(&row.check), Words::from(&row.found)]);
            if let Some(what_to_do) = &row.what_to_do {
                text.row(["  ", "", &format!("→ {what_to_do}")]);
            }
        }
        text.line("");
    }
}

/// How many rows have this result.
pub(super) fn count(rows: &[Row], result: RowResult) -> usize {
    rows.iter().filter(|row| row.result == result).count()
}
