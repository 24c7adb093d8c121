//! The time that a 429 asks to wait, from its `Retry-After` header. No statement of an API about the header was found, so both
//! forms of HTTP are read, within bounds. (undocumented)

use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::fmt::rfc2822;
use std::time::Duration;

/// Without a usable header.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// After a wait of zero, all waiting calls would be sent again at the same time.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// A mistaken `Retry-After` must not stop a connection for a day.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The wait for this header: seconds or an HTTP date.
pub(crate) fn retry_after_wait(retry_after: Option<&str>, now: Timestamp) -> Duration {
    let asked = retry_after.map(str::trim).and_then(|text| match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = rfc2822::parse(text).ok()?.timestamp();
            Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
        }
    });
    asked.unwrap_or(DEFAULT_WAIT).clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        let cases = [
            (Some("2"), 2),
            (Some(" 30 "), 30),
            (Some("0"), 1),
            (Some("86400"), 600),
            (Some("Sun, 06 Nov 1994 08:49:37 GMT"), 30),
            (Some("Sun, 06 Nov 1994 08:00:00 GMT"), 1),
            (Some("Mon, 07 Nov 1994 08:49:37 GMT"), 600),
            (Some("soon"), 5),
            (Some("-1"), 5),
            (Some(""), 5),
            (None, 5),
        ];
        for (text, seconds) in cases {
            assert_eq!(retry_after_wait(text, now), Duration::from_secs(seconds), "{text:?}");
        }
    }
}
