//! Stops every request to Kubernetes and to the API when the leader could not renew its Lease in time, also in a process that was
//! paused or starved. The deadline is `RENEW_DEADLINE` in `lease`, which each renewal moves.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use tokio::sync::watch;
use tokio::time::Instant;

/// Whether this process may act, by the monotonic clock.
#[derive(Clone, Debug)]
pub enum LeadershipGuard {
    /// Without leader election: always.
    Open,
    /// Until a deadline that each renewal of the Lease moves.
    UntilDeadline(watch::Receiver<Instant>),
}

impl LeadershipGuard {
    /// Whether this process may act now.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Open => true,
            Self::UntilDeadline(deadline) => Instant::now() < *deadline.borrow(),
        }
    }

    /// Polls the work until it is done; `None` when the deadline passes first. The clock is read before each poll, since timers
    /// fire too late after a pause.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| if self.is_open() { work.as_mut().poll(context).map(Some) } else { Poll::Ready(None) }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::{advance, sleep};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn work_that_ends_in_time_is_done_and_what_comes_later_is_not_begun() {
        let (_renewal, deadline) = watch::channel(Instant::now() + SECOND);
        let guard = LeadershipGuard::UntilDeadline(deadline);
        assert_eq!(guard.run(async { 1 }).await, Some(1));
        advance(SECOND).await;
        assert_eq!(guard.run(async { panic!("it is begun") }).await, None::<()>);
        assert_eq!(LeadershipGuard::Open.run(async { 2 }).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_wakes_up_after_the_deadline_does_not_go_on() {
        let (_renewal, deadline) = watch::channel(Instant::now() + SECOND);
        let work = async {
            sleep(2 * SECOND).await;
            panic!("it goes on");
        };
        assert_eq!(LeadershipGuard::UntilDeadline(deadline).run(work).await, None::<()>);
    }

    #[tokio::test(start_paused = true)]
    async fn work_goes_on_when_the_deadline_is_moved_on_meanwhile() {
        let (renewed, deadline) = watch::channel(Instant::now() + SECOND);
        let renewal = async {
            sleep(SECOND / 2).await;
            renewed.send_replace(Instant::now() + 10 * SECOND);
        };
        let guard = LeadershipGuard::UntilDeadline(deadline);
        let (done, ()) = tokio::join!(guard.run(sleep(2 * SECOND)), renewal);
        assert_eq!(done, Some(()));
    }
}
