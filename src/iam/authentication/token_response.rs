//! The answer to a token request: the access token and its lifetime, which is in the answer or only in the token.

use super::TokenResponse;
use super::claims::{self, TokenClaims};
use crate::iam::Error;
use crate::iam::answer::Answer;
use crate::secret_value;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// For a token without a lifetime: a sixth of what Cloud Services is seen to give. [app-catalog]
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
/// After a wrong lifetime credentials are read again within a day.
const MAX_LIFETIME: Duration = Duration::from_secs(86_400);

/// Reads the token, under each API's name. [auth-apitok, cpn-accesstoken]
pub(crate) fn read(answer: &Answer) -> Result<TokenResponse, Error> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let token = ["access_token", "accessToken"].iter().find_map(|name| body.get(name)?.as_str());
    let token = token.filter(|token| !token.is_empty()).ok_or_else(|| answer.malformed("it has no access token"))?;
    secret_value::check(token, secret_value::TOKEN)
        .map_err(|error| answer.malformed(&format!("its access token {error}")))?;
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(answer.malformed("its access token cannot stand in a header"));
    }
    let lifetime = lifetime(body.get("expires_in"), token, Timestamp::now());
    Ok(TokenResponse { token: token.to_owned().into(), lifetime, claims: TokenClaims::of(token) })
}

fn lifetime(expires_in: Option<&Value>, token: &str, now: Timestamp) -> Duration {
    let stated = expires_in.and_then(|value| value.as_i64().or_else(|| value.as_str()?.trim().parse().ok()));
    let seconds = stated.or_else(|| claims::lifetime(token, now)).filter(|seconds| *seconds > 0);
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(DEFAULT_LIFETIME, Duration::from_secs).min(MAX_LIFETIME)
}

#[cfg(test)]
mod tests {
    use super::claims::tests::jwt;
    use super::*;
    use crate::iam::Operation;
    use crate::iam::request::ErrorDisclosure;
    use secrecy::ExposeSecret;
    use serde_json::json;

    fn answer(body: &str) -> Answer {
        Answer { disclosure: ErrorDisclosure::MessageOnly, ..Answer::of(Operation::GetAccessToken, 200, body) }
    }

    #[test]
    fn lifetimes_are_read_from_answer_and_token() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let cases = [
            (Some(json!(1799)), "opaque".into(), 1799),
            (Some(json!("1799")), "opaque".into(), 1799),
            (Some(json!(60)), jwt(&json!({"exp": 1_700_000_900})), 60),
            (None, jwt(&json!({"exp": 1_700_000_900})), 900),
            (None, jwt(&json!({"exp": 1_600_000_900, "iat": 1_600_000_000})), 900),
            (None, jwt(&json!({"exp": 1_700_000_900.5, "iat": 1_700_000_000.5})), 900),
            (None, jwt(&json!({"exp": 1_600_000_000})), 300),
            (None, jwt(&json!({"sub": "x"})), 300),
            (None, "opaque".into(), 300),
            (None, "a.b.c".into(), 300),
            (Some(json!(0)), "opaque".into(), 300),
            (Some(json!(-5)), "opaque".into(), 300),
            (Some(json!(null)), "opaque".into(), 300),
            (Some(json!(i64::MAX)), "opaque".into(), 86_400),
        ];
        for (expires_in, token, seconds) in cases {
            assert_eq!(lifetime(expires_in.as_ref(), &token, now).as_secs(), seconds, "{expires_in:?} {token}");
        }
    }

    #[test]
    fn a_token_is_read_with_its_claims() {
        let token = jwt(&json!({"context_name": "org-1", "perms": []}));
        let response = read(&answer(&json!({ "access_token": token }).to_string())).ok().unwrap();
        assert_eq!(response.claims, TokenClaims::of(&token));
        assert!(response.claims.organization.is_some());
    }

    #[test]
    fn tokens_are_read_under_either_name() {
        for body in [r#"{"access_token":"abc","expires_in":60}"#, r#"{"accessToken":"abc","refreshToken":"x"}"#] {
            assert_eq!(read(&answer(body)).ok().unwrap().token.expose_secret(), "abc", "{body}");
        }
        let long = json!({"access_token": "x".repeat(secret_value::TOKEN + 1)}).to_string();
        for (body, why) in [
            ("", "has no access token"),
            ("{}", "has no access token"),
            (r#"{"access_token":""}"#, "has no access token"),
            (r#"{"access_token":7}"#, "has no access token"),
            ("[1", "has no access token"),
            (r#"{"access_token":"a\nb"}"#, "access token holds a control character"),
            (r#"{"access_token":"a b"}"#, "access token cannot stand in a header"),
            (r#"{"access_token":"ä"}"#, "access token cannot stand in a header"),
            (&long, "access token is longer than 16 KiB"),
        ] {
            let Err(Error::Unavailable(said)) = read(&answer(body)) else { panic!("{body}") };
            assert!(said.contains(why), "{said}");
        }
    }
}
