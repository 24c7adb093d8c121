//! The CRDs as `cargo xtask generate` wrote them, which is what the binary prints and compares: so it need not hold what makes
//! them.

use serde_json::Value;

/// The CRDs as YAML.
pub(crate) const YAML: [&str; 2] =
    [include_str!("../../crds/iamconnections.yaml"), include_str!("../../crds/orgoauthapps.yaml")];

/// The names of the CRDs.
pub(crate) const NAMES: [&str; 2] = ["iamconnections.oauth-apps.dev", "orgoauthapps.oauth-apps.dev"];

/// The CRDs.
pub(crate) fn values() -> [Value; 2] {
    YAML.map(|yaml| serde_saphyr::from_str(yaml).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn they_are_those_of_the_code() {
        assert_eq!(values(), super::super::definitions().map(|definition| json!(definition)));
        assert_eq!(values().map(|value| value["metadata"]["name"].clone()), NAMES.map(Value::from));
    }
}
