//! Performs one call to the API; the answer is added to what is observed, here or in `answers`.
//! An error of the API ends the reconciliation with the outcome that `decide` maps it to.

use super::{Connections, Progress, Reconciliation};
use crate::backoff::SPREAD;
use crate::cluster::Cluster;
use crate::decide::{Call, ListCheck, Remote, Validity, after_fault, may_be_old, org_id};
use crate::iam::{self, ClientId, ClientSecret, Iam, Lookup, OrgId};
use crate::outcome::Outcome;
use crate::reason::{Blocked, Reason};
use std::sync::Arc;
use std::time::Duration;

impl<C: Cluster, D: Connections> Reconciliation<'_, C, D> {
    pub(super) async fn call(&mut self, call: Call) -> Progress {
        let iam = match self.open().await {
            Ok(iam) => iam,
            Err(blocked) => return Progress::End(Outcome::Blocked(blocked)),
        };
        match self.ask(&iam, call).await {
            Ok(()) => Progress::Continue,
            Err(fault) => Progress::End(after_fault(&self.observed.app, fault)),
        }
    }

    async fn open(&self) -> Result<Arc<D::Iam>, Blocked> {
        match &self.connection {
            Some(connection) => self.operator.connections.open(connection, &self.identity.namespace).await,
            None => Err(Blocked::new(Reason::ConnectionNotFound, "there is no connection")),
        }
    }

    /// How old a list may be: the shortest time between two reconciles of one settled app, so that each finds what changed since
    /// the one before, and all apps share the list.
    fn max_age(&self) -> Duration {
        let interval = self.connection.as_ref().map(|connection| connection.spec.resync_interval.get());
        interval.unwrap_or_default().mul_f64(1.0 - SPREAD)
    }

    async fn ask(&mut self, iam: &D::Iam, call: Call) -> Result<(), iam::Error> {
        let org = org_id(&self.observed.app);
        match call {
            Call::Authenticate => {
                iam.authenticate(&org).await?;
                self.observed.authenticated = true;
                Ok(())
            }
            Call::Read(id) => {
                let shown = iam.read(&org, &id).await?;
                self.observed.observe_remote(shown.map_or(Remote::Absent, Remote::Shown));
                Ok(())
            }
            Call::FindInList(id) => self.find_in_list(iam, &org, &id).await,
            Call::ConfirmAbsence(id, max_age) => self.confirm_absence(iam, &org, &id, max_age).await,
            Call::Create(app) => self.on_create_answer(iam.create(&org, &app).await, &app),
            Call::Update(id, update, changed) => {
                self.on_update_answer(iam.update(&org, &id, &update).await, &id, changed)
            }
            Call::Replace(id, update) => {
                let answer = iam.update(&org, &id, &update).await.map(drop);
                update.secret.map_or(Ok(()), |secret| self.on_replace_answer(answer, &secret))
            }
            Call::Rotate(id, secret, overlap) => {
                let answer = iam.rotate_secret(&org, &id, &secret, overlap).await;
                self.observed.observe_secret_answer(&secret, answer)
            }
            Call::EndRotation(id) => {
                let answer = iam.end_rotation(&org, &id).await;
                if answer.as_ref().is_err_and(iam::Error::is_refusal) {
                    self.verify_previous(iam, &org, &id).await;
                }
                self.on_end_answer(answer, &id)
            }
            Call::VerifySecret(id, secret) => self.verify_secret(iam, &org, &id, &secret).await,
            Call::ReadRoles(id) => self.read_roles(iam, &org, &id).await,
            Call::AddToOrganization(id, context, roles) => {
                self.on_addition_answer(iam.add_to_organization(&org, &id, context, &roles).await, &id)
            }
            Call::ChangeRoles { id, add, remove } => {
                self.on_roles_answer(iam.change_roles(&org, &id, &add, &remove).await, &id)
            }
            Call::Delete(id) => self.delete(iam, &org, &id).await,
        }
    }

    async fn find_in_list(&mut self, iam: &D::Iam, org: &OrgId, id: &ClientId) -> Result<(), iam::Error> {
        let remote = match iam.find(org, id, self.max_age()).await? {
            Lookup::Listed(app) => Remote::Listed(Some(app)),
            Lookup::NotListed => Remote::Listed(None),
            Lookup::Read(shown) => shown.map_or(Remote::Absent, Remote::Shown),
        };
        self.observed.observe_remote(remote);
        Ok(())
    }

    async fn confirm_absence(
        &mut self,
        iam: &D::Iam,
        org: &OrgId,
        id: &ClientId,
        max_age: Duration,
    ) -> Result<(), iam::Error> {
        match iam.find(org, id, max_age).await? {
            Lookup::Listed(_) => self.observed.observe_list(ListCheck::Listed),
            Lookup::NotListed => self.observed.observe_list(ListCheck::NotListed),
            Lookup::Read(None) => self.observed.observe_list(ListCheck::Unsupported),
            Lookup::Read(Some(shown)) => self.observed.observe_remote(Remote::Shown(shown)),
        }
        Ok(())
    }

    /// The end of an overlap may have been refused since there is none: an earlier request, whose answer was lost, ended it.
    /// What the API answers then is not documented, so a token request with the previous secret tells.
    async fn verify_previous(&mut self, iam: &D::Iam, org: &OrgId, id: &ClientId) {
        let previous = self.observed.contents().previous_secret().cloned();
        let Some(previous) = previous.filter(|previous| self.observed.validity(previous) != Validity::NotVerifiable)
        else {
            return;
        };
        // Without an answer nothing is known of it, and the end counts as refused.
        if let Ok(verification) = iam.verify_secret(org, id, &previous).await {
            self.observed.record_token_answer(&previous, verification, self.operator.now());
        }
    }

    async fn verify_secret(
        &mut self,
        iam: &D::Iam,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
    ) -> Result<(), iam::Error> {
        let verification = iam.verify_secret(org, id, secret).await?;
        let now = self.operator.now();
        self.observed.record_token_answer(secret, verification, now);
        Ok(())
    }

    async fn read_roles(&mut self, iam: &D::Iam, org: &OrgId, id: &ClientId) -> Result<(), iam::Error> {
        let max_age = if may_be_old(&self.observed) { self.max_age() } else { Duration::ZERO };
        let held = iam.roles(org, id, max_age).await;
        self.observed.observe_roles(held)
    }

    async fn delete(&mut self, iam: &D::Iam, org: &OrgId, id: &ClientId) -> Result<(), iam::Error> {
        self.observed.remembered.deletion_sent = true;
        let deletion = iam.delete(org, id).await?;
        self.observed.observe_deletion(deletion);
        Ok(())
    }
}
