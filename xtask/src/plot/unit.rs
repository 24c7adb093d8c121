//! Values and times in words.

/// What the values of a panel count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Count,
    /// Of 1.
    Percent,
    Seconds,
    PerSecond,
}

impl Unit {
    /// A value with its unit.
    pub(crate) fn format(self, value: f64) -> String {
        match self {
            Self::Count => number(value),
            Self::Percent => format!("{} %", number(value * 100.0)),
            Self::Seconds if value == 0.0 || value >= 1.0 => format!("{} s", number(value)),
            Self::Seconds => format!("{} ms", number(value * 1000.0)),
            Self::PerSecond => format!("{}/s", number(value)),
        }
    }
}

/// With at most two significant digits behind the point.
fn number(value: f64) -> String {
    let digits = if value.abs() < 1.0 { 2 } else { 1 };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Minutes and seconds.
pub(super) fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
