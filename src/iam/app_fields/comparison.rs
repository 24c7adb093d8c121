//! Compares what a spec names with what the API shows. What the spec leaves out is the API's to choose, and what the API
//! only says in another way is no difference.

use super::Values;
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

/// The desired fields that have drifted in the API.
pub fn differences(desired: &Values, shown: &Values) -> Vec<String> {
    differing(desired, shown, Orgs::MayVanish)
}

/// The desired fields to send to the API for a spec that it may not have yet. In contrast to `differences`, an organization of
/// `allowedOrgs` that the API does not show counts, since the spec may name it for the first time.
pub(crate) fn changes(desired: &Values, shown: &Values) -> Vec<String> {
    differing(desired, shown, Orgs::All)
}

fn differing(desired: &Values, shown: &Values, orgs: Orgs) -> Vec<String> {
    let differs = |(name, value): &(&String, &Value)| !is_shown(name, value, member(shown, name), orgs);
    desired.iter().filter(differs).map(|(name, _)| name.clone()).collect()
}

/// Whether a field of a spec is exactly what the API shows.
pub(super) fn is_same_value(name: &str, desired: &Value, shown: &Value) -> bool {
    is_shown(name, desired, shown, Orgs::All)
}

fn is_shown(name: &str, desired: &Value, shown: &Value, orgs: Orgs) -> bool {
    match name {
        "allowedOrgs" => has_orgs(desired, shown, orgs),
        "maxCharactersInAccessToken" => limit(desired) == limit(shown),
        _ => matches(desired, shown),
    }
}

/// Recursively: members by name, lists as sets, and blank is the same as absent.
fn matches(desired: &Value, shown: &Value) -> bool {
    let none = Values::new();
    match (desired, shown) {
        (Value::Array(desired), Value::Array(shown)) => is_same_set(desired, shown),
        (Value::Object(desired), Value::Object(shown)) => has_members(desired, shown),
        (Value::Object(desired), shown) if is_blank(shown) => has_members(desired, &none),
        (desired, Value::Object(shown)) if is_blank(desired) => has_members(&none, shown),
        (desired, shown) => desired == shown || (is_blank(desired) && is_blank(shown)),
    }
}

/// What the API adds of its own, such as `keptInToken` or a name for people, is no difference as long as it grants nothing.
fn has_members(desired: &Values, shown: &Values) -> bool {
    let unnamed = shown.keys().filter(|name| GRANTING.contains(&name.as_str()) && !desired.contains_key(*name));
    desired.keys().chain(unnamed).all(|name| matches(member(desired, name), member(shown, name)))
}

/// Order is not promised. [csp-resp] An item is known by what the spec names of it: a text, a role by its name and resource, a
/// permission by its id, a service by its definition id.
fn is_same_set(desired: &[Value], shown: &[Value]) -> bool {
    desired.iter().all(|item| shown.iter().any(|other| matches(item, other)))
        && shown.iter().all(|other| desired.iter().any(|item| matches(item, other)))
}

/// Without a list the app is open to every organization; with an empty one, to none. [csp-struct]
fn has_orgs(desired: &Value, shown: &Value, orgs: Orgs) -> bool {
    match (org_ids(desired), org_ids(shown), orgs) {
        (Some(desired), Some(shown), Orgs::MayVanish) => shown.is_subset(&desired),
        (Some(desired), Some(shown), Orgs::All) => shown == desired,
        (None, _, _) | (_, None, _) => false,
    }
}

/// Requests name organizations by id; answers have objects with names beside it. [csp-resp]
pub(super) fn org_ids(list: &Value) -> Option<BTreeSet<&str>> {
    fn id(org: &Value) -> Option<&str> {
        org.as_str().or_else(|| ["id", "orgId"].iter().find_map(|name| org.get(name)?.as_str()))
    }
    list.as_array()?.iter().map(id).collect()
}

/// Less than zero is the same as not setting it. [csp-struct]
fn limit(value: &Value) -> Option<i64> {
    value.as_i64().filter(|limit| *limit >= 0)
}

fn member<'a>(fields: &'a Values, name: &str) -> &'a Value {
    fields.get(name).unwrap_or(&Value::Null)
}

/// An absent field may come back as its blank value, and the other way around. (undocumented)
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

#[cfg(test)]
pub(super) mod tests;
