//! The watch of Secrets, with the Role that the chart gives a scoped install. The resync is half an hour away in all of them,
//! so what is noticed was delivered by the watch.

use crate::cluster::{OPERATOR_NAMESPACE, OPERATOR_USER, plane, repository};
use crate::env::TenantEnv;
use crate::scrape::Scrape;
use crate::tenancy::Tenant;
use control_plane::AuditRecord;
use control_plane::binaries::{self, Tool};
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use k8s_openapi::ByteString;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

const OWNER: &str = "oauth-apps.dev/owner-uid";
const ROTATE: &str = "oauth-apps.dev/rotate-requested-at";
/// Of a resource that is Stalled: a minute, less the spread.
const SHORTEST_BACKOFF: Duration = Duration::from_secs(48);

/// Gives the operator the Role of a scoped install in this namespace.
async fn may_watch(env: &TenantEnv, namespace: &str) {
    let mut helm = Command::new(binaries::provide(&[Tool::Helm]).unwrap().path(Tool::Helm));
    helm.args(["template", "oauth-app-operator"]).arg(repository().join("deploy/chart"));
    helm.args([
        "--namespace",
        OPERATOR_NAMESPACE,
        "--kube-version",
        plane().kubernetes().version(),
        "--show-only",
        "templates/rbac-watched.yaml",
    ]);
    let rendered = helm.args(["--set", &format!("watchNamespaces={{{namespace}}}")]).output().unwrap();
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    plane().kubectl_with_input(&["apply", "-f", "-"], &String::from_utf8(rendered.stdout).unwrap()).unwrap();
    let may = |verb: &str| {
        let asked = ["auth", "can-i", verb, "secrets", "-n", namespace, "--as", OPERATOR_USER];
        plane().kubectl_command().args(asked).output().unwrap().status.success()
    };
    env.until("the API server knows the Role", async || may("list") && may("watch")).await;
}

/// Without a resync, and not started.
async fn without_resync(namespace: &str) -> TenantEnv {
    let env = TenantEnv::new(namespace, Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"resyncInterval": "30m"})).await;
    may_watch(&env, namespace).await;
    env
}

async fn edit(env: &TenantEnv, name: &str, patch: Value) {
    env.secrets().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

async fn delete(env: &TenantEnv, name: &str) {
    env.secrets().delete(name, &DeleteParams::default()).await.unwrap();
    env.until("the Secret is back", async || env.credential(name).await.is_some()).await;
}

/// What the operator asked about the Secret of that name, or the resource.
fn asked(env: &TenantEnv, namespace: &str, name: &str) -> Vec<String> {
    let ours = |r: &AuditRecord| r.user == OPERATOR_USER && r.namespace == namespace && r.name == name;
    let records = plane().audit(namespace, |r| ours(r) && !r.dry_run).unwrap();
    assert!(!records.is_empty(), "nothing about {name} in {namespace} of {}", env.namespace);
    records.into_iter().map(|r| format!("{} {}", r.verb, r.resource)).collect()
}

fn reads(env: &TenantEnv, namespace: &str, name: &str) -> usize {
    asked(env, namespace, name).iter().filter(|what| *what == "get secrets").count()
}

#[tokio::test]
async fn a_deleted_secret_is_back_and_an_edited_one_is_restored_without_a_resync() {
    let env = without_resync("secret-watched").await;
    env.operator().start().unwrap();
    env.create("billing", json!({"secret": {"labels": {"team": "a"}}})).await;
    env.until_ready("billing").await;
    let before = env.credential("billing").await.unwrap();
    delete(&env, "billing").await;
    let after = env.credential("billing").await.unwrap();
    assert_eq!(after.0, before.0);
    env.assert_credential_works("billing").await;
    assert!(!env.operator().log().contains("an admission policy"), "nobody hindered the operator");
    let wrong = serde_json::to_value(ByteString(b"wrong".to_vec())).unwrap();
    edit(&env, "billing", json!({"data": {"client-id": wrong}})).await;
    let restored = async || env.credential("billing").await.as_ref() == Some(&after);
    env.until("the id is restored", restored).await;
    // What is no longer labeled is no longer watched.
    for label in ["team", OWNER] {
        edit(&env, "billing", json!({"metadata": {"labels": {label: null}}})).await;
        let restored = async || env.secret("billing").await.unwrap().labels().contains_key(label);
        env.until(&format!("the label {label} is restored"), restored).await;
    }
    edit(&env, "billing", json!({"metadata": {"labels": {OWNER: "another"}}})).await;
    let uid = env.app("billing").await.uid();
    let restored = async || env.secret("billing").await.unwrap().labels().get(OWNER) == uid.as_ref();
    env.until("the label has the right value again", restored).await;
    assert_eq!(env.calls(Operation::CreateApp).await, 1);
}

#[tokio::test]
async fn what_the_operator_writes_itself_causes_no_reconcile() {
    let env = without_resync("secret-watched-cost").await;
    env.operator().start().unwrap();
    for name in ["billing", "marker"] {
        env.create(name, json!({"rotation": {"interval": "720h", "overlap": "48h"}})).await;
        env.until_ready(name).await;
    }
    // The watch delivers in order: all before was delivered when this was.
    delete(&env, "marker").await;
    let mut all = asked(&env, "secret-watched-cost", "billing");
    all.sort();
    assert_eq!(all, ["create secrets", "get secrets", "patch orgoauthapps", "patch orgoauthapps"]);
    env.annotate("billing", ROTATE, "now").await;
    let rotated = async || env.value("billing-rotation", "previous").await.is_some();
    env.until("it is rotated", rotated).await;
    let handled = async || env.app("billing").await.status.unwrap().last_handled_rotate_at.is_some();
    env.until("the rotation is reported", handled).await;
    delete(&env, "marker").await;
    let expected = "one for each reconcile, and one after the new secret was staged";
    assert_eq!(reads(&env, "secret-watched-cost", "billing"), 3, "{expected}");
    assert_eq!(env.calls(Operation::RotateSecret).await, 1);
}

#[tokio::test]
async fn a_secret_that_is_edited_in_a_loop_causes_one_reconcile_a_second() {
    let env = without_resync("secret-loop").await;
    env.operator().start().unwrap();
    env.create("billing", json!({"secret": {"labels": {"team": "a"}}})).await;
    env.until_ready("billing").await;
    let reconciled = async || Scrape::of(&env).await.sum("reconciles_total", &[]).unwrap();
    let (before, begin) = (reconciled().await, Instant::now());
    for n in 0..100 {
        edit(&env, "billing", json!({"metadata": {"labels": {"team": n.to_string()}}})).await;
    }
    let restored = async || env.secret("billing").await.unwrap().labels()["team"] == "a";
    env.until("the label is restored", restored).await;
    let (more, seconds) = (reconciled().await - before, begin.elapsed().as_secs());
    assert!(more <= (2 + seconds) as f64, "{more} reconciles in {seconds} s");
}

#[tokio::test]
async fn refused_watch_is_reported_once_and_the_operator_works() {
    let env = TenantEnv::running("secret-unwatched", Flavor::Csp).await;
    env.until_metric("secret_watches_refused", &[], |refused| refused == 1.0).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    delete(&env, "billing").await;
    env.assert_credential_works("billing").await;
    assert_eq!(env.operator().log().matches("cannot watch Secrets").count(), 1);
}

#[tokio::test]
async fn a_secret_with_the_label_of_another_resource_wakes_nobody() {
    let (env, other) = (without_resync("secret-victim").await, "secret-forger");
    plane().kubectl(&["create", "namespace", other]).unwrap();
    may_watch(&env, other).await;
    let names = json!({"from": "Names", "names": ["secret-victim", other]});
    let grants = json!([{"namespaces": names, "orgs": {"from": "All"}}]);
    env.connect(json!({"grants": grants, "resyncInterval": "30m"})).await;
    env.watch(other);
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let tenant = Tenant::in_namespace(other);
    let mut own = env.manifest("own", json!({}));
    own["metadata"]["namespace"] = other.into();
    tenant.apply(&own).unwrap();
    tenant.kubectl(&["wait", "--for=condition=Ready", "ooa/own", "--timeout=90s"]).unwrap();
    let uid_of_own = tenant.kubectl(&["get", "ooa", "own", "-o=jsonpath={.metadata.uid}"]).unwrap();
    // One has the name of the victim's Secret too.
    for (name, uid) in [("billing", env.app("billing").await.uid().unwrap()), ("forged", uid_of_own)] {
        for n in 0..5 {
            let labels = json!({"app.kubernetes.io/managed-by": "oauth-app-operator", OWNER: uid, "n": n.to_string()});
            let metadata = json!({"name": name, "namespace": other, "labels": labels});
            tenant.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})).unwrap();
        }
        tenant.kubectl(&["delete", "secret", name]).unwrap();
    }
    tenant.kubectl(&["delete", "secret", "own"]).unwrap();
    let back = async || tenant.kubectl(&["get", "secret", "own"]).is_ok();
    env.until("the watch has delivered all that", back).await;
    assert_eq!(reads(&env, "secret-victim", "billing"), 1, "when it was created");
    assert_eq!(
        reads(&env, other, "own"),
        3,
        "when it was created; when it was deleted, and after the new secret was staged"
    );
}

#[tokio::test]
async fn a_deleted_secret_wakes_a_stalled_resource() {
    let env = without_resync("secret-stalled").await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let refuse = Action::Status { status: 400, message: "a reserved word".into(), performed: false };
    env.control.fault(Fault::once(refuse).on(Operation::UpdateApp)).await.unwrap();
    env.change("billing", json!({"description": "Admin"})).await;
    env.until_stalled("billing", "Rejected").await;
    let wrong = serde_json::to_value(ByteString(b"wrong".to_vec())).unwrap();
    for reason in ["Rejected", "SecretTampered"] {
        env.until_stalled("billing", reason).await;
        let begin = Instant::now();
        delete(&env, "billing").await;
        env.until_ready("billing").await;
        assert!(begin.elapsed() < SHORTEST_BACKOFF, "{reason}: {:?}", begin.elapsed());
        edit(&env, "billing", json!({"data": {"client-secret": wrong}})).await;
    }
}
