//! `docs/reasons.md`: every reason that a condition, an Event or a log line can give.
//! Meaning and remedy are in `src/reason.rs`.

use super::table::Table;
use oauth_app_operator::reason::Reason;

const INTRODUCTION: &str = "\
# Reasons

Written by `cargo xtask generate` from `src/reason.rs`.

Each condition has a reason. The same word is the reason of the Event and of the log line. What the conditions
themselves mean is in [concepts.md](concepts.md#conditions).
";

/// The document.
pub fn document() -> String {
    let mut table = Table::new(["Reason", "What it means", "What to do"]);
    for reason in Reason::ALL {
        let (meaning, remedy) = reason.explanation();
        table.row([&format!("`{}`", reason.as_str()), meaning, remedy]);
    }
    format!("{INTRODUCTION}\n{table}")
}
