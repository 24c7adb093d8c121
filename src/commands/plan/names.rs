//! The names in a manifest that become parts of paths of the Kubernetes API. Nothing escapes them there: `?`, `#` or `/` in one would
//! make another request of it, such as a write of a dry run.

use serde_json::Value;

const NAMESPACE: &str = "/metadata/namespace";
const NAME: &str = "/metadata/name";
/// Names of other objects.
const REFERENCES: [&str; 7] = [
    "/spec/connectionRef/name",
    "/spec/secret/name",
    "/spec/clientSecretRef/name",
    "/spec/caBundle/configMapRef/name",
    "/spec/caBundle/secretRef/name",
    "/spec/credentials/apiToken/secretRef/name",
    "/spec/credentials/clientCredentials/secretRef/name",
];

/// Which field holds a name that Kubernetes does not accept.
pub(super) fn problem(kind: &str, object: &Value) -> Option<String> {
    let text = |field: &str| object.pointer(field).and_then(Value::as_str);
    let is_bad = |field: &str| match field {
        NAMESPACE => text(field).is_some_and(|name| !is_label(name)),
        NAME if kind == "Namespace" => text(field).is_some_and(|name| !is_label(name)),
        _ => text(field).is_some_and(|name| !is_subdomain(name)),
    };
    let field = [NAMESPACE, NAME].into_iter().chain(REFERENCES).find(|field| is_bad(field))?;
    Some(format!(
        "{} is no name: one has lowercase letters, digits and -, and . where Kubernetes permits it",
        dotted(field)
    ))
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

fn is_label(name: &str) -> bool {
    name.len() <= 63 && is_part(name)
}

fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_part)
}

fn is_part(part: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !part.is_empty() && part.bytes().all(is_inner) && !part.starts_with('-') && !part.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_would_change_a_path_is_no_name() {
        assert!(["a", "a-1", "a.b-c.d"].into_iter().all(is_subdomain) && is_label("a-1"));
        for bad in ["", ".", "..", "a..b", "-a", "a-", "A", "a/b", "a?b", "a#b", "a%2fb", "../a", "a b", "a\n", "é"] {
            assert!(!is_subdomain(bad) && !is_label(bad), "{bad:?}");
        }
        assert!(is_label(&"a".repeat(63)) && !is_label(&"a".repeat(64)) && !is_label("a.b"));
        assert!(is_subdomain(&"a".repeat(253)) && !is_subdomain(&"a".repeat(254)));
    }

    #[test]
    fn every_name_that_is_used_in_a_path_is_checked() {
        for field in REFERENCES.into_iter().chain([NAMESPACE, NAME]) {
            let mut object = json!({});
            let mut fields = field.split('/').skip(1).collect::<Vec<_>>();
            let last = fields.pop().unwrap();
            fields.into_iter().fold(&mut object, |at, field| &mut at[field])[last] = "x/../y".into();
            assert!(problem("Secret", &object).unwrap().starts_with(&format!("{} is no", dotted(field))), "{field}");
        }
        let dotted = json!({"metadata": {"name": "a.b", "namespace": "team"}});
        assert_eq!(problem("Secret", &dotted), None);
        assert!(problem("Namespace", &dotted).is_some());
    }
}
