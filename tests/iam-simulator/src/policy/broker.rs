//! The rules of Identity Broker on the fields of an OAuth 2.0 client, its id and its secret `[vib-client]`.
//! Where its pages do not print a rule, the specification of its sibling does `[vib-sibling]`.

use serde_json::{Value, json};

use super::{Fields, Ruled, flag, int, refuse, texts};

/// The lifetimes that 0 clears in an update.
const CLEARED_BY_ZERO: [&str; 2] = ["refresh_token_ttl", "refresh_token_idle_ttl"];

/// `^[a-zA-Z0-9\-_.@]+$`, 1 to 256 characters.
pub(crate) fn check_id(id: &str) -> Ruled {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if !(1..=256).contains(&id.len()) || !id.chars().all(known) {
        return refuse("client_id must have 1 to 256 characters of A-Z a-z 0-9 . _ - @");
    }
    Ok(())
}

/// `^[\x20-\x7E]+$`, at most 4096 characters `[vib-token]`.
pub(crate) fn check_secret(secret: &str) -> Ruled {
    if !(1..=4096).contains(&secret.len()) || !secret.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        return refuse("a secret must have 1 to 4096 printable ASCII characters");
    }
    Ok(())
}

/// The rules on a client's fields as they would be stored.
pub(crate) fn check_client(fields: &Fields) -> Ruled {
    check_numbers(fields)?;
    check_refresh(fields)?;
    check_redirects(fields)?;
    if flag(fields, "public_client") && grants(fields, "client_credentials") {
        return refuse("a public client cannot use the client_credentials grant type");
    }
    Ok(())
}

fn grants(fields: &Fields, grant: &str) -> bool {
    texts(fields, "grant_types").contains(&grant)
}

fn check_numbers(fields: &Fields) -> Ruled {
    let minutes = ["access_token_ttl", "refresh_token_ttl", "refresh_token_idle_ttl", "secret_ttl"];
    for name in minutes.into_iter().chain(["token_overflow_threshold"]) {
        if int(fields, name).is_some_and(|n| n < 1) {
            return refuse(format!("{name} must be positive"));
        }
    }
    Ok(())
}

/// Both lifetimes are mandatory with the grant type, and the idle one is the shorter.
fn check_refresh(fields: &Fields) -> Ruled {
    if !grants(fields, "refresh_token") {
        return Ok(());
    }
    match (int(fields, "refresh_token_ttl"), int(fields, "refresh_token_idle_ttl")) {
        (Some(ttl), Some(idle)) if idle < ttl => Ok(()),
        (Some(_), Some(_)) => refuse("refresh_token_idle_ttl must be below refresh_token_ttl"),
        _ => refuse("refresh_token_ttl and refresh_token_idle_ttl are required for the refresh_token grant type"),
    }
}

fn check_redirects(fields: &Fields) -> Ruled {
    let redirects = texts(fields, "redirect_uris");
    if redirects.is_empty() && grants(fields, "authorization_code") {
        return refuse("redirect_uris is required for the authorization_code grant type");
    }
    if let Some(uri) = redirects.into_iter().find(|uri| scheme(uri).is_none()) {
        return refuse(format!("redirect_uris: {uri} is not an absolute URI"));
    }
    let schemes: &[&str] = if flag(fields, "public_client") { &["https"] } else { &["https", "http"] };
    let allowed = |uri: &&str| scheme(uri).is_some_and(|scheme| schemes.contains(&scheme));
    match texts(fields, "post_logout_redirect_uris").into_iter().find(|uri| !allowed(uri)) {
        Some(uri) => refuse(format!("post_logout_redirect_uris: {uri} must use {}", schemes.join(" or "))),
        None => Ok(()),
    }
}

/// The scheme of an absolute URI; wildcards may stand for any part after it.
fn scheme(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once("://")?;
    (!scheme.is_empty() && !rest.is_empty()).then_some(scheme)
}

/// Takes out the fields that an update clears: by `""`, by `[]`, and the lifetimes of refresh tokens by 0 too.
pub(crate) fn clear(fields: &mut Fields) {
    let zero = |name: &str, value: &Value| CLEARED_BY_ZERO.contains(&name) && *value == json!(0);
    fields.retain(|name, value| *value != json!("") && *value != json!([]) && !zero(name, value));
}

/// Fills in the defaults `[vib-powercli]`; a field with an empty value is the same as none.
pub(crate) fn normalise(fields: &mut Fields) {
    clear(fields);
    for name in ["pkce_enforced", "public_client"] {
        fields.entry(name).or_insert(json!(false));
    }
}
