//! Writes each log event as one line, whatever text from outside it contains.
//! Every event passes this writer, so no call of `tracing` has to clean its own fields.

use crate::text::one_line;
use std::io::{self, Write};

/// Expects one write per event, as `tracing_subscriber::fmt` does, and writes one line for it. The log has no colors, since a
/// text could use escape sequences of its own to hide the rest of its line.
pub struct Lines<W>(W);

impl<W> Lines<W> {
    pub fn new(to: W) -> Self {
        Self(to)
    }
}

fn line(event: &str) -> String {
    one_line(event.strip_suffix('\n').unwrap_or(event)) + "\n"
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(line(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::is_hidden;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::prelude::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Log {
        type Writer = Lines<Self>;

        fn make_writer(&self) -> Self::Writer {
            Lines::new(self.clone())
        }
    }

    /// The log lines for a text from outside as message, field, error, and field of a span.
    fn logged(text: &str, json: bool) -> String {
        let log = Log::default();
        let layer = tracing_subscriber::fmt::layer().with_writer(log.clone());
        let layer = if json { layer.json().flatten_event(true).boxed() } else { layer.boxed() };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!("app", resource = %text);
            let _within = span.enter();
            tracing::info!(text, error = %text, debug = ?text, "{text}");
        });
        let written = log.0.lock().unwrap().clone();
        String::from_utf8(written).unwrap()
    }

    /// Whether it is JSON that comes back as long as it was: of a key that is written twice, one value is lost.
    fn has_each_key_once(line: &str) -> bool {
        serde_json::from_str::<serde_json::Value>(line).is_ok_and(|value| value.to_string().len() == line.len())
    }

    #[test]
    fn no_text_forges_a_line_or_hides_a_part_of_one() {
        for text in [
            "gone\n2026-01-01T00:00:00Z ERROR forged",
            "a\r\nb",
            "a\u{85}b\u{2028}c",
            "\u{202e}dcba\u{2066}",
            "a\0\u{8}",
            "\u{1b}[2J\u{1b}[8m",
        ] {
            for json in [false, true] {
                let log = logged(text, json);
                let line = log.strip_suffix('\n').unwrap();
                assert!(!line.chars().any(|c| c.is_control() || is_hidden(c) || c == '\u{2028}'), "{line:?}");
                assert!(line.contains("INFO"), "{line:?}");
                assert!(!json || has_each_key_once(line), "{line}");
            }
        }
    }
}
