//! The resources that a process finds when its watch begins. What changed while nobody watched is reconciled at once, and what is
//! settled when its turn comes within the interval, so that a restart or takeover costs no storm.

use futures::{Stream, StreamExt};
use std::time::Duration;
use tokio::time::sleep;

/// Each when it is to be reconciled for the first time, as `delay` says when it is found.
pub fn in_turn<T>(found: impl Stream<Item = T>, delay: impl Fn(&T) -> Duration) -> impl Stream<Item = T> {
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
    async fn what_need_not_wait_is_told_at_once_and_the_rest_when_its_turn_comes() {
        let found = stream::iter([30, 0, 10, 0]).chain(stream::pending());
        let mut told = Box::pin(in_turn(found, |seconds| Duration::from_secs(*seconds)));
        let now = std::iter::from_fn(|| told.next().now_or_never()?).collect::<Vec<u64>>();
        assert_eq!(now, [0, 0]);
        let begin = tokio::time::Instant::now();
        assert_eq!((told.next().await, begin.elapsed().as_secs()), (Some(10), 10));
        assert_eq!((told.next().await, begin.elapsed().as_secs()), (Some(30), 30));
    }
}
