//! Delays the first reconciliation of the resources that exist when a watch begins. What changed while no process watched is
//! reconciled at once, and what is settled at some time within the resync interval, so that a restart causes no storm.

use futures::{Stream, StreamExt};
use std::time::Duration;
use tokio::time::sleep;

/// Each after the delay that `delay` returns when it is found.
pub(super) fn delayed<T>(found: impl Stream<Item = T>, delay: impl Fn(&T) -> Duration) -> impl Stream<Item = T> {
    let wait = move |app| {
        let delay = delay(&app);
        async move {
            if !delay.is_zero() {
                sleep(delay).await;
            }
            app
        }
    };
    // No more than were there at the beginning.
    found.map(wait).buffer_unordered(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, stream};

    #[tokio::test(start_paused = true)]
    async fn each_resource_is_due_after_its_own_delay() {
        let found = stream::iter([30, 0, 10, 0]).chain(stream::pending());
        let mut due = Box::pin(delayed(found, |seconds| Duration::from_secs(*seconds)));
        let now = std::iter::from_fn(|| due.next().now_or_never()?).collect::<Vec<u64>>();
        assert_eq!(now, [0, 0]);
        let begin = tokio::time::Instant::now();
        assert_eq!((due.next().await, begin.elapsed().as_secs()), (Some(10), 10));
        assert_eq!((due.next().await, begin.elapsed().as_secs()), (Some(30), 30));
    }
}
