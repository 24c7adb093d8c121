//! Performs one step in Kubernetes and adds the result to what is observed; calls to the API are in `calls`.
//! Each step is at most one write, so a crash leaves at most one effect that is not yet known.

use super::{Connections, Identity, Progress, Reconciliation};
use crate::cluster::{self, Cluster};
use crate::crd::{AdoptionPolicy, ConditionType, OrgOAuthApp, OrgOAuthAppStatus, SignedClaim};
use crate::decide::{
    Access, ClaimOrigin, ClaimProgress, Creation, IdOwner, PendingProgress, RotationWrite, SecretWriteProgress, Step,
    WriteReason, comes_first, has_claim, has_finalizer,
};
use crate::iam::ClientId;
use crate::outcome::{Outcome, Retry};
use crate::reason::Reason;
use crate::secret::{
    self, OwnedSecret, ProvidedSecret, SecretContents, SecretState, SecretWrite, rotation_secret_name, secret_name,
};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

impl<C: Cluster, D: Connections> Reconciliation<'_, C, D> {
    pub(super) async fn perform(&mut self, step: Step) -> Result<Progress, cluster::Error> {
        match step {
            Step::ReadSecrets => self.read_secrets().await?,
            Step::ReadOldNameSecret(name) => self.observed.old_name_secret = Some(self.read_secret(&name).await?),
            Step::ReadProvidedSecret => self.observed.provided = self.read_provided().await?,
            Step::ReadResource => return self.read_resource().await,
            Step::FindPodsUsing(secrets) => {
                let pods = self.operator.cluster.pods_using(&self.identity.namespace, &secrets).await?;
                self.observed.pods_using = Some(pods);
            }
            Step::FindStaleConsumers(until) => self.find_stale_consumers(until).await?,
            Step::RestartConsumer(workload, since) => self.restart(workload, since).await?,
            Step::FindIdOwner => self.observed.id_owner = self.find_id_owner().await?,
            Step::AddFinalizer => {
                let app = self.operator.cluster.add_finalizer(&self.observed.app).await?;
                if !has_finalizer(&app) {
                    return Ok(overridden("the finalizer of the resource"));
                }
                self.observed.observe_app(app);
            }
            Step::Claim { id, origin } => self.claim(id, origin).await?,
            Step::Unclaim => {
                let old = self.observed.app.status.clone().unwrap_or_default();
                self.write_status(OrgOAuthAppStatus { client_id: None, claim: None, adopted: None, ..old }).await?;
                self.observed.claim = ClaimProgress::TakenBack;
            }
            Step::DryRunSecret(content) => return self.dry_run_secret(&content).await,
            Step::WriteSecret(content, reason) => return self.write(content, reason).await,
            Step::WriteRotation(content, reason) => return self.write_rotation(content, reason).await,
            Step::RemoveOldNameSecret(secret) | Step::RemoveSecret(secret) => {
                let removed = self.write_secret(&secret.name(), secret.remove()).await?;
                self.saw_secret(&secret, removed);
            }
            Step::ReleaseSecret(secret) => self.release(&secret).await?,
            Step::DropFinalizer => return self.drop_finalizer().await,
            Step::Finish(outcome) => return Ok(Progress::End(outcome)),
            Step::Call(call) => return Ok(self.call(call).await),
        }
        Ok(Progress::Continue)
    }

    async fn read_secrets(&mut self) -> Result<(), cluster::Error> {
        let secret = self.read_secret(&secret_name(&self.observed.app)).await?;
        if self.is_overridden(&secret) {
            self.observed.secret_write = SecretWriteProgress::Overridden;
        }
        let rotation = self.read_secret(&rotation_secret_name(&self.observed.app)).await?;
        self.observed.observe_secret(secret);
        self.observed.observe_rotation_secret(rotation);
        Ok(())
    }

    async fn read_secret(&self, name: &str) -> Result<SecretState, cluster::Error> {
        let secret = self.guard(self.operator.cluster.read_secret(&self.identity.namespace, name).await?);
        if let Some(secrets) = &self.operator.observed_secrets {
            secrets.read(&self.observed.app, name, &secret);
        }
        Ok(secret)
    }

    async fn write_secret(&self, name: &str, write: SecretWrite) -> Result<SecretState, cluster::Error> {
        let app = &self.observed.app;
        let written = self.operator.observed_secrets.as_ref().map(|secrets| secrets.write(app, name));
        let secret = self.guard(self.operator.cluster.write_secret(write).await?);
        if let Some(written) = written {
            written.ended(app, &secret);
        }
        Ok(secret)
    }

    fn guard(&self, secret: Option<Secret>) -> SecretState {
        secret::guard(&self.observed.app, &self.observed.key, secret)
    }

    fn is_overridden(&self, target: &SecretState) -> bool {
        match target {
            SecretState::Owned(secret) => {
                self.operator.secret_writes.is_overridden(&self.identity.uid, self.generation(), secret)
            }
            SecretState::Absent | SecretState::Foreign { .. } => false,
        }
    }

    fn generation(&self) -> Option<i64> {
        self.observed.app.metadata.generation
    }

    fn saw_secret(&mut self, secret: &OwnedSecret, now: SecretState) {
        let name = secret.name();
        if name == secret_name(&self.observed.app) {
            self.observed.observe_secret(now);
        } else if name == rotation_secret_name(&self.observed.app) {
            self.observed.observe_rotation_secret(now);
        } else {
            self.observed.old_name_secret = Some(now);
        }
    }

    async fn read_provided(&self) -> Result<Option<ProvidedSecret>, cluster::Error> {
        let Some(reference) = &self.observed.app.spec.client_secret_ref else { return Ok(None) };
        let secret = self.operator.cluster.read_secret(&self.identity.namespace, &reference.name).await?;
        Ok(Some(secret::provided(reference, secret)))
    }

    async fn read_resource(&mut self) -> Result<Progress, cluster::Error> {
        let Identity { namespace, name, uid } = &self.identity;
        let Some(present) = self.operator.cluster.read_app(namespace, name).await? else {
            return Err(cluster::Error::Stale);
        };
        let is_same = present.metadata.uid.as_ref() == Some(uid)
            && present.metadata.generation == self.observed.app.metadata.generation;
        if !is_same {
            return Err(cluster::Error::Stale);
        }
        self.observed.observe_app(present);
        Ok(Progress::Continue)
    }

    async fn find_id_owner(&self) -> Result<IdOwner, cluster::Error> {
        let id = self.observed.client_id();
        for other in self.operator.cluster.apps_with_id(&id.0, &self.identity.namespace).await? {
            if other.uid().as_ref() != Some(&self.identity.uid) && self.is_id_owner(&other, &id).await {
                self.log_id_owner(&other, &id);
                return Ok(IdOwner::Has(Box::new(other)));
            }
        }
        Ok(IdOwner::None)
    }

    /// A conflict is asked about again and again; what status reports already is not news.
    fn log_id_owner(&self, other: &OrgOAuthApp, id: &ClientId) {
        let (namespace, name) = (other.namespace(), other.name_any());
        let stalled = self.observed.app.condition(ConditionType::Stalled);
        if stalled.is_some_and(|stalled| stalled.reason == Reason::IdConflict.as_str()) {
            tracing::debug!(client_id = %id, namespace, name, "another resource still has the client id")
        } else {
            tracing::info!(client_id = %id, namespace, name, "another resource has the client id")
        }
    }

    /// A claim was granted once. Without one only a resource that may use its connection has a say.
    async fn is_id_owner(&self, other: &OrgOAuthApp, id: &ClientId) -> bool {
        let Access::Granted { address, .. } = &self.observed.access else { return false };
        let theirs = self.operator.address_of(other);
        let same_api = theirs.as_ref().is_some_and(|theirs| theirs.is_same(address));
        has_claim(other, id, (address, theirs.as_ref()), &self.observed.key)
            || (comes_first(&self.observed.app, id, other) && same_api && self.operator.is_granted(other).await)
    }

    async fn claim(&mut self, id: ClientId, origin: ClaimOrigin) -> Result<(), cluster::Error> {
        let claiming = self.operator.claiming.get(id.clone(), Default::default);
        let _alone = claiming.lock().await;
        self.observed.id_owner = self.find_id_owner().await?;
        let Access::Granted { address, .. } = &self.observed.access else { return Ok(()) };
        if !matches!(self.observed.id_owner, IdOwner::None) {
            return Ok(());
        }
        let claim = self.observed.key.sign(&self.observed.app, address, &id, origin != ClaimOrigin::New);
        let old = self.observed.app.status.clone().unwrap_or_default();
        let may_be_adopted = self.observed.app.spec.adoption_policy != AdoptionPolicy::Never;
        let adopted = match origin {
            ClaimOrigin::New | ClaimOrigin::Created => None,
            ClaimOrigin::Adopted => Some(true),
            ClaimOrigin::Restored => old.adopted.or(may_be_adopted.then_some(true)),
        };
        self.write_status(OrgOAuthAppStatus { client_id: Some(id.0.clone()), claim: Some(claim), adopted, ..old })
            .await?;
        if origin == ClaimOrigin::Adopted {
            self.record_event(Reason::Adopted, format!("Adopted app {id}, which existed already."));
        }
        self.observed.claim = ClaimProgress::Recorded(origin);
        Ok(())
    }

    async fn write_status(&mut self, status: OrgOAuthAppStatus) -> Result<(), cluster::Error> {
        let app = self.operator.cluster.write_status(&self.observed.app, &status).await?;
        self.observed.observe_app(app);
        Ok(())
    }

    /// A Secret that Kubernetes would refuse is found out before the API hears of the app.
    async fn dry_run_secret(&mut self, content: &SecretContents) -> Result<Progress, cluster::Error> {
        let Some(write) = self.observed.secret().and_then(|target| target.write(&self.observed.app, content)) else {
            return Err(cluster::Error::Stale);
        };
        match self.operator.cluster.dry_run_secret(write).await {
            Ok(()) => {
                self.secret_accepted();
                Ok(Progress::Continue)
            }
            Err(cluster::Error::Refused(message)) => Ok(self.secret_refused(&self.secret_name(), message)),
            Err(fault) => Err(fault),
        }
    }

    fn secret_accepted(&mut self) {
        self.operator.secret_writes.accepted(&self.identity.namespace);
        self.observed.observe_accepted_write();
    }

    fn secret_refused(&self, name: &str, message: String) -> Progress {
        self.operator.secret_writes.refused(&self.identity.namespace);
        let message = format!("Kubernetes refuses Secret {name}: {message}");
        Progress::End(Outcome::Waiting { reason: Reason::SecretNotWritten, message, retry: Retry::Backoff })
    }

    async fn write(&mut self, content: SecretContents, reason: WriteReason) -> Result<Progress, cluster::Error> {
        let app = &self.observed.app;
        let Some(write) = self.observed.secret().and_then(|target| target.write(app, &content)) else {
            return Err(cluster::Error::Stale);
        };
        // Whatever comes of it: a credential that could not be stored is never tried a second time, since another
        // one may have taken its place meanwhile.
        if let Creation::Issued(_) = self.observed.creation {
            self.observed.creation = Creation::Stored;
        }
        let written = write.contents(app);
        match self.write_secret(&self.secret_name(), write).await {
            Ok(secret) => {
                self.secret_accepted();
                self.wrote(secret, reason);
                // The claim is compared when it is put back, and the rotation is in another Secret.
                let read = self.observed.contents();
                let SecretContents { claim, pending, previous, .. } = read.clone();
                let is_held = *read == SecretContents { claim, pending, previous, ..written };
                Ok(if is_held { Progress::Continue } else { secret_overridden(&self.secret_name()) })
            }
            Err(fault) => self.secret_not_written(&self.secret_name(), fault),
        }
    }

    /// Both Secrets are read again after one was changed by somebody else.
    fn secret_not_written(&mut self, name: &str, fault: cluster::Error) -> Result<Progress, cluster::Error> {
        match fault {
            cluster::Error::Stale => {
                self.observed.forget_secrets();
                Ok(Progress::Continue)
            }
            cluster::Error::Refused(message) => Ok(self.secret_refused(name, message)),
            cluster::Error::Unavailable(_) => Err(fault),
        }
    }

    async fn write_rotation(
        &mut self,
        content: SecretContents,
        reason: RotationWrite,
    ) -> Result<Progress, cluster::Error> {
        let app = &self.observed.app;
        let name = rotation_secret_name(app);
        let Some(write) = self.observed.rotation_secret().and_then(|target| target.write_rotation(app, &content))
        else {
            return Err(cluster::Error::Stale);
        };
        match self.write_secret(&name, write).await {
            Ok(secret) => {
                self.secret_accepted();
                self.observed.observe_rotation_secret(secret);
                if let (RotationWrite::Staged, Some(pending)) = (reason, &content.pending) {
                    self.observed.record_progress(&pending.secret, PendingProgress::NotSent);
                    // Another process may have rotated and removed its Secret between the read and the write.
                    let secret = self.read_secret(&self.secret_name()).await?;
                    self.observed.observe_secret(secret);
                }
                let read = self.observed.contents();
                let is_signed = content.rotation_is_empty() || self.rotation_claim() == content.claim.as_ref();
                let is_held = read.pending == content.pending && read.previous == content.previous && is_signed;
                Ok(if is_held { Progress::Continue } else { secret_overridden(&name) })
            }
            Err(fault) => self.secret_not_written(&name, fault),
        }
    }

    fn rotation_claim(&self) -> Option<&SignedClaim> {
        match self.observed.rotation_secret() {
            Some(SecretState::Owned(secret)) => secret.claim(),
            Some(SecretState::Absent | SecretState::Foreign { .. }) | None => None,
        }
    }

    fn secret_name(&self) -> String {
        secret_name(&self.observed.app)
    }

    fn wrote(&mut self, secret: SecretState, reason: WriteReason) {
        // Kubernetes gives no new version to an object that stays as it was.
        let before = self.version();
        match &secret {
            SecretState::Owned(written) if before.is_some() && written.version() == before => {
                self.operator.secret_writes.overridden(&self.identity.uid, self.generation(), written);
                let name = written.name();
                self.observed.observe_written(secret, false);
                self.record_event(Reason::KubernetesRefused, format!("Left Secret {name} as it is: an admission policy of the cluster sets its labels or annotations otherwise."));
            }
            SecretState::Owned(_) | SecretState::Absent | SecretState::Foreign { .. } => {
                self.observed.observe_written(secret, true);
                self.record_write(reason);
            }
        }
    }

    fn version(&self) -> Option<String> {
        match self.observed.secret() {
            Some(SecretState::Owned(secret)) => secret.version(),
            Some(SecretState::Absent | SecretState::Foreign { .. }) | None => None,
        }
    }

    fn record_write(&mut self, reason: WriteReason) {
        let (id, name) = (self.observed.client_id(), secret_name(&self.observed.app));
        match reason {
            WriteReason::Issued | WriteReason::IdOnly | WriteReason::Signed => {}
            WriteReason::Replaced => {
                self.record_event(Reason::Regenerated, format!("Replaced the client secret of app {id}."));
            }
            WriteReason::Provided => self.record_event(Reason::Regenerated, self.provided_secret_was_set(&id)),
            WriteReason::Rotated => {
                self.record_event(Reason::Rotated, format!("Rotated the client secret of app {id}."))
            }
            WriteReason::Moved => {
                self.record_event(Reason::Moved, format!("Moved the credentials of app {id} to Secret {name}."))
            }
            // The first secret of an app that was taken over is one that was provided.
            WriteReason::Verified if self.observed.contents().revision == 1 => {
                let message = format!("Verified the client secret provided for app {id}.");
                self.record_event(Reason::Adopted, message);
            }
            WriteReason::Verified => {
                let message = format!("Verified the edited client secret in Secret {name}.");
                self.record_event(Reason::Repaired, message);
            }
            WriteReason::Restored if self.is_respecified() => {
                self.record_event(Reason::Updated, format!("Updated Secret {name} to match the spec."));
            }
            WriteReason::Restored => {
                self.record_event(Reason::Repaired, format!("Restored Secret {name} after an external edit."))
            }
        }
    }

    fn provided_secret_was_set(&self, id: &ClientId) -> String {
        let reference = self.observed.app.spec.client_secret_ref.as_ref();
        let source = reference.map(|reference| format!("Secret {}", reference.name)).unwrap_or_default();
        format!(
            "Set the client secret of app {id} to the value that {source} provides, and ended every other one. To rotate it, put a new value into {source}."
        )
    }

    /// Whether the spec changed since it was last looked at.
    pub(super) fn is_respecified(&self) -> bool {
        let app = &self.observed.app;
        app.status.as_ref().is_some_and(|status| status.observed_generation != app.metadata.generation)
    }

    async fn release(&mut self, secret: &OwnedSecret) -> Result<(), cluster::Error> {
        let released = self.write_secret(&secret.name(), secret.release(&self.observed.app)).await?;
        self.saw_secret(secret, released);
        Ok(())
    }

    async fn drop_finalizer(&mut self) -> Result<Progress, cluster::Error> {
        self.operator.cluster.drop_finalizer(&self.observed.app).await?;
        let id = self.observed.client_id();
        match &self.observed.deletion {
            Some(_) => self.record_event(Reason::Deleted, format!("Deleted app {id}.")),
            None => self.record_event(Reason::Released, format!("Released app {id}; it was not changed in the API.")),
        }
        Ok(Progress::End(Outcome::Gone))
    }
}

fn secret_overridden(name: &str) -> Progress {
    overridden(&format!("what the operator writes to Secret {name}"))
}

/// A policy of the cluster that undoes a write would undo it again, and what comes next depends on it.
fn overridden(what: &str) -> Progress {
    let message = format!("an admission policy of the cluster changes {what}, so the operator cannot go on");
    Progress::End(Outcome::Waiting { reason: Reason::KubernetesRefused, message, retry: Retry::Backoff })
}
