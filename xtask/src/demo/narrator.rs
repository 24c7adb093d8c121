//! The voice of the demo: a line for each thing that happens, with the seconds since the beginning.
//! What others say (a manifest, the output of a command) is quoted below the line.

use std::time::Instant;

/// Tells on standard output.
pub(crate) struct Narrator {
    begin: Instant,
    is_silent: bool,
}

impl Narrator {
    pub(crate) fn new() -> Self {
        Self { begin: Instant::now(), is_silent: false }
    }

    pub(crate) fn silent() -> Self {
        Self { is_silent: true, ..Self::new() }
    }

    pub(crate) fn chapter(&self, title: &str) {
        self.print(format!("\n=== {title}"));
    }

    /// Who did what.
    pub(crate) fn say(&self, who: &str, what: impl AsRef<str>) {
        self.print(format!("{:>6.1} s  {who:<10}  {}", self.begin.elapsed().as_secs_f32(), what.as_ref()));
    }

    /// The words of somebody else.
    pub(crate) fn quote(&self, text: &str) {
        for line in text.trim_end().lines() {
            self.print(format!("            | {line}"));
        }
    }

    fn print(&self, line: String) {
        if !self.is_silent {
            println!("{line}");
        }
    }
}
