//! The durations in a spec, and their CEL rules: one form, and bounds that the message names.
//! The form has few enough digits that CEL, which fails beyond 292 years, can always compute with it.

use k8s_openapi::jiff::SignedDuration;
use kube::core::Rule;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// A duration as manifests write it, such as `10m`, `720h` or `1h30m`. It is shown as it is written, since the spec is the user's.
/// (`kube::core::Duration` is written in seconds, and reading `1h-5m` as one panics.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GoDuration {
    text: String,
    duration: Duration,
}

impl GoDuration {
    pub(super) fn seconds(seconds: u16) -> Self {
        Self { text: format!("{seconds}s"), duration: Duration::from_secs(seconds.into()) }
    }

    pub(super) fn minutes(minutes: u16) -> Self {
        Self { text: format!("{minutes}m"), duration: Duration::from_secs(60 * u64::from(minutes)) }
    }

    pub(super) fn hours(hours: u16) -> Self {
        Self { text: format!("{hours}h"), duration: Duration::from_secs(3600 * u64::from(hours)) }
    }

    /// How long it is.
    pub(crate) fn get(&self) -> Duration {
        self.duration
    }
}

impl TryFrom<String> for GoDuration {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let read = text.parse::<SignedDuration>().ok();
        match read.and_then(|duration| Duration::try_from(duration).ok()) {
            Some(duration) => Ok(Self { text, duration }),
            None => Err(format!("{text:?} is not a duration such as 10m")),
        }
    }
}

impl From<GoDuration> for String {
    fn from(duration: GoDuration) -> Self {
        duration.text
    }
}

impl JsonSchema for GoDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// The longest of most durations, which is ten years.
const LONGEST: &str = "87600h";
/// Hours, minutes, seconds and milliseconds, in this order.
const FORM: &str = "^([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?([0-9]{1,12}ms)?$";

/// For a field that is at least so long.
pub(super) fn at_least(field: &str, least: &str, example: &str) -> Rule {
    between(field, (least, LONGEST), example)
}

/// For a field that is as long as these or in between.
pub(super) fn between(field: &str, (least, most): (&str, &str), example: &str) -> Rule {
    let bounds = format!("duration(self) >= duration('{least}') && duration(self) <= duration('{most}')");
    let message =
        format!("{field} is a duration from {least} to {most} in h, m, s and ms, in this order, such as {example}");
    Rule::new(format!("{} && {bounds}", is_duration("self"))).message(message.as_str())
}

/// For `Rotation`.
pub(super) fn overlap() -> Rule {
    let are_durations = format!("{} && {}", is_duration("self.interval"), is_duration("self.overlap"));
    let is_shorter = "duration(self.overlap) < duration(self.interval)";
    let rule = format!("!has(self.interval) || !has(self.overlap) || !({are_durations}) || {is_shorter}");
    Rule::new(rule).message("overlap must be shorter than interval").field_path(".overlap")
}

/// For the spec of an `OrgOAuthApp`.
pub(super) fn default_overlap() -> Rule {
    let is_given = "!has(self.rotation) || !has(self.rotation.interval) || has(self.rotation.overlap)";
    let is_duration = is_duration("self.rotation.interval");
    let default = "has(self.secretRotationExpirationInSeconds) ? self.secretRotationExpirationInSeconds : 172800";
    let is_shorter = format!("duration(self.rotation.interval).getSeconds() > ({default})");
    Rule::new(format!("{is_given} || !({is_duration}) || {is_shorter}"))
        .message("without rotation.overlap the previous secret stays valid for secretRotationExpirationInSeconds, or for 48h, which must be shorter than rotation.interval: set rotation.overlap")
        .field_path(".rotation")
}

fn is_duration(field: &str) -> String {
    format!("{field} != '' && {field}.matches('{FORM}')")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn durations_of_manifests_are_read_and_shown_as_they_are_written() {
        for (text, millis) in [
            ("10m", 600_000),
            ("720h", 2_592_000_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("10s", 10_000),
            ("99999h9999999m999999999s999999999999ms", 2_959_996_338_999),
        ] {
            let duration: GoDuration = from_value(json!(text)).unwrap();
            assert_eq!(duration.get(), Duration::from_millis(millis), "{text}");
            assert_eq!(json!(duration), json!(text));
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_and_never_taken_for_another_one() {
        for text in ["", "10", "-5s", "1h-5m", "soon", "1h1h", "99999999999999999999h", "1e300h"] {
            let refused = from_value::<GoDuration>(json!(text)).unwrap_err();
            assert!(refused.to_string().contains("is not a duration such as 10m"), "{refused}");
        }
    }
}
