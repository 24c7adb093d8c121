//! Compares what a spec names with what the API shows. What the spec leaves out is the API's to choose, and what the API
//! only says in another way is no difference.

use super::Fields;
use serde_json::Value;
use std::collections::BTreeSet;

/// The members of `allowedScopes` that grant something: one that the spec leaves out must not be there. [csp-scopes]
const GRANTING: [&str; 9] = [
    "generalScopes",
    "organizationScopes",
    "servicesScopes",
    "allRoles",
    "allPermissions",
    "roles",
    "permissions",
    "resource",
    "resources",
];

/// How `allowedOrgs` are compared.
#[derive(Clone, Copy)]
enum Orgs {
    /// An organization that the API no longer shows may have ceased to exist. [csp-struct]
    MayVanish,
    /// The API must show every one.
    All,
}

/// The defined fields that have drifted in the API.
pub fn differences(defined: &Fields, shown: &Fields) -> Vec<String> {
    differing(defined, shown, Orgs::MayVanish)
}

/// The defined fields to send to the API for a spec that it may not have yet. In contrast to `differences`, an organization of
/// `allowedOrgs` that the API does not show counts, since the spec may name it for the first time.
pub fn changes(defined: &Fields, shown: &Fields) -> Vec<String> {
    differing(defined, shown, Orgs::All)
}

fn differing(defined: &Fields, shown: &Fields, orgs: Orgs) -> Vec<String> {
    let differs = |(name, value): &(&String, &Value)| !is_shown(name, value, member(shown, name), orgs);
    defined.iter().filter(differs).map(|(name, _)| name.clone()).collect()
}

fn is_shown(name: &str, defined: &Value, shown: &Value, orgs: Orgs) -> bool {
    match name {
        "allowedOrgs" => has_orgs(defined, shown, orgs),
        "maxCharactersInAccessToken" => limit(defined) == limit(shown),
        _ => matches(defined, shown),
    }
}

/// Recursively: members by name, lists as sets, and blank is the same as absent.
fn matches(defined: &Value, shown: &Value) -> bool {
    let none = Fields::new();
    match (defined, shown) {
        (Value::Array(defined), Value::Array(shown)) => is_same_set(defined, shown),
        (Value::Object(defined), Value::Object(shown)) => has_members(defined, shown),
        (Value::Object(defined), shown) if is_blank(shown) => has_members(defined, &none),
        (defined, Value::Object(shown)) if is_blank(defined) => has_members(&none, shown),
        (defined, shown) => defined == shown || (is_blank(defined) && is_blank(shown)),
    }
}

/// What the API adds of its own, such as `keptInToken` or a name for people, is no difference as long as it grants nothing.
fn has_members(defined: &Fields, shown: &Fields) -> bool {
    let unnamed = shown.keys().filter(|name| GRANTING.contains(&name.as_str()) && !defined.contains_key(*name));
    defined.keys().chain(unnamed).all(|name| matches(member(defined, name), member(shown, name)))
}

/// Order is not promised. [csp-resp] An item is known by what the spec names of it: a text, a role by its name and resource, a
/// permission by its id, a service by its definition id.
fn is_same_set(defined: &[Value], shown: &[Value]) -> bool {
    defined.iter().all(|item| shown.iter().any(|other| matches(item, other)))
        && shown.iter().all(|other| defined.iter().any(|item| matches(item, other)))
}

/// Without a list the app is open to every organization; with an empty one, to none. [csp-struct]
fn has_orgs(defined: &Value, shown: &Value, orgs: Orgs) -> bool {
    match (org_ids(defined), org_ids(shown), orgs) {
        (Some(defined), Some(shown), Orgs::MayVanish) => shown.is_subset(&defined),
        (Some(defined), Some(shown), Orgs::All) => shown == defined,
        (None, _, _) | (_, None, _) => false,
    }
}

/// Requests name organizations by id; answers have objects with names beside it. [csp-resp]
fn org_ids(list: &Value) -> Option<BTreeSet<&str>> {
    fn id(org: &Value) -> Option<&str> {
        org.as_str().or_else(|| ["id", "orgId"].iter().find_map(|name| org.get(name)?.as_str()))
    }
    list.as_array()?.iter().map(id).collect()
}

/// Less than zero is the same as not setting it. [csp-struct]
fn limit(value: &Value) -> Option<i64> {
    value.as_i64().filter(|limit| *limit >= 0)
}

fn member<'a>(fields: &'a Fields, name: &str) -> &'a Value {
    fields.get(name).unwrap_or(&Value::Null)
}

/// An absent field may come back as its blank value, and the other way around. (undocumented)
pub fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
