//! A map that remembers what it held before its latest writes, so that a replica can be shown as it was.
//! A write is remembered for as long as the longest replication lag, and not at all without one.

use std::collections::{BTreeMap, BTreeSet};

/// When a write happens, and how long it is remembered, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    pub now: u64,
    pub memory: u64,
}

/// Values by id, with those that held before.
pub(crate) struct Versioned<V> {
    present: BTreeMap<String, V>,
    past: BTreeMap<String, Vec<Past<V>>>,
}

/// A value that held until some time; none means that the id was absent.
struct Past<V> {
    until: u64,
    value: Option<V>,
}

impl<V> Default for Versioned<V> {
    fn default() -> Self {
        Self { present: BTreeMap::new(), past: BTreeMap::new() }
    }
}

impl<V: Clone> Versioned<V> {
    pub(crate) fn get(&self, id: &str) -> Option<&V> {
        self.present.get(id)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.present.values()
    }

    /// The value that a replica shows that has heard of nothing since `then`.
    pub(crate) fn at(&self, id: &str, then: u64) -> Option<&V> {
        let past = self.past.get(id).and_then(|past| past.iter().find(|p| p.until > then));
        past.map_or_else(|| self.present.get(id), |past| past.value.as_ref())
    }

    /// Every value that such a replica shows, by id.
    pub(crate) fn at_time(&self, then: u64) -> impl Iterator<Item = (&String, &V)> {
        let ids: BTreeSet<&String> = self.present.keys().chain(self.written()).collect();
        ids.into_iter().filter_map(move |id| Some((id, self.at(id, then)?)))
    }

    /// The ids that were written lately.
    pub(crate) fn written(&self) -> impl Iterator<Item = &String> {
        self.past.keys()
    }

    pub(crate) fn insert(&mut self, id: &str, value: V, moment: Moment) {
        self.remember(id, moment);
        self.present.insert(id.to_string(), value);
    }

    /// The value, to be changed.
    pub(crate) fn write(&mut self, id: &str, moment: Moment) -> Option<&mut V> {
        self.get(id)?;
        self.remember(id, moment);
        self.present.get_mut(id)
    }

    /// The value, to be changed, made if it is absent.
    pub(crate) fn write_or_default(&mut self, id: &str, moment: Moment) -> &mut V
    where
        V: Default,
    {
        self.remember(id, moment);
        self.present.entry(id.to_string()).or_default()
    }

    pub(crate) fn remove(&mut self, id: &str, moment: Moment) -> Option<V> {
        self.get(id)?;
        self.remember(id, moment);
        self.present.remove(id)
    }

    fn remember(&mut self, id: &str, Moment { now, memory }: Moment) {
        if memory > 0 {
            let past = self.past.entry(id.to_string()).or_default();
            past.retain(|p| p.until + memory > now);
            past.push(Past { until: now, value: self.present.get(id).cloned() });
        }
    }
}
