//! The alerts and the dashboard that ship, evaluated by Prometheus' own engine over what the real operator measured while
//! the simulator misbehaved. What goes on for seconds here is taken to go on for hours, at the same pace.

use crate::cluster::{plane, repository};
use crate::consumers::{from_env, rotated_hours_ago, run_pod};
use crate::env::TenantEnv;
use crate::metrics::small_life;
use crate::promtool::{Case, assert_cases, ending, lasting, shipped};
use crate::scrape::Scrape;
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use kube::api::{Patch, PatchParams};
use oauth_app_operator::metrics::{FAMILIES, Metrics};
use serde_json::{Value, json};
use std::collections::BTreeSet;

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

async fn all_is_well_and_then_it_is_killed() -> [Case; 2] {
    let env = with_a_ready_app("alert-none", json!({"rotation": {"interval": "720h", "overlap": "48h"}})).await;
    let well = until_it_grows(&env, "reconciles_total", &[("outcome", "settled")]).await;
    let last = Scrape::of(&env).await;
    env.operator().kill().unwrap();
    [firing("all is well", well, &[]), firing("killed", ending(&last), &["OAuthAppOperatorDown"])]
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
    let alerts = ["OAuthAppConnectionNotReady", "OAuthAppCredentialsRefused", "OAuthAppsNotReady"];
    firing("wrong credentials", series, &alerts)
}

async fn the_api_fails() -> Case {
    let env = with_a_ready_app("alert-failing", json!({})).await;
    env.control.fault(refuse(503)).await.unwrap();
    env.until_metric("connection_ready", &[("connection", "alert-failing")], |ready| ready == 0.0).await;
    let series = until_it_grows(&env, "remote_calls_total", &[("status", "503")]).await;
    firing("the API fails", series, &["OAuthAppApiFailing", "OAuthAppConnectionNotReady"])
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
    firing("Secrets are refused", series, &["OAuthAppKubernetesWritesFailing", "OAuthAppsNotReady"])
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
    firing("no pass ends", series, &["OAuthAppQueueStuck", "OAuthAppsNotReady"])
}

async fn an_app_is_rejected() -> Case {
    let env = TenantEnv::running("alert-rejected", Flavor::Csp).await;
    env.control.fault(refuse(400).on(Operation::CreateApp)).await.unwrap();
    let before = Scrape::of(&env).await;
    env.create("billing", json!({})).await;
    env.until_stalled("billing", "Rejected").await;
    env.until_metric("apps", &[("ready", "false")], |count| count == 1.0).await;
    firing("an app is rejected", lasting(&before, &Scrape::of(&env).await), &["OAuthAppsNotReady"])
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

#[tokio::test]
async fn each_alert_fires_when_its_thing_happens_and_no_other_does() {
    let (well_and_killed, refused, failing, throttled, overdue, stale, writes, stuck, rejected, unreadable, finalizer) = tokio::join!(
        all_is_well_and_then_it_is_killed(),
        wrong_credentials(),
        the_api_fails(),
        the_api_throttles(),
        a_rotation_is_refused(),
        a_pod_missed_a_rotation(),
        secrets_are_refused(),
        no_pass_ends(),
        an_app_is_rejected(),
        a_resource_cannot_be_read(),
        a_finalizer_is_removed(),
    );
    let others = [
        refused,
        failing,
        throttled,
        overdue,
        stale,
        writes,
        stuck,
        rejected,
        unreadable,
        finalizer,
        it_fails_itself(),
    ];
    let cases: Vec<Case> = well_and_killed.into_iter().chain(others).collect();
    assert_cases(&shipped("alerts.yaml")["spec"], &cases);
    let fired: BTreeSet<_> = cases.iter().flat_map(|case| &case.answers).collect();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(fired.contains(&format!("{{alertname={name:?}}}")), "{name} never fired");
    }
}

fn alerts() -> Vec<Value> {
    shipped("alerts.yaml")["spec"]["groups"][0]["rules"].as_array().unwrap().clone()
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
        assert!(["critical", "warning"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{name}");
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
