//! The Secret: its name, keys, labels, annotations and template.

use crate::admission::{Row, row};
use serde_json::{Value, json};

fn secret(secret: Value) -> Value {
    json!({ "secret": secret })
}

fn label(key: &str, value: &str) -> Value {
    secret(json!({"labels": {key: value}}))
}

fn template(key: &str, template: &str) -> Value {
    secret(json!({"template": {key: template}}))
}

const GRAMMAR: &str = "a template is text and {{ name }} or {{ name | function }}, and nothing else: names are clientId, clientSecret, orgId and tokenUrl, functions json, base64 and urlencode, at most 8 in a row";

/// A row on the grammar of templates, which `src/template/parse.rs` reads again.
macro_rules! grammar {
    ($name:literal, $accepted:literal, $refused:literal) => {
        row($name, || template("key", $accepted), || template("key", $refused), GRAMMAR)
    };
}

pub(super) const ROWS: &[Row] = &[
    row(
        "the Secret has a valid name",
        || secret(json!({"name": "billing.credentials"})),
        || secret(json!({"name": "Billing"})),
        "a name consists of lower case letters, digits, - and .",
    ),
    row(
        "no part of the name of the Secret is empty",
        || secret(json!({"name": "a.b-c.d"})),
        || secret(json!({"name": "a..b"})),
        "a name consists of lower case letters, digits, - and .",
    ),
    row(
        "the Secret is not the one of the rotation",
        || secret(json!({"name": "other-rotation"})),
        || secret(json!({"name": "row-rotation"})),
        "the Secret named like this resource with -rotation appended is that of its rotation: choose another secret.name",
    ),
    row(
        "the token URL has a valid key",
        || secret(json!({"keys": {"tokenUrl": ""}})),
        || secret(json!({"keys": {"tokenUrl": "token url"}})),
        "a key consists of letters, digits, -, _ and .",
    ),
    row(
        "the token URL has a key of its own",
        || secret(json!({"keys": {"tokenUrl": "TOKEN_URL"}})),
        || secret(json!({"keys": {"tokenUrl": "client-id"}})),
        "clientId, clientSecret and tokenUrl need different keys",
    ),
    row(
        "a template leaves the key of the token URL alone",
        || secret(json!({"keys": {"tokenUrl": ""}, "template": {"token-url": "x"}})),
        || secret(json!({"template": {"token-url": "x"}})),
        "template must not use the keys of clientId, clientSecret and tokenUrl: choose other keys",
    ),
    row(
        "the Secret has valid keys",
        || secret(json!({"keys": {"clientId": "CLIENT_ID"}})),
        || secret(json!({"keys": {"clientId": "client id"}})),
        "a key consists of letters, digits, -, _ and .",
    ),
    row(
        "the Secret has two keys",
        || secret(json!({"keys": {"clientId": "a", "clientSecret": "b"}})),
        || secret(json!({"keys": {"clientId": "a", "clientSecret": "a"}})),
        "clientId, clientSecret and tokenUrl need different keys",
    ),
    row(
        "a template has its own keys",
        || secret(json!({"template": {"url": "x"}})),
        || secret(json!({"template": {"client-id": "x"}})),
        "template must not use the keys of clientId, clientSecret and tokenUrl: choose other keys",
    ),
    row(
        "labels are the user's",
        || secret(json!({"labels": {"team": "a"}})),
        || secret(json!({"labels": {"oauth-apps.dev/use": "true"}})),
        "labels that begin with oauth-apps.dev/ or argocd.argoproj.io/, app.kubernetes.io/managed-by and app.kubernetes.io/instance are reserved for tools: remove them",
    ),
    row(
        "annotations are the user's",
        || secret(json!({"annotations": {"note": "a"}})),
        || secret(json!({"annotations": {"argocd.argoproj.io/tracking-id": "a"}})),
        "annotations that begin with oauth-apps.dev/, kubectl.kubernetes.io/ or argocd.argoproj.io/ are reserved for tools: remove them",
    ),
    row(
        "labels are valid",
        || secret(json!({"labels": {"example.com/team": "a-b"}})),
        || secret(json!({"labels": {"team": "a b"}})),
        "labels need keys and values that Kubernetes accepts as a label",
    ),
    row(
        "a label may be empty",
        || label("team", ""),
        || label("team", "-"),
        "labels need keys and values that Kubernetes accepts as a label",
    ),
    row(
        "a key of a label is as short as that of Kubernetes",
        || label(&format!("{}/{}", "a".repeat(253), "a".repeat(63)), "x"),
        || label(&"a".repeat(64), "x"),
        "labels need keys and values that Kubernetes accepts as a label",
    ),
    row(
        "the prefix of a label is as short as that of Kubernetes",
        || label(&format!("{}.b/c", "a".repeat(251)), "x"),
        || label(&format!("{}.b/c", "a".repeat(252)), "x"),
        "labels need keys and values that Kubernetes accepts as a label",
    ),
    row(
        "the prefix of a label is a domain",
        || label("a.example.com/C_d", "x"),
        || label("A.example.com/c", "x"),
        "labels need keys and values that Kubernetes accepts as a label",
    ),
    row(
        "annotations are valid",
        || secret(json!({"annotations": {"example.com/note": "any text"}})),
        || secret(json!({"annotations": {"a note": "x"}})),
        "annotations need keys that Kubernetes accepts",
    ),
    row(
        "keys of a template are valid",
        || secret(json!({"template": {"a.b": "x"}})),
        || secret(json!({"template": {"a/b": "x"}})),
        "keys of template consist of at most 253 letters, digits, -, _ and .",
    ),
    row(
        "keys of a template are as short as those of a Secret",
        || template(&"a".repeat(253), "x"),
        || template(&"a".repeat(254), "x"),
        "keys of template consist of at most 253 letters, digits, -, _ and .",
    ),
    grammar!(
        "a template is text and values",
        "{\"id\": {{ clientId|json }}, {x: {{\n\ttokenUrl | urlencode | base64\r\n}}}} 日本 {",
        "{% for x in y %}"
    ),
    grammar!("a template has no literals", "{{ orgId }}", "{{ \"x\" }}"),
    grammar!("a template has no fields", "{{ orgId }}", "{{ orgId.x }}"),
    grammar!("a template has no unknown name", "{{ clientSecret }}", "{{ clientsecret }}"),
    grammar!("a template has no unknown function", "{{ clientSecret | json }}", "{{ clientSecret | upper }}"),
    grammar!("a template has no comment in braces", "{# x #}", "{{# x }}"),
    grammar!("a value ends", "}}", "{{ orgId }"),
    grammar!("a value begins with a name", "{ {{ orgId }}", "{{{ orgId }}"),
    grammar!(
        "a value passes through few functions",
        "{{ orgId | json | json | json | json | json | json | json | json }}",
        "{{ orgId | json | json | json | json | json | json | json | json | json }}"
    ),
];
