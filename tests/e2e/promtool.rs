//! Prometheus itself, as far as rules and queries go: promtool, fed with scrapes of the real operator.

use crate::cluster::repository;
use crate::scrape::Scrape;
use control_plane::Scratch;
use control_plane::binaries::{Tool, provide};
use oauth_app_operator::metrics::{FAMILIES, Kind, MetricFamily};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

static PROMTOOL: LazyLock<PathBuf> =
    LazyLock::new(|| provide(&[Tool::Promtool]).unwrap().path(Tool::Promtool).to_owned());

/// How long what a pair of scrapes shows goes on, in minutes.
const LASTS: u32 = 180;

/// Runs promtool; what it says when it is not content.
fn promtool(arguments: &[&str], input: &str) -> Result<(), String> {
    let mut command = Command::new(&*PROMTOOL);
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// What promtool finds wrong with the form of the metrics.
pub(crate) fn lint(scrape: &Scrape) -> Result<(), String> {
    promtool(&["check", "metrics"], &scrape.text)
}

/// What Prometheus would hold if all went on as between two scrapes, at the same pace. Now is when the query is asked.
pub(crate) fn lasting(before: &Scrape, after: &Scrape) -> Vec<Value> {
    let minutes = (after.at - before.at).as_secs_f64() / 60.0;
    let series = after.series.iter().map(|(series, last)| {
        let first = before.series.get(series).copied().unwrap_or_default();
        let (first, step) = match kind(series) {
            Series::Time => (last - unix_time() + f64::from(LASTS) * 60.0, 0.0),
            Series::Gauge => (*last, 0.0),
            Series::Counter => (first, (last - first) / minutes),
        };
        json!({"series": in_a_pod(series), "values": format!("{first}+{step}x{LASTS}")})
    });
    series.collect()
}

/// What Prometheus would hold if the operator were gone after a while.
pub(crate) fn ending(scrape: &Scrape) -> Vec<Value> {
    let values = |value: &f64| format!("{value}x10 stale");
    scrape.series.iter().map(|(series, value)| json!({"series": in_a_pod(series), "values": values(value)})).collect()
}

enum Series {
    Gauge,
    /// A gauge whose value is a Unix time.
    Time,
    Counter,
}

fn kind(series: &str) -> Series {
    let name = series.split('{').next().unwrap();
    // Of kube-state-metrics there are gauges only.
    let is_gauge = |family: &MetricFamily| family.name == name && family.kind == Kind::Gauge;
    match name.starts_with("kube_") || FAMILIES.iter().any(is_gauge) {
        true if name.ends_with("_timestamp_seconds") => Series::Time,
        true => Series::Gauge,
        false => Series::Counter,
    }
}

fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// With the labels of the target, as every series of Prometheus has some.
fn in_a_pod(series: &str) -> String {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let target = if labels.contains("namespace=") { "" } else { "namespace=\"iam\"," };
    format!("{name}{{{target}job=\"operator\",pod=\"operator-0\",{labels}")
}

/// The same series from an operator in another namespace.
pub(crate) fn in_namespace(series: &[Value], namespace: &str) -> Vec<Value> {
    let moved = |series: &Value| {
        let name = series["series"].as_str().unwrap().replace("namespace=\"iam\"", &format!("namespace={namespace:?}"));
        json!({"series": name, "values": series["values"]})
    };
    series.iter().map(moved).collect()
}

/// A story, and the one query that is asked at its end, with the labels of all that it must answer, each with the value 1.
pub(crate) struct Case {
    pub name: &'static str,
    pub series: Vec<Value>,
    pub query: String,
    pub answers: BTreeSet<String>,
}

/// Evaluates rules over each of the stories.
pub(crate) fn assert_cases(rules: &Value, cases: &[Case]) {
    let scratch = Scratch::new().unwrap();
    let write = |name: &str, value: &Value| std::fs::write(scratch.path().join(name), value.to_string()).unwrap();
    let tests = cases.iter().map(|case| {
        let answers: Value = case.answers.iter().map(|labels| json!({"labels": labels, "value": 1})).collect();
        let query = json!({"expr": case.query, "eval_time": format!("{LASTS}m"), "exp_samples": answers});
        json!({"name": case.name, "interval": "1m", "input_series": case.series, "promql_expr_test": [query]})
    });
    write("rules.json", rules);
    let tests: Vec<Value> = tests.collect();
    write("tests.json", &json!({"rule_files": ["rules.json"], "evaluation_interval": "1m", "tests": tests}));
    let file = |name: &str| scratch.path().join(name).to_string_lossy().into_owned();
    promtool(&["check", "rules", &file("rules.json")], "").unwrap_or_else(|said| panic!("{said}"));
    promtool(&["test", "rules", &file("tests.json")], "").unwrap_or_else(|said| panic!("{said}"));
}

/// A shipped file of `deploy/monitoring`.
pub(crate) fn shipped(name: &str) -> Value {
    let text = std::fs::read_to_string(repository().join("deploy/monitoring").join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}
