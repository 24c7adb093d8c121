//! Removes the throw-away app, and makes sure that it is gone: the API has accepted its deletion, and a second read after a while
//! confirms its absence. One read may be older than the app.

use super::app::ThrowAway;
use crate::decide::{API_LAG, SECOND_READ_DELAY};
use crate::iam::{Deletion, Error, Iam, RemoteApp};
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const PAUSE: Duration = Duration::from_secs(1);

/// Whether there is an app to remove, by the answers so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existence {
    /// No create was sent, or each was refused.
    Never,
    /// The last create was accepted, or may have been.
    Possible,
    /// The API accepted a deletion since.
    Deleted,
}

/// What has been found out about the removal.
struct Removal {
    is_accepted: bool,
    absent_since: Option<Instant>,
}

/// # Errors
/// Why the app may still exist. It is tried for as long as an API may take to show a change.
pub(super) async fn remove(app: &ThrowAway<'_>, existence: Existence) -> Result<(), String> {
    let is_accepted = match existence {
        Existence::Never => return Ok(()),
        Existence::Possible => false,
        Existence::Deleted => true,
    };
    let deadline = Instant::now() + API_LAG.unsigned_abs();
    let mut removal = Removal { is_accepted, absent_since: None };
    loop {
        let deletion = app.iam().delete(app.org(), app.id()).await;
        let read = app.iam().read(app.org(), app.id()).await;
        match removal.observe(&deletion, &read, Instant::now()) {
            ControlFlow::Break(removed) => return removed,
            ControlFlow::Continue(why) if Instant::now() >= deadline => return Err(why),
            ControlFlow::Continue(_) => sleep(PAUSE).await,
        }
    }
}

impl Removal {
    /// The end of the removal, or why it goes on.
    fn observe(
        &mut self,
        deletion: &Result<Deletion, Error>,
        read: &Result<Option<RemoteApp>, Error>,
        at: Instant,
    ) -> ControlFlow<Result<(), String>, String> {
        match deletion {
            Ok(Deletion::Accepted) => self.is_accepted = true,
            Ok(Deletion::NotOffered) if !self.is_accepted => {
                return ControlFlow::Break(Err("the API has no operation that deletes apps".into()));
            }
            Ok(Deletion::NotFound | Deletion::Failed | Deletion::NotOffered) | Err(_) => {}
        }
        let why = match (read, deletion) {
            (Ok(None), _) if self.is_accepted => return self.confirm_absence(at),
            (Ok(None), Ok(_)) => "its create may take effect late, since the API has accepted no deletion of it".into(),
            (Ok(Some(_)), Ok(_)) => "a read still shows it".into(),
            (Ok(_), Err(error)) | (Err(error), _) => error.to_string(),
        };
        self.absent_since = None;
        ControlFlow::Continue(why)
    }

    fn confirm_absence(&mut self, at: Instant) -> ControlFlow<Result<(), String>, String> {
        let since = *self.absent_since.get_or_insert(at);
        if at.duration_since(since) >= SECOND_READ_DELAY.unsigned_abs() {
            ControlFlow::Break(Ok(()))
        } else {
            ControlFlow::Continue("no second read has confirmed that it is gone".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::ClientId;
    use serde_json::Map;

    /// What is answered after so many seconds.
    type Answers = (u64, Result<Deletion, Error>, Result<Option<RemoteApp>, Error>);

    /// The last answer of a removal that finds this at these times.
    fn removed(is_accepted: bool, steps: &[Answers]) -> ControlFlow<Result<(), String>, String> {
        let begin = Instant::now();
        let mut removal = Removal { is_accepted, absent_since: None };
        let observed = steps
            .iter()
            .map(|(seconds, deletion, read)| removal.observe(deletion, read, begin + Duration::from_secs(*seconds)));
        observed.last().unwrap()
    }

    fn shown() -> Result<Option<RemoteApp>, Error> {
        let (id, fields) = (ClientId("a".into()), Map::new());
        Ok(Some(RemoteApp { id, fields, is_caller: false, created_at: None, last_updated_at: None }))
    }

    fn goes_on(removed: ControlFlow<Result<(), String>, String>) -> bool {
        removed.is_continue()
    }

    #[test]
    fn one_read_does_not_show_that_an_app_is_gone() {
        let (accepted, absent) = (|| Ok(Deletion::Accepted), || Ok(None));
        assert!(goes_on(removed(false, &[(0, accepted(), absent())])));
        assert!(goes_on(removed(false, &[(0, accepted(), absent()), (9, Ok(Deletion::NotFound), absent())])));
        let twice = [(0, accepted(), absent()), (10, Ok(Deletion::NotFound), absent())];
        assert_eq!(removed(false, &twice), ControlFlow::Break(Ok(())));
        let reappeared = [(0, accepted(), absent()), (5, accepted(), shown()), (10, accepted(), absent())];
        assert!(goes_on(removed(false, &reappeared)));
    }

    #[test]
    fn an_app_whose_deletion_was_not_accepted_may_appear_late() {
        let failed = || Err(Error::Unavailable("500".into()));
        for deletion in [Ok(Deletion::NotFound), Ok(Deletion::Failed), failed()] {
            let absent = [(0, deletion.clone(), Ok(None)), (100, deletion, Ok(None))];
            assert!(goes_on(removed(false, &absent)), "{absent:?}");
            assert_eq!(removed(true, &absent), ControlFlow::Break(Ok(())), "it was accepted before");
        }
        let unreadable = Err(Error::Unavailable("503".into()));
        assert_eq!(removed(false, &[(0, Ok(Deletion::NotFound), unreadable)]), ControlFlow::Continue("503".into()));
        let left = removed(false, &[(0, Ok(Deletion::NotOffered), Ok(None))]);
        assert_eq!(left, ControlFlow::Break(Err("the API has no operation that deletes apps".into())));
    }
}
