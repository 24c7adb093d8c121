//! Durations as manifests write them, such as `10m`, `720h` or `1h30m`.
//! The schema refuses anything else at admission; what cannot be read here is said plainly all the same.

use k8s_openapi::jiff::SignedDuration;
use std::time::Duration;

/// Reads a duration.
///
/// # Errors
/// A sentence that names the text when it is none.
pub fn parse(text: &str) -> Result<Duration, String> {
    let read = text.parse::<SignedDuration>().ok();
    read.and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| format!("{text:?} is not a duration such as 10m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_manifests_are_read() {
        for (text, millis) in
            [("10m", 600_000), ("720h", 2_592_000_000), ("1h30m", 5_400_000), ("500ms", 500), ("10s", 10_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "10", "-5s", "soon"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
