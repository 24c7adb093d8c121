//! Reports a reconciliation: status if it changed, and an Event if something happened or the reason to wait is a new one.
//! A reconciliation that changes nothing writes nothing.

use super::{Connections, Reconciliation};
use crate::cluster::{self, AppEvent, Cluster};
use crate::crd::{ConditionStatus, ConditionType, OrgOAuthApp, OrgOAuthAppStatus};
use crate::decide::Outcome;
use crate::reason::Reason;
use crate::secret::secret_name;
use crate::status;

impl<C: Cluster, D: Connections> Reconciliation<'_, C, D> {
    pub(super) async fn report(&mut self, outcome: &Outcome) -> Result<(), cluster::Error> {
        let mut happenings = vec![self.event(outcome), self.not_restarted()];
        if *outcome != Outcome::Gone {
            let status = status::after(&self.observed, outcome, self.operator.now());
            happenings.push(self.stale_consumers(&status));
            happenings.push(self.refused_credential(outcome, &status));
            if self.observed.app.status.as_ref() != Some(&status) {
                self.observed.app = self.operator.cluster.write_status(&self.observed.app, &status).await?;
            }
        }
        for event in happenings.into_iter().flatten() {
            // What was done is logged when it is done.
            if event.warning {
                tracing::warn!(reason = event.reason.as_str(), "{}", event.message);
            }
            self.operator.cluster.publish_event(&self.observed.app, &event).await;
        }
        Ok(())
    }

    /// At most one Event a reconciliation, beside those about consumers: the reason why it cannot go on if that is new, else what was done.
    fn event(&self, outcome: &Outcome) -> Option<AppEvent> {
        let app = &self.observed.app;
        match outcome {
            Outcome::Blocked(blocked)
                if !is_said(app, ConditionType::Stalled, ConditionStatus::True, blocked.reason) =>
            {
                Some(AppEvent { reason: blocked.reason, message: blocked.message.clone(), warning: true })
            }
            Outcome::Waiting { reason, message, .. }
                if !is_said(app, ConditionType::Reconciling, ConditionStatus::True, *reason) =>
            {
                let warning = !matches!(reason, Reason::Deleting);
                Some(AppEvent { reason: *reason, message: message.clone(), warning })
            }
            Outcome::Observed(plan)
                if !is_said(app, ConditionType::Synced, ConditionStatus::False, Reason::PlanPending) =>
            {
                let message = format!("managementPolicy Full would {plan}.");
                Some(AppEvent { reason: Reason::PlanPending, message, warning: false })
            }
            Outcome::Suspended if !is_said(app, ConditionType::Synced, ConditionStatus::Unknown, Reason::Suspended) => {
                let message = "Nothing but deletion is done while spec.suspend is set.".into();
                Some(AppEvent { reason: Reason::Suspended, message, warning: false })
            }
            Outcome::Blocked(_) | Outcome::Waiting { .. } | Outcome::Observed(_) | Outcome::Suspended => None,
            Outcome::Gone => self.all_that_happened(),
            Outcome::Settled { .. } => self.all_that_happened().map(|mut all| {
                let name = format!("Secret {}", secret_name(app));
                if !all.message.contains(&name) {
                    all.message.push_str(&format!(" Its credential is in {name}."));
                }
                all
            }),
        }
    }

    /// That the API refuses what consumers find cuts them off, whatever else the reconcile is about.
    fn refused_credential(&self, outcome: &Outcome, status: &OrgOAuthAppStatus) -> Option<AppEvent> {
        if let Outcome::Blocked(_) | Outcome::Waiting { .. } = outcome {
            return None;
        }
        let refused = [
            (ConditionType::Ready, ConditionStatus::False, Reason::CredentialRefused),
            (ConditionType::Reconciling, ConditionStatus::True, Reason::SecretNotProven),
        ];
        let news = |(kind, value, reason): (ConditionType, ConditionStatus, Reason)| {
            let condition = status.conditions.iter().find(|c| c.r#type == kind)?;
            let is_said_now = condition.status == value && condition.reason == reason.as_str();
            let is_new = is_said_now && !is_said(&self.observed.app, kind, value, reason);
            is_new.then(|| AppEvent { reason, message: condition.message.clone(), warning: true })
        };
        refused.into_iter().find_map(news)
    }

    /// Under the reason of what came first, since the rest came of it.
    fn all_that_happened(&self) -> Option<AppEvent> {
        let messages: Vec<&str> = self.events.iter().map(|event| event.message.as_str()).collect();
        self.events.first().map(|first| AppEvent { message: messages.join(" "), ..first.clone() })
    }
}

fn is_said(app: &OrgOAuthApp, kind: ConditionType, status: ConditionStatus, reason: Reason) -> bool {
    app.condition(kind).is_some_and(|c| c.status == status && c.reason == reason.as_str())
}
