//! The spec of an app that exists: the reverse of [`Fields::of`]. What the API shows and a new app would not have anyway becomes a
//! field of the spec; what a spec cannot express is named. No field that it sets differs from what the API shows.

use super::comparison::{is_same_value, org_ids};
use super::{
    APP_FIELDS, Fields, Values, defaults, differences, is_unset, names, of_spec, set_unsupported, unsupported_fields,
};
use crate::crd::admission::{beyond_limits, broken_rule};
use crate::crd::{AdoptionPolicy, Api, GrantType, OrgOAuthAppSpec};
use crate::iam::app_fields::is_blank;
use crate::iam::flavor::{ApiFlavor, GrantTypes, flavor};
use crate::text;
use serde_json::{Value, json};

/// The longest value that a message quotes, in bytes.
const MAX_QUOTED: usize = 100;

/// A spec with the fields of an app, without `orgId` and `id`.
#[derive(Clone, Debug, PartialEq)]
pub struct Existing {
    /// The spec.
    pub spec: OrgOAuthAppSpec,
    /// The fields that the app has and the spec does not, and why. They are not managed.
    pub left_out: Vec<LeftOut>,
}

/// A field that a spec cannot have as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name in spec.
    pub field: &'static str,
    /// What is wrong with the value.
    pub why: String,
}

/// Why there can be no spec for an app; a spec without its grant types would change them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Inexpressible(String);

impl Inexpressible {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// The spec of an app of which the API shows these fields, under the names of the CRD.
///
/// # Errors
/// When there can be none.
pub fn existing(api: Api, shown: &Values) -> Result<Existing, Inexpressible> {
    let flavor = flavor(api);
    let grant_types = grant_types(flavor, shown)?;
    let mut values = Values::from_iter([("grantTypes".to_owned(), json!(grant_types))]);
    let mut left_out = Vec::new();
    for field in APP_FIELDS.iter().copied().filter(|field| *field != "grantTypes") {
        let value = shown.get(field).unwrap_or(&Value::Null);
        if has_default(flavor, field, value) && !is_closed(field, value, &grant_types) {
            continue;
        }
        match expressed(flavor, field, value) {
            Ok(value) => drop(values.insert(field.to_owned(), value)),
            Err(why) => left_out.push(LeftOut { field, why }),
        }
    }
    let mut spec = spec_of(values.clone())?;
    while let Some((field, message)) = broken_rule(&spec) {
        if field == "grantTypes" || values.remove(field).is_none() {
            return Err(Inexpressible(message.to_owned()));
        }
        left_out.push(LeftOut { field, why: message.to_owned() });
        spec = spec_of(values.clone())?;
    }
    without_difference(api, &spec, shown)?;
    Ok(Existing { spec, left_out })
}

/// The fields of an app that a spec sets, in the order of the CRD.
pub fn fields_in_order(spec: &OrgOAuthAppSpec) -> Vec<(&'static str, Value)> {
    let mut values = of_spec(spec);
    APP_FIELDS.iter().filter_map(|name| Some((*name, values.remove(*name)?))).collect()
}

/// The value with which the operator creates an app whose spec omits the field. A namespace that is not known has no default.
pub(crate) fn created_by_default(api: Api, field: &str, name: &str, namespace: Option<&str>) -> Option<Value> {
    let is_sent = flavor(api).required_in_create().contains(&field);
    let default = defaults(namespace.unwrap_or_default(), name).remove(field);
    default.filter(|_| is_sent && (namespace.is_some() || field != "description"))
}

/// What the API, or the operator, would use for an app whose spec omits the field.
fn has_default(flavor: &dyn ApiFlavor, field: &str, value: &Value) -> bool {
    let default = flavor.documented_defaults().iter().find(|(name, _)| *name == field);
    is_unset(&pruned(value)) || default.is_some_and(|(_, default)| *value == json!(default))
}

/// An empty list of organizations lets nobody log in, which a spec cannot express. [csp-struct]
fn is_closed(field: &str, value: &Value, grant_types: &[GrantType]) -> bool {
    let is_empty = field == "allowedOrgs" && value.as_array().is_some_and(Vec::is_empty);
    is_empty && grant_types.contains(&GrantType::AuthorizationCode)
}

fn grant_types(flavor: &dyn ApiFlavor, shown: &Values) -> Result<Vec<GrantType>, Inexpressible> {
    let value = shown.get("grantTypes").unwrap_or(&Value::Null);
    let known = match flavor.grant_types() {
        GrantTypes::Fixed(fixed) if is_blank(value) => return Ok(fixed.to_vec()),
        GrantTypes::Fixed(known) | GrantTypes::AnyOf(known) => known,
    };
    let unknown = |value: &Value| {
        let value = text::clean(&value.to_string(), MAX_QUOTED);
        Inexpressible(format!("its grant types are {value}; OrgOAuthApp has {} for this API", names(known)))
    };
    let Value::Array(items) = value else { return Err(unknown(value)) };
    let grant_type = |item: &Value| serde_json::from_value(item.clone()).ok().filter(|kind| known.contains(kind));
    let mut grant_types: Vec<GrantType> =
        items.iter().map(grant_type).collect::<Option<_>>().ok_or_else(|| unknown(value))?;
    grant_types.sort();
    grant_types.dedup();
    let is_complete = match flavor.grant_types() {
        GrantTypes::Fixed(fixed) => fixed == grant_types,
        GrantTypes::AnyOf(_) => !grant_types.is_empty(),
    };
    if is_complete { Ok(grant_types) } else { Err(unknown(value)) }
}

/// A value as a spec has it.
///
/// # Errors
/// What is wrong with it.
fn expressed(flavor: &dyn ApiFlavor, field: &'static str, shown: &Value) -> Result<Value, String> {
    if !flavor.request_fields().contains(&field) {
        return Err(format!("{} does not let it be set", flavor.name()));
    }
    let differs = || format!("OrgOAuthApp cannot express {}", text::clean(&shown.to_string(), MAX_QUOTED));
    let candidate = if field == "allowedOrgs" { json!(org_ids(shown).ok_or_else(differs)?) } else { pruned(shown) };
    let candidate = without_unsupported(flavor, field, candidate);
    let spec = spec_of(Values::from_iter([(field.to_owned(), candidate)])).map_err(|_| differs())?;
    let value = of_spec(&spec).remove(field).ok_or_else(differs)?;
    if !is_same_value(field, &value, shown) || !set_unsupported_values(flavor, &spec).is_empty() {
        return Err(differs());
    }
    beyond_limits(field, &value).map_or(Ok(value), Err)
}

/// Without members that are blank, which is the same as absent, and without repeated texts in a list.
fn pruned(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), pruned(value)));
            Value::Object(members.filter(|(_, value)| !is_blank(value)).collect())
        }
        Value::Array(items) => {
            let mut kept: Vec<Value> = Vec::new();
            for item in items.iter().map(pruned) {
                if !kept.contains(&item) {
                    kept.push(item);
                }
            }
            Value::Array(kept)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Without members that the API adds and a spec for it cannot set.
fn without_unsupported(flavor: &dyn ApiFlavor, field: &str, mut value: Value) -> Value {
    for path in unsupported_fields(flavor) {
        if let Some(rest) = path.strip_prefix(field).and_then(|rest| rest.strip_prefix('.')) {
            remove(&mut value, rest);
        }
    }
    pruned(&value)
}

fn remove(value: &mut Value, path: &str) {
    match (path.split_once('.'), value) {
        (_, Value::Array(items)) => items.iter_mut().for_each(|item| remove(item, path)),
        (None, Value::Object(members)) => drop(members.remove(path.trim_end_matches("[]"))),
        (Some((name, rest)), Value::Object(members)) => {
            if let Some(value) = members.get_mut(name.trim_end_matches("[]")) {
                remove(value, rest);
            }
        }
        (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {}
    }
}

/// What is wrong with a spec of one field, apart from its grant types.
fn set_unsupported_values(flavor: &dyn ApiFlavor, spec: &OrgOAuthAppSpec) -> Vec<String> {
    let grant_types = match flavor.grant_types() {
        GrantTypes::Fixed(known) | GrantTypes::AnyOf(known) => known.to_vec(),
    };
    let spec = OrgOAuthAppSpec { grant_types: Some(grant_types), ..spec.clone() };
    [set_unsupported(flavor, &spec), flavor.invalid_values(&spec)].concat()
}

fn spec_of(values: Values) -> Result<OrgOAuthAppSpec, Inexpressible> {
    let mut values = values;
    values.insert("orgId".into(), json!(""));
    values.insert("adoptionPolicy".into(), json!(AdoptionPolicy::Adopt));
    serde_json::from_value(Value::Object(values))
        .map_err(|error| Inexpressible(text::clean(&error.to_string(), MAX_QUOTED)))
}

/// The operator compares in the same way.
fn without_difference(api: Api, spec: &OrgOAuthAppSpec, shown: &Values) -> Result<(), Inexpressible> {
    let desired = Fields::of(api, spec).map_err(|error| Inexpressible(error.to_string()))?;
    let differing = differences(desired.values(), shown);
    if differing.is_empty() {
        Ok(())
    } else {
        Err(Inexpressible(format!("{} cannot be expressed", differing.join(", "))))
    }
}

#[cfg(test)]
mod tests;
