//! What a spec means at an API: the documented request fields, or the fields that this API does not have.
//! Whether the API has them is in `comparison`. Pure.

mod comparison;

pub use comparison::{changes, differences};

use crate::crd::{AllowedScopes, Api, GrantType, OrgOAuthApp, OrgOAuthAppSpec, Role};
use comparison::is_blank;
use kube::ResourceExt;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The fields of a request body under the API's names, without `id` and `secret`.
pub type Fields = Map<String, Value>;

/// The union of the documented requests. [cpn-create, csp-struct, csp-upd-struct]
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    display_name: Option<&'a str>,
    description: Option<&'a str>,
    grant_types: &'a [GrantType],
    allowed_scopes: Option<&'a AllowedScopes>,
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
    additional_attribute_masks: Option<&'a [String]>,
    allowed_actors_audience_exchange: Option<&'a [String]>,
    allowed_actors_client_delegate: Option<&'a [String]>,
    cross_org_access_claims_supported: Option<bool>,
    is_hidden: Option<bool>,
    #[serde(rename = "groupDomainAppendedInIDToken")]
    group_domain_appended_in_id_token: Option<bool>,
    use_csp_issuer_url: Option<bool>,
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

/// What only an update can carry. [csp-upd-struct]
const ONLY_IN_UPDATES: [&str; 2] = ["groupDomainAppendedInIDToken", "useCspIssuerUrl"];

/// What a spec says, or one sentence that names every field which does not fit the API. Only these fields are compared.
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

/// Only what the spec sets, so that the API's own default holds for the rest; but the operator's default for grant types,
/// since what it does depends on them.
fn all_fields(spec: &OrgOAuthAppSpec) -> Fields {
    let request = Request {
        display_name: spec.display_name.as_deref(),
        description: spec.description.as_deref(),
        grant_types: spec.grant_types(),
        allowed_scopes: spec.allowed_scopes.as_ref(),
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
        additional_attribute_masks: spec.additional_attribute_masks.as_deref(),
        allowed_actors_audience_exchange: spec.allowed_actors_audience_exchange.as_deref(),
        allowed_actors_client_delegate: spec.allowed_actors_client_delegate.as_deref(),
        cross_org_access_claims_supported: spec.cross_org_access_claims_supported,
        is_hidden: spec.is_hidden,
        group_domain_appended_in_id_token: spec.group_domain_appended_in_id_token,
        use_csp_issuer_url: spec.use_csp_issuer_url,
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
        .filter(|(name, value)| !NAVIGATOR_FIELDS.contains(&name.as_str()) && !is_unset(value))
        .filter(|(name, _)| *name != "grantTypes" || spec.grant_types() != [GrantType::ClientCredentials])
        .map(
            |(name, _)| {
                if name == "grantTypes" { "grantTypes other than client_credentials".into() } else { name.clone() }
            },
        )
        .collect();
    refused.extend(spec.allowed_scopes.iter().flat_map(scopes_refused_by_navigator));
    refused
}

/// Less than zero is the same as not setting it. [csp-struct]
fn is_unset(value: &Value) -> bool {
    is_blank(value) || value.as_i64().is_some_and(|number| number < 0)
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

/// The fields of a create: what the spec says, and a default for what CloudServices requires. [csp-struct]
pub fn create(app: &OrgOAuthApp, defined: &Fields) -> Fields {
    let mut fields = defaults(app);
    fields.extend(defined.clone());
    fields.retain(|name, _| !ONLY_IN_UPDATES.contains(&name.as_str()));
    fields
}

/// The fields that a create leaves to an update.
pub fn left_by_create(defined: &Fields) -> Vec<String> {
    ONLY_IN_UPDATES.iter().filter(|name| defined.contains_key(**name)).map(ToString::to_string).collect()
}

/// A name that tells people whose app it is, and no scopes. A name that Kubernetes accepts is a `displayName`.
fn defaults(app: &OrgOAuthApp) -> Fields {
    let (namespace, name) = (app.namespace().unwrap_or_default(), app.name_any());
    let description = format!("{namespace}/{name}");
    let defaults = [("displayName", json!(name)), ("description", json!(description)), ("allowedScopes", json!({}))];
    defaults.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The fields of an update: what changed, and what the API always wants beside it. Of the latter, what the spec leaves out
/// stays as the API shows it. [csp-upd-struct]
pub fn update(api: Api, app: &OrgOAuthApp, defined: &Fields, changed: &[String], shown: Option<&Fields>) -> Fields {
    let mut fields = defined.clone();
    fields.retain(|name, _| changed.contains(name));
    let defaults = defaults(app);
    for name in wanted_by_update(api) {
        let shown = shown.and_then(|shown| shown.get(*name)).filter(|value| value.is_string());
        if let Some(value) = defined.get(*name).or(shown).or(defaults.get(*name)) {
            fields.insert((*name).to_owned(), value.clone());
        }
    }
    fields
}

/// Whether an update repeats what the API shows, which must be read before.
pub fn update_repeats_shown(api: Api, defined: &Fields) -> bool {
    wanted_by_update(api).iter().any(|name| !defined.contains_key(*name))
}

fn wanted_by_update(api: Api) -> &'static [&'static str] {
    match api {
        Api::CloudServices => &["displayName", "description", "grantTypes"],
        Api::CloudPartnerNavigator => &[],
    }
}

/// The changed fields that an update cannot carry. [csp-upd-struct]
pub fn cannot_change(changed: &[String]) -> Vec<String> {
    let fixed = ["publicClient", "allowOpenRedirectUris"];
    changed.iter().filter(|name| fixed.contains(&name.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests;
