//! Property tests: whatever an API answers, and whatever a token holds, is read without a panic, and each message about it is one short
//! line without a secret.

use super::answer::Answer;
use super::authentication::token_response;
use super::client::listing::{Keep, Listing};
use super::client::retry_after::retry_after_wait;
use super::client::scrub::KnownSecrets;
use super::flavor::flavor;
use super::request::{ErrorDisclosure, Page};
use super::{ClientCredentials, ClientId, Deletion, Error, Operation, token_expiry};
use crate::crd::Api;
use crate::secret_value;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::jiff::Timestamp;
use proptest::prelude::*;
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use std::time::Duration;

const SECRET: &str = "Hidden\"Val/ue+4711";
const ID: &str = "billing-export";
/// Names that any of the operations looks for.
const NAMES: [&str; 22] = [
    "id",
    "clientId",
    "clientSecret",
    "message",
    "error",
    "error_description",
    "requestId",
    "traceId",
    "results",
    "nextLink",
    "failed",
    "failures",
    "organizationRoles",
    "serviceRoles",
    "serviceDefinitionId",
    "name",
    "resource",
    "createdAt",
    "displayName",
    "access_token",
    "expires_in",
    "exp",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any::<String>(),
        2 => Just(ID.to_owned()),
        1 => Just(format!("no such thing as {SECRET}\n2026-01-01 ERROR forged")),
        1 => Just("/orgs/o/oauth-apps?pageStart=60&pageLimit=15".to_owned()),
        1 => "x{0,2000}",
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        3 => text().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let name = prop_oneof![9 => proptest::sample::select(&NAMES[..]).prop_map(str::to_owned), 1 => any::<String>()];
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            3 => proptest::collection::vec((name, inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Bytes, or JSON that may be broken off.
fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => any::<Vec<u8>>(),
        6 => any_json().prop_map(|value| value.to_string().into_bytes()),
        1 => text().prop_map(|secret| json!({"clientId": ID, "clientSecret": secret}).to_string().into_bytes()),
        1 => (text(), any_json()).prop_map(|(token, life)| {
            json!({"access_token": token, "expires_in": life}).to_string().into_bytes()
        }),
        1 => (any_json(), any::<proptest::sample::Index>()).prop_map(|(value, at)| {
            let text = value.to_string().into_bytes();
            text[..at.index(text.len())].to_vec()
        }),
    ]
}

fn answer(operation: Operation, status: u16, body: Vec<u8>, disclosure: ErrorDisclosure) -> Answer {
    let known = KnownSecrets::default().with(SECRET);
    Answer { disclosure, known, ..Answer::of(operation, status, body) }
}

fn is_fit_to_be_shown(said: &str) -> bool {
    said.len() < 600 && !said.chars().any(char::is_control) && !said.contains(SECRET)
}

fn shown<T>(read: Result<T, Error>) -> Option<String> {
    read.err().map(|error| error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_answer_to_any_operation_is_read_or_refused_in_one_short_line(
        operation in proptest::sample::select(Operation::ALL),
        status in 100u16..=999,
        body in body(),
        disclosure in prop_oneof![Just(ErrorDisclosure::Any), Just(ErrorDisclosure::MessageOnly)],
    ) {
        let answer = answer(operation, status, body, disclosure);
        let id = ClientId(ID.into());
        let flavor = flavor(Api::CloudServices);
        let issued = |read: &Result<ClientCredentials, Error>| match read {
            Ok(ClientCredentials { client_id, client_secret }) => {
                let secret = client_secret.as_ref().map(|secret| secret.expose());
                *client_id == id && secret.is_none_or(|s| secret_value::check(s, secret_value::CREDENTIAL).is_ok())
            }
            Err(_) => true,
        };
        let credentials = [answer.credentials(&id, false), answer.credentials(&id, true)];
        prop_assert!(credentials.iter().all(issued));
        prop_assert!(credentials[0].as_ref().is_ok_and(|issued| issued.client_secret.is_some()) || credentials[0].is_err());
        let deletion = answer.deletion(&id);
        prop_assert!(matches!(deletion, Ok(Deletion::Accepted | Deletion::Failed) | Err(Error::Unavailable(_))));
        let response = token_response::read(&answer);
        if let Ok(response) = &response {
            let token = response.token.expose_secret();
            prop_assert!(response.lifetime <= Duration::from_secs(86_400));
            prop_assert!(token.len() <= secret_value::TOKEN && HeaderValue::from_str(token).is_ok());
        }
        prop_assert!(answer.updated(flavor, &id).is_none_or(|app| app.id == id));
        let said = [Some(answer.error().to_string()), answer.message(), Some(answer.refusal())];
        let refused = credentials.map(shown).into_iter().chain([
            shown(answer.app(flavor, &id)), shown(deletion), shown(response), shown(Listing::new(flavor, Keep::Managed([id.clone()].into(), flavor.shown_fields())).add(&Page::default(), &answer)), shown(answer.added(&id)),
            shown(answer.roles()),
        ]);
        for said in said.into_iter().chain(refused).flatten() {
            prop_assert!(is_fit_to_be_shown(&said), "{said:?}");
        }
    }

    #[test]
    fn the_end_of_any_token_is_a_time_or_not_known(
        token in prop_oneof![
            any::<String>(),
            (any::<String>(), body(), any::<String>()).prop_map(|(head, claims, tail)| {
                format!("{head}.{}.{tail}", URL_SAFE_NO_PAD.encode(claims))
            }),
            any::<f64>().prop_map(|end| format!("e30.{}.", URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{end:e}}}")))),
        ]
    ) {
        let end = token_expiry(&token.into());
        prop_assert!(end.is_none_or(|end| (Timestamp::MIN..=Timestamp::MAX).contains(&end)));
    }

    #[test]
    fn any_retry_after_is_a_wait_within_bounds(
        header in proptest::option::of(prop_oneof![
            any::<String>(), any::<u64>().prop_map(|seconds| seconds.to_string()),
            "(Mon|Sun), [0-9]{1,2} (Jan|Dec) [0-9]{4,6} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{4})",
        ]),
        now in -377_705_023_201i64..=253_402_207_200,
    ) {
        let wait = retry_after_wait(header.as_deref(), Timestamp::from_second(now).unwrap());
        prop_assert!((Duration::from_secs(1)..=Duration::from_secs(600)).contains(&wait), "{wait:?}");
    }
}
