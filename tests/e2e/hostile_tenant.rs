//! A tenant with the rights of `edit` in its namespace is after the apps of others, in an organization that both are granted:
//! what it can write there proves nothing.

use crate::cluster::plane;
use crate::env::TenantEnv;
use iam_simulator::types::{Action, AppView, Fault, Flavor, Human, Operation};
use oauth_app_operator::crd::ConditionType;
use serde_json::{Value, json};

/// Two namespaces at one connection: the victim's, which is the environment's own, and the attacker's.
struct Neighbors {
    env: TenantEnv,
    attacker: String,
    kubeconfig: String,
}

impl Neighbors {
    async fn new(namespace: &str) -> Self {
        let env = TenantEnv::new(namespace, Flavor::Csp).await;
        let attacker = format!("{namespace}-attacker");
        plane().kubectl(&["create", "namespace", &attacker]).unwrap();
        env.give_credentials().await;
        let namespaces = json!({"from": "Names", "names": [namespace, &attacker]});
        env.connect(json!({"grants": [{"namespaces": namespaces, "orgs": {"from": "All"}}]})).await;
        env.watch(&attacker);
        env.operator().start().unwrap();
        let kubeconfig = plane().namespace_editor(&attacker).unwrap().display().to_string();
        Self { env, attacker, kubeconfig }
    }

    fn as_attacker(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let arguments = [&["--kubeconfig", &self.kubeconfig, "-n", &self.attacker], arguments].concat();
        plane().kubectl_with_input(&arguments, input).map_err(|error| error.to_string())
    }

    fn apply(&self, object: &Value) {
        self.as_attacker(&["apply", "-f", "-"], &object.to_string()).unwrap();
    }

    fn attack(&self, spec: Value) {
        let mut manifest = self.env.manifest("thief", spec);
        manifest["metadata"]["namespace"] = self.attacker.as_str().into();
        self.apply(&manifest);
    }

    fn thief(&self, path: &str) -> String {
        self.as_attacker(&["get", "ooa", "thief", "-o", &format!("jsonpath={path}")], "").unwrap_or_default()
    }

    /// A Secret that says that it belongs to the attacker's resource and holds the victim's credential.
    fn forge_secret(&self, victim: &str) {
        let uid = self.thief("{.metadata.uid}");
        let owner = json!({"apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp", "name": "thief", "uid": uid,
                           "controller": true});
        let labels = json!({"oauth-apps.dev/owner-uid": uid, "app.kubernetes.io/managed-by": "oauth-app-operator"});
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "loot", "ownerReferences": [owner], "labels": labels,
                         "annotations": {"oauth-apps.dev/revision": "1", "oauth-apps.dev/keys": "client-id,client-secret"}},
            "stringData": {"client-id": victim, "client-secret": "guessed"},
        }));
    }

    async fn until_reason(&self, reasons: &[&str]) -> String {
        let reason = || self.thief("{.status.conditions[?(@.type=='Stalled')].reason}");
        self.env
            .until(&format!("the thief is refused: {reasons:?}"), async || reasons.contains(&reason().as_str()))
            .await;
        self.thief("{.status.conditions[?(@.type=='Stalled')].message}")
    }

    /// An app of each kind that is none of the attacker's business, under the id `victim`.
    async fn victim(&self, kind: &str) -> AppView {
        let (flavor, org_id) = (self.env.flavor, self.env.org.clone());
        match kind {
            "another tenant's" => {
                self.env.create("owner", json!({"id": "victim"})).await;
                self.env.until_ready("owner").await;
            }
            "made in the console" => {
                let fields = json!({"id": "victim", "displayName": "Theirs", "description": "Theirs",
                                    "grantTypes": ["client_credentials"], "allowedScopes": {}});
                let fields = fields.as_object().unwrap().clone();
                self.env.control.human(Human::Create { flavor, org_id, fields }).await.unwrap();
            }
            other => panic!("{other}"),
        }
        self.env.remote_app("victim").await.unwrap()
    }

    async fn assert_untouched(&self, before: &AppView) {
        let after = self.env.remote_app("victim").await.expect("the victim's app is still there");
        assert_eq!(serde_json::to_value(after).unwrap(), serde_json::to_value(before).unwrap());
        if self.env.secret("owner").await.is_some() {
            self.env.assert_credential_works("owner").await;
        }
    }
}

const VICTIMS: [&str; 2] = ["another tenant's", "made in the console"];

#[tokio::test]
async fn a_forged_secret_takes_no_app_of_others() {
    for (n, kind) in VICTIMS.into_iter().enumerate() {
        let neighbors = Neighbors::new(&format!("forged-secret-{n}")).await;
        let before = neighbors.victim(kind).await;
        neighbors.attack(json!({"id": "victim", "secret": {"name": "loot"}, "suspend": true}));
        neighbors.forge_secret("victim");
        neighbors.attack(json!({"id": "victim", "secret": {"name": "loot"}, "suspend": false}));
        let message = neighbors.until_reason(&["IdTaken", "IdConflict"]).await;
        assert!(!message.contains("owner") && !message.contains(&neighbors.env.namespace), "{message}");
        neighbors.assert_untouched(&before).await;
    }
}

#[tokio::test]
async fn a_forged_secret_does_not_take_the_operators_own_client() {
    let neighbors = Neighbors::new("forged-operator").await;
    let env = &neighbors.env;
    let itself = json!({"id": "victim", "secret": "Of_operator1", "displayName": "Operator", "description": "Its own",
                        "grantTypes": ["client_credentials"],
                        "allowedScopes": {"organizationScopes": {"roles": [{"name": "org_owner"}]}}});
    let (flavor, org_id) = (env.flavor, env.org.clone());
    let fields = itself.as_object().unwrap().clone();
    env.control.human(Human::Create { flavor, org_id, fields }).await.unwrap();
    let roles = vec!["org_owner".to_owned()];
    env.control.human(Human::GrantRoles { flavor, id: "victim".into(), roles }).await.unwrap();
    env.store_credentials("Of_operator1").await;
    let name = env.connection_name();
    let id = [
        "-n",
        "oauth-app-operator",
        "patch",
        "secret",
        &name,
        "--type=merge",
        "-p",
        r#"{"stringData":{"client-id":"victim"}}"#,
    ];
    plane().kubectl(&id).unwrap();
    let namespaces = json!({"from": "Names", "names": [env.namespace, neighbors.attacker]});
    let grants = json!([{"namespaces": namespaces, "orgs": {"from": "All"}}]);
    env.connect(json!({"grants": grants})).await;
    neighbors.attack(json!({"id": "victim", "secret": {"name": "loot"}, "suspend": true}));
    neighbors.forge_secret("victim");
    neighbors.attack(json!({"id": "victim", "secret": {"name": "loot"}, "suspend": false}));
    let message = neighbors.until_reason(&["IdTaken"]).await;
    assert!(message.contains("the operator's own OAuth client"), "{message}");
    assert_eq!(env.remote_app("victim").await.unwrap().secret_changes, 0);
}

#[tokio::test]
async fn a_finalizer_and_a_secret_that_are_forged_delete_no_app_of_others() {
    for (n, kind) in VICTIMS.into_iter().enumerate() {
        let neighbors = Neighbors::new(&format!("forged-deletion-{n}")).await;
        let before = neighbors.victim(kind).await;
        neighbors.attack(json!({"id": "victim", "secret": {"name": "loot"}, "suspend": true}));
        neighbors.forge_secret("victim");
        let finalizer = r#"{"metadata":{"finalizers":["oauth-apps.dev/remote-app"]}}"#;
        neighbors.as_attacker(&["patch", "ooa", "thief", "--type=merge", "-p", finalizer], "").unwrap();
        neighbors.as_attacker(&["delete", "ooa", "thief", "--wait=false"], "").unwrap();
        neighbors.env.until("the thief is gone", async || neighbors.thief("{.metadata.name}").is_empty()).await;
        neighbors.assert_untouched(&before).await;
    }
}

impl Neighbors {
    /// The victim's claim in the status of the attacker's resource, by somebody who may write status.
    async fn forge_status(&self) {
        let suspended = || self.thief("{.status.conditions[0].reason}") == "Suspended";
        self.env.until("the thief is suspended", async || suspended()).await;
        let owner = self.env.app("owner").await;
        let mut claim = serde_json::to_value(owner.status.unwrap().claim.unwrap()).unwrap();
        claim["uid"] = self.thief("{.metadata.uid}").into();
        let status = json!({"status": {"clientId": "victim", "secretName": "loot", "claim": claim}}).to_string();
        let forge =
            ["-n", &self.attacker, "patch", "ooa", "thief", "--subresource=status", "--type=merge", "-p", &status];
        plane().kubectl(&forge).unwrap();
    }
}

#[tokio::test]
async fn a_resource_that_names_an_app_of_others_in_secret_and_status_goes_without_an_alarm() {
    let neighbors = Neighbors::new("forged-alarm").await;
    let before = neighbors.victim("another tenant's").await;
    neighbors.attack(json!({"id": "victim", "secret": {"name": "loot"}, "suspend": true}));
    neighbors.forge_secret("victim");
    neighbors.forge_status().await;
    neighbors.attack(json!({"id": "victim", "secret": {"name": "loot"}, "suspend": false}));
    neighbors.until_reason(&["IdTaken", "IdConflict"]).await;
    let mut own = neighbors.env.manifest("own", json!({}));
    own["metadata"]["namespace"] = neighbors.attacker.as_str().into();
    neighbors.apply(&own);
    let ready = r"jsonpath={.status.conditions[?(@.type=='Ready')].status}";
    let is_ready = || neighbors.as_attacker(&["get", "ooa", "own", "-o", ready], "").is_ok_and(|said| said == "True");
    neighbors.env.until("the attacker has an app of its own", async || is_ready()).await;
    for name in ["thief", "own"] {
        // The operator deletes nothing meanwhile, so the finalizer goes by the attacker's hand.
        let refuse = Action::Status { status: 503, message: "no".into(), performed: false };
        neighbors.env.control.fault(Fault::always(refuse).on(Operation::DeleteApps)).await.unwrap();
        neighbors.as_attacker(&["delete", "ooa", name, "--wait=false"], "").unwrap();
        let off = r#"{"metadata":{"finalizers":null}}"#;
        neighbors.as_attacker(&["patch", "ooa", name, "--type=merge", "-p", off], "").ok();
        let is_gone = || neighbors.as_attacker(&["get", "ooa", name], "").is_err();
        neighbors.env.until(&format!("{name} is gone"), async || is_gone()).await;
    }
    let reason = "--field-selector=reason=FinalizerRemoved";
    let names = r"jsonpath={.items[*].involvedObject.name}";
    let alarms = || neighbors.as_attacker(&["get", "events", reason, "-o", names], "").unwrap();
    // What is reported of the second one follows what would be reported of the first.
    neighbors.env.until("an Event says it of the own app", async || alarms().contains("own")).await;
    assert_eq!(alarms(), "own");
    neighbors.assert_untouched(&before).await;
}

#[tokio::test]
async fn a_forged_status_takes_no_app_of_others() {
    let neighbors = Neighbors::new("forged-status").await;
    let before = neighbors.victim("another tenant's").await;
    neighbors.attack(json!({"id": "victim", "suspend": true}));
    neighbors.forge_status().await;
    neighbors.attack(json!({"id": "victim", "suspend": false}));
    neighbors.until_reason(&["IdTaken", "IdConflict"]).await;
    neighbors.assert_untouched(&before).await;
}

#[tokio::test]
async fn a_resource_without_a_grant_keeps_no_id_from_others() {
    let neighbors = Neighbors::new("ungranted-id").await;
    let env = &neighbors.env;
    let only = json!([{"namespaces": {"from": "Names", "names": [env.namespace]}, "orgs": {"from": "All"}}]);
    env.connect(json!({ "grants": only })).await;
    neighbors.attack(json!({"id": "wanted"}));
    neighbors.until_reason(&["NotGranted"]).await;
    env.create("billing", json!({"id": "wanted"})).await;
    env.until_ready("billing").await;
    env.assert_credential_works("billing").await;
}

#[tokio::test]
async fn a_connection_cannot_be_switched_under_an_app() {
    let neighbors = Neighbors::new("switched").await;
    neighbors.attack(json!({}));
    let switch = r#"{"spec":{"connectionRef":{"name":"another"}}}"#;
    let refused = neighbors.as_attacker(&["patch", "ooa", "thief", "--type=merge", "-p", switch], "").unwrap_err();
    assert!(refused.contains("connectionRef is immutable: delete the resource and create it again"), "{refused}");
}

#[tokio::test]
async fn an_id_whose_create_was_refused_is_free_for_others() {
    let env = TenantEnv::running("refused-id", Flavor::Csp).await;
    let refused = Action::Status { status: 400, message: "no".into(), performed: false };
    env.control.fault(Fault::once(refused).on(Operation::CreateApp)).await.unwrap();
    env.create("first", json!({"id": "wanted"})).await;
    env.until_stalled("first", "Rejected").await;
    let status = env.app("first").await.status.unwrap();
    assert_eq!((status.client_id, status.claim), (None, None), "the claim is taken back");
    env.delete("first").await;
    env.until_gone("first").await;
    env.create("second", json!({"id": "wanted"})).await;
    env.until_ready("second").await;
    assert_eq!(env.calls(Operation::CreateApp).await, 2);
}

#[tokio::test]
async fn an_endpoint_that_changes_under_an_app_stops_every_call_until_it_is_declared_to_be_the_same_api() {
    let env = TenantEnv::running("moved-api", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let credential = env.credential("billing").await;
    let endpoint = env.connection(json!({}))["spec"]["endpoint"].as_str().unwrap().to_owned();
    // The same place by another spelling is the same API.
    env.connect(json!({"endpoint": format!("{}/", endpoint.to_uppercase().replace("HTTPS", "https"))})).await;
    env.annotate("billing", "oauth-apps.dev/reconcile-requested-at", "1").await;
    let handled = async || env.app("billing").await.status.unwrap().last_handled_reconcile_at.is_some();
    env.until("the other spelling is used", handled).await;
    env.until_ready("billing").await;

    let elsewhere = if endpoint.contains("localhost") {
        endpoint.replace("localhost", "127.0.0.1")
    } else {
        endpoint.replace("127.0.0.1", "localhost")
    };
    let calls = env.app_calls().await;
    env.connect(json!({"endpoint": elsewhere, "resyncInterval": "10m"})).await;
    let message = env.until_stalled("billing", "EndpointChanged").await;
    assert!(message.contains(endpoint.trim_end_matches('/')) && message.contains("formerEndpoints"), "{message}");
    env.delete("billing").await;
    let says = async || {
        let stalled = env.condition("billing", ConditionType::Stalled).await.unwrap();
        stalled.reason == "EndpointChanged" && stalled.message.contains("set spec.deletionPolicy to Retain")
    };
    env.until("its deletion says what to do", says).await;
    assert_eq!(env.app_calls().await, calls, "the other address hears of nothing");
    assert_eq!(env.credential("billing").await, credential);
    env.connect(json!({"endpoint": elsewhere, "formerEndpoints": [endpoint]})).await;
    env.until_gone("billing").await;
    assert!(env.control.apps().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_resource_restored_with_another_uid_finds_its_app_and_its_secret_again() {
    let env = TenantEnv::running("restored-uid", Flavor::Csp).await;
    for (name, spec) in [("derived", json!({})), ("chosen", json!({"id": "chosen-id"}))] {
        env.create(name, spec.clone()).await;
        env.until_ready(name).await;
        let credential = env.credential(name).await.unwrap();
        let backup = env.secret(name).await.unwrap();
        env.operator().kill().unwrap();
        let mut backup = serde_json::to_value(backup).unwrap();
        for field in ["uid", "resourceVersion", "ownerReferences", "creationTimestamp", "managedFields"] {
            backup["metadata"].as_object_mut().unwrap().remove(field);
        }
        backup["apiVersion"] = "v1".into();
        backup["kind"] = "Secret".into();
        env.kubectl(&["patch", "ooa", name, "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
        env.kubectl(&["delete", "ooa", name, "--cascade=foreground", "--wait=true"]);
        env.until("the Secret is collected", async || env.secret(name).await.is_none()).await;
        plane().kubectl_with_input(&["-n", &env.namespace, "create", "-f", "-"], &backup.to_string()).unwrap();
        env.create(name, spec).await;
        env.operator().start().unwrap();
        env.until_ready(name).await;
        assert_eq!(env.credential(name).await.unwrap(), credential);
        assert_eq!(env.app(name).await.status.unwrap().client_id, Some(credential.0));
    }
    assert_eq!((env.calls(Operation::CreateApp).await, env.calls(Operation::UpdateApp).await), (2, 0));
}

impl Neighbors {
    /// The thief goes, with its finalizer set by hand if it has none.
    async fn delete_thief(&self) {
        let finalizer = r#"{"metadata":{"finalizers":["oauth-apps.dev/remote-app"]}}"#;
        self.as_attacker(&["patch", "ooa", "thief", "--type=merge", "-p", finalizer], "").unwrap();
        self.as_attacker(&["delete", "ooa", "thief", "--wait=false"], "").unwrap();
        self.env.until("the thief is gone", async || self.thief("{.metadata.name}").is_empty()).await;
    }
}

#[tokio::test]
async fn an_id_whose_create_was_refused_gives_no_right_to_an_app_that_others_make_under_it() {
    let neighbors = Neighbors::new("refused-intent").await;
    for (status, reason) in [(400, "Rejected"), (403, "Forbidden")] {
        let refused = Action::Status { status, message: "no".into(), performed: false };
        neighbors.env.control.fault(Fault::always(refused).on(Operation::CreateApp)).await.unwrap();
        neighbors.attack(json!({"id": "victim", "secret": {"name": "loot"}, "suspend": true}));
        neighbors.forge_secret("victim");
        neighbors.attack(json!({"id": "victim", "secret": {"name": "loot"}, "suspend": false}));
        neighbors.until_reason(&[reason]).await;
        assert_eq!(neighbors.thief("{.status.claim}"), "", "the intent is taken back");
        neighbors.env.control.clear_faults().await.unwrap();
        let before = neighbors.victim("made in the console").await;
        let asked = "oauth-apps.dev/reconcile-requested-at=now";
        neighbors.as_attacker(&["annotate", "ooa", "thief", asked], "").unwrap();
        neighbors.until_reason(&["IdTaken"]).await;
        neighbors.delete_thief().await;
        neighbors.assert_untouched(&before).await;
        let flavor = neighbors.env.flavor;
        neighbors.env.control.human(Human::Delete { flavor, id: "victim".into() }).await.unwrap();
        neighbors.as_attacker(&["delete", "secret", "loot", "--ignore-not-found"], "").unwrap();
    }
}

#[tokio::test]
async fn a_claim_from_before_an_app_was_deleted_takes_no_app_that_others_made_under_its_id() {
    let neighbors = Neighbors::new("replayed-claim").await;
    neighbors.attack(json!({"id": "victim", "secret": {"name": "loot"}}));
    let ready = || neighbors.thief("{.status.conditions[?(@.type=='Ready')].status}") == "True";
    neighbors.env.until("the thief has an app of its own", async || ready()).await;
    let annotation = r"jsonpath={.metadata.annotations.oauth-apps\.dev/claim}";
    let claim = neighbors.as_attacker(&["get", "secret", "loot", "-o", annotation], "").unwrap();
    assert!(claim.contains("signature"), "{claim}");
    neighbors.delete_thief().await;
    let secret = || neighbors.as_attacker(&["get", "secret", "loot"], "");
    neighbors.env.until("its Secret is collected", async || secret().is_err()).await;
    let before = neighbors.victim("made in the console").await;
    let replay = || {
        neighbors.apply(&json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "loot", "annotations": {"oauth-apps.dev/claim": claim}},
            "stringData": {"client-id": "victim", "client-secret": "guessed"},
        }));
    };
    replay();
    neighbors.attack(json!({"id": "victim", "secret": {"name": "loot"}}));
    neighbors.until_reason(&["IdTaken"]).await;
    neighbors.assert_untouched(&before).await;
    neighbors.delete_thief().await;
    neighbors.assert_untouched(&before).await;
}
