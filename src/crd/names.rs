//! CEL rules for names, labels and annotations of Kubernetes. They are regular expressions, since Kubernetes 1.31 refuses the CEL
//! library `format` in a new CRD: what a version adds to CEL can be used from the next version on.

use kube::core::Rule;

const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
/// Of at most 63 characters.
const NAME: &str = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";
/// Of a prefix, which is a subdomain.
const PREFIX_LENGTH: usize = 253;

/// For the name of an object; the length is up to the schema.
pub(super) fn object() -> Rule {
    Rule::new(matches("self", SUBDOMAIN)).message("a name consists of lower case letters, digits, - and .")
}

/// For a map of labels.
pub(super) fn labels() -> Rule {
    let value = matches("self[key]", &format!("({NAME})?"));
    Rule::new(format!("self.all(key, {} && {value})", qualified("key")))
        .message("labels need keys and values that Kubernetes accepts as a label")
}

/// For a map of annotations.
pub(super) fn annotations() -> Rule {
    Rule::new(format!("self.all(key, {})", qualified("key"))).message("annotations need keys that Kubernetes accepts")
}

/// A name that may have a prefix.
fn qualified(value: &str) -> String {
    let form = matches(value, &format!("({SUBDOMAIN}/)?{NAME}"));
    format!("{form} && {value}.indexOf('/') <= {PREFIX_LENGTH}")
}

fn matches(value: &str, expression: &str) -> String {
    format!("{value}.matches(r'^{expression}$')")
}
