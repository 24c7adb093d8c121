//! `docs/reasons.md`: every reason of a condition, an Event or a log line.
//! What it says of each is the table in `src/reason.rs`.

use super::table::Table;
use oauth_app_operator::reason::{Kind, Pace, Reason};

const INTRODUCTION: &str = "\
# Reasons

Written by `cargo xtask generate` from `src/reason.rs`.

Each condition has a reason. The same word is the reason of the Event and of the log line. What the conditions
themselves mean is in [concepts.md](concepts.md#conditions).

| Kind | Meaning |
|---|---|
| state | how a resource is; nothing holds the operator up |
| paused | the spec keeps the operator from acting |
| event | something that was done or found; only Events have it |
| waiting | `Reconciling` is `True`: the operator retries by itself, after the shorter delay at first, later up to the longer one |
| blocked | `Stalled` is `True`: someone has to act; the operator checks after such delays whether it was done |

";

pub(super) fn document() -> String {
    let mut table = Table::new(["Reason", "Kind", "What it means", "What to do"]);
    for reason in Reason::ALL {
        let row = reason.row();
        table.row([&format!("`{}`", reason.as_str()), &kind(*reason), row.meaning, row.remedy]);
    }
    format!("{INTRODUCTION}{table}")
}

fn kind(reason: Reason) -> String {
    match reason.kind() {
        Kind::State => "state".into(),
        Kind::Paused => "paused".into(),
        Kind::Event => "event".into(),
        Kind::Waiting(pace) => format!("waiting, {}", delays(pace)),
        Kind::Blocked(pace) => format!("blocked, {}", delays(pace)),
    }
}

fn delays(pace: Pace) -> String {
    let (first, longest) = pace.bounds();
    let text = |seconds: u64| match seconds % 60 {
        0 => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    };
    format!("{} to {}", text(first.as_secs()), text(longest.as_secs()))
}
