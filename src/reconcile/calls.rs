//! Performs one call to the API and folds what it brought into what is seen.
//! A fault of the API ends the pass; what that means is decided in `decide`.

use super::{Connections, Flow, Pass};
use crate::backoff::SPREAD;
use crate::cluster::Cluster;
use crate::decide::{Applied, Blocked, Call, Membership, Outcome, Remote, after_fault, drift, may_be_old, org_id};
use crate::duration;
use crate::reason::Reason;
use crate::remote::{ClientId, Credentials, Fault, Iam, Look, NewApp, RemoteApp};
use kube::ResourceExt;
use std::sync::Arc;
use std::time::Duration;

impl<C: Cluster, D: Connections> Pass<'_, C, D> {
    pub(super) async fn call(&mut self, call: Call) -> Flow {
        let iam = match self.open().await {
            Ok(iam) => iam,
            Err(blocked) => return Flow::End(Outcome::Blocked(blocked)),
        };
        match self.ask(&iam, call).await {
            Ok(()) => Flow::Next,
            Err(fault) => Flow::End(after_fault(&self.seen.app, fault)),
        }
    }

    async fn open(&self) -> Result<Arc<D::Iam>, Blocked> {
        match &self.connection {
            Some(connection) => {
                let namespace = self.seen.app.namespace().unwrap_or_default();
                self.operator.connections.open(connection, &namespace).await
            }
            None => Err(Blocked::new(Reason::ConnectionNotFound, "there is no connection")),
        }
    }

    /// How old a list may be: as long as the shortest time between two looks at one app, so that each look finds what
    /// came after the one before, and all apps share the list.
    fn max_age(&self) -> Duration {
        let interval = self.connection.as_ref().and_then(|c| duration::parse(&c.spec.resync_interval).ok());
        interval.unwrap_or_default().mul_f64(1.0 - SPREAD)
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
            Call::Look(id) => {
                self.seen.remote = match iam.look(&org, &id, self.max_age()).await? {
                    Look::Listed(app) => Remote::Listed(Some(app)),
                    Look::NotListed => Remote::Listed(None),
                    Look::Read(shown) => shown.map_or(Remote::Absent, Remote::Shown),
                }
            }
            Call::Create(app) => {
                let answer = iam.create(&org, &app).await;
                self.created(app, answer)?;
            }
            Call::Update(id, update) => {
                // The update carries more, since the API always wants some fields.
                let changed = drift(&self.seen);
                let answer = iam.update(&org, &id, &update).await;
                self.updated(id, changed, answer)?;
            }
            Call::Replace(id, update) => {
                let answer = iam.update(&org, &id, &update).await.map(drop);
                self.applied(answer)?;
            }
            Call::Rotate(id, secret, overlap) => {
                let answer = iam.rotate_secret(&org, &id, &secret, overlap).await;
                self.applied(answer)?;
            }
            Call::Prove(id, secret) => self.seen.proof = Some(iam.prove(&org, &id, &secret).await?),
            Call::ReadRoles(id) => {
                let max_age = if may_be_old(&self.seen) { self.max_age() } else { Duration::ZERO };
                let held = iam.roles(&org, &id, max_age).await?;
                self.seen.membership = held.map_or(Membership::Absent, Membership::Has);
            }
            Call::AddToOrganization(id, context, roles) => {
                iam.add_to_organization(&org, &id, context, &roles).await?;
                self.seen.membership = Membership::AsDefined;
                self.note(Reason::RolesChanged, format!("App {id} was added to its organization."));
            }
            Call::ChangeRoles { id, add, remove } => {
                iam.change_roles(&org, &id, &add, &remove).await?;
                self.seen.membership = Membership::AsDefined;
                self.note(Reason::RolesChanged, format!("The roles of app {id} were changed."));
            }
            Call::Delete(id) => {
                self.seen.deletion = Some(iam.delete(&org, &id).await?);
                self.seen.remote = Remote::Unread;
            }
        }
        Ok(())
    }

    fn created(&mut self, app: NewApp, answer: Result<Credentials, Fault>) -> Result<(), Fault> {
        match answer {
            Ok(credentials) => {
                let again = self.seen.content().revision > 0;
                self.seen.remote = Remote::AsDefined;
                self.seen.in_hand = Some(credentials);
                match again {
                    false => self.note(Reason::Created, format!("App {} created.", app.id)),
                    true => self.note(Reason::Recreated, format!("App {} was gone and is created again.", app.id)),
                }
                Ok(())
            }
            // Refused perhaps because an earlier create, whose answer was lost, took hold: the API is asked.
            Err(fault @ (Fault::Conflict(_) | Fault::Rejected(_))) => {
                self.seen.remote = Remote::Unread;
                self.seen.create_refused = Some(fault);
                Ok(())
            }
            // Nothing was created.
            Err(
                fault @ (Fault::WrongOrganization(_)
                | Fault::Forbidden(_)
                | Fault::NotFound(_)
                | Fault::Credentials(_)
                | Fault::Throttled { .. }),
            ) => {
                self.seen.remote = Remote::Absent;
                self.seen.create_refused = Some(fault);
                Ok(())
            }
            Err(fault @ Fault::Unavailable(_)) => Err(fault),
        }
    }

    fn updated(
        &mut self,
        id: ClientId,
        fields: Vec<String>,
        answer: Result<Option<RemoteApp>, Fault>,
    ) -> Result<(), Fault> {
        match answer {
            Ok(shown) => {
                self.note(Reason::Updated, format!("App {id} was changed: {}.", fields.join(", ")));
                self.seen.updated = fields;
                self.seen.remote = shown.map_or(Remote::Unread, Remote::Shown);
                Ok(())
            }
            Err(Fault::NotFound(_)) => {
                self.seen.remote = Remote::Absent;
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    fn applied(&mut self, answer: Result<(), Fault>) -> Result<(), Fault> {
        self.seen.proof = None;
        match answer {
            Ok(()) => self.seen.applied = Some(Applied::Taken),
            Err(Fault::Conflict(_)) => self.seen.applied = Some(Applied::Conflict),
            Err(Fault::NotFound(_)) => self.seen.remote = Remote::Absent,
            Err(fault) => return Err(fault),
        }
        Ok(())
    }
}
