//! When the credentials of a connection expire, as far as the API tells: asked seldom, and again when they were replaced.

use crate::iam::{ConnectionCredentials, Error};
use k8s_openapi::jiff::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer counts: a token that is prolonged in the console is noticed within a day.
const ANSWER_HOLDS: Duration = Duration::from_secs(24 * 3600);
/// The pause after a failure, which may pass.
const RETRY: Duration = Duration::from_secs(3600);

/// When credentials expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CredentialsExpiry {
    /// At this time.
    At(Timestamp),
    /// The API does not tell, or they never do.
    NotKnown,
    /// It could not be found out now.
    NotRead,
}

/// The last answer of the API.
#[derive(Default)]
pub(super) struct ExpiryCache(Mutex<Option<Known>>);

struct Known {
    credentials: ConnectionCredentials,
    expiry: CredentialsExpiry,
    until: Instant,
}

impl ExpiryCache {
    /// What is known of these credentials, unless the API is to be asked.
    pub(super) fn recent(&self, credentials: &ConnectionCredentials) -> Option<CredentialsExpiry> {
        let known = self.known();
        let known = known.as_ref().filter(|known| known.credentials == *credentials && Instant::now() < known.until)?;
        Some(known.expiry)
    }

    /// After a failure, what was known of the same credentials stays. An API that has no such operation is not asked again soon.
    pub(super) fn record(
        &self,
        credentials: &ConnectionCredentials,
        read: Result<Option<Timestamp>, Error>,
    ) -> CredentialsExpiry {
        let mut known = self.known();
        let (last, is_replaced) = match known.take() {
            Some(last) if last.credentials == *credentials => (Some(last.expiry), false),
            Some(_) => (None, true),
            None => (None, false),
        };
        // What was reported of the credentials before these is not kept.
        let unread = if is_replaced { CredentialsExpiry::NotKnown } else { CredentialsExpiry::NotRead };
        let (expiry, holds) = match read {
            Ok(Some(at)) => (CredentialsExpiry::At(at), ANSWER_HOLDS),
            Ok(None) => (CredentialsExpiry::NotKnown, ANSWER_HOLDS),
            Err(error) if error.is_refusal() => (last.unwrap_or(CredentialsExpiry::NotKnown), ANSWER_HOLDS),
            Err(_) => (last.unwrap_or(unread), RETRY),
        };
        *known = Some(Known { credentials: credentials.clone(), expiry, until: Instant::now() + holds });
        expiry
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn token(value: &str) -> ConnectionCredentials {
        ConnectionCredentials::ApiToken(value.to_owned().into())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_for_a_day_and_for_its_credentials_alone() {
        let cache = ExpiryCache::default();
        assert_eq!(cache.recent(&token("a")), None);
        let at = CredentialsExpiry::At(Timestamp::UNIX_EPOCH);
        assert_eq!(cache.record(&token("a"), Ok(Some(Timestamp::UNIX_EPOCH))), at);
        assert_eq!((cache.recent(&token("a")), cache.recent(&token("b"))), (Some(at), None));
        advance(ANSWER_HOLDS).await;
        assert_eq!(cache.recent(&token("a")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_keeps_what_was_known_and_is_retried_and_a_refusal_is_not() {
        let (cache, at) = (ExpiryCache::default(), CredentialsExpiry::At(Timestamp::UNIX_EPOCH));
        let down = || Err(Error::Unavailable("down".into()));
        assert_eq!(cache.record(&token("a"), down()), CredentialsExpiry::NotRead);
        assert_eq!(cache.recent(&token("a")), Some(CredentialsExpiry::NotRead), "not asked again at once");
        advance(RETRY).await;
        assert_eq!(cache.recent(&token("a")), None);
        cache.record(&token("a"), Ok(Some(Timestamp::UNIX_EPOCH)));
        assert_eq!(cache.record(&token("a"), down()), at);
        let replaced = cache.record(&token("replaced"), down());
        assert_eq!(replaced, CredentialsExpiry::NotKnown, "that of the former token is not reported any more");
        assert_eq!(
            cache.record(&token("b"), Err(Error::NotFound("no such operation".into()))),
            CredentialsExpiry::NotKnown
        );
        advance(RETRY).await;
        assert_eq!(cache.recent(&token("b")), Some(CredentialsExpiry::NotKnown));
    }
}
