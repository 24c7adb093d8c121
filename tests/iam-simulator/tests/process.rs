//! The binary listens, says where, and serves as the library does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use iam_simulator::process::Process;
use iam_simulator::types::Flavor;

#[tokio::test]
async fn the_binary_says_where_it_listens() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(Path::new(env!("CARGO_BIN_EXE_iam-simulator")), dir.path()).unwrap();
    assert!(dir.path().join("ca.crt").exists());
    assert!(process.endpoint(Flavor::Cpn).ends_with("/cphub/api/auth"));
    assert_eq!(process.endpoint(Flavor::Broker), process.endpoint(Flavor::Csp));
    let control = process.control();
    control.seed_org(Flavor::Csp, "org-1", true).await.unwrap();
    control.seed_client(Flavor::Csp, "org-1", "operator", "Oper@t0r").await.unwrap();
    let token = control.token(Flavor::Csp, "org-1", "operator", "Oper@t0r").await.unwrap();
    assert_eq!(token.split('.').count(), 3);
}
