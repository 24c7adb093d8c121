use super::*;
use crate::iam::Operation;
use kube::runtime::reflector::store;
use kube::runtime::watcher::Event;
use serde_json::json;

fn table(id: Id) -> &'static MetricFamily {
    FAMILIES.iter().find(|family| family.id == id).unwrap()
}

/// One of each.
fn touched() -> Metrics {
    let metrics = Arc::new(Metrics::default());
    let meter = Meter::new(metrics.clone(), "default".into());
    metrics.passed(Ending::Settled, "Provisioned", Duration::from_millis(30));
    meter.called(Operation::CreateApp.as_str(), Answered::Timeout, Duration::from_secs(5));
    meter.throttled(Duration::from_secs(7));
    meter.refreshed(Refresh::Granted);
    metrics.drift_corrected();
    metrics.wrote(Resource::Secrets, Written::Ok);
    drop(meter);
    Arc::into_inner(metrics).unwrap()
}

#[test]
fn each_series_has_the_labels_that_the_table_says() {
    let text = touched().text(Timestamp::UNIX_EPOCH).unwrap();
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
        assert!(family.name.starts_with("oauth_app_operator_"), "{}", family.name);
        assert_eq!(family.kind == Kind::Counter, family.name.ends_with("_total"), "{}", family.name);
        assert!(!family.help.ends_with('.'), "the encoder adds the full stop to: {}", family.help);
    }
}

#[test]
fn the_table_lists_every_value_of_a_label() {
    let operations = Operation::ALL.map(Operation::as_str);
    let sets: [(Id, &str, &[&str]); 5] = [
        (Id::Reconciles, "outcome", Ending::VALUES),
        (Id::RemoteCalls, "operation", &operations),
        (Id::TokenRefreshes, "result", Refresh::VALUES),
        (Id::Apps, "ready", Readiness::VALUES),
        (Id::KubernetesWrites, "resource", Resource::VALUES),
    ];
    for (id, name, values) in sets.into_iter().chain([(Id::KubernetesWrites, "result", Written::VALUES)]) {
        let label = table(id).labels.iter().find(|label| label.name == name).unwrap();
        for value in values {
            assert!(label.meaning.contains(&format!("`{value}`")), "{name} of {}: {value}", table(id).name);
        }
    }
}

#[test]
fn a_pass_counts_as_queued_until_it_ends_however_it_ends() {
    let metrics = Metrics::default();
    let (one, two) = (metrics.queued(), metrics.queued());
    assert_eq!(metrics.queue_depth.get(), 2);
    drop((one, two));
    assert_eq!(metrics.queue_depth.get(), 0);
}

#[test]
fn the_counters_of_a_connection_go_with_it() {
    let metrics = Arc::new(Metrics::default());
    let (connections, mut writer) = store::<IamConnection>();
    metrics.watch(Vec::new(), connections);
    let connection = |name: &str| {
        let spec = json!({"api": "CloudServices", "endpoint": "https://iam.example.com", "credentials": {}});
        serde_json::from_value::<IamConnection>(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "IamConnection", "metadata": {"name": name}, "spec": spec,
        }))
        .unwrap()
    };
    let meters = ["kept", "deleted"].map(|name| {
        writer.apply_watcher_event(&Event::Apply(connection(name)));
        Meter::new(metrics.clone(), name.into())
    });
    let names = || {
        let text = metrics.text(Timestamp::UNIX_EPOCH).unwrap();
        ["kept", "deleted"].map(|name| text.matches(&format!("_total{{connection=\"{name}\"")).count())
    };
    assert_eq!(names(), [4, 4], "throttled, and three results of refreshes");
    writer.apply_watcher_event(&Event::Delete(connection("deleted")));
    assert_eq!(names(), [4, 0]);
    // A request was under way while the connection was deleted.
    meters.iter().for_each(|meter| meter.refreshed(Refresh::Failed));
    assert_eq!(names(), [4, 0]);
}
