//! Takes out of objects and logs what is or may be secret: values that a user wrote where a secret can be, annotations of others, and
//! whatever looks like a token. Pure.

use crate::iam::without_tokens;
use serde_json::{Map, Value};

/// Stands for what was taken out.
pub(super) const OMITTED: &str = "(omitted)";
/// The annotations of the project begin so; none holds a secret.
const OWN: &str = "oauth-apps.dev/";
/// The fields of `spec.secret` whose values become part of a Secret.
const SECRET_VALUES: [&str; 2] = ["template", "annotations"];
/// The fields with URIs, of which a query could hold anything.
const URIS: [&str; 3] = ["redirectUris", "postLogoutRedirectUris", "endpoint"];
/// The field of `status.claim` that only the operator can make.
const SIGNATURE: &str = "signature";
/// The words before credentials in a header.
const SCHEMES: [&str; 2] = ["bearer ", "basic "];

/// An object as it may be shown.
pub(super) fn object(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        omit(metadata.get_mut("annotations"), |name| !name.starts_with(OWN));
    }
    if let Some(secret) = object.pointer_mut("/spec/secret") {
        SECRET_VALUES.iter().for_each(|name| omit(secret.get_mut(*name), |_| true));
    }
    omit(object.pointer_mut("/status/claim"), |name| name == SIGNATURE);
    let spec = object.get_mut("spec").and_then(Value::as_object_mut);
    for (_, value) in spec.into_iter().flatten().filter(|(name, _)| URIS.contains(&name.as_str())) {
        strings(value).into_iter().for_each(|text| *text = uri(text));
    }
    strings(&mut object).into_iter().for_each(|value| *value = text(value));
    object
}

/// Replaces the values of a map; their names stay.
fn omit(map: Option<&mut Value>, is_omitted: impl Fn(&str) -> bool) {
    let fields: Option<&mut Map<String, Value>> = map.and_then(Value::as_object_mut);
    for (name, value) in fields.into_iter().flatten() {
        if is_omitted(name) {
            *value = OMITTED.into();
        }
    }
}

/// Every text in a value.
fn strings(value: &mut Value) -> Vec<&mut String> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter_mut().flat_map(strings).collect(),
        Value::Object(fields) => fields.values_mut().flat_map(strings).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// Without user, password, query and fragment. An `@` behind the authority may end a password that is not escaped, so that nothing
/// before it can be told apart.
pub(super) fn uri(text: &str) -> String {
    if let Some((scheme, rest)) = text.split_once("://")
        && rest.split_once(['/', '?', '#']).is_some_and(|(_, rest)| rest.contains('@'))
    {
        return format!("{scheme}://{OMITTED}");
    }
    let (rest, omitted) = match text.split_once(['?', '#']) {
        Some((rest, _)) => (rest, format!("?{OMITTED}")),
        None => (text, String::new()),
    };
    let Some((scheme, rest)) = rest.split_once("://") else { return format!("{rest}{omitted}") };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}{omitted}")
}

/// A text without tokens, and without what follows the name of a scheme of HTTP authentication.
pub(super) fn text(text: &str) -> String {
    let text = without_tokens(text);
    let lower = text.to_ascii_lowercase();
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    let next = |at: usize| SCHEMES.iter().filter_map(|scheme| Some((lower[at..].find(scheme)?, scheme.len()))).min();
    while let Some((before, length)) = next(at) {
        let begin = at + before + length;
        let end = text[begin..].find(|letter: char| !is_credential(letter)).map_or(text.len(), |end| begin + end);
        shown.push_str(&text[at..begin]);
        shown.push_str(if end - begin < 8 { &text[begin..end] } else { OMITTED });
        at = end;
    }
    shown + &text[at..]
}

fn is_credential(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-._~+/=".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_may_be_secret_in_an_object_is_omitted_and_the_rest_stays() {
        let shown = object(json!({
            "metadata": {
                "name": "a", "managedFields": [{"manager": "kubectl"}],
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": "hidden", "oauth-apps.dev/rotate-requested-at": "now",
                },
            },
            "spec": {
                "orgId": "o", "secret": {"name": "s", "template": {"url": "hidden"}, "annotations": {"x": "hidden"}},
                "redirectUris": ["https://u:hidden@a.example.com/b?c=hidden", "https://a.example.com/b"],
                "description": "Bearer hidden-hidden",
            },
            "status": {
                "message": "eyJoaWRkZW4iOiJoaWRkZW4ifQ.hidden.hidden", "claim": {"clientId": "c", "signature": "hidden"},
            },
        }));
        assert!(!shown.to_string().contains("hidden"), "{shown}");
        let expected = json!({
            "metadata": {
                "name": "a",
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": OMITTED, "oauth-apps.dev/rotate-requested-at": "now",
                },
            },
            "spec": {
                "orgId": "o", "secret": {"name": "s", "template": {"url": OMITTED}, "annotations": {"x": OMITTED}},
                "redirectUris": ["https://a.example.com/b?(omitted)", "https://a.example.com/b"],
                "description": "Bearer (omitted)",
            },
            "status": {"message": "***", "claim": {"clientId": "c", "signature": OMITTED}},
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn no_part_of_a_password_is_shown_though_it_is_not_escaped() {
        for password in ["hidden", "hid/den", "hid?den", "hid#den", "hid@den", "h/i?d#d@en"] {
            let shown = uri(&format!("https://user:{password}@a.example.com/b"));
            assert!(["https://a.example.com/b", "https://(omitted)"].contains(&shown.as_str()), "{shown}");
        }
        assert_eq!(uri("https://a.example.com/b?mail=me@hidden"), "https://(omitted)");
    }

    #[test]
    fn credentials_in_a_line_are_omitted() {
        assert_eq!(text("authorization: BASIC aGlkZGVuOmhpZGRlbg== sent"), "authorization: BASIC (omitted) sent");
        assert_eq!(text("a basic setup, and a bearer bond"), "a basic setup, and a bearer bond");
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(value in any::<String>()) {
            let _ = (text(&value), uri(&value));
        }
    }
}
