//! The control plane does what the tests of the operator rely on.
//! All tests share one, each in a namespace of its own.

// A test fails by panicking.
#![allow(clippy::expect_used)]

use std::time::{Duration, Instant};

use control_plane::binaries::Kubernetes;
use control_plane::{ControlPlane, Error, client};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client, Resource, ResourceExt};

const LIMIT: Duration = Duration::from_secs(30);

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < LIMIT, "not within {} s: {what}", LIMIT.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn namespace(client: &Client, name: &str) {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..Default::default() };
    let namespace = Namespace { metadata, ..Default::default() };
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.expect("a namespace");
}

fn config_map(name: &str) -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some(name.to_owned()), ..Default::default() }, ..Default::default() }
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    }
}

#[tokio::test]
async fn server_and_kubectl_are_of_the_selected_version() {
    let plane = ControlPlane::shared();
    let selected = Kubernetes::selected().expect("a version");
    let client = plane.admin_client().await.expect("a client");
    let server = client.apiserver_version().await.expect("its version");
    assert_eq!(server.git_version, selected.version());
    assert_eq!(format!("{}.{}", server.major, server.minor), selected.minor());
    let kubectl = plane.kubectl(&["version", "--client"]).expect("its version");
    assert!(kubectl.contains(selected.version()), "{kubectl}");
}

#[tokio::test]
async fn namespaces_come_with_their_service_account_and_go() {
    let client = ControlPlane::shared().admin_client().await.expect("a client");
    namespace(&client, "comes-and-goes").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "comes-and-goes");
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "comes-and-goes");
    until("the ServiceAccount", async || accounts.get("default").await.is_ok()).await;
    until("the root certificate", async || maps.get("kube-root-ca.crt").await.is_ok()).await;

    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.delete("comes-and-goes", &DeleteParams::default()).await.expect("deletion");
    until("the namespace is gone", async || namespaces.get_opt("comes-and-goes").await.expect("an answer").is_none())
        .await;
}

#[tokio::test]
async fn what_an_object_owns_is_collected() {
    let client = ControlPlane::shared().admin_client().await.expect("a client");
    namespace(&client, "collects").await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "collects");
    let owner = maps.create(&PostParams::default(), &config_map("owner")).await.expect("an owner");
    let mut owned = config_map("owned");
    owned.owner_references_mut().extend(owner.controller_owner_ref(&()));
    maps.create(&PostParams::default(), &owned).await.expect("an owned object");
    maps.delete("owner", &DeleteParams::background()).await.expect("deletion");
    until("the owned object is collected", async || maps.get_opt("owned").await.expect("an answer").is_none()).await;
}

#[tokio::test]
async fn users_have_the_rights_that_rbac_gives_them() {
    let plane = ControlPlane::shared();
    namespace(&plane.admin_client().await.expect("a client"), "rights").await;
    let user = client(&plane.user("alice", Some("team")).expect("a user")).await.expect("a client");
    let maps: Api<ConfigMap> = Api::namespaced(user, "rights");
    let refused = maps.get("kube-root-ca.crt").await.expect_err("no right yet");
    assert_eq!(code(&refused), 403, "{refused}");

    plane
        .kubectl(&["create", "rolebinding", "team", "--clusterrole=view", "--group=team", "--namespace=rights"])
        .expect("a role binding");
    until("the role binding works", async || maps.list(&Default::default()).await.is_ok()).await;
    let refused = maps.create(&PostParams::default(), &config_map("x")).await.expect_err("no right to write");
    assert_eq!(code(&refused), 403, "{refused}");
}

#[tokio::test]
async fn a_service_account_has_a_token_and_its_calls_are_audited() {
    let plane = ControlPlane::shared();
    namespace(&plane.admin_client().await.expect("a client"), "accounts").await;
    let manifest = r#"
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": "accounts"}}"#;
    plane.kubectl_with_input(&["apply", "-f", "-"], manifest).expect("a ServiceAccount");
    let kubeconfig = plane.service_account("accounts", "robot").await.expect("a token");
    let file = plane.write_kubeconfig("robot", &kubeconfig).expect("a file");
    assert!(
        plane
            .kubectl(&["auth", "whoami", "--kubeconfig", &file.display().to_string()])
            .is_ok_and(|text| { text.contains("system:serviceaccount:accounts:robot") })
    );

    let robot = client(&kubeconfig).await.expect("a client");
    let maps: Api<ConfigMap> = Api::default_namespaced(robot);
    maps.create(&PostParams::default(), &config_map("first")).await.expect_err("no right yet");
    plane
        .kubectl(&[
            "create",
            "rolebinding",
            "robot",
            "-n=accounts",
            "--clusterrole=edit",
            "--serviceaccount=accounts:robot",
        ])
        .expect("a role binding");
    until("the write", async || maps.create(&PostParams::default(), &config_map("first")).await.is_ok()).await;
    let of_robot = || {
        let calls = plane.audit("accounts", |call| call.namespace == "accounts" && call.user.ends_with(":robot"));
        calls.expect("the audit log")
    };
    until("the call is recorded", async || of_robot().last().is_some_and(|call| call.code == 201)).await;
    let calls = of_robot();
    assert_eq!(calls.iter().filter(|call| call.code == 201).count(), 1);
    assert_eq!(calls[0].code, 403);
    let last = calls.last().expect("a call");
    assert!(last.is_write());
    assert_eq!((last.verb.as_str(), last.resource.as_str(), last.name.as_str()), ("create", "configmaps", "first"));
}

#[tokio::test]
async fn kubectl_errors_are_returned() {
    let error = ControlPlane::shared().kubectl(&["get", "namespace", "nowhere"]).expect_err("not there");
    assert!(matches!(&error, Error::Kubectl { message, .. } if message.contains("\"nowhere\" not found")), "{error}");
}

#[tokio::test]
async fn new_resources_are_collected_too() {
    let plane = ControlPlane::shared();
    let manifest = plane.directory().join("crd.yaml");
    std::fs::write(&manifest, WIDGETS).expect("a file");
    plane.install_crds(&manifest).expect("a CRD");
    namespace(&plane.admin_client().await.expect("a client"), "widgets").await;
    plane.kubectl_with_input(&["create", "-f", "-"], OWNER).expect("an owner");
    let uid = plane.kubectl(&["get", "widget", "owner", "-n=widgets", "-o=jsonpath={.metadata.uid}"]).expect("its uid");
    plane.kubectl_with_input(&["create", "-f", "-"], &OWNED.replace("UID", &uid)).expect("an owned object");
    plane.kubectl(&["delete", "widget", "owner", "-n=widgets"]).expect("deletion");
    let start = Instant::now();
    plane.kubectl(&["wait", "--for=delete", "configmap/owned", "-n=widgets", "--timeout=60s"]).expect("collected");
    assert!(start.elapsed() < Duration::from_secs(15), "collected only after {:?}", start.elapsed());
}

const WIDGETS: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget, plural: widgets, singular: widget}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
";

const OWNER: &str = r"
apiVersion: example.com/v1
kind: Widget
metadata: {name: owner, namespace: widgets}
";

const OWNED: &str = r"
apiVersion: v1
kind: ConfigMap
metadata:
  name: owned
  namespace: widgets
  ownerReferences: [{apiVersion: example.com/v1, kind: Widget, name: owner, uid: UID, controller: true}]
";
