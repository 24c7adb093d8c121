//! The rules that tie the fields of an app together, and those on ids, names and secrets.
//! They judge the app as it would be afterwards, so one set serves create and update.

use serde_json::{Map, Value};

use crate::call::Refusal;
use crate::types::{Flavor, Settings};

pub(crate) mod broker;

type Fields = Map<String, Value>;
type Ruled = Result<(), Refusal>;

/// CSP's default for `accessTokenTTL`, in seconds `[csp-create]`.
pub(crate) const ACCESS_TTL: i64 = 600;
/// CSP's default for `refreshTokenTTL`, in seconds: 90 days `[csp-create]`.
pub(crate) const REFRESH_TTL: i64 = 90 * 24 * 3600;
/// The most that `refreshTokenTTL` may be with `client_delegate`, in seconds: 14 days `[csp-create]`.
pub(crate) const DELEGATE_REFRESH_TTL: i64 = 14 * 24 * 3600;
/// CSP's default overlap of a rotation, in seconds: 48 hours `[csp-struct]`.
pub(crate) const OVERLAP: i64 = 172_800;

fn refuse<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::bad(message))
}

pub(crate) fn flag(fields: &Fields, name: &str) -> bool {
    fields.get(name).and_then(Value::as_bool).unwrap_or(false)
}

pub(crate) fn int(fields: &Fields, name: &str) -> Option<i64> {
    fields.get(name).and_then(Value::as_i64)
}

pub(crate) fn texts<'a>(fields: &'a Fields, name: &str) -> Vec<&'a str> {
    let list = fields.get(name).and_then(Value::as_array);
    list.map(|l| l.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// The fields after an update: a field that it names replaces the whole field.
pub(crate) fn merged(flavor: Flavor, fields: &Fields, update: Fields) -> Fields {
    let mut merged = fields.clone();
    merged.extend(update);
    match flavor {
        Flavor::Csp | Flavor::Cpn => {}
        Flavor::Broker => broker::clear(&mut merged),
    }
    merged
}

/// `^[A-Za-z0-9-_]+$` in CSP and CPN; CSP asks for 5 to 256 characters too `[cpn-create]`, `[csp-struct]`.
pub(crate) fn check_id(flavor: Flavor, id: &str) -> Ruled {
    if flavor == Flavor::Broker {
        return broker::check_id(id);
    }
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return refuse("id may only contain the characters A-Z a-z 0-9 _ -");
    }
    if flavor == Flavor::Csp && !(5..=256).contains(&id.len()) {
        return refuse("id must contain at least 5 and at most 256 characters");
    }
    Ok(())
}

/// The secret policy in both of its readings (docs/api.md): the special character must lie in the printed class,
/// whether or not its `]-{` is a range, and must not be one of the letters that only the range lets in.
pub(crate) fn check_secret(flavor: Flavor, secret: &str) -> Ruled {
    if flavor == Flavor::Broker {
        return broker::check_secret(secret);
    }
    const SPECIAL: &str = "!@#$%^&*()_+=[]{|}',./:;<>?`";
    let has = |test: fn(char) -> bool| secret.chars().any(test);
    let good = secret.chars().count() >= 8
        && has(|c| c.is_ascii_lowercase())
        && has(|c| c.is_ascii_uppercase())
        && has(|c| c.is_ascii_digit())
        && has(|c| SPECIAL.contains(c))
        && !has(|c| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}'));
    if good {
        return Ok(());
    }
    refuse(
        "secret must have at least 8 characters, among them a lower-case letter, an upper-case letter, \
         a digit and a special character",
    )
}

/// The rules on an app's fields as they would be stored.
pub(crate) fn check_app(flavor: Flavor, service_org: bool, settings: &Settings, fields: &Fields) -> Ruled {
    if flavor == Flavor::Broker {
        return broker::check_client(fields);
    }
    check_numbers(fields)?;
    check_scopes(fields)?;
    if flavor == Flavor::Cpn {
        return Ok(());
    }
    check_display_name(fields)?;
    check_grants(service_org, fields)?;
    check_redirects(settings, fields)?;
    check_ttls(fields)?;
    check_allowed_orgs(service_org, fields)
}

fn check_numbers(fields: &Fields) -> Ruled {
    for name in ["accessTokenTTL", "refreshTokenTTL", "secretRotationExpirationInSeconds"] {
        if int(fields, name).is_some_and(|n| n < 1) {
            return refuse(format!("{name} must be a positive number of seconds"));
        }
    }
    Ok(())
}

/// ``- _ . ` ' : @ & ,``, letters of any language, digits and spaces `[csp-struct]`.
fn check_display_name(fields: &Fields) -> Ruled {
    let name = fields.get("displayName").and_then(Value::as_str).unwrap_or_default();
    if name.trim().is_empty() {
        return refuse("displayName must not be empty");
    }
    let known = |c: char| c.is_alphabetic() || c.is_ascii_digit() || " -_.`':@&,".contains(c);
    match name.chars().find(|c| !known(*c)) {
        Some(c) => refuse(format!("displayName must not contain {c:?}")),
        None => Ok(()),
    }
}

fn check_grants(service_org: bool, fields: &Fields) -> Ruled {
    const CUSTOMER: [&str; 3] = ["authorization_code", "refresh_token", "client_credentials"];
    const SERVICE: [&str; 3] = ["audience_exchange", "client_delegate", "context_switch"];
    let grants = texts(fields, "grantTypes");
    for (at, grant) in grants.iter().enumerate() {
        if grants[..at].contains(grant) {
            return refuse(format!("grantTypes names {grant} twice"));
        }
        if SERVICE.contains(grant) && !service_org {
            return refuse(format!("grantTypes: {grant} is only available to service organizations"));
        }
        if !SERVICE.contains(grant) && !CUSTOMER.contains(grant) {
            return refuse(format!("grantTypes: {grant} is not a known grant type"));
        }
    }
    if flag(fields, "publicClient") && grants.contains(&"client_credentials") {
        return refuse("a public client cannot use the client_credentials grant type");
    }
    Ok(())
}

fn check_redirects(settings: &Settings, fields: &Fields) -> Ruled {
    let code = texts(fields, "grantTypes").contains(&"authorization_code");
    for name in ["redirectUris", "postLogoutRedirectUris"] {
        if !code && !texts(fields, name).is_empty() {
            return refuse(format!("{name} is relevant only for the authorization_code grant type"));
        }
    }
    if flag(fields, "allowOpenRedirectUris") {
        if fields.contains_key("redirectUris") {
            return refuse("redirectUris must not be specified when allowOpenRedirectUris is true");
        }
        if settings.production {
            return refuse("allowOpenRedirectUris is only available in non-production environments");
        }
    }
    if settings.production && code && !fields.contains_key("serviceDefinitionId") {
        return refuse("serviceDefinitionId is required for authorization_code apps in production");
    }
    Ok(())
}

fn check_ttls(fields: &Fields) -> Ruled {
    let access = int(fields, "accessTokenTTL").unwrap_or(ACCESS_TTL);
    let delegate = texts(fields, "grantTypes").contains(&"client_delegate");
    let refresh = int(fields, "refreshTokenTTL").unwrap_or(default_refresh_ttl(fields));
    if access >= refresh {
        return refuse("accessTokenTTL must be below refreshTokenTTL");
    }
    if delegate && refresh > DELEGATE_REFRESH_TTL {
        return refuse("refreshTokenTTL must be at most 14 days with the client_delegate grant type");
    }
    Ok(())
}

/// What the service fills in for `refreshTokenTTL`, in seconds.
pub(crate) fn default_refresh_ttl(fields: &Fields) -> i64 {
    if texts(fields, "grantTypes").contains(&"client_delegate") { DELEGATE_REFRESH_TTL } else { REFRESH_TTL }
}

fn check_allowed_orgs(service_org: bool, fields: &Fields) -> Ruled {
    if !fields.contains_key("allowedOrgs") {
        return Ok(());
    }
    if !service_org {
        return refuse("allowedOrgs is available only for service organizations");
    }
    if texts(fields, "allowedOrgs").is_empty() {
        return refuse("allowedOrgs must name at least one organization");
    }
    Ok(())
}

/// `allRoles` excludes `roles`, `allPermissions` excludes `permissions` `[tcsp-orgscopes]`, `[csp-svcscopes]`.
fn check_scopes(fields: &Fields) -> Ruled {
    let Some(scopes) = fields.get("allowedScopes") else { return Ok(()) };
    let services = scopes["servicesScopes"].as_array().cloned().unwrap_or_default();
    let organization = ("organizationScopes".to_string(), scopes["organizationScopes"].clone());
    let services = services.into_iter().enumerate().map(|(i, s)| (format!("servicesScopes[{i}]"), s));
    for (name, scope) in std::iter::once(organization).chain(services) {
        for (all, list) in [("allRoles", "roles"), ("allPermissions", "permissions")] {
            if scope[all] == true && scope[list].as_array().is_some_and(|l| !l.is_empty()) {
                return refuse(format!("allowedScopes.{name}: {list} must be empty when {all} is true"));
            }
        }
        if scope["serviceDefinitionId"].as_str().is_some_and(|id| id.starts_with("external")) {
            return refuse(format!("allowedScopes.{name}: serviceDefinitionId is given without an external prefix"));
        }
    }
    Ok(())
}
