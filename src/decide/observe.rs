//! Adds the result of a step to the observed state. Several facts follow from one answer of the API; all of them are derived
//! here, so that no caller can forget one.

use super::claims::recorded_claim;
use super::drift::drift;
use super::model::{Answered, Observed, PendingProgress, Remote, SecretFacts, SentChange};
use super::time::within_api_lag;
use crate::crd::OrgOAuthApp;
use crate::iam::{ClientSecret, Deletion, Verification};
use k8s_openapi::jiff::Timestamp;

impl Observed {
    /// Records the resource as Kubernetes has it now.
    pub fn observe_app(&mut self, app: OrgOAuthApp) {
        self.recorded_claim = recorded_claim(&app, &self.key);
        self.app = app;
        self.is_uncached = true;
    }

    /// Records what a read or a list shows of the app.
    pub fn observe_remote(&mut self, remote: Remote) {
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

    /// Forgets earlier 404s, and a create without an answer: the API has shown that the app exists.
    pub fn forget_absence(&mut self) {
        self.remembered.absent_since = None;
        self.remembered.unanswered_create = None;
    }

    /// Records the progress of a pending secret, and forgets the answer to an earlier token request with it.
    pub fn record_progress(&mut self, secret: &ClientSecret, progress: PendingProgress) {
        self.replace_facts(SecretFacts { secret: secret.clone(), progress, verification: None });
    }

    /// Records the answer to a token request with a secret, whether a token was issued or not.
    pub fn record_token_answer(&mut self, secret: &ClientSecret, verification: Verification, at: Timestamp) {
        match &verification {
            Verification::Accepted => {
                self.forget_absence();
                self.remembered.first_token_refusal =
                    self.remembered.first_token_refusal.take().filter(|(refused, _)| refused != secret);
            }
            Verification::Refused(_) if self.contents().current.as_ref() == Some(secret) => {
                let since = self.remembered.refused_since(secret).unwrap_or(self.now);
                self.remembered.first_token_refusal = Some((secret.clone(), since));
            }
            Verification::Refused(_) | Verification::NotKnown(_) => {}
        }
        let progress = self.progress(secret);
        let verification = Some(Answered { verification, at });
        self.replace_facts(SecretFacts { secret: secret.clone(), progress, verification });
    }

    /// Records the answer to a deletion, and forgets what was read before it.
    pub fn observe_deletion(&mut self, deletion: Deletion) {
        if deletion == Deletion::Accepted {
            self.remembered.deletion_accepted.get_or_insert(self.now);
        }
        self.deletion = Some(deletion);
        self.remote = Remote::NotRead;
    }
}
