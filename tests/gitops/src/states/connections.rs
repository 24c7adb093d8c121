//! Every state of an `IamConnection`.

use super::{Class, State, at, default_status};
use oauth_app_operator::connections::{CheckResult, ConnectionHealth, Expiry};
use oauth_app_operator::crd::{AppCounts, IamConnection};
use oauth_app_operator::iam::TokenClaims;
use oauth_app_operator::reason::{Blocked, Reason};
use oauth_app_operator::status::of_connection;
use serde_json::json;

/// Each of them, each after a further change of the spec, and each while it is being deleted.
pub fn connections() -> Vec<State> {
    let mut states = vec![State::new("new".into(), Class::New, &connection())];
    for before in [None].into_iter().chain(proofs().map(Some)) {
        for proven in proofs() {
            states
                .extend(expiries().map(|expiry| state(before.clone(), CheckResult { health: proven.clone(), expiry })));
        }
    }
    let later: Vec<State> = states.iter().skip(1).map(State::behind).collect();
    let deleting: Vec<State> = states.iter().map(deleting).collect();
    states.extend(later.into_iter().chain(deleting));
    states
}

fn connection() -> IamConnection {
    serde_json::from_value(json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection",
        "metadata": {"name": "default", "generation": 4},
        "spec": {"api": "CloudServices", "endpoint": "https://iam.example.com", "grants": [],
                 "credentials": {"apiToken": {"secretRef": {"name": "token", "key": "token"}}}},
        "status": default_status("IamConnection"),
    }))
    .unwrap()
}

fn proofs() -> [ConnectionHealth; 8] {
    let wrong = |reason| ConnectionHealth::Wrong(Blocked::new(reason, "what is wrong"));
    [
        ConnectionHealth::Accepted(TokenClaims::default()),
        ConnectionHealth::ByEachNamespace,
        ConnectionHealth::NotAsked,
        ConnectionHealth::Unreachable("no answer".into()),
        ConnectionHealth::Delayed("asks to wait".into()),
        ConnectionHealth::Undecided("no token for an organization".into()),
        wrong(Reason::CredentialsUnavailable),
        wrong(Reason::ConnectionInvalid),
    ]
}

fn expiries() -> [Expiry; 4] {
    let end = |second| Expiry::At { what: "Secret a/b".into(), at: at(second) };
    [Expiry::NotKnown, end(10), end(1_000_000_000), Expiry::Unreadable("no time".into())]
}

fn state(before: Option<ConnectionHealth>, checked: CheckResult) -> State {
    let mut connection = connection();
    let class = class(&checked.health, before.as_ref());
    let what = format!("{checked:?} after {before:?}");
    if let Some(proven) = before {
        connection.status = Some(of_connection(&connection, &CheckResult::without_expiry(proven), None, at(1)));
    }
    let counts = Some(AppCounts { total: 3, ready: 2 });
    connection.status = Some(of_connection(&connection, &checked, counts, at(9)));
    State::new(what, class, &connection)
}

/// What is not known leaves the last truth; that nothing was verified is none.
fn class(health: &ConnectionHealth, before: Option<&ConnectionHealth>) -> Class {
    let last = |before: &ConnectionHealth| class(before, None);
    match health {
        ConnectionHealth::Accepted(_) | ConnectionHealth::ByEachNamespace => Class::Settled,
        ConnectionHealth::Wrong(_) => Class::Stalled,
        // Its credentials cannot be verified before an app uses it, and nothing else is wrong with it.
        ConnectionHealth::NotAsked => before.map_or(Class::Settled, last),
        ConnectionHealth::Unreachable(_) => Class::Waiting,
        ConnectionHealth::Delayed(_) | ConnectionHealth::Undecided(_) => {
            let known = before.filter(|before| !matches!(before, ConnectionHealth::NotAsked));
            known.map_or(Class::Waiting, last)
        }
    }
}

fn deleting(state: &State) -> State {
    let mut object = state.object.clone();
    object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    State { what: format!("{}, being deleted", state.what), class: Class::Deleting, object }
}
