//! What a resource is: its organization, its id, its connection, and its policies.

use super::{one_line, public};
use crate::admission::{Row, row};
use serde_json::json;

pub(super) const ROWS: &[Row] = &[
    row(
        "one line is enough",
        || one_line(json!({})),
        || json!({"orgId": null, "displayName": null, "description": null, "grantTypes": null, "allowedScopes": null}),
        "spec.orgId: Required value",
    ),
    row(
        "documented: id is long enough",
        || json!({"id": "12345"}),
        || json!({"id": "1234"}),
        "spec.id in body should be at least 5 chars long",
    ),
    row(
        "documented: id is short enough",
        || json!({"id": "a".repeat(256)}),
        || json!({"id": "a".repeat(257)}),
        "spec.id: Too long",
    ),
    row(
        "documented: id has known characters",
        || json!({"id": "Az09_-"}),
        || json!({"id": "billing.export"}),
        "id consists of letters, digits, _ and -",
    ),
    row(
        "documented: id has no whitespace",
        || json!({"id": "billing-export"}),
        || json!({"id": "billing export"}),
        "id consists of letters, digits, _ and -",
    ),
    row("orgId is required", || json!({}), || json!({"orgId": null}), "spec.orgId: Required value"),
    row(
        "orgId is one segment",
        || json!({"orgId": "2f0c6f0e-0000-4000-8000-000000000000"}),
        || json!({"orgId": "a/b"}),
        "orgId consists of letters, digits, -, _ and .: copy it from the console",
    ),
    row(
        "context is one of three",
        || json!({"context": "TENANT"}),
        || json!({"context": "tenant"}),
        "context is one of OPERATOR, PROVIDER, TENANT",
    ),
    row(
        "derived ids are reserved",
        || json!({"id": "ooa-1", "adoptionPolicy": "Adopt"}),
        || json!({"id": "ooa-1"}),
        "ids that begin with ooa- are derived from metadata.uid: choose another id, or adopt that app with adoptionPolicy",
    ),
    row(
        "adoption needs an id",
        || json!({"id": "billing", "adoptionPolicy": "AdoptAndRotate"}),
        || json!({"adoptionPolicy": "Adopt"}),
        "adoptionPolicy needs id, the client id of the app to adopt",
    ),
    row(
        "adoption does not take grant types away unasked",
        || json!({"id": "billing", "adoptionPolicy": "Adopt"}),
        || one_line(json!({"id": "billing", "adoptionPolicy": "Adopt"})),
        "adoptionPolicy needs grantTypes: list those of the app, since without them it would get client_credentials only",
    ),
    row(
        "adoptionPolicy is one of three",
        || json!({"adoptionPolicy": "Never"}),
        || json!({"adoptionPolicy": "Always"}),
        "spec.adoptionPolicy: Unsupported value",
    ),
    row(
        "managementPolicy is one of two",
        || json!({"managementPolicy": "Observe"}),
        || json!({"managementPolicy": "None"}),
        "spec.managementPolicy: Unsupported value",
    ),
    row(
        "deletionPolicy is one of two",
        || json!({"deletionPolicy": "Retain"}),
        || json!({"deletionPolicy": "Orphan"}),
        "spec.deletionPolicy: Unsupported value",
    ),
    row(
        "the connection has a name",
        || json!({"connectionRef": {"name": "other"}}),
        || json!({"connectionRef": {"name": ""}}),
        "should be at least 1 chars long",
    ),
    row(
        "a public client is adopted as it is",
        || public(json!({"id": "public-app", "adoptionPolicy": "Adopt"})),
        || public(json!({"id": "public-app", "adoptionPolicy": "AdoptAndRotate"})),
        "a public client has no secret to rotate: set adoptionPolicy to Adopt",
    ),
    row(
        "orgId is not a step upwards",
        || json!({}),
        || json!({"orgId": ".."}),
        "orgId consists of letters, digits, -, _ and .: copy it from the console",
    ),
];
