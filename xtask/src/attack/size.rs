//! Everything as large as it can be: resources, their metadata, pods, answers of the API; and requests at the operator's own
//! port that are never finished.

use std::time::Duration;

use futures::join;
use iam_simulator::types::{Action, Operation};
use k8s_openapi::api::core::v1::Pod;
use oauth_app_operator::crd::OrgOAuthApp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::tenant::{ATTACKER, Attacker, RECONCILE, app, at_once};

const RESOURCES: usize = 400;
const PODS: usize = 400;
/// Kubernetes allows 256 KiB of annotations.
const ANNOTATION: usize = 250_000;
const HALF_REQUESTS: usize = 1000;
const REOPENED_AFTER: Duration = Duration::from_secs(1);

/// Goes on for as long as it is polled.
pub(super) async fn attack(attacker: &Attacker) {
    attacker.fault(ATTACKER, Some(Operation::ListApps), Action::EndlessList { page_bytes: 4_000_000 }).await;
    attacker.fault(ATTACKER, Some(Operation::GetApp), Action::LargeBody { bytes: 1_000_000 }).await;
    join!(resources(attacker), adopted(attacker), pods(attacker), half_requests(attacker));
}

/// Half of them with few long texts, half with many short ones; then their metadata grows.
async fn resources(attacker: &Attacker) {
    let create = async |n: usize| {
        let spec = if n.is_multiple_of(2) { long_texts() } else { many_texts() };
        attacker.tenant.create::<OrgOAuthApp>(app(&format!("large-{n}"), ATTACKER, spec)).await;
    };
    at_once(4, 0..RESOURCES, create).await;
    let change = async |n: usize| {
        let annotations = json!({RECONCILE: n.to_string(), "large": "x".repeat(ANNOTATION)});
        let patch = json!({"metadata": {"annotations": annotations}});
        attacker.tenant.change::<OrgOAuthApp>(&format!("large-{}", n % RESOURCES), patch).await;
    };
    at_once(4, 0.., change).await;
}

fn texts(count: usize, length: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n:0length$}")).collect()
}

fn long_texts() -> Value {
    let roles: Vec<Value> = texts(31, 256).into_iter().map(|name| json!({ "name": name })).collect();
    json!({
        "displayName": "x".repeat(256), "description": "x".repeat(4096), "grantTypes": ["authorization_code"],
        "allowedScopes": {"generalScopes": texts(62, 256)}, "roles": {"organizationRoles": roles},
        "redirectUris": texts(3, 2048), "postLogoutRedirectUris": texts(1, 2048), "allowedOrgs": texts(31, 256),
        "secret": {"annotations": {"a": "x".repeat(8000), "b": "x".repeat(8000)}},
    })
}

/// A text takes more memory than it has bytes, so many take the most.
fn many_texts() -> Value {
    let roles = |count| -> Vec<Value> { texts(count, 3).into_iter().map(|name| json!({ "name": name })).collect() };
    let permissions: Vec<Value> =
        texts(256, 3).into_iter().map(|id| json!({"permissionId": id, "resources": texts(2, 1)})).collect();
    json!({
        "grantTypes": ["authorization_code"],
        "allowedScopes": {
            "generalScopes": texts(500, 3), "organizationScopes": {"roles": roles(300), "permissions": permissions},
        },
        "roles": {"organizationRoles": roles(512)},
        "redirectUris": texts(256, 4), "postLogoutRedirectUris": texts(256, 4), "allowedOrgs": texts(512, 3),
    })
}

/// Ids as the operator derives them, of apps that nobody has.
async fn adopted(attacker: &Attacker) {
    const COUNT: usize = 200;
    let create = async |n: usize| {
        let spec = json!({"id": format!("ooa-{n:08}-0000-4000-8000-000000000000"), "adoptionPolicy": "Adopt"});
        attacker.tenant.create::<OrgOAuthApp>(app(&format!("adopted-{n}"), ATTACKER, spec)).await;
    };
    at_once(2, 0..COUNT, create).await;
    let ask = async |n: usize| {
        attacker.tenant.annotate(&format!("adopted-{}", n % COUNT), RECONCILE, n.to_string()).await;
    };
    at_once(2, 0.., ask).await;
}

/// Deletions that wait for a pod look at all of them again and again.
async fn pods(attacker: &Attacker) {
    const WAITING: usize = 20;
    let mount = |n: usize| json!({"secretRef": {"name": format!("unused-{n}"), "optional": true}});
    let uses: Value = (0..WAITING).map(mount).collect();
    let create = async |n: usize| {
        let metadata = json!({"name": format!("pod-{n}"), "annotations": {"large": "x".repeat(ANNOTATION)}});
        let from = if n == 0 { uses.clone() } else { json!([]) };
        let container = json!({"name": "a", "image": "none", "envFrom": from});
        let spec = json!({"automountServiceAccountToken": false, "containers": [container]});
        attacker
            .tenant
            .create::<Pod>(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
            .await;
    };
    create(0).await;
    let policy = json!({"deletionPolicy": "DeleteWhenUnused"});
    for n in 0..WAITING {
        attacker.tenant.create::<OrgOAuthApp>(app(&format!("unused-{n}"), ATTACKER, policy.clone())).await;
    }
    at_once(2, 1..PODS, create).await;
    for n in 0..WAITING {
        attacker.tenant.delete::<OrgOAuthApp>(&format!("unused-{n}")).await;
    }
    let ask = async |n: usize| {
        attacker.tenant.annotate(&format!("unused-{}", n % WAITING), RECONCILE, n.to_string()).await;
    };
    at_once(2, 0.., ask).await;
}

/// When one is closed there soon is another.
async fn half_requests(attacker: &Attacker) {
    let half = async |_| {
        let stream = TcpStream::connect(&attacker.address).await;
        if let Ok(mut stream) = stream
            && stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.is_ok()
        {
            // Until the other side closes it.
            stream.read_u8().await.ok();
        }
        sleep(REOPENED_AFTER).await;
    };
    at_once(HALF_REQUESTS, 0.., half).await;
}
