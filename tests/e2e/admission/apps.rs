//! The rules on an `OrgOAuthApp`, a table for each group of fields. Rows that begin with `documented:` are the rules of the
//! documented create request.

mod changes;
mod client;
mod identity;
mod redirects;
mod rotation;
mod scopes;
mod secret;
mod sizes;

use super::{Row, merged};
use serde_json::{Value, json};

pub(super) const TABLES: &[&[Row]] = &[
    changes::ROWS,
    client::ROWS,
    identity::ROWS,
    redirects::ROWS,
    rotation::ROWS,
    scopes::ROWS,
    secret::ROWS,
    sizes::ROWS,
];

pub(super) fn base() -> Value {
    json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp", "metadata": {},
        "spec": {"orgId": "org-1", "displayName": "Billing", "description": "Nightly",
                 "grantTypes": ["client_credentials"], "allowedScopes": {}},
    })
}

fn web(more: Value) -> Value {
    merged(json!({"grantTypes": ["authorization_code"]}), more)
}

fn public(more: Value) -> Value {
    merged(web(json!({"publicClient": true})), more)
}

/// Without all that has a default.
fn one_line(more: Value) -> Value {
    merged(json!({"displayName": null, "description": null, "grantTypes": null, "allowedScopes": null}), more)
}
