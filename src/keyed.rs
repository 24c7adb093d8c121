//! Maps whose keys may be what tenants write: unused keys are dropped, so their number is bounded.
//! `Keyed` holds values in use, such as locks and queues; `PrunedMap` holds values that are of use for a while.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Map<K, V> = Arc<Mutex<HashMap<K, Arc<V>>>>;

/// The values that are in use.
#[derive(Debug)]
pub(crate) struct Keyed<K: Eq + Hash, V>(Map<K, V>);

impl<K: Eq + Hash, V> Default for Keyed<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// One value in use; it goes from the map when the last user drops it.
#[derive(Debug)]
pub(crate) struct InUse<K: Eq + Hash, V> {
    map: Map<K, V>,
    key: K,
    value: Arc<V>,
}

impl<K: Eq + Hash + Clone, V> Keyed<K, V> {
    /// The value that all users of this key share; the first one makes it.
    pub(crate) fn get(&self, key: K, make: impl FnOnce() -> V) -> InUse<K, V> {
        let value = lock(&self.0).entry(key.clone()).or_insert_with(|| Arc::new(make())).clone();
        InUse { map: self.0.clone(), key, value }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

impl<K: Eq + Hash, V> Deref for InUse<K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

impl<K: Eq + Hash, V> Drop for InUse<K, V> {
    fn drop(&mut self) {
        let mut map = lock(&self.map);
        // The map's and this one: no other is made while the map is locked.
        if Arc::strong_count(&self.value) == 2 {
            map.remove(&self.key);
            // Rarely enough to cost little.
            if map.capacity() > FEW && map.len() < map.capacity() / 4 {
                map.shrink_to_fit();
            }
        }
    }
}

fn lock<K, V>(map: &Map<K, V>) -> MutexGuard<'_, HashMap<K, Arc<V>>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stands for a value in little memory.
pub(crate) fn fingerprint(value: impl Hash) -> u64 {
    let mut hash = DefaultHasher::new();
    value.hash(&mut hash);
    hash.finish()
}

/// With fewer entries nothing is pruned.
const FEW: usize = 64;

/// A map that forgets what is no longer of use, so often that it is at most twice as large as it must be.
#[derive(Debug)]
pub(crate) struct PrunedMap<K, V> {
    entries: HashMap<K, V>,
    prune_at: usize,
}

impl<K, V> Default for PrunedMap<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), prune_at: FEW }
    }
}

impl<K: Eq + Hash, V> PrunedMap<K, V> {
    /// The value of this key, if it was not forgotten.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// The value of this key, made if need be; then what is not `of_use` may be forgotten before.
    pub(crate) fn get_or_insert_with(
        &mut self,
        key: K,
        make: impl FnOnce() -> V,
        of_use: impl Fn(&K, &V) -> bool,
    ) -> &mut V {
        if self.entries.len() >= self.prune_at && !self.entries.contains_key(&key) {
            self.retain(of_use);
        }
        self.entries.entry(key).or_insert_with(make)
    }

    /// Keeps this value under the key; then what is not `of_use` may be forgotten before.
    pub(crate) fn insert(&mut self, key: K, value: V, of_use: impl Fn(&K, &V) -> bool) {
        if self.entries.len() >= self.prune_at && !self.entries.contains_key(&key) {
            self.retain(of_use);
        }
        self.entries.insert(key, value);
    }

    /// The value of this key, to change it.
    pub(crate) fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key)
    }

    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.entries.remove(key)
    }

    pub(crate) fn retain(&mut self, of_use: impl Fn(&K, &V) -> bool) {
        self.entries.retain(|key, value| of_use(key, value));
        self.prune_at = (2 * self.entries.len()).max(FEW);
        self.entries.shrink_to(self.prune_at);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_longer_of_use_is_forgotten_and_the_rest_is_kept() {
        let mut map = PrunedMap::default();
        for n in 0..10_000 {
            *map.get_or_insert_with(n, || 0, |key, _| *key < 10 || *key + 100 > n) += 1;
        }
        assert!(map.len() <= 2 * 110, "{}", map.len());
        assert!((0..10).all(|key| map.get(&key) == Some(&1)));
    }

    #[test]
    fn the_memory_of_many_keys_is_given_back() {
        let mut pruned = PrunedMap::default();
        (0..10_000).for_each(|n| pruned.insert(n, (), |_, ()| true));
        pruned.retain(|_, ()| false);
        assert!(pruned.entries.capacity() <= 2 * FEW, "{}", pruned.entries.capacity());
        let keyed: Keyed<u32, ()> = Keyed::default();
        let used: Vec<_> = (0..10_000).map(|n| keyed.get(n, Default::default)).collect();
        drop(used);
        assert!(lock(&keyed.0).capacity() <= 2 * FEW, "{}", lock(&keyed.0).capacity());
    }

    #[test]
    fn users_of_a_key_share_its_value_and_the_last_one_removes_it() {
        let values: Keyed<u8, u8> = Keyed::default();
        let (one, two) = (values.get(1, || 10), values.get(1, || 20));
        assert_eq!((*one, *two, values.len()), (10, 10, 1));
        drop(one);
        assert_eq!(*values.get(1, || 30), 10, "still in use");
        drop(two);
        assert_eq!(values.len(), 0);
    }
}
