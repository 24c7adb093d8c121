//! Publishes Events: one for each change, with its own note. A resource that changes without end gets a bounded number of
//! them, of which the last one always says how it is now.

use super::requests::Requests;
use crate::cluster::AppEvent;
use crate::crd::FIELD_MANAGER;
use crate::metrics::Resource;
use crate::text;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};
use std::collections::HashMap;
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
const MOST: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// Publishes Events.
#[derive(Clone)]
pub struct Events {
    client: Client,
    requests: Requests,
    instance: String,
    windows: Arc<Windows>,
}

impl Events {
    /// As the process of this identity.
    pub fn new(client: Client, requests: Requests, identity: &str) -> Self {
        Self { client, requests, instance: text::clean(identity, LONGEST_INSTANCE), windows: Arc::default() }
    }

    /// Publishes what happened to an object; a failure to do so is only logged.
    pub async fn publish(&self, regarding: ObjectReference, event: AppEvent) {
        match self.windows.admit(&regarding, event) {
            Turn::Now(event) => self.create(&regarding, &event).await,
            Turn::Later(at) => {
                let events = self.clone();
                tokio::spawn(async move {
                    sleep_until(at).await;
                    if let Some(event) = events.windows.take_held(&regarding) {
                        events.create(&regarding, &event).await;
                    }
                });
            }
            Turn::Held => {}
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
        type_: Some(if event.warning { "Warning" } else { "Normal" }.into()),
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

/// How many Events each object had in its window; forgotten when that is over.
#[derive(Default)]
struct Windows(Mutex<Open>);

#[derive(Default)]
struct Open {
    by_object: HashMap<String, Window>,
    tidied: Option<Instant>,
}

struct Window {
    begin: Instant,
    published: u32,
    /// What happened last of what was not published, and how much more there was.
    held: Option<(AppEvent, u32)>,
}

#[derive(Debug, PartialEq)]
enum Turn {
    Now(AppEvent),
    /// The first one that is held; whoever gets this publishes the last one then.
    Later(Instant),
    Held,
}

impl Windows {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, regarding: &ObjectReference, event: AppEvent) -> Turn {
        let now = Instant::now();
        let mut open = self.lock();
        open.tidy(now);
        let fresh = || Window { begin: now, published: 0, held: None };
        let window = open.by_object.entry(key(regarding)).or_insert_with(fresh);
        match &mut window.held {
            Some((last, more)) => {
                (*last, *more) = (event, *more + 1);
                return Turn::Held;
            }
            None if window.begin + WINDOW <= now => *window = fresh(),
            None => {}
        }
        if window.published < MOST {
            window.published += 1;
            return Turn::Now(event);
        }
        window.held = Some((event, 0));
        Turn::Later(window.begin + WINDOW)
    }

    /// Begins a new window with what was held.
    fn take_held(&self, regarding: &ObjectReference) -> Option<AppEvent> {
        let mut open = self.lock();
        let window = open.by_object.get_mut(&key(regarding))?;
        let (event, more) = window.held.take()?;
        *window = Window { begin: Instant::now(), published: 1, held: None };
        Some(match more {
            0 => event,
            more => AppEvent { message: format!("{} ({more} earlier changes have no Event.)", event.message), ..event },
        })
    }
}

impl Open {
    /// Once in a window, so that it costs nothing where there is much to tell.
    fn tidy(&mut self, now: Instant) {
        if self.tidied.is_none_or(|tidied| tidied + WINDOW <= now) {
            self.by_object.retain(|_, window| window.held.is_some() || now < window.begin + WINDOW);
            self.tidied = Some(now);
        }
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
        AppEvent { reason: Reason::Updated, message: message.into(), warning: false }
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
    async fn a_flood_of_one_object_is_bounded_and_its_last_change_is_told() {
        let windows = Windows::default();
        for n in 0..MOST {
            assert!(matches!(windows.admit(&of("a"), event(&n.to_string())), Turn::Now(_)));
        }
        let end = Instant::now() + WINDOW;
        assert_eq!(windows.admit(&of("a"), event("x")), Turn::Later(end));
        assert_eq!(windows.admit(&of("a"), event("y")), Turn::Held);
        assert!(matches!(windows.admit(&of("b"), event("of another")), Turn::Now(_)));
        advance(WINDOW).await;
        let last = windows.take_held(&of("a")).unwrap().message;
        assert_eq!(last, "y (1 earlier changes have no Event.)");
        assert!(matches!(windows.admit(&of("a"), event("z")), Turn::Now(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn objects_that_are_quiet_take_no_memory() {
        let windows = Windows::default();
        for n in 0..100 {
            windows.admit(&of(&n.to_string()), event("x"));
        }
        advance(2 * WINDOW).await;
        windows.admit(&of("other"), event("x"));
        assert_eq!(windows.lock().by_object.len(), 1);
    }
}
