//! The matrix of failed calls in `docs/behaviour.md`, from the rows of its test.
//! Failures from which the same follows share a line.

use super::table::{Table, with_section};
use test_environment::failures::{FAILURES, Next, OPERATIONS, Outcome};

const COLUMNS: usize = 1 + OPERATIONS.len();

/// The text with the current table between its markers.
pub(super) fn document(text: &str) -> Result<String, String> {
    let mut headings = ["API response"; COLUMNS];
    for (heading, (_, operation)) in headings[1..].iter_mut().zip(OPERATIONS) {
        *heading = operation;
    }
    let mut table = Table::new(headings);
    for (failures, outcomes) in lines() {
        let cells: Vec<String> = std::iter::once(failures.join(", ")).chain(outcomes.map(cell)).collect();
        table.row(std::array::from_fn(|column| cells[column].as_str()));
    }
    with_section(text, "failures", &table.to_string())
}

/// The names of failures, and what follows from each of them.
fn lines() -> Vec<(Vec<&'static str>, [Outcome; OPERATIONS.len()])> {
    let mut lines: Vec<(Vec<&str>, _)> = Vec::new();
    for failure in &FAILURES {
        match lines.iter_mut().find(|(_, outcomes)| *outcomes == failure.outcomes) {
            Some((failures, _)) => failures.push(failure.name),
            None => lines.push((vec![failure.name], failure.outcomes)),
        }
    }
    lines
}

fn cell(Outcome { reason, next, calls }: Outcome) -> String {
    let reason = reason.map_or_else(|| "no Event".to_owned(), |reason| format!("`{reason}`"));
    match next {
        Next::Retry => format!("{reason}, {calls}"),
        Next::Edit => format!("{reason}, edit, {calls}"),
    }
}
