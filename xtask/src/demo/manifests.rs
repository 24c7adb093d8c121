//! The manifests that the demo applies: those of `deploy/examples`, as a user would.
//! Only the address of the API differs, since the simulator stands in for it.

use std::error::Error;

use oauth_app_operator::crd::OrgOAuthApp;

/// The ConfigMap with the certificate of the simulator's authority, and its key.
pub const AUTHORITY: (&str, &str) = ("iam-simulator-ca", "ca.crt");

/// The manifest of a connection, with the simulator for the API and a short time until it is compared with it.
///
/// # Errors
/// When the manifest has no line with the endpoint.
pub fn towards(endpoint: &str, connection: &str) -> Result<String, String> {
    let old = connection.lines().find(|line| line.starts_with("  endpoint: "));
    let (name, key) = AUTHORITY;
    let new = format!(
        "  endpoint: {endpoint}\n  caBundle:\n    configMapRef: {{name: {name}, key: {key}}}\n  resyncInterval: 10s"
    );
    Ok(connection.replace(old.ok_or("the manifest names no endpoint")?, &new))
}

/// The app of a manifest.
///
/// # Errors
/// When it is none.
pub fn app(manifest: &str) -> Result<OrgOAuthApp, Box<dyn Error>> {
    Ok(serde_saphyr::from_str(manifest)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oauth_app_operator::crd::IamConnection;

    #[test]
    fn only_where_the_api_is_differs_from_the_example() {
        for example in [
            include_str!("../../../deploy/examples/iam-connection.yaml"),
            include_str!("../../../deploy/examples/navigator/iam-connection.yaml"),
        ] {
            let before: IamConnection = serde_saphyr::from_str(example).unwrap();
            let demo = towards("https://127.0.0.1:1234/base", example).unwrap();
            let mut after: IamConnection = serde_saphyr::from_str(&demo).unwrap();
            assert_eq!(after.spec.endpoint, "https://127.0.0.1:1234/base");
            assert!(after.spec.ca_bundle.take().is_some());
            after.spec.endpoint = before.spec.endpoint.clone();
            after.spec.resync_interval = before.spec.resync_interval.clone();
            assert_eq!(after.spec, before.spec);
        }
    }
}
