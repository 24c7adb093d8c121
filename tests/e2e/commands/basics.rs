//! What all commands have in common, and those that need no cluster.

use super::{binary, ran, run, run_as, schema};
use crate::cluster::plane;
use control_plane::Scratch;
use std::process::Command;

#[tokio::test]
async fn version_names_this_binary_and_the_operators_of_the_cluster() {
    let version = run(&["version", "-o", "json"]);
    assert_eq!(version.json()["version"], env!("CARGO_PKG_VERSION"), "{version:?}");
    schema::assert_matches("version", &version.json());
    let explained = run(&["explain", "notgranted", "-o", "json"]);
    schema::assert_matches("explain", &explained.json());
    let running = &version.json()["inCluster"][0];
    assert_eq!((&running["namespace"], &running["name"]), (&"oauth-app-operator".into(), &"oauth-app-operator".into()));
    let tenant = plane().namespace_editor("default").unwrap();
    let version = run_as(&tenant, &["version"]);
    assert!(version.out.contains("in the cluster: not known; cannot list the Deployments"), "{version:?}");
    assert_eq!(version.status, 0);
}

#[tokio::test]
async fn reasons_are_explained_without_a_cluster() {
    let explained = ran(Command::new(binary()).args(["explain", "notgranted"]));
    assert!(explained.out.contains("Reason       NotGranted"), "{explained:?}");
    assert!(!explained.out.contains('\x1b'), "no colors where no terminal is");
    let unknown = ran(Command::new(binary()).args(["explain", "NotGrantd"]));
    assert_eq!(unknown.status, 1, "2 means that a command found something");
    assert!(unknown.err.contains("did you mean NotGranted?"), "{unknown:?}");
}

#[tokio::test]
async fn kubectl_runs_it_as_a_plugin() {
    let scratch = Scratch::new().unwrap();
    std::os::unix::fs::symlink(binary(), scratch.path().join("kubectl-oauth_app")).unwrap();
    let mut kubectl = plane().kubectl_command();
    kubectl.env("PATH", scratch.path());
    let help = ran(kubectl.args(["oauth-app", "--help"]));
    assert!(help.out.contains("Usage: kubectl oauth-app"), "{help:?}");
    assert!(!help.out.contains("run the operator"), "{help:?}");
    std::os::unix::fs::symlink(binary(), scratch.path().join("kubectl_complete-oauth_app")).unwrap();
    let mut kubectl = plane().kubectl_command();
    kubectl.env("PATH", scratch.path());
    let completed = ran(kubectl.args(["__complete", "oauth-app", "stat"]));
    assert!(completed.out.starts_with("status\n"), "{completed:?}");
}

#[test]
fn the_completion_script_of_bash_completes_under_each_name() {
    let scratch = Scratch::new().unwrap();
    std::os::unix::fs::symlink(binary(), scratch.path().join("kubectl-oauth_app")).unwrap();
    std::os::unix::fs::symlink(binary(), scratch.path().join("oauth-app-operator")).unwrap();
    for name in ["kubectl-oauth_app", "oauth-app-operator"] {
        let script = format!(
            r#"eval "$({name} completion bash)"; COMP_WORDS=({name} status --exi); COMP_CWORD=2
            function=$(complete -p {name} | sed 's/.*-F \([^ ]*\) .*/\1/')
            $function {name} --exi status; echo "${{COMPREPLY[@]}}""#,
        );
        let path = format!("{}:{}", scratch.path().display(), std::env::var("PATH").unwrap());
        let completed = ran(Command::new("bash").args(["-c", &script]).env("PATH", path));
        assert_eq!(completed.out.trim(), "--exit-code", "{completed:?}");
    }
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_is_said_with_what_to_do() {
    let lost = ran(Command::new(binary()).args(["version", "--kubeconfig", "/nowhere"]).env_remove("KUBECONFIG"));
    assert!(lost.out.contains("set --kubeconfig or --context"), "{lost:?}");
}
