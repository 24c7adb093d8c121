use super::families::Computed;
use super::labels::{Mode, Readiness};
use super::*;
use crate::iam::Operation;
use kube::runtime::reflector::store;
use kube::runtime::watcher::Event;
use serde_json::json;

fn family(source: Source) -> &'static MetricFamily {
    FAMILIES.iter().find(|family| family.source == source).unwrap()
}

/// One of each.
fn touched() -> Metrics {
    let metrics = Arc::new(Metrics::default());
    let connection = ConnectionMetrics::new(metrics.clone(), "default".into());
    metrics.reconciled(ReconcileOutcome::Settled, "Provisioned", Duration::from_millis(30));
    connection.called(Operation::CreateApp, CallResult::Timeout, Duration::from_secs(5));
    connection.throttled(Duration::from_secs(7));
    connection.refreshed(Refresh::Granted);
    metrics.drift_corrected();
    metrics.wrote(Resource::Secrets, WriteResult::Ok);
    drop(connection);
    Arc::into_inner(metrics).unwrap()
}

#[test]
fn each_series_has_the_labels_that_the_table_says() {
    let text = touched().text().unwrap();
    let series = text.lines().filter(|line| !line.starts_with('#'));
    for line in series {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap_or((series, ""));
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let family = FAMILIES.iter().find(|family| family.name == name).expect(name);
        let labels =
            labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).filter(|name| *name != "le");
        assert_eq!(
            labels.collect::<Vec<_>>(),
            family.labels.iter().map(|label| label.name).collect::<Vec<_>>(),
            "{line}"
        );
    }
}

#[test]
fn names_follow_the_convention() {
    for family in &FAMILIES {
        let prefixes = ["oauth_app_operator_", "process_"];
        assert!(prefixes.iter().any(|prefix| family.name.starts_with(prefix)), "{}", family.name);
        assert_eq!(family.kind == Kind::Counter, family.name.ends_with("_total"), "{}", family.name);
        assert!(!family.help.ends_with('.'), "the encoder adds the full stop to: {}", family.help);
    }
}

#[test]
fn the_table_lists_every_value_of_a_label() {
    let operations: Vec<_> = Operation::ALL.iter().map(|operation| operation.label()).collect();
    let reads = Read::ALL.map(Read::labels);
    let (verbs, resources) = (reads.clone().map(|read| read.verb), reads.map(|read| read.resource));
    let sets: [(Source, &str, &[&str]); 10] = [
        (Source::Recorded(Recorded::Reconciles), "outcome", ReconcileOutcome::VALUES),
        (Source::Recorded(Recorded::RemoteCalls), "operation", &operations),
        (Source::Recorded(Recorded::TokenRefreshes), "result", Refresh::VALUES),
        (Source::Computed(Computed::Apps), "ready", Readiness::VALUES),
        (Source::Computed(Computed::Apps), "mode", Mode::VALUES),
        (Source::Recorded(Recorded::StartupTime), "phase", Phase::VALUES),
        (Source::Recorded(Recorded::KubernetesReadErrors), "verb", &verbs),
        (Source::Recorded(Recorded::KubernetesReadErrors), "resource", &resources),
        (Source::Recorded(Recorded::KubernetesWrites), "resource", Resource::VALUES),
        (Source::Recorded(Recorded::KubernetesWrites), "result", WriteResult::VALUES),
    ];
    for (source, name, values) in sets {
        let label = family(source).labels.iter().find(|label| label.name == name).unwrap();
        for value in values {
            assert!(label.meaning.contains(&format!("`{value}`")), "{name} of {}: {value}", family(source).name);
        }
    }
}

#[test]
fn the_label_of_an_operation_is_a_word_for_queries() {
    for operation in Operation::ALL {
        assert_eq!(operation.label(), operation.to_string().replace(' ', "_"));
    }
}

#[test]
fn a_phase_of_the_start_has_the_time_at_which_it_was_reached_first() {
    let metrics = Metrics::default();
    let of = |phase: Phase| metrics.startup_time.get(&PhaseLabels { phase: phase.as_str() }).map(|time| time.get());
    assert_eq!(of(Phase::FirstReconcile), None);
    metrics.reached(Phase::Leading);
    metrics.reconciled(ReconcileOutcome::Settled, "Provisioned", Duration::ZERO);
    let first = of(Phase::FirstReconcile).unwrap();
    assert!(metrics.process_start_time.get() <= of(Phase::Leading).unwrap() && of(Phase::Leading).unwrap() <= first);
    metrics.reconciled(ReconcileOutcome::Settled, "Provisioned", Duration::ZERO);
    assert_eq!(of(Phase::FirstReconcile), Some(first));
}

#[test]
fn a_reconciliation_is_in_the_queue_depth_until_it_is_dropped() {
    let metrics = Metrics::default();
    let (one, two) = (metrics.queued(), metrics.queued());
    assert_eq!(metrics.queue_depth.get(), 2);
    drop((one, two));
    assert_eq!(metrics.queue_depth.get(), 0);
}

fn connection(name: &str) -> IamConnection {
    let spec = json!({"api": "CloudServices", "endpoint": "https://iam.example.com", "credentials": {}});
    serde_json::from_value(json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection", "metadata": {"name": name}, "spec": spec,
    }))
    .unwrap()
}

#[test]
fn the_counters_of_a_connection_go_with_it() {
    let metrics = Arc::new(Metrics::default());
    let (connections, mut writer) = store::<IamConnection>();
    metrics.watch(Vec::new(), connections);
    let recorders = ["kept", "deleted"].map(|name| {
        writer.apply_watcher_event(&Event::Apply(connection(name)));
        ConnectionMetrics::new(metrics.clone(), name.into())
    });
    let names = || {
        let text = metrics.text().unwrap();
        ["kept", "deleted"].map(|name| text.matches(&format!("_total{{connection=\"{name}\"")).count())
    };
    assert_eq!(names(), [4, 4], "throttled, and three results of refreshes");
    writer.apply_watcher_event(&Event::Delete(connection("deleted")));
    assert_eq!(names(), [4, 0]);
    // A request was under way while the connection was deleted.
    recorders.iter().for_each(|recorder| recorder.refreshed(Refresh::Failed));
    assert_eq!(names(), [4, 0]);
}

#[test]
fn the_metrics_of_resources_are_those_of_the_moment_of_a_scrape() {
    let metrics = Metrics::default();
    let exposed = || {
        let text = metrics.text().unwrap();
        let lines = text.lines().filter(|line| line.contains("oauth_app_operator_apps"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(exposed().is_empty(), "nothing is watched");
    let (connections, mut writer) = store::<IamConnection>();
    metrics.watch(Vec::new(), connections);
    assert!(exposed().is_empty(), "there is no connection");
    writer.apply_watcher_event(&Event::Apply(connection("a")));
    let exposed = exposed();
    assert_eq!(exposed[0], "# HELP oauth_app_operator_apps Number of OrgOAuthApps by readiness.");
    assert_eq!(exposed[1], "# TYPE oauth_app_operator_apps gauge");
    assert!(
        exposed.contains(&r#"oauth_app_operator_apps{connection="a",ready="true",mode="full"} 0"#.to_owned()),
        "{exposed:?}"
    );
}
