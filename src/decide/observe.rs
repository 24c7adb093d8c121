//! Adds the result of a step to the observed state. Several facts follow from one answer of the API; all of them are derived
//! here, so that no caller can forget one.

use super::claims::recorded_claim;
use super::drift::drift;
use super::model::{
    Answered, Creation, ListCheck, Observed, OverlapEnd, PendingProgress, Remembered, Remote, RoleAssignment,
    SecretFacts, SecretWriteProgress, SentChange,
};
use super::time::within_api_lag;
use crate::consumers::StaleConsumers;
use crate::crd::OrgOAuthApp;
use crate::iam::{self, ClientCredentials, ClientSecret, Deletion, HeldRoles, RemoteApp, Verification};
use crate::secret::SecretState;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// When the end of an overlap that the API refused is requested again.
const ANOTHER_END: SignedDuration = SignedDuration::from_hours(1);

impl Observed {
    pub(crate) fn observe_app(&mut self, app: OrgOAuthApp) {
        self.recorded_claim = recorded_claim(&app, &self.key);
        self.app = app;
        self.is_uncached = true;
    }

    pub(crate) fn observe_remote(&mut self, remote: Remote) {
        self.remote = remote;
        match &self.remote {
            Remote::Absent => {
                self.remembered.absent_since.get_or_insert(self.now);
            }
            Remote::Shown(_) | Remote::Listed(Some(_)) => {
                self.forget_absence();
                if drift(self).is_empty() {
                    // The API may still show the app as it was before the change, so the change is remembered for `API_LAG`.
                    let sent = self.remembered.sent.take().filter(|sent| within_api_lag(sent.at, self.now));
                    let is_present = |sent: &SentChange| self.desired.as_ref().is_ok_and(|now| *now == sent.desired);
                    self.remembered.sent =
                        sent.map(|sent| SentChange { is_shown: sent.is_shown || is_present(&sent), ..sent });
                }
            }
            Remote::JustCreated => self.forget_absence(),
            Remote::NotRead | Remote::Listed(None) => {}
        }
    }

    /// Records that the API created the app and issued these credentials.
    pub fn observe_created(&mut self, credentials: ClientCredentials) {
        self.observe_remote(Remote::JustCreated);
        self.creation = Creation::Issued(credentials);
    }

    /// Records what a failed create shows of the app.
    ///
    /// # Errors
    /// The error, if the API may have created the app all the same.
    pub fn observe_failed_create(&mut self, error: iam::Error) -> Result<(), iam::Error> {
        self.remote = match &error {
            // Refused perhaps because an earlier create, whose answer was lost, took hold: the API is asked.
            iam::Error::Conflict(_) | iam::Error::Rejected(_) => Remote::NotRead,
            // This request created nothing.
            iam::Error::WrongOrganization(_)
            | iam::Error::Forbidden(_)
            | iam::Error::NotFound(_)
            | iam::Error::Credentials(_)
            | iam::Error::Throttled { .. } => Remote::Absent,
            iam::Error::Unavailable(_) => {
                self.remembered.unanswered_create = Some(self.now);
                self.remembered.pending_not_accepted = None;
                return Err(error);
            }
        };
        self.creation = Creation::Refused(error);
        Ok(())
    }

    /// Records that the API changed these fields, and the app as it shows it now, if it does.
    pub fn observe_updated(&mut self, fields: Vec<String>, shown: Option<RemoteApp>) {
        self.forget_absence();
        self.updated = fields;
        if let Ok(desired) = self.desired.clone() {
            self.remembered.sent = Some(SentChange { desired, at: self.now, is_shown: false });
        }
        self.observe_remote(match (shown, &self.remote) {
            (Some(shown), _) => Remote::Shown(shown),
            // What this reconcile created needs no read.
            (None, Remote::JustCreated) => Remote::JustCreated,
            (None, Remote::NotRead | Remote::Listed(_) | Remote::Absent | Remote::Shown(_)) => Remote::NotRead,
        });
    }

    /// Records the answer to a request that sets a pending secret.
    ///
    /// # Errors
    /// The error, if it shows nothing.
    pub fn observe_secret_answer(
        &mut self,
        secret: &ClientSecret,
        answer: Result<(), iam::Error>,
    ) -> Result<(), iam::Error> {
        let maybe_sent = self.progress(secret) == PendingProgress::MaybeSent;
        let is_refused = answer.as_ref().is_err_and(|error| !error.may_have_taken_effect());
        // An earlier request with a secret that was found may have taken hold.
        self.remembered.pending_not_accepted = (is_refused && !maybe_sent).then(|| secret.clone());
        match answer {
            Ok(()) => {
                self.forget_absence();
                self.record_progress(secret, PendingProgress::Accepted);
            }
            Err(iam::Error::Conflict(_)) => self.record_progress(secret, PendingProgress::Conflict { maybe_sent }),
            Err(iam::Error::NotFound(_)) => self.observe_remote(Remote::Absent),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Records the roles of the app. An addition that was refused did not fail if the app is a member.
    ///
    /// # Errors
    /// The error or, if the app is no member or nobody may read that, the refusal of the addition.
    pub fn observe_roles(&mut self, held: Result<Option<HeldRoles>, iam::Error>) -> Result<(), iam::Error> {
        let refusal = match &self.roles {
            RoleAssignment::AdditionRefused(error) => Some(error.clone()),
            RoleAssignment::NotRead
            | RoleAssignment::Absent
            | RoleAssignment::Has(_)
            | RoleAssignment::JustAssigned => None,
        };
        self.roles = match (held, refusal) {
            (Ok(Some(held)), _) => RoleAssignment::Has(held),
            (Ok(None), None) => RoleAssignment::Absent,
            (Ok(None), Some(refusal)) => return Err(refusal),
            (Err(error), Some(refusal)) if error.is_refusal() => return Err(refusal),
            (Err(error), _) => return Err(error),
        };
        Ok(())
    }

    /// Records what the list says of an app that a read does not show.
    pub fn observe_list(&mut self, list: ListCheck) {
        if list == ListCheck::Listed {
            self.forget_absence();
        }
        self.list = list;
    }

    /// Records a search for stale consumers. What is known of them stays if it found out nothing.
    pub fn observe_consumers(&mut self, stale: Option<StaleConsumers>) {
        self.stale_consumers = stale.or(self.stale_consumers.take());
        self.remembered.consumers_searched = Some((self.contents().revision, self.now));
    }

    /// Records that Kubernetes accepts writes of the Secret.
    pub fn observe_accepted_write(&mut self) {
        if self.secret_write == SecretWriteProgress::Unknown {
            self.secret_write = SecretWriteProgress::Accepted;
        }
    }

    /// Records the Secret after a write, and whether the write changed it.
    pub fn observe_written(&mut self, secret: SecretState, is_changed: bool) {
        self.observe_secret(secret);
        self.secret_write = if is_changed { SecretWriteProgress::Written } else { SecretWriteProgress::Overridden };
    }

    /// Records that the API accepts only the current secret from now on.
    pub(crate) fn observe_overlap_end(&mut self) {
        self.overlap_end = OverlapEnd::Ended(self.contents().previous.clone());
        self.remembered.end_sent = Some(self.contents().revision);
        self.remembered.end_refused = None;
    }

    /// Records that the API refused to end the overlap.
    pub(crate) fn observe_refused_end(&mut self) {
        self.overlap_end = OverlapEnd::Refused;
        self.remembered.end_refused = Some((self.contents().revision, self.now));
    }

    /// Records that a request that ends an overlap got no answer until then: the end of an overlap, or a replacement.
    pub(crate) fn observe_unanswered_end(&mut self, at: Timestamp) {
        self.remembered.end_sent = Some(self.contents().revision);
        self.remembered.unanswered_end = Some(at);
    }

    /// Whether an earlier request may have ended the overlap of this revision: one of this process or, where the previous secret is
    /// not recorded any more, one of a process that crashed.
    pub(crate) fn end_may_have_taken_effect(&self) -> bool {
        let contents = self.contents();
        self.remembered.end_sent == Some(contents.revision) || contents.previous.is_none()
    }

    /// Whether the API refused that not long ago, so that it is not asked again.
    pub(super) fn end_was_refused(&self, revision: i64) -> bool {
        let refused = self.remembered.end_refused.filter(|(refused, _)| *refused == revision);
        refused.is_some_and(|(_, at)| self.now.duration_since(at) < ANOTHER_END)
    }

    /// Forgets earlier 404s, and a create without an answer: the API has shown that the app exists.
    pub(crate) fn forget_absence(&mut self) {
        self.remembered.absent_since = None;
        self.remembered.unanswered_create = None;
    }

    /// Records the progress of a pending secret, and forgets the answer to an earlier token request with it.
    pub(crate) fn record_progress(&mut self, secret: &ClientSecret, progress: PendingProgress) {
        self.replace_facts(SecretFacts { secret: secret.clone(), progress, verification: None });
    }

    /// Records the answer to a token request with a secret, whether a token was issued or not.
    pub fn record_token_answer(&mut self, secret: &ClientSecret, verification: Verification, at: Timestamp) {
        match &verification {
            Verification::Accepted => {
                self.forget_absence();
                let Remembered { first_token_refusal, previous_token_refusal, .. } = &mut self.remembered;
                for refusal in [first_token_refusal, previous_token_refusal] {
                    refusal.take_if(|(refused, _)| refused == secret);
                }
            }
            Verification::Refused(_) => {
                let refusal = Some((secret.clone(), self.remembered.refused_since(secret).unwrap_or(self.now)));
                if self.contents().current.as_ref() == Some(secret) {
                    self.remembered.first_token_refusal = refusal;
                } else if self.contents().previous_secret() == Some(secret) {
                    self.remembered.previous_token_refusal = refusal;
                }
            }
            Verification::NotKnown(_) => {}
        }
        let progress = self.progress(secret);
        let verification = Some(Answered { verification, at });
        self.replace_facts(SecretFacts { secret: secret.clone(), progress, verification });
    }

    /// Records the answer to a deletion, and forgets what was read before it.
    pub(crate) fn observe_deletion(&mut self, deletion: Deletion) {
        if deletion == Deletion::Accepted {
            self.remembered.deletion_accepted.get_or_insert(self.now);
        }
        self.deletion = Some(deletion);
        self.remote = Remote::NotRead;
    }
}
