//! The last Events of an app, newest first.

use super::report::EventReport;
use crate::commands::CommandError;
use crate::commands::cluster::Cluster;
use crate::crd::OrgOAuthApp;
use crate::text::clean;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use std::cmp::Reverse;

/// So many are shown.
const SHOWN: usize = 5;
/// Of more than these, the newest may be missing.
const READ: u32 = 500;
/// The longest message that is shown, in bytes.
const MAX_MESSAGE: usize = 1024;

pub(super) async fn last(cluster: &Cluster, app: &OrgOAuthApp) -> Result<Vec<EventReport>, CommandError> {
    let namespace = app.namespace_any();
    let api: Api<Event> = Api::namespaced(cluster.client.clone(), namespace);
    let about = format!("involvedObject.uid={}", app.uid_any());
    let params = ListParams::default().fields(&about).limit(READ);
    let doing = format!("list the Events of OrgOAuthApp {namespace}/{}", app.name_any());
    let events = api.list(&params).await.map_err(CommandError::kubernetes(doing))?;
    Ok(newest(events.items))
}

fn newest(mut events: Vec<Event>) -> Vec<EventReport> {
    events.sort_by_key(|event| Reverse(time(event)));
    events.truncate(SHOWN);
    events.into_iter().map(report).collect()
}

fn report(event: Event) -> EventReport {
    let series = event.series.as_ref().and_then(|series| series.count);
    EventReport {
        at: time(&event).map(|at| at.to_string()),
        r#type: clean(event.type_.as_deref().unwrap_or_default(), MAX_MESSAGE),
        reason: clean(event.reason.as_deref().unwrap_or_default(), MAX_MESSAGE),
        message: clean(event.message.as_deref().unwrap_or_default(), MAX_MESSAGE),
        count: series.or(event.count).unwrap_or(1).max(1),
    }
}

/// When it was last so.
fn time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|at| at.0);
    let last = event.last_timestamp.as_ref().map(|at| at.0);
    let first = event.event_time.as_ref().map(|at| at.0);
    let created = event.metadata.creation_timestamp.as_ref().map(|at| at.0);
    series.or(last).or(first).or(created)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_newest_come_first_whatever_form_their_time_has() {
        let event = |reason: &str, times: Value| -> Event {
            let mut event = json!({"metadata": {}, "involvedObject": {}, "reason": reason, "type": "Normal"});
            event.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
            serde_json::from_value(event).unwrap()
        };
        let all = vec![
            event("Old", json!({"eventTime": "2026-03-01T12:00:00.000000Z"})),
            event("Last", json!({"lastTimestamp": "2026-03-01T12:02:00Z", "count": 3})),
            event(
                "Again",
                json!({"eventTime": "2026-03-01T11:00:00.000000Z", "series": {"count": 7, "lastObservedTime": "2026-03-01T12:01:00.000000Z"}}),
            ),
        ];
        let shown: Vec<_> = newest(all).into_iter().map(|event| (event.reason, event.count)).collect();
        assert_eq!(shown, [("Last".to_owned(), 3), ("Again".to_owned(), 7), ("Old".to_owned(), 1)]);
        assert_eq!(newest(vec![event("X", json!({})); 9]).len(), SHOWN);
    }
}
