//! What one test has for itself: a namespace, an IAM simulator, a connection to it and an operator.
//! When it is dropped it proves that no secret value is in a log, an Event or a status.

use crate::cluster::{OPERATOR_NAMESPACE, OPERATOR_USER, plane};
use crate::operator::Operator;
use base64::Engine;
use control_plane::{AuditRecord, Scratch};
use iam_simulator::Simulator;
use iam_simulator::client::Control;
use iam_simulator::types::{CallFilter, Flavor, Operation};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, CustomResourceExt};
use oauth_app_operator::crd::{Condition, ConditionStatus, ConditionType, IamConnection, OrgOAuthApp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The OAuth app as which the operator calls.
const OPERATOR_ID: &str = "operator";

/// Longer than the operator waits for an API that may lag, which is two minutes.
const DEADLINE: Duration = Duration::from_secs(240);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub struct World {
    pub namespace: String,
    pub flavor: Flavor,
    pub org: String,
    pub control: Control,
    pub client: Client,
    simulator: Simulator,
    operator: Mutex<Operator>,
    known_secrets: Mutex<BTreeSet<String>>,
    _scratch: Scratch,
}

impl World {
    /// A namespace, a simulator that knows one organization, and an operator that does not run yet.
    pub async fn new(namespace: &str, flavor: Flavor) -> Self {
        let client = plane().admin_client().await.unwrap();
        plane().kubectl(&["create", "namespace", namespace]).unwrap();
        let simulator = Simulator::spawn();
        let control = simulator.control();
        let org = format!("org-of-{namespace}");
        control.seed_org(flavor, &org, true).await.unwrap();
        let scratch = Scratch::new().unwrap();
        let operator = Mutex::new(Operator::new(namespace, scratch.path()).await);
        let known_secrets = Mutex::default();
        let namespace = namespace.to_owned();
        Self { namespace, flavor, org, control, client, simulator, operator, known_secrets, _scratch: scratch }
    }

    /// The same with a working connection and the operator at work.
    pub async fn running(namespace: &str, flavor: Flavor) -> Self {
        let world = Self::new(namespace, flavor).await;
        world.give_credentials().await;
        world.connect(json!({})).await;
        world.operator().start();
        world
    }

    pub fn operator(&self) -> MutexGuard<'_, Operator> {
        self.operator.lock().unwrap()
    }

    /// Kill -9 at random moments, each so many milliseconds after the last start.
    pub async fn kill_repeatedly(&self, times: usize, after_ms: Range<u64>) {
        for _ in 0..times {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(after_ms.clone()))).await;
            self.operator().kill();
            self.operator().start();
        }
    }

    fn known(&self, value: &str) {
        self.known_secrets.lock().unwrap().insert(value.to_owned());
    }

    /// The connection has the name of the namespace, so that tests do not share one.
    pub fn connection_name(&self) -> String {
        self.namespace.clone()
    }

    /// The OAuth app as which the operator calls, known to the simulator and stored where the connection looks for it.
    pub async fn give_credentials(&self) {
        let secret = format!("Of_operator1-{}", self.namespace);
        self.control.seed_client(self.flavor, &self.org, OPERATOR_ID, &secret).await.unwrap();
        self.store_credentials(&secret).await;
    }

    pub async fn store_credentials(&self, secret: &str) {
        self.known(secret);
        self.store_secret(json!({"id": OPERATOR_ID, "secret": secret})).await;
    }

    /// An API token of the organization in the place of the OAuth app: what the connection says then.
    pub async fn give_api_token(&self) -> Value {
        let token = format!("api-token-of-{}", self.namespace);
        self.control.seed_api_token(self.flavor, &self.org, &token).await.unwrap();
        self.store_api_token(&token).await;
        let reference = json!({"secretRef": {"name": self.connection_name(), "key": "token"}});
        json!({"credentials": {"clientCredentials": null, "apiToken": reference}})
    }

    pub async fn store_api_token(&self, token: &str) {
        self.known(token);
        self.store_secret(json!({ "token": token })).await;
    }

    async fn store_secret(&self, data: Value) {
        let secret = json!({"metadata": {"name": self.connection_name()}, "stringData": data});
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        let params = PatchParams::apply("test").force();
        let body = with_kind("v1", "Secret", secret);
        secrets.patch(&self.connection_name(), &params, &Patch::Apply(&body)).await.unwrap();
    }

    /// The manifest of a connection that works; `spec` is merged into it.
    pub fn connection(&self, spec: Value) -> Value {
        let name = self.connection_name();
        let api = match self.flavor {
            Flavor::Csp => "CloudServices",
            Flavor::Cpn => "CloudPartnerNavigator",
        };
        let mut all = json!({
            "api": api, "endpoint": self.simulator.endpoint(self.flavor),
            "caBundle": {"configMapRef": {"name": name, "key": "ca.crt"}},
            "credentials": {"clientCredentials": {"secretRef": {
                "name": name, "clientIdKey": "id", "clientSecretKey": "secret",
            }}},
            "grants": [{"namespaces": {"from": "Names", "names": [self.namespace]}, "orgs": {"from": "All"}, "allow": everything()}],
            "limits": {"timeout": "5s"}, "resyncInterval": "1s",
        });
        merge(&mut all, spec);
        let connection = json!({"metadata": {"name": name}, "spec": all});
        with_kind("oauth-apps.dev/v1alpha1", "IamConnection", connection)
    }

    /// Creates or changes the connection and what it trusts.
    pub async fn connect(&self, spec: Value) {
        let name = self.connection_name();
        let ca = json!({"metadata": {"name": name}, "data": {"ca.crt": self.simulator.ca_pem()}});
        let maps: Api<DynamicObject> = Api::namespaced_with(
            self.client.clone(),
            OPERATOR_NAMESPACE,
            &kube::core::ApiResource::erase::<k8s_openapi::api::core::v1::ConfigMap>(&()),
        );
        let params = PatchParams::apply("test").force();
        maps.patch(&name, &params, &Patch::Apply(&with_kind("v1", "ConfigMap", ca))).await.unwrap();
        self.connections().patch(&name, &params, &Patch::Apply(&self.connection(spec))).await.unwrap();
    }

    pub fn connections(&self) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &IamConnection::api_resource())
    }

    pub fn apps(&self) -> Api<OrgOAuthApp> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The manifest of a small app; `spec` is merged into it.
    pub fn manifest(&self, name: &str, spec: Value) -> Value {
        let mut all = json!({
            "connectionRef": {"name": self.connection_name()}, "orgId": self.org, "displayName": "Billing export",
            "description": "Nightly", "grantTypes": ["client_credentials"], "allowedScopes": {},
        });
        merge(&mut all, spec);
        let object = json!({"metadata": {"name": name, "namespace": self.namespace}, "spec": all});
        with_kind("oauth-apps.dev/v1alpha1", "OrgOAuthApp", object)
    }

    pub async fn create(&self, name: &str, spec: Value) {
        let object: OrgOAuthApp = serde_json::from_value(self.manifest(name, spec)).unwrap();
        self.apps().create(&PostParams::default(), &object).await.unwrap();
    }

    pub async fn change(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.apps().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    pub async fn annotate(&self, name: &str, annotation: &str, value: &str) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {annotation: value}}}));
        self.apps().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// A value of the Secret as a pod would read it.
    pub async fn value(&self, name: &str, key: &str) -> Option<String> {
        let data = self.secret(name).await?.data?;
        data.get(key).map(|value| String::from_utf8(value.0.clone()).unwrap())
    }

    /// A Secret that a user hands to the operator.
    pub async fn bring(&self, name: &str, value: &str) {
        self.known(value);
        let labels = json!({"oauth-apps.dev/use": "true"});
        let secret = json!({"metadata": {"name": name, "labels": labels}, "stringData": {"value": value}});
        let params = PatchParams::apply("test").force();
        self.secrets().patch(name, &params, &Patch::Apply(&with_kind("v1", "Secret", secret))).await.unwrap();
    }

    pub async fn delete(&self, name: &str) {
        self.apps().delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub async fn app(&self, name: &str) -> OrgOAuthApp {
        self.apps().get(name).await.unwrap()
    }

    pub async fn secret(&self, name: &str) -> Option<Secret> {
        let secret = self.secrets().get_opt(name).await.unwrap();
        for value in
            secret.iter().flat_map(|secret| secret.data.iter().flatten()).filter(|(key, _)| key.contains("secret"))
        {
            self.known(&String::from_utf8_lossy(&value.1.0));
        }
        secret
    }

    /// Client id and secret as a pod would read them.
    pub async fn credential(&self, name: &str) -> Option<(String, String)> {
        let data = self.secret(name).await?.data?;
        let text = |key: &str| data.get(key).map(|value| String::from_utf8(value.0.clone()).unwrap());
        text("client-id").zip(text("client-secret"))
    }

    /// The published credential does what it is for.
    pub async fn assert_credential_works(&self, name: &str) {
        self.assert_credential_of_org_works(name, &self.org).await;
    }

    pub async fn assert_credential_of_org_works(&self, name: &str, org: &str) {
        let (id, secret) = self.credential(name).await.expect("a Secret with id and secret");
        let token = self.control.token(self.flavor, org, &id, &secret).await;
        assert!(token.is_ok(), "no token for {id}: {}", token.unwrap_err());
    }

    pub async fn condition(&self, name: &str, kind: ConditionType) -> Option<Condition> {
        let app = self.apps().get_opt(name).await.unwrap()?;
        app.status?.conditions.into_iter().find(|condition| condition.r#type == kind)
    }

    pub async fn until_ready(&self, name: &str) {
        self.until(&format!("{name} is Ready"), async || {
            let ready = self.condition(name, ConditionType::Ready).await;
            ready.is_some_and(|ready| ready.status == ConditionStatus::True)
        })
        .await;
    }

    /// Waits for a condition to be true with this reason, and returns its message.
    pub async fn until_reason(&self, name: &str, kind: ConditionType, reason: &str) -> String {
        self.until(&format!("{name} is {kind:?} with reason {reason}"), async || {
            let condition = self.condition(name, kind).await;
            condition.is_some_and(|c| c.status == ConditionStatus::True && c.reason == reason)
        })
        .await;
        self.condition(name, kind).await.unwrap().message
    }

    pub async fn until_stalled(&self, name: &str, reason: &str) -> String {
        self.until_reason(name, ConditionType::Stalled, reason).await
    }

    /// Waits until a rotation that was requested with this value of the annotation is done.
    pub async fn until_rotated(&self, name: &str, value: &str) {
        let handled = async || self.app(name).await.status.unwrap().last_handled_rotate_at.as_deref() == Some(value);
        self.until(&format!("{name} is rotated as requested"), handled).await;
    }

    pub async fn until_gone(&self, name: &str) {
        self.until(&format!("{name} is gone"), async || self.apps().get_opt(name).await.unwrap().is_none()).await;
    }

    /// Looks until it holds; past the deadline it fails and shows everything that helps.
    pub async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let begin = Instant::now();
        while !holds().await {
            if begin.elapsed() > DEADLINE {
                panic!("not so after {DEADLINE:?}: {what}\n{}", self.picture().await);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn picture(&self) -> String {
        let status = self.kubectl(&["get", "ooa", "-o", "yaml"]);
        let calls = self.control.calls(&CallFilter::default()).await.unwrap();
        let calls =
            calls.iter().rev().take(20).map(|call| format!("{:?} {:?} {:?}", call.operation, call.status, call.fault));
        let calls: Vec<_> = calls.collect();
        let log = self.operator().log();
        let tail: Vec<_> = log.lines().rev().take(30).collect();
        format!("{status}\ncalls, newest first: {calls:#?}\nlog, newest first:\n{}", tail.join("\n"))
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let arguments: Vec<&str> = ["-n", &self.namespace].into_iter().chain(arguments.iter().copied()).collect();
        plane().kubectl(&arguments).unwrap()
    }

    /// The notes of the Events of a reason about an object.
    pub fn notes(&self, name: &str, reason: &str) -> Vec<String> {
        let events: Value =
            serde_json::from_str(&self.kubectl(&["get", "events.events.k8s.io", "-o", "json"])).unwrap();
        let about = |event: &&Value| event["regarding"]["name"] == name && event["reason"] == reason;
        let note = |event: &Value| event["note"].as_str().unwrap_or_default().to_owned();
        events["items"].as_array().unwrap().iter().filter(about).map(note).collect()
    }

    /// How many calls of a kind the simulator has seen.
    pub async fn calls(&self, operation: Operation) -> u64 {
        self.control.count(&CallFilter::operation(operation)).await.unwrap()
    }

    /// How many calls the simulator has seen, token exchanges left out: a connection is proven without any app.
    pub async fn app_calls(&self) -> u64 {
        let calls = self.control.calls(&CallFilter::default()).await.unwrap();
        calls.iter().filter(|call| call.operation != Operation::Token).count() as u64
    }

    /// A condition of the connection: its status, reason and message.
    pub async fn connection_condition(&self, kind: &str) -> Option<[String; 3]> {
        let connection = self.connections().get(&self.connection_name()).await.unwrap();
        let conditions = connection.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let condition = conditions.into_iter().find(|condition| condition["type"] == kind)?;
        Some(["status", "reason", "message"].map(|name| condition[name].as_str().unwrap_or_default().to_owned()))
    }

    /// Waits for a condition of the connection, and returns its message.
    pub async fn until_connection(&self, kind: &str, status: &str, reason: &str) -> String {
        let found = async || self.connection_condition(kind).await.filter(|c| c[0] == status && c[1] == reason);
        self.until(&format!("the connection is {kind}={status}, {reason}"), async || found().await.is_some()).await;
        found().await.map(|condition| condition[2].clone()).unwrap_or_default()
    }

    pub async fn remote_app(&self, id: &str) -> Option<iam_simulator::types::AppView> {
        self.control.app(self.flavor, id).await.unwrap()
    }

    /// What the API server recorded of this operator in this namespace.
    pub fn audit(&self, wanted: impl Fn(&AuditRecord) -> bool) -> Vec<AuditRecord> {
        let ours = |record: &AuditRecord| record.user == OPERATOR_USER && record.namespace == self.namespace;
        plane().audit(&self.namespace, |record| ours(record) && wanted(record)).unwrap()
    }

    /// Nothing that a person or a log collector reads may hold a secret value.
    pub fn find_leaks(&self, text: &str) -> Vec<String> {
        let known = self.known_secrets.lock().unwrap();
        let encoded = |value: &String| base64::engine::general_purpose::STANDARD.encode(value);
        let forms = known.iter().flat_map(|value| [value.clone(), encoded(value)]);
        // Access tokens are not known here, but the payload of each begins so.
        forms.chain([".eyJ".into()]).filter(|form| text.contains(form.as_str())).collect()
    }

    fn assert_no_leak(&self) {
        let objects = self.kubectl(&["get", "ooa,events", "-o", "json"]);
        self.assert_no_leak_in("the log", &self.operator().log());
        self.assert_no_leak_in("status or Events", &objects);
    }

    /// Of a key that is written twice, most readers see the last value only, so such a line is longer than what they see of it.
    fn assert_each_key_once(&self) {
        for line in self.operator().log().lines() {
            let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
            assert_eq!(value.to_string().len(), line.len(), "a key is written twice: {line}");
        }
    }

    pub fn assert_no_leak_in(&self, what: &str, text: &str) {
        let leaks = self.find_leaks(text);
        assert!(leaks.is_empty(), "secret values in {what} of {}: {leaks:?}", self.namespace);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_no_leak();
            self.assert_each_key_once();
        }
    }
}

/// A grant that holds nobody back.
fn everything() -> Value {
    let every_service = json!([{"serviceDefinitionId": "*", "names": ["*"]}]);
    json!({"organizationRoles": ["*"], "serviceRoles": every_service, "adoption": true})
}

fn with_kind(version: &str, kind: &str, mut object: Value) -> Value {
    object["apiVersion"] = version.into();
    object["kind"] = kind.into();
    object
}

/// A merge patch (RFC 7386).
fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                match value {
                    Value::Null => drop(into.remove(&key)),
                    value => merge(into.entry(key).or_insert(Value::Null), value),
                }
            }
        }
        (into, patch) => *into = patch,
    }
}

#[tokio::test]
async fn a_leak_would_be_found() {
    let world = World::new("leak", Flavor::Csp).await;
    world.known("a-known-value");
    let encoded = base64::engine::general_purpose::STANDARD.encode("a-known-value");
    assert_eq!(world.find_leaks("says a-known-value here"), ["a-known-value"]);
    assert_eq!(world.find_leaks(&format!("says {encoded} here")), [encoded]);
    assert_eq!(world.find_leaks("Bearer eyJhbGciOi.eyJpc3MiOi"), [".eyJ"]);
    assert!(world.find_leaks("says nothing").is_empty());
}
