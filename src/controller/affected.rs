//! Which resources are to be reconciled because something else changed: their connection, their namespace or their Secret.
//! Those that wait for a connection are woken when it is Ready again, so that they do not sit out a backoff of minutes.

use super::watches::Change;
use crate::cluster::cached::CachedApp;
use crate::crd::{ConditionType, OrgOAuthApp};
use crate::keyed::PrunedMap;
use crate::reason::Reason;
use kube::runtime::reflector::Store;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connection that is Ready every few seconds must not take the backoff from all who wait for it. So long is the longest
/// wait that they have by themselves.
const WAKE_PACE: Duration = Duration::from_secs(300);

/// The resources of one scope.
pub struct Affected {
    apps: Store<CachedApp>,
    /// By connection, when those who waited for it were woken.
    woken: PrunedMap<String, Instant>,
}

impl Affected {
    /// Nobody was woken yet.
    pub fn new(apps: Store<CachedApp>) -> Self {
        Self { apps, woken: PrunedMap::default() }
    }

    /// Those that a change concerns.
    pub fn by(&mut self, change: &Change, now: Instant) -> Vec<Arc<CachedApp>> {
        match change {
            Change::Connection(name) => self.those(|app| app.spec.connection_ref.name == *name),
            Change::Namespace(name) => self.those(|app| app.metadata.namespace.as_ref() == Some(name)),
            Change::ConnectionReady(name) => self.waiting_for(name, now),
            Change::Secret(app) => self.apps.get(app).into_iter().collect(),
        }
    }

    fn waiting_for(&mut self, connection: &str, now: Instant) -> Vec<Arc<CachedApp>> {
        let is_recent = |_: &String, at: &Instant| now < *at + WAKE_PACE;
        if self.woken.get(connection).is_some_and(|at| now < *at + WAKE_PACE) {
            return Vec::new();
        }
        let waiting = self.those(|app| app.spec.connection_ref.name == connection && waits_for_connection(app));
        if !waiting.is_empty() {
            *self.woken.get_or_insert_with(connection.to_owned(), || now, is_recent) = now;
            let apps = waiting.len();
            tracing::info!(connection, apps, "the connection is Ready again: the apps that wait for it go on");
        }
        waiting
    }

    fn those(&self, concerns: impl Fn(&OrgOAuthApp) -> bool) -> Vec<Arc<CachedApp>> {
        self.apps.state().into_iter().filter(|app| concerns(app.outline())).collect()
    }
}

/// Whether its last reconcile could not use the connection.
fn waits_for_connection(app: &OrgOAuthApp) -> bool {
    let waits = [Reason::ConnectionUnavailable, Reason::CredentialsUnavailable, Reason::ConnectionInvalid];
    let synced = app.condition(ConditionType::Synced);
    synced.is_some_and(|synced| waits.iter().any(|reason| reason.as_str() == synced.reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::ResourceExt;
    use kube::runtime::reflector::{ObjectRef, store};
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

    fn affected() -> Affected {
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
        Affected::new(apps)
    }

    fn names(apps: Vec<Arc<CachedApp>>) -> Vec<String> {
        let mut names: Vec<String> = apps.iter().map(|app| app.name_any()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_change_concerns_those_who_use_what_changed() {
        let (mut affected, now) = (affected(), Instant::now());
        assert_eq!(names(affected.by(&Change::Connection("b".into()), now)), ["other"]);
        assert_eq!(names(affected.by(&Change::Connection("a".into()), now)).len(), 5);
        assert_eq!(names(affected.by(&Change::Namespace("of-good".into()), now)), ["good"]);
        let mut secret = |name: &str| names(affected.by(&Change::Secret(ObjectRef::new(name).within("of-good")), now));
        assert_eq!(secret("good"), ["good"]);
        assert_eq!(secret("down"), [""; 0], "another namespace");
    }

    #[test]
    fn who_waits_for_a_connection_is_woken_when_it_is_ready_again_and_at_most_every_five_minutes() {
        let (mut affected, begin) = (affected(), Instant::now());
        let mut ready = |name: &str, after: u64| {
            names(affected.by(&Change::ConnectionReady(name.into()), begin + Duration::from_secs(after)))
        };
        assert_eq!(ready("unused", 0), [""; 0]);
        assert_eq!(ready("a", 0), ["down", "no-ca", "refused"]);
        assert_eq!(ready("a", 299), [""; 0]);
        assert_eq!(ready("b", 299), ["other"], "another connection has a pace of its own");
        assert_eq!(ready("a", 300), ["down", "no-ca", "refused"]);
    }
}
