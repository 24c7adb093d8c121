//! Who may use a connection, with whose credentials, and what a connection says of itself; tenants are real users with
//! the rights of their namespace only.

use crate::cluster::{OPERATOR_NAMESPACE, plane};
use crate::env::TenantEnv;
use iam_simulator::Simulator;
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use k8s_openapi::jiff::Timestamp;
use oauth_app_operator::crd::ConditionType;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn of_team(team: &str) -> Value {
    let namespaces = json!({"from": "Selector", "selector": {"matchLabels": {"team": team}}});
    json!([{"namespaces": namespaces, "orgs": {"from": "All"}}])
}

fn label(namespace: &str, label: &str) {
    plane().kubectl(&["label", "--overwrite", "namespace", namespace, label]).unwrap();
}

#[tokio::test]
async fn grant_lost_by_a_namespace_stops_calls_and_deletion_reports_how_to_release() {
    let env = TenantEnv::new("loses-grant", Flavor::Csp).await;
    env.give_credentials().await;
    label("loses-grant", "team=a");
    env.connect(json!({"grants": of_team("a"), "resyncInterval": "10m"})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    label("loses-grant", "team=b");
    let message = env.until_stalled("billing", "NotGranted").await;
    assert!(message.contains("covers namespace loses-grant"), "{message}");
    let calls = env.app_calls().await;
    env.change("billing", json!({"displayName": "Changed"})).await;
    let generation = env.app("billing").await.metadata.generation;
    let seen = async || env.app("billing").await.status.unwrap().observed_generation == generation;
    env.until("the change is seen", seen).await;
    env.delete("billing").await;
    let says = async || {
        let stalled = env.condition("billing", ConditionType::Stalled).await.unwrap();
        stalled.message.contains("set spec.deletionPolicy to Retain")
    };
    env.until("status reports how to release it", says).await;
    assert_eq!(env.app_calls().await, calls, "no call without a grant");
    label("loses-grant", "team=a");
    env.until_gone("billing").await;
    assert_eq!(env.control.apps().await.unwrap().len(), 0);
}

#[tokio::test]
async fn grant_withdrawn_by_a_connection_stops_calls() {
    let env = TenantEnv::running("grant-withdrawn", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    env.connect(json!({"grants": [], "resyncInterval": "10m"})).await;
    env.until_stalled("billing", "NotGranted").await;
    let calls = env.app_calls().await;
    env.change("billing", json!({"displayName": "Changed"})).await;
    env.annotate("billing", "oauth-apps.dev/reconcile-requested-at", "now").await;
    let echoed = async || env.app("billing").await.status.unwrap().last_handled_reconcile_at.is_some();
    env.until("the request is seen", echoed).await;
    assert_eq!(env.app_calls().await, calls);
}

/// A Secret with an API token in a tenant's namespace.
fn tenant_secret(namespace: &str, token: &str) {
    let literal = format!("--from-literal=token={token}");
    plane().kubectl(&["-n", namespace, "create", "secret", "generic", "tenant-token", &literal]).unwrap();
}

fn consent(namespace: &str) {
    plane().kubectl(&["-n", namespace, "label", "secret", "tenant-token", "oauth-apps.dev/use=true"]).unwrap();
}

#[tokio::test]
async fn each_tenant_provides_its_own_credentials_with_their_owners_consent() {
    let env = TenantEnv::new("tenant-a", Flavor::Csp).await;
    plane().kubectl(&["create", "namespace", "tenant-b"]).unwrap();
    env.control.seed_org(env.flavor, "org-of-tenant-b", true).await.unwrap();
    for (org, token) in [("org-of-tenant-a", "token-of-tenant-a"), ("org-of-tenant-b", "token-of-tenant-b")] {
        env.control.seed_api_token(env.flavor, org, token).await.unwrap();
    }
    let api_token = json!({"secretRef": {"name": "tenant-token", "key": "token"}});
    let credentials = json!({"source": "Tenant", "clientCredentials": null, "apiToken": api_token});
    let grants = json!([{"namespaces": {"from": "Names", "names": ["tenant-a", "tenant-b"]}, "orgs": {"from": "All"}}]);
    env.connect(json!({"credentials": credentials, "grants": grants})).await;
    env.watch("tenant-b");
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    let waiting = async || {
        let waiting = env.until_reason("billing", ConditionType::Reconciling, "CredentialsUnavailable");
        waiting.await
    };
    let message = waiting().await;
    assert!(message.contains("there is no Secret tenant-a/tenant-token"), "{message}");
    tenant_secret("tenant-a", "token-of-tenant-a");
    let refused = async || waiting().await.contains("lacks the label oauth-apps.dev/use");
    env.until("status asks for consent", refused).await;
    assert_eq!(env.calls(Operation::Token).await, 0, "without consent it is not used");
    consent("tenant-a");
    env.until_ready("billing").await;
    let message = env.until_connection("Ready", "True", "Provisioned").await;
    assert!(message.contains("Each namespace provides its own credentials"), "{message}");

    let mut other = env.manifest("billing", json!({"orgId": "org-of-tenant-b"}));
    other["metadata"]["namespace"] = "tenant-b".into();
    plane().apply(&other).unwrap();
    let reason = || {
        let path = "jsonpath={.status.conditions[?(@.type=='Ready')].reason}";
        plane().kubectl(&["-n", "tenant-b", "get", "ooa", "billing", "-o", path]).unwrap()
    };
    env.until("the other tenant waits for its own", async || reason() == "CredentialsUnavailable").await;
    tenant_secret("tenant-b", "token-of-tenant-b");
    consent("tenant-b");
    env.until("the other tenant is Ready", async || reason() == "Provisioned").await;
    let mut creators: Vec<_> = env.control.apps().await.unwrap().into_iter().map(|app| app.created_by).collect();
    creators.sort();
    assert_eq!(creators, ["api-token:org-of-tenant-a", "api-token:org-of-tenant-b"], "each with its own credentials");
}

#[tokio::test]
async fn connection_is_ready_while_the_api_accepts_its_credentials() {
    for (namespace, flavor) in [("proven-csp", Flavor::Csp), ("proven-cpn", Flavor::Cpn)] {
        let env = TenantEnv::running(namespace, flavor).await;
        env.create("billing", json!({"suspend": true})).await;
        env.until_connection("Ready", "True", "Provisioned").await;
        env.store_credentials("no-longer-the-right-token").await;
        let message = env.until_connection("Ready", "False", "CredentialsUnavailable").await;
        assert!(message.contains("the API refuses the credentials"), "{message}");
        env.give_credentials().await;
        env.until_connection("Ready", "True", "Provisioned").await;
        assert_eq!(env.app_calls().await, 0, "nothing but token requests");
    }
}

/// As kstatus reads it, and as an Event for each change.
#[tokio::test]
async fn connection_reports_what_it_waits_for_in_conditions_and_events() {
    let env = TenantEnv::running("conn-progress", Flavor::Cpn).await;
    env.create("billing", json!({})).await;
    env.until_connection("Ready", "True", "Provisioned").await;
    env.until_connection("Reconciling", "False", "Provisioned").await;
    env.store_credentials("no-longer-the-right-token").await;
    let message = env.until_connection("Stalled", "True", "CredentialsUnavailable").await;
    env.until_connection("Reconciling", "False", "CredentialsUnavailable").await;
    let organization =
        async || env.connections().get("conn-progress").await.unwrap().data["status"]["organization"].clone();
    assert_eq!(organization().await, Value::Null, "there is no token that names one");
    env.control.set(|settings| settings.down = true).await.unwrap();
    env.give_credentials().await;
    env.until_connection("Reconciling", "True", "ConnectionUnavailable").await;
    env.until_connection("Stalled", "False", "ConnectionUnavailable").await;
    env.control.set(|settings| settings.down = false).await.unwrap();
    env.until_connection("Ready", "True", "Provisioned").await;
    let notes = || env.connection_notes();
    env.until("an Event reports that it is Ready again", async || notes().last().is_some_and(|n| n.0 == "Provisioned"))
        .await;
    let notes = notes();
    let reasons: Vec<_> = notes.iter().map(|(reason, _)| reason.as_str()).collect();
    let expected = ["Provisioned", "CredentialsUnavailable", "ConnectionUnavailable", "Provisioned"];
    assert_eq!(reasons, expected, "one for each change: {notes:?}");
    assert_eq!(notes[1].1, message);
}

#[tokio::test]
async fn connection_is_checked_as_soon_as_an_app_meets_a_hanging_api() {
    let env = TenantEnv::new("conn-hangs", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"resyncInterval": "10m", "limits": {"timeout": "1s"}})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    env.until_connection("Ready", "True", "Provisioned").await;
    env.control.fault(Fault::always(Action::Hang { performed: false })).await.unwrap();
    let begin = Instant::now();
    env.annotate("billing", "oauth-apps.dev/reconcile-requested-at", "1").await;
    let message = env.until_connection("Ready", "Unknown", "ConnectionUnavailable").await;
    assert!(message.ends_with("no complete response within 1s"), "{message}");
    // Left alone, a connection that was found to be good a moment ago is looked at after a minute.
    assert!(begin.elapsed() < Duration::from_secs(40), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn connection_of_an_unavailable_api_is_not_ready_and_the_log_reports_why() {
    let env = TenantEnv::running("conn-down", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    env.until_connection("Ready", "True", "Provisioned").await;
    env.control.set(|settings| settings.down = true).await.unwrap();
    let message = env.until_connection("Ready", "Unknown", "ConnectionUnavailable").await;
    let cause = "the last requests to the API got no usable response: ";
    assert!(message.len() > cause.len() && message.starts_with(cause), "{message}");
    let logged = |text: &str| {
        let log = env.operator().log();
        log.lines().any(|line| line.contains("WARN") && line.contains(text))
    };
    env.until("the log says it of the connection", async || logged(&message)).await;
    env.until("and of the app", async || logged("IamConnection conn-down: ")).await;
    env.until_ready("billing").await;
    env.control.set(|settings| settings.down = false).await.unwrap();
    env.until_connection("Ready", "True", "Provisioned").await;
}

#[tokio::test]
async fn expiring_credentials_are_reported() {
    let env = TenantEnv::running("expiring", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_connection("Ready", "True", "Provisioned").await;
    assert_eq!(env.connection_condition("CredentialsExpiring").await, None, "nothing says when they end");
    let end = |value: &str| {
        let annotation = format!("oauth-apps.dev/expires-at={value}");
        let secret = ["-n", OPERATOR_NAMESPACE, "annotate", "--overwrite", "secret", "expiring", &annotation];
        plane().kubectl(&secret).unwrap();
    };
    let days = |days: i64| {
        let at = k8s_openapi::jiff::Timestamp::now() + k8s_openapi::jiff::SignedDuration::from_hours(24 * days);
        at.to_string()
    };
    end(&days(30));
    env.until_connection("CredentialsExpiring", "False", "Provisioned").await;
    end(&days(10));
    let message = env.until_connection("CredentialsExpiring", "True", "CredentialsExpiring").await;
    assert!(message.contains("Secret oauth-app-operator/expiring"), "{message}");
    end(&days(2));
    let message = env.until_connection("CredentialsExpiring", "True", "CredentialsExpireSoon").await;
    let published = async || env.connection_notes().last().is_some_and(|note| note.1 == message);
    env.until("an Event reports it", published).await;
    let reasons: Vec<_> = env.connection_notes().into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, ["Provisioned", "CredentialsExpiring", "CredentialsExpireSoon"], "each once");
    end("tomorrow");
    env.until_connection("CredentialsExpiring", "Unknown", "CredentialsExpiring").await;
}

#[tokio::test]
async fn the_expiry_of_an_api_token_is_read_from_the_api_once() {
    let env = TenantEnv::new("token-expires", Flavor::Csp).await;
    let end = Timestamp::from_second(Timestamp::now().as_second() + 2 * 86_400).unwrap();
    let end_ms = u64::try_from(end.as_millisecond()).unwrap();
    env.control.seed_expiring_api_token(env.flavor, &env.org, "token-that-expires", Some(end_ms)).await.unwrap();
    env.store_api_token("token-that-expires").await;
    let reference = json!({"secretRef": {"name": "token-expires", "key": "token"}});
    env.connect(json!({"credentials": {"clientCredentials": null, "apiToken": reference}})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    let message = env.until_connection("CredentialsExpiring", "True", "CredentialsExpireSoon").await;
    assert!(message.contains(&format!("expire at {end}")), "{message}");
    let gauge = "connection_credentials_expiration_timestamp_seconds";
    let is_end = |seconds: f64| (seconds - end.as_duration().as_secs_f64()).abs() < 1.0;
    env.until_metric(gauge, &[("connection", "token-expires")], is_end).await;
    let listed = plane().kubectl(&["get", "iamc", "token-expires"]).unwrap();
    assert!(listed.contains("EXPIRES") && listed.contains(&end.to_string()), "{listed}");
    env.until_ready("billing").await;
    env.until_metric("reconciles_total", &[("outcome", "settled")], |count| count >= 3.0).await;
    assert_eq!(env.calls(Operation::ApiTokenDetails).await, 1, "not by each check");
    env.control.seed_api_token(env.flavor, &env.org, "token-without-end").await.unwrap();
    env.store_api_token("token-without-end").await;
    let unknown = async || env.connection_condition("CredentialsExpiring").await.is_none();
    env.until("nothing expires any more", unknown).await;
    let status = env.connections().get("token-expires").await.unwrap().data["status"].clone();
    assert_eq!(status["credentials"], Value::Null, "{status}");
    assert_eq!(env.calls(Operation::ApiTokenDetails).await, 2);
}

#[tokio::test]
async fn replaced_certificate_authority_is_picked_up_without_a_restart() {
    let env = TenantEnv::running("new-ca", Flavor::Csp).await;
    env.create("old", json!({})).await;
    env.until_ready("old").await;
    let authority = |pem: &str| {
        let patch = json!({"data": {"ca.crt": pem}}).to_string();
        let map = ["-n", OPERATOR_NAMESPACE, "patch", "configmap", "new-ca", "--type=merge", "-p", &patch];
        plane().kubectl(&map).unwrap();
    };
    let other = Simulator::spawn();
    authority(other.ca_pem());
    env.change("old", json!({"displayName": "Changed"})).await;
    let message = env.until_reason("old", ConditionType::Reconciling, "ConnectionUnavailable").await;
    assert!(message.contains("certificate"), "{message}");
    env.connect(json!({})).await;
    let synced = async || env.condition("old", ConditionType::Synced).await.unwrap().reason == "Provisioned";
    env.until("old is synced with the right authority", synced).await;
}

/// kubectl as somebody who may write resources and Secrets in one namespace, as teams may.
pub(crate) struct Tenant {
    kubeconfig: String,
    namespace: String,
}

impl Tenant {
    pub(crate) fn of(env: &TenantEnv) -> Self {
        Self::in_namespace(&env.namespace)
    }

    pub(crate) fn in_namespace(namespace: &str) -> Self {
        let user = format!("user-of-{namespace}");
        let create = |what: &[&str]| plane().kubectl(&[&["-n", namespace, "create"], what].concat()).unwrap();
        let all = "--verb=get,list,watch,create,update,patch,delete";
        create(&["role", "team", all, "--resource=orgoauthapps.oauth-apps.dev"]);
        create(&["rolebinding", "team", "--role=team", &format!("--user={user}")]);
        let kubeconfig = plane().namespace_editor(namespace).unwrap().display().to_string();
        Self { kubeconfig, namespace: namespace.into() }
    }

    pub(crate) fn apply(&self, manifest: &Value) -> Result<String, String> {
        self.send("apply", manifest)
    }

    /// `create` and `replace` are for what is too large to be applied, since `apply` repeats it in an annotation.
    pub(crate) fn send(&self, verb: &str, object: &Value) -> Result<String, String> {
        self.kubectl_with(&[verb, "-f", "-"], object)
    }

    /// With this object as its input.
    pub(crate) fn kubectl_with(&self, arguments: &[&str], object: &Value) -> Result<String, String> {
        let arguments = [&["--kubeconfig", &self.kubeconfig, "-n", &self.namespace], arguments].concat();
        plane().kubectl_with_input(&arguments, &object.to_string()).map_err(|error| error.to_string())
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let own = ["--kubeconfig", &self.kubeconfig, "-n", &self.namespace];
        plane().kubectl(&[&own, arguments].concat()).map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn a_tenant_reads_no_secret_that_its_owner_did_not_hand_over() {
    let env = TenantEnv::running("tenant-secrets", Flavor::Csp).await;
    let tenant = Tenant::of(&env);
    plane().kubectl(&["create", "namespace", "tenant-secrets-other"]).unwrap();
    for namespace in ["tenant-secrets", "tenant-secrets-other"] {
        let secret = ["-n", namespace, "create", "secret", "generic", "hidden", "--from-literal=key=Hidden-1-value"];
        plane().kubectl(&secret).unwrap();
    }
    let provide = |reference: Value| env.manifest("billing", json!({"clientSecretRef": reference}));
    let elsewhere = json!({"name": "hidden", "key": "key", "namespace": "tenant-secrets-other"});
    let refused = tenant.apply(&provide(elsewhere)).unwrap_err();
    assert!(refused.contains(r#"unknown field "spec.clientSecretRef.namespace""#), "{refused}");
    let refused = tenant.apply(&provide(json!({"name": "tenant-secrets-other/hidden", "key": "key"}))).unwrap_err();
    assert!(refused.contains("a name consists of lower case letters, digits, - and ."), "{refused}");
    tenant.apply(&provide(json!({"name": "hidden", "key": "key"}))).unwrap();
    let message = env.until_stalled("billing", "SecretRefInvalid").await;
    assert!(message.contains("lacks the label oauth-apps.dev/use"), "{message}");
    assert_eq!(env.app_calls().await, 0);
    let include = json!({"secret": {"template": {"x": "{% include \"/etc/passwd\" %}"}}});
    let refused = tenant.apply(&env.manifest("templates", include)).unwrap_err();
    assert!(refused.contains("a template is text and {{ name }} or {{ name | function }}"), "{refused}");
}

#[tokio::test]
async fn a_tenant_chooses_no_host_and_no_connection_outside_of_its_grant() {
    let env = TenantEnv::new("tenant-host", Flavor::Csp).await;
    env.give_credentials().await;
    let only =
        json!([{"namespaces": {"from": "Names", "names": ["tenant-host"]}, "orgs": {"from": "Ids", "ids": [env.org]}}]);
    env.connect(json!({ "grants": only })).await;
    env.operator().start().unwrap();
    let tenant = Tenant::of(&env);
    let connection = json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection", "metadata": {"name": "mine"},
        "spec": {"api": "CloudServices", "endpoint": "https://evil.example.com",
                 "credentials": {"apiToken": {"secretRef": {"name": "iam-credentials", "key": "api-token"}}}},
    });
    let refused = tenant.apply(&connection).unwrap_err();
    assert!(refused.contains("forbidden") || refused.contains("Forbidden"), "{refused}");
    let host = env.manifest("billing", json!({"endpoint": "https://evil.example.com"}));
    let refused = tenant.apply(&host).unwrap_err();
    assert!(refused.contains(r#"unknown field "spec.endpoint""#), "{refused}");
    let other = TenantEnv::new("tenant-host-other", Flavor::Csp).await;
    other.give_credentials().await;
    other.connect(json!({})).await;
    let foreign = json!({"connectionRef": {"name": "tenant-host-other"}});
    tenant.apply(&env.manifest("foreign-connection", foreign)).unwrap();
    tenant.apply(&env.manifest("foreign-org", json!({"orgId": "somebody-elses"}))).unwrap();
    for name in ["foreign-connection", "foreign-org"] {
        env.until_stalled(name, "NotGranted").await;
    }
    assert_eq!((env.app_calls().await, other.calls(Operation::Token).await), (0, 0));
}

#[tokio::test]
async fn a_tenant_has_no_foreign_secret_written() {
    let env = TenantEnv::running("tenant-foreign", Flavor::Csp).await;
    let tenant = Tenant::of(&env);
    let create = ["create", "secret", "generic", "registry", "--from-literal=client-secret=of-somebody-else"];
    env.kubectl(&create);
    let before = env.secrets().get("registry").await.unwrap();
    tenant.apply(&env.manifest("billing", json!({"secret": {"name": "registry"}}))).unwrap();
    env.until_stalled("billing", "SecretConflict").await;
    env.delete("billing").await;
    env.until_gone("billing").await;
    assert_eq!(env.secrets().get("registry").await.unwrap(), before, "byte for byte the same");
}
