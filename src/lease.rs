//! Leader election with a Lease: one replica leads, the others stand by, and one that loses leadership stops at once.
//! The rules are in `election`; the intervals and deadlines are here, and what a leader does that cannot renew its claim.

mod election;
pub mod guard;

use crate::cluster::lenient::Lenient;
use crate::lease::guard::LeadershipGuard;
use election::{Decision, Election};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The name of the Lease, in the operator's namespace.
pub(crate) const NAME: &str = "oauth-app-operator";
/// How long a claim counts for the others after they have seen it.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// A leader that could not renew its claim for so long has lost leadership; the rest of the duration is for requests that are in flight.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// One attempt must leave time for others before the deadline.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two attempts to release the Lease, which are few.
const RELEASE_RETRY: Duration = Duration::from_millis(200);

/// Why a leader lost leadership.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LeadershipLost {
    /// The API server could not be asked, or this process was paused.
    #[error("lost leadership: Lease {NAME} could not be renewed for {} s", RENEW_DEADLINE.as_secs())]
    NotRenewed,
    /// Another replica leads.
    #[error("lost leadership: {0} holds Lease {NAME}")]
    Taken(String),
}

/// Where the Lease is kept.
pub(crate) trait Leases: Send + Sync + 'static {
    fn read(&self) -> impl Future<Output = kube::Result<Option<Lease>>> + Send;

    /// Creates it if it has no `resourceVersion`, else replaces the one that has it.
    fn write(&self, lease: &Lease) -> impl Future<Output = kube::Result<()>> + Send;
}

impl Leases for Api<Lenient<Lease>> {
    async fn read(&self) -> kube::Result<Option<Lease>> {
        let found = self.get_opt(NAME).await?.map(|lease| lease.0);
        found.transpose().map_err(|unreadable| kube::Error::Service(unreadable))
    }

    async fn write(&self, lease: &Lease) -> kube::Result<()> {
        let params = PostParams::default();
        let lease = Lenient(Ok(lease.clone()));
        match lease.resource_version() {
            None => self.create(&params, &lease).await.map(drop),
            Some(_) => self.replace(NAME, &params, &lease).await.map(drop),
        }
    }
}

/// A name for this process that no other process has or ever had.
///
/// # Errors
/// When the host has no name.
pub(crate) fn identity() -> std::io::Result<String> {
    let host = hostname::get()?;
    Ok(format!("{}_{:016x}", host.to_string_lossy(), fastrand::u64(..)))
}

/// A replica that does not lead yet.
pub(crate) struct Candidate<L> {
    leases: L,
    election: Election,
}

/// A replica that leads as long as it renews its claim.
pub(crate) struct Leader<L> {
    replica: Candidate<L>,
    deadline: watch::Sender<Instant>,
}

/// The result of one attempt to hold the Lease.
enum Attempt {
    LeadsUntil(Instant),
    StandBy { holder: String, until: Instant },
    Expired,
    Raced,
    Failed(String),
}

impl<L: Leases> Candidate<L> {
    pub(crate) fn new(leases: L, identity: String) -> Self {
        Self { leases, election: Election::new(identity) }
    }

    /// Returns once this replica leads. Calls `standing_by` whenever it sees that another one does.
    pub(crate) async fn acquire(mut self, standing_by: impl Fn()) -> Leader<L> {
        let mut leader = None;
        loop {
            let mut pause = jittered(RETRY_PERIOD);
            match self.attempt().await {
                Attempt::LeadsUntil(deadline) => {
                    return Leader { replica: self, deadline: watch::Sender::new(deadline) };
                }
                Attempt::StandBy { holder, until } => {
                    if leader.as_ref() != Some(&holder) {
                        tracing::info!(leader = holder, "standing by");
                        leader = Some(holder);
                    }
                    standing_by();
                    pause = pause.min(until.saturating_duration_since(Instant::now()));
                }
                Attempt::Expired | Attempt::Raced => {}
                Attempt::Failed(error) => tracing::warn!(error, "failed to acquire Lease {NAME}; retrying"),
            }
            sleep(pause).await;
        }
    }

    async fn attempt(&mut self) -> Attempt {
        match timeout(ATTEMPT_TIMEOUT, self.read_and_claim()).await {
            Ok(Ok(attempt)) => attempt,
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => Attempt::Raced,
            Ok(Err(error)) => Attempt::Failed(error.to_string()),
            Err(_) => Attempt::Failed("the Kubernetes API server did not answer in time".into()),
        }
    }

    async fn read_and_claim(&mut self) -> kube::Result<Attempt> {
        let lease = self.leases.read().await?;
        let claim = match self.election.decide(lease, Instant::now(), Timestamp::now()) {
            Decision::Claim(lease) => lease,
            Decision::StandBy { holder, until } => return Ok(Attempt::StandBy { holder, until }),
            Decision::Expired => return Ok(Attempt::Expired),
        };
        let sent = Instant::now();
        self.leases.write(&claim).await?;
        Ok(Attempt::LeadsUntil(self.election.record_acquired(sent)))
    }

    async fn renew(&mut self) -> Attempt {
        sleep(jittered(RETRY_PERIOD)).await;
        self.attempt().await
    }

    async fn release(&self) -> kube::Result<()> {
        let lease = self.leases.read().await?;
        match lease.and_then(|lease| self.election.released(lease)) {
            Some(released) => self.leases.write(&released).await,
            None => Ok(()),
        }
    }
}

impl<L: Leases> Leader<L> {
    /// Open as long as this replica leads.
    pub(crate) fn guard(&self) -> LeadershipGuard {
        LeadershipGuard::UntilDeadline(self.deadline.subscribe())
    }

    /// Renews the Lease until `done`, then releases it, so that the next leader need not wait.
    ///
    /// # Errors
    /// When it lost leadership, whether or not it is done.
    pub(crate) async fn renew_until(mut self, done: impl Future<Output = ()>) -> Result<(), LeadershipLost> {
        let mut done = pin!(done);
        loop {
            let deadline = *self.deadline.borrow();
            let attempt = tokio::select! {
                biased;
                () = sleep_until(deadline) => Attempt::Expired,
                () = &mut done => {
                    self.release().await;
                    return Ok(());
                }
                attempt = self.replica.renew() => attempt,
            };
            let lost = match attempt {
                Attempt::LeadsUntil(deadline) => {
                    self.deadline.send_replace(deadline);
                    continue;
                }
                Attempt::Raced => continue,
                Attempt::Failed(error) => {
                    tracing::warn!(error, "failed to renew Lease {NAME}; retrying");
                    continue;
                }
                Attempt::StandBy { holder, .. } => LeadershipLost::Taken(holder),
                Attempt::Expired => LeadershipLost::NotRenewed,
            };
            self.deadline.send_replace(Instant::now());
            return Err(lost);
        }
    }

    /// Closes the guard first: nothing is done any more once the next one may lead.
    async fn release(self) {
        self.deadline.send_replace(Instant::now());
        let release = async {
            while let Err(error) = self.replica.release().await {
                tracing::debug!(%error, "failed to release Lease {NAME}; retrying");
                sleep(RELEASE_RETRY).await;
            }
        };
        match timeout(ATTEMPT_TIMEOUT, release).await {
            Ok(()) => tracing::info!("released Lease {NAME}"),
            Err(_) => tracing::warn!("failed to release Lease {NAME}; the next leader waits until it expires"),
        }
    }
}

/// Up to a fifth longer, so that replicas do not send requests at the same time.
fn jittered(period: Duration) -> Duration {
    period.mul_f64(1.0 + 0.2 * fastrand::f64())
}

#[cfg(test)]
mod tests;
