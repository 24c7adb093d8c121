//! What follows when one call fails: the matrix that the end-to-end tests show and `docs/behaviour.md` documents.
//! A row is a failure; its columns are the operations that change something.

use iam_simulator::types::{Action, Operation};

/// The columns, each with its heading.
pub const OPERATIONS: [(Operation, &str); 6] = [
    (Operation::CreateApp, "create"),
    (Operation::UpdateApp, "change"),
    (Operation::RotateSecret, "rotate"),
    (Operation::AddClients, "add to organization"),
    (Operation::PatchClientRoles, "change roles"),
    (Operation::DeleteApps, "delete"),
];

/// The columns of the Identity Broker, which has no roles.
pub const BROKER_OPERATIONS: [(Operation, &str); 4] = [
    (Operation::CreateApp, "create"),
    (Operation::UpdateApp, "change"),
    (Operation::RotateSecret, "rotate"),
    (Operation::DeleteApps, "delete"),
];

/// One way in which a call fails, and what follows from it for each operation.
pub struct Failure<const N: usize> {
    /// As documents name it.
    pub name: &'static str,
    /// What the simulator does to the call.
    pub action: fn() -> Action,
    /// Column by column.
    pub outcomes: [Outcome; N],
}

/// One failure of one operation.
#[derive(Clone, Copy)]
pub struct Cell {
    /// As documents name the failure.
    pub name: &'static str,
    /// What the simulator does to the call.
    pub action: fn() -> Action,
    /// What follows.
    pub outcome: Outcome,
}

/// The cells of an operation, which is one of the columns.
#[must_use]
pub fn cells<const N: usize>(
    operations: &[(Operation, &str); N],
    failures: &[Failure<N>],
    operation: Operation,
) -> Option<Vec<Cell>> {
    let column = operations.iter().position(|(other, _)| *other == operation)?;
    let cell =
        |Failure { name, action, outcomes }: &Failure<N>| Cell { name, action: *action, outcome: outcomes[column] };
    Some(failures.iter().map(cell).collect())
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The reason of the Event, if there is one.
    pub reason: Option<&'static str>,
    /// What makes the operator go on.
    pub next: Next,
    /// The calls of the operation until it is done.
    pub calls: u64,
}

/// What makes the operator go on after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It retries without help.
    Retry,
    /// Somebody changes the spec.
    Edit,
}

const fn retry(reason: &'static str, calls: u64) -> Outcome {
    Outcome { reason: Some(reason), next: Next::Retry, calls }
}

const fn edit(reason: &'static str) -> Outcome {
    Outcome { reason: Some(reason), next: Next::Edit, calls: 2 }
}

const fn silent(calls: u64) -> Outcome {
    Outcome { reason: None, next: Next::Retry, calls }
}

const REJECTED: Outcome = edit("Rejected");
const ORG_NOT_FOUND: Outcome = edit("OrgNotFound");
const CONFLICT: Outcome = retry("ApiConflict", 2);
/// The call is repeated.
const UNAVAILABLE: Outcome = retry("ConnectionUnavailable", 2);
/// A read shows that the call was performed, so it is not repeated.
const PERFORMED: Outcome = retry("ConnectionUnavailable", 1);

pub const FAILURES: [Failure<6>; 14] = [
    row("400", || answer(400), [REJECTED; 6]),
    row("422", || answer(422), [REJECTED; 6]),
    row("401", || Action::ExpiredToken, [silent(2); 6]),
    row("403", || answer(403), [edit("Forbidden"); 6]),
    row("404", || answer(404), [ORG_NOT_FOUND, silent(2), silent(2), ORG_NOT_FOUND, ORG_NOT_FOUND, silent(2)]),
    row("409", || answer(409), [CONFLICT, CONFLICT, retry("RotationRunning", 2), CONFLICT, CONFLICT, CONFLICT]),
    row("429", || Action::TooManyRequests { retry_after: Some(1) }, [retry("Throttled", 2); 6]),
    row("500", || answer(500), [UNAVAILABLE; 6]),
    row("503", || answer(503), [UNAVAILABLE; 6]),
    row("connection reset", || Action::ConnectionReset, [UNAVAILABLE; 6]),
    row("no response", || Action::Hang { performed: false }, [UNAVAILABLE; 6]),
    row(
        "performed with a lost response",
        || Action::ResponseLost,
        [UNAVAILABLE, PERFORMED, PERFORMED, PERFORMED, PERFORMED, UNAVAILABLE],
    ),
    row(
        "performed with an endless response",
        || Action::SlowBody { ms: None },
        [UNAVAILABLE, PERFORMED, PERFORMED, PERFORMED, PERFORMED, UNAVAILABLE],
    ),
    row(
        "performed with a malformed response",
        || Action::MalformedBody,
        [UNAVAILABLE, silent(1), silent(1), PERFORMED, silent(1), UNAVAILABLE],
    ),
];

/// Where the answers of the Identity Broker differ: its errors are `errors[]`, a 404 has no body, and a 400 to a rotation makes the
/// operator read whether one is in progress.
pub const BROKER_FAILURES: [Failure<4>; 5] = [
    row("400", || answer(400), [REJECTED; 4]),
    row("404", || answer(404), [UNAVAILABLE, silent(2), silent(2), silent(2)]),
    row("409", || answer(409), [CONFLICT, CONFLICT, retry("RotationRunning", 2), CONFLICT]),
    row("500", || answer(500), [UNAVAILABLE; 4]),
    row("performed with a lost response", || Action::ResponseLost, [PERFORMED, PERFORMED, PERFORMED, UNAVAILABLE]),
];

const fn row<const N: usize>(name: &'static str, action: fn() -> Action, outcomes: [Outcome; N]) -> Failure<N> {
    Failure { name, action, outcomes }
}

/// What the simulator says when it refuses a call.
pub const MESSAGE: &str = "said so";

fn answer(status: u16) -> Action {
    Action::Status { status, message: MESSAGE.into(), performed: false }
}
