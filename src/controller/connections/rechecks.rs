//! Requests of reconciliations to check a Ready connection again, because its API gave them no usable answer. However many
//! come, a check that found the connection Ready holds for a while.

use crate::crd::IamConnection;
use futures::{Stream, StreamExt, future, stream};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::scheduler::{ScheduleRequest, scheduler};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The least time between the check that found a connection Ready and the one that is requested.
const MIN_INTERVAL: Duration = Duration::from_secs(5);
/// So many requests are queued; further ones are dropped, since they add nothing.
const MAX_QUEUED: usize = 64;

/// Where reconciliations request checks.
#[derive(Clone)]
pub(in crate::controller) struct RecheckRequests(mpsc::Sender<String>);

/// Where the controller of connections receives the requests.
pub(in crate::controller) struct RecheckReceiver(mpsc::Receiver<String>);

impl RecheckRequests {
    pub(crate) fn new() -> (Self, RecheckReceiver) {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED);
        (Self(sender), RecheckReceiver(receiver))
    }

    pub(crate) fn request(&self, connection: &str) {
        self.0.try_send(connection.to_owned()).ok();
    }
}

impl RecheckReceiver {
    /// The connections whose requested check is due. One that is not Ready is checked often enough without a request.
    pub(super) fn due(mut self, last_ready: Arc<LastReady>) -> impl Stream<Item = ObjectRef<IamConnection>> {
        let requested = stream::poll_fn(move |context| self.0.poll_recv(context));
        let known = last_ready.clone();
        let scheduled = requested.filter_map(move |name| {
            let at = known.recheck_at(&name);
            future::ready(at.map(|run_at| ScheduleRequest { message: ObjectRef::new(&name), run_at }))
        });
        // Meanwhile another check may have answered the request.
        scheduler(scheduled).filter(move |connection: &ObjectRef<IamConnection>| {
            future::ready(last_ready.recheck_at(&connection.name).is_some_and(|at| at <= Instant::now()))
        })
    }
}

/// When the last check of each connection ended, if that found it Ready.
#[derive(Default)]
pub(super) struct LastReady(Mutex<HashMap<String, Instant>>);

impl LastReady {
    pub(super) fn record(&self, connection: String) {
        self.ready().insert(connection, Instant::now());
    }

    /// A new check begins, and a request during it does not concern its result.
    pub(super) fn forget(&self, connection: &str) {
        self.ready().remove(connection);
    }

    pub(super) fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.ready().retain(|name, _| exists(name));
    }

    fn recheck_at(&self, connection: &str) -> Option<Instant> {
        self.ready().get(connection).map(|at| *at + MIN_INTERVAL)
    }

    fn ready(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn many_requests_cause_one_check_and_not_without_a_pause() {
        let ((requests, receiver), last_ready) = (RecheckRequests::new(), Arc::<LastReady>::default());
        last_ready.record("a".into());
        let mut due = Box::pin(receiver.due(last_ready.clone()));
        (0..10).for_each(|_| requests.request("a"));
        assert!(due.next().now_or_never().is_none());
        advance(4 * SECOND).await;
        assert!(due.next().now_or_never().is_none());
        let begin = Instant::now();
        assert_eq!(due.next().await.unwrap().name, "a");
        assert_eq!(begin.elapsed().as_secs(), 1, "counted from the check");
        last_ready.forget("a");
        assert!(due.next().now_or_never().is_none(), "one check answers them all");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_not_ready_or_was_checked_meanwhile_is_not_checked_for_a_request() {
        let ((requests, receiver), last_ready) = (RecheckRequests::new(), Arc::<LastReady>::default());
        let mut due = Box::pin(receiver.due(last_ready.clone()));
        requests.request("not-ready");
        last_ready.record("checked".into());
        requests.request("checked");
        assert!(due.next().now_or_never().is_none());
        advance(4 * SECOND).await;
        last_ready.record("checked".into());
        advance(4 * SECOND).await;
        assert!(due.next().now_or_never().is_none());
    }

    #[test]
    fn queued_requests_are_bounded() {
        let (requests, RecheckReceiver(mut receiver)) = RecheckRequests::new();
        (0..10_000).for_each(|_| requests.request("a"));
        assert_eq!(std::iter::from_fn(|| receiver.try_recv().ok()).count(), MAX_QUEUED);
    }
}
