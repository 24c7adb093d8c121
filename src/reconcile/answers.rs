//! Adds the answer to a call that changes something, an error included, to what is observed. A refusal is a fact where it shows
//! what the API has; any other error ends the reconciliation.

use super::{Connections, Reconciliation};
use crate::cluster::Cluster;
use crate::decide::{Creation, PendingProgress, Remote, RoleAssignment, SentChange};
use crate::iam::{self, ClientCredentials, ClientId, ClientSecret, HeldRoles, NewApp, RemoteApp};
use crate::reason::Reason;

impl<C: Cluster, D: Connections> Reconciliation<'_, C, D> {
    pub(super) fn on_create_answer(
        &mut self,
        answer: Result<ClientCredentials, iam::Error>,
        app: &NewApp,
    ) -> Result<(), iam::Error> {
        match answer {
            Ok(credentials) => {
                let again = self.observed.contents().revision > 0;
                self.observed.observe_remote(Remote::JustCreated);
                self.observed.creation = Creation::Issued(credentials);
                if again {
                    self.record_event(Reason::Recreated, format!("Created app {} again, which was gone.", app.id))
                } else {
                    self.record_event(Reason::Created, format!("Created app {}.", app.id))
                }
                Ok(())
            }
            // Refused perhaps because an earlier create, whose answer was lost, took hold: the API is asked.
            Err(fault @ (iam::Error::Conflict(_) | iam::Error::Rejected(_))) => {
                self.observed.remote = Remote::NotRead;
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
                self.observed.remembered.pending_not_accepted = None;
                Err(fault)
            }
        }
    }

    /// A refused addition was no failure if the app is a member. If it is none, or nobody may read that, the refusal counts.
    pub(super) fn on_roles_answer(&mut self, held: Result<Option<HeldRoles>, iam::Error>) -> Result<(), iam::Error> {
        let refusal = match &self.observed.roles {
            RoleAssignment::AdditionRefused(fault) => Some(fault.clone()),
            RoleAssignment::NotRead
            | RoleAssignment::Absent
            | RoleAssignment::Has(_)
            | RoleAssignment::JustAssigned => None,
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

    pub(super) fn on_addition_answer(
        &mut self,
        answer: Result<(), iam::Error>,
        id: &ClientId,
    ) -> Result<(), iam::Error> {
        match answer {
            Ok(()) => {
                self.observed.roles = RoleAssignment::JustAssigned;
                self.record_event(Reason::RolesChanged, format!("Added app {id} to its organization."));
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

    pub(super) fn on_update_answer(
        &mut self,
        answer: Result<Option<RemoteApp>, iam::Error>,
        id: &ClientId,
        fields: Vec<String>,
    ) -> Result<(), iam::Error> {
        match answer {
            Ok(shown) => {
                self.record_event(Reason::Updated, format!("Changed app {id}: {}.", fields.join(", ")));
                self.observed.forget_absence();
                self.observed.updated = fields;
                if let Ok(desired) = self.observed.desired.clone() {
                    let sent = SentChange { desired, at: self.observed.now, is_shown: false };
                    self.observed.remembered.sent = Some(sent);
                }
                let remote = match (shown, &self.observed.remote) {
                    (Some(shown), _) => Remote::Shown(shown),
                    // What this reconcile created needs no read.
                    (None, Remote::JustCreated) => Remote::JustCreated,
                    (None, Remote::NotRead | Remote::Listed(_) | Remote::Absent | Remote::Shown(_)) => Remote::NotRead,
                };
                self.observed.observe_remote(remote);
                Ok(())
            }
            Err(iam::Error::NotFound(_)) => {
                self.observed.observe_remote(Remote::Absent);
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    pub(super) fn on_secret_answer(
        &mut self,
        answer: Result<(), iam::Error>,
        secret: &ClientSecret,
    ) -> Result<(), iam::Error> {
        let progress = self.observed.progress(secret);
        let maybe_sent = progress == PendingProgress::MaybeSent;
        let is_refused = answer.as_ref().is_err_and(|fault| !fault.may_have_taken_effect());
        // An earlier request with a secret that was found may have taken hold.
        self.observed.remembered.pending_not_accepted = (is_refused && !maybe_sent).then(|| secret.clone());
        match answer {
            Ok(()) => {
                self.observed.forget_absence();
                self.observed.record_progress(secret, PendingProgress::Accepted);
            }
            Err(iam::Error::Conflict(_)) => {
                self.observed.record_progress(secret, PendingProgress::Conflict { maybe_sent })
            }
            Err(iam::Error::NotFound(_)) => self.observed.observe_remote(Remote::Absent),
            Err(fault) => return Err(fault),
        }
        Ok(())
    }
}
