//! A panic ends only the reconcile in which it occurs. The resource reports an internal error and is reconciled again, at a slow
//! pace.

use super::{Connections, Identity, Operator, Reconciliation};
use crate::cluster::cached::CachedApp;
use crate::cluster::{self, Cluster};
use crate::crd::OrgOAuthApp;
use crate::decide::Access;
use crate::outcome::Outcome;
use crate::panics;
use crate::reason::{Blocked, Reason};
use futures::FutureExt;
use std::panic::AssertUnwindSafe;

impl<C: Cluster, D: Connections> Operator<C, D> {
    /// Reconciles a resource; a panic becomes an outcome.
    ///
    /// # Errors
    /// As `reconcile`.
    pub async fn reconcile_catching_panics(&self, cached: &CachedApp) -> Result<Outcome, cluster::Error> {
        // What a reconcile shares with others is behind locks that are taken over when they are poisoned.
        let Some(result) = caught(self.reconcile_cached(cached)).await else {
            self.metrics.panicked();
            let blocked = internal_error();
            // To say it may fail for the same reason.
            if let None | Some(Err(_)) = caught(self.say_blocked(cached.outline(), blocked.clone())).await {
                tracing::error!(reason = blocked.reason.as_str(), "{}", blocked.message);
            }
            return Ok(Outcome::Blocked(blocked));
        };
        result
    }

    /// A large resource is not kept by the watch: it is read when its turn has come.
    async fn reconcile_cached(&self, cached: &CachedApp) -> Result<Outcome, cluster::Error> {
        if let Some(app) = cached.whole() {
            return self.reconcile(app.clone()).await;
        }
        let outline = cached.outline();
        let Identity { namespace, name, .. } = Identity::of(outline)?;
        match self.cluster.read_app(&namespace, &name).await? {
            Some(app) => self.reconcile(app).await,
            None => Ok(Outcome::Gone),
        }
    }

    async fn say_blocked(&self, app: &OrgOAuthApp, blocked: Blocked) -> Result<(), cluster::Error> {
        let identity = Identity::of(app)?;
        // The reconcile may have changed it before it failed.
        let Some(app) = self.cluster.read_app(&identity.namespace, &identity.name).await? else { return Ok(()) };
        let observed = self.observe(app, Access::Refused(blocked.clone()))?;
        let mut reconciliation =
            Reconciliation { operator: self, identity, connection: None, observed, events: Vec::new() };
        reconciliation.report(&Outcome::Blocked(blocked)).await
    }
}

/// What is reported of the panic that was just caught.
pub(super) fn internal_error() -> Blocked {
    let message = format!("the operator failed at {}; this is a bug, please report it", panics::last_location());
    Blocked::new(Reason::InternalError, message)
}

pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}
