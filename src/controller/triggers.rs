//! Triggers: a change of a connection, a namespace or a Secret, and which resources it affects.
//! Those that wait for a connection are reconciled when it is Ready again, so that they do not sit out a backoff of minutes.

use crate::cluster::cached::CachedApp;
use crate::crd::{ConditionType, OrgOAuthApp};
use crate::keyed::PrunedMap;
use crate::reason::Reason;
use futures::channel::mpsc::UnboundedSender;
use kube::runtime::reflector::{ObjectRef, Store};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connection that becomes Ready every few seconds must not take the backoff from the resources that wait for it. It is as
/// long as their longest backoff.
const MIN_READY_INTERVAL: Duration = Duration::from_secs(300);

/// A change that resources other than the changed object depend on.
#[derive(Clone, Debug)]
pub(super) enum Trigger {
    /// The spec of the connection of that name changed, or the connection is gone.
    Connection(String),
    /// The connection of that name became Ready.
    ConnectionReady(String),
    /// The labels of the namespace of that name changed.
    Namespace(String),
    /// The Secret of a resource is not as its last reconciliation left it.
    Secret(ObjectRef<CachedApp>),
}

/// The controllers that receive triggers.
pub(super) type Subscribers = Vec<UnboundedSender<Trigger>>;

pub(super) fn notify(subscribers: &Subscribers, trigger: &Trigger) {
    for subscriber in subscribers {
        // A controller that has ended receives nothing.
        subscriber.unbounded_send(trigger.clone()).ok();
    }
}

/// Finds the resources of one scope that a trigger affects.
pub(super) struct AffectedApps {
    apps: Store<CachedApp>,
    /// By connection, when the resources that waited for it were last reconciled because it became Ready.
    triggered: PrunedMap<String, Instant>,
}

impl AffectedApps {
    pub(super) fn new(apps: Store<CachedApp>) -> Self {
        Self { apps, triggered: PrunedMap::default() }
    }

    pub(super) fn by(&mut self, trigger: &Trigger, now: Instant) -> Vec<Arc<CachedApp>> {
        match trigger {
            Trigger::Connection(name) => self.filter(|app| app.spec.connection_ref.name == *name),
            Trigger::Namespace(name) => self.filter(|app| app.metadata.namespace.as_ref() == Some(name)),
            Trigger::ConnectionReady(name) => self.waiting_for(name, now),
            Trigger::Secret(app) => self.apps.get(app).into_iter().collect(),
        }
    }

    fn waiting_for(&mut self, connection: &str, now: Instant) -> Vec<Arc<CachedApp>> {
        let is_recent = |_: &String, at: &Instant| now < *at + MIN_READY_INTERVAL;
        if self.triggered.get(connection).is_some_and(|at| now < *at + MIN_READY_INTERVAL) {
            return Vec::new();
        }
        let waiting = self.filter(|app| app.spec.connection_ref.name == connection && waits_for_connection(app));
        if !waiting.is_empty() {
            *self.triggered.get_or_insert_with(connection.to_owned(), || now, is_recent) = now;
            let apps = waiting.len();
            tracing::info!(connection, apps, "connection is Ready again; reconciling the apps that wait for it");
        }
        waiting
    }

    fn filter(&self, is_affected: impl Fn(&OrgOAuthApp) -> bool) -> Vec<Arc<CachedApp>> {
        self.apps.state().into_iter().filter(|app| is_affected(app.outline())).collect()
    }
}

/// Whether the last reconciliation could not use the connection.
fn waits_for_connection(app: &OrgOAuthApp) -> bool {
    let waits = [Reason::ConnectionUnavailable, Reason::CredentialsUnavailable, Reason::ConnectionInvalid];
    let synced = app.condition(ConditionType::Synced);
    synced.is_some_and(|synced| waits.iter().any(|reason| reason.as_str() == synced.reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::ResourceExt;
    use kube::runtime::reflector::store;
    use kube::runtime::watcher::Event;
    use serde_json::json;

    fn app(name: &str, connection: &str, synced: &str) -> CachedApp {
        let object = json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": name, "namespace": format!("of-{name}")},
            "spec": {"connectionRef": {"name": connection}, "orgId": "o"},
            "status": {"conditions": [{"type": "Synced", "status": "Unknown", "reason": synced, "message": "",
                                       "lastTransitionTime": "1970-01-01T00:00:00Z"}]},
        });
        CachedApp::from(serde_json::from_value::<OrgOAuthApp>(object).unwrap())
    }

    fn affected() -> AffectedApps {
        let (apps, mut writer) = store();
        for app in [
            app("down", "a", "ConnectionUnavailable"),
            app("refused", "a", "CredentialsUnavailable"),
            app("no-ca", "a", "ConnectionInvalid"),
            app("good", "a", "Provisioned"),
            app("rejected", "a", "Rejected"),
            app("other", "b", "ConnectionUnavailable"),
        ] {
            writer.apply_watcher_event(&Event::Apply(app));
        }
        AffectedApps::new(apps)
    }

    fn names(apps: Vec<Arc<CachedApp>>) -> Vec<String> {
        let mut names: Vec<String> = apps.iter().map(|app| app.name_any()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_change_concerns_those_who_use_what_changed() {
        let (mut affected, now) = (affected(), Instant::now());
        assert_eq!(names(affected.by(&Trigger::Connection("b".into()), now)), ["other"]);
        assert_eq!(names(affected.by(&Trigger::Connection("a".into()), now)).len(), 5);
        assert_eq!(names(affected.by(&Trigger::Namespace("of-good".into()), now)), ["good"]);
        let mut secret = |name: &str| names(affected.by(&Trigger::Secret(ObjectRef::new(name).within("of-good")), now));
        assert_eq!(secret("good"), ["good"]);
        assert_eq!(secret("down"), [""; 0], "another namespace");
    }

    #[test]
    fn who_waits_for_a_connection_is_woken_when_it_is_ready_again_and_at_most_every_five_minutes() {
        let (mut affected, begin) = (affected(), Instant::now());
        let mut ready = |name: &str, after: u64| {
            names(affected.by(&Trigger::ConnectionReady(name.into()), begin + Duration::from_secs(after)))
        };
        assert_eq!(ready("unused", 0), [""; 0]);
        assert_eq!(ready("a", 0), ["down", "no-ca", "refused"]);
        assert_eq!(ready("a", 299), [""; 0]);
        assert_eq!(ready("b", 299), ["other"], "another connection has a pace of its own");
        assert_eq!(ready("a", 300), ["down", "no-ca", "refused"]);
    }
}
