//! Publishes Events: one for each change, with its own note. Those of one object are limited, and the last one is always
//! published.

use super::requests::Requests;
use crate::cluster::AppEvent;
use crate::crd::FIELD_MANAGER;
use crate::keyed::PrunedMap;
use crate::metrics::Resource;
use crate::text;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Kubernetes takes no longer note, in bytes.
const LONGEST_NOTE: usize = 1024;
/// Kubernetes takes no longer name of a reporting instance.
const LONGEST_INSTANCE: usize = 128;
/// Kubernetes takes no longer name of an object.
const LONGEST_NAME: usize = 253;
/// So many Events of one object are published in a window; the last of the others when it is over.
const MAX_EVENTS: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(super) struct Events {
    client: Client,
    requests: Requests,
    instance: String,
    rate_limit: Arc<EventRateLimit>,
}

impl Events {
    /// `identity` is the reporting instance.
    pub(super) fn new(client: Client, requests: Requests, identity: &str) -> Self {
        Self { client, requests, instance: text::clean(identity, LONGEST_INSTANCE), rate_limit: Arc::default() }
    }

    /// Publishes what happened to an object; a failure to do so is only logged.
    pub(super) async fn publish(&self, regarding: ObjectReference, event: AppEvent) {
        match self.rate_limit.decide(&regarding, event) {
            Decision::Publish(event) => self.create(&regarding, &event).await,
            Decision::PublishHeldAt(at) => {
                let events = self.clone();
                tokio::spawn(async move {
                    sleep_until(at).await;
                    if let Some(event) = events.rate_limit.take_held(&regarding) {
                        events.create(&regarding, &event).await;
                    }
                });
            }
            Decision::Hold => {}
        }
    }

    async fn create(&self, regarding: &ObjectReference, event: &AppEvent) {
        let event = new_event(regarding, event, &self.instance);
        let api: Api<Event> =
            Api::namespaced(self.client.clone(), event.metadata.namespace.as_deref().unwrap_or_default());
        let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
        let requests = self.requests.of(regarding.namespace.as_deref());
        if let Err(error) = requests.write(Resource::Events, api.create(&params, &event)).await {
            tracing::warn!(%error, reason = event.reason.as_deref(), "failed to publish an Event");
        }
    }
}

fn new_event(regarding: &ObjectReference, event: &AppEvent, instance: &str) -> Event {
    Event {
        metadata: ObjectMeta {
            // Of an object that has no namespace, Kubernetes wants the Events in this one.
            namespace: regarding.namespace.clone().or_else(|| Some("default".into())),
            name: Some(unique_name(regarding.name.as_deref().unwrap_or_default())),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(Timestamp::now())),
        action: Some("Reconcile".into()),
        reason: Some(event.reason.as_str().into()),
        note: Some(text::clean(&event.message, LONGEST_NOTE)),
        type_: Some(event.reason.severity().as_str().into()),
        regarding: Some(regarding.clone()),
        reporting_controller: Some(FIELD_MANAGER.into()),
        reporting_instance: Some(instance.to_owned()),
        ..Event::default()
    }
}

/// As many of the object's characters as fit before a suffix that no other Event has.
fn unique_name(object: &str) -> String {
    let suffix = format!(".{:016x}", fastrand::u64(..));
    // Names of objects are ASCII.
    let fits = object.get(..LONGEST_NAME - suffix.len()).unwrap_or(object);
    format!("{}{suffix}", fits.trim_end_matches(['-', '.']))
}

/// Limits the Events of each object, by its uid. What is over the limit is held until the window ends.
#[derive(Default)]
struct EventRateLimit(Mutex<PrunedMap<String, Window>>);

struct Window {
    begin: Instant,
    published: u32,
    /// The last of the Events over the limit, and how many others were dropped for it.
    held: Option<(AppEvent, u32)>,
}

#[derive(Debug, PartialEq)]
enum Decision {
    Publish(AppEvent),
    /// It is the first one over the limit: the last one is to be published at that time.
    PublishHeldAt(Instant),
    Hold,
}

impl Window {
    fn new(now: Instant, published: u32) -> Self {
        Self { begin: now, published, held: None }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.held.is_none() && self.begin + WINDOW <= now
    }
}

impl EventRateLimit {
    fn decide(&self, regarding: &ObjectReference, event: AppEvent) -> Decision {
        let now = Instant::now();
        let mut windows = self.windows();
        let window =
            windows.get_or_insert_with(key(regarding), || Window::new(now, 0), |_, window| !window.is_over(now));
        if window.is_over(now) {
            *window = Window::new(now, 0);
        }
        if let Some((last, dropped)) = &mut window.held {
            *last = event;
            *dropped += 1;
            return Decision::Hold;
        }
        if window.published < MAX_EVENTS {
            window.published += 1;
            return Decision::Publish(event);
        }
        window.held = Some((event, 0));
        Decision::PublishHeldAt(window.begin + WINDOW)
    }

    /// Begins a new window with what was held.
    fn take_held(&self, regarding: &ObjectReference) -> Option<AppEvent> {
        let mut windows = self.windows();
        let window = windows.get_mut(&key(regarding))?;
        let (event, dropped) = window.held.take()?;
        *window = Window::new(Instant::now(), 1);
        Some(match dropped {
            0 => event,
            _ => AppEvent { message: format!("{} ({dropped} earlier changes have no Event.)", event.message), ..event },
        })
    }

    fn windows(&self) -> MutexGuard<'_, PrunedMap<String, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(regarding: &ObjectReference) -> String {
    regarding.uid.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;
    use tokio::time::advance;

    fn of(uid: &str) -> ObjectReference {
        ObjectReference { uid: Some(uid.into()), name: Some("billing".into()), ..ObjectReference::default() }
    }

    fn event(message: &str) -> AppEvent {
        AppEvent { reason: Reason::Updated, message: message.into() }
    }

    #[test]
    fn an_event_of_any_object_has_a_name_that_kubernetes_takes_and_no_other_has() {
        for object in ["a".to_owned(), "a".repeat(253), format!("{}-.{}", "a".repeat(234), "b".repeat(17))] {
            let (name, other) = (unique_name(&object), unique_name(&object));
            assert!(name.len() <= 253 && name.is_ascii() && name != other, "{name}");
            assert!(name.split('.').all(|label| !label.is_empty() && !label.ends_with('-')), "{name}");
        }
    }

    #[test]
    fn a_note_is_cut_by_bytes_and_has_no_line_break() {
        let event = new_event(&of("u"), &event(&"é\n".repeat(900)), "me");
        let note = event.note.unwrap();
        assert!(note.len() <= 1024 && note.len() > 900 && !note.contains('\n'), "{}", note.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_object_is_bounded_and_its_last_change_is_published() {
        let limit = EventRateLimit::default();
        for n in 0..MAX_EVENTS {
            assert!(matches!(limit.decide(&of("a"), event(&n.to_string())), Decision::Publish(_)));
        }
        let end = Instant::now() + WINDOW;
        assert_eq!(limit.decide(&of("a"), event("x")), Decision::PublishHeldAt(end));
        assert_eq!(limit.decide(&of("a"), event("y")), Decision::Hold);
        assert!(matches!(limit.decide(&of("b"), event("of another")), Decision::Publish(_)));
        advance(WINDOW).await;
        let last = limit.take_held(&of("a")).unwrap().message;
        assert_eq!(last, "y (1 earlier changes have no Event.)");
        assert!(matches!(limit.decide(&of("a"), event("z")), Decision::Publish(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn objects_that_are_quiet_take_no_memory() {
        let limit = EventRateLimit::default();
        for n in 0..1000 {
            limit.decide(&of(&n.to_string()), event("x"));
            advance(WINDOW / 10).await;
        }
        assert!(limit.windows().len() < 200, "{}", limit.windows().len());
    }
}
