//! The claims of an access token: when it expires, for which organization it is and which roles it has.
//! The token is the operator's own, so its signature is not checked; one that is no JWT has no claims.

use crate::iam::{Operation, OrgId};
use crate::text::clean;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The most roles that are kept.
const MAX_ROLES: usize = 32;
/// The longest role or id that is kept, in bytes.
const LONGEST: usize = 256;
/// The most bytes of roles that a message lists.
const LISTED: usize = 200;
/// Each of these suffices for every operation on apps and their secrets, that with the fewest rights first. [csp-create]
const SUFFICIENT: [&str; 3] = ["developer", "org_admin", "org_owner"];
/// The prefix of a role in the organization. [tanzu-framework]
const IN_ORGANIZATION: &str = "csp:";
/// Another cause of a 403, after the first. [kb-327459]
pub(crate) const IP_POLICY: &str = "; an IP policy of the organization can also be the cause";

/// The claims of an access token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenClaims {
    /// The organization that it is for. [tanzu-framework]
    pub organization: Option<OrgId>,
    /// Its roles, those in the organization first, and sorted, so that messages about two tokens with the same roles are the
    /// same. [tanzu-framework]
    pub roles: Option<Vec<String>>,
}

impl TokenClaims {
    /// Read from a JWT.
    pub(crate) fn of(token: &str) -> Self {
        let claims = claims(token).unwrap_or_default();
        let organization = claims.get("context_name").and_then(Value::as_str);
        let organization = organization.filter(|id| !id.is_empty() && clean(id, LONGEST) == *id);
        let roles = claims.get("perms").and_then(Value::as_array).map(|perms| {
            let roles: BTreeSet<String> = perms.iter().filter_map(Value::as_str).map(|p| clean(p, LONGEST)).collect();
            let (of_org, others): (Vec<_>, Vec<_>) =
                roles.into_iter().partition(|role| role.starts_with(IN_ORGANIZATION));
            of_org.into_iter().chain(others).filter(|role| !role.is_empty()).take(MAX_ROLES).collect()
        });
        Self { organization: organization.map(|id| OrgId(id.to_owned())), roles }
    }

    /// Whether it is for this organization; `None` when that is unknown. Ids are UUIDs, which compare without case.
    pub(crate) fn is_for(&self, org: &OrgId) -> Option<bool> {
        self.organization.as_ref().map(|own| own.0.eq_ignore_ascii_case(&org.0))
    }

    /// The possible causes of a 403 to an operation with this token.
    pub(crate) fn why_forbidden(&self, operation: Operation) -> String {
        let place = self.organization.as_ref().map_or("the organization".into(), |org| format!("organization {org}"));
        let has = match self.roles.as_deref() {
            None => format!("the token does not say which roles it has in {place}"),
            Some([]) => format!("the token has no role in {place}"),
            Some(roles) => format!("the token has {} in {place}", clean(&roles.join(", "), LISTED)),
        };
        let needs = if !self.suffices() {
            " and needs developer, org_admin or org_owner"
        } else if operation.is_about_roles() {
            ", which may not suffice for roles"
        } else {
            ", which suffices"
        };
        format!("{has}{needs}{IP_POLICY}")
    }

    pub(crate) fn suffices(&self) -> bool {
        let sufficient = |role: &String| SUFFICIENT.contains(&role.strip_prefix(IN_ORGANIZATION).unwrap_or(role));
        self.roles.as_ref().is_some_and(|roles| roles.iter().any(sufficient))
    }
}

/// When a token expires, if it is a JWT that has this claim; an API token may be opaque. (undocumented)
pub(crate) fn expiry(token: &SecretString) -> Option<Timestamp> {
    Timestamp::from_second(seconds(&claims(token.expose_secret())?, "exp")?).ok()
}

/// The scopes of a token, as RFC 9068 has them in a text, or in a list as some servers have them. (undocumented)
pub(crate) fn scopes(token: &SecretString) -> Option<Vec<String>> {
    let claims = claims(token.expose_secret())?;
    let scopes: BTreeSet<String> = match claims.get("scope").or_else(|| claims.get("scp"))? {
        Value::String(text) => text.split(' ').map(|scope| clean(scope, LONGEST)).collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(|scope| clean(scope, LONGEST)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    Some(scopes.into_iter().filter(|scope| !scope.is_empty()).take(MAX_ROLES).collect())
}

/// The lifetime of a token in seconds, from `iat` if there is one, since clocks may differ.
pub(crate) fn lifetime(token: &str, now: Timestamp) -> Option<i64> {
    let claims = claims(token)?;
    seconds(&claims, "exp")?.checked_sub(seconds(&claims, "iat").unwrap_or(now.as_second()))
}

fn seconds(claims: &Map<String, Value>, name: &str) -> Option<i64> {
    claims.get(name).and_then(Value::as_f64).map(|seconds| seconds as i64)
}

/// The claims of a JWT.
fn claims(token: &str) -> Option<Map<String, Value>> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A token with these claims.
    pub(crate) fn jwt(claims: &Value) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn of(claims: Value) -> TokenClaims {
        TokenClaims::of(&jwt(&claims))
    }

    #[test]
    fn organization_and_roles_are_read_and_bounded() {
        let read =
            of(json!({"context_name": "org-1", "perms": ["csp:org_owner", "csp:developer", "csp:developer", 7]}));
        assert_eq!(read.organization, Some(OrgId("org-1".into())));
        assert_eq!(read.roles, Some(vec!["csp:developer".into(), "csp:org_owner".into()]));
        let read = of(json!({"perms": ["a/user", "csp:org_owner"]}));
        assert_eq!(read.roles, Some(vec!["csp:org_owner".into(), "a/user".into()]), "what counts is not cut");
        let many: Vec<String> = (0..1000).map(|n| format!("role-{n}\n{}", "x".repeat(1000))).collect();
        let roles = of(json!({ "perms": many })).roles.unwrap();
        assert_eq!(roles.len(), 32);
        assert!(roles.iter().all(|role| role.len() <= 256 && !role.contains('\n')));
    }

    #[test]
    fn a_token_that_is_no_jwt_has_no_claims() {
        for token in
            ["opaque", "a.b.c", "e30.W10.c2ln", &jwt(&json!({})), &jwt(&json!({"context_name": 7, "perms": "x"}))]
        {
            assert_eq!(TokenClaims::of(token), TokenClaims::default(), "{token}");
        }
        for org in [String::new(), "a\nb".into(), "x".repeat(257), " a".into()] {
            assert_eq!(of(json!({"context_name": org})).organization, None, "{org:?}");
        }
        assert_eq!(TokenClaims::default().is_for(&OrgId("org-1".into())), None);
    }

    #[test]
    fn scopes_are_read_from_a_text_or_a_list() {
        let read = |claims: Value| scopes(&jwt(&claims).into());
        let both = Some(vec!["admin".to_owned(), "user".to_owned()]);
        assert_eq!(read(json!({"scope": "user  admin"})), both);
        assert_eq!(read(json!({"scp": ["user", "admin", 7]})), both);
        assert_eq!(read(json!({"scope": 7})), None);
        assert_eq!(read(json!({"sub": "x"})), None);
    }

    #[test]
    fn ids_compare_without_case() {
        let read = of(json!({"context_name": "2f0c6f0e-AB"}));
        assert_eq!(read.is_for(&OrgId("2F0C6F0E-ab".into())), Some(true));
        assert_eq!(read.is_for(&OrgId("2F0C6F0E-ac".into())), Some(false));
    }

    #[test]
    fn a_403_is_explained_by_the_roles_of_the_token() {
        let why =
            |perms: Value, operation| of(json!({"context_name": "org-1", "perms": perms})).why_forbidden(operation);
        let ip_policy = "an IP policy of the organization can also be the cause";
        for (perms, operation, said) in [
            (
                json!(["external/s/developer", "csp:org_member"]),
                Operation::ReadApp,
                "the token has csp:org_member, external/s/developer in organization org-1 and needs developer, org_admin or org_owner",
            ),
            (
                json!([]),
                Operation::ReadApp,
                "the token has no role in organization org-1 and needs developer, org_admin or org_owner",
            ),
            (
                json!(["csp:developer"]),
                Operation::CreateApp,
                "the token has csp:developer in organization org-1, which suffices",
            ),
            (
                json!(["developer"]),
                Operation::CreateApp,
                "the token has developer in organization org-1, which suffices",
            ),
            (
                json!(["csp:developer"]),
                Operation::ChangeRoles,
                "the token has csp:developer in organization org-1, which may not suffice for roles",
            ),
            (
                json!(null),
                Operation::ReadApp,
                "the token does not say which roles it has in organization org-1 and needs developer, org_admin or org_owner",
            ),
        ] {
            assert_eq!(why(perms, operation), format!("{said}; {ip_policy}"));
        }
        assert!(why(json!(["x".repeat(256), "y".repeat(256)]), Operation::ReadApp).len() < 400);
    }
}
