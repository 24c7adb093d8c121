//! Which apps of the organization are imported: what the user asks for.

use crate::crd::GoDuration;
use crate::iam::RemoteApp;
use clap::Args;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::time::Duration;

/// Which apps.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which apps")]
pub(super) struct FilterArgs {
    /// Apps whose display name matches, where * is any text and ? any character
    #[arg(long, value_name = "GLOB")]
    name: Option<String>,
    /// The app with this client id, which is read without listing all; repeatable
    #[arg(long, value_name = "ID")]
    pub(super) id: Vec<String>,
    /// Apps that were created less than this time ago, such as 720h or 30d
    #[arg(long, value_name = "DURATION", value_parser = age)]
    newer_than: Option<Duration>,
    /// Apps that were created longer ago than this, such as 720h or 30d
    #[arg(long, value_name = "DURATION", value_parser = age)]
    older_than: Option<Duration>,
    /// Also apps that a resource of the cluster has, and apps whose id an operator derived from the uid of a resource
    #[arg(long)]
    pub(super) include_managed: bool,
}

/// A duration as manifests have it, or days.
fn age(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok());
    match days.and_then(|days| days.checked_mul(86_400)) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => GoDuration::try_from(text.to_owned()).map(|duration| duration.get()).map_err(|error| error + " or 30d"),
    }
}

/// Whether an app is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Wanted,
    NotWanted,
    /// The name or the age that decides is not shown, at least not by a list.
    NotShown,
}

impl FilterArgs {
    pub(super) fn choice(&self, app: &RemoteApp, now: Timestamp) -> Choice {
        let answers = [self.has_name(app), self.has_age(app, now)];
        match (answers.contains(&Some(false)), answers.contains(&None)) {
            (true, _) => Choice::NotWanted,
            (false, true) => Choice::NotShown,
            (false, false) => Choice::Wanted,
        }
    }

    /// `None` when the app does not show its name.
    fn has_name(&self, app: &RemoteApp) -> Option<bool> {
        let Some(glob) = &self.name else { return Some(true) };
        Some(matches(glob, display_name(app)?))
    }

    /// `None` when the app does not show its age.
    fn has_age(&self, app: &RemoteApp, now: Timestamp) -> Option<bool> {
        if self.newer_than.is_none() && self.older_than.is_none() {
            return Some(true);
        }
        let age = now.duration_since(app.created_at?);
        let is_longer = |than: Duration| SignedDuration::try_from(than).is_ok_and(|than| age > than);
        Some(self.newer_than.is_none_or(|than| !is_longer(than)) && self.older_than.is_none_or(is_longer))
    }
}

/// The name that the console shows.
pub(super) fn display_name(app: &RemoteApp) -> Option<&str> {
    app.fields.get("displayName").and_then(Value::as_str).filter(|name| !name.is_empty())
}

/// `*` is any text, `?` any character. Takes time by the length of the glob times that of the text.
fn matches(glob: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // Whether the glob so far matches the first n characters.
    let mut so_far = vec![false; text.len() + 1];
    so_far[0] = true;
    for part in glob.chars() {
        if part == '*' {
            (1..so_far.len()).for_each(|n| so_far[n] |= so_far[n - 1]);
        } else {
            (1..so_far.len()).rev().for_each(|n| so_far[n] = so_far[n - 1] && (part == '?' || part == text[n - 1]));
            so_far[0] = false;
        }
    }
    so_far[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::ClientId;
    use serde_json::json;

    #[test]
    fn a_glob_matches_the_whole_name() {
        for (glob, name, is_match) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("bill*", "billing", true),
            ("bill*", "Billing", false),
            ("*ing*", "billing export", true),
            ("b?lling", "bülling", true),
            ("a*b*c", "a-c-b-c", true),
            ("a*b", "a-b-c", false),
            ("??", "a", false),
        ] {
            assert_eq!(matches(glob, name), is_match, "{glob} {name}");
        }
        assert!(!matches(&"*a".repeat(1000), &"a".repeat(999)), "in a bounded time");
    }

    fn choice(arguments: &[&str], name: Option<&str>, hours: Option<i64>) -> Choice {
        #[derive(clap::Parser)]
        struct Parsed {
            #[command(flatten)]
            filter: FilterArgs,
        }
        let now: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
        let fields = name.map(|name| ("displayName".to_owned(), json!(name))).into_iter().collect();
        let created_at = hours.map(|hours| now - SignedDuration::from_hours(hours));
        let app = RemoteApp { id: ClientId("a".into()), fields, is_caller: false, created_at, last_updated_at: None };
        let arguments = ["x"].iter().chain(arguments);
        let Parsed { filter } = clap::Parser::try_parse_from(arguments).unwrap_or_else(|error| panic!("{error}"));
        filter.choice(&app, now)
    }

    #[test]
    fn an_app_is_chosen_by_its_name_and_age_where_they_are_shown() {
        use Choice::{NotShown, NotWanted, Wanted};
        assert_eq!(choice(&[], None, None), Wanted);
        assert_eq!(choice(&["--name=b*"], Some("billing"), None), Wanted);
        assert_eq!(choice(&["--name=b*"], Some("other"), None), NotWanted);
        assert_eq!(choice(&["--name=b*"], None, None), NotShown);
        assert_eq!(choice(&["--newer-than=2d"], None, Some(47)), Wanted);
        assert_eq!(choice(&["--newer-than=48h"], None, Some(49)), NotWanted);
        assert_eq!(choice(&["--older-than=1h"], None, Some(2)), Wanted);
        assert_eq!(choice(&["--older-than=1h", "--name=b*"], Some("other"), None), NotWanted);
        assert_eq!(choice(&["--older-than=1h"], None, None), NotShown);
    }

    #[test]
    fn an_age_is_a_duration_or_a_number_of_days() {
        assert_eq!(age("2d"), Ok(Duration::from_secs(172_800)));
        assert_eq!(age("1h30m"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "d", "x", "-1h", "99999999999999999999d"] {
            assert!(age(wrong).unwrap_err().ends_with("is not a duration such as 10m or 30d"), "{wrong}");
        }
    }
}
