//! Performs one step and folds what it brought into what is seen.
//! Each step is at most one write, so a crash leaves at most one effect that is not yet known.

use super::{Connections, Flow, Pass};
use crate::cluster::{Cluster, ClusterFault};
use crate::crd::{OrgOAuthApp, OrgOAuthAppStatus};
use crate::credentials::{self, secret_name};
use crate::decide::{Blocked, Call, Outcome, Remote, Rival, Step, after_fault, client_id, org_id, rival};
use crate::reason::Reason;
use crate::remote::{ClientId, Credentials, Fault, Iam, NewApp};
use kube::ResourceExt;
use std::sync::Arc;

impl<C: Cluster, D: Connections> Pass<'_, C, D> {
    pub(super) async fn perform(&mut self, step: Step) -> Result<Flow, ClusterFault> {
        match step {
            Step::ReadSecret => self.read_secret().await?,
            Step::ReadResource => return self.read_resource().await,
            Step::FindRival => self.seen.rival = self.find_rival().await?,
            Step::AddFinalizer => {
                let app = self.operator.cluster.add_finalizer(&self.seen.app).await?;
                self.saw(app);
            }
            Step::Claim(id) => self.claim(id).await?,
            Step::Unclaim => {
                self.write_claim(None).await?;
                self.seen.claimed_now = false;
            }
            Step::TryPublish(client_id) => return self.try_publish(client_id).await,
            Step::Publish(credentials) => return self.publish(credentials).await,
            Step::ReleaseSecret(secret) => {
                let released = self.operator.cluster.write_secret(secret.release(&self.seen.app)).await?;
                self.seen.secret = Some(credentials::guard(&self.seen.app, Some(released)));
            }
            Step::DropFinalizer => return self.drop_finalizer().await,
            Step::Finish(outcome) => return Ok(Flow::End(outcome)),
            Step::Call(call) => return Ok(self.call(call).await),
        }
        Ok(Flow::Next)
    }

    /// One call to the API. Whatever it answers, if it answers at all it took the connection's credentials.
    async fn call(&mut self, call: Call) -> Flow {
        let iam = match self.open().await {
            Ok(iam) => iam,
            Err(blocked) => {
                self.connection_proof = Some(Err(blocked.clone()));
                return Flow::End(Outcome::Blocked(blocked));
            }
        };
        let answer = self.ask(&iam, call).await;
        match &answer {
            Err(Fault::Unavailable(_) | Fault::Throttled { .. }) => {}
            Err(Fault::Credentials(message)) => {
                self.connection_proof = Some(Err(Blocked::new(Reason::CredentialsUnavailable, message.clone())));
            }
            Ok(()) | Err(Fault::Forbidden(_) | Fault::NotFound(_) | Fault::Conflict(_) | Fault::Rejected(_)) => {
                self.connection_proof = Some(Ok(()));
            }
        }
        match answer {
            Ok(()) => Flow::Next,
            Err(fault) => Flow::End(after_fault(&self.seen.app, fault)),
        }
    }

    async fn open(&self) -> Result<Arc<D::Iam>, Blocked> {
        match &self.connection {
            Some(connection) => self.operator.connections.open(connection).await,
            None => Err(Blocked::new(Reason::ConnectionNotFound, "there is no connection")),
        }
    }

    async fn ask(&mut self, iam: &D::Iam, call: Call) -> Result<(), Fault> {
        let org = org_id(&self.seen.app);
        match call {
            Call::Authenticate => {
                iam.authenticate(&org).await?;
                self.seen.authenticated = true;
            }
            Call::Read(id) => {
                let shown = iam.read(&org, &id).await?;
                self.seen.remote = shown.map_or(Remote::Absent, Remote::Shown);
            }
            Call::Create(app) => {
                let answer = iam.create(&org, &app).await;
                self.created(app, answer)?;
            }
            Call::Regenerate(id) => {
                let answer = iam.regenerate_secret(&org, &id).await;
                self.regenerated(id, answer)?;
            }
            Call::Delete(id) => self.seen.deletion = Some(iam.delete(&org, &id).await?),
        }
        Ok(())
    }

    fn saw(&mut self, app: OrgOAuthApp) {
        self.seen.app = app;
        self.seen.live = true;
    }

    async fn read_secret(&mut self) -> Result<(), ClusterFault> {
        let app = &self.seen.app;
        let namespace = app.namespace().unwrap_or_default();
        let secret = self.operator.cluster.read_secret(&namespace, &secret_name(app)).await?;
        self.seen.secret = Some(credentials::guard(app, secret));
        Ok(())
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

    async fn claim(&mut self, id: ClientId) -> Result<(), ClusterFault> {
        let _alone = self.operator.claiming.lock().await;
        self.seen.rival = self.find_rival().await?;
        if matches!(self.seen.rival, Rival::None) {
            self.write_claim(Some(id)).await?;
            self.seen.claimed_now = true;
        }
        Ok(())
    }

    async fn write_claim(&mut self, id: Option<ClientId>) -> Result<(), ClusterFault> {
        let old = self.seen.app.status.clone().unwrap_or_default();
        let status = OrgOAuthAppStatus { client_id: id.map(|id| id.0), ..old };
        let app = self.operator.cluster.write_status(&self.seen.app, &status).await?;
        self.saw(app);
        Ok(())
    }

    fn created(&mut self, app: NewApp, answer: Result<Credentials, Fault>) -> Result<(), Fault> {
        match answer {
            Ok(credentials) => {
                self.seen.remote = Remote::AsDefined;
                self.seen.in_hand = Some(credentials);
                self.note(Reason::Created, format!("App {} created.", app.id));
                Ok(())
            }
            // Refused perhaps because an earlier create, whose answer was lost, took hold: the API is asked.
            Err(fault @ (Fault::Conflict(_) | Fault::Rejected(_))) => {
                self.seen.remote = Remote::Unread;
                self.seen.create_refused = Some(fault);
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    fn regenerated(&mut self, id: ClientId, answer: Result<Credentials, Fault>) -> Result<(), Fault> {
        match answer {
            Ok(credentials) => {
                self.seen.in_hand = Some(credentials);
                self.note(Reason::Regenerated, format!("The client secret of app {id} was replaced."));
                Ok(())
            }
            Err(Fault::NotFound(_)) => {
                self.seen.remote = Remote::Absent;
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    async fn publish(&mut self, credentials: Credentials) -> Result<Flow, ClusterFault> {
        let app = &self.seen.app;
        let Some(write) = self.seen.secret.as_ref().and_then(|target| target.publish(app, &credentials)) else {
            return Err(ClusterFault::Stale);
        };
        let handed_out = self.seen.in_hand.take().is_some();
        match self.operator.cluster.write_secret(write).await {
            Ok(secret) => {
                self.seen.secret = Some(credentials::guard(app, Some(secret)));
                self.seen.published_now = true;
                self.seen.secret_suspect = false;
                if !handed_out {
                    self.note(Reason::Repaired, format!("Secret {} put back.", secret_name(&self.seen.app)));
                }
                Ok(Flow::Next)
            }
            Err(ClusterFault::Stale) => {
                self.seen.secret = None;
                self.seen.secret_suspect |= handed_out;
                Ok(Flow::Next)
            }
            Err(ClusterFault::Refused(message)) => Ok(self.secret_refused(&message)),
            Err(fault) => Err(fault),
        }
    }

    async fn try_publish(&mut self, client_id: ClientId) -> Result<Flow, ClusterFault> {
        let credentials = Credentials { client_id, client_secret: None };
        let Some(write) = self.seen.secret.as_ref().and_then(|target| target.publish(&self.seen.app, &credentials))
        else {
            return Err(ClusterFault::Stale);
        };
        match self.operator.cluster.try_secret(write).await {
            Ok(()) => {
                self.seen.secret_storable = true;
                Ok(Flow::Next)
            }
            Err(ClusterFault::Refused(message)) => Ok(self.secret_refused(&message)),
            Err(fault) => Err(fault),
        }
    }

    fn secret_refused(&self, message: &str) -> Flow {
        Flow::End(Outcome::Waiting {
            reason: Reason::SecretNotWritten,
            message: format!("Kubernetes refuses Secret {}: {message}", secret_name(&self.seen.app)),
            until: None,
        })
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
