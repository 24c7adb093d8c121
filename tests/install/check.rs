//! The pod of `helm test`: what it has in common with the Deployment, and that its command finds nothing wrong with what the chart
//! installs, with no more rights than those of the operator. There are no nodes here, so the command runs as a process.

use crate::env::InstallEnv;
use crate::guide::{INSTALL, INSTALL_SCOPED};
use crate::helm::{NAME, chart, template};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

fn objects(manifests: &str) -> Vec<Value> {
    manifests.split("\n---\n").filter_map(|text| serde_saphyr::from_str(text).ok()).collect()
}

fn of_kind(manifests: &str, kind: &str) -> Option<Value> {
    objects(manifests).into_iter().find(|object| object["kind"] == kind)
}

/// What the pod of the release prints, and how it ends.
async fn helm_test(env: &InstallEnv) -> Output {
    let hooks = env.helm(NAME, &["get", "hooks", NAME]).unwrap();
    let pod = of_kind(&hooks, "Pod").unwrap_or_else(|| panic!("no pod in {hooks}"));
    let account = pod["spec"]["serviceAccountName"].as_str().unwrap();
    let account = env.cluster.service_account(NAME, account).await.unwrap();
    let kubeconfig = env.cluster.write_kubeconfig("check", &account).unwrap();
    let mut command = test_environment::command(Path::new(env!("CARGO_BIN_EXE_oauth-app-operator")), &kubeconfig);
    let arguments: Vec<String> = serde_json::from_value(pod["spec"]["containers"][0]["args"].clone()).unwrap();
    command.args(arguments).output().unwrap()
}

async fn assert_clean(env: &InstallEnv, lines: &[&str]) {
    let output = helm_test(env).await;
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{out}{}", String::from_utf8_lossy(&output.stderr));
    assert!(out.contains(" 0 failed"), "{out}");
    let spaced: Vec<String> = out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in lines {
        assert!(spaced.iter().any(|found| found.starts_with(line)), "{line} is not in {out}");
    }
}

#[test]
fn the_check_runs_as_the_deployment_does_and_no_selector_of_the_deployment_meets_it() {
    let rendered = template(&["--set=podMonitor.enabled=true"]).unwrap();
    let pod = of_kind(&rendered, "Pod").unwrap();
    assert_eq!(pod["metadata"]["annotations"]["helm.sh/hook"], "test");
    assert_eq!(pod["spec"]["activeDeadlineSeconds"], 300);
    let deployment = &of_kind(&rendered, "Deployment").unwrap()["spec"]["template"]["spec"];
    for path in ["/serviceAccountName", "/securityContext", "/containers/0/image", "/containers/0/securityContext"] {
        let own = pod["spec"].pointer(path).unwrap();
        assert!(!own.is_null() && Some(own) == deployment.pointer(path), "{path}: {own}");
    }
    let labels = &pod["metadata"]["labels"];
    let meets = |selector: &Value| selector.as_object().unwrap().iter().all(|(name, value)| labels[name] == *value);
    let selector = |kind: &str, path: &str| of_kind(&rendered, kind).unwrap().pointer(path).unwrap().clone();
    assert!(meets(&selector("NetworkPolicy", "/spec/podSelector/matchLabels")), "it has the network of the operator");
    for kind in ["PodDisruptionBudget", "PodMonitor"] {
        let selector = selector(kind, "/spec/selector/matchLabels");
        assert!(!meets(&selector), "{kind}");
        let template = &of_kind(&rendered, "Deployment").unwrap()["spec"]["template"]["metadata"]["labels"];
        assert!(selector.as_object().unwrap().iter().all(|(name, value)| template[name] == *value), "{kind}");
    }
    assert!(of_kind(&template(&["--set=check.enabled=false"]).unwrap(), "Pod").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_test_passes_with_the_rights_of_the_operator() {
    let env = InstallEnv::new().await;
    env.follow(INSTALL);
    env.connect();
    assert_clean(
        &env,
        &[
            "ok orgoauthapps.oauth-apps.dev established",
            "skipped list, watch secrets not granted, as without watchSecrets",
            "skipped get, patch deployments, statefulsets, daemonsets not granted, as without rotation.restart",
            "IamConnection default",
            "ok token issued",
            "ok list 200",
        ],
    )
    .await;
    let chart = chart().display().to_string();
    let values = ["--reset-then-reuse-values", "--set=watchSecrets=true,rotation.restart=true"];
    env.helm(NAME, &[&["upgrade", NAME, &chart], &values[..]].concat()).unwrap();
    let granted = ["ok list, watch secrets granted", "ok get, patch deployments, statefulsets, daemonsets granted"];
    assert_clean(&env, &granted).await;
    env.kubectl(&["-n", NAME, "delete", "secret", "iam-credentials"]);
    let output = helm_test(&env).await;
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(
        !output.status.success() && out.contains("Secret oauth-app-operator/iam-credentials does not exist"),
        "{out}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_test_of_a_scoped_release_asks_for_its_rights_in_its_namespaces() {
    let env = InstallEnv::new().await;
    env.follow(INSTALL_SCOPED);
    env.connect();
    assert_clean(&env, &["ok list, watch secrets granted", "ok get, create secrets granted", "ok list 200"]).await;
    env.kubectl(&["-n=team-b", "delete", "rolebinding", "oauth-app-operator-apps"]);
    let output = helm_test(&env).await;
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && out.contains("missing: list pods in team-b"), "{out}");
}
