//! Who may use a connection, with whose credentials, and what a connection says of itself; tenants are real users with
//! the rights of their namespace only.

use crate::cluster::{OPERATOR_NAMESPACE, plane};
use crate::world::World;
use iam_simulator::Simulator;
use iam_simulator::types::{Action, Fault, Flavor, Operation};
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
async fn a_grant_that_a_namespace_loses_stops_calls_at_once_and_deletion_says_how_to_let_go() {
    let world = World::new("loses-grant", Flavor::Csp).await;
    world.give_credentials().await;
    label("loses-grant", "team=a");
    world.connect(json!({"grants": of_team("a"), "resyncInterval": "10m"})).await;
    world.operator().start();
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    label("loses-grant", "team=b");
    let message = world.until_stalled("billing", "NotGranted").await;
    assert!(message.contains("covers namespace loses-grant"), "{message}");
    let calls = world.app_calls().await;
    world.change("billing", json!({"displayName": "Changed"})).await;
    let generation = world.app("billing").await.metadata.generation;
    let seen = async || world.app("billing").await.status.unwrap().observed_generation == generation;
    world.until("the change is seen", seen).await;
    world.delete("billing").await;
    let says = async || {
        let stalled = world.condition("billing", ConditionType::Stalled).await.unwrap();
        stalled.message.contains("set spec.deletionPolicy to Retain")
    };
    world.until("status says how to let go", says).await;
    assert_eq!(world.app_calls().await, calls, "no call without a grant");
    label("loses-grant", "team=a");
    world.until_gone("billing").await;
    assert_eq!(world.control.apps().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_grant_that_a_connection_withdraws_stops_calls_at_once() {
    let world = World::running("grant-withdrawn", Flavor::Csp).await;
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    world.connect(json!({"grants": [], "resyncInterval": "10m"})).await;
    world.until_stalled("billing", "NotGranted").await;
    let calls = world.app_calls().await;
    world.change("billing", json!({"displayName": "Changed"})).await;
    world.annotate("billing", "oauth-apps.dev/reconcile-requested-at", "now").await;
    let echoed = async || world.app("billing").await.status.unwrap().last_handled_reconcile_at.is_some();
    world.until("the request is seen", echoed).await;
    assert_eq!(world.app_calls().await, calls);
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
async fn each_tenant_brings_credentials_of_its_own_with_its_owners_consent() {
    let world = World::new("tenant-a", Flavor::Csp).await;
    plane().kubectl(&["create", "namespace", "tenant-b"]).unwrap();
    world.control.seed_org(world.flavor, "org-of-tenant-b", true).await.unwrap();
    for (org, token) in [("org-of-tenant-a", "token-of-tenant-a"), ("org-of-tenant-b", "token-of-tenant-b")] {
        world.control.seed_api_token(world.flavor, org, token).await.unwrap();
    }
    let api_token = json!({"secretRef": {"name": "tenant-token", "key": "token"}});
    let credentials = json!({"source": "Tenant", "clientCredentials": null, "apiToken": api_token});
    let grants = json!([{"namespaces": {"from": "Names", "names": ["tenant-a", "tenant-b"]}, "orgs": {"from": "All"}}]);
    world.connect(json!({"credentials": credentials, "grants": grants})).await;
    world.operator().watch_too("tenant-b");
    world.operator().start();
    world.create("billing", json!({})).await;
    let waiting = async || {
        let waiting = world.until_reason("billing", ConditionType::Reconciling, "CredentialsUnavailable");
        waiting.await
    };
    let message = waiting().await;
    assert!(message.contains("there is no Secret tenant-a/tenant-token"), "{message}");
    tenant_secret("tenant-a", "token-of-tenant-a");
    let refused = async || waiting().await.contains("lacks the label oauth-apps.dev/use");
    world.until("status asks for consent", refused).await;
    assert_eq!(world.calls(Operation::Token).await, 0, "without consent it is not used");
    consent("tenant-a");
    world.until_ready("billing").await;
    let message = world.until_connection("Ready", "True", "Provisioned").await;
    assert!(message.contains("Each namespace brings credentials of its own"), "{message}");

    let mut other = world.manifest("billing", json!({"orgId": "org-of-tenant-b"}));
    other["metadata"]["namespace"] = "tenant-b".into();
    plane().kubectl_with_input(&["apply", "-f", "-"], &other.to_string()).unwrap();
    let reason = || {
        let path = "jsonpath={.status.conditions[?(@.type=='Ready')].reason}";
        plane().kubectl(&["-n", "tenant-b", "get", "ooa", "billing", "-o", path]).unwrap()
    };
    world.until("the other tenant waits for its own", async || reason() == "CredentialsUnavailable").await;
    tenant_secret("tenant-b", "token-of-tenant-b");
    consent("tenant-b");
    world.until("the other tenant is Ready", async || reason() == "Provisioned").await;
    let mut creators: Vec<_> = world.control.apps().await.unwrap().into_iter().map(|app| app.created_by).collect();
    creators.sort();
    assert_eq!(creators, ["api-token:org-of-tenant-a", "api-token:org-of-tenant-b"], "each with its own credentials");
}

#[tokio::test]
async fn a_connection_is_ready_when_the_api_takes_its_credentials_and_follows_them() {
    for (namespace, flavor) in [("proven-csp", Flavor::Csp), ("proven-cpn", Flavor::Cpn)] {
        let world = World::running(namespace, flavor).await;
        world.create("billing", json!({"suspend": true})).await;
        world.until_connection("Ready", "True", "Provisioned").await;
        world.store_credentials("no-longer-the-right-token").await;
        let message = world.until_connection("Ready", "False", "CredentialsUnavailable").await;
        assert!(message.contains("the API refuses the credentials"), "{message}");
        world.give_credentials().await;
        world.until_connection("Ready", "True", "Provisioned").await;
        assert_eq!(world.app_calls().await, 0, "nothing but token requests");
    }
}

#[tokio::test]
async fn a_connection_whose_api_hangs_is_looked_at_as_soon_as_an_app_feels_it() {
    let world = World::new("conn-hangs", Flavor::Csp).await;
    world.give_credentials().await;
    world.connect(json!({"resyncInterval": "10m", "limits": {"timeout": "1s"}})).await;
    world.operator().start();
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    world.until_connection("Ready", "True", "Provisioned").await;
    world.control.fault(Fault::always(Action::Hang { performed: false })).await.unwrap();
    let begin = Instant::now();
    world.annotate("billing", "oauth-apps.dev/reconcile-requested-at", "1").await;
    let message = world.until_connection("Ready", "Unknown", "ConnectionUnavailable").await;
    assert!(message.ends_with("no whole answer within 1s"), "{message}");
    // Left alone, a connection that was found to be good a moment ago is looked at after a minute.
    assert!(begin.elapsed() < Duration::from_secs(40), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_connection_whose_api_is_down_is_not_said_to_be_ready_and_the_log_says_why() {
    let world = World::running("conn-down", Flavor::Csp).await;
    world.create("billing", json!({})).await;
    world.until_ready("billing").await;
    world.until_connection("Ready", "True", "Provisioned").await;
    world.control.set(|settings| settings.down = true).await.unwrap();
    let message = world.until_connection("Ready", "Unknown", "ConnectionUnavailable").await;
    let cause = "the last calls to the API brought no usable answer: ";
    assert!(message.len() > cause.len() && message.starts_with(cause), "{message}");
    let logged = |text: &str| {
        let log = world.operator().log();
        log.lines().any(|line| line.contains("WARN") && line.contains(text))
    };
    world.until("the log says it of the connection", async || logged(&message)).await;
    world.until("and of the app", async || logged("IamConnection conn-down: ")).await;
    world.until_ready("billing").await;
    world.control.set(|settings| settings.down = false).await.unwrap();
    world.until_connection("Ready", "True", "Provisioned").await;
}

#[tokio::test]
async fn credentials_that_end_soon_are_said_to_expire() {
    let world = World::running("expiring", Flavor::Csp).await;
    world.create("billing", json!({})).await;
    world.until_connection("Ready", "True", "Provisioned").await;
    assert_eq!(world.connection_condition("CredentialsExpiring").await, None, "nothing says when they end");
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
    world.until_connection("CredentialsExpiring", "False", "Provisioned").await;
    end(&days(3));
    let message = world.until_connection("CredentialsExpiring", "True", "CredentialsExpiring").await;
    assert!(message.contains("Secret oauth-app-operator/expiring"), "{message}");
    end("tomorrow");
    world.until_connection("CredentialsExpiring", "Unknown", "CredentialsExpiring").await;
}

#[tokio::test]
async fn a_replaced_certificate_authority_is_taken_up_without_a_restart() {
    let world = World::running("new-ca", Flavor::Csp).await;
    world.create("old", json!({})).await;
    world.until_ready("old").await;
    let authority = |pem: &str| {
        let patch = json!({"data": {"ca.crt": pem}}).to_string();
        let map = ["-n", OPERATOR_NAMESPACE, "patch", "configmap", "new-ca", "--type=merge", "-p", &patch];
        plane().kubectl(&map).unwrap();
    };
    let other = Simulator::spawn();
    authority(other.ca_pem());
    world.change("old", json!({"displayName": "Changed"})).await;
    let message = world.until_reason("old", ConditionType::Reconciling, "ConnectionUnavailable").await;
    assert!(message.contains("certificate"), "{message}");
    world.connect(json!({})).await;
    let synced = async || world.condition("old", ConditionType::Synced).await.unwrap().reason == "Provisioned";
    world.until("old is synced with the right authority", synced).await;
}

/// kubectl as somebody who may write resources and Secrets in one namespace, as teams may.
pub struct Tenant {
    kubeconfig: String,
    namespace: String,
}

impl Tenant {
    pub fn of(world: &World) -> Self {
        Self::in_namespace(&world.namespace)
    }

    pub fn in_namespace(namespace: &str) -> Self {
        let user = format!("user-of-{namespace}");
        let create = |what: &[&str]| plane().kubectl(&[&["-n", namespace, "create"], what].concat()).unwrap();
        let all = "--verb=get,list,watch,create,update,patch,delete";
        create(&["role", "team", all, "--resource=orgoauthapps.oauth-apps.dev"]);
        create(&["rolebinding", "team", "--role=team", &format!("--user={user}")]);
        create(&["rolebinding", "edit", "--clusterrole=edit", &format!("--user={user}")]);
        let kubeconfig = plane().user(&user, None).unwrap();
        let kubeconfig = plane().write_kubeconfig(&user, &kubeconfig).unwrap().display().to_string();
        Self { kubeconfig, namespace: namespace.into() }
    }

    pub fn apply(&self, manifest: &Value) -> Result<String, String> {
        self.send("apply", manifest)
    }

    /// `create` and `replace` are for what is too large to be applied, since `apply` repeats it in an annotation.
    pub fn send(&self, verb: &str, object: &Value) -> Result<String, String> {
        self.kubectl_with(&[verb, "-f", "-"], object)
    }

    /// With this object as its input.
    pub fn kubectl_with(&self, arguments: &[&str], object: &Value) -> Result<String, String> {
        let arguments = [&["--kubeconfig", &self.kubeconfig, "-n", &self.namespace], arguments].concat();
        plane().kubectl_with_input(&arguments, &object.to_string()).map_err(|error| error.to_string())
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let own = ["--kubeconfig", &self.kubeconfig, "-n", &self.namespace];
        plane().kubectl(&[&own, arguments].concat()).map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn a_tenant_reads_no_secret_that_its_owner_did_not_hand_over() {
    let world = World::running("tenant-secrets", Flavor::Csp).await;
    let tenant = Tenant::of(&world);
    plane().kubectl(&["create", "namespace", "tenant-secrets-other"]).unwrap();
    for namespace in ["tenant-secrets", "tenant-secrets-other"] {
        let secret = ["-n", namespace, "create", "secret", "generic", "hidden", "--from-literal=key=Hidden-1-value"];
        plane().kubectl(&secret).unwrap();
    }
    let bring = |reference: Value| world.manifest("billing", json!({"clientSecretRef": reference}));
    let elsewhere = json!({"name": "hidden", "key": "key", "namespace": "tenant-secrets-other"});
    let refused = tenant.apply(&bring(elsewhere)).unwrap_err();
    assert!(refused.contains(r#"unknown field "spec.clientSecretRef.namespace""#), "{refused}");
    let refused = tenant.apply(&bring(json!({"name": "tenant-secrets-other/hidden", "key": "key"}))).unwrap_err();
    assert!(refused.contains("a name consists of lower case letters, digits, - and ."), "{refused}");
    tenant.apply(&bring(json!({"name": "hidden", "key": "key"}))).unwrap();
    let message = world.until_stalled("billing", "SecretRefInvalid").await;
    assert!(message.contains("lacks the label oauth-apps.dev/use"), "{message}");
    assert_eq!(world.app_calls().await, 0);
    let include = json!({"secret": {"template": {"x": "{% include \"/etc/passwd\" %}"}}});
    let refused = tenant.apply(&world.manifest("templates", include)).unwrap_err();
    assert!(refused.contains("a template is text and {{ name }} or {{ name | function }}"), "{refused}");
}

#[tokio::test]
async fn a_tenant_chooses_no_host_and_no_connection_outside_of_its_grant() {
    let world = World::new("tenant-host", Flavor::Csp).await;
    world.give_credentials().await;
    let only = json!([{"namespaces": {"from": "Names", "names": ["tenant-host"]}, "orgs": {"from": "Ids", "ids": [world.org]}}]);
    world.connect(json!({ "grants": only })).await;
    world.operator().start();
    let tenant = Tenant::of(&world);
    let connection = json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection", "metadata": {"name": "mine"},
        "spec": {"api": "CloudServices", "endpoint": "https://evil.example.com",
                 "credentials": {"apiToken": {"secretRef": {"name": "iam-credentials", "key": "api-token"}}}},
    });
    let refused = tenant.apply(&connection).unwrap_err();
    assert!(refused.contains("forbidden") || refused.contains("Forbidden"), "{refused}");
    let host = world.manifest("billing", json!({"endpoint": "https://evil.example.com"}));
    let refused = tenant.apply(&host).unwrap_err();
    assert!(refused.contains(r#"unknown field "spec.endpoint""#), "{refused}");
    let other = World::new("tenant-host-other", Flavor::Csp).await;
    other.give_credentials().await;
    other.connect(json!({})).await;
    let foreign = json!({"connectionRef": {"name": "tenant-host-other"}});
    tenant.apply(&world.manifest("foreign-connection", foreign)).unwrap();
    tenant.apply(&world.manifest("foreign-org", json!({"orgId": "somebody-elses"}))).unwrap();
    for name in ["foreign-connection", "foreign-org"] {
        world.until_stalled(name, "NotGranted").await;
    }
    assert_eq!((world.app_calls().await, other.calls(Operation::Token).await), (0, 0));
}

#[tokio::test]
async fn a_tenant_has_no_foreign_secret_written() {
    let world = World::running("tenant-foreign", Flavor::Csp).await;
    let tenant = Tenant::of(&world);
    let create = ["create", "secret", "generic", "registry", "--from-literal=client-secret=of-somebody-else"];
    world.kubectl(&create);
    let before = world.secrets().get("registry").await.unwrap();
    tenant.apply(&world.manifest("billing", json!({"secret": {"name": "registry"}}))).unwrap();
    world.until_stalled("billing", "SecretConflict").await;
    world.delete("billing").await;
    world.until_gone("billing").await;
    assert_eq!(world.secrets().get("registry").await.unwrap(), before, "byte for byte the same");
}
