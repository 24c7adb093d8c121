//! Waiting for a condition with a deadline: the one loop of all tests.
//! It says only whether the condition came to hold; what that means is up to the caller.

use std::time::{Duration, Instant};

/// How long to wait, and how often to look.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    limit: Duration,
    interval: Duration,
}

impl Wait {
    /// At most so long; looks every 50 ms.
    #[must_use]
    pub const fn up_to(limit: Duration) -> Self {
        Self { limit, interval: Duration::from_millis(50) }
    }

    /// Looks as often as this.
    #[must_use]
    pub const fn every(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// Until there is a value; `None` when the time is over.
    pub async fn value<T>(self, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
        let begin = Instant::now();
        loop {
            match probe().await {
                Some(value) => return Some(value),
                None if begin.elapsed() > self.limit => return None,
                None => tokio::time::sleep(self.interval).await,
            }
        }
    }

    /// Until the condition holds; whether it did in time.
    pub async fn until(self, mut holds: impl AsyncFnMut() -> bool) -> bool {
        self.value(async || holds().await.then_some(())).await.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_is_looked_at_until_it_holds_or_the_time_is_over() {
        let wait = Wait::up_to(Duration::from_millis(50)).every(Duration::from_millis(1));
        let mut looks = 0;
        let third = wait.value(async || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(third.await, Some(3));
        assert!(!wait.until(async || false).await);
    }
}
