//! Upgrade from the former release with an app alive, and back. `former-chart.tgz` is the chart of commit 5c5ce09 with its
//! CRDs, made by `helm package deploy/chart`. The program is the present one, with the arguments that each chart gives it.

use crate::env::InstallEnv;
use crate::guide::{ROLLBACK, UPGRADE};
use crate::helm::{NAME, repository};
use crate::life::{CRDS, identity, older_chart, served};
use control_plane::binaries::Tool;
use iam_simulator::types::Operation;
use serde_json::{Value, json};

const FORMER: &str = "tests/install/former-chart.tgz";

/// What the cluster has of each CRD: its versions, with schema and columns.
fn crds(env: &InstallEnv) -> [Value; 2] {
    CRDS.map(|crd| env.get(&[crd])["spec"]["versions"].clone())
}

/// What this repository has of each CRD, as the API server shows it.
fn shipped_crds(env: &InstallEnv) -> [Value; 2] {
    ["iamconnections", "orgoauthapps"].map(|name| {
        let file = repository().join("crds").join(format!("{name}.yaml")).display().to_string();
        let dry_run = ["replace", "--dry-run=server", "-o=json", "-f", &file];
        let crd: Value = serde_json::from_str(&env.kubectl(&dry_run)).unwrap();
        crd["spec"]["versions"].clone()
    })
}

/// Runs the program as the Deployment now says, and has it reconcile the app: nothing of it is new, and nothing was written.
async fn assert_nothing_changes(env: &mut InstallEnv, before: &[Value; 4], writes: &[(Operation, String)]) {
    env.roll_out().await;
    env.until_reconciled("billing").await;
    env.until_served("billing").await;
    assert_eq!(identity(env), *before);
    assert_eq!(env.created_and_there().await, (1, 1));
    assert_eq!(env.api_writes().await, writes);
}

/// Installs the former chart. Kubernetes 1.31 refuses its CRDs, so there an older form of the present chart stands in.
fn install_former(env: &InstallEnv) {
    let install = |chart: &str| env.helm(NAME, &["install", NAME, chart, "--create-namespace"]);
    if env.cluster.kubernetes().minor() != "1.31" {
        install(FORMER).unwrap();
        return;
    }
    let refused = install(FORMER).unwrap_err();
    assert!(refused.contains("undeclared reference to 'dns1123Subdomain'"), "{refused}");
    env.helm(NAME, &["uninstall", NAME]).unwrap();
    install(&older_chart(env)).unwrap();
}

/// Installs the former chart with one version of Helm, and goes on with another.
async fn assert_upgrade_and_rollback(installed_by: Tool, upgraded_by: Tool) {
    let mut env = InstallEnv::with(installed_by).await;
    install_former(&env);
    served(&mut env).await;
    let (app, writes, former_crds) = (identity(&env), env.api_writes().await, crds(&env));
    assert!(writes.iter().any(|(operation, _)| *operation == Operation::CreateApp), "{writes:?}");

    env.helm = upgraded_by;
    env.follow(UPGRADE);
    assert_eq!(crds(&env), shipped_crds(&env), "the CRDs are upgraded");
    assert_nothing_changes(&mut env, &app, &writes).await;

    env.follow(ROLLBACK);
    assert_eq!(crds(&env), former_crds, "the CRDs are the former ones again");
    assert_nothing_changes(&mut env, &app, &writes).await;
    let revisions = env.helm(NAME, &["history", NAME, "-o=json"]).unwrap();
    let revisions: Value = serde_json::from_str(&revisions).unwrap();
    let states: Vec<_> = revisions.as_array().unwrap().iter().map(|revision| revision["status"].clone()).collect();
    assert_eq!(states, [json!("superseded"), json!("superseded"), json!("deployed")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_survive_an_upgrade_from_the_former_release_and_a_rollback_with_helm_3() {
    assert_upgrade_and_rollback(Tool::Helm, Tool::Helm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_4_upgrades_a_release_of_helm_3_and_rolls_it_back() {
    assert_upgrade_and_rollback(Tool::Helm, Tool::Helm4).await;
}
