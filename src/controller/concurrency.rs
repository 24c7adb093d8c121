//! Limits how many reconciliations are in progress at once, for each connection and each of its organizations.
//! A reconciliation that waits for its organization holds no slot of the connection; namespaces are served in turn.

use crate::crd::OrgOAuthApp;
use crate::fair_queue::{FairQueue, Flow, Permit};
use crate::keyed::{InUse, Keyed};

/// Reconciliations of one connection that may be in progress for each request that it may have in flight. More than one,
/// since most of them wait, and deletions at the same time share requests.
const SLOTS_PER_REQUEST: usize = 16;
/// The same for one organization, so that an organization that does not respond leaves slots for the others.
const SLOTS_OF_ORG_PER_REQUEST: usize = 12;

/// Which reconciliations are limited together: those of a connection, or of one of its organizations. A changed limit counts
/// for the reconciliations that start from then on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ConcurrencyKey {
    connection: String,
    org: Option<String>,
    limit: usize,
}

/// The reconciliations that are in progress or wait for a slot.
#[derive(Debug, Default)]
pub(super) struct ConcurrencyLimits(Keyed<ConcurrencyKey, FairQueue>);

/// The slots of one reconciliation, released on drop.
#[derive(Debug)]
pub(super) struct Slots {
    _of_org: Slot,
    _of_connection: Slot,
}

/// Fields are dropped in this order: the permit before its queue.
#[derive(Debug)]
struct Slot {
    _permit: Permit,
    _queue: InUse<ConcurrencyKey, FairQueue>,
}

impl ConcurrencyLimits {
    /// Waits until this resource may be reconciled. `max_in_flight` are the requests that its connection may have.
    pub(super) async fn acquire_slots(&self, app: &OrgOAuthApp, max_in_flight: usize) -> Slots {
        let flow = Flow::Namespace(app.namespace_any().to_owned());
        let of_org = self.slot(app, Some(&app.spec.org_id), SLOTS_OF_ORG_PER_REQUEST * max_in_flight, &flow).await;
        let of_connection = self.slot(app, None, SLOTS_PER_REQUEST * max_in_flight, &flow).await;
        Slots { _of_org: of_org, _of_connection: of_connection }
    }

    async fn slot(&self, app: &OrgOAuthApp, org: Option<&String>, limit: usize, flow: &Flow) -> Slot {
        let connection = app.spec.connection_ref.name.clone();
        let queue = self.0.get(ConcurrencyKey { connection, org: org.cloned(), limit }, || FairQueue::new(limit));
        Slot { _permit: queue.acquire(flow).await, _queue: queue }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use serde_json::json;

    fn app(namespace: &str, org: &str) -> OrgOAuthApp {
        let object = json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": "billing", "namespace": namespace}, "spec": {"connectionRef": {"name": "default"}, "orgId": org, "displayName": "Billing", "description": "",
                "grantTypes": ["client_credentials"], "allowedScopes": {}},
        });
        serde_json::from_value(object).unwrap()
    }

    /// Whether it is done at once, without the limit that tokio sets to what one task does at a time.
    fn at_once<T>(work: impl Future<Output = T>) -> Option<T> {
        tokio::task::unconstrained(work).now_or_never()
    }

    #[tokio::test]
    async fn another_namespace_is_served_next_however_many_resources_in_invented_organizations_wait() {
        let limits = ConcurrencyLimits::default();
        let (mut held, mut waiting) = (Vec::new(), Vec::new());
        for n in 0..2000 {
            let app = app("attacker", &format!("made-up-{}", n % 400));
            let limits = &limits;
            let mut slots = Box::pin(async move { limits.acquire_slots(&app, 8).await });
            match at_once(slots.as_mut()) {
                Some(slots) => held.push(slots),
                None => waiting.push(slots),
            }
        }
        assert_eq!((held.len(), waiting.len()), (128, 1872));
        let other = app("other", "real");
        let mut other = Box::pin(limits.acquire_slots(&other, 8));
        assert!(at_once(other.as_mut()).is_none(), "all slots are taken");
        held.pop();
        assert!(at_once(other).is_some(), "the next slot goes to the other namespace");
    }

    #[tokio::test]
    async fn an_organization_that_hangs_leaves_slots_to_the_others() {
        let limits = ConcurrencyLimits::default();
        let hangs = app("a", "hangs");
        let held: Vec<_> = (0..200).filter_map(|_| at_once(limits.acquire_slots(&hangs, 8))).collect();
        assert_eq!(held.len(), 96);
        assert!(at_once(limits.acquire_slots(&app("a", "good"), 8)).is_some());
    }

    #[tokio::test]
    async fn no_key_that_a_tenant_invented_is_kept() {
        let limits = ConcurrencyLimits::default();
        for n in 0..100 {
            let slots = limits.acquire_slots(&app("a", &format!("made-up-{n}")), 8).await;
            assert_eq!(limits.0.len(), 2);
            drop(slots);
        }
        assert_eq!(limits.0.len(), 0);
    }
}
