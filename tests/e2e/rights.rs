//! Every right that ships is used: the operator lives one life under the shipped install, on a control plane of its own,
//! and a rule that nothing needed fails here. That it needs no other is shown by all other tests.

use crate::cluster::{OPERATOR_NAMESPACE, OPERATOR_USER, repository};
use control_plane::{ControlPlane, Scratch, Supervised};
use iam_simulator::Simulator;
use iam_simulator::types::Flavour;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

/// What the role grants, as `group/resource verb`.
fn granted(plane: &ControlPlane) -> BTreeSet<String> {
    let names = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let mut granted = BTreeSet::new();
    for kind in ["clusterrole", "role"] {
        let role = ["-n", OPERATOR_NAMESPACE, "get", kind, "oauth-app-operator", "-o", "json"];
        let role: Value = serde_json::from_str(&plane.kubectl(&role).unwrap()).unwrap();
        for rule in role["rules"].as_array().unwrap() {
            for resource in names(&rule["resources"]) {
                let group = rule["apiGroups"][0].as_str().unwrap();
                granted.extend(names(&rule["verbs"]).iter().map(|verb| format!("{group}/{resource} {verb}")));
            }
        }
    }
    granted
}

/// What the operator did.
fn used(plane: &ControlPlane) -> BTreeSet<String> {
    let records = plane.audit(|record| record.user == OPERATOR_USER && record.code < 400).unwrap();
    let described = |record: control_plane::AuditRecord| match record.subresource.as_str() {
        "" => format!("{}/{} {}", record.group, record.resource, record.verb),
        subresource => format!("{}/{}/{subresource} {}", record.group, record.resource, record.verb),
    };
    records.into_iter().map(described).collect()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "not so in time: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A connection to the simulator whose grants select namespaces by label, and the namespace of a team.
async fn connect(plane: &ControlPlane, simulator: &Simulator) {
    let control = simulator.control();
    control.seed_org(Flavour::Csp, "org-1", true).await.unwrap();
    control.seed_api_token(Flavour::Csp, "org-1", "api-token").await.unwrap();
    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"team": "a"}}});
    let of = |kind: &str, data: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "iam", "namespace": OPERATOR_NAMESPACE}, "data": data});
    let mut secret = of("Secret", json!({}));
    secret["stringData"] = json!({"token": "api-token"});
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team", "labels": {"team": "a"}}},
        secret,
        of("ConfigMap", json!({"ca.crt": simulator.ca_pem()})),
        {"apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection", "metadata": {"name": "default"}, "spec": {
            "api": "CloudServices", "endpoint": simulator.endpoint(Flavour::Csp),
            "caBundle": {"configMapRef": {"name": "iam", "key": "ca.crt"}},
            "credentials": {"apiToken": {"secretRef": {"name": "iam", "key": "token"}}},
            "grants": [{"namespaces": selector, "orgs": {"from": "All"}}],
        }},
    ]});
    plane.kubectl_with_input(&["apply", "-f", "-"], &objects.to_string()).unwrap();
}

/// Created with a chosen id, changed twice with its Secret, which is then renamed, and deleted when unused.
fn live(plane: &ControlPlane) {
    let app = |name: &str, secret: &str| {
        json!({"apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
        "metadata": {"name": "billing", "namespace": "team"}, "spec": {
            "orgId": "org-1", "id": "billing-export", "displayName": name, "description": "Nightly",
            "grantTypes": ["client_credentials"], "allowedScopes": {},
                "secret": {"name": secret, "labels": {"name": name}},
            "deletionPolicy": "DeleteWhenUnused",
        }})
    };
    for (name, secret) in [("One", "first"), ("Two", "first"), ("Three", "first"), ("Three", "second")] {
        plane.kubectl_with_input(&["apply", "-f", "-"], &app(name, secret).to_string()).unwrap();
        let settled = || {
            let app = plane.kubectl(&["-n", "team", "get", "ooa", "billing", "-o", "json"]).unwrap();
            let app: Value = serde_json::from_str(&app).unwrap();
            let ready = app["status"]["conditions"].as_array().into_iter().flatten().any(|condition| {
                condition["type"] == "Ready"
                    && condition["status"] == "True"
                    && condition["observedGeneration"] == app["metadata"]["generation"]
            });
            ready && app["status"]["secretName"] == secret
        };
        until(&format!("{name} in {secret}"), settled);
    }
    plane.kubectl(&["-n", "team", "delete", "ooa", "billing", "--timeout=60s"]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_right_ships_that_is_not_used() {
    let plane = ControlPlane::start().unwrap();
    for file in ["iamconnections.yaml", "orgoauthapps.yaml"] {
        plane.install_crds(&repository().join("crds").join(file)).unwrap();
    }
    plane.kubectl(&["apply", "-k", &repository().join("deploy").to_string_lossy()]).unwrap();
    let simulator = Simulator::spawn();
    connect(&plane, &simulator).await;
    let kubeconfig = plane.service_account(OPERATOR_NAMESPACE, "oauth-app-operator").await.unwrap();
    let scratch = Scratch::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_oauth-app-operator"));
    command.env("KUBECONFIG", plane.write_kubeconfig("operator", &kubeconfig).unwrap());
    command.args(["run", "--operator-namespace", OPERATOR_NAMESPACE, "--http-addr", "127.0.0.1:0"]);
    let mut operator = Supervised::spawn(&command, scratch.path().join("operator.log")).unwrap();
    live(&plane);
    let connection = plane.kubectl(&["get", "iamc", "default", "-o", "jsonpath={.status}"]).unwrap();
    assert!(connection.contains(r#""apps":{"ready":"#), "the users of the connection are counted: {connection}");
    // A watch is recorded when it ends.
    operator.stop(Duration::from_secs(30)).unwrap();
    let granted = granted(&plane);
    assert!(granted.len() > 15, "{granted:?}");
    let unused = || granted.difference(&used(&plane)).cloned().collect::<Vec<_>>();
    // The last records may be missing for a few milliseconds.
    let begin = Instant::now();
    while !unused().is_empty() && begin.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(unused(), Vec::<String>::new(), "rights that nothing needs");
}
