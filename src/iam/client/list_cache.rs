//! One list per organization, shared by all calls that look for one of its entries.
//! A list that fails decides nothing, and all calls that waited for it get its error.

use crate::iam::{ClientId, Error, OrgId};
use crate::keyed::PrunedMap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The calls that wait for a list that failed must not retry it one after the other.
const FAILURE_HOLDS: Duration = Duration::from_secs(2);

/// The lists of all organizations.
pub(crate) struct ListCache<T> {
    lists: Mutex<PrunedMap<OrgId, Slot<T>>>,
    /// When this process last changed an entry: a list that was started before is stale for it.
    invalidated: Mutex<PrunedMap<ClientId, Instant>>,
    /// The largest `max_age` so far; older lists are dropped.
    largest_max_age: Mutex<Duration>,
}

/// The call that reads the list holds the lock.
type Slot<T> = Arc<tokio::sync::Mutex<Option<List<T>>>>;

struct List<T> {
    started: Instant,
    ended: Instant,
    entries: Result<HashMap<ClientId, T>, Error>,
}

impl<T: Clone> ListCache<T> {
    pub(crate) fn new() -> Self {
        Self { lists: Mutex::default(), invalidated: Mutex::default(), largest_max_age: Mutex::new(FAILURE_HOLDS) }
    }

    /// Call it when a change of this entry was answered.
    pub(crate) fn invalidate(&self, id: &ClientId) {
        let now = Instant::now();
        let max_age = *lock(&self.largest_max_age);
        *lock(&self.invalidated).get_or_insert_with(id.clone(), || now, |_, at| now < *at + max_age) = now;
    }

    /// The entry in a list that is not older than `max_age`; `None` when the list does not show it.
    pub(crate) async fn find(
        &self,
        org: &OrgId,
        id: &ClientId,
        max_age: Duration,
        list: impl Future<Output = Result<HashMap<ClientId, T>, Error>>,
    ) -> Result<Option<T>, Error> {
        let slot = self.slot(org, max_age);
        // A call that comes while the list is read waits here, and uses it.
        let asked = Instant::now();
        let mut slot = slot.lock().await;
        if let Some(known) = slot.as_ref().filter(|known| self.is_fresh_for(known, id, max_age, asked)) {
            return known.entries.as_ref().map(|entries| entries.get(id).cloned()).map_err(Clone::clone);
        }
        let started = Instant::now();
        let entries = list.await;
        if entries.is_ok() {
            lock(&self.invalidated).retain(|_, at| *at >= started);
        }
        let found = entries.as_ref().map(|entries| entries.get(id).cloned()).map_err(Clone::clone);
        *slot = Some(List { started, ended: Instant::now(), entries });
        found
    }

    fn slot(&self, org: &OrgId, max_age: Duration) -> Slot<T> {
        let largest = {
            let mut largest = lock(&self.largest_max_age);
            *largest = max_age.max(*largest);
            *largest
        };
        let is_fresh = |list: &Option<List<T>>| list.as_ref().is_some_and(|list| list.started.elapsed() <= largest);
        let is_in_use = |_: &OrgId, slot: &Slot<T>| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|list| is_fresh(&list))
        };
        lock(&self.lists).get_or_insert_with(org.clone(), Slot::default, is_in_use).clone()
    }

    fn is_fresh_for(&self, list: &List<T>, id: &ClientId, max_age: Duration, asked: Instant) -> bool {
        let invalidated = lock(&self.invalidated).get(id).copied();
        match &list.entries {
            // A list that was started after the call is as new as possible.
            Ok(_) => {
                let is_new = list.started >= asked || list.started.elapsed() <= max_age;
                is_new && invalidated.is_none_or(|at| list.started > at)
            }
            Err(_) => list.ended.elapsed() < FAILURE_HOLDS,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const MINUTE: Duration = Duration::from_secs(60);

    fn id(id: &str) -> ClientId {
        ClientId(id.into())
    }

    struct Lists(ListCache<u8>, AtomicUsize);

    impl Lists {
        async fn find(&self, name: &str, answer: Result<&[&str], Error>) -> Result<Option<u8>, Error> {
            let list = async {
                self.1.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                answer.map(|names| names.iter().map(|name| (id(name), 1)).collect())
            };
            self.0.find(&OrgId("org".into()), &id(name), MINUTE, list).await
        }

        fn read(&self) -> usize {
            self.1.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_calls_within_max_age_share_one_list() {
        let lists = Lists(ListCache::new(), AtomicUsize::new(0));
        let found = futures::future::join_all((0..100).map(|_| lists.find("a", Ok(&["a"])))).await;
        assert!(found.iter().all(|found| *found == Ok(Some(1))));
        assert_eq!(lists.find("b", Ok(&["b"])).await, Ok(None));
        assert_eq!(lists.read(), 1);
        tokio::time::advance(MINUTE).await;
        assert_eq!(lists.find("b", Ok(&["b"])).await, Ok(Some(1)));
        assert_eq!(lists.read(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_is_stale_for_an_entry_that_was_changed_since() {
        let lists = Lists(ListCache::new(), AtomicUsize::new(0));
        assert_eq!(lists.find("a", Ok(&["a"])).await, Ok(Some(1)));
        lists.0.invalidate(&id("b"));
        assert_eq!(lists.find("a", Ok(&[])).await, Ok(Some(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(lists.find("b", Ok(&["a", "b"])).await, Ok(Some(1)));
        assert_eq!(lists.find("b", Ok(&[])).await, Ok(Some(1)));
        assert_eq!(lists.read(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_fails_is_not_retried_by_each_call_that_waits() {
        let lists = Lists(ListCache::new(), AtomicUsize::new(0));
        let error = Error::Unavailable("no".into());
        let found = futures::future::join_all((0..100).map(|_| lists.find("a", Err(error.clone())))).await;
        assert!(found.iter().all(|found| *found == Err(error.clone())));
        assert_eq!(lists.read(), 1);
        tokio::time::advance(FAILURE_HOLDS).await;
        assert_eq!(lists.find("a", Ok(&["a"])).await, Ok(Some(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn old_lists_and_invalidations_are_dropped() {
        let list_cache = ListCache::new();
        for n in 0..1000 {
            let (org, entry) = (OrgId(format!("org-{n}")), id(&n.to_string()));
            list_cache.invalidate(&entry);
            let list = async { Err(Error::Forbidden("no such organization".into())) };
            assert!(list_cache.find(&org, &entry, MINUTE, list).await.is_err_and(|_: Error| true));
            tokio::time::advance(MINUTE / 10).await;
        }
        assert!(lock(&list_cache.lists).len() < 200 && lock(&list_cache.invalidated).len() < 200);
        let _: ListCache<u8> = list_cache;
    }
}
