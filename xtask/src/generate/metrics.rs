//! `docs/metrics.md`: every metric with its labels and their values.
//! They are in `src/metrics/families.rs`, which is also what `/metrics` is made from.

use oauth_app_operator::metrics::{FAMILIES, Kind, MetricFamily};

const INTRODUCTION: &str = "\
# Metrics

Written by `cargo xtask generate` from `src/metrics/families.rs`.

`/metrics` on the port `http` (8080) responds in the text format of Prometheus. Counters start at 0 with each start. The metrics of
resources (`apps`, `oldest_client_secret_age_seconds`, `rotations_overdue`, `apps_with_stale_consumers`, `connection_ready`) are computed
from the watched resources at each scrape; only the leader has them. Most other series appear with their first event.

No label is unbounded: all values come from closed sets, except the names of `IamConnection`s that exist. No secret value and
no name of a team's resource is in a metric.

Alerts and a dashboard are in `deploy/monitoring/`; what to do when an alert fires is in the [runbook](runbook.md). This is what
the queries of the dashboard show over two and a half minutes. `cargo xtask picture` draws it: the operator runs against the
simulator, and a real Prometheus measures it.

![The panels of the dashboard](dashboard.svg)
";

/// The document.
pub fn document() -> String {
    let metrics: String = FAMILIES.iter().map(metric).collect();
    format!("{INTRODUCTION}\n| Metric | Type | Description |\n|---|---|---|\n{metrics}\n## Labels\n\n{}", labels())
}

fn metric(family: &MetricFamily) -> String {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let labels: Vec<&str> = family.labels.iter().map(|label| label.name).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(", ")) };
    format!("| `{}{labels}` | {kind} | {}. |\n", family.name, family.help)
}

fn labels() -> String {
    let labelled = FAMILIES.iter().flat_map(|family| family.labels.iter().map(move |label| (family, label)));
    let row = |(family, label): (&MetricFamily, &oauth_app_operator::metrics::Label)| {
        format!("| `{}` | `{}` | {} |\n", family.name, label.name, label.meaning)
    };
    format!("| Metric | Label | Values |\n|---|---|---|\n{}", labelled.map(row).collect::<String>())
}
