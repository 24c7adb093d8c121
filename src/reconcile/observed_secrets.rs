//! The versions of Secrets that reconciles read or wrote. Any other change wakes the resource that the Secret belongs to; the
//! operator's own writes wake no resource, whether the watch or the answer to the write is first.

use crate::cluster::cached::CachedApp;
use crate::crd::OrgOAuthApp;
use crate::keyed::fingerprint;
use crate::secret::{ROTATION_SUFFIX, SecretState, controller};
use kube::ResourceExt;
use kube::core::ObjectMeta;
use kube::runtime::reflector::ObjectRef;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More than a reconcile writes. Without an older one a reconcile comes for nothing, and no change is missed.
const VERSIONS: usize = 8;
/// More than go in the time that the watch is late by. Without an older one a reconcile comes for nothing.
const REMOVALS: usize = 256;

/// By `namespace/name`. An entry is made by a reconcile whose Secret is there, never by what a label says, and goes with the
/// Secret.
pub(crate) struct ObservedSecrets {
    wake: Box<dyn Fn(ObjectRef<CachedApp>) + Send + Sync>,
    entries: Mutex<HashMap<String, Entry>>,
    /// The uids of the Secrets that this process removed last, whose deletion the watch has not reported yet.
    removed: Mutex<VecDeque<u64>>,
}

/// A Secret of a resource. Of uids and versions there is a fingerprint.
struct Entry {
    app: String,
    /// None while it is being created.
    uid: Option<u64>,
    /// Those that reconciles read or wrote last.
    versions: [u64; VERSIONS],
    writes: usize,
    /// The last event of the watch during a write; only the answer to the write says whether it is news.
    undecided: Option<WatchEvent>,
}

/// An event of the watch.
#[derive(Clone, Copy)]
enum WatchEvent {
    /// The Secret has this version.
    Version(u64),
    /// The one with this uid is gone, or no longer labeled.
    Gone(u64),
}

/// Uids of Secrets that reconciles know.
#[derive(Debug, Default)]
pub(crate) struct Uids(HashSet<u64>);

impl ObservedSecrets {
    /// With what wakes a resource.
    pub(crate) fn new(wake: impl Fn(ObjectRef<CachedApp>) + Send + Sync + 'static) -> Self {
        Self { wake: Box::new(wake), entries: Mutex::default(), removed: Mutex::default() }
    }

    /// A reconcile read the Secret of that name.
    pub(crate) fn read(&self, app: &OrgOAuthApp, name: &str, secret: &SecretState) {
        let (key, mut entries) = (key(app.namespace().as_deref(), name), self.entries());
        match secret {
            SecretState::Owned(_) => entries.entry(key).or_insert_with(|| Entry::new(app)).saw(app, secret),
            SecretState::Absent | SecretState::Foreign { .. } => {
                if let Some(entry) = entries.get_mut(&key) {
                    entry.saw(app, secret);
                    remove_if_unused(&mut entries, &key);
                }
            }
        }
    }

    /// A reconcile is about to write the Secret of that name.
    pub(super) fn write(&self, app: &OrgOAuthApp, name: &str) -> Write<'_> {
        let key = key(app.namespace().as_deref(), name);
        self.entries().entry(key.clone()).or_insert_with(|| Entry::new(app)).writes += 1;
        Write { secrets: self, key }
    }

    /// The watch reports that a Secret was added or changed.
    pub(crate) fn changed(&self, secret: &ObjectMeta) {
        self.on_event(&key_of(secret), WatchEvent::Version(fingerprint(&secret.resource_version)));
    }

    /// The watch reports that a Secret is gone, or no longer labeled.
    pub(crate) fn gone(&self, secret: &ObjectMeta) {
        self.on_event(&key_of(secret), WatchEvent::Gone(fingerprint(&secret.uid)));
    }

    /// Whether a reconcile of this process has observed the Secret, or writes it.
    pub(crate) fn is_known(&self, secret: &ObjectMeta) -> bool {
        self.entries().contains_key(&key_of(secret))
    }

    /// Whether this process removed the Secret a short while ago.
    pub(crate) fn was_removed(&self, secret: &ObjectMeta) -> bool {
        self.removed().contains(&fingerprint(&secret.uid))
    }

    /// Wakes the resource that a Secret says it belongs to, if there is one of that name in its namespace. What settled before
    /// this process began has not been reconciled yet.
    pub(crate) fn wake_owner(&self, secret: &ObjectMeta) {
        let owner = controller(secret).map(|owner| owner.name.as_str());
        let named = secret.name.as_deref().unwrap_or_default();
        let name = owner.unwrap_or(named.strip_suffix(ROTATION_SUFFIX).unwrap_or(named));
        (self.wake)(ObjectRef::new(name).within(secret.namespace.as_deref().unwrap_or_default()));
    }

    /// The Secrets of this namespace, or all, that reconciles know.
    pub(crate) fn uids(&self, namespace: Option<&str>) -> Uids {
        let entries = self.entries();
        Uids(entries.iter().filter(|(key, _)| is_in(key, namespace)).filter_map(|(_, entry)| entry.uid).collect())
    }

    /// No list of the watch contains these Secrets, so they are gone.
    pub(crate) fn mark_missing(&self, Uids(missing): &Uids) {
        let is_missing = |entry: &Entry| entry.uid.filter(|uid| missing.contains(uid));
        let found = |(key, entry): (&String, &Entry)| Some((key.clone(), is_missing(entry)?));
        let gone: Vec<_> = self.entries().iter().filter_map(found).collect();
        gone.into_iter().for_each(|(key, uid)| self.on_event(&key, WatchEvent::Gone(uid)));
    }

    /// Nothing of this namespace, or of all, is watched.
    pub(crate) fn forget(&self, namespace: Option<&str>) {
        self.entries().retain(|key, entry| !is_in(key, namespace) || entry.writes > 0);
    }

    fn on_event(&self, key: &str, event: WatchEvent) {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(key) else { return };
        if entry.writes > 0 {
            entry.undecided = Some(event);
        } else if entry.is_news(event) {
            self.wake(key, entry, event);
            remove_if_unused(&mut entries, key);
        }
    }

    fn wake(&self, key: &str, entry: &mut Entry, event: WatchEvent) {
        let namespace = key.split('/').next().unwrap_or_default();
        (self.wake)(ObjectRef::new(&entry.app).within(namespace));
        if let WatchEvent::Gone(_) = event {
            entry.uid = None;
        }
    }

    fn removed(&self) -> MutexGuard<'_, VecDeque<u64>> {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(app: &OrgOAuthApp) -> Self {
        Self { app: app.name_any(), uid: None, versions: [0; VERSIONS], writes: 0, undecided: None }
    }

    /// Two resources that name one Secret both see it, and one of them controls it.
    fn saw(&mut self, app: &OrgOAuthApp, secret: &SecretState) {
        match secret {
            SecretState::Owned(secret) => {
                self.app = app.name_any();
                self.uid = Some(fingerprint(secret.uid()));
                self.versions.rotate_right(1);
                self.versions[0] = fingerprint(secret.version());
            }
            SecretState::Absent | SecretState::Foreign { .. } if self.app == app.name_any() => self.uid = None,
            SecretState::Absent | SecretState::Foreign { .. } => {}
        }
    }

    fn is_news(&self, event: WatchEvent) -> bool {
        match event {
            WatchEvent::Version(version) => !self.versions.contains(&version),
            WatchEvent::Gone(uid) => self.uid == Some(uid),
        }
    }
}

impl Uids {
    /// A list of the watch contains this Secret.
    pub(crate) fn remove(&mut self, secret: &ObjectMeta) {
        self.0.remove(&fingerprint(&secret.uid));
    }
}

/// A write under way, until it is dropped.
pub(super) struct Write<'a> {
    secrets: &'a ObservedSecrets,
    key: String,
}

impl Write<'_> {
    /// What it came to.
    pub(super) fn ended(self, app: &OrgOAuthApp, secret: &SecretState) {
        let mut entries = self.secrets.entries();
        let Some(entry) = entries.get_mut(&self.key) else { return };
        if let (SecretState::Absent, Some(uid)) = (secret, entry.uid) {
            let mut removed = self.secrets.removed();
            removed.truncate(REMOVALS - 1);
            removed.push_front(uid);
        }
        entry.saw(app, secret);
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        let mut entries = self.secrets.entries();
        let Some(entry) = entries.get_mut(&self.key) else { return };
        entry.writes -= 1;
        let event = if entry.writes == 0 { entry.undecided.take() } else { None };
        if let Some(event) = event.filter(|event| entry.is_news(*event)) {
            self.secrets.wake(&self.key, entry, event);
        }
        remove_if_unused(&mut entries, &self.key);
    }
}

fn remove_if_unused(entries: &mut HashMap<String, Entry>, key: &str) {
    if entries.get(key).is_some_and(|entry| entry.uid.is_none() && entry.writes == 0) {
        entries.remove(key);
    }
}

fn key_of(secret: &ObjectMeta) -> String {
    key(secret.namespace.as_deref(), secret.name.as_deref().unwrap_or_default())
}

/// No name has a slash.
fn key(namespace: Option<&str>, name: &str) -> String {
    format!("{}/{name}", namespace.unwrap_or_default())
}

fn is_in(key: &str, namespace: Option<&str>) -> bool {
    namespace.is_none_or(|namespace| key.split('/').next() == Some(namespace))
}

#[cfg(test)]
mod tests;
