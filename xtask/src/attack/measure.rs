//! What is measured during an attack: how soon the neighbor's new apps are Ready, how soon a probe is answered, and what the
//! operator's process takes.

use std::error::Error;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join;
use kube::ResourceExt;
use kube::runtime::wait::await_condition;
use kube::runtime::{WatchStreamExt, watcher};
use oauth_app_operator::crd::{ConditionStatus, ConditionType, OrgOAuthApp};
use serde_json::json;
use test_environment::TestEnv;
use tokio::time::{interval, timeout};

use super::tenant::{NEIGHBOR, Tenant, app};

/// How often something new is measured.
const PACE: Duration = Duration::from_secs(1);
/// What has not happened then is counted as if it had taken so long.
const LIMIT: Duration = Duration::from_secs(30);
/// Ticks of the processor's clock in `/proc`, which Linux fixes for programs.
const TICKS: f64 = 100.0;

type Failure = Box<dyn Error + Send + Sync>;

/// What one attack came to.
pub(super) struct Measured {
    /// Writes of the attacker that were accepted, and that were refused.
    pub made: (usize, usize),
    /// How long the API server took to create an app, as a measure of how busy it is: the operator writes several times.
    pub create: Vec<Duration>,
    /// From the create of an app until it was Ready.
    pub ready: Vec<Duration>,
    /// What of it passed until the API server told a watch of the neighbor that there is the app.
    pub watched: Vec<Duration>,
    /// The same for answers of `/healthz`.
    pub health: Vec<Duration>,
    /// The most that was resident, and what is now, in KiB.
    pub memory: (u64, u64),
    /// Seconds of the processor.
    pub processor: f64,
}

impl Measured {
    /// From when the API server told of an app until it was Ready, for each.
    pub(super) fn ready_since_told(&self) -> Vec<Duration> {
        self.ready.iter().zip(&self.watched).map(|(ready, told)| ready.saturating_sub(*told)).collect()
    }
}

/// The times of each of the neighbor's new apps, from when its create began.
#[derive(Default)]
struct Apps {
    create: Vec<Duration>,
    watched: Vec<Duration>,
    ready: Vec<Duration>,
}

pub(super) struct Probe {
    neighbor: Tenant,
    healthz: String,
    pid: u32,
}

impl Probe {
    pub(super) fn new(env: &TestEnv, neighbor: Tenant) -> Result<Self, Box<dyn Error>> {
        let operator = env.operator();
        let (address, pid) = operator.address().zip(operator.pid()).ok_or("the operator does not run")?;
        Ok(Self { neighbor, healthz: format!("http://{address}/healthz"), pid })
    }

    /// Measures for so long, and until what it began has ended.
    pub(super) async fn run(self, time: Duration) -> Result<Measured, Failure> {
        let (before, until) = (self.processor()?, Instant::now() + time);
        let health = tokio::spawn(health(self.healthz.clone(), until));
        let Apps { create, watched, ready } = self.apps(until).await?;
        let (health, memory) = (health.await??, (self.memory("VmHWM")?, self.memory("VmRSS")?));
        Ok(Measured { made: (0, 0), create, ready, watched, health, memory, processor: self.processor()? - before })
    }

    /// Creates one after another.
    async fn apps(&self, until: Instant) -> Result<Apps, Failure> {
        let (apps, mut pace) = (self.neighbor.apps(), interval(PACE));
        let mut watch = std::pin::pin!(watcher(self.neighbor.apps(), Default::default()).applied_objects());
        let mut measured = Apps::default();
        while Instant::now() < until {
            pace.tick().await;
            let (name, begin) = (format!("app-{}", measured.ready.len()), Instant::now());
            let told = async {
                while watch.next().await.is_some_and(|told| told.is_ok_and(|app| app.name_any() != name)) {}
                begin.elapsed()
            };
            let is_ready = async {
                let is_created = self.neighbor.create::<OrgOAuthApp>(app(&name, NEIGHBOR, json!({}))).await;
                let create = begin.elapsed();
                let is_ready = timeout(LIMIT, await_condition(apps.clone(), &name, is_ready)).await;
                let is_ready = matches!(is_ready, Ok(Ok(_)));
                (is_created, create, if is_ready { begin.elapsed() } else { LIMIT })
            };
            let (told, (is_created, create, is_ready)) = join(told, is_ready).await;
            if !is_created {
                return Err("the other tenant cannot create an app".into());
            }
            measured.create.push(create);
            measured.watched.push(told);
            measured.ready.push(is_ready);
        }
        Ok(measured)
    }

    /// A line of `/proc/<pid>/status`, in KiB.
    fn memory(&self, field: &str) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| "the operator has ended".into())
    }

    /// Seconds in the program and for it in the kernel.
    fn processor(&self) -> Result<f64, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("the operator has ended")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.collect::<Result<Vec<_>, _>>()?.iter().sum::<f64>() / TICKS)
    }
}

fn is_ready(app: Option<&OrgOAuthApp>) -> bool {
    let ready = app.and_then(|app| app.condition(ConditionType::Ready));
    ready.is_some_and(|condition| condition.status == ConditionStatus::True)
}

/// Each over a connection of its own, as a kubelet asks.
async fn health(url: String, until: Instant) -> Result<Vec<Duration>, reqwest::Error> {
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(LIMIT).build()?;
    let (mut pace, mut taken) = (interval(PACE), Vec::new());
    while Instant::now() < until {
        pace.tick().await;
        let begin = Instant::now();
        let is_healthy = client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success());
        taken.push(if is_healthy { begin.elapsed() } else { LIMIT });
    }
    Ok(taken)
}
