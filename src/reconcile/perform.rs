//! Performs one step at Kubernetes and folds what it brought into what is seen; calls to the API are in `calls`.
//! Each step is at most one write, so a crash leaves at most one effect that is not yet known.

use super::{Connections, Flow, Pass};
use crate::cluster::{Cluster, ClusterFault};
use crate::crd::{AdoptionPolicy, OrgOAuthApp, OrgOAuthAppStatus};
use crate::credentials::{self, Brought, Content, OurSecret, Target, secret_name};
use crate::decide::{Access, Because, ClaimOrigin, Outcome, Rival, Step, comes_first, has_claim};
use crate::reason::Reason;
use crate::remote::ClientId;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

impl<C: Cluster, D: Connections> Pass<'_, C, D> {
    pub(super) async fn perform(&mut self, step: Step) -> Result<Flow, ClusterFault> {
        match step {
            Step::ReadSecret => {
                let name = secret_name(&self.seen.app);
                let target = self.read_secret(&name).await?;
                self.seen.secret_overridden = self.is_overridden(&target);
                self.seen.secret = Some(target);
            }
            Step::ReadFormerSecret(name) => self.seen.former = Some(self.read_secret(&name).await?),
            Step::ReadBroughtSecret => self.seen.brought = self.read_brought().await?,
            Step::ReadResource => return self.read_resource().await,
            Step::FindUsers => {
                let app = &self.seen.app;
                let namespace = app.namespace().unwrap_or_default();
                self.seen.users = Some(self.operator.cluster.pods_using(&namespace, &secret_name(app)).await?);
            }
            Step::FindRival => self.seen.rival = self.find_rival().await?,
            Step::AddFinalizer => {
                let app = self.operator.cluster.add_finalizer(&self.seen.app).await?;
                self.saw(app);
            }
            Step::Claim { id, origin } => self.claim(id, origin).await?,
            Step::Unclaim => {
                let old = self.seen.app.status.clone().unwrap_or_default();
                self.write_status(OrgOAuthAppStatus { client_id: None, claim: None, adopted: None, ..old }).await?;
                (self.seen.claimed_now, self.seen.proof) = (false, None);
            }
            Step::TrySecret(content) => return self.try_secret(&content).await,
            Step::Write(content, because) => return self.write(content, because).await,
            Step::RemoveFormer(secret) | Step::RemoveSecret(secret) => {
                self.operator.cluster.write_secret(secret.remove()).await?;
                self.saw_secret(&secret, Target::Free);
            }
            Step::ReleaseSecret(secret) => self.release(&secret).await?,
            Step::DropFinalizer => return self.drop_finalizer().await,
            Step::Finish(outcome) => return Ok(Flow::End(outcome)),
            Step::Call(call) => return Ok(self.call(call).await),
        }
        Ok(Flow::Next)
    }

    fn saw(&mut self, app: OrgOAuthApp) {
        self.seen.app = app;
        self.seen.live = true;
    }

    async fn read_secret(&self, name: &str) -> Result<Target, ClusterFault> {
        let namespace = self.seen.app.namespace().unwrap_or_default();
        let secret = self.operator.cluster.read_secret(&namespace, name).await?;
        Ok(self.guard(secret))
    }

    fn guard(&self, secret: Option<Secret>) -> Target {
        credentials::guard(&self.seen.app, &self.seen.key, secret)
    }

    fn is_overridden(&self, target: &Target) -> bool {
        match target {
            Target::Ours(secret) => self.operator.secret_writes.is_overridden(&self.seen.app, secret),
            Target::Free | Target::Foreign => false,
        }
    }

    fn saw_secret(&mut self, secret: &OurSecret, now: Target) {
        match secret.name() == secret_name(&self.seen.app) {
            true => self.seen.secret = Some(now),
            false => self.seen.former = Some(now),
        }
    }

    async fn read_brought(&self) -> Result<Option<Brought>, ClusterFault> {
        let app = &self.seen.app;
        let Some(reference) = &app.spec.client_secret_ref else { return Ok(None) };
        let namespace = app.namespace().unwrap_or_default();
        let secret = self.operator.cluster.read_secret(&namespace, &reference.name).await?;
        Ok(Some(credentials::brought(reference, secret)))
    }

    async fn read_resource(&mut self) -> Result<Flow, ClusterFault> {
        let app = &self.seen.app;
        let namespace = app.namespace().unwrap_or_default();
        match self.operator.cluster.read_app(&namespace, &app.name_any()).await? {
            Some(present) if present.uid() == app.uid() && present.metadata.generation == app.metadata.generation => {
                self.saw(present);
                Ok(Flow::Next)
            }
            Some(_) | None => Err(ClusterFault::Stale),
        }
    }

    async fn find_rival(&self) -> Result<Rival, ClusterFault> {
        let id = self.seen.client_id();
        let asking = self.seen.app.namespace().unwrap_or_default();
        for other in self.operator.cluster.apps_with_id(&id.0, &asking).await? {
            if other.uid() != self.seen.app.uid() && self.is_rival(&other, &id).await {
                let (namespace, name) = (other.namespace(), other.name_any());
                tracing::info!(client_id = %id, namespace, name, "another resource has the client id");
                return Ok(Rival::Has(Box::new(other)));
            }
        }
        Ok(Rival::None)
    }

    /// A claim was granted once. Without one only a resource that may use its connection has a say.
    async fn is_rival(&self, other: &OrgOAuthApp, id: &ClientId) -> bool {
        let Access::Granted { address, .. } = &self.seen.access else { return false };
        let theirs = self.operator.address_of(other);
        let same_api = theirs.as_ref().is_some_and(|theirs| theirs.is_same(address));
        has_claim(other, id, (address, theirs.as_ref()), &self.seen.key)
            || (comes_first(&self.seen.app, id, other) && same_api && self.operator.is_granted(other).await)
    }

    async fn claim(&mut self, id: ClientId, origin: ClaimOrigin) -> Result<(), ClusterFault> {
        let claiming = self.operator.claiming.get(id.clone(), Default::default);
        let _alone = claiming.lock().await;
        self.seen.rival = self.find_rival().await?;
        let Access::Granted { address, .. } = &self.seen.access else { return Ok(()) };
        if !matches!(self.seen.rival, Rival::None) {
            return Ok(());
        }
        let claim = self.seen.key.sign(&self.seen.app, address, &id, origin != ClaimOrigin::New);
        let old = self.seen.app.status.clone().unwrap_or_default();
        let may_be_adopted = self.seen.app.spec.adoption_policy != AdoptionPolicy::Never;
        let adopted = match origin {
            ClaimOrigin::New | ClaimOrigin::Created => None,
            ClaimOrigin::Adopted => Some(true),
            ClaimOrigin::Restored => old.adopted.or(may_be_adopted.then_some(true)),
        };
        self.write_status(OrgOAuthAppStatus { client_id: Some(id.0.clone()), claim: Some(claim), adopted, ..old })
            .await?;
        if origin == ClaimOrigin::Adopted {
            self.note(Reason::Adopted, format!("App {id} existed and is managed by this resource from now on."));
        }
        self.seen.claimed_now = matches!(origin, ClaimOrigin::New | ClaimOrigin::Adopted);
        // What was proven is the current secret, and no staged one.
        self.seen.proof = None;
        Ok(())
    }

    async fn write_status(&mut self, status: OrgOAuthAppStatus) -> Result<(), ClusterFault> {
        let app = self.operator.cluster.write_status(&self.seen.app, &status).await?;
        self.saw(app);
        Ok(())
    }

    /// A Secret that Kubernetes would refuse is found out before the API hears of the app.
    async fn try_secret(&mut self, content: &Content) -> Result<Flow, ClusterFault> {
        let Some(write) = self.seen.secret.as_ref().and_then(|target| target.write(&self.seen.app, content)) else {
            return Err(ClusterFault::Stale);
        };
        match self.operator.cluster.try_secret(write).await {
            Ok(()) => {
                self.secret_accepted();
                Ok(Flow::Next)
            }
            Err(ClusterFault::Refused(message)) => Ok(self.secret_refused(message)),
            Err(fault) => Err(fault),
        }
    }

    fn secret_accepted(&mut self) {
        self.operator.secret_writes.accepted(&self.seen.app);
        self.seen.secret_accepted = true;
    }

    fn secret_refused(&mut self, message: String) -> Flow {
        self.operator.secret_writes.refused(&self.seen.app);
        Flow::End(Outcome::Waiting {
            reason: Reason::SecretNotWritten,
            message: format!("Kubernetes refuses Secret {}: {message}", secret_name(&self.seen.app)),
            until: None,
        })
    }

    async fn write(&mut self, content: Content, because: Because) -> Result<Flow, ClusterFault> {
        let app = &self.seen.app;
        let Some(write) = self.seen.secret.as_ref().and_then(|target| target.write(app, &content)) else {
            return Err(ClusterFault::Stale);
        };
        // Whatever comes of it: a credential that could not be stored is never tried a second time, since another
        // one may have taken its place meanwhile.
        self.seen.in_hand = None;
        match self.operator.cluster.write_secret(write).await {
            Ok(secret) => {
                self.secret_accepted();
                self.wrote(secret, because);
                Ok(Flow::Next)
            }
            Err(ClusterFault::Stale) => {
                self.seen.secret = None;
                Ok(Flow::Next)
            }
            Err(ClusterFault::Refused(message)) => Ok(self.secret_refused(message)),
            Err(fault) => Err(fault),
        }
    }

    fn wrote(&mut self, secret: Option<Secret>, because: Because) {
        let before = self.version();
        self.seen.secret = Some(self.guard(secret));
        self.seen.published_now = true;
        self.seen.staged_now = because == Because::Staged;
        (self.seen.applied, self.seen.proof) = (None, None);
        match &self.seen.secret {
            // Kubernetes gives no new version to an object that stays as it was.
            Some(Target::Ours(secret)) if before.is_some() && secret.version() == before => {
                self.operator.secret_writes.overridden(&self.seen.app, secret);
                self.seen.secret_overridden = true;
                let name = secret.name();
                self.note(Reason::KubernetesRefused, format!("Secret {name} stays as it was: an admission policy of the cluster sets its labels or annotations otherwise."));
            }
            Some(Target::Ours(_) | Target::Free | Target::Foreign) | None => self.tell_of_write(because),
        }
    }

    fn version(&self) -> Option<String> {
        match &self.seen.secret {
            Some(Target::Ours(secret)) => secret.version(),
            Some(Target::Free | Target::Foreign) | None => None,
        }
    }

    fn tell_of_write(&mut self, because: Because) {
        let (id, name) = (self.seen.client_id(), secret_name(&self.seen.app));
        match because {
            Because::HandedOut | Because::Staged | Because::Expired | Because::IdOnly | Because::Signed => {}
            Because::Replaced => {
                self.note(Reason::Regenerated, format!("The client secret of app {id} was replaced."));
            }
            Because::Rotated => self.note(Reason::Rotated, format!("The client secret of app {id} was rotated.")),
            Because::Moved => {
                self.note(Reason::Moved, format!("The credential of app {id} was moved to Secret {name}."))
            }
            // The first secret of an app that was taken over is one that was brought.
            Because::Proven if self.seen.content().revision == 1 => {
                let message = format!("The client secret that was brought for app {id} is the app's.");
                self.note(Reason::Adopted, message);
            }
            Because::Proven => {
                let message = format!("The client secret in Secret {name} was checked and is the app's.");
                self.note(Reason::Repaired, message);
            }
            Because::PutBack if self.is_respecified() => {
                self.note(Reason::Updated, format!("Secret {name} was changed to what the spec says."));
            }
            Because::PutBack => self.note(Reason::Repaired, format!("Secret {name} was edited and is put back.")),
        }
    }

    /// Whether the spec changed since it was last looked at.
    pub(super) fn is_respecified(&self) -> bool {
        let app = &self.seen.app;
        app.status.as_ref().is_some_and(|status| status.observed_generation != app.metadata.generation)
    }

    async fn release(&mut self, secret: &OurSecret) -> Result<(), ClusterFault> {
        let released = self.operator.cluster.write_secret(secret.release(&self.seen.app)).await?;
        self.saw_secret(secret, self.guard(released));
        Ok(())
    }

    async fn drop_finalizer(&mut self) -> Result<Flow, ClusterFault> {
        self.operator.cluster.drop_finalizer(&self.seen.app).await?;
        let id = self.seen.client_id();
        match &self.seen.deletion {
            Some(_) => self.note(Reason::Deleted, format!("App {id} is gone.")),
            None => self.note(Reason::Released, format!("Released app {id}; it was not changed in the API.")),
        }
        Ok(Flow::End(Outcome::Gone))
    }
}
