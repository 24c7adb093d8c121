//! The request bodies of all APIs as tables: field, type, whether it must be there.
//! One recursive check refuses unknown fields, wrong types and nulls, and names the field in question.

use serde_json::Value;

pub(crate) enum Shape {
    /// A string.
    Text,
    /// An int32.
    Int,
    /// A boolean.
    Flag,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A list whose length lies between the two numbers.
    List(&'static Shape, usize, usize),
    /// An object with these members and no others.
    Object(&'static [Member]),
    /// Any value but null: the documentation does not show its shape.
    Anything,
}

pub(crate) struct Member {
    pub name: &'static str,
    pub shape: &'static Shape,
    pub required: bool,
}

const fn may(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, shape, required: false }
}

const fn must(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, shape, required: true }
}

/// Says what is wrong with `value`, if anything; `path` names it, empty for the body itself.
pub(crate) fn check(shape: &Shape, value: &Value, path: &str) -> Result<(), String> {
    let name = if path.is_empty() { "the request body" } else { path };
    match (shape, value) {
        (_, Value::Null) => Err(format!("{name} must not be null")),
        (Shape::Text, Value::String(_)) | (Shape::Flag, Value::Bool(_)) | (Shape::Anything, _) => Ok(()),
        (Shape::Int, Value::Number(n)) if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => Ok(()),
        (Shape::OneOf(allowed), Value::String(s)) if allowed.contains(&s.as_str()) => Ok(()),
        (Shape::List(item, min, max), Value::Array(list)) => {
            if list.len() < *min || list.len() > *max {
                return Err(format!("{name} must have {min} to {max} entries, not {}", list.len()));
            }
            list.iter().enumerate().try_for_each(|(i, v)| check(item, v, &format!("{name}[{i}]")))
        }
        (Shape::Object(members), Value::Object(map)) => {
            let inner = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
            for (key, value) in map {
                let Some(member) = members.iter().find(|m| m.name == key) else {
                    return Err(format!("unknown field '{}'", inner(key)));
                };
                check(member.shape, value, &inner(key))?;
            }
            match members.iter().find(|m| m.required && !map.contains_key(m.name)) {
                Some(missing) => Err(format!("{} is required", inner(missing.name))),
                None => Ok(()),
            }
        }
        _ => Err(format!("{name} must be {}", expected(shape))),
    }
}

fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Text => "a string".into(),
        Shape::Int => "an int32".into(),
        Shape::Flag => "a boolean".into(),
        Shape::OneOf(allowed) => format!("one of {}", allowed.join(", ")),
        Shape::List(..) => "a list".into(),
        Shape::Object(_) => "an object".into(),
        Shape::Anything => "present".into(),
    }
}

const MANY: usize = usize::MAX;
const TEXTS: Shape = Shape::List(&Shape::Text, 0, MANY);
const GRANTS: Shape = Shape::List(&Shape::Text, 1, MANY);

const NAMED: Shape = Shape::Object(&[must("name", &Shape::Text)]);
const NAMES: Shape = Shape::List(&NAMED, 0, MANY);

const CPN_SCOPES: Shape = Shape::Object(&[
    may("generalScopes", &TEXTS),
    may("organizationScopes", &Shape::Object(&[may("roles", &NAMES)])),
    may(
        "servicesScopes",
        &Shape::List(
            &Shape::Object(&[
                may("serviceDefinitionId", &Shape::Text),
                may("allRoles", &Shape::Flag),
                may("roles", &NAMES),
            ]),
            0,
            MANY,
        ),
    ),
]);

const ROLES: Shape = Shape::List(&Shape::Object(&[must("name", &Shape::Text), may("resource", &Shape::Text)]), 0, MANY);
const PERMISSIONS: Shape =
    Shape::List(&Shape::Object(&[must("permissionId", &Shape::Text), may("resources", &TEXTS)]), 0, MANY);
const KEPT: Shape = Shape::List(&Shape::OneOf(&["ROLES", "PERMISSIONS"]), 0, MANY);

const CSP_SCOPES: Shape = Shape::Object(&[
    may("generalScopes", &TEXTS),
    may(
        "organizationScopes",
        &Shape::Object(&[
            may("allRoles", &Shape::Flag),
            may("allPermissions", &Shape::Flag),
            may("keptInToken", &KEPT),
            may("roles", &ROLES),
            may("permissions", &PERMISSIONS),
        ]),
    ),
    may(
        "servicesScopes",
        &Shape::List(
            &Shape::Object(&[
                must("serviceDefinitionId", &Shape::Text),
                may("allRoles", &Shape::Flag),
                may("allPermissions", &Shape::Flag),
                may("keptInToken", &KEPT),
                may("roles", &ROLES),
                may("permissions", &PERMISSIONS),
            ]),
            0,
            MANY,
        ),
    ),
]);

/// C1 `[csp-struct]`, `[csp-struct]`.
pub(crate) const CSP_CREATE: Shape = Shape::Object(&[
    must("description", &Shape::Text),
    must("grantTypes", &GRANTS),
    must("displayName", &Shape::Text),
    must("allowedScopes", &CSP_SCOPES),
    may("accessTokenTTL", &Shape::Int),
    may("allowedOrgs", &TEXTS),
    may("forcePkce", &Shape::Flag),
    may("allowOpenRedirectUris", &Shape::Flag),
    may("id", &Shape::Text),
    may("maxCharactersInAccessToken", &Shape::Int),
    may("maxGroupsInIdToken", &Shape::Int),
    may("ownerOnlySecretRotation", &Shape::Flag),
    may("postLogoutRedirectUris", &TEXTS),
    may("publicClient", &Shape::Flag),
    may("redirectUris", &TEXTS),
    may("refreshTokenTTL", &Shape::Int),
    may("secret", &Shape::Text),
    may("secretRotationExpirationInSeconds", &Shape::Int),
    may("serviceDefinitionId", &Shape::Text),
    may("additionalAttributeMasks", &Shape::Anything),
    may("allowedActorsAudienceExchange", &TEXTS),
    may("allowedActorsClientDelegate", &TEXTS),
    may("crossOrgAccessClaimsSupported", &Shape::Flag),
    may("isHidden", &Shape::Flag),
]);

/// C4 `[csp-upd-struct]`; `serviceDefinitionId` is let through here and judged by the settings.
pub(crate) const CSP_UPDATE: Shape = Shape::Object(&[
    must("description", &Shape::Text),
    must("grantTypes", &GRANTS),
    must("displayName", &Shape::Text),
    may("allowedScopes", &CSP_SCOPES),
    may("accessTokenTTL", &Shape::Int),
    may("allowedOrgs", &TEXTS),
    may("forcePkce", &Shape::Flag),
    may("maxCharactersInAccessToken", &Shape::Int),
    may("maxGroupsInIdToken", &Shape::Int),
    may("ownerOnlySecretRotation", &Shape::Flag),
    may("postLogoutRedirectUris", &TEXTS),
    may("redirectUris", &TEXTS),
    may("refreshTokenTTL", &Shape::Int),
    may("secret", &Shape::Text),
    may("secretRotationExpirationInSeconds", &Shape::Int),
    may("serviceDefinitionId", &Shape::Text),
    may("additionalAttributeMasks", &Shape::Anything),
    may("allowedActorsAudienceExchange", &TEXTS),
    may("allowedActorsClientDelegate", &TEXTS),
    may("crossOrgAccessClaimsSupported", &Shape::Flag),
    may("isHidden", &Shape::Flag),
    may("groupDomainAppendedInIDToken", &Shape::Flag),
    may("useCspIssuerUrl", &Shape::Flag),
]);

/// P1 `[cpn-create]`.
pub(crate) const CPN_CREATE: Shape = Shape::Object(&[
    may("accessTokenTTL", &Shape::Int),
    may("allowedScopes", &CPN_SCOPES),
    may("description", &Shape::Text),
    may("displayName", &Shape::Text),
    may("id", &Shape::Text),
    may("ownerOnlySecretRotation", &Shape::Flag),
    may("secret", &Shape::Text),
    may("secretRotationExpirationInSeconds", &Shape::Int),
]);

/// P3 `[cpn-patch]`.
pub(crate) const CPN_UPDATE: Shape = Shape::Object(&[
    may("accessTokenTTL", &Shape::Int),
    may("allowedScopes", &CPN_SCOPES),
    may("description", &Shape::Text),
    may("displayName", &Shape::Text),
    may("ownerOnlySecretRotation", &Shape::Flag),
    may("secret", &Shape::Text),
    may("secretRotationExpirationInSeconds", &Shape::Int),
]);

/// C5 `[csp-delete]`.
pub(crate) const DELETE: Shape = Shape::Object(&[must("clientIdsToDelete", &Shape::List(&Shape::Text, 1, 15))]);

/// C6 `[csp-rot-struct]`.
pub(crate) const CSP_ROTATE: Shape = Shape::Object(&[
    must("newClientSecret", &Shape::Text),
    may("secretRotationExpirationInSeconds", &Shape::Int),
    may("allowEmptyValue", &Shape::Flag),
]);

/// P4, P6 `[cpn-secret-post]`, `[cpn-self-rotate]`.
pub(crate) const CPN_ROTATE: Shape =
    Shape::Object(&[must("newClientSecret", &Shape::Text), must("secretExpirationTimeInSeconds", &Shape::Int)]);

/// C8: an empty object must be sent `[csp-secret-put]`. The end of a rotation in Identity Broker `[vib-rotate]`.
pub(crate) const NOTHING: Shape = Shape::Object(&[]);

/// C9 `[csp-search]`.
pub(crate) const SEARCH: Shape = Shape::Object(&[
    may("pageLimit", &Shape::Int),
    may("pageStart", &Shape::Int),
    may("resource", &Shape::Text),
    may("resourceStartsWith", &Shape::Text),
    may("rolesSearchTerm", &Shape::Text),
    may("searchType", &Shape::OneOf(&["EXACT_MATCH", "CONTAINS", "STARTS_WITH", "ENDS_WITH"])),
]);

const SERVICE_ROLES: Shape =
    Shape::List(&Shape::Object(&[must("serviceDefinitionId", &Shape::Text), may("serviceRoles", &NAMES)]), 0, MANY);

/// As the list shows them; that they can be given on a resource here too is undocumented.
const SERVICE_ROLES_ON_RESOURCES: Shape =
    Shape::List(&Shape::Object(&[must("serviceDefinitionId", &Shape::Text), may("serviceRoles", &ROLES)]), 0, MANY);

/// `[csp-clients]`.
pub(crate) const CSP_ADD_CLIENTS: Shape = Shape::Object(&[
    must("ids", &Shape::List(&Shape::Text, 1, 10)),
    may("organizationRoles", &ROLES),
    may("serviceRoles", &SERVICE_ROLES_ON_RESOURCES),
    may("customRoles", &NAMES),
    may("organizationRoleNames", &TEXTS),
]);

/// `[cpn-clients-post]`.
pub(crate) const CPN_ADD_CLIENTS: Shape = Shape::Object(&[
    must("ids", &Shape::List(&Shape::Text, 1, 10)),
    may("orgRoleBindingOrgs", &TEXTS),
    may("organizationRoles", &NAMES),
    may("serviceRoles", &SERVICE_ROLES),
]);

/// `[csp-clients]`.
pub(crate) const REMOVE_CLIENTS: Shape = Shape::Object(&[must("ids", &Shape::List(&Shape::Text, 1, MANY))]);

/// `[cpn-roles-patch]`: roles to add and roles to remove.
pub(crate) const PATCH_ROLES: Shape = Shape::Object(&[
    may("organizationRoles", &Shape::Object(&[may("rolesToAdd", &NAMES), may("rolesToRemove", &NAMES)])),
    may(
        "serviceRoles",
        &Shape::List(
            &Shape::Object(&[
                must("serviceDefinitionId", &Shape::Text),
                may("rolesToAdd", &NAMES),
                may("rolesToRemove", &NAMES),
            ]),
            0,
            MANY,
        ),
    ),
]);

/// `[py-csptools]`: the same, with roles on resources.
pub(crate) const PATCH_ROLES_ON_RESOURCES: Shape = Shape::Object(&[
    may("organizationRoles", &Shape::Object(&[may("rolesToAdd", &ROLES), may("rolesToRemove", &ROLES)])),
    may(
        "serviceRoles",
        &Shape::List(
            &Shape::Object(&[
                must("serviceDefinitionId", &Shape::Text),
                may("rolesToAdd", &ROLES),
                may("rolesToRemove", &ROLES),
            ]),
            0,
            MANY,
        ),
    ),
]);

const METADATA: Shape = Shape::List(&Shape::Object(&[must("key", &Shape::Text), must("value", &Shape::Text)]), 0, MANY);
const BROKER_SCOPES: Shape =
    Shape::List(&Shape::OneOf(&["admin", "user", "profile", "email", "openid", "group"]), 1, MANY);
const BROKER_GRANTS: Shape = Shape::List(
    &Shape::OneOf(&["password", "client_credentials", "refresh_token", "authorization_code", "token", "id_token"]),
    1,
    MANY,
);
const RULE_SETS: Shape =
    Shape::List(&Shape::OneOf(&["TENANT_ADMIN", "IDP_AND_DIRECTORY_ADMIN", "READ_ONLY_TENANT_ADMIN"]), 0, MANY);

/// `BrokerOAuth2ClientMedia` without its members that can only be read `[vib-client]`, `[vib-powercli]`.
pub(crate) const BROKER_CREATE: Shape = Shape::Object(&[
    must("client_id", &Shape::Text),
    must("scope", &BROKER_SCOPES),
    must("grant_types", &BROKER_GRANTS),
    may("secret", &Shape::Text),
    may("redirect_uris", &TEXTS),
    may("post_logout_redirect_uris", &TEXTS),
    may("access_token_ttl", &Shape::Int),
    may("refresh_token_ttl", &Shape::Int),
    may("refresh_token_idle_ttl", &Shape::Int),
    may("rule_set_names", &RULE_SETS),
    may("pkce_enforced", &Shape::Flag),
    may("public_client", &Shape::Flag),
    may("vcf_app", &Shape::Flag),
    may("display_name", &Shape::Text),
    may("description", &Shape::Text),
    may("client_type", &Shape::OneOf(&["API_CLIENT"])),
    may("secret_ttl", &Shape::Int),
    may("token_overflow_threshold", &Shape::Int),
    may("metadata", &METADATA),
]);

/// The same without what an update cannot change `[vib-patch]`, `[vib-powercli]`, `[vib-sibling]`.
pub(crate) const BROKER_UPDATE: Shape = Shape::Object(&[
    may("scope", &BROKER_SCOPES),
    may("grant_types", &BROKER_GRANTS),
    may("secret", &Shape::Text),
    may("redirect_uris", &TEXTS),
    may("post_logout_redirect_uris", &TEXTS),
    may("access_token_ttl", &Shape::Int),
    may("refresh_token_ttl", &Shape::Int),
    may("refresh_token_idle_ttl", &Shape::Int),
    may("rule_set_names", &RULE_SETS),
    may("pkce_enforced", &Shape::Flag),
    may("display_name", &Shape::Text),
    may("description", &Shape::Text),
    may("secret_ttl", &Shape::Int),
    may("token_overflow_threshold", &Shape::Int),
    may("metadata", &METADATA),
]);

/// `BrokerOAuth2ClientStartSecretRotationMedia` at the start of a rotation `[vib-rotate]`.
pub(crate) const BROKER_ROTATE: Shape =
    Shape::Object(&[must("secondary_secret", &Shape::Text), may("primary_secret_auto_retire_duration", &Shape::Int)]);

/// `[tcsp-token-details]`.
pub(crate) const CSP_API_TOKEN_DETAILS: Shape = Shape::Object(&[must("tokenValue", &Shape::Text)]);

/// `[cpn-accesstoken]`.
pub(crate) const CPN_API_TOKEN: Shape =
    Shape::Object(&[must("refreshToken", &Shape::Text), may("passcode", &Shape::Text)]);

/// `[cpn-account-token]`.
pub(crate) const CPN_ACCOUNT: Shape =
    Shape::Object(&[must("clientId", &Shape::Text), must("clientSecret", &Shape::Text)]);
