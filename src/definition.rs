//! What a spec means at an API: the documented request fields, or the fields that this API does not have.
//! Also compares a definition with what the API shows, forgiving what the API says differently. Pure.

use crate::crd::{AllowedScopes, Api, GrantType, OrgOAuthAppSpec, Role};
use serde::Serialize;
use serde_json::{Map, Value};

/// The fields of a request body under the API's names, without `id` and `secret`.
pub type Fields = Map<String, Value>;

/// The union of the documented create requests. [cpn-create, csp-struct]
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    display_name: &'a str,
    description: &'a str,
    grant_types: &'a [GrantType],
    allowed_scopes: &'a AllowedScopes,
    #[serde(rename = "accessTokenTTL")]
    access_token_ttl: Option<i32>,
    #[serde(rename = "refreshTokenTTL")]
    refresh_token_ttl: Option<i32>,
    redirect_uris: Option<&'a [String]>,
    post_logout_redirect_uris: Option<&'a [String]>,
    allow_open_redirect_uris: Option<bool>,
    public_client: Option<bool>,
    force_pkce: Option<bool>,
    allowed_orgs: Option<&'a [String]>,
    max_characters_in_access_token: Option<i32>,
    max_groups_in_id_token: Option<i32>,
    owner_only_secret_rotation: Option<bool>,
    secret_rotation_expiration_in_seconds: Option<i32>,
    service_definition_id: Option<&'a str>,
}

/// The fields that Cloud Partner Navigator has. [cpn-create]
const NAVIGATOR_FIELDS: [&str; 6] = [
    "displayName",
    "description",
    "allowedScopes",
    "accessTokenTTL",
    "ownerOnlySecretRotation",
    "secretRotationExpirationInSeconds",
];

/// What to send for a spec, or one sentence that names every field which does not fit the API.
pub fn fields(api: Api, spec: &OrgOAuthAppSpec) -> Result<Fields, String> {
    let mut fields = all_fields(spec);
    let refused = match api {
        Api::CloudServices => refused_by_cloud_services(spec),
        Api::CloudPartnerNavigator => {
            let refused = refused_by_navigator(spec, &fields);
            fields.retain(|name, _| NAVIGATOR_FIELDS.contains(&name.as_str()));
            refused
        }
    };
    if refused.is_empty() { Ok(fields) } else { Err(format!("{api:?} does not have {}", refused.join(", "))) }
}

/// Only what the spec sets: an absent field is absent in the body, so that the API's own default holds.
fn all_fields(spec: &OrgOAuthAppSpec) -> Fields {
    let request = Request {
        display_name: &spec.display_name,
        description: &spec.description,
        grant_types: &spec.grant_types,
        allowed_scopes: &spec.allowed_scopes,
        access_token_ttl: spec.access_token_ttl,
        refresh_token_ttl: spec.refresh_token_ttl,
        redirect_uris: spec.redirect_uris.as_deref(),
        post_logout_redirect_uris: spec.post_logout_redirect_uris.as_deref(),
        allow_open_redirect_uris: spec.allow_open_redirect_uris,
        public_client: spec.public_client,
        force_pkce: spec.force_pkce,
        allowed_orgs: spec.allowed_orgs.as_deref(),
        max_characters_in_access_token: spec.max_characters_in_access_token,
        max_groups_in_id_token: spec.max_groups_in_id_token,
        owner_only_secret_rotation: spec.owner_only_secret_rotation,
        secret_rotation_expiration_in_seconds: spec.secret_rotation_expiration_in_seconds,
        service_definition_id: spec.service_definition_id.as_deref(),
    };
    match serde_json::to_value(request) {
        Ok(Value::Object(fields)) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Fields::new(),
    }
}

fn refused_by_cloud_services(spec: &OrgOAuthAppSpec) -> Vec<String> {
    spec.context.iter().map(|_| "context".into()).collect()
}

/// `grantTypes: [client_credentials]` states what every app there is, so it is accepted and not sent; so is a field
/// that is false or empty. [cpn-guide, cpn-create]
fn refused_by_navigator(spec: &OrgOAuthAppSpec, fields: &Fields) -> Vec<String> {
    let mut refused: Vec<String> = fields
        .iter()
        .filter(|(name, value)| !NAVIGATOR_FIELDS.contains(&name.as_str()) && !is_blank(value))
        .filter(|(name, _)| *name != "grantTypes" || spec.grant_types != [GrantType::ClientCredentials])
        .map(
            |(name, _)| {
                if name == "grantTypes" { "grantTypes other than client_credentials".into() } else { name.clone() }
            },
        )
        .collect();
    refused.extend(scopes_refused_by_navigator(&spec.allowed_scopes));
    refused
}

fn scopes_refused_by_navigator(scopes: &AllowedScopes) -> Vec<String> {
    let mut refused = Vec::new();
    let mut refuse = |path: &str, field: &str, set: bool| {
        if set {
            refused.push(format!("allowedScopes.{path}.{field}"));
        }
    };
    if let Some(organization) = &scopes.organization_scopes {
        let path = "organizationScopes";
        refuse(path, "allRoles", organization.all_roles == Some(true));
        refuse(path, "allPermissions", organization.all_permissions == Some(true));
        refuse(path, "keptInToken", organization.kept_in_token.iter().flatten().next().is_some());
        refuse(path, "permissions", organization.permissions.iter().flatten().next().is_some());
        refuse(path, "roles.resource", names_resource(organization.roles.as_deref()));
    }
    for (index, service) in scopes.services_scopes.iter().flatten().enumerate() {
        let path = &format!("servicesScopes[{index}]");
        refuse(path, "allPermissions", service.all_permissions == Some(true));
        refuse(path, "keptInToken", service.kept_in_token.iter().flatten().next().is_some());
        refuse(path, "permissions", service.permissions.iter().flatten().next().is_some());
        refuse(path, "roles.resource", names_resource(service.roles.as_deref()));
    }
    refused
}

fn names_resource(roles: Option<&[Role]>) -> bool {
    roles.is_some_and(|roles| roles.iter().any(|role| role.resource.is_some()))
}

/// The fields of an update: what changed, and what the API always wants beside it. [csp-upd-struct]
pub fn update(api: Api, defined: &Fields, changed: &[String]) -> Fields {
    let always: &[&str] = match api {
        Api::CloudServices => &["displayName", "description", "grantTypes"],
        Api::CloudPartnerNavigator => &[],
    };
    let sent = |name: &String| changed.contains(name) || always.contains(&name.as_str());
    defined.iter().filter(|(name, _)| sent(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The changed fields that an update cannot carry. [csp-upd-struct]
pub fn cannot_change(changed: &[String]) -> Vec<String> {
    let fixed = ["publicClient", "allowOpenRedirectUris"];
    changed.iter().filter(|name| fixed.contains(&name.as_str())).cloned().collect()
}

/// The defined fields that the API shows otherwise. What the definition leaves out is the API's to choose.
pub fn differences(defined: &Fields, shown: &Fields) -> Vec<String> {
    let absent = Value::Null;
    defined
        .iter()
        .filter(|(name, value)| normal(value) != normal(shown.get(*name).unwrap_or(&absent)))
        .map(|(name, _)| name.clone())
        .collect()
}

/// Order of lists is not promised, organizations come back as objects, and an absent field may come back as its
/// blank value. [csp-resp] (undocumented)
fn normal(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(org_by_id).map(normal).collect();
            items.sort_by_cached_key(Value::to_string);
            if items.is_empty() { Value::Null } else { Value::Array(items) }
        }
        Value::Object(fields) => {
            let fields: Fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), normal(value)))
                .filter(|(_, v)| !v.is_null())
                .collect();
            if fields.is_empty() { Value::Null } else { Value::Object(fields) }
        }
        value if is_blank(value) => Value::Null,
        value => value.clone(),
    }
}

/// An organization as an object stands for its id. [csp-resp]
fn org_by_id(item: &Value) -> &Value {
    match item {
        Value::Object(fields) if fields.contains_key("displayName") => fields.get("id").unwrap_or(item),
        item => item,
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        // Less than zero is the same as not setting it. [csp-struct]
        Value::Number(number) => number.as_i64().is_some_and(|number| number < 0),
        Value::String(text) => text.is_empty(),
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests;
