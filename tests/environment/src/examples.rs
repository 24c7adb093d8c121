//! The manifests of `deploy/examples`, as a user applies them, with the simulator in the place of the vendor's API.

use std::io;

use iam_simulator::types::Flavor;

use crate::Backend;
use crate::install::repository;

/// The organizations of the examples.
pub const ORGANIZATIONS: [(Flavor, &str); 3] =
    [(Flavor::Csp, ORG), (Flavor::Cpn, "b7c1d6a2-4f0e-4c0d-8f51-5a7f1f2f9d33"), (Flavor::Broker, "CUSTOMER")];
/// The one of VMware Cloud Services.
pub const ORG: &str = "2f0c6f0e-7d0a-4c3b-9a55-0f2f5b1c9e10";
/// The ConfigMap that a connection to the simulator names, and its key.
pub const AUTHORITY: (&str, &str) = ("iam-simulator-ca", "ca.crt");

/// The vendor's addresses, for which the simulator stands in.
const ENDPOINTS: [(Flavor, &str); 3] = [
    (Flavor::Csp, "https://console.cloud.vmware.com"),
    (Flavor::Cpn, "https://console.navigator.vmware.com/cphub/api/auth"),
    (Flavor::Broker, "https://vcenter.example.com"),
];

/// Reads a file beneath `deploy/examples`.
///
/// # Errors
/// When it is not there.
pub fn read(file: &str) -> io::Result<String> {
    std::fs::read_to_string(repository().join("deploy/examples").join(file))
}

/// A text in which each connection to the vendor's API is one to the simulator, and trusts [`AUTHORITY`] unless it says
/// what it trusts.
#[must_use]
pub fn with_backend(backend: &Backend, text: &str) -> String {
    with_endpoints(text, |flavor| backend.endpoint(flavor))
}

fn with_endpoints(text: &str, endpoint: impl Fn(Flavor) -> String) -> String {
    let has_authority = text.contains("caBundle:");
    let (name, key) = AUTHORITY;
    let line = |line: &str| {
        let (indent, field) = line.split_at(line.len() - line.trim_start().len());
        let vendor = ENDPOINTS.iter().find(|(_, address)| field == format!("endpoint: {address}"));
        let Some((flavor, _)) = vendor else { return format!("{line}\n") };
        let authority = format!("{indent}caBundle: {{configMapRef: {{name: {name}, key: {key}}}}}\n");
        let authority = if has_authority { "" } else { &authority };
        format!("{indent}endpoint: {}\n{authority}", endpoint(*flavor))
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_the_api_is_differs_from_the_example() {
        let endpoint = "  endpoint: https://127.0.0.1:1234/base";
        let authority = "  caBundle: {configMapRef: {name: iam-simulator-ca, key: ca.crt}}";
        for (file, expected) in [
            ("iam-connection.yaml", &[endpoint, authority][..]),
            ("navigator/iam-connection.yaml", &[endpoint, authority]),
            ("identity-broker/iam-connection.yaml", &[endpoint]),
        ] {
            let example = read(file).unwrap();
            let changed = with_endpoints(&example, |_| "https://127.0.0.1:1234/base".into());
            let added: Vec<_> = changed.lines().filter(|line| !example.lines().any(|other| other == *line)).collect();
            assert_eq!(added, expected, "{file}");
            assert_eq!(changed.lines().count(), example.lines().count() + expected.len() - 1, "{file}");
        }
    }

    #[test]
    fn a_connection_that_says_what_it_trusts_keeps_it() {
        let text = "spec:\n  endpoint: https://console.cloud.vmware.com\n  caBundle: {}\n";
        assert_eq!(with_endpoints(text, |_| "here".into()), "spec:\n  endpoint: here\n  caBundle: {}\n");
    }
}
