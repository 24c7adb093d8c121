//! The pauses after a 429: of its organization, and of more only when several organizations in succession get one.
//! Pure; the time is an argument.

use crate::fair_queue::Flow;
use crate::iam::OrgId;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// After 429s about so many organizations in succession, more than these organizations is paused.
const ESCALATE_AFTER: usize = 3;
/// How long a 429 counts toward that.
const COUNTS_FOR: Duration = Duration::from_secs(60);

/// The calls that a pause is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    /// Every call.
    Connection,
    /// The calls for one flow.
    Flow(Flow),
    /// The calls about one organization.
    Org(OrgId),
    /// The requests for an access token that serves several organizations, by the owner of the credentials.
    Token(Flow),
    /// The requests about these credentials themselves, which no app waits for.
    Details(Flow),
}

/// What is paused until when, and the 429s that may lead to a wider pause.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    until: HashMap<Scope, Instant>,
    /// 429s without another answer between them, each from another source.
    recent: Vec<Throttle429>,
}

#[derive(Debug)]
struct Throttle429 {
    /// All organizations for which no call ever succeeded are one source, since anyone can invent them.
    source: Option<Scope>,
    flow: Flow,
    wait: Duration,
    at: Instant,
}

/// The effect of a 429.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Paused {
    /// How much longer the scope of the call is paused because of it.
    pub(crate) longer: Duration,
    /// Whether that was not paused before: several 429 to requests that were in flight together count once.
    pub(crate) is_new: bool,
    /// The wider scope that is paused too.
    pub(crate) also_paused: Option<Scope>,
}

impl Pauses {
    /// A call of this scope, for this flow, was answered with a 429.
    pub(super) fn pause(&mut self, scope: &Scope, is_known: bool, flow: &Flow, wait: Duration, now: Instant) -> Paused {
        self.until.retain(|_, until| *until > now);
        let before = self.until.get(scope).copied();
        self.extend(scope.clone(), now + wait);
        let longer = (now + wait).saturating_duration_since(before.unwrap_or(now));
        let throttle = Throttle429 { source: is_known.then(|| scope.clone()), flow: flow.clone(), wait, at: now };
        Paused { longer, is_new: before.is_none(), also_paused: self.escalate(throttle, now) }
    }

    /// Several organizations of one namespace pause that namespace; those of several namespaces pause the connection.
    fn escalate(&mut self, throttle: Throttle429, now: Instant) -> Option<Scope> {
        self.recent.retain(|earlier| earlier.source != throttle.source && now < earlier.at + COUNTS_FOR);
        self.recent.push(throttle);
        if self.recent.len() < ESCALATE_AFTER {
            return None;
        }
        let recent = std::mem::take(&mut self.recent);
        let flow = &recent.first()?.flow;
        let scope = if recent.iter().all(|throttle| throttle.flow == *flow) {
            Scope::Flow(flow.clone())
        } else {
            Scope::Connection
        };
        self.extend(scope.clone(), now + recent.iter().map(|throttle| throttle.wait).min()?);
        Some(scope)
    }

    fn extend(&mut self, scope: Scope, until: Instant) {
        let paused = self.until.entry(scope).or_insert(until);
        *paused = until.max(*paused);
    }

    /// The API answered something else.
    pub(super) fn answered(&mut self) {
        self.recent.clear();
    }

    /// Until when a call of this scope, for this flow, has to wait; `None` when it may be made.
    pub(super) fn until(&self, scope: &Scope, flow: &Flow, now: Instant) -> Option<Instant> {
        let scopes = [scope, &Scope::Flow(flow.clone()), &Scope::Connection];
        scopes.into_iter().filter_map(|scope| self.until.get(scope).copied()).max().filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(30);

    fn org(id: &str) -> Scope {
        Scope::Org(OrgId(id.into()))
    }

    fn namespace(name: &str) -> Flow {
        Flow::Namespace(name.into())
    }

    #[test]
    fn one_organization_that_is_always_throttled_pauses_no_other() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        for n in 0..100 {
            let paused = pauses.pause(&org("a"), true, &namespace("a"), WAIT, now + n * WAIT);
            assert_eq!(paused, Paused { longer: WAIT, is_new: true, also_paused: None });
        }
        let now = now + 99 * WAIT;
        assert_eq!(pauses.until(&org("a"), &namespace("a"), now), Some(now + WAIT));
        assert_eq!(pauses.until(&org("b"), &namespace("a"), now), None);
        assert_eq!(pauses.until(&org("a"), &namespace("a"), now + WAIT), None);
    }

    #[test]
    fn three_organizations_in_succession_pause_the_connection_for_the_shortest_wait() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        let mut pause =
            |org: Scope, wait| pauses.pause(&org, true, &namespace(&format!("{org:?}")), wait, now).also_paused;
        assert_eq!(pause(org("a"), 20 * WAIT), None);
        assert_eq!(pause(org("b"), WAIT), None);
        assert_eq!(pause(org("c"), 2 * WAIT), Some(Scope::Connection));
        assert_eq!(pauses.until(&org("d"), &namespace("d"), now), Some(now + WAIT));
        assert_eq!(pauses.until(&org("a"), &namespace("a"), now), Some(now + 20 * WAIT));
    }

    #[test]
    fn another_answer_in_between_starts_the_count_again() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        for name in ["a", "b", "c", "d", "e"] {
            assert_eq!(pauses.pause(&org(name), true, &namespace(name), WAIT, now).also_paused, None);
            pauses.answered();
        }
    }

    #[test]
    fn organizations_of_one_namespace_pause_that_namespace() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        let tenant = namespace("tenant");
        let also_paused = ["a", "b", "c"].map(|name| pauses.pause(&org(name), true, &tenant, WAIT, now).also_paused);
        assert_eq!(also_paused, [None, None, Some(Scope::Flow(tenant.clone()))]);
        assert!(pauses.until(&org("d"), &tenant, now).is_some());
        assert_eq!(pauses.until(&org("d"), &namespace("other"), now), None);
    }

    #[test]
    fn invented_organizations_are_one_source_however_many_there_are() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        for n in 0..100 {
            let (made_up, flow) = (org(&format!("made-up-{n}")), namespace(&format!("n-{}", n % 2)));
            assert_eq!(pauses.pause(&made_up, false, &flow, WAIT, now).also_paused, None);
        }
    }

    #[test]
    fn old_pauses_and_429s_are_dropped() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        for n in 0..1000 {
            let also_paused =
                pauses.pause(&org(&n.to_string()), true, &namespace("a"), WAIT, now + n * 2 * WAIT).also_paused;
            assert_eq!(also_paused, None, "too long after one another");
        }
        assert_eq!((pauses.until.len(), pauses.recent.len()), (1, 1));
    }
}
