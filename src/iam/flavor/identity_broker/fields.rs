//! The fields of a client of the Identity Broker: their names and units there and in the CRD, and the values that it lacks.
//! Lifetimes are whole minutes; a spec in other seconds is refused, since the API would have something else than it says.

use crate::crd::{AdoptionPolicy, OrgOAuthAppSpec};
use crate::iam::app_fields::{ROTATION_IN_PROGRESS, Values};
use serde_json::{Value, json};
use std::time::Duration;

/// How a value is written in the API.
#[derive(Clone, Copy)]
enum Form {
    /// As in the CRD.
    Same,
    /// In minutes; the CRD has seconds.
    Minutes,
    /// The general scopes alone.
    Scopes,
}

/// The name of a field in the CRD, in the API, and its form there. [vib-client]
const FIELDS: [(&str, &str, Form); 12] = [
    ("displayName", "display_name", Form::Same),
    ("description", "description", Form::Same),
    ("grantTypes", "grant_types", Form::Same),
    ("allowedScopes", "scope", Form::Scopes),
    ("accessTokenTTL", "access_token_ttl", Form::Minutes),
    ("refreshTokenTTL", "refresh_token_ttl", Form::Minutes),
    ("refreshTokenIdleTTL", "refresh_token_idle_ttl", Form::Minutes),
    ("redirectUris", "redirect_uris", Form::Same),
    ("postLogoutRedirectUris", "post_logout_redirect_uris", Form::Same),
    ("publicClient", "public_client", Form::Same),
    ("forcePkce", "pkce_enforced", Form::Same),
    ("ruleSetNames", "rule_set_names", Form::Same),
];

/// What is kept of a client beside its fields, and the names under which it is known. [vib-client, vib-list]
const SHOWN: [(&str, &str); 4] = [
    ("id", "client_id"),
    ("createdAt", "created_date"),
    ("lastUpdatedAt", "modified_date"),
    (ROTATION_IN_PROGRESS, "rotate_secret"),
];

/// The names in the CRD.
pub(super) const NAMES: [&str; FIELDS.len()] = {
    let (mut names, mut at) = ([""; FIELDS.len()], 0);
    while at < FIELDS.len() {
        names[at] = FIELDS[at].0;
        at += 1;
    }
    names
};

/// The longest overlap of a rotation. [vib-rotate]
const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 24 * 3600);
const MINUTE: u64 = 60;

/// The names in the API of all that is kept of a client.
pub(super) fn shown_names() -> Vec<&'static str> {
    FIELDS.iter().map(|(_, name, _)| *name).chain(SHOWN.iter().map(|(_, name)| *name)).collect()
}

/// The fields of a request, from those of the CRD.
pub(super) fn to_api(fields: &Values) -> Values {
    let sent = FIELDS.iter().filter_map(|(name, api_name, form)| {
        let value = fields.get(*name)?;
        let value = match form {
            Form::Same => value.clone(),
            Form::Minutes => value.as_u64().map_or(Value::Null, |seconds| json!(seconds / MINUTE)),
            Form::Scopes => value.get("generalScopes").filter(|scopes| !scopes.is_null()).cloned().unwrap_or(json!([])),
        };
        Some(((*api_name).to_owned(), value))
    });
    sent.collect()
}

/// The fields of the CRD, from those that the API shows. What is of another form than documented is left as it is, and so differs
/// from every spec.
pub(super) fn from_api(mut shown: Values) -> Values {
    let mut fields = Values::new();
    for (name, api_name, form) in FIELDS {
        let Some(value) = shown.remove(api_name) else { continue };
        let value = match (form, value) {
            (Form::Minutes, Value::Number(minutes)) => {
                minutes.as_u64().and_then(|minutes| minutes.checked_mul(MINUTE)).map_or(minutes.into(), Value::from)
            }
            (Form::Scopes, Value::Array(scopes)) => json!({"generalScopes": scopes}),
            (Form::Same | Form::Minutes | Form::Scopes, value) => value,
        };
        fields.insert(name.to_owned(), value);
    }
    for (name, api_name) in SHOWN {
        fields.extend(shown.remove(api_name).map(|value| (name.to_owned(), value)));
    }
    fields
}

/// What is wrong with the values of a spec, and what to do.
pub(super) fn invalid_values(spec: &OrgOAuthAppSpec) -> Vec<String> {
    let lifetimes = [
        ("accessTokenTTL", spec.access_token_ttl),
        ("refreshTokenTTL", spec.refresh_token_ttl),
        ("refreshTokenIdleTTL", spec.refresh_token_idle_ttl),
    ];
    let lifetimes = lifetimes.into_iter().filter_map(|(name, seconds)| not_whole_minutes(name, seconds?));
    let overlap = spec.rotation.as_ref().and_then(|rotation| rotation.overlap.as_ref());
    let overlap = overlap.and_then(|overlap| overlap_minutes(overlap.get()).err());
    lifetimes.chain(overlap).chain(without_scope(spec)).collect()
}

fn not_whole_minutes(name: &str, seconds: i32) -> Option<String> {
    let seconds = u64::try_from(seconds).ok()?;
    let near: Vec<String> = nearest_minutes(seconds)?.map(|minutes| (minutes * MINUTE).to_string()).collect();
    Some(format!("{name} is whole minutes with IdentityBroker; set it to {} instead of {seconds}", near.join(" or ")))
}

/// The whole minutes before and after, if it is none itself.
fn nearest_minutes(seconds: u64) -> Option<impl Iterator<Item = u64>> {
    let minutes = seconds / MINUTE;
    (!seconds.is_multiple_of(MINUTE)).then(|| [minutes, minutes + 1].into_iter().filter(|minutes| *minutes > 0))
}

/// A request for a client must have a scope. [vib-client]
fn without_scope(spec: &OrgOAuthAppSpec) -> Option<String> {
    let is_kept = spec.allowed_scopes.is_none() && spec.adoption_policy != AdoptionPolicy::Never;
    let scopes = spec.allowed_scopes.as_ref().and_then(|scopes| scopes.general_scopes.as_ref());
    let has_scope = scopes.is_some_and(|scopes| !scopes.is_empty());
    (!has_scope && !is_kept)
        .then(|| "allowedScopes.generalScopes needs at least one scope with IdentityBroker, such as user".to_owned())
}

/// An overlap in minutes.
///
/// # Errors
/// What is wrong with it, and what to do.
pub(super) fn overlap_minutes(overlap: Duration) -> Result<u64, String> {
    let seconds = overlap.as_secs() + u64::from(overlap.subsec_nanos() > 0);
    if overlap > LONGEST_OVERLAP {
        return Err("rotation.overlap is at most 168h with IdentityBroker, which is 7 days; shorten it".into());
    }
    match nearest_minutes(seconds) {
        None => Ok(seconds / MINUTE),
        Some(near) => {
            let near: Vec<String> = near.map(|minutes| format!("{minutes}m")).collect();
            Err(format!("rotation.overlap is whole minutes with IdentityBroker; set it to {}", near.join(" or ")))
        }
    }
}

#[cfg(test)]
mod tests;
