//! Text that a tenant, an API or an administrator writes: whatever it is, the work on it ends, nothing of a secret is
//! repeated, and all others go on.

use crate::cluster::{OPERATOR_NAMESPACE, plane};
use crate::env::TenantEnv;
use crate::tenancy::Tenant;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iam_simulator::Simulator;
use iam_simulator::types::{Action, Fault, Flavor, Operation, Spelling};
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

/// A Secret that a tenant hands to the operator.
fn provided(env: &TenantEnv, name: &str, value: &str) -> Value {
    let metadata = json!({"name": name, "namespace": env.namespace, "labels": {"oauth-apps.dev/use": "true"}});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"value": value}})
}

#[tokio::test]
async fn a_template_that_is_a_program_is_refused_by_kubectl_apply_and_the_operator_goes_on() {
    let env = TenantEnv::running("hostile-templates", Flavor::Csp).await;
    let tenant = Tenant::of(&env);
    let list = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let nested = format!("{{% for a in [{list}] %}}").repeat(6) + "x" + &"{% endfor %}".repeat(6);
    let sentence = "a template is text and {{ name }} or {{ name | function }}, and nothing else";
    for (template, sentence) in [
        (nested, sentence),
        ("{{ ".to_owned() + &"(".repeat(4000), sentence),
        ("{{ ".to_owned() + &"(".repeat(2000) + "clientId" + &")".repeat(2000) + " }}", sentence),
        ("{{ clientId ".to_owned() + &"|json".repeat(800) + " }}", sentence),
        ("{{ clientId ".to_owned() + &"|json".repeat(1000) + " }}", "Too long: may not be more than 4096"),
        ("{{ clientSecret.len }}".to_owned(), sentence),
        ("{% include \"/var/run/secrets/kubernetes.io/serviceaccount/token\" %}".to_owned(), sentence),
    ] {
        let refused = tenant.apply(&env.manifest("hostile", json!({"secret": {"template": {"x": template}}})));
        let refused = refused.unwrap_err();
        assert!(refused.contains(sentence), "{refused}");
    }
    let keys: Value =
        (0..33).map(|n| (format!("key-{n}"), json!("{{ orgId }}"))).collect::<serde_json::Map<_, _>>().into();
    let refused = tenant.apply(&env.manifest("hostile", json!({"secret": {"template": keys}}))).unwrap_err();
    assert!(refused.contains("must have at most 32 items"), "{refused}");
    tenant.apply(&env.manifest("billing", json!({"secret": {"template": {"org": "{{ orgId }}"}}}))).unwrap();
    env.until_ready("billing").await;
    assert_eq!(env.value("billing", "org").await.as_deref(), Some("org-of-hostile-templates"));
}

#[tokio::test]
async fn a_provided_secret_that_cannot_be_one_is_refused_by_name_while_another_app_becomes_ready() {
    let env = TenantEnv::running("hostile-provided", Flavor::Csp).await;
    let tenant = Tenant::of(&env);
    for (name, value, why) in [
        ("huge", "x".repeat(900 << 10), "key value of Secret huge is longer than 1 KiB"),
        ("lines", "Brought-\nby-hand1".to_owned(), "key value of Secret lines holds a control character"),
        ("blank", "\n".to_owned(), "key value of Secret blank is empty"),
    ] {
        tenant.send("create", &provided(&env, name, &value)).unwrap();
        let provided = json!({"clientSecretRef": {"name": name, "key": "value"}});
        let app = format!("uses-{name}");
        tenant.apply(&env.manifest(&app, provided)).unwrap();
        let message = env.until_stalled(&app, "SecretRefInvalid").await;
        assert!(message.starts_with(why), "{message}");
    }
    assert_eq!(env.app_calls().await, 0);
    tenant.send("create", &provided(&env, "right", "Brought_by_hand1\r\n")).unwrap();
    let provided = json!({"clientSecretRef": {"name": "right", "key": "value"}});
    tenant.apply(&env.manifest("billing", provided)).unwrap();
    env.until_ready("billing").await;
    assert_eq!(env.value("billing", "client-secret").await.as_deref(), Some("Brought_by_hand1"));
    env.assert_credential_works("billing").await;
}

#[tokio::test]
async fn a_published_secret_that_is_edited_to_a_huge_one_is_not_sent_to_the_api() {
    let env = TenantEnv::running("hostile-edit", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let tenant = Tenant::of(&env);
    let mut edited = json!(env.secret("billing").await.unwrap());
    let original = edited["data"]["client-secret"].clone();
    edited["data"]["client-secret"] = STANDARD.encode("x".repeat(600 << 10)).into();
    edited["metadata"]["managedFields"] = Value::Null;
    tenant.send("replace", &edited).unwrap();
    let put_right = async || {
        let data = env.credential("billing").await;
        data.is_some_and(|(_, secret)| secret.len() < 1024 && STANDARD.encode(secret) != original)
    };
    env.until("there is a secret that can be one", put_right).await;
    env.until_ready("billing").await;
    env.assert_credential_works("billing").await;
}

#[tokio::test]
async fn credentials_of_a_connection_that_cannot_be_any_are_refused_by_name() {
    let env = TenantEnv::new("hostile-token", Flavor::Csp).await;
    let credentials = env.give_api_token().await;
    env.connect(credentials).await;
    env.operator().start().unwrap();
    env.create("billing", json!({"suspend": true})).await;
    env.until_connection("Ready", "True", "Provisioned").await;
    for (token, why) in [
        ("x".repeat((16 << 10) + 1), "is longer than 16 KiB"),
        ("api-token\tof-somebody".to_owned(), "holds a control character"),
    ] {
        env.store_api_token(&token).await;
        let says = async || {
            let ready = env.connection_condition("Ready").await.unwrap();
            ready[0] == "False"
                && ready[2].contains(&format!("key token of Secret {OPERATOR_NAMESPACE}/hostile-token {why}"))
        };
        env.until(why, says).await;
    }
    env.store_api_token("api-token-of-hostile-token\n").await;
    env.until_connection("Ready", "True", "Provisioned").await;
}

/// The ways in which the simulator quotes a secret, and those in which a log repeats what it quotes.
fn spellings(secret: &str) -> Vec<String> {
    let json = |text: &str| json!(text).to_string().trim_matches('"').to_owned();
    let form = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let within_base64 = |before: usize| {
        let encoded = STANDARD.encode("x".repeat(before) + secret);
        encoded[(before * 8).div_ceil(6)..(before + secret.len()) * 8 / 6].to_owned()
    };
    let mut all = vec![secret.to_owned(), form(secret), form(&json(secret)), json(secret)];
    all.extend((0..3).map(within_base64));
    all.extend([json(&json(secret)), json(&json(&json(secret)))]);
    all
}

#[tokio::test]
async fn an_api_that_quotes_the_call_puts_no_spelling_of_a_secret_anywhere() {
    let env = TenantEnv::running("hostile-quotes", Flavor::Csp).await;
    let tenant = Tenant::of(&env);
    let secret = "Pr0v\"id\\e+d/by=ha%nd&4711";
    tenant.send("create", &provided(&env, "mine", secret)).unwrap();
    let quotes = [Spelling::Plain, Spelling::Json, Spelling::Percent, Spelling::Base64, Spelling::Headers];
    for (number, spelling) in quotes.into_iter().enumerate() {
        let quote = Action::Echo { status: 400, spelling };
        env.control.fault(Fault::once(quote).on(Operation::CreateApp)).await.unwrap();
        let name = format!("app-{number}");
        let provided = json!({"clientSecretRef": {"name": "mine", "key": "value"}});
        tenant.apply(&env.manifest(&name, provided)).unwrap();
        let message = env.until_stalled(&name, "Rejected").await;
        assert!(message.contains("the answer repeats what was sent and is not shown"), "{spelling:?}: {message}");
    }
    let events = async || env.kubectl(&["get", "events", "-o", "json"]).matches("is not shown").count() >= 5;
    env.until("there is an Event for each", events).await;
    let objects = env.kubectl(&["get", "ooa,events", "-o", "json"]);
    for spelling in spellings(secret) {
        assert!(!objects.contains(&spelling), "{spelling} in status or Events");
        assert!(!env.operator().log().contains(&spelling), "{spelling} in the log");
    }
}

#[tokio::test]
async fn every_certificate_of_a_ca_bundle_is_trusted_or_the_connection_says_where_it_is_damaged() {
    let env = TenantEnv::running("hostile-ca", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let map = ["-n", OPERATOR_NAMESPACE, "get", "configmap", "hostile-ca", "-o", "jsonpath={.data.ca\\.crt}"];
    let ours = plane().kubectl(&map).unwrap();
    let other = Simulator::spawn().ca_pem().trim().to_owned();
    let trust = |pem: &str| {
        let patch = json!({"data": {"ca.crt": pem}}).to_string();
        let map = ["-n", OPERATOR_NAMESPACE, "patch", "configmap", "hostile-ca", "--type=merge", "-p", &patch];
        plane().kubectl(&map).unwrap();
    };
    let second = other.lines().count() + 1;
    for (bundle, why) in [
        (format!("{other}\n{}", ours.replace("-----BEGIN", "----BEGIN")), "there is text outside of the certificates"),
        (format!("{other}\n{}", ours.replace("CERTIFICATE", "PRIVATE KEY")), "there is a private key"),
    ] {
        trust(&bundle);
        let says = async || {
            let ready = env.connection_condition("Ready").await.unwrap();
            ready[1] == "ConnectionInvalid" && ready[2].contains(&format!("line {second}: {why}"))
        };
        env.until(why, says).await;
    }
    trust(&format!("{other}{}", ours.trim()));
    env.until_connection("Ready", "True", "Provisioned").await;
    env.change("billing", json!({"displayName": "Changed"})).await;
    let (id, _) = env.credential("billing").await.unwrap();
    let changed = async || env.remote_app(&id).await.unwrap().fields["displayName"] == "Changed";
    env.until("the API that the second certificate is for is called", changed).await;
}
