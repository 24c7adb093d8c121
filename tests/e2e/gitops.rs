//! What tools of GitOps see over the life of a resource: no difference to git, conditions to wait for, deletions that end,
//! and no mark of theirs on the Secret.

use crate::cluster::{plane, repository};
use crate::env::TenantEnv;
use control_plane::Scratch;
use iam_simulator::types::{Flavor, Operation};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt};
use oauth_app_operator::crd::{ConditionStatus, ConditionType, ROTATE_REQUESTED};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// How a tool applies: the last applied manifest in an annotation, as `kubectl apply` and Argo CD do by default, or on the
/// server, as Argo CD and Flux do under their names.
type Way = &'static [&'static str];

const CLIENT_SIDE: Way = &[];
const ARGO_CD: Way = &["--server-side", "--field-manager=argocd-controller"];
const FLUX: Way = &["--server-side", "--field-manager=kustomize-controller"];

fn apply(way: Way, manifest: &Value) {
    let arguments = [&["apply", "-f", "-"], way].concat();
    plane().kubectl_with_input(&arguments, &manifest.to_string()).unwrap();
}

/// What `kubectl diff` shows, its messages included; nothing where cluster and git agree.
fn difference(way: Way, manifest: &Value) -> String {
    let scratch = Scratch::new().unwrap();
    let file = scratch.path().join("manifest.json");
    std::fs::write(&file, manifest.to_string()).unwrap();
    let output = plane().kubectl_command().arg("diff").args(way).arg("-f").arg(&file).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // A warning alone is no difference.
    if output.status.success() { String::new() } else { said }
}

fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// Until the operator has done everything that the present spec and annotations ask for.
async fn until_done(env: &TenantEnv, rotation: Option<&str>) {
    let done = async || {
        let app = env.app("billing").await;
        let reconciling = app.condition(ConditionType::Reconciling).map(|condition| condition.status);
        let status = app.status.clone().unwrap_or_default();
        status.observed_generation == app.metadata.generation
            && reconciling == Some(ConditionStatus::False)
            && rotation.is_none_or(|asked| status.last_handled_rotate_at.as_deref() == Some(asked))
    };
    env.until("the operator has done everything", done).await;
    env.until_ready("billing").await;
    // A status that is written between the two reads of a comparison would be a difference.
    env.until_connection("Ready", "True", "Provisioned").await;
}

async fn no_difference_over_a_whole_life(namespace: &str, way: Way) {
    let env = TenantEnv::running(namespace, Flavor::Csp).await;
    let git = |spec| list(&[env.connection(json!({})), env.manifest("billing", spec)]);
    let roles = json!({"organizationRoles": [{"name": "org_member"}]});
    let renamed = json!({"name": "renamed"});
    for (stage, spec) in [
        ("created", json!({})),
        ("renamed", json!({ "secret": renamed })),
        ("given roles", json!({"secret": renamed, "roles": roles})),
        ("suspended", json!({"secret": renamed, "roles": roles, "suspend": true})),
        ("resumed", json!({"secret": renamed, "roles": roles})),
    ] {
        let manifests = git(spec);
        assert_ne!(difference(way, &manifests), "", "before it is {stage}");
        apply(way, &manifests);
        until_done(&env, None).await;
        assert_eq!(difference(way, &manifests), "", "{stage}");
        if stage == "created" {
            env.annotate("billing", ROTATE_REQUESTED, "now").await;
            until_done(&env, Some("now")).await;
            assert_eq!(difference(way, &manifests), "", "rotated");
        }
    }
    assert_eq!(env.calls(Operation::CreateApp).await, 1);
}

#[tokio::test]
async fn applied_on_the_client_a_resource_never_differs_from_git() {
    no_difference_over_a_whole_life("diff-client-side", CLIENT_SIDE).await;
}

#[tokio::test]
async fn applied_on_the_server_by_argo_cd_a_resource_never_differs_from_git() {
    no_difference_over_a_whole_life("diff-argo-cd", ARGO_CD).await;
}

#[tokio::test]
async fn applied_on_the_server_by_flux_a_resource_never_differs_from_git() {
    no_difference_over_a_whole_life("diff-flux", FLUX).await;
}

#[tokio::test]
async fn secret_has_no_metadata_of_the_tool_that_applied_its_resource() {
    let env = TenantEnv::running("tool-marks", Flavor::Csp).await;
    let mut manifest =
        env.manifest("billing", json!({"secret": {"labels": {"team": "a"}, "annotations": {"note": "b"}}}));
    manifest["metadata"]["labels"] = json!({
        "app.kubernetes.io/instance": "billing", "argocd.argoproj.io/instance": "billing",
        "kustomize.toolkit.fluxcd.io/name": "billing", "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    });
    let tracking = "billing:oauth-apps.dev/OrgOAuthApp:tool-marks/billing";
    manifest["metadata"]["annotations"] = json!({
        "argocd.argoproj.io/tracking-id": tracking, "argocd.argoproj.io/sync-wave": "1",
        "kustomize.toolkit.fluxcd.io/prune": "enabled",
    });
    apply(CLIENT_SIDE, &manifest);
    env.until_ready("billing").await;
    assert!(env.app("billing").await.annotations().contains_key("kubectl.kubernetes.io/last-applied-configuration"));
    let secret = env.secret("billing").await.unwrap();
    let foreign = |key: &&String| !key.starts_with("oauth-apps.dev/") && *key != "app.kubernetes.io/managed-by";
    assert_eq!(secret.labels().keys().filter(foreign).collect::<Vec<_>>(), ["team"]);
    assert_eq!(secret.annotations().keys().filter(foreign).collect::<Vec<_>>(), ["note"]);
}

#[tokio::test]
async fn kubectl_waits_for_ready_and_for_the_end() {
    let env = TenantEnv::new("kubectl-wait", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({})).await;
    let wait = |condition: &str, timeout: &str| {
        let arguments = ["-n", "kubectl-wait", "wait", condition, "ooa/billing", timeout];
        plane().kubectl(&arguments)
    };
    apply(CLIENT_SIDE, &env.manifest("billing", json!({})));
    let unseen = wait("--for=condition=Ready", "--timeout=1s").unwrap_err().to_string();
    assert!(unseen.contains("timed out"), "nobody has looked at it: {unseen}");
    env.operator().start().unwrap();
    wait("--for=condition=Ready", "--timeout=60s").unwrap();
    env.assert_credential_works("billing").await;
    env.kubectl(&["delete", "ooa/billing", "--wait=false"]);
    wait("--for=delete", "--timeout=60s").unwrap();
}

/// A namespace of a tool: with everything in it, and the connection of its app.
async fn delivered(namespace: &str) -> (TenantEnv, String) {
    let env = TenantEnv::running(namespace, Flavor::Csp).await;
    apply(ARGO_CD, &list(&[env.connection(json!({})), env.manifest("billing", json!({}))]));
    env.until_ready("billing").await;
    let (id, _) = env.credential("billing").await.unwrap();
    (env, id)
}

async fn until_nothing_is_left(env: &TenantEnv, id: &str) {
    let namespaces: Api<Namespace> = Api::all(env.client.clone());
    let gone = async || namespaces.get_opt(&env.namespace).await.unwrap().is_none();
    env.until("the namespace is gone", gone).await;
    assert!(env.remote_app(id).await.is_none(), "the app is gone");
}

#[tokio::test]
async fn pruned_in_the_reverse_order_of_its_waves_everything_goes() {
    let (env, id) = delivered("prune-waves").await;
    for resource in ["ooa/billing", "iamconnection/prune-waves", "namespace/prune-waves"] {
        env.kubectl(&["delete", resource, "--timeout=60s"]);
    }
    until_nothing_is_left(&env, &id).await;
}

/// A tool without order may take the connection away first: then status reports what to do, and it is enough to create the
/// connection back.
#[tokio::test]
async fn pruned_with_its_connection_first_an_app_says_what_it_needs_and_goes_when_it_is_back() {
    let (env, id) = delivered("prune-connection").await;
    env.kubectl(&["delete", "iamconnection/prune-connection"]);
    env.kubectl(&["delete", "ooa/billing", "namespace/prune-connection", "--wait=false"]);
    let says = async || {
        let stalled = env.condition("billing", ConditionType::Stalled).await.unwrap();
        stalled.reason == "ConnectionNotFound" && stalled.message.contains("set spec.deletionPolicy to Retain")
    };
    env.until("status reports how to release it", says).await;
    apply(ARGO_CD, &env.connection(json!({})));
    until_nothing_is_left(&env, &id).await;
}

#[tokio::test]
async fn pruned_all_at_once_the_deletion_ends_or_says_what_it_needs() {
    let (env, id) = delivered("prune-at-once").await;
    let all = ["delete", "namespace/prune-at-once", "ooa/billing", "iamconnection/prune-at-once", "--wait=false"];
    env.kubectl(&all);
    let said = async || match env.apps().get_opt("billing").await.unwrap() {
        Some(app) => {
            app.condition(ConditionType::Stalled).is_some_and(|c| c.message.contains("deletionPolicy to Retain"))
        }
        None => true,
    };
    env.until("the app is gone or says what it needs", said).await;
    apply(ARGO_CD, &env.connection(json!({})));
    until_nothing_is_left(&env, &id).await;
}

/// Each file of manifests in the kit.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let nested = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    nested.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

#[test]
fn the_api_server_accepts_every_manifest_of_the_kit_whose_kind_it_knows() {
    let mut accepted = 0;
    for file in files(&repository().join("deploy/gitops")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let manifests: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        for mut manifest in manifests {
            match manifest["apiVersion"].as_str() {
                Some("v1" | "apps/v1" | "oauth-apps.dev/v1alpha1") => {}
                Some("argoproj.io/v1alpha1" | "kustomize.toolkit.fluxcd.io/v1") => continue,
                None if file.ends_with("argocd-cm.yaml") => continue,
                other => panic!("{}: {other:?}", file.display()),
            }
            if manifest["metadata"]["namespace"].is_string() {
                manifest["metadata"]["namespace"] = "default".into();
            }
            let dry_run = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
            let answer = plane().kubectl_with_input(&dry_run, &manifest.to_string());
            answer.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            accepted += 1;
        }
    }
    assert!(accepted >= 4, "the manifests were found");
}
