//! The consumers of a Secret that read it only at their start: the pods that still hold an earlier client secret, the time that
//! is left to them, and the result of a restart. Of pods only names are kept, and no more of them than are shown.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// So many pods are named in status.
const NAMED: usize = 10;
/// And so many in an Event.
const NAMED_IN_EVENT: usize = 5;
/// How often they are looked for at most, and at least.
const SHORTEST_INTERVAL: SignedDuration = SignedDuration::from_secs(30);
const LONGEST_INTERVAL: SignedDuration = SignedDuration::from_hours(1);
/// And at least while there are some, so that status soon says that there are none any more.
const INTERVAL_WHILE_STALE: SignedDuration = SignedDuration::from_mins(5);

/// The pods that hold an earlier client secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaleConsumers {
    /// The first ones by name.
    pub(crate) first: Vec<String>,
    pub(crate) count: usize,
}

impl StaleConsumers {
    pub fn add(&mut self, name: String) {
        self.count += 1;
        let at = self.first.partition_point(|known| *known < name);
        self.first.insert(at, name);
        self.first.truncate(NAMED);
    }

    /// Some of their names, and how many more there are.
    pub(crate) fn named(&self) -> String {
        let named: Vec<&str> = self.first.iter().take(NAMED_IN_EVENT).map(String::as_str).collect();
        match self.count.saturating_sub(named.len()) {
            0 => named.join(", "),
            more => format!("{} and {more} more", named.join(", ")),
        }
    }
}

/// The time in which the previous client secret is valid beside the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overlap {
    /// When the current one was published.
    pub(crate) began: Timestamp,
    /// When the previous one expires.
    pub(crate) ends: Timestamp,
}

impl Overlap {
    /// Whether it is that time.
    pub(crate) fn runs(self, now: Timestamp) -> bool {
        self.began <= now && now < self.ends
    }

    /// From when on only a quarter of it is left.
    pub(crate) fn last_quarter(self) -> Timestamp {
        let quarter = self.ends.duration_since(self.began) / 4;
        self.ends.checked_sub(quarter).unwrap_or(self.ends)
    }

    /// When stale consumers are to be counted again, if they were last counted then. They are counted when the last quarter begins.
    pub(crate) fn next_search(self, last: Option<Timestamp>, some_are_stale: bool) -> Option<Timestamp> {
        let part = self.ends.duration_since(self.began) / 16;
        let longest = if some_are_stale { INTERVAL_WHILE_STALE } else { LONGEST_INTERVAL };
        let last = last.unwrap_or(self.began);
        let next = last.checked_add(part.max(SHORTEST_INTERVAL).min(longest)).ok();
        let quarter = Some(self.last_quarter()).filter(|quarter| last < *quarter);
        [next, quarter].into_iter().flatten().min().filter(|at| *at < self.ends)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestartResult {
    Restarted,
    /// They were restarted since the secret was published.
    NotNeeded,
    Missing,
    /// It is paused, so that a restart would come about at some later time.
    Paused,
    /// Its pod template does not use the Secret.
    NotAConsumer,
    /// The operator may not read it, with the message of Kubernetes.
    Forbidden(String),
    /// Kubernetes refuses the change, with its message.
    Refused(String),
}

impl RestartResult {
    /// Why there was no restart, where there should have been one.
    pub(crate) fn failure(&self, secret: &str) -> Option<String> {
        match self {
            Self::Restarted | Self::NotNeeded => None,
            Self::Missing => Some("does not exist".into()),
            Self::Paused => Some("is paused".into()),
            Self::NotAConsumer => Some(format!("does not use Secret {secret} in its pod template")),
            Self::Forbidden(message) => Some(format!(
                "cannot be restarted, since the operator has no right to restart workloads, which rotation.restart: true of the chart gives: {message}"
            )),
            Self::Refused(message) => Some(format!("cannot be changed: {message}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn ten_pods_are_kept_by_name_and_all_are_counted() {
        let mut stale = StaleConsumers::default();
        (0..30).rev().for_each(|n| stale.add(format!("web-{n:02}")));
        assert_eq!((stale.count, stale.first.len()), (30, 10));
        assert_eq!((stale.first[0].as_str(), stale.first[9].as_str()), ("web-00", "web-09"));
        assert_eq!(stale.named(), "web-00, web-01, web-02, web-03, web-04 and 25 more");
        let one = StaleConsumers { first: vec!["web".into()], count: 1 };
        assert_eq!(one.named(), "web");
    }

    #[test]
    fn looks_are_spread_over_the_overlap_and_the_last_quarter_begins_with_one() {
        let hour = 3600;
        let looks = |ends: i64, stale: bool| {
            let overlap = Overlap { began: at(0), ends: at(ends) };
            let next = |last: &Timestamp| overlap.next_search(Some(*last), stale);
            let first = overlap.next_search(None, stale);
            std::iter::successors(first, next).map(|at| at.as_second()).collect::<Vec<_>>()
        };
        assert_eq!(looks(4, false), [3], "short: with a quarter left, and never more often than twice a minute");
        assert_eq!(looks(160, false), [30, 60, 90, 120, 150]);
        assert_eq!(looks(48 * hour, false).len(), 47, "at least once an hour");
        assert!(looks(50 * hour, false).contains(&(37 * hour + 1800)), "a quarter is left");
        assert_eq!(looks(hour, false)[..2], [225, 450]);
        assert_eq!(looks(hour * 8, true)[..2], [300, 600], "more often while there are stale ones");
    }

    #[test]
    fn times_that_make_no_sense_bring_no_look() {
        let backwards = Overlap { began: at(100), ends: at(0) };
        assert_eq!(backwards.next_search(None, true), None);
        assert!(!backwards.runs(at(50)));
        let endless = Overlap { began: Timestamp::MIN, ends: Timestamp::MAX };
        assert!(endless.next_search(None, false).is_some());
    }
}
