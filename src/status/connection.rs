//! Turns the result of a check into the status of an `IamConnection`: its conditions, and what its access token says.
//! Pure and deterministic, as for apps.

use super::NewCondition;
use crate::connections::{CheckResult, ConnectionHealth, Expiry};
use crate::crd::{AppCounts, Condition, ConditionStatus, ConditionType, IamConnection, IamConnectionStatus};
use crate::iam::{OrgId, TokenClaims};
use crate::reason::{Blocked, Reason};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// Credentials that expire sooner have the condition `CredentialsExpiring`.
const EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);

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
    let ready = match ready(&checked.health, last) {
        Some(new) => Some(new.after(&old.conditions, generation, now)),
        None => last.cloned(),
    };
    let expiring = expiring(&checked.expiry, now).map(|new| new.after(&old.conditions, generation, now));
    let claims = claims(&checked.health, &old);
    IamConnectionStatus {
        observed_generation: generation,
        organization: claims.organization.map(|org| org.0),
        roles: claims.roles,
        apps: counts.or(old.apps),
        conditions: ready.into_iter().chain(expiring).collect(),
    }
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

/// `None` where the last known condition stays.
fn ready(health: &ConnectionHealth, last: Option<&Condition>) -> Option<NewCondition> {
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
            condition(ConditionStatus::Unknown, Reason::Pending, "No resource has used this connection yet.")
        }
        ConnectionHealth::Unreachable(message) => {
            condition(ConditionStatus::Unknown, Reason::ConnectionUnavailable, message)
        }
        ConnectionHealth::Delayed(message) if last.is_none() => {
            condition(ConditionStatus::Unknown, Reason::ConnectionUnavailable, message)
        }
        ConnectionHealth::Undecided(message) if last.is_none() => {
            condition(ConditionStatus::Unknown, Reason::CredentialsUnavailable, message)
        }
        ConnectionHealth::NotAsked | ConnectionHealth::Delayed(_) | ConnectionHealth::Undecided(_) => None,
        ConnectionHealth::Wrong(Blocked { reason, message }) => condition(ConditionStatus::False, *reason, message),
    }
}

/// `None` where nothing is known.
fn expiring(expiry: &Expiry, now: Timestamp) -> Option<NewCondition> {
    let condition = |status, reason, message| {
        Some(NewCondition { kind: ConditionType::CredentialsExpiring, status, reason, message })
    };
    match expiry {
        Expiry::NotKnown => None,
        Expiry::At { what, at } if at.duration_since(now) < EXPIRY_WARNING => condition(
            ConditionStatus::True,
            Reason::CredentialsExpiring,
            format!("the credentials in {what} expire at {at}; replace them there, without a restart"),
        ),
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
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
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
            let conditions = of_connection(&connection(), &checked, None, now).conditions;
            conditions.get(1).map(|condition| (condition.r#type, condition.status))
        };
        let end = |days: i64| Expiry::At { what: "Secret a/b".into(), at: now + SignedDuration::from_hours(24 * days) };
        let expiring = |status| Some((ConditionType::CredentialsExpiring, status));
        assert_eq!(of(Expiry::NotKnown), None);
        assert_eq!(of(end(15)), expiring(ConditionStatus::False));
        assert_eq!(of(end(13)), expiring(ConditionStatus::True));
        assert_eq!(of(end(-1)), expiring(ConditionStatus::True));
        assert_eq!(of(Expiry::Unreadable("no time".into())), expiring(ConditionStatus::Unknown));
    }
}
