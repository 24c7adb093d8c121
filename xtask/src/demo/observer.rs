//! Shows what happens while the demo waits: calls of the API, status and Events.
//! It polls instead of watching, so that cause and effect are shown in their order.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::time::Duration;

use iam_simulator::client::Control;
use iam_simulator::types::CallFilter;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use oauth_app_operator::crd::{Condition, ConditionStatus, ConditionType, IamConnection, OrgOAuthApp};
use test_environment::Wait;

use super::narrator::Narrator;

const INTERVAL: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(60);

/// Remembers what it has shown.
pub(super) struct Observer<'a> {
    narrator: &'a Narrator,
    client: Client,
    control: Control,
    last_call: u64,
    events: HashSet<String>,
    statuses: HashMap<String, String>,
}

impl<'a> Observer<'a> {
    pub(super) fn new(narrator: &'a Narrator, client: Client, control: Control) -> Self {
        let (events, statuses) = (HashSet::new(), HashMap::new());
        Self { narrator, client, control, last_call: 0, events, statuses }
    }

    /// Shows what happens until the condition holds.
    ///
    /// # Errors
    /// When it does not within a minute, or something does not answer.
    pub(super) async fn until(
        &mut self,
        what: &str,
        holds: impl AsyncFn() -> Result<bool, Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let probe = async || match holds().await {
            Ok(true) => Some(Ok(())),
            Ok(false) => self.observe().await.err().map(Err),
            Err(error) => Some(Err(error)),
        };
        let timed_out = || Err(format!("not so after {} s: {what}", LIMIT.as_secs()).into());
        Wait::up_to(LIMIT).every(INTERVAL).value(probe).await.unwrap_or_else(timed_out)?;
        // An Event follows the status that it is about.
        tokio::time::sleep(INTERVAL).await;
        self.observe().await
    }

    /// Shows what happens, without end.
    ///
    /// # Errors
    /// When something does not answer.
    pub(super) async fn forever(&mut self) -> Result<(), Box<dyn Error>> {
        loop {
            self.observe().await?;
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn observe(&mut self) -> Result<(), Box<dyn Error>> {
        self.show_calls().await?;
        self.show_statuses().await?;
        self.show_events().await
    }

    async fn show_calls(&mut self) -> Result<(), Box<dyn Error>> {
        let new = CallFilter { after: self.last_call, ..CallFilter::default() };
        for call in self.control.calls(&new).await?.iter().take_while(|call| call.done_ms.is_some()) {
            self.last_call = call.seq;
            let status = call.status.map_or("no answer".to_owned(), |status| status.to_string());
            self.narrator.say("IAM API", format!("{} {} -> {status}", call.method, call.path));
        }
        Ok(())
    }

    async fn show_statuses(&mut self) -> Result<(), Box<dyn Error>> {
        let mut now = HashMap::new();
        for connection in Api::<IamConnection>::all(self.client.clone()).list(&ListParams::default()).await? {
            let conditions = connection.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            now.insert(format!("iamconnection {}", connection.name_any()), summary(conditions));
        }
        for app in Api::<OrgOAuthApp>::all(self.client.clone()).list(&ListParams::default()).await? {
            let name = format!("orgoauthapp {}/{}", app.namespace().unwrap_or_default(), app.name_any());
            let conditions = app.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            now.insert(name, summary(conditions));
        }
        for (name, summary) in now.iter().filter(|(name, summary)| self.statuses.get(*name) != Some(*summary)) {
            self.narrator.say("status", format!("{name} {summary}"));
        }
        for name in self.statuses.keys().filter(|name| !now.contains_key(*name)) {
            self.narrator.say("Kubernetes", format!("{name} is gone"));
        }
        self.statuses = now;
        Ok(())
    }

    async fn show_events(&mut self) -> Result<(), Box<dyn Error>> {
        for event in Api::<Event>::all(self.client.clone()).list(&ListParams::default()).await? {
            let about = event.regarding.clone().unwrap_or_default();
            if about.kind.as_deref() == Some("OrgOAuthApp") && self.events.insert(event.name_any()) {
                let (reason, note) = (event.reason.unwrap_or_default(), event.note.unwrap_or_default());
                let name = format!("{}/{}", about.namespace.unwrap_or_default(), about.name.unwrap_or_default());
                self.narrator.say("Event", format!("{name} {reason}: {note}"));
            }
        }
        Ok(())
    }
}

/// The condition that says most: that it is stalled, else whether it is ready.
fn summary(conditions: &[Condition]) -> String {
    let of = |kind| conditions.iter().find(|condition| condition.r#type == kind);
    let stalled = of(ConditionType::Stalled).filter(|condition| condition.status == ConditionStatus::True);
    let Some(condition) = stalled.or(of(ConditionType::Ready)) else { return "has no conditions".into() };
    let Condition { r#type, status, reason, message, .. } = condition;
    format!("{type:?}={status:?} {reason}: {message}")
}
