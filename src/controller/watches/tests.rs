//! Watches fed by hand with what Kubernetes may send.

use super::apps::Apps;
use super::secrets::Secrets;
use super::*;
use crate::claim::{ApiAddress, ClaimKey};
use crate::cluster::cached::CachedApp;
use crate::cluster::kubernetes::RemovedFinalizers;
use crate::controller::watch_reports::Reporter;
use crate::crd::{Api, FINALIZER, RECONCILE_REQUESTED};
use crate::iam::ClientId;
use crate::reconcile::ObservedSecrets;
use crate::secret::guard;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::stream;
use k8s_openapi::api::core::v1::Secret;
use kube::core::{PartialObjectMeta, Status};
use serde_json::{Value, json};

const UNREADABLE: &str = "unreadable";

fn app(name: &str, change: Value) -> Lenient<CachedApp> {
    let mut app = json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
        "metadata": {"name": name, "namespace": "n", "uid": name, "generation": 1, "resourceVersion": "1"},
        "spec": {"connectionRef": {"name": "c"}, "orgId": "o", "displayName": "a", "description": "",
                 "grantTypes": [], "allowedScopes": {}},
    });
    merge(&mut app, change);
    serde_json::from_value(app).unwrap()
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (field, value) in change {
                merge(into.entry(field).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}

fn finalized() -> Value {
    json!({"metadata": {"finalizers": [FINALIZER]}, "status": {"clientId": "ooa-1"}})
}

fn claim_key() -> ClaimKey {
    ClaimKey::new(&[1; 32], []).unwrap()
}

fn unreadable(name: &str) -> Lenient<CachedApp> {
    app(name, json!({"spec": UNREADABLE}))
}

/// What a watch of resources reported.
#[derive(Debug, Default, PartialEq)]
struct Reported {
    found: Vec<String>,
    woken: Vec<String>,
    finalizer_removed: Vec<String>,
    client_ids: Vec<Option<String>>,
    unreadable: Vec<String>,
    stored: Vec<String>,
    counted: Option<i64>,
}

fn drain<T>(receiver: &mut UnboundedReceiver<T>) -> Vec<T> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

async fn follow_apps(events: Vec<Event<Lenient<CachedApp>>>, removed_by_us: &[&str]) -> Reported {
    let (apps, writer) = store::<CachedApp>();
    let ((found_sender, mut found), (changed, mut woken), (reports, mut sent_reports)) =
        (unbounded(), unbounded(), unbounded());
    let removed_finalizers = RemovedFinalizers::default();
    removed_by_us.iter().for_each(|uid| removed_finalizers.remember((*uid).into()));
    let reporter = Reporter(reports);
    let handler = Apps {
        found: found_sender,
        changed,
        removed_finalizers: Arc::new(removed_finalizers),
        reporter: reporter.clone(),
        claim_key: claim_key(),
    };
    let metrics = Arc::<Metrics>::default();
    let watch = Watch::new(writer, Watched::OrgOAuthApps, handler, reporter, metrics.clone());
    watch.for_each_change(stream::iter(events.into_iter().map(Ok))).await;
    let names = |refs: &mut _| drain(refs).into_iter().map(|app: ObjectRef<CachedApp>| app.name).collect();
    let mut reported = Reported { found: names(&mut found), woken: names(&mut woken), ..Reported::default() };
    for report in drain(&mut sent_reports) {
        match report {
            WatchReport::FinalizerRemoved { regarding, client_id } => {
                reported.finalizer_removed.extend(regarding.uid);
                reported.client_ids.push(client_id);
            }
            WatchReport::Unreadable { regarding, .. } => reported.unreadable.extend(regarding.name),
        }
    }
    reported.stored = apps.state().iter().map(|app| app.name_any()).collect();
    reported.stored.sort();
    let text = metrics.text().unwrap();
    let line = text.lines().find(|line| line.contains("unreadable_objects{resource=\"orgoauthapps\"}")).unwrap();
    reported.counted = line.rsplit(' ').next().and_then(|count| count.parse().ok());
    reported
}

fn first_list(apps: Vec<Lenient<CachedApp>>) -> Vec<Event<Lenient<CachedApp>>> {
    let listed = apps.into_iter().map(Event::InitApply);
    [Event::Init].into_iter().chain(listed).chain([Event::InitDone]).collect()
}

#[tokio::test]
async fn an_unreadable_object_is_reported_once_and_the_others_are_served() {
    let mut events = first_list(vec![app("a", json!({})), unreadable("bad"), app("b", json!({}))]);
    events.extend([Event::Apply(unreadable("bad")), Event::Apply(unreadable("bad"))]);
    events.extend(first_list(vec![app("a", json!({})), unreadable("bad"), app("b", json!({}))]));
    let reported = follow_apps(events, &[]).await;
    assert_eq!((reported.found, reported.stored), (vec!["a".into(), "b".into()], vec!["a".to_owned(), "b".into()]));
    assert!(reported.woken.is_empty(), "nothing changed");
    assert_eq!((reported.unreadable, reported.counted), (vec!["bad".into()], Some(1)));
    assert!(reported.finalizer_removed.is_empty());
}

#[tokio::test]
async fn an_object_that_can_no_longer_be_read_is_not_served_as_it_was_until_it_can_be_read_again() {
    let mut events = first_list(vec![app("a", finalized())]);
    events.push(Event::Apply(unreadable("a")));
    let reported = follow_apps(events.clone(), &[]).await;
    assert_eq!((reported.stored.len(), reported.counted, reported.finalizer_removed.len()), (0, Some(1), 0));
    events.push(Event::Apply(app("a", finalized())));
    let reported = follow_apps(events.clone(), &[]).await;
    assert_eq!((reported.stored.len(), reported.counted), (1, Some(0)));
    assert_eq!((reported.found, reported.woken), (vec!["a".to_owned()], vec!["a".to_owned()]));
    events.extend([Event::Apply(unreadable("a")), Event::Delete(unreadable("a"))]);
    let reported = follow_apps(events, &[]).await;
    assert_eq!((reported.stored.len(), reported.counted), (0, Some(0)));
}

#[tokio::test]
async fn spec_requests_and_a_missing_finalizer_wake_a_reconcile_and_our_own_writes_do_not() {
    let provisioned = json!({"status": {"clientId": "ooa-1", "secretName": "s"}});
    let bare = app("a", provisioned);
    let mut events = first_list(vec![app("a", json!({}))]);
    let own = [json!({"metadata": {"finalizers": [FINALIZER]}}), finalized()];
    events.extend(own.map(|change| Event::Apply(app("a", change))));
    let reported = follow_apps(events.clone(), &[]).await;
    assert_eq!((reported.found.len(), reported.woken.len()), (1, 0), "the first list");
    events.push(Event::Apply(bare.clone()));
    assert_eq!(follow_apps(events.clone(), &[]).await.woken.len(), 1, "the finalizer is missing");
    events.extend([Event::Apply(app("a", finalized())), Event::Apply(app("a", finalized()))]);
    assert_eq!(follow_apps(events.clone(), &[]).await.woken.len(), 1, "it is put back");
    events.push(Event::Apply(bare));
    assert_eq!(follow_apps(events.clone(), &[]).await.woken.len(), 2, "it is missing again");
    let mut asked = finalized();
    merge(&mut asked, json!({"metadata": {"annotations": {RECONCILE_REQUESTED: "now"}}}));
    events.push(Event::Apply(app("a", asked.clone())));
    assert_eq!(follow_apps(events.clone(), &[]).await.woken.len(), 3, "it is asked for");
    merge(&mut asked, json!({"metadata": {"generation": 2}}));
    events.push(Event::Apply(app("a", asked)));
    assert_eq!(follow_apps(events, &[]).await.woken.len(), 4, "the spec changed");
}

#[tokio::test]
async fn a_resource_that_goes_without_its_finalizer_is_reported_unless_this_process_removed_it() {
    let deleting = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["other/one"]}});
    let mut provisioned = finalized();
    merge(&mut provisioned, json!({"metadata": {"finalizers": []}}));
    let mut forged = provisioned.clone();
    merge(&mut forged, json!({"spec": {"id": "victim"}, "status": {"clientId": "victim"}}));
    let cases: [(&str, Vec<Value>, &[&str], bool); 7] = [
        ("by someone else", vec![finalized()], &[], true),
        ("by this process", vec![finalized()], &["a"], false),
        ("by this process, before another one", vec![finalized(), deleting.clone()], &["a"], false),
        ("before the operator could put it back", vec![finalized(), provisioned.clone()], &[], true),
        ("by an earlier process, before another one", vec![deleting], &[], false),
        ("which never had one", vec![json!({})], &[], false),
        ("which never had one, with a forged status", vec![forged], &[], false),
    ];
    for (case, states, removed_by_us, is_reported) in cases {
        let mut events = first_list(Vec::new());
        events.extend(states.into_iter().map(|state| Event::Apply(app("a", state))));
        let reported =
            follow_apps([events.clone(), vec![Event::Delete(app("a", json!({})))]].concat(), removed_by_us).await;
        assert_eq!(reported.finalizer_removed.len(), usize::from(is_reported), "{case}");
        let reported = follow_apps([events, first_list(Vec::new())].concat(), removed_by_us).await;
        assert_eq!(reported.finalizer_removed.len(), usize::from(is_reported), "{case}, found out by a new list");
    }
}

#[tokio::test]
async fn the_id_of_an_app_that_was_left_behind_is_reported_where_it_is_proven() {
    let address = ApiAddress::new(Api::CloudServices, "https://iam.example.com", &[]);
    let claim = |of: &str, id: &str| {
        let of = app(of, json!({})).0.unwrap();
        json!(claim_key().sign(of.outline(), &address, &ClientId(id.into()), true))
    };
    let mut stolen = claim("other", "victim");
    stolen["uid"] = "a".into();
    let cases = [
        ("derived", json!({}), json!({}), Some("ooa-a")),
        ("derived and claimed", json!({}), json!({"claim": claim("a", "ooa-a")}), Some("ooa-a")),
        ("restored", json!({}), json!({"claim": claim("a", "ooa-before")}), Some("ooa-before")),
        ("chosen", json!({"id": "chosen"}), json!({"claim": claim("a", "chosen")}), Some("chosen")),
        ("chosen and never claimed", json!({"id": "victim"}), json!({}), None),
        ("written by hand", json!({"id": "victim"}), json!({"clientId": "victim"}), None),
        ("signed for another", json!({"id": "victim"}), json!({"claim": stolen}), None),
        ("signed for another id", json!({"id": "victim"}), json!({"claim": claim("a", "chosen")}), None),
    ];
    for (case, spec, status, reported_id) in cases {
        let mut object = finalized();
        merge(&mut object, json!({"spec": spec, "status": status}));
        let mut events = first_list(vec![app("a", object)]);
        events.push(Event::Delete(app("a", json!({}))));
        assert_eq!(follow_apps(events, &[]).await.client_ids, [reported_id.map(str::to_owned)], "{case}");
    }
}

#[test]
fn a_resource_that_another_finalizer_keeps_for_long_after_this_process_removed_its_own_is_not_reported() {
    let ((found_sender, _found), (changed, _woken), (reports, mut reported)) = (unbounded(), unbounded(), unbounded());
    let apps = Apps {
        found: found_sender,
        changed,
        removed_finalizers: Arc::default(),
        reporter: Reporter(reports),
        claim_key: claim_key(),
    };
    let kept = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["other/one"]}});
    let seen = apps.on_apply(&app("a", finalized()).0.unwrap(), Previous::Unknown);
    apps.removed_finalizers.remember("a".into());
    let kept = app("a", kept).0.unwrap();
    let seen = apps.on_apply(&kept, Previous::Known(seen));
    assert!(!apps.removed_finalizers.take("a"), "it is not remembered for as long");
    apps.on_delete(&ObjectRef::from_obj(&kept), seen);
    assert_eq!(drain(&mut reported), []);
}

#[tokio::test]
async fn a_namesake_that_came_in_a_gap_of_the_watch_is_another_resource() {
    let other = app("a", json!({"metadata": {"uid": "other"}}));
    let reported = follow_apps([first_list(vec![app("a", finalized())]), first_list(vec![other])].concat(), &[]).await;
    assert_eq!((reported.finalizer_removed, reported.woken), (vec!["a".into()], vec!["a".to_owned()]));
}

#[tokio::test]
async fn only_what_the_first_list_has_is_found_and_whatever_comes_later_wakes_a_reconcile() {
    let mut events = vec![Event::Init, Event::InitApply(app("a", finalized()))];
    events.extend(first_list(vec![app("a", finalized()), unreadable("b")]));
    events.push(Event::Apply(app("b", finalized())));
    events.extend(first_list(vec![app("a", finalized()), app("b", finalized()), app("c", finalized())]));
    events.push(Event::Apply(app("d", finalized())));
    let reported = follow_apps(events, &[]).await;
    assert_eq!((reported.found, reported.woken), (vec!["a".to_owned()], ["b", "c", "d"].map(str::to_owned).to_vec()));
}

fn named<K: Kept>(name: &str, more: Value) -> Lenient<K> {
    let mut object = json!({
        "apiVersion": "v1", "kind": "K", "metadata": {"name": name, "uid": name, "generation": 1},
        "spec": {"api": "CloudServices", "endpoint": "https://iam.example.com", "grants": [], "credentials": {}},
    });
    merge(&mut object, more);
    serde_json::from_value(object).unwrap()
}

/// The names in the triggers that were sent.
async fn follow_all<K: Kept + Clone + 'static, H: EventHandler<K>>(
    handler: impl FnOnce(Subscribers) -> H,
    events: Vec<Event<Lenient<K>>>,
) -> Vec<String> {
    let ((_, writer), (subscriber, mut changes)) = (store::<K>(), unbounded());
    let (handler, reporter) = (handler(vec![subscriber]), Reporter(unbounded().0));
    let watch = Watch::new(writer, Watched::Namespaces, handler, reporter, Arc::default());
    watch.for_each_change(stream::iter(events.into_iter().map(Ok))).await;
    let name = |change| match change {
        Trigger::Connection(name) | Trigger::Namespace(name) => name,
        Trigger::ConnectionReady(name) => format!("{name} is Ready"),
        Trigger::Secret(app) => app.name,
    };
    drain(&mut changes).into_iter().map(name).collect()
}

fn of_connections(subscribers: Subscribers) -> Connections {
    Connections { subscribers, unreadable: Arc::default() }
}

#[tokio::test]
async fn a_connection_that_is_missing_in_a_new_list_or_unreadable_counts_as_deleted() {
    let listed = |names: &[&str]| {
        let all = names.iter().map(|name| Event::InitApply(named::<IamConnection>(name, json!({}))));
        [Event::Init].into_iter().chain(all).chain([Event::InitDone]).collect::<Vec<_>>()
    };
    let first = || listed(&["a", "b"]);
    let names = |events: Vec<Event<_>>| follow_all(of_connections, events);
    assert_eq!(names(first()).await, ["a", "b"]);
    assert_eq!(names([first(), listed(&["b"])].concat()).await, ["a", "b", "a"], "gone in a gap of the watch");
    let deleted = vec![Event::Delete(named("a", json!({})))];
    assert_eq!(names([first(), deleted].concat()).await, ["a", "b", "a"], "deleted");
    let unreadable = vec![Event::Apply(named("a", json!({"spec": UNREADABLE})))];
    assert_eq!(names([first(), unreadable].concat()).await, ["a", "b", "a"], "as good as absent");
    let status = vec![Event::Apply(named("a", json!({"status": {"apps": {"total": 1, "ready": 1}}})))];
    assert_eq!(names([first(), status].concat()).await, ["a", "b"], "our own write");
    let condition = |status: &str| {
        let ready = json!({"type": "Ready", "status": status, "reason": "x", "message": "",
                           "lastTransitionTime": "1970-01-01T00:00:00Z"});
        Event::Apply(named("a", json!({"status": {"conditions": [ready]}})))
    };
    let turns = ["True", "True", "Unknown", "False", "True"].map(condition).to_vec();
    assert_eq!(names([first(), turns].concat()).await, ["a", "b", "a is Ready", "a is Ready"], "each time it turns");
}

#[tokio::test]
async fn connections_that_exist_and_cannot_be_read_are_known_by_name() {
    let bad = || named::<IamConnection>("a", json!({"spec": UNREADABLE}));
    let good = || named::<IamConnection>("a", json!({}));
    let list = |items: Vec<Lenient<IamConnection>>| {
        [Event::Init].into_iter().chain(items.into_iter().map(Event::InitApply)).chain([Event::InitDone])
    };
    let is_unreadable = async |events: Vec<Event<_>>| {
        let unreadable = Arc::<UnreadableConnections>::default();
        follow_all(|subscribers| Connections { subscribers, unreadable: unreadable.clone() }, events).await;
        unreadable.contains("a")
    };
    let after = |first: Lenient<IamConnection>, then: Event<_>| list(vec![first]).chain([then]).collect::<Vec<_>>();
    assert!(is_unreadable(list(vec![bad()]).collect()).await);
    assert!(is_unreadable(list(vec![bad()]).chain(list(vec![bad()])).collect()).await, "in a new list");
    assert!(is_unreadable(after(good(), Event::Apply(bad()))).await);
    assert!(!is_unreadable(after(bad(), Event::Apply(good()))).await, "it was corrected");
    assert!(!is_unreadable(after(bad(), Event::Delete(bad()))).await, "it was deleted");
    assert!(
        !is_unreadable(list(vec![bad()]).chain(list(vec![])).collect()).await,
        "it was deleted in a gap of the watch"
    );
}

/// A watch of Secrets, and the resources that it wakes.
fn secrets() -> (Secrets, UnboundedReceiver<String>) {
    let (wake, woken) = unbounded();
    let observed = ObservedSecrets::new(move |app| wake.unbounded_send(app.name).unwrap());
    let app = app("a", json!({})).0.unwrap().outline().clone();
    let secret = json!({"metadata": {"name": "s", "namespace": "n", "uid": "1", "resourceVersion": "7",
        "ownerReferences": [app.controller_owner_ref(&()).unwrap()]}});
    let key = ClaimKey::new(&[1; 32], []).unwrap();
    observed.read(&app, "s", &guard(&app, &key, serde_json::from_value(secret).unwrap()));
    (Secrets { namespace: None, observed: Arc::new(observed), metrics: Arc::default(), is_refused: false }, woken)
}

fn secret(version: &str) -> Lenient<PartialObjectMeta<Secret>> {
    let labels = json!({"oauth-apps.dev/owner-uid": "of another"});
    let metadata = json!({"name": "s", "namespace": "n", "uid": "1", "resourceVersion": version, "labels": labels});
    serde_json::from_value(json!({ "metadata": metadata })).unwrap()
}

#[tokio::test]
async fn a_secret_that_changes_or_goes_wakes_its_resource_also_when_only_a_new_list_tells() {
    let listed = |versions: &[&str]| {
        let all = versions.iter().map(|version| Event::InitApply(secret(version)));
        [Event::Init].into_iter().chain(all).chain([Event::InitDone]).collect::<Vec<_>>()
    };
    for (case, events, wakes) in [
        ("as it was left", listed(&["7"]), 0),
        ("edited in a gap of the watch", listed(&["8"]), 1),
        ("gone in a gap of the watch", listed(&[]), 1),
        ("edited", [listed(&["7"]), vec![Event::Apply(secret("8"))]].concat(), 1),
        ("gone", [listed(&["7"]), vec![Event::Delete(secret("8"))]].concat(), 1),
    ] {
        let (mut secrets, mut woken) = secrets();
        secrets.for_each_change(stream::iter(events.into_iter().map(Ok))).await;
        assert_eq!(drain(&mut woken), vec!["a"; wakes], "{case}");
    }
}

#[tokio::test]
async fn a_secret_that_no_reconcile_of_this_process_has_seen_wakes_the_resource_that_controls_it() {
    let unseen = |name: &str, owner: Value| -> Lenient<PartialObjectMeta<Secret>> {
        let metadata =
            json!({"name": name, "namespace": "n", "uid": "2", "resourceVersion": "1", "ownerReferences": owner});
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    };
    let owner = json!([{"apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp", "name": "b", "uid": "3", "controller": true}]);
    let (mut secrets, mut woken) = secrets();
    let events = [
        Event::Init,
        Event::InitApply(unseen("listed", json!([]))),
        Event::InitDone,
        Event::Apply(unseen("other", owner)),
        Event::Delete(unseen("c", json!([]))),
    ];
    secrets.for_each_change(stream::iter(events.map(Ok))).await;
    let woken: Vec<String> = drain(&mut woken);
    assert_eq!(woken.iter().filter(|name| *name != "a").collect::<Vec<_>>(), ["b", "c"], "and none at the start");
}

#[tokio::test]
async fn a_refused_watch_is_counted_until_it_is_accepted() {
    let refused = || {
        Err(watcher::Error::InitialListFailed(kube::Error::Api(Box::new(
            Status::failure("no", "Forbidden").with_code(403),
        ))))
    };
    let counted = |secrets: &Secrets| {
        let text = secrets.metrics.text().unwrap();
        text.contains("oauth_app_operator_secret_watches_refused 1\n")
    };
    let (mut secrets, mut woken) = secrets();
    for _ in 0..2 {
        secrets.for_each_change(stream::iter([refused(), Ok(Event::Apply(secret("8")))])).await;
        assert!(counted(&secrets), "it is counted once");
    }
    secrets.for_each_change(stream::iter([Ok(Event::Init), Ok(Event::InitDone)])).await;
    assert!(!counted(&secrets));
    assert_eq!(drain(&mut woken), Vec::<String>::new(), "nothing is compared with what was not watched");
}

#[tokio::test]
async fn an_existing_connection_triggers_at_the_start_if_it_changed_while_no_process_watched() {
    let observed = |name: &str, generation: i64| {
        named::<IamConnection>(name, json!({"status": {"observedGeneration": generation}}))
    };
    let listed = |all: Vec<_>| {
        [Event::Init]
            .into_iter()
            .chain(all.into_iter().map(Event::InitApply))
            .chain([Event::InitDone])
            .collect::<Vec<_>>()
    };
    let first = listed(vec![observed("same", 1), observed("changed", 0), named("new", json!({}))]);
    assert_eq!(follow_all(of_connections, first.clone()).await, ["changed", "new"]);
    let again =
        listed(vec![observed("same", 1), observed("changed", 1), named("new", json!({})), observed("later", 1)]);
    assert_eq!(
        follow_all(of_connections, [first, again].concat()).await,
        ["changed", "new", "later"],
        "not at the start"
    );
}

#[tokio::test]
async fn a_namespace_that_is_missing_or_relabeled_in_a_new_list_triggers() {
    let listed = |labels: &[(&str, Value)]| {
        let all = labels.iter().map(|(name, labels)| {
            Event::InitApply(named::<NamespaceMeta>(name, json!({"metadata": {"labels": labels}})))
        });
        [Event::Init].into_iter().chain(all).chain([Event::InitDone]).collect::<Vec<_>>()
    };
    let first = listed(&[("a", json!({"team": "x"})), ("b", json!({}))]);
    let second = listed(&[("a", json!({"team": "y"}))]);
    assert_eq!(follow_all(Namespaces, [first, second].concat()).await, ["a", "b"]);
}
