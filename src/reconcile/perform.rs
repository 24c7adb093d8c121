//! Performs one step at Kubernetes and folds what it brought into what is seen; calls to the API are in `calls`.
//! Each step is at most one write, so a crash leaves at most one effect that is not yet known.

use super::{Connections, Flow, Pass};
use crate::cluster::{Cluster, ClusterFault};
use crate::crd::{OrgOAuthApp, OrgOAuthAppStatus};
use crate::credentials::{self, Brought, Content, OurSecret, secret_name};
use crate::decide::{Because, Outcome, Rival, Step, client_id, rival};
use crate::reason::Reason;
use crate::remote::ClientId;
use kube::ResourceExt;

impl<C: Cluster, D: Connections> Pass<'_, C, D> {
    pub(super) async fn perform(&mut self, step: Step) -> Result<Flow, ClusterFault> {
        match step {
            Step::ReadSecret => {
                let name = secret_name(&self.seen.app);
                self.seen.secret = Some(self.read_secret(&name).await?);
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
            Step::Claim { id, adopt } => self.claim(id, adopt).await?,
            Step::Unclaim => {
                self.write_claim(None, false).await?;
                self.seen.claimed_now = false;
            }
            Step::Write(content, because) => return self.write(content, because).await,
            Step::RemoveFormer(secret) => {
                self.operator.cluster.write_secret(secret.remove()).await?;
                self.seen.former = Some(credentials::Target::Free);
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

    async fn read_secret(&self, name: &str) -> Result<credentials::Target, ClusterFault> {
        let app = &self.seen.app;
        let namespace = app.namespace().unwrap_or_default();
        let secret = self.operator.cluster.read_secret(&namespace, name).await?;
        Ok(credentials::guard(app, secret))
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
        let app = &self.seen.app;
        let others = self.operator.cluster.apps_with_id(&client_id(app).0).await?;
        let found = others.iter().filter(|other| self.same_api(other)).find(|other| rival(app, other));
        Ok(match found {
            Some(other) => Rival::Has(format!("{}/{}", other.namespace().unwrap_or_default(), other.name_any())),
            None => Rival::None,
        })
    }

    /// The same id at two different endpoints names two different apps.
    fn same_api(&self, other: &OrgOAuthApp) -> bool {
        let name = &other.spec.connection_ref.name;
        let theirs = self.operator.connections.find(name);
        *name == self.seen.app.spec.connection_ref.name
            || theirs
                .zip(self.connection.as_ref())
                .is_some_and(|(theirs, ours)| theirs.spec.endpoint == ours.spec.endpoint)
    }

    async fn claim(&mut self, id: ClientId, adopt: bool) -> Result<(), ClusterFault> {
        let claiming = self.operator.claiming.get(id.clone(), Default::default);
        let _alone = claiming.lock().await;
        self.seen.rival = self.find_rival().await?;
        if matches!(self.seen.rival, Rival::None) {
            if adopt {
                self.note(Reason::Adopted, format!("App {id} existed and is managed by this resource from now on."));
            }
            self.write_claim(Some(id), adopt).await?;
            self.seen.claimed_now = true;
        }
        Ok(())
    }

    async fn write_claim(&mut self, id: Option<ClientId>, adopt: bool) -> Result<(), ClusterFault> {
        let old = self.seen.app.status.clone().unwrap_or_default();
        let status = OrgOAuthAppStatus { client_id: id.map(|id| id.0), adopted: adopt.then_some(true), ..old };
        let app = self.operator.cluster.write_status(&self.seen.app, &status).await?;
        self.saw(app);
        Ok(())
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
                self.seen.secret = Some(credentials::guard(app, secret));
                self.seen.published_now = true;
                self.seen.staged_now = because == Because::Staged;
                (self.seen.applied, self.seen.proof) = (None, None);
                self.tell_of_write(because);
                Ok(Flow::Next)
            }
            Err(ClusterFault::Stale) => {
                self.seen.secret = None;
                Ok(Flow::Next)
            }
            Err(ClusterFault::Refused(message)) => Ok(Flow::End(Outcome::Waiting {
                reason: Reason::SecretNotWritten,
                message: format!("Kubernetes refuses Secret {}: {message}", secret_name(app)),
                until: None,
            })),
            Err(fault) => Err(fault),
        }
    }

    fn tell_of_write(&mut self, because: Because) {
        let (id, name) = (client_id(&self.seen.app), secret_name(&self.seen.app));
        match because {
            Because::HandedOut | Because::Staged | Because::Expired | Because::IdOnly => {}
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
        self.seen.secret = Some(credentials::guard(&self.seen.app, released));
        Ok(())
    }

    async fn drop_finalizer(&mut self) -> Result<Flow, ClusterFault> {
        self.operator.cluster.drop_finalizer(&self.seen.app).await?;
        let id = client_id(&self.seen.app);
        match &self.seen.deletion {
            Some(_) => self.note(Reason::Deleted, format!("App {id} is gone.")),
            None => self.note(Reason::Released, format!("App {id} is let go; nothing was changed at the API.")),
        }
        Ok(Flow::End(Outcome::Gone))
    }
}
