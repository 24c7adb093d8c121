//! Adds the answer to a call that changes something, an error included, to what is observed, and records its Event. A refusal is
//! a fact where it shows what the API has; any other error ends the reconciliation.

use super::{Connections, Reconciliation};
use crate::cluster::Cluster;
use crate::decide::{OverlapEnd, Remote, RoleAssignment, previous_end, previous_is_doubted, previous_is_refused};
use crate::iam::{self, ClientCredentials, ClientId, ClientSecret, NewApp, RemoteApp};
use crate::reason::Reason;

impl<C: Cluster, D: Connections> Reconciliation<'_, C, D> {
    pub(super) fn on_create_answer(
        &mut self,
        answer: Result<ClientCredentials, iam::Error>,
        app: &NewApp,
    ) -> Result<(), iam::Error> {
        match answer {
            Ok(credentials) => {
                self.observed.observe_created(credentials);
                if self.observed.contents().revision > 0 {
                    self.record_event(Reason::Recreated, format!("Created app {} again, which was gone.", app.id))
                } else {
                    self.record_event(Reason::Created, format!("Created app {}.", app.id))
                }
                Ok(())
            }
            Err(error) => self.observed.observe_failed_create(error),
        }
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
            Err(error) if error.is_refusal() => {
                self.observed.roles = RoleAssignment::AdditionRefused(error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn on_roles_answer(&mut self, answer: Result<(), iam::Error>, id: &ClientId) -> Result<(), iam::Error> {
        answer?;
        self.observed.roles = RoleAssignment::JustAssigned;
        self.record_event(Reason::RolesChanged, format!("Changed the roles of app {id}."));
        Ok(())
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
                self.observed.observe_updated(fields, shown);
                Ok(())
            }
            Err(iam::Error::NotFound(_)) => {
                self.observed.observe_remote(Remote::Absent);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// A replacement ends an overlap too.
    pub(super) fn on_replace_answer(
        &mut self,
        answer: Result<(), iam::Error>,
        secret: &ClientSecret,
    ) -> Result<(), iam::Error> {
        if let Err(error) = &answer {
            self.note_unanswered_end(error);
        }
        self.observed.observe_secret_answer(secret, answer)
    }

    fn note_unanswered_end(&mut self, error: &iam::Error) {
        if error.may_have_taken_effect() {
            self.observed.observe_unanswered_end(self.operator.now());
        }
    }

    /// A refusal is no failure of the resource: the previous secret ends by itself.
    pub(super) fn on_end_answer(&mut self, answer: Result<(), iam::Error>, id: &ClientId) -> Result<(), iam::Error> {
        let has_ended_before = |error: &iam::Error| error.is_refusal() && previous_is_refused(&self.observed);
        match answer.or_else(|error| if has_ended_before(&error) { Ok(()) } else { Err(error) }) {
            Ok(()) => {
                let is_early = previous_end(&self.observed, self.observed.contents()) > Some(self.observed.now);
                self.observed.observe_overlap_end();
                if is_early {
                    let message = format!("Ended the overlap of app {id}: only the current client secret is valid.");
                    self.record_event(Reason::PreviousRetired, message);
                }
                Ok(())
            }
            Err(error) if error.is_refusal() && previous_is_doubted(&self.observed) => {
                self.observed.overlap_end = OverlapEnd::Doubted;
                Ok(())
            }
            Err(error) if error.is_refusal() => {
                self.observed.observe_refused_end();
                let message = if self.observed.end_may_have_taken_effect() {
                    format!(
                        "the API refused to end the overlap of app {id}; an earlier request may have ended it; {error}"
                    )
                } else {
                    format!("the previous client secret of app {id} stays valid until its overlap ends; {error}")
                };
                self.record_event(Reason::PreviousNotRetired, message);
                Ok(())
            }
            Err(error) => {
                self.note_unanswered_end(&error);
                Err(error)
            }
        }
    }
}
