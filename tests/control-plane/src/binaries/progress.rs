//! What is printed while programs are provided, which takes minutes.
//! It goes straight to standard error, so that it is seen within tests too, whose output is captured.

use std::io::{Read, Seek, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const HEARTBEAT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);
const LINES: usize = 12;

/// Tells with the time since the start.
pub(super) struct Progress {
    start: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { start: Instant::now() }
    }

    pub(super) fn say(&self, text: &str) {
        let _nobody_listens = writeln!(std::io::stderr().lock(), "{:>5} s  {text}", self.start.elapsed().as_secs());
    }

    /// Runs a command to its end, with a line every 15 s. Gives its output, or its last words when it fails.
    pub(super) fn run(&self, what: &str, command: &mut Command) -> Result<String, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("{name} is not installed"),
            _ => format!("{name}: {error}"),
        };
        // Files, since nobody reads pipes meanwhile.
        let mut output = tempfile::tempfile().map_err(failed)?;
        let mut errors = tempfile::tempfile().map_err(failed)?;
        let streams = (output.try_clone().map_err(failed)?, errors.try_clone().map_err(failed)?);
        command.stdin(Stdio::null()).stdout(streams.0).stderr(streams.1);
        let mut child = command.spawn().map_err(failed)?;
        let mut beat = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                break status;
            }
            if beat.elapsed() >= HEARTBEAT {
                beat = Instant::now();
                self.say(&format!("{what} ..."));
            }
            std::thread::sleep(POLL);
        };
        let mut text = String::new();
        let file = if status.success() { &mut output } else { &mut errors };
        file.rewind().and_then(|()| file.read_to_string(&mut text)).map_err(failed)?;
        if status.success() {
            return Ok(text);
        }
        let lines: Vec<&str> = text.trim().lines().collect();
        let last = lines[lines.len().saturating_sub(LINES)..].join("\n    ");
        // Most programs begin with their name themselves.
        Err(if last.starts_with(&name) { last } else { format!("{name}: {last}") })
    }
}
