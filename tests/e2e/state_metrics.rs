//! kube-state-metrics itself, with the configuration that ships, over real resources: the alerts about apps name what has to be
//! repaired, its namespace, and nothing else.

use crate::cluster::{plane, repository};
use crate::consumers::{from_env, rotated_hours_ago, run_pod};
use crate::env::TenantEnv;
use crate::promtool::{Case, assert_cases, lasting, shipped};
use crate::scrape::Scrape;
use control_plane::binaries::{Tool, provide};
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// What kube-state-metrics may read: what its chart grants for custom resources, and the two kinds.
const READS: &str = "--resource=customresourcedefinitions.apiextensions.k8s.io,orgoauthapps.oauth-apps.dev,iamconnections.oauth-apps.dev";

/// A running kube-state-metrics.
struct StateMetrics {
    process: Child,
    port: u16,
}

impl StateMetrics {
    async fn start() -> Self {
        let name = "kube-state-metrics";
        let kubectl = |arguments: &[&str]| plane().kubectl(arguments).unwrap();
        kubectl(&["-n", "default", "create", "serviceaccount", name]);
        kubectl(&["create", "clusterrole", name, "--verb=list,watch", READS]);
        let account = format!("--serviceaccount=default:{name}");
        kubectl(&["create", "clusterrolebinding", name, &format!("--clusterrole={name}"), &account]);
        let kubeconfig = plane().service_account("default", name).await.unwrap();
        let kubeconfig = plane().write_kubeconfig(name, &kubeconfig).unwrap();
        let programs = provide(&[Tool::KubeStateMetrics]).unwrap();
        let config = repository().join("deploy/monitoring/kube-state-metrics.yaml");
        let [port, telemetry] = [free_port(), free_port()];
        let process = Command::new(programs.path(Tool::KubeStateMetrics))
            .args(["--custom-resource-state-only", "--host=127.0.0.1", "--telemetry-host=127.0.0.1"])
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--custom-resource-state-config-file={}", config.display()))
            .args([format!("--port={port}"), format!("--telemetry-port={telemetry}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, port }
    }

    /// What it exports about the apps and the connection of a test.
    async fn scrape(&self, env: &TenantEnv) -> Scrape {
        let answer = reqwest::get(format!("http://127.0.0.1:{}/metrics", self.port)).await;
        let text = match answer {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        let of_apps = format!("namespace={:?}", env.namespace);
        let of_connection = format!("connection={:?}", env.connection_name());
        let is_ours = |line: &&str| {
            line.contains(&of_apps) || (line.starts_with("kube_iamconnection") && line.contains(&of_connection))
        };
        let parts = text.lines().filter(is_ours).map(|line| line.rsplit_once(' ').unwrap());
        let series: BTreeMap<_, f64> =
            parts.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect();
        Scrape { at: Instant::now(), text, series }
    }

    /// Looks until it exports that, and returns it with the metrics of the operator, as they would last.
    async fn until(&self, env: &TenantEnv, what: &str, is: impl Fn(&Scrape) -> bool) -> Vec<Value> {
        env.until(&format!("kube-state-metrics exports {what}"), async || is(&self.scrape(env).await)).await;
        let (of_objects, of_operator) = (self.scrape(env).await, Scrape::of(env).await);
        [lasting(&of_objects, &of_objects), lasting(&of_operator, &Scrape::of(env).await)].concat()
    }
}

impl Drop for StateMetrics {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn firing(name: &'static str, series: Vec<Value>, alerts: &[String]) -> Case {
    let query = r#"group by (alertname, namespace, name) (ALERTS{alertstate="firing"})"#.to_owned();
    Case { name, series, query, answers: alerts.iter().cloned().collect() }
}

fn refused(status: u16, operation: Operation) -> Fault {
    Fault::always(Action::Status { status, message: "no".into(), performed: false }).on(operation)
}

/// One of each: with pods that missed a rotation, with a rotation that is refused, rejected, suspended and observed.
async fn apps_of_each_kind(metrics: &StateMetrics) -> Case {
    let env = TenantEnv::running("state-apps", Flavor::Csp).await;
    let rotation = json!({"rotation": {"interval": "720h", "overlap": "48h"}});
    for name in ["billing", "overdue"] {
        env.create(name, rotation.clone()).await;
        env.until_ready(name).await;
    }
    run_pod(&env, "web", from_env(), "2026-01-01T00:00:00Z");
    rotated_hours_ago(&env, 200).await;
    env.until_metric("apps_with_stale_consumers", &[], |count| count == 1.0).await;
    env.operator().kill().unwrap();
    for fault in [refused(409, Operation::RotateSecret), refused(400, Operation::CreateApp)] {
        env.control.fault(fault).await.unwrap();
    }
    let long_ago = json!({"metadata": {"annotations": {"oauth-apps.dev/rotated-at": "2026-01-01T00:00:00Z"}}});
    env.secrets().patch("overdue", &PatchParams::default(), &Patch::Merge(long_ago)).await.unwrap();
    env.operator().start().unwrap();
    env.create("rejected", json!({})).await;
    env.create("suspended", json!({"suspend": true})).await;
    env.create("observed", json!({"managementPolicy": "Observe"})).await;
    let reasons = ["Rejected", "Suspended", "PlanPending"];
    let series = metrics
        .until(&env, "the state of each app", |scrape| {
            let has = |reason: &str| scrape.series.keys().any(|series| series.contains(&format!("reason={reason:?}")));
            let overdue = |series: &String| series.contains("next_rotation") && series.contains("name=\"overdue\"");
            reasons.iter().all(|reason| has(reason))
                && scrape.series.iter().any(|(series, at)| overdue(series) && *at < 1_780_000_000.0)
        })
        .await;
    let alert = |name: &str, app: &str| format!("{{alertname={name:?}, namespace=\"state-apps\", name={app:?}}}");
    let alerts = [("NotReady", "rejected"), ("RotationOverdue", "overdue"), ("StaleConsumers", "billing")];
    firing("apps of each kind", series, &alerts.map(|(name, app)| alert(&format!("OAuthApp{name}"), app)))
}

/// Its apps wait for the platform team, so there is no alert about any of them.
async fn credentials_of_the_connection_are_refused(metrics: &StateMetrics) -> Case {
    let env = TenantEnv::new("state-refused", Flavor::Csp).await;
    env.store_credentials("not-the-right-secret").await;
    env.connect(json!({})).await;
    env.operator().start().unwrap();
    env.create("billing", json!({})).await;
    env.until_metric("connection_ready", &[("reason", "CredentialsUnavailable")], |ready| ready == 0.0).await;
    let refused = |scrape: &Scrape| {
        let of = |kind: &str| {
            let is_refused = |series: &&String| series.starts_with(kind) && series.contains("CredentialsUnavailable");
            scrape.series.keys().any(|series| is_refused(&series))
        };
        of("kube_orgoauthapp_status_ready") && of("kube_iamconnection_status_stalled")
    };
    let series = metrics.until(&env, "the refusal", refused).await;
    let alert = r#"{alertname="OAuthAppCredentialsRefused", namespace="iam"}"#.to_owned();
    firing("the credentials of the connection are refused", series, &[alert])
}

#[tokio::test]
async fn the_alerts_about_apps_name_those_that_their_team_has_to_repair() {
    let metrics = StateMetrics::start().await;
    let (apps, refused) =
        tokio::join!(apps_of_each_kind(&metrics), credentials_of_the_connection_are_refused(&metrics));
    let fired: Vec<String> = apps.answers.iter().cloned().collect();
    assert_cases(&shipped("alerts.yaml")["spec"], &[apps, refused]);
    let groups = shipped("alerts.yaml")["spec"]["groups"].as_array().unwrap().clone();
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        let name = rule["alert"].as_str().unwrap();
        let has_fired = fired.iter().any(|alert| alert.contains(&format!("alertname={name:?}")));
        assert!(rule["labels"]["scope"] != "app" || has_fired, "{name} never fired");
    }
}
