//! What cannot be changed once a resource exists.

use super::{public, web};
use crate::admission::{Row, change};
use serde_json::json;

const ID: &str = "id is immutable: delete the resource and create it again";
const PUBLIC_CLIENT: &str = "publicClient is immutable: delete the resource and create it again";

pub(super) const ROWS: &[Row] = &[
    change(
        "orgId stays",
        || json!({}),
        || json!({"description": "other"}),
        || json!({"orgId": "org-2"}),
        "orgId is immutable: delete the resource and create it again",
    ),
    change(
        "connectionRef stays",
        || json!({}),
        || json!({"connectionRef": {"name": "default"}}),
        || json!({"connectionRef": {"name": "other"}}),
        "connectionRef is immutable: delete the resource and create it again",
    ),
    change(
        "id stays",
        || json!({"id": "billing"}),
        || json!({"id": "billing", "description": "other"}),
        || json!({"id": "other"}),
        ID,
    ),
    change("id is not added", || json!({}), || json!({}), || json!({"id": "other"}), ID),
    change("id is not removed", || json!({"id": "billing"}), || json!({"id": "billing"}), || json!({}), ID),
    change(
        "documented: publicClient stays on",
        || public(json!({})),
        || public(json!({"forcePkce": true})),
        || web(json!({})),
        PUBLIC_CLIENT,
    ),
    change(
        "documented: publicClient stays off",
        || web(json!({})),
        || web(json!({"publicClient": false})),
        || public(json!({})),
        PUBLIC_CLIENT,
    ),
    change(
        "documented: open redirects stay off",
        || web(json!({})),
        || web(json!({"allowOpenRedirectUris": false})),
        || web(json!({"allowOpenRedirectUris": true})),
        "allowOpenRedirectUris is immutable: delete the resource and create it again",
    ),
    change(
        "open redirects stay on",
        || web(json!({"allowOpenRedirectUris": true})),
        || web(json!({"allowOpenRedirectUris": true, "forcePkce": true})),
        || web(json!({})),
        "allowOpenRedirectUris is immutable: delete the resource and create it again",
    ),
    change(
        "documented: restricted stays restricted",
        || json!({"allowedOrgs": ["org-2"]}),
        || json!({"allowedOrgs": ["org-3"]}),
        || json!({}),
        "an app that is restricted to allowedOrgs cannot become unrestricted: delete the resource and create it again",
    ),
];
