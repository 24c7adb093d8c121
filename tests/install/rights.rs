//! Every right that ships is used: the operator lives one life under each install, and a rule that nothing needed fails
//! here. That it needs no other is shown by all other tests, which run with these rights alone.

use crate::env::InstallEnv;
use crate::guide::{APPLY, INSTALL_SCOPED};
use crate::helm::{NAME, chart};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use test_environment::examples::ORG;
use test_environment::{OPERATOR_USER, manifests};

/// Where the Events of connections are.
const EVENTS: &str = "default";
const WORKLOADS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// What the operator's roles grant in the cluster or in a namespace where it works, as `group/resource verb`.
fn granted(env: &InstallEnv, namespaces: &[&str]) -> BTreeSet<String> {
    let strings = |list: &Value| -> Vec<String> { serde_json::from_value(list.clone()).unwrap() };
    let mut granted = BTreeSet::new();
    for (bindings, roles) in [("clusterrolebindings", "clusterrole"), ("rolebindings", "role")] {
        let bindings = env.get(&[bindings, "-A", "-l=app.kubernetes.io/name=oauth-app-operator"]);
        for binding in bindings["items"].as_array().unwrap() {
            let namespace = binding["metadata"]["namespace"].as_str();
            if namespace.is_some_and(|namespace| !namespaces.contains(&namespace)) {
                continue;
            }
            let role = format!("{roles}/{}", binding["roleRef"]["name"].as_str().unwrap());
            let role = env.get(&["-n", namespace.unwrap_or_default(), &role]);
            for rule in role["rules"].as_array().unwrap() {
                for resource in strings(&rule["resources"]) {
                    let group = rule["apiGroups"][0].as_str().unwrap();
                    let at = namespace.unwrap_or("cluster");
                    granted
                        .extend(strings(&rule["verbs"]).iter().map(|verb| format!("{at}: {group}/{resource} {verb}")));
                }
            }
        }
    }
    granted
}

/// What the operator did, by the same names; what it did in a namespace counts for the cluster too.
fn used(env: &InstallEnv) -> BTreeSet<String> {
    let records = env.cluster.audit(OPERATOR_USER, |record| record.user == OPERATOR_USER && record.code < 400).unwrap();
    let described = |record: control_plane::AuditRecord| {
        let subresource =
            if record.subresource.is_empty() { String::new() } else { format!("/{}", record.subresource) };
        let what = format!("{}/{}{subresource} {}", record.group, record.resource, record.verb);
        [format!("cluster: {what}"), format!("{}: {what}", record.namespace)]
    };
    records.into_iter().flat_map(described).collect()
}

/// Created with a chosen id, changed twice with its Secret, which is then renamed, and deleted when unused.
async fn live(env: &InstallEnv, namespace: &str) {
    let app = |name: &str, secret: &str| {
        let mut app = manifests::app(
            "billing",
            json!({
                "orgId": ORG, "id": "billing-export", "displayName": name, "deletionPolicy": "DeleteWhenUnused",
                "secret": {"name": secret, "labels": {"name": name}},
            }),
        );
        app["metadata"]["namespace"] = namespace.into();
        app
    };
    let at = format!("-n={namespace}");
    for (name, secret) in [("One", "first"), ("Two", "first"), ("Three", "first"), ("Three", "second")] {
        env.cluster.apply(&app(name, secret)).unwrap();
        let settled = || {
            let app = env.get(&[&at, "ooa", "billing"]);
            let ready = app["status"]["conditions"].as_array().into_iter().flatten().any(|condition| {
                condition["type"] == "Ready"
                    && condition["status"] == "True"
                    && condition["observedGeneration"] == app["metadata"]["generation"]
            });
            ready && app["status"]["secretName"] == secret
        };
        env.until(&format!("{name} is in {secret}"), settled).await;
    }
    env.kubectl(&["wait", "--for=condition=Ready", "iamc/default", "--timeout=90s"]);
    env.kubectl(&[&at, "delete", "ooa", "billing", "--timeout=90s"]);
}

/// Rotated, with a workload of each kind restarted, since that is another right for each.
async fn live_with_restarts(env: &InstallEnv, namespace: &str) {
    let restart: Vec<Value> = WORKLOADS.iter().map(|kind| json!({"kind": kind, "name": "exporter"})).collect();
    let rotation = json!({"overlap": "48h", "restart": restart});
    let mut app = manifests::app("exporter", json!({"orgId": ORG, "rotation": rotation}));
    app["metadata"]["namespace"] = namespace.into();
    let apply = |object: &Value| env.cluster.apply(object).unwrap();
    apply(&app);
    let at = format!("-n={namespace}");
    env.kubectl(&[&at, "wait", "--for=condition=Ready", "ooa/exporter", "--timeout=90s"]);
    let container = json!({"name": "main", "image": "none", "envFrom": [{"secretRef": {"name": "exporter"}}]});
    for kind in WORKLOADS {
        let labels = json!({"kind": kind});
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
        apply(&json!({"apiVersion": "apps/v1", "kind": kind,
            "metadata": {"name": "exporter", "namespace": namespace},
            "spec": {"selector": {"matchLabels": labels}, "template": template}}));
    }
    env.kubectl(&[&at, "annotate", "ooa/exporter", "oauth-apps.dev/rotate-requested-at=now"]);
    for kind in WORKLOADS {
        let is_restarted = || {
            let template = &env.get(&[&at, kind, "exporter"])["spec"]["template"];
            template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].is_string()
        };
        env.until(&format!("the {kind} is restarted"), is_restarted).await;
    }
}

/// Rolls the operator out and has it live in each namespace but its own.
async fn live_in(env: &mut InstallEnv, namespaces: &[&str]) {
    env.roll_out().await;
    env.connect();
    for namespace in namespaces.iter().filter(|namespace| ![NAME, EVENTS].contains(namespace)) {
        live(env, namespace).await;
    }
}

async fn assert_no_right_is_unused(env: &mut InstallEnv, namespaces: &[&str]) {
    // A watch is recorded when it ends.
    env.stop();
    let granted = granted(env, namespaces);
    assert!(granted.len() > 15, "{granted:?}");
    let unused = || granted.difference(&used(env)).cloned().collect::<Vec<_>>();
    env.until_or(|| unused().is_empty(), || format!("rights that nothing needs: {:?}", unused())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_right_ships_that_is_not_used() {
    let mut env = InstallEnv::new().await;
    env.follow(APPLY);
    env.kubectl(&["create", "namespace", "team-a"]);
    live_in(&mut env, &["team-a", NAME]).await;
    assert_no_right_is_unused(&mut env, &["team-a", NAME]).await;
    let apps = env.get(&["iamc", "default"])["status"]["apps"].clone();
    assert!(apps["total"].is_number(), "the users of a connection are counted: {apps}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_right_ships_that_is_not_used_where_secrets_are_watched_everywhere() {
    let mut env = InstallEnv::new().await;
    let chart = chart().display().to_string();
    env.helm(NAME, &["install", NAME, &chart, "--create-namespace", "--set=watchSecrets=true"]).unwrap();
    env.kubectl(&["create", "namespace", "team-a"]);
    live_in(&mut env, &["team-a", NAME]).await;
    assert_no_right_is_unused(&mut env, &["team-a", NAME]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_restart_workloads_is_not_there_by_default_and_all_of_it_is_used_where_it_is_given() {
    let mut env = InstallEnv::new().await;
    let (chart, namespaces) = (chart().display().to_string(), ["team-a", NAME]);
    env.helm(NAME, &["install", NAME, &chart, "--create-namespace"]).unwrap();
    env.kubectl(&["create", "namespace", "team-a"]);
    let by_default = granted(&env, &namespaces);
    env.helm(NAME, &["upgrade", NAME, &chart, "--set=rotation.restart=true"]).unwrap();
    let added: BTreeSet<_> = granted(&env, &namespaces).difference(&by_default).cloned().collect();
    let verbs = |kind: &str| ["get", "patch"].map(|verb| format!("cluster: apps/{}s {verb}", kind.to_lowercase()));
    assert_eq!(added, WORKLOADS.into_iter().flat_map(verbs).collect());
    live_in(&mut env, &namespaces).await;
    live_with_restarts(&env, "team-a").await;
    assert_no_right_is_unused(&mut env, &namespaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_right_of_a_scoped_install_is_not_used() {
    let mut env = InstallEnv::new().await;
    env.follow(INSTALL_SCOPED);
    live_in(&mut env, &["team-a", NAME, EVENTS]).await;
    assert_no_right_is_unused(&mut env, &["team-a", NAME, EVENTS]).await;
}
