//! The matrix of failed calls in `docs/behaviour.md`, from the rows of its test.
//! Failures from which the same follows share a line.

use super::table::{Table, with_section};
use iam_simulator::types::Operation;
use test_environment::failures::{BROKER_FAILURES, BROKER_OPERATIONS, FAILURES, Failure, Next, OPERATIONS, Outcome};

/// The text with the current tables between their markers.
pub(super) fn document(text: &str) -> Result<String, String> {
    let text = with_section(text, "failures", &table::<7, 6>(OPERATIONS, &FAILURES))?;
    with_section(&text, "failures of the Identity Broker", &table::<5, 4>(BROKER_OPERATIONS, &BROKER_FAILURES))
}

/// A column for the failure, and one for each operation.
fn table<const COLUMNS: usize, const N: usize>(
    operations: [(Operation, &'static str); N],
    failures: &[Failure<N>],
) -> String {
    let mut headings = ["API response"; COLUMNS];
    for (heading, (_, operation)) in headings[1..].iter_mut().zip(operations) {
        *heading = operation;
    }
    let mut table = Table::new(headings);
    for (names, outcomes) in lines(failures) {
        let cells: Vec<String> = std::iter::once(names.join(", ")).chain(outcomes.map(cell)).collect();
        table.row(std::array::from_fn(|column| cells[column].as_str()));
    }
    table.to_string()
}

/// The names of failures, and what follows from each of them.
fn lines<const N: usize>(failures: &[Failure<N>]) -> Vec<(Vec<&'static str>, [Outcome; N])> {
    let mut lines: Vec<(Vec<&str>, _)> = Vec::new();
    for failure in failures {
        match lines.iter_mut().find(|(_, outcomes)| *outcomes == failure.outcomes) {
            Some((names, _)) => names.push(failure.name),
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
