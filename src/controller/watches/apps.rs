//! The watch of the resources: which change triggers a reconciliation, and whether a resource was deleted after someone else
//! had removed its finalizer.

use super::{EventHandler, Previous, Shared, stream};
use crate::claim::ClaimKey;
use crate::cluster::cached::CachedApp;
use crate::cluster::kubernetes::RemovedFinalizers;
use crate::controller::watch_reports::{Reporter, WatchReport};
use crate::crd::{
    DERIVED_ID, FINALIZER, ManagementPolicy, OrgOAuthApp, RECONCILE_REQUESTED, RETIRE_REQUESTED, ROTATE_REQUESTED,
};
use crate::decide::recorded_claim;
use crate::metrics::Watched;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::watcher;
use kube::{Api, Resource, ResourceExt};
use std::sync::Arc;

/// The resources that are to be reconciled.
pub(crate) type AppRefs = UnboundedReceiver<ObjectRef<CachedApp>>;

/// The resources of a namespace, or all: those that exist when the watch begins, and those that are created or changed later.
/// The future runs the watch.
pub(crate) fn apps(
    shared: &Shared,
    namespace: Option<&str>,
    removed_finalizers: Arc<RemovedFinalizers>,
) -> (Store<CachedApp>, [AppRefs; 2], BoxFuture<'static, ()>) {
    let (apps, writer) = store::<CachedApp>();
    let ((found, found_apps), (changed, changed_apps)) = (unbounded(), unbounded());
    let api = match namespace {
        None => Api::all(shared.client.clone()),
        Some(name) => Api::namespaced(shared.client.clone(), name),
    };
    let reporter = shared.reporter.clone();
    let claim_key = shared.claim_key.clone();
    let handler = Apps { found, changed, removed_finalizers, reporter, claim_key };
    let watch = shared.watch(writer, Watched::OrgOAuthApps, handler);
    (apps, [found_apps, changed_apps], Box::pin(watch.for_each_change(stream(api, watcher::Config::default()))))
}

pub(super) struct Apps {
    pub(crate) found: UnboundedSender<ObjectRef<CachedApp>>,
    pub(crate) changed: UnboundedSender<ObjectRef<CachedApp>>,
    pub(crate) removed_finalizers: Arc<RemovedFinalizers>,
    pub(crate) reporter: Reporter,
    pub(crate) claim_key: ClaimKey,
}

/// The client id of a resource's app, as far as it is proven. What a tenant writes into spec or status proves nothing.
enum KnownId {
    /// Derived from the uid.
    Derived,
    /// In a claim that the operator signed.
    Claimed(Box<str>),
    Unproven,
}

/// What is recorded of a resource.
pub(super) struct Seen {
    uid: String,
    /// Kubernetes increments it with each change of the spec, and with deletion.
    generation: Option<i64>,
    /// The annotations that request a reconciliation or a rotation.
    requests: [Option<String>; 3],
    /// Whether an app may depend on a finalizer that is not there.
    unprotected: bool,
    /// Whether only this process may remove its finalizer.
    protected: bool,
    id: KnownId,
}

impl Seen {
    /// The operator's own writes of finalizer and status trigger nothing.
    fn triggers(&self, before: &Self) -> bool {
        self.generation != before.generation
            || self.requests != before.requests
            || (self.unprotected && !before.unprotected)
    }
}

impl Apps {
    fn observe(&self, app: &OrgOAuthApp, before: Option<&Seen>) -> Seen {
        let finalized = app.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
        let deleting = app.metadata.deletion_timestamp.is_some();
        let unprotected = !finalized && !deleting && is_provisioned(app);
        let uid = app.uid_any();
        let removed_by_us = !finalized && self.removed_finalizers.take(uid);
        let was_protected = before.is_some_and(|before| before.protected);
        let id = self.known_id(app, uid);
        // The status may be forged, and a resource without finalizer and proof has no app that it leaves behind.
        let is_verified = match id {
            KnownId::Derived | KnownId::Claimed(_) => true,
            KnownId::Unproven => false,
        };
        Seen {
            generation: app.metadata.generation,
            requests: requests(app),
            protected: !removed_by_us && (finalized || (unprotected && is_verified) || was_protected),
            unprotected,
            id,
            uid: uid.to_owned(),
        }
    }

    /// A claim on the derived id adds nothing, and is not checked: most resources have such a one.
    fn known_id(&self, app: &OrgOAuthApp, uid: &str) -> KnownId {
        let claimed = app.status.as_ref().and_then(|status| status.claim.as_ref());
        let is_derived = |id: &str| id.strip_prefix(DERIVED_ID) == Some(uid);
        match (&app.spec.id, claimed) {
            (None, None) => KnownId::Derived,
            (None, Some(claim)) if is_derived(&claim.client_id) => KnownId::Derived,
            (None | Some(_), _) => recorded_claim(app, &self.claim_key)
                .map_or(KnownId::Unproven, |claim| KnownId::Claimed(claim.client_id.into())),
        }
    }
}

/// The annotations that request a reconciliation, a rotation or the end of an overlap.
pub(crate) fn requests(app: &OrgOAuthApp) -> [Option<String>; 3] {
    [RECONCILE_REQUESTED, ROTATE_REQUESTED, RETIRE_REQUESTED].map(|name| app.annotations().get(name).cloned())
}

/// Whether there may be an app that the operator has to delete.
fn is_provisioned(app: &OrgOAuthApp) -> bool {
    let status = app.status.as_ref();
    let known = status.is_some_and(|status| status.client_id.is_some() || status.secret_name.is_some());
    // A resource that is only observed has no finalizer.
    known && app.spec.management_policy == ManagementPolicy::Full
}

impl EventHandler<CachedApp> for Apps {
    type State = Seen;

    fn on_apply(&self, app: &CachedApp, before: Previous<Seen>) -> Seen {
        let (seen, subscriber) = match &before {
            Previous::Unknown => (self.observe(app.outline(), None), Some(&self.found)),
            Previous::Absent => (self.observe(app.outline(), None), Some(&self.changed)),
            Previous::Known(before) => {
                let seen = self.observe(app.outline(), Some(before));
                let triggers = seen.triggers(before);
                (seen, triggers.then_some(&self.changed))
            }
        };
        if let Some(subscriber) = subscriber {
            // During a shutdown there is no receiver any more.
            subscriber.unbounded_send(ObjectRef::from_obj(app)).ok();
        }
        seen
    }

    fn on_delete(&self, app: &ObjectRef<CachedApp>, last: Seen) {
        if last.protected && !self.removed_finalizers.take(&last.uid) {
            let client_id = match last.id {
                KnownId::Derived => Some(format!("{DERIVED_ID}{}", last.uid)),
                KnownId::Claimed(id) => Some(id.into()),
                KnownId::Unproven => None,
            };
            let regarding = ObjectReference {
                api_version: Some(OrgOAuthApp::api_version(&()).into_owned()),
                kind: Some(OrgOAuthApp::kind(&()).into_owned()),
                name: Some(app.name.clone()),
                namespace: app.namespace.clone(),
                uid: Some(last.uid),
                ..ObjectReference::default()
            };
            self.reporter.report(WatchReport::FinalizerRemoved { regarding, client_id });
        }
    }

    fn on_unreadable(&self, _: &ObjectRef<CachedApp>, _: Seen) {}
}
