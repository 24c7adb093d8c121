//! One reconciliation over one resource: observe, decide, perform, until decided that nothing is left, then report. The only
//! place with effects; what to do is decided in `decide`, how to report it in `status`. Three things outlive a reconcile:
//! `memory` has what a resource's last reconcile learned of the API, `secret_writes` whether Kubernetes accepts or undoes
//! writes of Secrets, and `observed_secrets` the versions of Secrets that reconciles know, so that the watch wakes only for
//! other ones.

mod access;
mod answers;
mod calls;
mod connection;
mod consumers;
mod identity;
mod memory;
mod observed_secrets;
mod panic;
mod perform;
mod report;
mod secret_writes;

pub(crate) use access::access_with;
pub(crate) use observed_secrets::{ObservedSecrets, Uids};

use crate::claim::ClaimKey;
use crate::cluster::{self, AppEvent, Cluster};
use crate::connections::Connections;
use crate::crd::{IamConnection, OrgOAuthApp};
use crate::decide::{
    Access, Call, Observed, RotationWrite, SecretWriteProgress, Step, decide, is_settled, outcome_with_retain_hint,
};
use crate::iam::{ClientId, ClientSecret};
use crate::keyed::Keyed;
use crate::metrics::Metrics;
use crate::outcome::{Outcome, Retry};
use crate::reason::{Blocked, Reason};
use crate::status::whole_seconds;
use identity::Identity;
use k8s_openapi::jiff::Timestamp;
use memory::Memory;
use secret_writes::SecretWrites;
use std::sync::Arc;

/// Several times as many as the creation of an app takes; more than this is a fault of the policy.
const MAX_STEPS: usize = 48;

/// What every reconciliation shares.
pub struct Operator<C, D> {
    pub(crate) cluster: C,
    pub(crate) connections: D,
    pub(crate) metrics: Arc<Metrics>,
    /// What the watch of Secrets compares with, if there is one.
    pub(crate) observed_secrets: Option<Arc<ObservedSecrets>>,
    /// By id, held while an id that a user chose is looked up and claimed, so that two resources cannot both find it free.
    claiming: Keyed<ClientId, tokio::sync::Mutex<()>>,
    claim_key: ClaimKey,
    secret_writes: SecretWrites,
    memory: Memory,
    clock: Clock,
    generate_secret: GenerateSecret,
    is_preview: bool,
}

/// The present time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Generates a client secret from randomness of the system.
pub type GenerateSecret = Arc<dyn Fn() -> Result<ClientSecret, getrandom::Error> + Send + Sync>;

/// A reconciliation in progress.
struct Reconciliation<'a, C: Cluster, D: Connections> {
    operator: &'a Operator<C, D>,
    identity: Identity,
    connection: Option<Arc<IamConnection>>,
    observed: Observed,
    events: Vec<AppEvent>,
}

/// Whether a reconciliation continues after a step.
enum Progress {
    Continue,
    End(Outcome),
}

impl<C: Cluster, D: Connections> Operator<C, D> {
    /// With the key that signs claims, the clock of status and rotation, and the source of new secrets.
    pub fn new(
        cluster: C,
        connections: D,
        claim_key: ClaimKey,
        clock: Clock,
        generate_secret: GenerateSecret,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            cluster,
            connections,
            metrics,
            observed_secrets: None,
            claiming: Keyed::default(),
            claim_key,
            secret_writes: SecretWrites::default(),
            memory: Memory::default(),
            clock,
            generate_secret,
            is_preview: false,
        }
    }

    /// One that changes nothing in the API: its reconciliations end with the plan of what they would change there. The
    /// writes to Kubernetes are still made; see `preview`.
    pub(crate) fn previewing(self) -> Self {
        Self { is_preview: true, ..self }
    }

    fn now(&self) -> Timestamp {
        whole_seconds((self.clock)())
    }

    /// Whether status reports that the last reconcile left nothing to do and that nothing has changed since.
    pub(crate) fn is_settled(&self, app: &OrgOAuthApp) -> bool {
        is_settled(app, &self.claim_key)
    }

    /// Brings one resource as far as it can be provided now.
    ///
    /// # Errors
    /// When Kubernetes does not answer, or what was observed turns out stale: the reconciliation is to be repeated.
    pub async fn reconcile(&self, app: OrgOAuthApp) -> Result<Outcome, cluster::Error> {
        let identity = Identity::of(&app)?;
        let (access, connection) = self.access(&app, &identity).await?;
        let mut observed = self.observe(app, access)?;
        let recalled = self.memory.take(&identity.uid);
        observed.remembered = recalled.remembered.clone();
        if self.secret_writes.are_accepted(&identity.namespace) {
            observed.secret_write = SecretWriteProgress::Accepted;
        }
        let mut reconciliation = Reconciliation { operator: self, identity, connection, observed, events: Vec::new() };
        let ended = reconciliation.run().await;
        let uid = reconciliation.identity.uid.clone();
        if !matches!(ended, Ok(Outcome::Gone)) {
            self.memory.remember(uid.clone(), recalled, reconciliation.observed.remembered.clone());
        }
        let outcome = match ended {
            Err(cluster::Error::Refused(message)) => kubernetes_refused(&reconciliation.observed.app, message),
            ended => ended?,
        };
        reconciliation.report(&outcome).await?;
        if outcome == Outcome::Gone {
            self.secret_writes.forget(&uid);
        }
        Ok(outcome)
    }

    fn observe(&self, app: OrgOAuthApp, access: Access) -> Result<Observed, cluster::Error> {
        let no_randomness = |error| cluster::Error::Unavailable(format!("no randomness for a client secret: {error}"));
        let generated_secret = (self.generate_secret)().map_err(no_randomness)?;
        let mut observed = Observed::new(app, access, self.claim_key.clone(), self.now(), generated_secret);
        observed.is_preview = self.is_preview;
        Ok(observed)
    }
}

impl<C: Cluster, D: Connections> Reconciliation<'_, C, D> {
    async fn run(&mut self) -> Result<Outcome, cluster::Error> {
        for _ in 0..MAX_STEPS {
            let step = decide(&self.observed);
            tracing::debug!(step = step.name(), "next step");
            if let Progress::End(outcome) = self.perform(step).await? {
                return Ok(outcome);
            }
        }
        let message = format!("no outcome after {MAX_STEPS} steps; this is a bug, please report it");
        tracing::error!("{message}");
        Ok(Outcome::Blocked(Blocked::new(Reason::InternalError, message)))
    }

    /// For an Event at the end of the reconcile; logged at once.
    fn record_event(&mut self, reason: Reason, message: String) {
        tracing::info!(reason = reason.as_str(), "{message}");
        if matches!(reason, Reason::Updated | Reason::RolesChanged) && !self.is_respecified() {
            self.operator.metrics.drift_corrected();
        }
        self.events.push(AppEvent { reason, message });
    }
}

/// A refusal of Kubernetes is reported in status, if that can be written.
fn kubernetes_refused(app: &OrgOAuthApp, message: String) -> Outcome {
    let message = format!("Kubernetes refuses a write of the operator: {message}");
    let outcome = Outcome::Waiting { reason: Reason::KubernetesRefused, message, retry: Retry::Backoff };
    if app.metadata.deletion_timestamp.is_some() { outcome_with_retain_hint(outcome) } else { outcome }
}

impl Step {
    fn name(&self) -> &'static str {
        match self {
            Self::ReadSecrets => "ReadSecrets",
            Self::ReadOldNameSecret(_) => "ReadOldNameSecret",
            Self::ReadProvidedSecret => "ReadProvidedSecret",
            Self::ReadResource => "ReadResource",
            Self::FindPodsUsing(_) => "FindPodsUsing",
            Self::FindStaleConsumers(_) => "FindStaleConsumers",
            Self::RestartConsumer(..) => "RestartConsumer",
            Self::FindIdOwner => "FindIdOwner",
            Self::AddFinalizer => "AddFinalizer",
            Self::Claim { .. } => "Claim",
            Self::Unclaim => "Unclaim",
            Self::DryRunSecret(_) => "DryRunSecret",
            Self::RemoveSecret(_) => "RemoveSecret",
            Self::WriteSecret(..) => "WriteSecret",
            Self::WriteRotation(_, RotationWrite::Staged) => "Stage",
            Self::WriteRotation(..) => "WriteRotation",
            Self::RemoveOldNameSecret(_) => "RemoveOldNameSecret",
            Self::ReleaseSecret(_) => "ReleaseSecret",
            Self::DropFinalizer => "DropFinalizer",
            Self::Finish(_) => "Finish",
            Self::Call(call) => call.name(),
        }
    }
}

impl Call {
    fn name(&self) -> &'static str {
        match self {
            Self::Authenticate => "Authenticate",
            Self::Read(_) => "ReadRemote",
            Self::FindInList(_) => "FindInList",
            Self::ConfirmAbsence(..) => "ConfirmAbsence",
            Self::Create(_) => "Create",
            Self::Update(..) => "Update",
            Self::Replace(..) => "Replace",
            Self::Rotate(..) => "Rotate",
            Self::EndRotation(_) => "EndRotation",
            Self::VerifySecret(..) => "VerifySecret",
            Self::ReadRoles(_) => "ReadRoles",
            Self::AddToOrganization(..) => "AddToOrganization",
            Self::ChangeRoles { .. } => "ChangeRoles",
            Self::Delete(_) => "Delete",
        }
    }
}
