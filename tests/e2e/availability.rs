//! What consumers meet that read a Secret and ask for a token without pause, over the whole life of an app: none is refused but for
//! what somebody did to its app in the console, and that only until the operator has repaired it.

use crate::env::TenantEnv;
use iam_simulator::client::Control;
use iam_simulator::types::{Flavor, Human, Replication};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use oauth_app_operator::crd::{ConditionStatus, ConditionType, OrgOAuthApp};
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

const ROTATE: &str = "oauth-apps.dev/rotate-requested-at";
const APPS: usize = 10;
const REGENERATED: &str = "app-0";
const DELETED: &str = "app-1";
/// So often that whatever is missed for a moment would show.
const ASKED_AFTERWARDS: usize = 20;

/// What the consumer of one app met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// Whether the app was Ready once, from when on its credential is to be valid.
    is_ready: bool,
    /// Requests from then on.
    pub asked: usize,
    /// Those that were refused, or for which the Secret held nothing: when each began, before it read the Secret, and why.
    pub refusals: BTreeMap<Instant, String>,
    asked_before_ready: usize,
}

type Records = BTreeMap<String, Record>;

/// One consumer of each app.
pub(crate) struct Consumers {
    records: Arc<Mutex<Records>>,
    stop: Arc<AtomicBool>,
    work: tokio::task::JoinHandle<()>,
}

impl Consumers {
    pub(crate) fn of(env: &TenantEnv, names: &[String]) -> Self {
        let records: Records = names.iter().map(|name| (name.clone(), Record::default())).collect();
        let (records, stop) = (Arc::new(Mutex::new(records)), Arc::new(AtomicBool::new(false)));
        let (consumer, names) = (Consumer::of(env), names.to_vec());
        let (recorded, stopped) = (records.clone(), stop.clone());
        let work = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                for name in &names {
                    consumer.ask(name, &recorded).await;
                }
            }
        });
        Self { records, stop, work }
    }

    fn records(&self) -> Records {
        self.records.lock().unwrap().clone()
    }

    async fn until_asked_again(&self, env: &TenantEnv) {
        let before = self.records();
        let asked = |(name, record): (&String, &Record)| record.asked >= before[name].asked + ASKED_AFTERWARDS;
        env.until("each consumer asked again and again", async || self.records().iter().all(asked)).await;
    }

    pub(crate) async fn end(self) -> Records {
        self.stop.store(true, Ordering::Relaxed);
        self.work.await.unwrap();
        self.records.lock().unwrap().clone()
    }
}

struct Consumer {
    apps: Api<OrgOAuthApp>,
    secrets: Api<Secret>,
    control: Control,
    flavor: Flavor,
    org: String,
}

impl Consumer {
    fn of(env: &TenantEnv) -> Self {
        let (control, flavor, org) = (env.control.clone(), env.flavor, env.org.clone());
        Self { apps: env.apps(), secrets: env.secrets(), control, flavor, org }
    }

    async fn ask(&self, name: &str, records: &Mutex<Records>) {
        let was_ready = records.lock().unwrap()[name].is_ready;
        let is_ready = was_ready || self.is_ready(name).await;
        let began = Instant::now();
        let answer = match self.credential(name).await {
            Some((id, secret)) => {
                self.control.token(self.flavor, &self.org, &id, &secret).await.map_err(|error| error.to_string())
            }
            None if is_ready => Err("the Secret holds no credential".to_owned()),
            None => return,
        };
        let mut records = records.lock().unwrap();
        let record = records.get_mut(name).unwrap();
        record.is_ready = is_ready;
        match is_ready {
            true => record.asked += 1,
            false => record.asked_before_ready += 1,
        }
        record.refusals.extend(answer.err().filter(|_| is_ready).map(|said| (began, said)));
    }

    async fn is_ready(&self, name: &str) -> bool {
        let status = self.apps.get_opt(name).await.unwrap().and_then(|app| app.status);
        let conditions = status.map(|status| status.conditions).unwrap_or_default();
        conditions.iter().any(|c| c.r#type == ConditionType::Ready && c.status == ConditionStatus::True)
    }

    async fn credential(&self, name: &str) -> Option<(String, String)> {
        let data = self.secrets.get_opt(name).await.unwrap()?.data?;
        let text = |key: &str| data.get(key).map(|value| String::from_utf8(value.0.clone()).unwrap());
        text("client-id").zip(text("client-secret"))
    }
}

#[tokio::test]
async fn no_consumer_of_cloud_services_is_refused_but_for_what_was_done_in_the_console() {
    refused_only_for_what_was_done_in_the_console("poller-csp", Flavor::Csp).await;
}

#[tokio::test]
async fn no_consumer_of_cloud_partner_navigator_is_refused_but_for_what_was_done_in_the_console() {
    refused_only_for_what_was_done_in_the_console("poller-cpn", Flavor::Cpn).await;
}

#[tokio::test]
async fn no_consumer_of_the_identity_broker_is_refused_but_for_what_was_done_in_the_console() {
    refused_only_for_what_was_done_in_the_console("poller-broker", Flavor::Broker).await;
}

/// The API shows and knows everything four seconds late, and the operator is killed while it rotates.
async fn refused_only_for_what_was_done_in_the_console(namespace: &str, flavor: Flavor) {
    let env = TenantEnv::new(namespace, flavor).await;
    let late = Replication { reads_ms: 4000, lists_ms: 4000, tokens_ms: 4000 };
    env.control.set(|settings| settings.replication = late).await.unwrap();
    env.give_credentials().await;
    env.connect(json!({"credentialCheckInterval": "5s"})).await;
    env.operator().start().unwrap();
    let names: Vec<String> = (0..APPS).map(|n| format!("app-{n}")).collect();
    let consumers = Consumers::of(&env, &names);
    create_and_rotate(&env, &names).await;
    let repairs = act_in_the_console(&env).await;
    for name in &names {
        env.until_ready(name).await;
    }
    consumers.until_asked_again(&env).await;
    let records = consumers.end().await;
    assert!(records.values().any(|record| record.asked_before_ready > 0), "they began before the API knew the secret");
    for (name, record) in &records {
        assert_refused_only_within(repairs.get(name.as_str()), name, record);
    }
    let asked: usize = records.values().map(|record| record.asked).sum();
    let seconds = |name: &str| (repairs[name].end - repairs[name].start).as_secs();
    println!(
        "{flavor:?}: {asked} tokens asked for; the regenerated secret was repaired after {} s and the deleted app after {} s",
        seconds(REGENERATED),
        seconds(DELETED),
    );
}

async fn create_and_rotate(env: &TenantEnv, names: &[String]) {
    for name in names {
        env.create(name, json!({})).await;
    }
    for name in names {
        env.until_ready(name).await;
    }
    for name in names {
        env.change(name, json!({"description": "Daily"})).await;
        env.annotate(name, ROTATE, "1").await;
    }
    env.kill_repeatedly(6, 500..3000).await;
    for name in names {
        env.until_rotated(name, "1").await;
        env.until_ready(name).await;
        let (id, _) = env.credential(name).await.unwrap();
        let app = env.remote_app(&id).await.unwrap();
        assert_eq!((app.secret_changes, &app.fields["description"]), (1, &json!("Daily")), "{name}");
    }
}

/// Regenerates the secret of one app and deletes another one, and returns when each began and was repaired.
async fn act_in_the_console(env: &TenantEnv) -> BTreeMap<&'static str, Range<Instant>> {
    let regenerated = env.credential(REGENERATED).await.unwrap();
    let deleted = env.credential(DELETED).await.unwrap();
    let begin = Instant::now();
    let flavor = env.flavor;
    env.control.human(Human::Regenerate { flavor, id: regenerated.0.clone() }).await.unwrap();
    env.control.human(Human::Delete { flavor, id: deleted.0.clone() }).await.unwrap();
    let ends = tokio::join!(until_repaired(env, REGENERATED, &regenerated), until_repaired(env, DELETED, &deleted));
    assert_eq!(env.control.stats().await.unwrap().creations[&deleted.0], 2, "{DELETED} was created again");
    BTreeMap::from([(REGENERATED, begin..ends.0), (DELETED, begin..ends.1)])
}

async fn until_repaired(env: &TenantEnv, name: &str, before: &(String, String)) -> Instant {
    let is_repaired = async || {
        let (id, secret) = env.credential(name).await.unwrap();
        assert_eq!(id, before.0, "{name} keeps its client id");
        secret != before.1 && env.control.token(env.flavor, &env.org, &id, &secret).await.is_ok()
    };
    env.until(&format!("{name} has a new secret that is valid"), is_repaired).await;
    Instant::now()
}

fn assert_refused_only_within(repair: Option<&Range<Instant>>, name: &str, record: &Record) {
    let is_excused = |(began, _): &(&Instant, &String)| repair.is_some_and(|repair| repair.contains(*began));
    let (excused, cut_off): (Vec<_>, Vec<_>) = record.refusals.iter().partition(is_excused);
    assert!(cut_off.is_empty(), "the consumer of {name} was cut off {} times: {:?}", cut_off.len(), cut_off[0]);
    assert_eq!(!excused.is_empty(), repair.is_some(), "{name}: what was done in the console is felt");
}
