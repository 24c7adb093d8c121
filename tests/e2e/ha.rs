//! Two replicas: one leads, and whatever happens to it the other takes over, and never do both write.
//! The name of the Lease is fixed, so only one of these tests runs at a time.

use crate::cluster::{OPERATOR_NAMESPACE, OPERATOR_USER, plane};
use crate::env::{TenantEnv, operator_command};
use crate::proxy::{Proxy, Way};
use control_plane::{AuditRecord, Scratch};
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::ListParams;
use oauth_app_operator::crd::{ConditionStatus, ConditionType};
use serde_json::{Value, json};
use std::cell::Cell;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Instant;
use test_environment::Operator;

const APPS: usize = 40;
/// More apps than are created before the leader fails.
const CREATED_BEFORE: u32 = 5;

static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The binary as one of several, with a way of its own to the API server.
struct Replica {
    proxy: Proxy,
    operator: Operator,
}

impl Replica {
    async fn start(name: &str, namespace: &str, directory: &Path) -> Self {
        let proxy = Proxy::to(plane().server().trim_start_matches("https://").parse().unwrap()).await;
        let mut kubeconfig = plane().service_account(OPERATOR_NAMESPACE, "oauth-app-operator").await.unwrap();
        kubeconfig.clusters[0].cluster.as_mut().unwrap().server = Some(format!("https://{}", proxy.address));
        let kubeconfig = plane().write_kubeconfig(&format!("{namespace}-{name}"), &kubeconfig).unwrap();
        let command = operator_command(&kubeconfig, namespace);
        let operator = Operator::new(command, directory.join(format!("{name}.log")));
        operator.start().unwrap();
        Self { proxy, operator }
    }

    fn identity(&self) -> String {
        self.operator.logged("starting", "identity").unwrap_or_default()
    }

    fn leads(&self) -> bool {
        self.operator.logged("leading", "identity").is_some()
    }

    async fn readyz(&self) -> u16 {
        self.operator.status("/readyz").await
    }

    fn signal(&self, name: &str) {
        self.operator.signal(name).unwrap();
    }

    fn ended(&self) -> Option<ExitStatus> {
        self.operator.ended().unwrap()
    }

    /// Its requests to the API server.
    fn requests(&self, wanted: impl Fn(&AuditRecord) -> bool) -> Vec<AuditRecord> {
        let agent = format!("({})", self.identity());
        let its_own = |record: &AuditRecord| record.user == OPERATOR_USER && record.user_agent.ends_with(&agent);
        plane().audit(&agent, |record| its_own(record) && wanted(record)).unwrap()
    }

    /// What it wrote, but not where it lost a race for the Lease.
    fn writes(&self) -> Vec<AuditRecord> {
        self.requests(|record| record.is_write() && (record.resource != "leases" || record.code < 300))
    }
}

/// An environment whose operator is two replicas.
struct Pair {
    env: TenantEnv,
    leader: Replica,
    standby: Replica,
    _scratch: Scratch,
    _alone: tokio::sync::MutexGuard<'static, ()>,
}

impl Pair {
    async fn running(namespace: &str) -> Self {
        Self::connected(namespace, json!({"resyncInterval": "10m"})).await
    }

    async fn connected(namespace: &str, connection: Value) -> Self {
        let alone = ALONE.lock().await;
        // The replicas of the test before may have ended without giving it up.
        plane().kubectl(&["-n", OPERATOR_NAMESPACE, "delete", "lease", "--all"]).unwrap();
        let (env, scratch) = (TenantEnv::new(namespace, Flavor::Csp).await, Scratch::new().unwrap());
        env.give_credentials().await;
        env.connect(connection).await;
        let one = Replica::start("one", namespace, scratch.path()).await;
        let two = Replica::start("two", namespace, scratch.path()).await;
        env.until("both are ready", async || one.readyz().await == 200 && two.readyz().await == 200).await;
        assert!(one.leads() != two.leads(), "one leads");
        let (leader, standby) = if one.leads() { (one, two) } else { (two, one) };
        Self { env, leader, standby, _scratch: scratch, _alone: alone }
    }

    /// Many apps, of which the leader has created a few.
    async fn at_work(&self) {
        self.give_work(Fault::always(Action::Latency { ms: 300 })).await;
        let created = async || self.env.control.stats().await.unwrap().creations.len();
        self.env.until("a few are created", async || created().await >= CREATED_BEFORE as usize).await;
        assert!(created().await < APPS, "all are created before the leader fails");
    }

    /// The same, and the leader waits for answers, or for its turn to call, with everything that is left to do.
    async fn waiting_for_answers(&self) {
        // Longer than it takes to see that nothing changes, and over before the other leads.
        self.give_work(Fault::always(Action::Latency { ms: 8000 }).skip(CREATED_BEFORE)).await;
        let quiet = Cell::new(((0, 0), 0));
        let waits = async || {
            let writes = self.leader.requests(|request| request.is_write() && request.resource != "leases").len();
            // Fewer than at first where the API seemed to be slow.
            let in_flight = self.env.control.stats().await.unwrap().in_flight;
            let (before, looks) = quiet.get();
            let is_quiet = in_flight > 0 && before == (writes, in_flight);
            quiet.set(((writes, in_flight), if is_quiet { looks + 1 } else { 0 }));
            looks > 5
        };
        self.env.until("it may make no further call and writes nothing", waits).await;
        assert!(self.ready_apps().await < APPS, "nothing is left to do");
    }

    async fn give_work(&self, creates: Fault) {
        self.env.control.fault(creates.on(Operation::CreateApp)).await.unwrap();
        for name in names() {
            self.env.create(&name, json!({})).await;
        }
    }

    async fn holder(&self) -> String {
        let leases: Api<Lease> = Api::namespaced(self.env.client.clone(), OPERATOR_NAMESPACE);
        let lease = leases.get("oauth-app-operator").await.unwrap();
        lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default()
    }

    async fn ready_apps(&self) -> usize {
        let apps = self.env.apps().list(&ListParams::default()).await.unwrap();
        let ready = |kind, status| kind == ConditionType::Ready && status == ConditionStatus::True;
        let conditions = apps.iter().filter_map(|app| app.status.as_ref()).flat_map(|status| &status.conditions);
        conditions.filter(|condition| ready(condition.r#type, condition.status)).count()
    }

    /// Waits until the other leads and an app becomes ready, and prints how long that took.
    async fn until_taken_over(&self, what: &str, event: Instant) {
        let other = self.standby.identity();
        self.env.until("the other leads", async || self.holder().await == other).await;
        let led = event.elapsed();
        let ready = self.ready_apps().await;
        self.env.until("work goes on", async || self.ready_apps().await > ready).await;
        println!("{what}: the other leads after {led:.1?}, work goes on after {:.1?}", event.elapsed());
    }

    async fn until_ended_with_failure(&self) {
        self.env.until("the old leader has ended", async || self.leader.ended().is_some()).await;
        assert!(!self.leader.ended().unwrap().success());
    }

    /// One app each, each credential works, and the old leader wrote nothing once the new one led.
    async fn assert_all_is_well(&self) {
        for name in names() {
            self.env.until_ready(&name).await;
            self.env.assert_credential_works(&name).await;
        }
        let creations = self.env.control.stats().await.unwrap().creations;
        assert_eq!(creations.len(), APPS);
        assert!(creations.values().all(|count| *count == 1), "{creations:?}");
        self.assert_never_both().await;
    }

    async fn assert_never_both(&self) {
        let takes_over = |writes: &[AuditRecord]| writes.iter().position(|write| write.resource == "leases");
        self.env.until("the new leader is on record", async || takes_over(&self.standby.writes()).is_some()).await;
        let (old, new) = (self.leader.writes(), self.standby.writes());
        let taken_over = &new[takes_over(&new).unwrap()].received;
        assert!(old.iter().any(|write| write.resource == "leases"), "the old leader is on record");
        let late: Vec<_> = old.iter().filter(|write| write.received > *taken_over).collect();
        assert!(late.is_empty(), "the other led from {taken_over} on: {late:#?}");
        let early: Vec<_> = new.iter().filter(|write| write.received < *taken_over).collect();
        assert!(early.is_empty(), "it led only from {taken_over} on: {early:#?}");
    }

    /// Calls that are about apps; tokens are got for other reasons too.
    async fn calls_about_apps(&self) -> u64 {
        let mut calls = 0;
        for operation in [Operation::CreateApp, Operation::GetApp, Operation::ListApps, Operation::UpdateApp] {
            calls += self.env.calls(operation).await;
        }
        calls
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for (what, replica) in [("the leader", &self.leader), ("the standby", &self.standby)] {
            let log = replica.operator.log();
            match std::thread::panicking() {
                true => eprintln!("{what}:\n{}", replica.operator.log_tail()),
                false => self.env.assert_no_leak_in(what, &log),
            }
        }
    }
}

fn names() -> impl Iterator<Item = String> {
    (0..APPS).map(|n| format!("app-{n}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_leader_is_replaced() {
    let pair = Pair::running("ha-killed").await;
    pair.at_work().await;
    let event = Instant::now();
    pair.leader.signal("KILL");
    pair.until_taken_over("killed", event).await;
    pair.until_ended_with_failure().await;
    pair.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_with_closed_connections_exits_and_is_replaced() {
    cut_off("ha-closed", Way::Closed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_without_responses_of_the_api_server_exits_and_is_replaced() {
    cut_off("ha-silent", Way::Silent).await;
}

async fn cut_off(namespace: &str, way: Way) {
    let pair = Pair::running(namespace).await;
    pair.at_work().await;
    let event = Instant::now();
    pair.leader.proxy.set(way);
    pair.env.until("it is not ready", async || pair.leader.readyz().await == 503).await;
    pair.until_ended_with_failure().await;
    assert!(pair.leader.operator.log().contains("lost leadership"));
    pair.until_taken_over(&format!("{way:?}"), event).await;
    pair.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resumed_leader_does_nothing_more() {
    let pair = Pair::running("ha-paused").await;
    pair.waiting_for_answers().await;
    let event = Instant::now();
    pair.leader.signal("STOP");
    pair.env.control.clear_faults().await.unwrap();
    pair.until_taken_over("paused", event).await;
    for name in names() {
        pair.env.until_ready(&name).await;
    }
    let calls = pair.calls_about_apps().await;
    pair.leader.signal("CONT");
    pair.until_ended_with_failure().await;
    assert_eq!(pair.calls_about_apps().await, calls, "the old leader called the API");
    pair.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminated_leader_finishes_its_work_and_hands_over() {
    let pair = Pair::running("ha-handover").await;
    let slow = Fault::once(Action::Latency { ms: 3000 }).on(Operation::CreateApp);
    pair.env.control.fault(slow).await.unwrap();
    pair.env.create("slow", json!({})).await;
    let in_flight = async || pair.env.control.stats().await.unwrap().in_flight > 0;
    pair.env.until("the create is in flight", in_flight).await;
    pair.leader.signal("TERM");
    pair.env.until("it is not ready", async || pair.leader.readyz().await == 503).await;
    assert_eq!(pair.holder().await, pair.leader.identity(), "the lead is given up before the work has ended");
    pair.env.until("the old leader has ended", async || pair.leader.ended().is_some()).await;
    let ended = Instant::now();
    assert!(pair.leader.ended().unwrap().success());
    assert_ne!(pair.holder().await, pair.leader.identity());
    pair.env.create("next", json!({})).await;
    pair.env.until_ready("next").await;
    println!("terminated: the other has created an app {:.1?} after the end", ended.elapsed());
    pair.env.until_ready("slow").await;
    pair.env.assert_credential_works("slow").await;
    assert_eq!(pair.env.calls(Operation::UpdateApp).await, 0, "nothing was left half done");
    pair.assert_never_both().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_leader_reconciles_changed_apps_only() {
    let never = json!({"resyncInterval": "10000h", "credentialCheckInterval": "10000h"});
    let pair = Pair::connected("ha-settled", never).await;
    for name in names() {
        pair.env.create(&name, json!({})).await;
    }
    for name in names() {
        pair.env.until_ready(&name).await;
    }
    pair.env.until_connection("Ready", "True", "Provisioned").await;
    pair.env.control.clear_calls().await.unwrap();
    pair.leader.signal("KILL");
    pair.env.change("app-0", json!({"description": "Daily"})).await;
    let observed = async || pair.env.app("app-0").await.status.unwrap().observed_generation;
    pair.env.until("the new leader makes the change", async || observed().await == Some(2)).await;
    pair.standby.signal("TERM");
    pair.env.until("it has ended what it began", async || pair.standby.ended().is_some()).await;
    let read = pair.standby.requests(|request| request.resource == "secrets" && request.name.starts_with("app-"));
    assert!(
        !read.is_empty() && read.iter().all(|request| request.name.trim_end_matches("-rotation") == "app-0"),
        "{read:?}"
    );
    let calls = [Operation::ListApps, Operation::CreateApp, Operation::UpdateApp, Operation::RotateSecret];
    let calls = futures::future::join_all(calls.map(|operation| pair.env.calls(operation))).await;
    assert_eq!(calls, [0, 0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_ready_and_does_nothing() {
    let pair = Pair::running("ha-standby").await;
    pair.env.create("billing", json!({})).await;
    pair.env.until_ready("billing").await;
    for way in [Way::Closed, Way::Silent] {
        pair.standby.proxy.set(way);
        pair.env.until("it misses the API server", async || pair.standby.readyz().await == 503).await;
        pair.standby.proxy.set(Way::Open);
        pair.env.until("it is ready again", async || pair.standby.readyz().await == 200).await;
    }
    pair.standby.signal("TERM");
    pair.env.until("it has ended", async || pair.standby.ended().is_some()).await;
    assert!(pair.standby.ended().unwrap().success());
    // A watch is recorded when it ends.
    assert_eq!(pair.standby.requests(|request| request.verb == "watch"), []);
    assert_eq!(pair.standby.writes(), []);
    assert_eq!(pair.holder().await, pair.leader.identity());
    assert_eq!(pair.leader.ended(), None);
}
