//! The watch of the Secrets that the operator writes, by label and of their metadata only, without a store. Where Kubernetes
//! refuses it, the operator works without: a Secret is then read when its resource is reconciled.

use super::{PAGE, Shared};
use crate::cluster::lenient::Lenient;
use crate::metrics::{Metrics, Read};
use crate::reconcile::{ObservedSecrets, Uids};
use crate::secret::{ROTATION_SUFFIX, label_selector};
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::core::{ObjectMeta, PartialObjectMeta};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait after a watch was refused.
const REFUSED_RETRY: Duration = Duration::from_secs(60);

type Meta = Lenient<PartialObjectMeta<Secret>>;

/// The Secrets of a namespace, or all. The future runs the watch.
pub(crate) fn secrets(
    shared: &Shared,
    namespace: Option<&str>,
    observed: Arc<ObservedSecrets>,
) -> BoxFuture<'static, ()> {
    let api: Api<Meta> = match namespace {
        Some(namespace) => Api::namespaced(shared.client.clone(), namespace),
        None => Api::all(shared.client.clone()),
    };
    let handler = Secrets {
        namespace: namespace.map(str::to_owned),
        observed,
        metrics: shared.metrics.clone(),
        is_refused: false,
    };
    Box::pin(handler.watch(api))
}

pub(super) struct Secrets {
    pub(crate) namespace: Option<String>,
    pub(crate) observed: Arc<ObservedSecrets>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) is_refused: bool,
}

impl Secrets {
    async fn watch(mut self, api: Api<Meta>) {
        let labels = label_selector();
        let config = watcher::Config::default().labels(&labels).page_size(PAGE);
        let first = ListParams::default().labels(&labels).limit(1);
        loop {
            // Asked first, since the watch itself would log each refusal.
            match api.list(&first).await {
                Err(error) if is_refusal(&error) => self.refused(&error),
                Ok(_) | Err(_) => self.for_each_change(watcher(api.clone(), config.clone()).default_backoff()).await,
            }
            tokio::time::sleep(REFUSED_RETRY).await;
        }
    }

    /// Until the watch is refused.
    pub(super) async fn for_each_change(&mut self, events: impl Stream<Item = watcher::Result<Event<Meta>>>) {
        let mut events = std::pin::pin!(events);
        let mut missing = Uids::default();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => missing = self.observed.uids(self.namespace.as_deref()),
                Ok(Event::InitApply(secret)) => {
                    missing.remove(secret.meta());
                    self.observed.changed(secret.meta());
                    // A rotation was in progress when the process before this one ended.
                    if is_of_rotation(secret.meta()) && !self.observed.is_known(secret.meta()) {
                        self.observed.wake_owner(secret.meta());
                    }
                }
                Ok(Event::InitDone) => {
                    self.observed.mark_missing(&missing);
                    self.accepted();
                }
                Ok(Event::Apply(secret)) if self.observed.is_known(secret.meta()) => {
                    self.observed.changed(secret.meta());
                }
                Ok(Event::Delete(secret)) if self.observed.is_known(secret.meta()) => {
                    self.observed.gone(secret.meta());
                }
                Ok(Event::Delete(secret)) if self.observed.was_removed(secret.meta()) => {}
                Ok(Event::Apply(secret) | Event::Delete(secret)) => self.observed.wake_owner(secret.meta()),
                Err(error) => match cause(&error) {
                    Some(refusal) if is_refusal(refusal) => return self.refused(refusal),
                    Some(_) | None => {
                        self.metrics.read_failed(Read::WatchSecrets);
                        tracing::warn!(%error, watch = "secrets", "watch failed; restarting it");
                    }
                },
            }
        }
    }

    /// Logged once. What reconciliations observe is of no use then.
    fn refused(&mut self, error: &kube::Error) {
        self.observed.forget(self.namespace.as_deref());
        if !self.is_refused {
            self.metrics.secret_watch_refused(1);
            let namespace = self.namespace.as_deref();
            tracing::warn!(%error, namespace, "cannot watch Secrets: one that is deleted or edited is noticed within the resyncInterval; grant list and watch on secrets, or set --watch-secrets=false");
        }
        self.is_refused = true;
    }

    fn accepted(&mut self) {
        if self.is_refused {
            self.metrics.secret_watch_refused(-1);
            tracing::info!(namespace = self.namespace.as_deref(), "watching Secrets again");
        }
        self.is_refused = false;
    }
}

fn is_of_rotation(secret: &ObjectMeta) -> bool {
    secret.name.as_ref().is_some_and(|name| name.ends_with(ROTATION_SUFFIX))
}

fn cause(error: &watcher::Error) -> Option<&kube::Error> {
    match error {
        watcher::Error::InitialListFailed(cause)
        | watcher::Error::WatchStartFailed(cause)
        | watcher::Error::WatchFailed(cause) => Some(cause),
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => None,
    }
}

fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_forbidden())
}
