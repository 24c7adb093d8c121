//! What one tenant, one organization or one client may ask for: however much it is, the others are served.
//! The tenant has the rights of its namespace only.

use crate::cluster::plane;
use crate::env::TenantEnv;
use crate::tenancy::Tenant;
use iam_simulator::types::{Action, CallFilter, Fault, Flavor, Operation, Target};
use oauth_app_operator::crd::{ConditionStatus, ConditionType, OrgOAuthApp};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ROTATE: &str = "oauth-apps.dev/rotate-requested-at";

/// An environment that is the neighbor's, with an attacker in a namespace beside it that may use the same connection.
async fn beside_an_attacker(namespace: &str, connection: Value) -> (TenantEnv, Attacker) {
    let (env, attacker) = (TenantEnv::new(namespace, Flavor::Csp).await, format!("{namespace}-attacker"));
    plane().kubectl(&["create", "namespace", &attacker]).unwrap();
    env.give_credentials().await;
    let names = json!({"from": "Names", "names": [namespace, attacker]});
    let mut spec = json!({"grants": [{"namespaces": names, "orgs": {"from": "All"}}], "resyncInterval": "10m"});
    spec.as_object_mut().unwrap().extend(connection.as_object().unwrap().clone());
    env.connect(spec).await;
    env.watch(&attacker);
    let tenant = Tenant::in_namespace(&attacker);
    (env, Attacker { namespace: attacker, tenant })
}

struct Attacker {
    namespace: String,
    tenant: Tenant,
}

impl Attacker {
    /// Creates so many resources, each in the organization that this says.
    fn create(&self, env: &TenantEnv, count: usize, org: impl Fn(usize) -> String) {
        let items: Vec<Value> = (0..count)
            .map(|n| {
                let mut item = env.manifest(&format!("app-{n}"), json!({"orgId": org(n)}));
                item["metadata"]["namespace"] = self.namespace.clone().into();
                item
            })
            .collect();
        self.tenant.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items})).unwrap();
    }

    async fn apps(&self, env: &TenantEnv) -> Vec<OrgOAuthApp> {
        let apps: kube::Api<OrgOAuthApp> = kube::Api::namespaced(env.client.clone(), &self.namespace);
        apps.list(&Default::default()).await.unwrap().items
    }

    /// How many of its resources have a status that the operator wrote.
    async fn answered(&self, env: &TenantEnv) -> usize {
        let seen = |app: &OrgOAuthApp| app.status.as_ref().is_some_and(|status| status.observed_generation.is_some());
        self.apps(env).await.iter().filter(|app| seen(app)).count()
    }
}

#[tokio::test]
async fn new_app_is_ready_while_many_in_unknown_organizations_wait() {
    let limits = json!({"limits": {"timeout": "5s", "maxInFlight": 1}});
    let (env, attacker) = beside_an_attacker("crowded", limits).await;
    attacker.create(&env, 300, |n| format!("made-up-{n}"));
    env.control.set(|settings| settings.latency_ms = 100).await.unwrap();
    env.operator().start().unwrap();
    env.until("resources of the attacker are reconciled", async || attacker.answered(&env).await > 0).await;
    for name in ["derived", "chosen"] {
        let id = if name == "chosen" { json!({"id": "chosen-by-the-neighbor"}) } else { json!({}) };
        env.create(name, id).await;
    }
    env.until_ready("derived").await;
    env.until_ready("chosen").await;
    let answered = attacker.answered(&env).await;
    assert!(answered < 150, "{answered} of the crowd were served before");
}

#[tokio::test]
async fn rate_limited_organization_does_not_block_others() {
    let (env, attacker) = beside_an_attacker("throttled-org", json!({})).await;
    env.control.seed_org(env.flavor, "always-429", true).await.unwrap();
    let wait = Fault::always(Action::TooManyRequests { retry_after: Some(600) }).org("always-429");
    env.control.fault(wait).await.unwrap();
    attacker.create(&env, 10, |_| "always-429".into());
    env.operator().start().unwrap();
    let throttled = |app: &OrgOAuthApp| {
        app.condition(ConditionType::Reconciling).is_some_and(|condition| condition.reason == "Throttled")
    };
    let waits = async || attacker.apps(&env).await.iter().all(throttled);
    env.until("the organization waits", waits).await;
    for n in 0..10 {
        env.create(&format!("app-{n}"), json!({})).await;
    }
    for n in 0..10 {
        env.until_ready(&format!("app-{n}")).await;
    }
    let of_org = Target { org_id: Some("always-429".into()), ..Target::default() };
    let calls = env.control.count(&CallFilter { on: of_org, ..CallFilter::default() }).await.unwrap();
    assert!(calls <= 8, "{calls} calls about an organization that is asked to wait");
}

#[tokio::test]
async fn rate_limited_tenant_does_not_block_its_neighbor() {
    let (env, attacker) = beside_an_attacker("throttled-orgs", json!({})).await;
    let orgs = ["limited-0", "limited-1", "limited-2", "limited-3"];
    for org in orgs {
        env.control.seed_org(env.flavor, org, true).await.unwrap();
    }
    attacker.create(&env, 4, |n| orgs[n].into());
    env.operator().start().unwrap();
    let is_ready = |app: &OrgOAuthApp| {
        app.condition(ConditionType::Ready).is_some_and(|ready| ready.status == ConditionStatus::True)
    };
    let all_ready = async || attacker.apps(&env).await.iter().all(is_ready);
    env.until("its organizations are known", all_ready).await;
    for org in orgs {
        let wait = Fault::always(Action::TooManyRequests { retry_after: Some(600) }).org(org);
        env.control.fault(wait).await.unwrap();
    }
    attacker.create(&env, 20, |n| orgs[n % 4].into());
    let change = json!({"spec": {"displayName": "Changed"}}).to_string();
    for n in 0..4 {
        attacker.tenant.kubectl(&["patch", "ooa", &format!("app-{n}"), "--type=merge", "-p", &change]).unwrap();
    }
    let waits = async || {
        let apps = attacker.apps(&env).await;
        let is = |app: &OrgOAuthApp| app.condition(ConditionType::Reconciling).is_some_and(|c| c.reason == "Throttled");
        apps.iter().all(is)
    };
    env.until("all its organizations wait", waits).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
}

#[tokio::test]
async fn rotations_requested_in_a_loop_are_rate_limited_and_the_newest_is_done() {
    let env = TenantEnv::running("annotation-loop", Flavor::Csp).await;
    let tenant = Tenant::of(&env);
    env.create("billing", json!({"rotation": {"interval": "720h", "overlap": "1s"}})).await;
    env.until_ready("billing").await;
    let begin = Instant::now();
    let annotate = |value: usize| {
        let request = format!("{ROTATE}={value}");
        tenant.kubectl(&["annotate", "--overwrite", "ooa", "billing", &request]).unwrap();
    };
    annotate(0);
    env.until("the first is fulfilled at once", async || env.calls(Operation::RotateSecret).await == 1).await;
    (1..100).for_each(annotate);
    let says = async || {
        let ready = env.condition("billing", ConditionType::Ready).await.unwrap();
        ready.message.contains("waits until a minute has passed since the last one")
    };
    env.until("status says that the next one waits", says).await;
    let newest = async || env.app("billing").await.status.unwrap().last_handled_rotate_at.as_deref() == Some("99");
    env.until("the newest request is fulfilled", newest).await;
    let (rotations, minutes) = (env.calls(Operation::RotateSecret).await, begin.elapsed().as_secs() / 60);
    // The first, the newest, and one more for each minute that a slow machine took.
    assert!(rotations <= 2 + minutes, "{rotations} rotations in {:?}", begin.elapsed());
    env.assert_credential_works("billing").await;
}

/// What the operator's process has had in memory at most, in KiB.
fn peak_memory(env: &TenantEnv) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", env.operator().pid().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn endless_lists_and_huge_responses_are_bounded_and_reported() {
    let env = TenantEnv::running("endless", Flavor::Csp).await;
    env.create("listed", json!({})).await;
    env.until_ready("listed").await;
    let before = peak_memory(&env);
    let endless = Fault::always(Action::EndlessList { page_bytes: 4_000_000 }).on(Operation::ListApps);
    env.control.fault(endless).await.unwrap();
    let message = env.until_reason("listed", ConditionType::Reconciling, "ConnectionUnavailable").await;
    assert!(message.contains("the list does not end"), "{message}");
    env.control.clear_faults().await.unwrap();
    let large = Fault::always(Action::LargeBody { bytes: 1_000_000 }).on(Operation::GetApp);
    env.control.fault(large).await.unwrap();
    env.annotate("listed", "oauth-apps.dev/reconcile-requested-at", "now").await;
    let says = async || {
        let waiting = env.condition("listed", ConditionType::Reconciling).await.unwrap();
        waiting.message.contains("the answer is too large")
    };
    env.until("status says that the answer is too large", says).await;
    env.until_ready("listed").await;
    let grown = peak_memory(&env).saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more in memory than before");
}

#[tokio::test]
async fn unfinished_requests_do_not_block_probes_and_are_closed() {
    let env = TenantEnv::running("half-requests", Flavor::Csp).await;
    env.until("the endpoint is served", async || env.operator().address().is_some()).await;
    let address = env.operator().address().unwrap();
    let mut held = Vec::new();
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.unwrap();
        held.push(stream);
    }
    let answer = reqwest::get(format!("http://{address}/healthz")).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let closed = held.into_iter().map(|mut stream| async move {
        // A connection that was reset is closed too.
        tokio::time::timeout(Duration::from_secs(60), stream.read(&mut [0; 1])).await.is_ok()
    });
    let closed = futures::future::join_all(closed).await;
    assert_eq!(closed.iter().filter(|closed| !**closed).count(), 0, "all are closed by the operator");
}
