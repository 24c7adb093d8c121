//! What every request to the API server has in common: the limit of requests in flight, which namespaces share in turn, the timeout,
//! the leadership guard, and the error.

use crate::cluster::Error;
use crate::cluster::lenient::{Kept, Lenient};
use crate::fair_queue::{FairQueue, Flow};
use crate::lease::guard::LeadershipGuard;
use crate::metrics::{Metrics, Read, Resource, WriteResult};
use crate::text::clean;
use kube::Api;
use kube::api::ListParams;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// No single request may take longer: kube itself sets no read timeout.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The most bytes of a message of Kubernetes that are quoted.
const MAX_QUOTED: usize = 1000;
/// An object can have 1.5 MiB, and a page is in memory as a whole.
const PAGE: u32 = 10;

/// Makes requests for one flow.
#[derive(Clone)]
pub(super) struct Requests {
    flow: Flow,
    in_flight: FairQueue,
    /// One page of a list at a time, of all lists together.
    page: FairQueue,
    metrics: Arc<Metrics>,
    guard: LeadershipGuard,
}

impl Requests {
    /// At most `max_kubernetes_requests` at once, and none once the guard is closed. They are for the operator itself.
    pub(super) fn new(max_kubernetes_requests: usize, metrics: Arc<Metrics>, guard: LeadershipGuard) -> Self {
        let in_flight = FairQueue::new(max_kubernetes_requests);
        let page = FairQueue::new(1);
        Self { flow: Flow::Operator, in_flight, page, metrics, guard }
    }

    /// Within the same limits, those for the resources of a namespace.
    pub(super) fn of(&self, namespace: Option<&str>) -> Self {
        let flow = namespace.map_or(Flow::Operator, |namespace| Flow::Namespace(namespace.to_owned()));
        Self { flow, ..self.clone() }
    }

    pub(super) async fn call<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
        let _permit = self.in_flight.acquire(&self.flow).await;
        match self.guard.run(tokio::time::timeout(REQUEST_TIMEOUT, request)).await {
            Some(Ok(answer)) => answer.map_err(cluster_error),
            // Another replica may have taken over meanwhile.
            None => Err(Error::Stale),
            Some(Err(_)) => Err(Error::Unavailable("the Kubernetes API server did not answer in time".into())),
        }
    }

    pub(super) async fn read<T>(&self, what: Read, request: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
        let answer = self.call(request).await;
        if matches!(answer, Err(Error::Refused(_) | Error::Unavailable(_))) {
            self.metrics.read_failed(what);
        }
        answer
    }

    pub(super) async fn write<T>(
        &self,
        what: Resource,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        let answer = self.call(request).await;
        self.metrics.wrote(
            what,
            match &answer {
                Ok(_) => WriteResult::Ok,
                Err(Error::Stale) => WriteResult::Stale,
                Err(Error::Refused(_)) => WriteResult::Refused,
                Err(Error::Unavailable(_)) => WriteResult::Unavailable,
            },
        );
        answer
    }

    /// Makes a request whose write is a dry run. Only a refusal is counted, since nothing is written.
    pub(super) async fn try_write<T>(
        &self,
        what: Resource,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        let answer = self.call(request).await;
        if matches!(answer, Err(Error::Refused(_))) {
            self.metrics.wrote(what, WriteResult::Refused);
        }
        answer
    }

    /// Lists page by page; what is to be kept of an object is up to `each`.
    pub(super) async fn list<K>(
        &self,
        what: Read,
        api: &Api<K>,
        params: ListParams,
        mut each: impl FnMut(K),
    ) -> Result<(), Error>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let mut params = params.limit(PAGE);
        loop {
            let _page = self.page.acquire(&self.flow).await;
            let page = self.read(what, api.list(&params)).await?;
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            page.items.into_iter().for_each(&mut each);
            if params.continue_token.is_none() {
                return Ok(());
            }
        }
    }
}

/// The object, or that it cannot be read. Of a Secret nothing is quoted, since it may be the value.
pub(super) fn readable<K: Kept>(Lenient(read): Lenient<K>) -> Result<K, Error> {
    read.map_err(|unreadable| {
        let name = unreadable.metadata.name.unwrap_or_default();
        Error::Unavailable(format!("{} {name} cannot be read", K::kind(&())))
    })
}

/// Webhooks and policies choose the words of a refusal.
fn cluster_error(error: kube::Error) -> Error {
    match error {
        kube::Error::Api(status) => {
            let message = clean(&status.message, MAX_QUOTED);
            match status.code {
                404 | 409 => Error::Stale,
                // An admission webhook that does not answer is an internal error of the API server.
                500 if status.reason == "InternalError" => Error::Refused(message),
                401 | 408 | 429 | 500.. => Error::Unavailable(message),
                400.. => Error::Refused(message),
                _ => Error::Unavailable(message),
            }
        }
        other => Error::Unavailable(clean(&other.to_string(), MAX_QUOTED)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use tokio::time::{Instant, sleep};

    /// How long this one waits for a request of a second, while a namespace has a hundred of them.
    async fn wait_beside_busy_namespace(of: Option<&str>) -> Duration {
        let requests = Requests::new(2, Arc::default(), LeadershipGuard::Open);
        let second = async |requests: Requests| {
            let request = async {
                sleep(Duration::from_secs(1)).await;
                Ok(())
            };
            requests.call(request).await.unwrap();
            Instant::now()
        };
        let begin = Instant::now();
        let busy = join_all((0..100).map(|_| second(requests.of(Some("busy")))));
        let (_, served) = futures::join!(busy, second(requests.of(of)));
        served - begin
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_does_not_wait_for_all_requests_of_a_busy_one() {
        assert!(wait_beside_busy_namespace(Some("other")).await <= Duration::from_secs(2));
        assert!(wait_beside_busy_namespace(None).await <= Duration::from_secs(2), "nor does the operator itself");
        assert!(wait_beside_busy_namespace(Some("busy")).await > Duration::from_secs(40), "it waits for itself");
    }
}
