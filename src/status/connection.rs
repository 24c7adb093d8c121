//! Turns the result of a check into the status of an `IamConnection`: its conditions, and what its access token says.
//! Pure and deterministic, as for apps.

use super::{NewCondition, whole_seconds};
use crate::connections::{CheckResult, ConnectionHealth, Expiry};
use crate::crd::{
    AppCounts, Condition, ConditionStatus, ConditionType, CredentialsStatus, IamConnection, IamConnectionStatus,
};
use crate::iam::{OrgId, TokenClaims};
use crate::reason::{Blocked, Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// Credentials that expire sooner have the condition `CredentialsExpiring`.
const EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);
/// For those that expire sooner it has the reason `CredentialsExpireSoon`.
const EXPIRY_ALARM: SignedDuration = SignedDuration::from_hours(3 * 24);

/// The status of a connection. Without `counts`, `status.apps` stays as it is.
pub fn of_connection(
    connection: &IamConnection,
    checked: &CheckResult,
    counts: Option<AppCounts>,
    now: Timestamp,
) -> IamConnectionStatus {
    let old = connection.status.clone().unwrap_or_default();
    let generation = connection.metadata.generation;
    let last = old.conditions.iter().find(|c| c.r#type == ConditionType::Ready && c.observed_generation == generation);
    let last = last.filter(|last| last.reason != Reason::Pending.as_str());
    let ready = match ready(&checked.health, last) {
        Some(new) => Some(new.after(&old.conditions, generation, now)),
        None => last.cloned(),
    };
    let progress = ready.iter().flat_map(|ready| progress(ready, &old.conditions)).collect::<Vec<_>>();
    let expiring = match &checked.expiry {
        Expiry::NotRead => old.condition(ConditionType::CredentialsExpiring).cloned(),
        expiry => expiring(expiry, now).map(|new| new.after(&old.conditions, generation, now)),
    };
    let claims = claims(&checked.health, &old);
    IamConnectionStatus {
        observed_generation: generation,
        organization: claims.organization.map(|org| org.0),
        roles: claims.roles,
        credentials: credentials(&checked.expiry, old.credentials),
        apps: counts.or(old.apps),
        conditions: ready.into_iter().chain(progress).chain(expiring).collect(),
    }
}

/// `Reconciling` and `Stalled`, as kstatus reads them: what is not known is asked again, and what is wrong waits for a person.
fn progress(ready: &Condition, old: &[Condition]) -> [Condition; 2] {
    let (reconciling, stalled) = match ready.status {
        ConditionStatus::True => (false, false),
        ConditionStatus::Unknown => (true, false),
        ConditionStatus::False => (false, true),
    };
    [(ConditionType::Reconciling, reconciling), (ConditionType::Stalled, stalled)].map(|(kind, is_true)| {
        let status = if is_true { ConditionStatus::True } else { ConditionStatus::False };
        let message = if is_true { ready.message.clone() } else { String::new() };
        let same = old.iter().find(|condition| condition.r#type == kind && condition.status == status);
        let last_transition_time = same.unwrap_or(ready).last_transition_time.clone();
        Condition { r#type: kind, status, message, last_transition_time, ..ready.clone() }
    })
}

/// The claims of the access token; where there is none now, those of the last one stay.
fn claims(health: &ConnectionHealth, old: &IamConnectionStatus) -> TokenClaims {
    match health {
        ConnectionHealth::Accepted(claims) => claims.clone(),
        ConnectionHealth::ByEachNamespace | ConnectionHealth::Wrong(_) => TokenClaims::default(),
        ConnectionHealth::NotAsked
        | ConnectionHealth::Unreachable(_)
        | ConnectionHealth::Delayed(_)
        | ConnectionHealth::Undecided(_) => {
            TokenClaims { organization: old.organization.clone().map(OrgId), roles: old.roles.clone() }
        }
    }
}

/// `None` where the last known condition stays. That nothing was verified yet is no knowledge once something was tried.
fn ready(health: &ConnectionHealth, last: Option<&Condition>) -> Option<NewCondition> {
    let known = last.filter(|last| last.reason != Reason::Unverified.as_str());
    let condition = |status, reason, message: &str| {
        Some(NewCondition { kind: ConditionType::Ready, status, reason, message: message.to_owned() })
    };
    match health {
        ConnectionHealth::Accepted(_) => {
            condition(ConditionStatus::True, Reason::Provisioned, "The API accepts the credentials.")
        }
        ConnectionHealth::ByEachNamespace => condition(
            ConditionStatus::True,
            Reason::Provisioned,
            "Each namespace provides its own credentials; its resources report whether the API accepts them.",
        ),
        ConnectionHealth::NotAsked if last.is_none() => {
            let message =
                "The settings can be used; the credentials are verified when the first app uses the connection.";
            condition(ConditionStatus::True, Reason::Unverified, message)
        }
        ConnectionHealth::Unreachable(message) => {
            condition(ConditionStatus::Unknown, Reason::ConnectionUnavailable, message)
        }
        ConnectionHealth::Delayed(message) if known.is_none() => {
            condition(ConditionStatus::Unknown, Reason::ConnectionUnavailable, message)
        }
        ConnectionHealth::Undecided(message) if known.is_none() => {
            condition(ConditionStatus::Unknown, Reason::CredentialsUnavailable, message)
        }
        ConnectionHealth::NotAsked | ConnectionHealth::Delayed(_) | ConnectionHealth::Undecided(_) => None,
        ConnectionHealth::Wrong(Blocked { reason, message }) => condition(ConditionStatus::False, *reason, message),
    }
}

fn credentials(expiry: &Expiry, last: Option<CredentialsStatus>) -> Option<CredentialsStatus> {
    match expiry {
        Expiry::At { what: _, at } => Some(CredentialsStatus { expires_at: Some(Time(whole_seconds(*at))) }),
        Expiry::NotRead => last,
        Expiry::NotKnown | Expiry::Unreadable(_) => None,
    }
}

/// `None` where nothing is known.
fn expiring(expiry: &Expiry, now: Timestamp) -> Option<NewCondition> {
    let condition = |status, reason, message| {
        Some(NewCondition { kind: ConditionType::CredentialsExpiring, status, reason, message })
    };
    match expiry {
        Expiry::NotKnown | Expiry::NotRead => None,
        Expiry::At { what, at } if at.duration_since(now) < EXPIRY_WARNING => {
            let is_soon = at.duration_since(now) < EXPIRY_ALARM;
            let reason = if is_soon { Reason::CredentialsExpireSoon } else { Reason::CredentialsExpiring };
            let expire = if *at <= now { "expired" } else { "expire" };
            let message = format!("the credentials in {what} {expire} at {at}; replace them there, without a restart");
            condition(ConditionStatus::True, reason, message)
        }
        Expiry::At { what, at } => {
            condition(ConditionStatus::False, Reason::Provisioned, format!("The credentials in {what} expire at {at}."))
        }
        Expiry::Unreadable(message) => {
            condition(ConditionStatus::Unknown, Reason::CredentialsExpiring, format!("{message}; correct it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn connection() -> IamConnection {
        serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection",
            "metadata": {"name": "default", "generation": 4},
            "spec": {"api": "CloudServices", "endpoint": "https://iam.example.com", "grants": [],
                     "credentials": {"apiToken": {"secretRef": {"name": "token", "key": "token"}}}},
        }))
        .unwrap()
    }

    fn accepted() -> ConnectionHealth {
        ConnectionHealth::Accepted(TokenClaims::default())
    }

    fn after(connection: &mut IamConnection, health: ConnectionHealth, second: i64) -> Condition {
        let status = of_connection(connection, &CheckResult::without_expiry(health), None, at(second));
        connection.status = Some(status.clone());
        status.conditions[0].clone()
    }

    #[test]
    fn a_connection_reports_whether_the_api_accepts_its_credentials() {
        let mut connection = connection();
        let good = after(&mut connection, accepted(), 1);
        assert_eq!((good.status, good.observed_generation), (ConditionStatus::True, Some(4)));
        assert_eq!(after(&mut connection, accepted(), 9), good, "the same again");
        let wrong = ConnectionHealth::Wrong(Blocked::new(Reason::CredentialsUnavailable, "401"));
        let bad = after(&mut connection, wrong, 9);
        assert_eq!((bad.status, bad.reason.as_str()), (ConditionStatus::False, "CredentialsUnavailable"));
        assert_eq!((bad.message.as_str(), bad.last_transition_time), ("401", Time(at(9))));
    }

    #[test]
    fn a_connection_whose_api_is_down_is_not_reported_ready() {
        let mut connection = connection();
        after(&mut connection, accepted(), 1);
        let unknown = after(&mut connection, ConnectionHealth::Unreachable("no answer".into()), 2);
        assert_eq!((unknown.status, unknown.message.as_str()), (ConditionStatus::Unknown, "no answer"));
        assert_eq!(after(&mut connection, accepted(), 3).status, ConditionStatus::True);
    }

    #[test]
    fn what_cannot_be_found_out_now_leaves_the_last_truth_until_the_spec_changes() {
        let mut connection = connection();
        let delayed = || ConnectionHealth::Delayed("asks to wait".into());
        assert_eq!(after(&mut connection, delayed(), 1).status, ConditionStatus::Unknown);
        let good = after(&mut connection, accepted(), 2);
        assert_eq!(after(&mut connection, delayed(), 3), good);
        assert_eq!(after(&mut connection, ConnectionHealth::NotAsked, 3), good);
        connection.metadata.generation = Some(5);
        let unknown = after(&mut connection, delayed(), 4);
        assert_eq!((unknown.status, unknown.message.as_str()), (ConditionStatus::Unknown, "asks to wait"));
    }

    /// Which of `Ready`, `Reconciling` and `Stalled` are true, and the messages of the latter two.
    fn progress(connection: &IamConnection) -> ([ConditionStatus; 3], [String; 2]) {
        let conditions = &connection.status.as_ref().unwrap().conditions;
        let kinds = [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled];
        assert_eq!([0, 1, 2].map(|n| conditions[n].r#type), kinds);
        assert!(conditions.iter().all(|c| c.observed_generation == connection.metadata.generation));
        ([0, 1, 2].map(|n| conditions[n].status), [1, 2].map(|n| conditions[n].message.clone()))
    }

    #[test]
    fn what_is_not_known_is_reconciled_again_and_what_is_wrong_is_stalled() {
        use ConditionStatus::{False, True, Unknown};
        let mut connection = connection();
        let messages = |reconciling: &str, stalled: &str| [reconciling.to_owned(), stalled.to_owned()];
        after(&mut connection, accepted(), 1);
        assert_eq!(progress(&connection), ([True, False, False], messages("", "")));
        after(&mut connection, ConnectionHealth::Unreachable("no answer".into()), 2);
        assert_eq!(progress(&connection), ([Unknown, True, False], messages("no answer", "")));
        let wrong = |reason| ConnectionHealth::Wrong(Blocked::new(reason, "401"));
        after(&mut connection, wrong(Reason::CredentialsUnavailable), 3);
        assert_eq!(progress(&connection), ([False, False, True], messages("", "401")));
        after(&mut connection, wrong(Reason::ConnectionInvalid), 4);
        let stalled = connection.status.unwrap().conditions[2].clone();
        assert_eq!((stalled.reason.as_str(), stalled.last_transition_time), ("ConnectionInvalid", Time(at(3))));
    }

    #[test]
    fn a_connection_that_cannot_be_verified_before_an_app_uses_it_holds_nobody_up() {
        let mut connection = connection();
        connection.status = Some(
            serde_json::from_value(json!({"observedGeneration": 4, "conditions": [{
                "type": "Ready", "status": "Unknown", "reason": "Pending", "message": "", "observedGeneration": 4,
                "lastTransitionTime": "1970-01-01T00:00:00Z",
            }]}))
            .unwrap(),
        );
        let unverified = after(&mut connection, ConnectionHealth::NotAsked, 1);
        assert_eq!((unverified.status, unverified.reason.as_str()), (ConditionStatus::True, "Unverified"));
        assert_eq!(after(&mut connection, ConnectionHealth::NotAsked, 2), unverified);
        let wrong = ConnectionHealth::Wrong(Blocked::new(Reason::CredentialsUnavailable, "401"));
        let bad = after(&mut connection, wrong, 3);
        assert_eq!(after(&mut connection, ConnectionHealth::NotAsked, 4), bad, "its last app is gone");
    }

    #[test]
    fn a_connection_reports_the_claims_of_its_token_until_it_is_refused() {
        let mut connection = connection();
        let claims =
            TokenClaims { organization: Some(OrgId("org-1".into())), roles: Some(vec!["csp:developer".into()]) };
        let mut of = |proven| {
            let status = of_connection(&connection, &CheckResult::without_expiry(proven), None, at(1));
            connection.status = Some(status.clone());
            (status.organization, status.roles)
        };
        let known = (Some("org-1".to_owned()), Some(vec!["csp:developer".to_owned()]));
        assert_eq!(of(ConnectionHealth::Accepted(claims)), known);
        assert_eq!(of(ConnectionHealth::Unreachable("no answer".into())), known);
        assert_eq!(of(ConnectionHealth::Undecided("403".into())), known);
        assert_eq!(of(ConnectionHealth::Wrong(Blocked::new(Reason::CredentialsUnavailable, "401"))), (None, None));
    }

    #[test]
    fn one_organization_without_a_token_does_not_affect_the_connection() {
        let mut connection = connection();
        let refused = || ConnectionHealth::Undecided("no token for org-9".into());
        after(&mut connection, ConnectionHealth::NotAsked, 0);
        let unknown = after(&mut connection, refused(), 1);
        assert_eq!((unknown.status, unknown.reason.as_str()), (ConditionStatus::Unknown, "CredentialsUnavailable"));
        let good = after(&mut connection, accepted(), 2);
        assert_eq!(after(&mut connection, refused(), 3), good);
    }

    #[test]
    fn credentials_that_end_within_two_weeks_are_reported_as_expiring() {
        let now = at(1_000_000_000);
        let of = |expiry| {
            let checked = CheckResult { health: accepted(), expiry };
            let status = of_connection(&connection(), &checked, None, now);
            let condition = status.condition(ConditionType::CredentialsExpiring).cloned();
            (condition.map(|condition| (condition.status, condition.reason)), status.credentials)
        };
        let known = |status, reason: &str, days: i64| {
            let at = Time(now + SignedDuration::from_hours(24 * days));
            (Some((status, reason.to_owned())), Some(CredentialsStatus { expires_at: Some(at) }))
        };
        let end = |days: i64| Expiry::At { what: "Secret a/b".into(), at: now + SignedDuration::from_hours(24 * days) };
        assert_eq!(of(Expiry::NotKnown), (None, None));
        assert_eq!(of(Expiry::NotRead), (None, None));
        assert_eq!(of(end(15)), known(ConditionStatus::False, "Provisioned", 15));
        assert_eq!(of(end(13)), known(ConditionStatus::True, "CredentialsExpiring", 13));
        assert_eq!(of(end(2)), known(ConditionStatus::True, "CredentialsExpireSoon", 2));
        assert_eq!(of(end(-1)), known(ConditionStatus::True, "CredentialsExpireSoon", -1));
        let unreadable = of(Expiry::Unreadable("no time".into()));
        assert_eq!(unreadable, (Some((ConditionStatus::Unknown, "CredentialsExpiring".to_owned())), None));
    }

    #[test]
    fn an_expiry_that_cannot_be_read_now_stays_what_it_was_and_causes_no_event() {
        let (mut connection, now) = (connection(), at(1_000_000_000));
        let expiry = Expiry::At { what: "Secret a/b".into(), at: now + SignedDuration::from_hours(24) };
        let known = of_connection(&connection, &CheckResult { health: accepted(), expiry }, None, now);
        connection.status = Some(known.clone());
        let delayed = CheckResult::without_expiry(ConnectionHealth::Delayed("no answer".into()));
        assert_eq!(of_connection(&connection, &delayed, None, now), known);
        let gone = CheckResult { health: accepted(), expiry: Expiry::NotKnown };
        assert_eq!(of_connection(&connection, &gone, None, now).credentials, None);
    }
}
