//! What Kubernetes refuses is reported in its own words, and costs no call to the API; deletions keep their promises whatever the
//! garbage collector does.

use crate::cluster::plane;
use crate::env::TenantEnv;
use iam_simulator::types::{Flavor, Operation};
use oauth_app_operator::crd::{ConditionStatus, ConditionType};
use serde_json::{Value, json};

fn apply(object: &Value) {
    plane().apply(object).unwrap();
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
async fn until_refused(env: &TenantEnv, words: &str) {
    let probe = ["-n", &env.namespace, "create", "secret", "generic", "probe", "--dry-run=server"];
    env.until("the policy counts", async || {
        plane().kubectl(&probe).is_err_and(|error| error.to_string().contains(words))
    })
    .await;
}

#[tokio::test]
async fn secret_refused_by_a_policy_is_detected_before_the_app_is_created() {
    let env = TenantEnv::new("policy-secret", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({})).await;
    refuse("policy-secret", "", "secrets", &["CREATE"], "false", "no Secrets here, says the policy");
    until_refused(&env, "no Secrets here").await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    let message = env.until_reason("billing", ConditionType::Reconciling, "SecretNotWritten").await;
    assert!(message.contains("no Secrets here, says the policy"), "{message}");
    env.annotate("billing", "oauth-apps.dev/reconcile-requested-at", "1").await;
    assert_eq!(env.calls(Operation::CreateApp).await, 0, "no app without a place for its credential");
    allow_again("policy-secret");
    env.until_ready("billing").await;
    assert_eq!(env.calls(Operation::CreateApp).await, 1);
}

#[tokio::test]
async fn unavailable_webhook_is_reported_without_a_call() {
    let env = TenantEnv::new("webhook-down", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({})).await;
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
    until_refused(&env, "guard.example.com").await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    let message = env.until_reason("billing", ConditionType::Reconciling, "SecretNotWritten").await;
    assert!(message.contains("guard.example.com"), "{message}");
    assert_eq!(env.calls(Operation::CreateApp).await, 0);
    kubectl(&["delete", "validatingwebhookconfiguration", "webhook-down"]);
    env.until_ready("billing").await;
    assert_eq!(env.calls(Operation::CreateApp).await, 1);
}

#[tokio::test]
async fn refused_finalizer_removal_is_reported_and_the_app_is_not_ready() {
    let env = TenantEnv::running("policy-finalizer", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
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
    env.until("the policy counts", async || plane().kubectl(&patch).is_err()).await;
    env.delete("billing").await;
    let message = env.until_reason("billing", ConditionType::Reconciling, "KubernetesRefused").await;
    assert!(message.contains("finalizers stay, says the policy"), "{message}");
    let ready = env.condition("billing", ConditionType::Ready).await.unwrap();
    assert_eq!((ready.status, ready.reason.as_str()), (ConditionStatus::False, "KubernetesRefused"));
    allow_again("policy-finalizer");
    env.until_gone("billing").await;
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

async fn until_mutated(env: &TenantEnv, path: &str) {
    let output = format!("jsonpath={path}");
    let probe = ["-n", &env.namespace, "create", "secret", "generic", "probe", "--dry-run=server", "-o", &output];
    env.until("the policy counts", async || !plane().kubectl(&probe).unwrap().is_empty()).await;
}

#[tokio::test]
async fn label_overridden_by_a_policy_is_reported_once_and_left() {
    let env = TenantEnv::new("policy-label", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({})).await;
    mutate("policy-label", &["CREATE", "UPDATE"], r#"Object{metadata: Object.metadata{labels: {"team": "platform"}}}"#);
    until_mutated(&env, "{.metadata.labels.team}").await;
    env.operator().start().unwrap();
    env.create("billing", json!({"secret": {"labels": {"team": "billing"}}})).await;
    env.until_ready("billing").await;
    let said = async || {
        let published = env.condition("billing", ConditionType::SecretPublished).await.unwrap();
        published.message.contains("an admission policy of the cluster changes its labels or annotations")
    };
    env.until("it is noticed", said).await;
    let writes = || env.audit(|record| record.is_write() && record.resource == "secrets").len();
    let before = writes();
    for n in 0..3 {
        let value = n.to_string();
        env.annotate("billing", "oauth-apps.dev/reconcile-requested-at", &value).await;
        let handled = async || {
            env.app("billing").await.status.unwrap().last_handled_reconcile_at.as_deref() == Some(value.as_str())
        };
        env.until("it is looked at again", handled).await;
    }
    assert_eq!(writes(), before, "no further write");
    let events = env.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"]);
    assert!(!events.contains("Repaired") && events.matches("KubernetesRefused").count() <= 1, "{events}");
}

#[tokio::test]
async fn a_secret_that_a_policy_makes_immutable_is_ready_and_rotates() {
    let env = TenantEnv::new("policy-immutable", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({})).await;
    mutate("policy-immutable", &["CREATE"], "Object{immutable: true}");
    until_mutated(&env, "{.immutable}").await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    assert_eq!(env.secret("billing").await.unwrap().immutable, Some(true));
    env.assert_credential_works("billing").await;
    let before = env.credential("billing").await.unwrap();
    env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "1").await;
    env.until("it is rotated", async || env.credential("billing").await.is_some_and(|now| now.1 != before.1)).await;
    env.assert_credential_works("billing").await;
    // An immutable Secret is deleted and created again when what it holds changes.
    let keeps_previous = async || env.value("billing-rotation", "previous").await.as_ref() == Some(&before.1);
    env.until("the previous secret is kept", keeps_previous).await;
    env.until_ready("billing").await;
}

fn run_pod(env: &TenantEnv) {
    let pod = r#"{"spec":{"serviceAccountName":"default","containers":[{"name":"web","image":"none","envFrom":[{"secretRef":{"name":"billing"}}]}]}}"#;
    env.kubectl(&["run", "web", "--image=none", "--overrides", pod]);
}

#[tokio::test]
async fn in_a_foreground_deletion_pods_keep_their_secret_until_they_are_gone() {
    let env = TenantEnv::running("foreground-used", Flavor::Csp).await;
    env.create("billing", json!({"deletionPolicy": "DeleteWhenUnused"})).await;
    env.until_ready("billing").await;
    run_pod(&env);
    env.kubectl(&["delete", "ooa", "billing", "--cascade=foreground", "--wait=false"]);
    env.until_reason("billing", ConditionType::Reconciling, "InUse").await;
    // The garbage collector has dealt with the resource once it removes its own finalizer or waits for nothing else.
    let finalizers = async || env.app("billing").await.metadata.finalizers.unwrap_or_default();
    env.until("the garbage collector is done", async || !finalizers().await.contains(&"foregroundDeletion".into()))
        .await;
    env.assert_credential_works("billing").await;
    env.kubectl(&["delete", "pod", "web", "--force", "--grace-period=0"]);
    env.until_gone("billing").await;
    assert!(env.secret("billing").await.is_none(), "it goes with its app");
    assert!(env.control.apps().await.unwrap().is_empty());
}

#[tokio::test]
async fn retain_keeps_the_secret_and_strips_operator_metadata_later() {
    for (namespace, cascade) in [("retain-foreground", "foreground"), ("retain-orphan", "orphan")] {
        let env = TenantEnv::running(namespace, Flavor::Csp).await;
        env.create("billing", json!({"deletionPolicy": "Retain"})).await;
        env.until_ready("billing").await;
        let credential = env.credential("billing").await;
        env.operator().kill().unwrap();
        env.kubectl(&["delete", "ooa", "billing", &format!("--cascade={cascade}"), "--wait=false"]);
        let finalizers = async || env.app("billing").await.metadata.finalizers.unwrap_or_default();
        env.until("only the operator's finalizer is left", async || finalizers().await.len() == 1).await;
        assert_eq!(env.credential("billing").await, credential, "{cascade}");
        env.operator().start().unwrap();
        env.until_gone("billing").await;
        let secret = env.secret("billing").await.expect("the Secret stays");
        let marks = [secret.metadata.labels, secret.metadata.annotations].map(|marks| marks.unwrap_or_default().len());
        assert_eq!(marks, [0, 0], "{cascade}");
        env.assert_credential_works("billing").await;
    }
}

#[tokio::test]
async fn a_deletion_policy_that_is_changed_counts_for_the_secret_at_once() {
    let env = TenantEnv::running("policy-changed", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let owners = async || env.secret("billing").await.unwrap().metadata.owner_references.unwrap_or_default().len();
    assert_eq!(owners().await, 1);
    env.change("billing", json!({"deletionPolicy": "Retain"})).await;
    env.until("Kubernetes no longer deletes it", async || owners().await == 0).await;
    env.change("billing", json!({"deletionPolicy": "Delete"})).await;
    env.until("and does again", async || owners().await == 1).await;
    env.assert_credential_works("billing").await;
}

#[tokio::test]
async fn deletion_during_an_outage_reports_how_to_end_it() {
    let env = TenantEnv::running("deletion-hint", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    env.control.set(|settings| settings.down = true).await.unwrap();
    env.delete("billing").await;
    let message = env.until_reason("billing", ConditionType::Reconciling, "ConnectionUnavailable").await;
    assert!(message.contains("set spec.deletionPolicy to Retain"), "{message}");
    let ready = env.condition("billing", ConditionType::Ready).await.unwrap();
    assert_eq!(ready.status, ConditionStatus::False);
    env.change("billing", json!({"deletionPolicy": "Retain"})).await;
    env.until_gone("billing").await;
}

#[tokio::test]
async fn a_namespace_that_is_deleted_with_the_credentials_of_its_tenant_ends_and_takes_its_apps_along() {
    let env = TenantEnv::new("tenant-ends", Flavor::Csp).await;
    env.control.seed_api_token(env.flavor, &env.org, "token-of-tenant-ends").await.unwrap();
    let literal = "--from-literal=token=token-of-tenant-ends";
    env.kubectl(&["create", "secret", "generic", "tenant-token", literal]);
    env.kubectl(&["label", "secret", "tenant-token", "oauth-apps.dev/use=true"]);
    let api_token = json!({"secretRef": {"name": "tenant-token", "key": "token"}});
    let credentials = json!({"source": "Tenant", "clientCredentials": null, "apiToken": api_token});
    env.connect(json!({ "credentials": credentials })).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    // The API is away while the namespace is emptied, and knows the access token no more when it is back.
    env.control.set(|settings| settings.down = true).await.unwrap();
    kubectl(&["delete", "namespace", "tenant-ends", "--wait=false"]);
    env.until("the credentials are gone", async || env.secret("tenant-token").await.is_none()).await;
    env.control.revoke_tokens().await.unwrap();
    env.control.set(|settings| settings.down = false).await.unwrap();
    env.until_gone("billing").await;
    assert!(env.control.apps().await.unwrap().is_empty());
}
