//! Every way to install, on a control plane that has nothing yet: the main job works with the rights that ship.

use crate::env::InstallEnv;
use crate::guide::{APPLY, INSTALL_SCOPED};
use crate::helm::{NAME, chart};

const RIGHT: &str = "--as=system:serviceaccount:oauth-app-operator:oauth-app-operator";

#[tokio::test(flavor = "multi_thread")]
async fn what_kubectl_applies_does_the_main_job_with_two_replicas() {
    let mut env = InstallEnv::new().await;
    env.follow(APPLY);
    env.roll_out().await;
    assert_eq!(env.replicas(), 2);
    env.connect();
    env.kubectl(&["wait", "--for=condition=Ready", "iamc/default", "--timeout=90s"]);
    let user = env.team("billing");
    env.apply_app("billing", &user).await;
    env.until_served("billing").await;
    assert_eq!(env.created_and_there().await, (1, 1), "two replicas make one app");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scoped_release_does_the_main_job_and_has_no_right_elsewhere() {
    let mut env = InstallEnv::new().await;
    env.follow(INSTALL_SCOPED);
    let users = ["team-a", "team-b", "team-c"].map(|team| (team, env.team(team)));
    env.roll_out().await;
    env.connect();
    for (team, user) in &users {
        env.apply_app(team, user).await;
    }
    for team in ["team-a", "team-b"] {
        env.until_served(team).await;
    }
    let left_alone = env.get(&["-n=team-c", "ooa", "billing-export"]);
    assert!(left_alone["metadata"]["finalizers"].is_null(), "{left_alone}");
    assert_eq!(left_alone["status"]["conditions"][0]["reason"], "Pending");
    for namespace in ["-n=team-c", "-n=kube-system", "-A"] {
        for (verb, resource) in [("get", "secrets"), ("list", "orgoauthapps.oauth-apps.dev"), ("list", "pods")] {
            let may = env.cluster.kubectl(&["auth", "can-i", verb, resource, namespace, RIGHT]);
            assert!(may.is_err(), "may {verb} {resource} {namespace}");
        }
    }
    // It may create one, the key that signs claims; a name cannot be asked for in a create.
    for verb in ["update", "delete", "list", "watch"] {
        let namespace = format!("-n={NAME}");
        let may = env.cluster.kubectl(&["auth", "can-i", verb, "secrets", &namespace, RIGHT]);
        assert!(may.is_err(), "may {verb} the Secrets of the operator's own namespace");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scoped_releases_share_a_cluster_but_no_namespace() {
    let env = InstallEnv::new().await;
    for team in ["team-a", "team-b"] {
        env.kubectl(&["create", "namespace", team]);
    }
    let chart = chart().display().to_string();
    let install = |namespace: &str, watched: &str| {
        let watched = format!("--set=watchNamespaces={{{watched}}}");
        let others = if namespace == "first" { "" } else { "crds.install=false,rbac.aggregate=false" };
        env.helm(namespace, &["install", NAME, &chart, "--create-namespace", &watched, "--set", others])
    };
    install("first", "team-a").unwrap();
    install("second", "team-b").unwrap();
    let refused = install("third", "team-b").unwrap_err();
    assert!(refused.contains(r#"Role "oauth-app-operator-apps" in namespace "team-b" exists"#), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_release_for_all_namespaces_is_refused() {
    let env = InstallEnv::new().await;
    let chart = chart().display().to_string();
    let install = ["install", NAME, &chart, "--create-namespace"];
    env.helm("first", &install).unwrap();
    let others = ["--set=crds.install=false,rbac.aggregate=false"];
    let refused = env.helm("second", &[&install[..], &others].concat()).unwrap_err();
    assert!(refused.contains(r#"ClusterRole "oauth-app-operator" in namespace "" exists"#), "{refused}");
}
