//! What Kubernetes refuses is told in its own words, and costs no call to the API; deletions keep their promises whatever the
//! garbage collector does.

use crate::cluster::plane;
use crate::world::World;
use iam_simulator::types::{Flavor, Operation};
use oauth_app_operator::crd::{ConditionStatus, ConditionType};
use serde_json::{Value, json};

fn apply(object: &Value) {
    plane().kubectl_with_input(&["apply", "-f", "-"], &object.to_string()).unwrap();
}

fn kubectl(arguments: &[&str]) {
    plane().kubectl(arguments).unwrap();
}

fn in_namespace(namespace: &str) -> Value {
    json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}})
}

/// An admission policy of one namespace that refuses what the expression says, in these words.
fn refuse(namespace: &str, group: &str, resource: &str, operations: &[&str], expression: &str, words: &str) {
    let versions = if group.is_empty() { "v1" } else { "v1alpha1" };
    apply(&json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": namespace},
        "spec": {
            "matchConstraints": {"namespaceSelector": in_namespace(namespace), "resourceRules": [
                {"apiGroups": [group], "apiVersions": [versions], "operations": operations, "resources": [resource]}]},
            "validations": [{"expression": expression, "message": words}],
        },
    }));
    apply(&json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": namespace}, "spec": {"policyName": namespace, "validationActions": ["Deny"]},
    }));
}

fn allow_again(namespace: &str) {
    kubectl(&["delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", namespace]);
}

/// A policy counts a moment after it was written.
async fn until_refused(world: &World, words: &str) {
    let probe = ["-n", &world.namespace, "create", "secret", "generic", "probe", "--dry-run=server"];
    world
        .until("the policy counts", async || {
            plane().kubectl(&probe).is_err_and(|error| error.to_string().contains(words))
        })
        .await;
}

#[tokio::test]
async fn a_secret_that_a_policy_refuses_is_found_out_before_the_api_hears_of_the_app() {
    let world = World::new("policy-secret", Flavor::Csp).await;
    world.give_credentials().await;
    world.connect(json!({})).await;
    refuse("policy-secret", "", "secrets", &["CREATE"], "false", "no Secrets here, says the policy");
    until_refused(&world, "no Secrets here").await;
    world.operator().start();
    world.create("billing", json!({})).await;
    let message = world.until_reason("billing", ConditionType::Reconciling, "SecretNotWritten").await;
    assert!(message.contains("no Secrets here, says the policy"), "{message}");
    world.annotate("billing", "oauth-apps.dev/reconcile-requested-at", "1").await;
    assert_eq!(world.calls(Operation::CreateApp).await, 0, "no app without a place for its credential");
    allow_again("policy-secret");
    world.until_ready("billing").await;
    assert_eq!(world.calls(Operation::CreateApp).await, 1);
}

#[tokio::test]
async fn a_webhook_that_is_down_is_told_and_costs_no_call() {
    let world = World::new("webhook-down", Flavor::Csp).await;
    world.give_credentials().await;
    world.connect(json!({})).await;
    apply(&json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "webhook-down"},
        "webhooks": [{
            "name": "guard.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"url": "https://127.0.0.1:1/guard"}, "timeoutSeconds": 1,
            "namespaceSelector": in_namespace("webhook-down"),
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}],
        }],
    }));
    until_refused(&world, "guard.example.com").await;
    world.operator().start();
    world.create("billing", json!({})).await;
    let message = world.until_reason("billing", ConditionType::Reconciling, "SecretNotWritten").await;
    assert!(message.contains("guard.example.com"), "{message}");
    assert_eq!(world.calls(Operation::CreateApp).await, 0);
    kubectl(&["delete", "validatingwebhookconfiguration", "webhook-down"]);
    world.until_ready("billing").await;
    assert_eq!(world.calls(Operation::CreateApp).await, 1);
}

#[tokio::test]
async fn a_policy_that_keeps_the_finalizer_in_place_is_told_and_the_app_is_not_called_ready() {
    let world = World::running("policy-finalizer", Flavor::Csp).await;
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    refuse(
        "policy-finalizer",
        "oauth-apps.dev",
        "orgoauthapps",
        &["UPDATE"],
        "has(object.metadata.finalizers)",
        "finalizers stay, says the policy",
    );
    let patch =
        ["patch", "ooa", "billing", "--type=merge", "--dry-run=server", "-p", r#"{"metadata":{"finalizers":null}}"#];
    let patch = [&["-n", "policy-finalizer"], &patch[..]].concat();
    world.until("the policy counts", async || plane().kubectl(&patch).is_err()).await;
    world.delete("billing").await;
    let message = world.until_reason("billing", ConditionType::Reconciling, "KubernetesRefused").await;
    assert!(message.contains("finalizers stay, says the policy"), "{message}");
    let ready = world.condition("billing", ConditionType::Ready).await.unwrap();
    assert_eq!((ready.status, ready.reason.as_str()), (ConditionStatus::False, "KubernetesRefused"));
    allow_again("policy-finalizer");
    world.until_gone("billing").await;
}

/// A mutating policy of one namespace.
fn mutate(namespace: &str, operations: &[&str], expression: &str) {
    apply(&json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": namespace},
        "spec": {
            "matchConstraints": {"namespaceSelector": in_namespace(namespace), "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": operations, "resources": ["secrets"]}]},
            "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
        },
    }));
    apply(&json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": namespace}, "spec": {"policyName": namespace},
    }));
}

async fn until_mutated(world: &World, path: &str) {
    let output = format!("jsonpath={path}");
    let probe = ["-n", &world.namespace, "create", "secret", "generic", "probe", "--dry-run=server", "-o", &output];
    world.until("the policy counts", async || !plane().kubectl(&probe).unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_policy_that_overrides_a_label_is_noticed_once_and_not_fought() {
    let world = World::new("policy-label", Flavor::Csp).await;
    world.give_credentials().await;
    world.connect(json!({})).await;
    mutate("policy-label", &["CREATE", "UPDATE"], r#"Object{metadata: Object.metadata{labels: {"team": "platform"}}}"#);
    until_mutated(&world, "{.metadata.labels.team}").await;
    world.operator().start();
    world.create("billing", json!({"secret": {"labels": {"team": "billing"}}})).await;
    world.until_ready("billing").await;
    let said = async || {
        let published = world.condition("billing", ConditionType::SecretPublished).await.unwrap();
        published.message.contains("an admission policy of the cluster sets its labels or annotations otherwise")
    };
    world.until("it is noticed", said).await;
    let writes = || world.audit(|record| record.is_write() && record.resource == "secrets").len();
    let before = writes();
    for n in 0..3 {
        let value = n.to_string();
        world.annotate("billing", "oauth-apps.dev/reconcile-requested-at", &value).await;
        let handled = async || {
            world.app("billing").await.status.unwrap().last_handled_reconcile_at.as_deref() == Some(value.as_str())
        };
        world.until("it is looked at again", handled).await;
    }
    assert_eq!(writes(), before, "no further write");
    let events = world.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"]);
    assert!(!events.contains("Repaired") && events.matches("KubernetesRefused").count() <= 1, "{events}");
}

#[tokio::test]
async fn a_secret_that_a_policy_makes_immutable_is_ready_and_rotates() {
    let world = World::new("policy-immutable", Flavor::Csp).await;
    world.give_credentials().await;
    world.connect(json!({})).await;
    mutate("policy-immutable", &["CREATE"], "Object{immutable: true}");
    until_mutated(&world, "{.immutable}").await;
    world.operator().start();
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    assert_eq!(world.secret("billing").await.unwrap().immutable, Some(true));
    world.assert_credential_works("billing").await;
    let before = world.credential("billing").await.unwrap();
    world.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1").await;
    world.until("it is rotated", async || world.credential("billing").await.is_some_and(|now| now.1 != before.1)).await;
    world.assert_credential_works("billing").await;
    assert_eq!(world.value("billing-rotation", "previous").await, Some(before.1));
    world.until_ready("billing").await;
}

fn run_pod(world: &World) {
    let pod = r#"{"spec":{"serviceAccountName":"default","containers":[{"name":"web","image":"none","envFrom":[{"secretRef":{"name":"billing"}}]}]}}"#;
    world.kubectl(&["run", "web", "--image=none", "--overrides", pod]);
}

#[tokio::test]
async fn in_a_foreground_deletion_pods_keep_their_secret_until_they_are_gone() {
    let world = World::running("foreground-used", Flavor::Csp).await;
    world.create("billing", json!({"deletionPolicy": "DeleteWhenUnused"})).await;
    world.until_ready("billing").await;
    run_pod(&world);
    world.kubectl(&["delete", "ooa", "billing", "--cascade=foreground", "--wait=false"]);
    world.until_reason("billing", ConditionType::Reconciling, "InUse").await;
    // The garbage collector has dealt with the resource once it removes its own finalizer or waits for nothing else.
    let finalizers = async || world.app("billing").await.metadata.finalizers.unwrap_or_default();
    world
        .until("the garbage collector is done", async || !finalizers().await.contains(&"foregroundDeletion".into()))
        .await;
    world.assert_credential_works("billing").await;
    world.kubectl(&["delete", "pod", "web", "--force", "--grace-period=0"]);
    world.until_gone("billing").await;
    assert!(world.secret("billing").await.is_none(), "it goes with its app");
    assert!(world.control.apps().await.unwrap().is_empty());
}

#[tokio::test]
async fn retain_keeps_the_secret_while_the_operator_is_away_and_takes_its_marks_off_later() {
    for (namespace, cascade) in [("retain-foreground", "foreground"), ("retain-orphan", "orphan")] {
        let world = World::running(namespace, Flavor::Csp).await;
        world.create("billing", json!({"deletionPolicy": "Retain"})).await;
        world.until_ready("billing").await;
        let credential = world.credential("billing").await;
        world.operator().kill();
        world.kubectl(&["delete", "ooa", "billing", &format!("--cascade={cascade}"), "--wait=false"]);
        let finalizers = async || world.app("billing").await.metadata.finalizers.unwrap_or_default();
        world.until("only the operator's finalizer is left", async || finalizers().await.len() == 1).await;
        assert_eq!(world.credential("billing").await, credential, "{cascade}");
        world.operator().start();
        world.until_gone("billing").await;
        let secret = world.secret("billing").await.expect("the Secret stays");
        let marks = [secret.metadata.labels, secret.metadata.annotations].map(|marks| marks.unwrap_or_default().len());
        assert_eq!(marks, [0, 0], "{cascade}");
        world.assert_credential_works("billing").await;
    }
}

#[tokio::test]
async fn a_deletion_policy_that_is_changed_counts_for_the_secret_at_once() {
    let world = World::running("policy-changed", Flavor::Csp).await;
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    let owners = async || world.secret("billing").await.unwrap().metadata.owner_references.unwrap_or_default().len();
    assert_eq!(owners().await, 1);
    world.change("billing", json!({"deletionPolicy": "Retain"})).await;
    world.until("Kubernetes no longer deletes it", async || owners().await == 0).await;
    world.change("billing", json!({"deletionPolicy": "Delete"})).await;
    world.until("and does again", async || owners().await == 1).await;
    world.assert_credential_works("billing").await;
}

#[tokio::test]
async fn while_the_api_is_down_a_deletion_says_how_to_end_it() {
    let world = World::running("deletion-hint", Flavor::Csp).await;
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    world.control.set(|settings| settings.down = true).await.unwrap();
    world.delete("billing").await;
    let message = world.until_reason("billing", ConditionType::Reconciling, "ConnectionUnavailable").await;
    assert!(message.contains("set spec.deletionPolicy to Retain"), "{message}");
    let ready = world.condition("billing", ConditionType::Ready).await.unwrap();
    assert_eq!(ready.status, ConditionStatus::False);
    world.change("billing", json!({"deletionPolicy": "Retain"})).await;
    world.until_gone("billing").await;
}

#[tokio::test]
async fn a_namespace_that_is_deleted_with_the_credentials_of_its_tenant_ends_and_takes_its_apps_along() {
    let world = World::new("tenant-ends", Flavor::Csp).await;
    world.control.seed_api_token(world.flavor, &world.org, "token-of-tenant-ends").await.unwrap();
    let literal = "--from-literal=token=token-of-tenant-ends";
    world.kubectl(&["create", "secret", "generic", "tenant-token", literal]);
    world.kubectl(&["label", "secret", "tenant-token", "oauth-apps.dev/use=true"]);
    let api_token = json!({"secretRef": {"name": "tenant-token", "key": "token"}});
    let credentials = json!({"source": "Tenant", "clientCredentials": null, "apiToken": api_token});
    world.connect(json!({ "credentials": credentials })).await;
    world.operator().start();
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    // The API is away while the namespace is emptied, and knows the access token no more when it is back.
    world.control.set(|settings| settings.down = true).await.unwrap();
    kubectl(&["delete", "namespace", "tenant-ends", "--wait=false"]);
    world.until("the credentials are gone", async || world.secret("tenant-token").await.is_none()).await;
    world.control.revoke_tokens().await.unwrap();
    world.control.set(|settings| settings.down = false).await.unwrap();
    world.until_gone("billing").await;
    assert!(world.control.apps().await.unwrap().is_empty());
}
