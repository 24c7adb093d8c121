//! The plain fields of the OAuth client: name, grant types, lifetimes, flags and lists.

use super::{one_line, public};
use crate::admission::{Row, row};
use serde_json::json;

pub(super) const ROWS: &[Row] = &[
    row(
        "documented: a grant type at least",
        || json!({}),
        || json!({"grantTypes": []}),
        "should have at least 1 items",
    ),
    row(
        "documented: known grant types",
        || json!({"grantTypes": ["authorization_code", "refresh_token", "client_credentials", "client_delegate"]}),
        || json!({"grantTypes": ["password"]}),
        "spec.grantTypes[0]: Unsupported value",
    ),
    row(
        "documented: a grant type once",
        || json!({}),
        || json!({"grantTypes": ["client_credentials", "client_credentials"]}),
        "Duplicate value",
    ),
    row(
        "displayName has known characters",
        || json!({"displayName": "Büro 7 - _ . ` ' : @ & ,"}),
        || json!({"displayName": "a<b"}),
        "displayName consists of letters, digits, spaces and any of - _ . ` ' : @ & ,",
    ),
    row(
        "displayName is not empty",
        || json!({}),
        || json!({"displayName": ""}),
        "spec.displayName in body should be at least 1 chars long",
    ),
    row(
        "documented: accessTokenTTL is a number",
        || json!({"accessTokenTTL": 1}),
        || json!({"accessTokenTTL": "1"}),
        "spec.accessTokenTTL: Invalid value",
    ),
    row(
        "accessTokenTTL is positive",
        || json!({"accessTokenTTL": 2147483647}),
        || json!({"accessTokenTTL": 0}),
        "spec.accessTokenTTL in body should be greater than or equal to 1",
    ),
    row(
        "documented: refreshTokenTTL is a number",
        || json!({"refreshTokenTTL": 1}),
        || json!({"refreshTokenTTL": true}),
        "spec.refreshTokenTTL: Invalid value",
    ),
    row(
        "refreshTokenTTL is positive",
        || json!({"refreshTokenTTL": 1}),
        || json!({"refreshTokenTTL": 0}),
        "spec.refreshTokenTTL in body should be greater than or equal to 1",
    ),
    row(
        "refresh outlives access",
        || json!({"accessTokenTTL": 5, "refreshTokenTTL": 6}),
        || json!({"accessTokenTTL": 5, "refreshTokenTTL": 5}),
        "refreshTokenTTL must be greater than accessTokenTTL",
    ),
    row(
        "delegates refresh for 14 days",
        || json!({"grantTypes": ["client_delegate"], "refreshTokenTTL": 1209600}),
        || json!({"grantTypes": ["client_delegate"], "refreshTokenTTL": 1209601}),
        "with the grant type client_delegate refreshTokenTTL is at most 1209600, which is 14 days",
    ),
    row(
        "documented: allowedOrgs is a list of ids",
        || json!({"allowedOrgs": ["org-2"]}),
        || json!({"allowedOrgs": [""]}),
        "spec.allowedOrgs[0] in body should be at least 1 chars long",
    ),
    row(
        "allowedOrgs names an organization, since nothing says what an empty list means",
        || json!({}),
        || json!({"allowedOrgs": []}),
        "spec.allowedOrgs in body should have at least 1 items",
    ),
    row(
        "documented: forcePkce is a flag",
        || json!({"forcePkce": true}),
        || json!({"forcePkce": "yes"}),
        "spec.forcePkce: Invalid value",
    ),
    row(
        "documented: maxCharactersInAccessToken may be zero or less",
        || json!({"maxCharactersInAccessToken": -1}),
        || json!({"maxCharactersInAccessToken": 1.5}),
        "spec.maxCharactersInAccessToken: Invalid value",
    ),
    row(
        "documented: maxGroupsInIdToken is a number",
        || json!({"maxGroupsInIdToken": 20}),
        || json!({"maxGroupsInIdToken": "20"}),
        "spec.maxGroupsInIdToken: Invalid value",
    ),
    row(
        "documented: numbers have 32 bits",
        || json!({"maxGroupsInIdToken": i32::MAX}),
        || json!({"maxGroupsInIdToken": i64::from(i32::MAX) + 1}),
        "spec.maxGroupsInIdToken: Invalid value: 2147483648",
    ),
    row(
        "documented: additionalAttributeMasks are text",
        || json!({"additionalAttributeMasks": ["mask"]}),
        || json!({"additionalAttributeMasks": [1]}),
        "spec.additionalAttributeMasks[0]: Invalid value",
    ),
    row(
        "documented: allowedActorsAudienceExchange are text",
        || json!({"allowedActorsAudienceExchange": ["actor"]}),
        || json!({"allowedActorsAudienceExchange": [""]}),
        "spec.allowedActorsAudienceExchange[0] in body should be at least 1 chars long",
    ),
    row(
        "documented: allowedActorsClientDelegate are named once",
        || json!({"allowedActorsClientDelegate": ["actor"]}),
        || json!({"allowedActorsClientDelegate": ["actor", "actor"]}),
        "Duplicate value",
    ),
    row(
        "documented: crossOrgAccessClaimsSupported is a flag",
        || json!({"crossOrgAccessClaimsSupported": true}),
        || json!({"crossOrgAccessClaimsSupported": "yes"}),
        "spec.crossOrgAccessClaimsSupported: Invalid value",
    ),
    row(
        "documented: isHidden is a flag",
        || json!({"isHidden": true}),
        || json!({"isHidden": 1}),
        "spec.isHidden: Invalid value",
    ),
    row(
        "documented: groupDomainAppendedInIDToken is a flag",
        || json!({"groupDomainAppendedInIDToken": true}),
        || json!({"groupDomainAppendedInIDToken": "yes"}),
        "spec.groupDomainAppendedInIDToken: Invalid value",
    ),
    row(
        "documented: useCspIssuerUrl is a flag",
        || json!({"useCspIssuerUrl": false}),
        || json!({"useCspIssuerUrl": "https://issuer.example.com"}),
        "spec.useCspIssuerUrl: Invalid value",
    ),
    row(
        "documented: ownerOnlySecretRotation is a flag",
        || json!({"ownerOnlySecretRotation": true}),
        || json!({"ownerOnlySecretRotation": 1}),
        "spec.ownerOnlySecretRotation: Invalid value",
    ),
    row(
        "documented: a public client does not use client_credentials",
        || public(json!({"grantTypes": ["authorization_code", "refresh_token"]})),
        || public(json!({"grantTypes": ["authorization_code", "client_credentials"]})),
        "a public client cannot use client_credentials: remove it from grantTypes, or remove publicClient",
    ),
    row(
        "documented: a public client does not use client_credentials, which is the default",
        || public(json!({})),
        || one_line(json!({"publicClient": true})),
        "a public client needs grantTypes, since the default is client_credentials, which it cannot use: set grantTypes, such as [authorization_code], or remove publicClient",
    ),
    row(
        "documented: serviceDefinitionId is text",
        || json!({"serviceDefinitionId": "service-1"}),
        || json!({"serviceDefinitionId": ""}),
        "spec.serviceDefinitionId in body should be at least 1 chars long",
    ),
];
