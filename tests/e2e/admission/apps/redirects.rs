//! Redirect URIs, and what excludes or needs them.

use super::{one_line, web};
use crate::admission::{Row, row};
use serde_json::{Value, json};

fn uris() -> Value {
    json!({"redirectUris": ["https://a.example.com"]})
}

pub(super) const ROWS: &[Row] = &[
    row(
        "documented: open redirects exclude redirectUris",
        || web(json!({"allowOpenRedirectUris": true})),
        || web(json!({"allowOpenRedirectUris": true, "redirectUris": ["https://a.example.com"]})),
        "allowOpenRedirectUris excludes redirectUris: remove one of the two",
    ),
    row(
        "documented: postLogoutRedirectUris are for authorization_code",
        || web(json!({"postLogoutRedirectUris": ["https://a.example.com"]})),
        || json!({"postLogoutRedirectUris": ["https://a.example.com"]}),
        "postLogoutRedirectUris need the grant type authorization_code: add it to grantTypes or remove postLogoutRedirectUris",
    ),
    row(
        "documented: redirectUris are for authorization_code",
        || web(uris()),
        uris,
        "redirectUris need the grant type authorization_code: add it to grantTypes or remove redirectUris",
    ),
    row(
        "redirectUris are not for the default grant type",
        || web(uris()),
        || one_line(uris()),
        "redirectUris need the grant type authorization_code: add it to grantTypes or remove redirectUris",
    ),
    row(
        "postLogoutRedirectUris are not for the default grant type",
        || one_line(json!({"postLogoutRedirectUris": [], "refreshTokenTTL": 1209601})),
        || one_line(json!({"postLogoutRedirectUris": ["https://a.example.com"]})),
        "postLogoutRedirectUris need the grant type authorization_code: add it to grantTypes or remove postLogoutRedirectUris",
    ),
    row(
        "redirectUris are named once",
        || json!({}),
        || web(json!({"redirectUris": ["https://a.example.com", "https://a.example.com"]})),
        "Duplicate value",
    ),
    row(
        "open redirects exclude even an empty list",
        || web(json!({"allowOpenRedirectUris": false, "redirectUris": []})),
        || web(json!({"allowOpenRedirectUris": true, "redirectUris": []})),
        "allowOpenRedirectUris excludes redirectUris: remove one of the two",
    ),
];
