//! The binary as a process: health, readiness, drain and its other subcommand.

use crate::cluster::{OPERATOR_NAMESPACE, plane, repository};
use crate::env::{TenantEnv, operator_command};
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use serde_json::json;
use std::process::Command;
use std::time::Duration;
use test_environment::{Operator, TestEnv};

#[tokio::test]
async fn readyz_and_healthz_succeed_once_the_watches_are_there() {
    let env = TenantEnv::running("health", Flavor::Csp).await;
    env.until("ready", async || env.operator().status("/readyz").await == 200).await;
    assert_eq!(env.operator().status("/healthz").await, 200);
}

#[tokio::test]
async fn sigterm_lets_a_running_reconcile_finish() {
    let env = TenantEnv::running("drain", Flavor::Csp).await;
    let slow = Fault::once(Action::Latency { ms: 2000 }).on(Operation::CreateApp);
    env.control.fault(slow).await.unwrap();
    env.create("billing", json!({})).await;
    env.until("the create is in flight", async || env.control.stats().await.unwrap().in_flight > 0).await;
    let ended = env.operator().stop().unwrap();
    assert!(ended.success(), "{ended}");
    env.until_ready("billing").await;
    env.assert_credential_works("billing").await;
    assert_eq!(env.calls(Operation::UpdateApp).await, 0);
}

#[tokio::test]
async fn without_crds_readiness_fails_and_the_log_names_what_to_install() {
    let mut env = TestEnv::start().unwrap();
    let command = operator_command(env.cluster.admin_kubeconfig(), "");
    env.operators.push(Operator::new(command, env.cluster.directory().join("operator.log")));
    env.operator().start().unwrap();
    let advice = async || env.operator().log().contains("install the CRDs and the RBAC in deploy/");
    env.until(Duration::from_secs(60), "the log says what to install", advice).await.unwrap();
    assert_eq!(env.operator().status("/readyz").await, 503);
}

#[test]
fn the_crds_subcommand_prints_what_is_shipped() {
    let printed = Command::new(env!("CARGO_BIN_EXE_oauth-app-operator")).arg("crds").output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    for file in ["iamconnections.yaml", "orgoauthapps.yaml"] {
        let shipped = std::fs::read_to_string(repository().join("crds").join(file)).unwrap();
        let (_, definition) = shipped.split_once('\n').unwrap();
        assert!(printed.contains(definition), "{file}");
    }
}

#[tokio::test]
async fn the_pod_of_the_deployment_is_admitted_under_the_restricted_level() {
    let plane = plane();
    let deployment = plane.get(&["-n", OPERATOR_NAMESPACE, "deployment", "oauth-app-operator"]).unwrap();
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = "as-deployed".into();
    let apply = ["-n", "oauth-app-operator", "create", "--dry-run=server", "-f", "-"];
    plane.kubectl_with_input(&apply, &pod.to_string()).unwrap();
    pod["spec"]["containers"][0]["securityContext"] = json!({"allowPrivilegeEscalation": true});
    let refused = plane.kubectl_with_input(&apply, &pod.to_string()).unwrap_err().to_string();
    assert!(refused.contains("violates PodSecurity"), "{refused}");
}
