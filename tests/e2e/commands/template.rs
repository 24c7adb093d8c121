//! The Secret of a manifest, before it is applied.

use super::schema::assert_matches;
use super::{binary, ran};
use std::process::Command;

#[tokio::test]
async fn the_secret_of_the_example_is_shown_without_a_cluster() {
    let file = crate::cluster::repository().join("deploy/examples/org-oauth-app.yaml");
    let mut command = Command::new(binary());
    let shown = ran(command.args(["template", "-f", file.to_str().unwrap()]).env("KUBECONFIG", "/nowhere"));
    assert_eq!(shown.status, 0, "{shown:?}");
    assert!(shown.out.contains("client-secret: <client-secret>\n"), "{shown:?}");
    assert!(shown.out.contains("token-url: <token-url>\n"), "{shown:?}");
    let mut command = Command::new(binary());
    assert_matches("template", &ran(command.args(["template", "-f", file.to_str().unwrap(), "-o", "json"])).json());
    let nothing = ran(Command::new(binary()).args(["template", "-f", "/nowhere"]));
    assert_eq!(nothing.status, 1);
    assert!(nothing.err.contains("cannot read /nowhere"), "{nothing:?}");
}
