//! Performs one call to the API and folds what it provided into what is observed.
//! A fault of the API ends the reconciliation; what that means is decided in `decide`.

use super::{Connections, Flow, Reconciliation};
use crate::backoff::SPREAD;
use crate::cluster::Cluster;
use crate::decide::{
    Blocked, Call, Creation, ListWitness, Outcome, PendingProgress, Remote, RoleAssignment, SentChange, after_fault,
    may_be_old, org_id,
};
use crate::duration;
use crate::iam::{self, ClientId, ClientSecret, Credentials, HeldRoles, Iam, Lookup, NewApp, RemoteApp};
use crate::reason::Reason;
use kube::ResourceExt;
use std::sync::Arc;
use std::time::Duration;

impl<C: Cluster, D: Connections> Reconciliation<'_, C, D> {
    pub(super) async fn call(&mut self, call: Call) -> Flow {
        let iam = match self.open().await {
            Ok(iam) => iam,
            Err(blocked) => return Flow::End(Outcome::Blocked(blocked)),
        };
        match self.ask(&iam, call).await {
            Ok(()) => Flow::Next,
            Err(fault) => Flow::End(after_fault(&self.observed.app, fault)),
        }
    }

    async fn open(&self) -> Result<Arc<D::Iam>, Blocked> {
        match &self.connection {
            Some(connection) => {
                let namespace = self.observed.app.namespace().unwrap_or_default();
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

    async fn ask(&mut self, iam: &D::Iam, call: Call) -> Result<(), iam::Error> {
        let org = org_id(&self.observed.app);
        match call {
            Call::Authenticate => {
                iam.authenticate(&org).await?;
                self.observed.authenticated = true;
            }
            Call::Read(id) => {
                let shown = iam.read(&org, &id).await?;
                self.observed.saw_remote(shown.map_or(Remote::Absent, Remote::Shown));
            }
            Call::FindInList(id) => {
                let remote = match iam.look(&org, &id, self.max_age()).await? {
                    Lookup::Listed(app) => Remote::Listed(Some(app)),
                    Lookup::NotListed => Remote::Listed(None),
                    Lookup::Read(shown) => shown.map_or(Remote::Absent, Remote::Shown),
                };
                self.observed.saw_remote(remote);
            }
            Call::ConfirmAbsence(id, max_age) => match iam.look(&org, &id, max_age).await? {
                Lookup::Listed(_) => {
                    self.observed.exists();
                    self.observed.list = ListWitness::Shows;
                }
                Lookup::NotListed => self.observed.list = ListWitness::ShowsNot,
                Lookup::Read(None) => self.observed.list = ListWitness::NoList,
                Lookup::Read(Some(shown)) => self.observed.saw_remote(Remote::Shown(shown)),
            },
            Call::Create(app) => {
                let answer = iam.create(&org, &app).await;
                self.created(app, answer)?;
            }
            Call::Update(id, update, changed) => {
                let answer = iam.update(&org, &id, &update).await;
                self.updated(id, changed, answer)?;
            }
            Call::Replace(id, update) => {
                let answer = iam.update(&org, &id, &update).await.map(drop);
                if let Some(secret) = &update.secret {
                    self.sent(secret, answer)?;
                }
            }
            Call::Rotate(id, secret, overlap) => {
                let answer = iam.rotate_secret(&org, &id, &secret, overlap).await;
                self.sent(&secret, answer)?;
            }
            Call::VerifySecret(id, secret) => {
                let verification = iam.prove(&org, &id, &secret).await?;
                let now = self.operator.now();
                self.observed.verified(&secret, verification, now);
            }
            Call::ReadRoles(id) => {
                let max_age = if may_be_old(&self.observed) { self.max_age() } else { Duration::ZERO };
                let held = iam.roles(&org, &id, max_age).await;
                self.roles_read(held)?;
            }
            Call::AddToOrganization(id, context, roles) => {
                let answer = iam.add_to_organization(&org, &id, context, &roles).await;
                self.added(id, answer)?;
            }
            Call::ChangeRoles { id, add, remove } => {
                iam.change_roles(&org, &id, &add, &remove).await?;
                self.observed.roles = RoleAssignment::AsDefined;
                self.note(Reason::RolesChanged, format!("The roles of app {id} were changed."));
            }
            Call::Delete(id) => {
                self.observed.remembered.deletion_sent = true;
                let deletion = iam.delete(&org, &id).await?;
                self.observed.answered_deletion(deletion);
            }
        }
        Ok(())
    }

    fn created(&mut self, app: NewApp, answer: Result<Credentials, iam::Error>) -> Result<(), iam::Error> {
        match answer {
            Ok(credentials) => {
                let again = self.observed.contents().revision > 0;
                self.observed.saw_remote(Remote::AsDefined);
                self.observed.creation = Creation::Issued(credentials);
                match again {
                    false => self.note(Reason::Created, format!("App {} created.", app.id)),
                    true => self.note(Reason::Recreated, format!("App {} was gone and is created again.", app.id)),
                }
                Ok(())
            }
            // Refused perhaps because an earlier create, whose answer was lost, took hold: the API is asked.
            Err(fault @ (iam::Error::Conflict(_) | iam::Error::Rejected(_))) => {
                self.observed.remote = Remote::Unread;
                self.observed.creation = Creation::Refused(fault);
                Ok(())
            }
            // This request created nothing.
            Err(
                fault @ (iam::Error::WrongOrganization(_)
                | iam::Error::Forbidden(_)
                | iam::Error::NotFound(_)
                | iam::Error::Credentials(_)
                | iam::Error::Throttled { .. }),
            ) => {
                self.observed.remote = Remote::Absent;
                self.observed.creation = Creation::Refused(fault);
                Ok(())
            }
            Err(fault @ iam::Error::Unavailable(_)) => {
                self.observed.remembered.unanswered_create = Some(self.observed.now);
                self.observed.remembered.refused_pending = None;
                Err(fault)
            }
        }
    }

    /// A refused addition was no failure if the app is a member. If it is none, or nobody may read that, the refusal counts.
    fn roles_read(&mut self, held: Result<Option<HeldRoles>, iam::Error>) -> Result<(), iam::Error> {
        let refusal = match &self.observed.roles {
            RoleAssignment::AdditionRefused(fault) => Some(fault.clone()),
            RoleAssignment::Unread | RoleAssignment::Absent | RoleAssignment::Has(_) | RoleAssignment::AsDefined => {
                None
            }
        };
        self.observed.roles = match (held, refusal) {
            (Ok(Some(held)), _) => RoleAssignment::Has(held),
            (Ok(None), None) => RoleAssignment::Absent,
            (Ok(None), Some(refusal)) => return Err(refusal),
            (Err(fault), Some(refusal)) if fault.is_refusal() => return Err(refusal),
            (Err(fault), _) => return Err(fault),
        };
        Ok(())
    }

    fn added(&mut self, id: ClientId, answer: Result<(), iam::Error>) -> Result<(), iam::Error> {
        match answer {
            Ok(()) => {
                self.observed.roles = RoleAssignment::AsDefined;
                self.note(Reason::RolesChanged, format!("App {id} was added to its organization."));
                Ok(())
            }
            // Refused perhaps because the app is a member already: the API is asked.
            Err(fault) if fault.is_refusal() => {
                self.observed.roles = RoleAssignment::AdditionRefused(fault);
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    fn updated(
        &mut self,
        id: ClientId,
        fields: Vec<String>,
        answer: Result<Option<RemoteApp>, iam::Error>,
    ) -> Result<(), iam::Error> {
        match answer {
            Ok(shown) => {
                self.note(Reason::Updated, format!("App {id} was changed: {}.", fields.join(", ")));
                self.observed.exists();
                self.observed.updated = fields;
                let desired = self.observed.desired.clone().unwrap_or_default();
                self.observed.remembered.sent = Some(SentChange { desired, at: self.observed.now, is_shown: false });
                let remote = match (shown, &self.observed.remote) {
                    (Some(shown), _) => Remote::Shown(shown),
                    // What this reconcile created needs no read.
                    (None, Remote::AsDefined) => Remote::AsDefined,
                    (None, Remote::Unread | Remote::Listed(_) | Remote::Absent | Remote::Shown(_)) => Remote::Unread,
                };
                self.observed.saw_remote(remote);
                Ok(())
            }
            Err(iam::Error::NotFound(_)) => {
                self.observed.saw_remote(Remote::Absent);
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    fn sent(&mut self, secret: &ClientSecret, answer: Result<(), iam::Error>) -> Result<(), iam::Error> {
        let progress = self.observed.progress(secret);
        let was_found = progress == PendingProgress::Found;
        let is_refused = answer.as_ref().is_err_and(|fault| !fault.may_have_taken_hold());
        // An earlier request with a secret that was found may have taken hold.
        self.observed.remembered.refused_pending = (is_refused && !was_found).then(|| secret.clone());
        match answer {
            Ok(()) => {
                self.observed.exists();
                self.observed.came_to(secret, PendingProgress::Accepted);
            }
            Err(iam::Error::Conflict(_)) => self.observed.came_to(secret, PendingProgress::Conflict { was_found }),
            Err(iam::Error::NotFound(_)) => self.observed.saw_remote(Remote::Absent),
            Err(fault) => return Err(fault),
        }
        Ok(())
    }
}
