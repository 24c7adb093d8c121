//! What reads showed of apps whose list is a summary: it holds as long as the list shows the same time of change.
//! So an app that nobody changes is read once, and then found in the list that all apps of its organization share.

use crate::iam::{ClientId, RemoteApp};
use crate::keyed::PrunedMap;
use k8s_openapi::jiff::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// That every change of an app changes the time which the list shows is not documented. (undocumented)
const MAX_AGE: Duration = Duration::from_secs(3600);

/// The largest app that is kept, in bytes of JSON; larger ones are read each time.
const LARGEST: usize = 4 << 10;
/// The most apps that are kept.
const MOST: usize = 2000;

/// The apps that were read, by id.
#[derive(Default)]
pub(crate) struct ReadCache(Mutex<PrunedMap<ClientId, Read>>);

struct Read {
    changed_at: Timestamp,
    read_at: Instant,
    app: RemoteApp,
}

impl ReadCache {
    /// What a read showed since the app was last changed, as the list shows it now.
    pub(crate) fn unchanged(&self, listed: &RemoteApp) -> Option<RemoteApp> {
        let reads = self.reads();
        let read = reads.get(&listed.id).filter(|read| is_recent(read))?;
        (Some(read.changed_at) == listed.last_updated_at).then(|| read.app.clone())
    }

    /// Keeps what a read shows of an app that a list showed before the read, if there is room for it.
    pub(crate) fn record(&self, listed: &RemoteApp, app: &RemoteApp) {
        let Some(changed_at) = listed.last_updated_at else { return };
        let is_small = serde_json::to_string(&app.fields).is_ok_and(|text| text.len() <= LARGEST);
        let mut reads = self.reads();
        if reads.len() >= MOST {
            reads.retain(|_, read| is_recent(read));
        }
        if is_small && (reads.get(&listed.id).is_some() || reads.len() < MOST) {
            let read = Read { changed_at, read_at: Instant::now(), app: app.clone() };
            reads.insert(listed.id.clone(), read, |_, read| is_recent(read));
        }
    }

    fn reads(&self) -> MutexGuard<'_, PrunedMap<ClientId, Read>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_recent(read: &Read) -> bool {
    read.read_at.elapsed() < MAX_AGE
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Map;

    fn app(second: Option<i64>) -> RemoteApp {
        let last_updated_at = second.map(|second| Timestamp::from_second(second).unwrap());
        let id = ClientId("a".into());
        RemoteApp { id, fields: Map::new(), is_caller: false, created_at: None, last_updated_at }
    }

    #[test]
    fn a_read_holds_until_the_list_shows_a_change() {
        let cache = ReadCache::default();
        assert_eq!(cache.unchanged(&app(Some(1))), None);
        cache.record(&app(Some(1)), &app(None));
        assert_eq!(cache.unchanged(&app(Some(1))), Some(app(None)));
        assert_eq!(cache.unchanged(&app(Some(2))), None);
        assert_eq!(cache.unchanged(&app(None)), None);
    }

    #[test]
    fn what_is_kept_is_bounded_in_size_and_number() {
        let (cache, listed) = (ReadCache::default(), app(Some(1)));
        let large = [("description".to_owned(), "x".repeat(LARGEST).into())].into_iter().collect();
        cache.record(&listed, &RemoteApp { fields: large, ..app(None) });
        assert_eq!(cache.unchanged(&listed), None);
        for n in 0..MOST + 10 {
            let id = ClientId(n.to_string());
            cache.record(&RemoteApp { id, ..listed.clone() }, &app(None));
        }
        assert_eq!(cache.reads().len(), MOST);
    }

    #[test]
    fn an_app_whose_list_shows_no_time_is_read_each_time() {
        let cache = ReadCache::default();
        cache.record(&app(None), &app(None));
        assert_eq!(cache.unchanged(&app(None)), None);
    }
}
