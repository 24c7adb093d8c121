//! The alerts and the dashboard that ship, evaluated by Prometheus' own engine over what the real operator measured while
//! the simulator misbehaved. What goes on for seconds here is taken to go on for hours, at the same pace.

use crate::cluster::{OPERATOR_NAMESPACE, plane, repository};
use crate::consumers::{from_env, rotated_hours_ago, run_pod};
use crate::env::TenantEnv;
use crate::metrics::small_life;
use crate::promtool::{Case, assert_cases, ending, in_namespace, lasting, shipped};
use crate::proxy::{Proxy, Way};
use crate::scrape::Scrape;
use futures::future::join_all;
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use oauth_app_operator::metrics::{FAMILIES, Metrics};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::pin::Pin;

fn firing(name: &'static str, series: Vec<Value>, alerts: &[&str]) -> Case {
    let answers = alerts.iter().map(|alert| format!("{{alertname={alert:?}}}")).collect();
    let query = r#"group by (alertname) (ALERTS{alertstate="firing"})"#.to_owned();
    Case { name, series, query, answers }
}

fn refuse(status: u16) -> Fault {
    Fault::always(Action::Status { status, message: "no".into(), performed: false })
}

async fn with_a_ready_app(namespace: &str, spec: Value) -> TenantEnv {
    let env = TenantEnv::running(namespace, Flavor::Csp).await;
    env.create("billing", spec).await;
    env.until_ready("billing").await;
    env
}

/// The scrapes before and after a series grew.
async fn until_it_grows(env: &TenantEnv, name: &str, labels: &[(&str, &str)]) -> Vec<Value> {
    let before = Scrape::of(env).await;
    let was = before.sum(name, labels).unwrap_or_default();
    env.until_metric(name, labels, |now| now >= was + 2.0).await;
    lasting(&before, &Scrape::of(env).await)
}

/// And one of two operators that are well, of which the other is killed.
async fn all_is_well_and_then_it_is_killed() -> Vec<Case> {
    let env = with_a_ready_app("alert-none", json!({"rotation": {"interval": "720h", "overlap": "48h"}})).await;
    let well = until_it_grows(&env, "reconciles_total", &[("outcome", "settled")]).await;
    let last = Scrape::of(&env).await;
    env.operator().kill().unwrap();
    let killed = firing("killed", ending(&last), &["OAuthAppOperatorDown"]);
    let [well_elsewhere, killed_here] = [in_namespace(&well, "iam-a"), in_namespace(&killed.series, "iam-b")];
    let one_of_two = Case {
        name: "one of two is killed",
        series: [well_elsewhere, killed_here].concat(),
        query: r#"group by (alertname, namespace) (ALERTS{alertstate="firing"})"#.into(),
        answers: [r#"{alertname="OAuthAppOperatorDown", namespace="iam-b"}"#.to_owned()].into(),
    };
    let never = firing("never scraped", vec![], &["OAuthAppOperatorDown"]);
    vec![firing("all is well", well, &[]), killed, one_of_two, never]
}

async fn wrong_credentials() -> Case {
    let env = TenantEnv::new("alert-refused", Flavor::Csp).await;
    env.store_credentials("not-the-right-token").await;
    env.connect(json!({})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_metric("token_refreshes_total", &[("result", "refused")], |count| count >= 1.0).await;
    env.until_metric("connection_ready", &[("connection", "alert-refused")], |ready| ready == 0.0).await;
    let before = Scrape::of(&env).await;
    env.store_credentials("not-the-right-one-either").await;
    env.until_metric("token_refreshes_total", &[("result", "refused")], |count| count >= 2.0).await;
    let series = lasting(&before, &Scrape::of(&env).await);
    firing("wrong credentials", series, &["OAuthAppCredentialsRefused"])
}

/// A team's own credentials, and an organization that its team chose, page nobody.
async fn wrong_credentials_of_a_tenant() -> Case {
    let env = TenantEnv::new("alert-tenant", Flavor::Csp).await;
    let api_token = json!({"secretRef": {"name": "own", "key": "token"}});
    let credentials = json!({"source": "Tenant", "clientCredentials": null, "apiToken": api_token});
    env.connect(json!({ "credentials": credentials })).await;
    env.kubectl(&["create", "secret", "generic", "own", "--from-literal=token=not-the-right-one"]);
    env.kubectl(&["label", "secret", "own", "oauth-apps.dev/use=true"]);
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    let refused = [("result", "refused")];
    env.until_metric("token_refreshes_total", &refused, |count| count >= 1.0).await;
    env.until_metric("apps", &[("ready", "false")], |count| count == 1.0).await;
    let before = Scrape::of(&env).await;
    firing("wrong credentials of a tenant", lasting(&before, &Scrape::of(&env).await), &["OAuthAppNotReady"])
}

async fn the_wrong_organization() -> Case {
    let env = TenantEnv::running("alert-org", Flavor::Cpn).await;
    env.create("billing", json!({"orgId": "no-such-organization"})).await;
    env.until_stalled("billing", "Forbidden").await;
    env.until_connection("Ready", "Unknown", "CredentialsUnavailable").await;
    env.until_metric("apps", &[("ready", "false")], |count| count == 1.0).await;
    let before = Scrape::of(&env).await;
    firing("the wrong organization", lasting(&before, &Scrape::of(&env).await), &["OAuthAppNotReady"])
}

/// Those that are not Ready because their teams chose so.
async fn apps_are_suspended_and_observed() -> Case {
    let env = TenantEnv::running("alert-paused", Flavor::Csp).await;
    env.create("suspended", json!({"suspend": true})).await;
    env.create("observed", json!({"managementPolicy": "Observe"})).await;
    for mode in ["suspended", "observe"] {
        env.until_metric("apps", &[("ready", "false"), ("mode", mode)], |count| count == 1.0).await;
    }
    let before = Scrape::of(&env).await;
    firing("apps are suspended and observed", lasting(&before, &Scrape::of(&env).await), &[])
}

async fn credentials_expire(namespace: &str, name: &'static str, days: i64, alert: &str) -> Case {
    let env = with_a_ready_app(namespace, json!({})).await;
    let at = Timestamp::now() + SignedDuration::from_hours(24 * days);
    let annotation = format!("oauth-apps.dev/expires-at={at}");
    plane().kubectl(&["-n", OPERATOR_NAMESPACE, "annotate", "secret", namespace, &annotation]).unwrap();
    let expiry = "connection_credentials_expiration_timestamp_seconds";
    env.until_metric(expiry, &[("connection", namespace)], |time| time > 0.0).await;
    let before = Scrape::of(&env).await;
    firing(name, lasting(&before, &Scrape::of(&env).await), &[alert])
}

/// The API server cannot be reached for a while.
async fn reads_fail() -> Case {
    let env = TenantEnv::new("alert-reads", Flavor::Csp).await;
    let proxy = Proxy::to(plane().server().trim_start_matches("https://").parse().unwrap()).await;
    let mut kubeconfig = plane().service_account(OPERATOR_NAMESPACE, "oauth-app-operator").await.unwrap();
    kubeconfig.clusters[0].cluster.as_mut().unwrap().server = Some(format!("https://{}", proxy.address));
    let kubeconfig = plane().write_kubeconfig("alert-reads-by-proxy", &kubeconfig).unwrap();
    env.operator().set("KUBECONFIG", kubeconfig.to_str().unwrap());
    env.give_credentials().await;
    env.connect(json!({})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let before = Scrape::of(&env).await;
    proxy.set(Way::Closed);
    let watch = [("verb", "watch"), ("resource", "orgoauthapps")];
    env.until_metric("kubernetes_read_errors_total", &watch, |count| count >= 1.0).await;
    let series = lasting(&before, &Scrape::of(&env).await);
    proxy.set(Way::Open);
    firing("reads fail", series, &["OAuthAppKubernetesReadsFailing"])
}

async fn the_api_fails() -> Case {
    let env = with_a_ready_app("alert-failing", json!({})).await;
    env.control.fault(refuse(503)).await.unwrap();
    env.until_metric("connection_ready", &[("connection", "alert-failing")], |ready| ready == 0.0).await;
    let series = until_it_grows(&env, "remote_calls_total", &[("status", "503")]).await;
    firing("the API is down", series, &["OAuthAppConnectionNotReady"])
}

/// Two calls in a row, and the connection stays Ready.
async fn the_api_fails_in_part() -> Case {
    let env = with_a_ready_app("alert-in-part", json!({})).await;
    let before = Scrape::of(&env).await;
    env.control.fault(refuse(503).on(Operation::ListApps).times(2)).await.unwrap();
    env.until_metric("remote_calls_total", &[("status", "503")], |count| count == 2.0).await;
    firing("the API fails in part", lasting(&before, &Scrape::of(&env).await), &["OAuthAppApiFailing"])
}

async fn the_api_throttles() -> Case {
    let env = with_a_ready_app("alert-throttled", json!({})).await;
    let throttle = Action::TooManyRequests { retry_after: Some(2) };
    env.control.fault(Fault::always(throttle)).await.unwrap();
    let series = until_it_grows(&env, "remote_calls_total", &[("status", "429")]).await;
    firing("the API throttles", series, &["OAuthAppApiThrottled"])
}

async fn a_rotation_is_refused() -> Case {
    let env = with_a_ready_app("alert-overdue", json!({"rotation": {"interval": "720h", "overlap": "48h"}})).await;
    env.operator().kill().unwrap();
    env.control.fault(refuse(409).on(Operation::RotateSecret)).await.unwrap();
    let long_ago = json!({"metadata": {"annotations": {"oauth-apps.dev/rotated-at": "2026-01-01T00:00:00Z"}}});
    env.secrets().patch("billing", &PatchParams::default(), &Patch::Merge(long_ago)).await.unwrap();
    env.operator().start().unwrap();
    env.until_metric("rotations_overdue", &[], |count| count == 1.0).await;
    let series = until_it_grows(&env, "reconciles_total", &[("outcome", "waiting")]).await;
    firing("a rotation is refused", series, &["OAuthAppRotationOverdue"])
}

async fn a_pod_missed_a_rotation() -> Case {
    let env = with_a_ready_app("alert-stale", json!({"rotation": {"overlap": "48h"}})).await;
    run_pod(&env, "web", from_env(), "2026-01-01T00:00:00Z");
    rotated_hours_ago(&env, 200).await;
    env.until_metric("apps_with_stale_consumers", &[], |count| count == 1.0).await;
    let before = Scrape::of(&env).await;
    firing("a pod missed a rotation", lasting(&before, &Scrape::of(&env).await), &["OAuthAppStaleConsumers"])
}

/// Has Kubernetes refuse new Secrets in the namespace.
async fn forbid_secrets(env: &TenantEnv) {
    let (name, group) = (&env.namespace, "admissionregistration.k8s.io/v1");
    let secrets = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]});
    let policy = json!({
        "apiVersion": group, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [secrets]},
            "validations": [{"expression": "false", "message": "no Secrets here"}],
        },
    });
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
    let binding = json!({
        "apiVersion": group, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": here}},
    });
    for object in [policy, binding] {
        plane().apply(&object).unwrap();
    }
    let attempt = ["-n", name, "create", "secret", "generic", "attempt", "--dry-run=server"];
    env.until("Secrets are refused", async || plane().kubectl(&attempt).is_err()).await;
}

async fn secrets_are_refused() -> Case {
    let env = TenantEnv::running("alert-writes", Flavor::Csp).await;
    forbid_secrets(&env).await;
    env.create("billing", json!({})).await;
    let refused = [("resource", "secrets"), ("result", "refused")];
    env.until_metric("kubernetes_writes_total", &refused, |count| count >= 1.0).await;
    let series = until_it_grows(&env, "kubernetes_writes_total", &refused).await;
    firing("Secrets are refused", series, &["OAuthAppKubernetesWritesFailing", "OAuthAppNotReady"])
}

async fn no_pass_ends() -> Case {
    let env = TenantEnv::new("alert-stuck", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"limits": {"timeout": "2m"}})).await;
    env.operator().start().unwrap();
    let hang = Action::Hang { performed: false };
    env.control.fault(Fault::always(hang).on(Operation::CreateApp)).await.unwrap();
    env.create("billing", json!({})).await;
    env.until("it hangs", async || env.calls(Operation::CreateApp).await == 1).await;
    let before = Scrape::of(&env).await;
    let series = lasting(&before, &Scrape::of(&env).await);
    firing("no pass ends", series, &["OAuthAppQueueStuck", "OAuthAppNotReady"])
}

async fn an_app_is_rejected() -> Case {
    let env = TenantEnv::running("alert-rejected", Flavor::Csp).await;
    env.control.fault(refuse(400).on(Operation::CreateApp)).await.unwrap();
    let before = Scrape::of(&env).await;
    env.create("billing", json!({})).await;
    env.until_stalled("billing", "Rejected").await;
    env.until_metric("apps", &[("ready", "false")], |count| count == 1.0).await;
    firing("an app is rejected", lasting(&before, &Scrape::of(&env).await), &["OAuthAppNotReady"])
}

/// A resource of more than the operator reads.
async fn a_resource_cannot_be_read() -> Case {
    let env = with_a_ready_app("alert-unreadable", json!({})).await;
    let many: Vec<_> = (0..1500).map(|n| format!("{}.example.com/{n}", "a.".repeat(120) + "a")).collect();
    let large = Patch::Merge(json!({"metadata": {"finalizers": many}}));
    env.apps().patch("billing", &PatchParams::default(), &large).await.unwrap();
    env.until_metric("unreadable_objects", &[], |count| count == 1.0).await;
    let before = Scrape::of(&env).await;
    let series = lasting(&before, &Scrape::of(&env).await);
    firing("a resource cannot be read", series, &["OAuthAppObjectUnreadable"])
}

async fn a_finalizer_is_removed() -> Case {
    let env = with_a_ready_app("alert-finalizer", json!({"deletionPolicy": "DeleteWhenUnused"})).await;
    env.control.fault(refuse(400).on(Operation::DeleteApps)).await.unwrap();
    let before = Scrape::of(&env).await;
    env.delete("billing").await;
    let off = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    env.apps().patch("billing", &PatchParams::default(), &off).await.unwrap();
    env.until_metric("finalizers_removed_total", &[], |count| count == 1.0).await;
    firing("a finalizer is removed", lasting(&before, &Scrape::of(&env).await), &["OAuthAppFinalizerRemoved"])
}

/// What the real operator never does is counted by hand.
fn it_fails_itself() -> Case {
    let metrics = Metrics::default();
    metrics.leader.set(1);
    let scrape = || Scrape::read(metrics.text().unwrap(), "");
    let before = scrape();
    metrics.panicked();
    firing("it fails itself", lasting(&before, &scrape()), &["OAuthAppInternalError"])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_alert_fires_when_its_thing_happens_and_no_other_does() {
    let faults: Vec<Pin<Box<dyn Future<Output = Case>>>> = vec![
        Box::pin(wrong_credentials()),
        Box::pin(wrong_credentials_of_a_tenant()),
        Box::pin(the_wrong_organization()),
        Box::pin(credentials_expire("alert-expiring", "credentials expire", 13, "OAuthAppCredentialsExpiring")),
        Box::pin(credentials_expire("alert-soon", "credentials expire soon", 2, "OAuthAppCredentialsExpireSoon")),
        Box::pin(the_api_fails()),
        Box::pin(the_api_fails_in_part()),
        Box::pin(the_api_throttles()),
        Box::pin(a_rotation_is_refused()),
        Box::pin(a_pod_missed_a_rotation()),
        Box::pin(secrets_are_refused()),
        Box::pin(reads_fail()),
        Box::pin(no_pass_ends()),
        Box::pin(an_app_is_rejected()),
        Box::pin(apps_are_suspended_and_observed()),
        Box::pin(a_resource_cannot_be_read()),
        Box::pin(a_finalizer_is_removed()),
    ];
    let (well_and_killed, faults) = tokio::join!(all_is_well_and_then_it_is_killed(), join_all(faults));
    let cases: Vec<Case> = well_and_killed.into_iter().chain(faults).chain([it_fails_itself()]).collect();
    assert_cases(&shipped("alerts.yaml")["spec"], &cases);
    let fired: BTreeSet<_> = cases.iter().flat_map(|case| &case.answers).collect();
    for alert in alerts().iter().filter(|alert| alert["labels"]["scope"] != "app") {
        let name = alert["alert"].as_str().unwrap();
        assert!(fired.contains(&format!("{{alertname={name:?}}}")), "{name} never fired");
    }
}

fn alerts() -> Vec<Value> {
    let groups = shipped("alerts.yaml")["spec"]["groups"].as_array().unwrap().clone();
    groups.into_iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

#[test]
fn each_alert_says_how_bad_it_is_and_has_its_section_in_the_runbook() {
    let runbook = std::fs::read_to_string(repository().join("docs/runbook.md")).unwrap();
    let sections: BTreeSet<_> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alerts = alerts();
    let names: BTreeSet<_> = alerts.iter().map(|alert| alert["alert"].as_str().unwrap()).collect();
    assert_eq!(names, sections);
    for alert in &alerts {
        let (name, notes) = (alert["alert"].as_str().unwrap(), &alert["annotations"]);
        assert_eq!(notes["runbook_url"], format!("docs/runbook.md#{}", name.to_lowercase()));
        assert!(notes["summary"].is_string() && notes["description"].is_string(), "{name}");
        let [severity, scope] = ["severity", "scope"].map(|label| alert["labels"][label].as_str());
        // What teams cause pages nobody.
        let expected: &[&str] = if scope.is_some() { &["warning"] } else { &["critical", "warning"] };
        assert!(
            expected.contains(&severity.unwrap()) && [None, Some("app"), Some("connection")].contains(&scope),
            "{name}"
        );
    }
}

/// The query of each target of each panel, with the variables of the dashboard filled in.
fn queries() -> Vec<(String, String)> {
    let dashboard = shipped("dashboard.json");
    let panels = dashboard["panels"].as_array().unwrap();
    let of = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().unwrap().clone();
        targets.into_iter().map(move |target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
    };
    let filled = |query: String| query.replace("$__rate_interval", "5m").replace("$connection", ".*");
    panels.iter().flat_map(of).map(|(title, query)| (title, filled(query))).collect()
}

#[tokio::test]
async fn every_panel_of_the_dashboard_shows_something_after_a_small_life() {
    let (before, env) = small_life("dashboard").await;
    let series = lasting(&before, &Scrape::of(&env).await);
    let queries = queries();
    assert!(queries.len() > 15, "{queries:?}");
    let rules: Vec<Value> = queries
        .iter()
        .enumerate()
        .map(|(n, (title, query))| json!({"record": format!("panel_{n}"), "expr": query, "labels": {"panel": title}}))
        .collect();
    let answers = queries.iter().map(|(title, _)| format!("{{panel={title:?}}}")).collect();
    let query = r#"group by (panel) ({__name__=~"panel_.*"})"#.to_owned();
    let case = Case { name: "a small life", series, query, answers };
    assert_cases(&json!({"groups": [{"name": "dashboard", "rules": rules}]}), &[case]);
}

#[test]
fn alerts_dashboard_and_runbook_name_only_metrics_that_exist() {
    let queries = queries().into_iter().map(|(_, query)| query);
    let alerts = alerts().into_iter().map(|alert| alert["expr"].as_str().unwrap().to_owned());
    let runbook = std::fs::read_to_string(repository().join("docs/runbook.md")).unwrap();
    let known = |name: &str| {
        let is = |family: &str| ["", "_bucket", "_sum", "_count"].iter().any(|end| name == format!("{family}{end}"));
        FAMILIES.iter().any(|family| is(family.name))
    };
    for text in queries.chain(alerts).chain([runbook]) {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in words.filter(|word| word.starts_with("oauth_app_operator")) {
            assert!(known(name), "{name} in {text}");
        }
    }
}
