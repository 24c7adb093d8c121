//! `createdAt` and `lastUpdatedAt` in the unit that the settings ask for, since none is documented.
//! The text is RFC 3339 in UTC with milliseconds.

use serde_json::{Value, json};

use crate::types::{Settings, TimeUnit};

/// A time that is given in milliseconds since the epoch.
pub(crate) fn timestamp(settings: &Settings, ms: u64) -> Value {
    match settings.timestamps {
        TimeUnit::Milliseconds => json!(ms),
        TimeUnit::Seconds => json!(ms / 1000),
        TimeUnit::Text => json!(rfc3339(ms)),
    }
}

pub(crate) fn rfc3339(ms: u64) -> String {
    let (year, month, day) = date(ms / 86_400_000);
    let (hour, minute, second) = (ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// The date of a day since the epoch, by eras of 400 years that begin on the first of March.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (1_740_787_200_000, "2025-03-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(ms), expected);
        }
    }
}
