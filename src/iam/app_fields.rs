//! The fields of an app that a spec sets, under the names of the CRD, which are those of VMware Cloud Services.
//! The rules are the same for every flavor; the differences are methods of `ApiFlavor`. Pure.

mod comparison;
mod existing;

pub use comparison::differences;
pub(crate) use comparison::{changes, is_blank};
pub(crate) use existing::created_by_default;
pub use existing::{Existing, Inexpressible, LeftOut, existing, fields_in_order};

use super::flavor::{ApiFlavor, GrantTypes, Memberships, flavor};
use crate::crd::{Api, GrantType, OrgOAuthApp, OrgOAuthAppSpec};
use kube::ResourceExt;
use serde_json::{Map, Value, json};

/// Fields of an app under the names of the CRD, without `id` and `secret`.
pub(crate) type Values = Map<String, Value>;

/// Makes the one list of the fields of an app, and takes a spec apart without `..`: a field of the spec that is neither sent nor
/// listed as the operator's own does not compile. Which API has it, its flavor says.
macro_rules! app_fields {
    ($($name:literal: $field:ident,)+ ; $($own:ident),+) => {
        /// The fields of an app that a spec can set. [cpn-create, csp-struct, csp-upd-struct, vib-client]
        pub const APP_FIELDS: &[&str] = &[$($name),+];

        fn of_spec(spec: &OrgOAuthAppSpec) -> Values {
            let OrgOAuthAppSpec { $($field,)+ $($own: _),+ } = spec;
            let fields = [$(($name, json!($field))),+];
            fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
        }
    };
}

app_fields! {
    "displayName": display_name,
    "description": description,
    "grantTypes": grant_types,
    "allowedScopes": allowed_scopes,
    "accessTokenTTL": access_token_ttl,
    "refreshTokenTTL": refresh_token_ttl,
    "refreshTokenIdleTTL": refresh_token_idle_ttl,
    "redirectUris": redirect_uris,
    "postLogoutRedirectUris": post_logout_redirect_uris,
    "allowOpenRedirectUris": allow_open_redirect_uris,
    "publicClient": public_client,
    "forcePkce": force_pkce,
    "allowedOrgs": allowed_orgs,
    "maxCharactersInAccessToken": max_characters_in_access_token,
    "maxGroupsInIdToken": max_groups_in_id_token,
    "ownerOnlySecretRotation": owner_only_secret_rotation,
    "secretRotationExpirationInSeconds": secret_rotation_expiration_in_seconds,
    "serviceDefinitionId": service_definition_id,
    "additionalAttributeMasks": additional_attribute_masks,
    "allowedActorsAudienceExchange": allowed_actors_audience_exchange,
    "allowedActorsClientDelegate": allowed_actors_client_delegate,
    "crossOrgAccessClaimsSupported": cross_org_access_claims_supported,
    "isHidden": is_hidden,
    "groupDomainAppendedInIDToken": group_domain_appended_in_id_token,
    "useCspIssuerUrl": use_csp_issuer_url,
    "ruleSetNames": rule_set_names,
    ;
    connection_ref, org_id, context, id, client_secret_ref, secret, roles, rotation, adoption_policy, management_policy,
    deletion_policy, suspend
}

/// Whether a rotation is in progress, among the fields of an app that a flavor shows.
pub const ROTATION_IN_PROGRESS: &str = "rotationInProgress";

/// Why a spec cannot be sent to an API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFields {
    /// It sets fields that the API does not have.
    #[error("{api} does not have {}; remove it from spec", fields.join(", "))]
    Unsupported {
        /// The name of the flavor.
        api: &'static str,
        /// The fields, by their paths within spec.
        fields: Vec<String>,
    },
    /// It sets fields to values that the API does not have; in the words of the flavor.
    #[error("{}", .0.join("; "))]
    Values(Vec<String>),
}

/// The fields that a spec sets, which are the only ones that are compared; absent ones are the API's to choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Fields {
    api: Api,
    values: Values,
}

impl Fields {
    /// Grant types have the operator's default, since what it does depends on them.
    ///
    /// # Errors
    /// All fields that the API does not have, or else all values that it does not have.
    pub fn of(api: Api, spec: &OrgOAuthAppSpec) -> Result<Self, InvalidFields> {
        let flavor = flavor(api);
        let fields = set_unsupported(flavor, spec);
        if !fields.is_empty() {
            return Err(InvalidFields::Unsupported { api: flavor.name(), fields });
        }
        let invalid = flavor.invalid_values(spec);
        if !invalid.is_empty() {
            return Err(InvalidFields::Values(invalid));
        }
        let mut values = of_spec(spec);
        values.insert("grantTypes".into(), json!(spec.grant_types()));
        values.retain(|name, _| flavor.request_fields().contains(&name.as_str()));
        Ok(Self { api, values })
    }

    /// Whether a create without a secret is answered with one that the API generated.
    pub fn api_issues_secrets(&self) -> bool {
        flavor(self.api).issues_secrets()
    }

    /// Whether the API has an operation that ends a rotation.
    pub fn api_ends_rotations(&self) -> bool {
        flavor(self.api).end_rotation().is_some()
    }

    /// Whether it is documented that a replaced secret is the only valid one at once.
    pub(crate) fn api_replaces_all_secrets(&self) -> bool {
        !flavor(self.api).ends_rotation_first()
    }

    /// Whether the previous secret can stay valid after the end of its overlap.
    pub(crate) fn api_retires_late(&self) -> bool {
        flavor(self.api).retires_late()
    }

    /// The fields.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The fields of a create: what the spec sets, and a default for what the API requires. [csp-struct]
    pub fn for_create(&self, app: &OrgOAuthApp) -> Values {
        let flavor = flavor(self.api);
        let mut fields = defaults(app.namespace_any(), &app.name_any());
        fields.retain(|name, _| flavor.required_in_create().contains(&name.as_str()));
        fields.extend(self.values.clone());
        fields.retain(|name, _| !flavor.update_only_fields().contains(&name.as_str()));
        fields
    }

    /// The fields that a create leaves to an update.
    pub(crate) fn left_by_create(&self) -> Vec<String> {
        let names = flavor(self.api).update_only_fields().iter();
        names.filter(|name| self.values.contains_key(**name)).map(ToString::to_string).collect()
    }

    /// The fields of an update: what changed, and what the API requires with it. A required field that the spec omits keeps the value that
    /// the API shows. [csp-upd-struct]
    pub(crate) fn for_update(&self, app: &OrgOAuthApp, changed: &[String], shown: Option<&Values>) -> Values {
        let mut fields = self.values.clone();
        fields.retain(|name, _| changed.contains(name));
        let defaults = defaults(app.namespace_any(), &app.name_any());
        for name in flavor(self.api).required_in_update() {
            let shown = shown.and_then(|shown| shown.get(*name)).filter(|value| value.is_string());
            if let Some(value) = self.values.get(*name).or(shown).or(defaults.get(*name)) {
                fields.insert((*name).to_owned(), value.clone());
            }
        }
        fields
    }

    /// Whether an update repeats what the API shows, which must be read before.
    pub(crate) fn update_repeats_shown(&self) -> bool {
        flavor(self.api).required_in_update().iter().any(|name| !self.values.contains_key(*name))
    }

    /// The changed fields that an update cannot carry.
    pub(crate) fn immutable(&self, changed: &[String]) -> Vec<String> {
        let immutable = flavor(self.api).immutable_fields();
        changed.iter().filter(|name| immutable.contains(&name.as_str())).cloned().collect()
    }
}

/// The name of the resource, which is always a valid `displayName`, its namespace and name as description, and no scopes.
fn defaults(namespace: &str, name: &str) -> Values {
    let description = format!("{namespace}/{name}");
    let defaults = [("displayName", json!(name)), ("description", json!(description)), ("allowedScopes", json!({}))];
    defaults.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The fields of `OrgOAuthApp.spec` that the API does not have, by their paths; `[]` stands for each item of a list.
pub fn unsupported_paths(flavor: &dyn ApiFlavor) -> impl Iterator<Item = &'static str> {
    let within_roles = flavor.memberships().map_or(&[][..], Memberships::unsupported_paths);
    unsupported_fields(flavor).chain(within_roles.iter().copied())
}

/// The unsupported fields that are refused before any request.
fn unsupported_fields(flavor: &dyn ApiFlavor) -> impl Iterator<Item = &'static str> {
    let can_set = flavor.request_fields();
    let has = move |name: &str| can_set.contains(&name) || name == "grantTypes";
    let fields = APP_FIELDS.iter().copied().filter(move |name| !has(name));
    let roles = flavor.memberships().is_none().then_some("roles");
    fields.chain(flavor.unsupported_paths().iter().copied()).chain(roles)
}

/// A spec may state the fixed grant types and blank values.
fn set_unsupported(flavor: &dyn ApiFlavor, spec: &OrgOAuthAppSpec) -> Vec<String> {
    let value = json!(spec);
    let mut unsupported: Vec<String> =
        unsupported_fields(flavor).filter(|path| is_set(&value, path)).map(str::to_owned).collect();
    let (known, has_them) = match flavor.grant_types() {
        GrantTypes::Fixed(fixed) => (fixed, fixed == spec.grant_types()),
        GrantTypes::AnyOf(known) => (known, spec.grant_types().iter().all(|kind| known.contains(kind))),
    };
    if !has_them {
        unsupported.push(format!("grantTypes other than {}", names(known)));
    }
    unsupported
}

/// Grant types as a spec names them.
pub fn names(grant_types: &[GrantType]) -> String {
    let names = grant_types.iter().map(|grant_type| json!(grant_type).as_str().unwrap_or_default().to_owned());
    names.collect::<Vec<_>>().join(", ")
}

/// Whether something other than a blank value is at a path.
fn is_set(value: &Value, path: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let value = value.get(name.trim_end_matches("[]")).unwrap_or(&Value::Null);
    match (rest, value) {
        (None, value) => !is_unset(value),
        (Some(rest), Value::Array(items)) => items.iter().any(|item| is_set(item, rest)),
        (Some(rest), value) => is_set(value, rest),
    }
}

/// Less than zero is the same as not setting it. [csp-struct]
fn is_unset(value: &Value) -> bool {
    is_blank(value) || value.as_i64().is_some_and(|number| number < 0)
}

#[cfg(test)]
mod tests;
