//! From what was found out about a connection to the status that people and tools read.
//! Pure and deterministic, as for apps.

use super::NewCondition;
use crate::crd::{
    AppCounts, Condition, ConditionStatus, ConditionType, IamConnection, IamConnectionStatus, OrgOAuthApp,
};
use crate::decide::{Blocked, org_id};
use crate::iam::{OrgId, TokenClaims};
use crate::reason::Reason;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// Credentials that end sooner are said to expire.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What was found out about a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Whether it can be used.
    pub health: ConnectionHealth,
    /// When its credentials end.
    pub expiry: Expiry,
}

impl Checked {
    /// Where nothing is known of the end of the credentials.
    pub fn without_expiry(health: ConnectionHealth) -> Self {
        Self { health, expiry: Expiry::NotKnown }
    }
}

/// Whether a connection can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionHealth {
    /// The API gave an access token for the credentials, which says this.
    Accepted(TokenClaims),
    /// Each namespace brings credentials of its own.
    ByEachNamespace,
    /// The API could not be asked yet, for want of an organization.
    NotAsked,
    /// The API gives no usable answer.
    Unreachable(String),
    /// It could not be found out now: the API asks to wait, or Kubernetes gave no usable answer.
    Delayed(String),
    /// The API gives no token for the only organization that it could be asked about.
    Undecided(String),
    /// A person must change something.
    Wrong(Blocked),
}

/// When credentials end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Nothing says so.
    NotKnown,
    /// Then.
    At {
        /// The Secret that holds them.
        what: String,
        /// The end.
        at: Timestamp,
    },
    /// What says so cannot be read.
    Unreadable(String),
}

/// The resources that use a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// How many there are.
    pub counts: AppCounts,
    /// The organization of one of them, for an API that wants to know one.
    pub org: Option<OrgId>,
}

impl Users {
    /// Of each connection that is used, by its name.
    pub fn by_connection<'a>(apps: impl Iterator<Item = &'a OrgOAuthApp>) -> HashMap<&'a str, Self> {
        let mut all: HashMap<&str, Self> = HashMap::new();
        for app in apps {
            let users = all.entry(&app.spec.connection_ref.name).or_default();
            let ready = app.condition(ConditionType::Ready).is_some_and(|c| c.status == ConditionStatus::True);
            users.counts.total += 1;
            users.counts.ready += i64::from(ready);
            // The least one, so that each look asks about the same.
            if users.org.as_ref().is_none_or(|least| app.spec.org_id < least.0) {
                users.org = Some(org_id(app));
            }
        }
        all
    }
}

/// The status of a connection; without `counts`, what it says of them stays.
pub fn of_connection(
    connection: &IamConnection,
    checked: &Checked,
    counts: Option<AppCounts>,
    now: Timestamp,
) -> IamConnectionStatus {
    let old = connection.status.clone().unwrap_or_default();
    let generation = connection.metadata.generation;
    let last = old.conditions.iter().find(|c| c.r#type == ConditionType::Ready && c.observed_generation == generation);
    let ready = match ready(&checked.health, last) {
        Some(said) => Some(said.after(&old.conditions, generation, now)),
        None => last.cloned(),
    };
    let expiring = expiring(&checked.expiry, now).map(|said| said.after(&old.conditions, generation, now));
    let claims = claims(&checked.health, &old);
    IamConnectionStatus {
        observed_generation: generation,
        organization: claims.organization.map(|org| org.0),
        roles: claims.roles,
        apps: counts.or(old.apps),
        conditions: ready.into_iter().chain(expiring).collect(),
    }
}

/// What the access token says of itself; where there is none now, the last truth stays.
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

/// `None` where the last truth stays.
fn ready(health: &ConnectionHealth, last: Option<&Condition>) -> Option<NewCondition> {
    let said = |status, reason, message: &str| {
        Some(NewCondition { kind: ConditionType::Ready, status, reason, message: message.to_owned() })
    };
    match health {
        ConnectionHealth::Accepted(_) => {
            said(ConditionStatus::True, Reason::Provisioned, "The API accepts the credentials.")
        }
        ConnectionHealth::ByEachNamespace => said(
            ConditionStatus::True,
            Reason::Provisioned,
            "Each namespace brings credentials of its own; its resources say whether the API accepts them.",
        ),
        ConnectionHealth::NotAsked if last.is_none() => {
            said(ConditionStatus::Unknown, Reason::Pending, "No resource has used this connection yet.")
        }
        ConnectionHealth::Unreachable(message) => {
            said(ConditionStatus::Unknown, Reason::ConnectionUnavailable, message)
        }
        ConnectionHealth::Delayed(message) if last.is_none() => {
            said(ConditionStatus::Unknown, Reason::ConnectionUnavailable, message)
        }
        ConnectionHealth::Undecided(message) if last.is_none() => {
            said(ConditionStatus::Unknown, Reason::CredentialsUnavailable, message)
        }
        ConnectionHealth::NotAsked | ConnectionHealth::Delayed(_) | ConnectionHealth::Undecided(_) => None,
        ConnectionHealth::Wrong(Blocked { reason, message }) => said(ConditionStatus::False, *reason, message),
    }
}

/// `None` where nothing is known.
fn expiring(expiry: &Expiry, now: Timestamp) -> Option<NewCondition> {
    let said = |status, reason, message| {
        Some(NewCondition { kind: ConditionType::CredentialsExpiring, status, reason, message })
    };
    match expiry {
        Expiry::NotKnown => None,
        Expiry::At { what, at } if at.duration_since(now) < SOON => said(
            ConditionStatus::True,
            Reason::CredentialsExpiring,
            format!("The credentials in {what} end at {at}: replace them there, which is taken up without a restart."),
        ),
        Expiry::At { what, at } => {
            said(ConditionStatus::False, Reason::Provisioned, format!("The credentials in {what} end at {at}."))
        }
        Expiry::Unreadable(message) => {
            said(ConditionStatus::Unknown, Reason::CredentialsExpiring, format!("{message}: correct it."))
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
        let status = of_connection(connection, &Checked::without_expiry(health), None, at(second));
        connection.status = Some(status.clone());
        status.conditions[0].clone()
    }

    #[test]
    fn a_connection_says_whether_the_api_takes_its_credentials() {
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
    fn a_connection_whose_api_is_down_is_not_said_to_be_ready() {
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
    fn a_connection_says_what_its_token_says_for_as_long_as_it_is_not_refused() {
        let mut connection = connection();
        let claims =
            TokenClaims { organization: Some(OrgId("org-1".into())), roles: Some(vec!["csp:developer".into()]) };
        let mut of = |proven| {
            let status = of_connection(&connection, &Checked::without_expiry(proven), None, at(1));
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
    fn one_organization_without_a_token_says_nothing_about_the_connection() {
        let mut connection = connection();
        let refused = || ConnectionHealth::Undecided("no token for org-9".into());
        let unknown = after(&mut connection, refused(), 1);
        assert_eq!((unknown.status, unknown.reason.as_str()), (ConditionStatus::Unknown, "CredentialsUnavailable"));
        let good = after(&mut connection, accepted(), 2);
        assert_eq!(after(&mut connection, refused(), 3), good);
    }

    #[test]
    fn credentials_that_end_within_two_weeks_are_said_to_expire() {
        let now = at(1_000_000_000);
        let of = |expiry| {
            let checked = Checked { health: accepted(), expiry };
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

    #[test]
    fn users_are_counted_by_connection_and_readiness() {
        let app = |connection: &str, ready: &str| -> OrgOAuthApp {
            serde_json::from_value(json!({
                "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp", "metadata": {"name": "a"},
                "spec": {"connectionRef": {"name": connection}, "orgId": format!("org-{ready}"), "displayName": "a",
                         "description": "", "grantTypes": ["client_credentials"], "allowedScopes": {}},
                "status": {"conditions": [{"type": "Ready", "status": ready, "reason": "Pending", "message": "",
                                           "lastTransitionTime": "1970-01-01T00:00:00Z"}]},
            }))
            .unwrap()
        };
        let apps = [app("default", "True"), app("default", "False"), app("other", "True"), app("default", "Unknown")];
        let users = Users::by_connection(apps.iter());
        assert_eq!(users.get("unused"), None);
        let users = &users["default"];
        assert_eq!(users.counts, AppCounts { total: 3, ready: 1 });
        assert_eq!(users.org, Some(OrgId("org-False".into())));
    }
}
