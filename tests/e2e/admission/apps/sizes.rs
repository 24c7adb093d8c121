//! How large a resource may be: each row has the largest that is accepted. And how large a number may be, since the API takes int32.

use super::web;
use crate::admission::{Row, row};
use serde_json::{Map, Value, json};

const LEAST: i64 = i32::MIN as i64;
const LARGEST: i64 = i32::MAX as i64;
const AT_LEAST: &str = "in body should be greater than or equal to -2147483648";
const AT_MOST: &str = "in body should be less than or equal to 2147483647";
const SCOPES: &str =
    "allowedScopes must hold at most 16384 bytes of text together, where each entry counts 8 more: shorten them";
const ROLES: &str = "roles must hold at most 8192 bytes of text together, where each entry counts 8 more: shorten them";
const SECRET: &str = "labels, annotations and template must hold at most 16384 bytes of text together, where each entry counts 8 more: shorten them";

/// So many different texts of this many characters.
fn list(count: usize, text: &str, length: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n:03}{}", text.repeat(length - 3))).collect()
}

fn named(count: usize, length: usize) -> Vec<Value> {
    list(count, "r", length).into_iter().map(|name| json!({ "name": name })).collect()
}

fn field(name: &str, value: impl Into<Value>) -> Value {
    json!({name: value.into()})
}

fn general(count: usize, text: &str) -> Value {
    json!({"allowedScopes": {"generalScopes": list(count, text, 256)}})
}

fn services(count: usize) -> Value {
    let service = |n| json!({"serviceDefinitionId": format!("service-{n}"), "roles": named(60, 120)});
    json!({"allowedScopes": {"servicesScopes": (0..count).map(service).collect::<Vec<_>>()}})
}

fn permissions(count: usize) -> Value {
    let permission = |id: String| json!({"permissionId": id, "resources": list(16, "r", 56)});
    let permissions: Vec<Value> = list(count, "p", 8).into_iter().map(permission).collect();
    json!({"allowedScopes": {"organizationScopes": {"permissions": permissions}}})
}

fn roles(count: usize) -> Value {
    json!({"roles": {"organizationRoles": named(count, 256)}})
}

fn roles_of_service(count: usize) -> Value {
    json!({"roles": {"serviceRoles": [{"serviceDefinitionId": "s", "serviceRoles": named(count, 256)}]}})
}

fn uris(name: &str, count: usize) -> Value {
    web(field(name, list(count, "u", 2048)))
}

fn texts(letters: &str, length: usize) -> Map<String, Value> {
    letters.chars().map(|letter| (letter.to_string(), "x".repeat(length).into())).collect()
}

fn annotations(letters: &str) -> Value {
    json!({"secret": {"annotations": texts(letters, 8000)}})
}

fn template(letters: &str) -> Value {
    json!({"secret": {"template": texts(letters, 4000), "annotations": {"note": "x".repeat(4000)}}})
}

pub(super) const ROWS: &[Row] = &[
    row(
        "description has an end",
        || json!({"description": "x".repeat(4096)}),
        || json!({"description": "x".repeat(4097)}),
        "spec.description: Too long",
    ),
    row(
        "displayName has an end",
        || json!({"displayName": "x".repeat(256)}),
        || json!({"displayName": "x".repeat(257)}),
        "spec.displayName: Too long",
    ),
    row("general scopes have a size", || general(62, "s"), || general(63, "s"), SCOPES),
    row("bytes count, not characters", || general(31, "é"), || general(33, "é"), SCOPES),
    row("scopes of services count together", || services(2), || services(3), SCOPES),
    row("resources of permissions count", || permissions(15), || permissions(16), SCOPES),
    row("roles have a size", || roles(31), || roles(32), ROLES),
    row("roles in services count", || roles_of_service(30), || roles_of_service(32), ROLES),
    row(
        "redirectUris have a size",
        || uris("redirectUris", 3),
        || uris("redirectUris", 4),
        "redirectUris must hold at most 8192 bytes of text together, where each entry counts 8 more: shorten them",
    ),
    row(
        "postLogoutRedirectUris have a size",
        || uris("postLogoutRedirectUris", 1),
        || uris("postLogoutRedirectUris", 2),
        "postLogoutRedirectUris must hold at most 4096 bytes of text together, where each entry counts 8 more: shorten them",
    ),
    row(
        "allowedOrgs have a size",
        || field("allowedOrgs", list(31, "o", 256)),
        || field("allowedOrgs", list(32, "o", 256)),
        "allowedOrgs must hold at most 8192 bytes of text together, where each entry counts 8 more: shorten them",
    ),
    row(
        "additionalAttributeMasks",
        || field("additionalAttributeMasks", list(7, "x", 256)),
        || field("additionalAttributeMasks", list(8, "x", 256)),
        "additionalAttributeMasks must hold at most 2048 bytes of text together, where each entry counts 8 more: shorten them",
    ),
    row(
        "ruleSetNames",
        || field("ruleSetNames", list(7, "x", 256)),
        || field("ruleSetNames", list(8, "x", 256)),
        "ruleSetNames must hold at most 2048 bytes of text together, where each entry counts 8 more: shorten them",
    ),
    row(
        "allowedActorsAudienceExchange",
        || field("allowedActorsAudienceExchange", list(7, "x", 256)),
        || field("allowedActorsAudienceExchange", list(8, "x", 256)),
        "allowedActorsAudienceExchange must hold at most 2048 bytes of text together, where each entry counts 8 more: shorten them",
    ),
    row(
        "allowedActorsClientDelegate",
        || field("allowedActorsClientDelegate", list(7, "x", 256)),
        || field("allowedActorsClientDelegate", list(8, "x", 256)),
        "allowedActorsClientDelegate must hold at most 2048 bytes of text together, where each entry counts 8 more: shorten them",
    ),
    row("annotations have a size", || annotations("ab"), || annotations("abc"), SECRET),
    row("templates and annotations count together", || template("abc"), || template("abcd"), SECRET),
    row("accessTokenTTL", || field("accessTokenTTL", LARGEST), || field("accessTokenTTL", LARGEST + 1), AT_MOST),
    row("refreshTokenTTL", || field("refreshTokenTTL", LARGEST), || field("refreshTokenTTL", LARGEST + 1), AT_MOST),
    row(
        "secretRotationExpirationInSeconds",
        || field("secretRotationExpirationInSeconds", LARGEST),
        || field("secretRotationExpirationInSeconds", LARGEST + 1),
        AT_MOST,
    ),
    row(
        "maxCharactersInAccessToken",
        || field("maxCharactersInAccessToken", LARGEST),
        || field("maxCharactersInAccessToken", LARGEST + 1),
        AT_MOST,
    ),
    row(
        "maxCharactersInAccessToken",
        || field("maxCharactersInAccessToken", LEAST),
        || field("maxCharactersInAccessToken", LEAST - 1),
        AT_LEAST,
    ),
    row(
        "maxGroupsInIdToken",
        || field("maxGroupsInIdToken", LARGEST),
        || field("maxGroupsInIdToken", LARGEST + 1),
        AT_MOST,
    ),
    row(
        "maxGroupsInIdToken",
        || field("maxGroupsInIdToken", LEAST),
        || field("maxGroupsInIdToken", LEAST - 1),
        AT_LEAST,
    ),
];
