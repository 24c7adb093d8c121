//! The binary as a process: health, readiness, drain and its other subcommand.

use crate::cluster::repository;
use crate::world::World;
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use serde_json::{Value, json};
use std::process::Command;

/// The address that the operator says it serves.
pub fn address(log: &str) -> Option<String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line["address"].as_str().map(str::to_owned)).next_back()
}

#[tokio::test]
async fn readyz_tells_when_the_watches_are_there_and_healthz_that_it_lives() {
    let world = World::running("health", Flavor::Csp).await;
    world.until("the endpoint is served", async || address(&world.operator().log()).is_some()).await;
    let address = address(&world.operator().log()).unwrap();
    let ask = async |path: &str| {
        let answer = reqwest::get(format!("http://{address}{path}")).await;
        answer.map(|answer| answer.status().as_u16()).unwrap_or_default()
    };
    world.until("ready", async || ask("/readyz").await == 200).await;
    assert_eq!(ask("/healthz").await, 200);
}

#[tokio::test]
async fn on_sigterm_a_pass_under_way_ends_and_nothing_is_left_half_done() {
    let world = World::running("drain", Flavor::Csp).await;
    let slow = Fault::once(Action::Latency { ms: 2000 }).on(Operation::CreateApp);
    world.control.fault(slow).await.unwrap();
    world.create("billing", json!({})).await;
    world.until("the create is under way", async || world.control.stats().await.unwrap().in_flight > 0).await;
    let ended = world.operator().stop();
    assert!(ended.success(), "{ended}");
    world.until_ready("billing").await;
    world.assert_credential_works("billing").await;
    assert_eq!(world.calls(Operation::UpdateApp).await, 0);
}

#[tokio::test]
async fn without_the_definitions_readiness_fails_and_the_log_says_what_to_install() {
    let plane = control_plane::ControlPlane::start().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_oauth-app-operator"));
    command.env("KUBECONFIG", plane.admin_kubeconfig()).args(["--http-addr", "127.0.0.1:0", "--log-format", "json"]);
    let log = plane.directory().join("operator.log");
    let _operator = control_plane::Supervised::spawn(&command, &log).unwrap();
    let begin = std::time::Instant::now();
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    while !read().contains("install the CRDs and the RBAC in deploy/") {
        assert!(begin.elapsed().as_secs() < 60, "{}", read());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let address = address(&read()).expect("an address");
    let ready = reqwest::get(format!("http://{address}/readyz")).await.unwrap();
    assert_eq!(ready.status().as_u16(), 503);
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
    let plane = crate::cluster::plane();
    let deployment =
        plane.kubectl(&["-n", "oauth-app-operator", "get", "deployment", "oauth-app-operator", "-o", "json"]).unwrap();
    let deployment: Value = serde_json::from_str(&deployment).unwrap();
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
