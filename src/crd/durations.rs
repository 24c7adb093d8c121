//! The CEL rules of every duration in a spec: one form, and bounds that the message names.
//! The form has few enough digits that CEL, which fails beyond 292 years, can always compute with it.

use kube::core::Rule;

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
