//! Reports a reconciliation: status if it changed, and Events about what was done or what is new in status.
//! A reconciliation that changes nothing writes nothing.

use super::{Connections, Reconciliation};
use crate::cluster::{self, AppEvent, Cluster};
use crate::outcome::Outcome;
use crate::reason::Severity;
use crate::secret::secret_name;
use crate::status;

impl<C: Cluster, D: Connections> Reconciliation<'_, C, D> {
    pub(super) async fn report(&mut self, outcome: &Outcome) -> Result<(), cluster::Error> {
        let mut news: Vec<AppEvent> = self.not_restarted().into_iter().collect();
        if *outcome != Outcome::Gone {
            let old = self.observed.app.status.as_ref();
            let new = status::after(&self.observed, outcome, self.operator.now());
            news.extend(status::events(old, &new));
            if old != Some(&new) {
                self.observed.app = self.operator.cluster.write_status(&self.observed.app, &new).await?;
            }
        }
        // What was done is logged when it is done.
        for warning in news.iter().filter(|event| event.reason.severity() == Severity::Warning) {
            tracing::warn!(reason = warning.reason.as_str(), "{}", warning.message);
        }
        for event in self.done(outcome).iter().chain(&news) {
            self.operator.cluster.publish_event(&self.observed.app, event).await;
        }
        Ok(())
    }

    /// What was done, whatever is left to do: one Event under the reason of what came first, since the rest came of it.
    fn done(&self, outcome: &Outcome) -> Option<AppEvent> {
        let messages: Vec<String> = self.events.iter().map(|event| sentence(&event.message)).collect();
        let mut message = messages.join(" ");
        let name = format!("Secret {}", secret_name(&self.observed.app));
        if matches!(outcome, Outcome::Settled { .. }) && !message.contains(&name) {
            message.push_str(&format!(" Its credentials are in {name}."));
        }
        self.events.first().map(|first| AppEvent { reason: first.reason, message })
    }
}

/// With a full stop: the message of an API often has none.
fn sentence(message: &str) -> String {
    if message.ends_with('.') { message.to_owned() } else { format!("{message}.") }
}
