//! Whether a resource may use its connection for what it asks: found, granted, and allowed.
//! Nothing here calls the API.

use super::{Connections, Identity, Operator};
use crate::claim::ApiAddress;
use crate::cluster::{self, Cluster};
use crate::crd::{IamConnection, OrgOAuthApp};
use crate::decide::{Access, org_id};
use crate::grants::{self, Decision, Place, Refusal, Wanted};
use crate::reason::{Blocked, Reason};
use std::sync::Arc;

impl<C: Cluster, D: Connections> Operator<C, D> {
    pub(super) async fn access(
        &self,
        app: &OrgOAuthApp,
        identity: &Identity,
    ) -> Result<(Access, Option<Arc<IamConnection>>), cluster::Error> {
        let name = &app.spec.connection_ref.name;
        let Some(connection) = self.connections.find(name) else {
            let is_unreadable = self.connections.is_unreadable(name);
            return Ok((Access::Refused(if is_unreadable { unreadable(name) } else { not_found(name) }), None));
        };
        let decision = self.judge(app, identity, &connection, &grants::wanted(app, connection.spec.api)).await?;
        Ok((access_by(app, &connection, decision), Some(connection)))
    }

    /// The API that the connection of a resource names.
    pub(super) fn address_of(&self, app: &OrgOAuthApp) -> Option<ApiAddress> {
        self.connections.find(&app.spec.connection_ref.name).map(|connection| ApiAddress::of(&connection))
    }

    /// Whether a grant of its connection covers the resource. One that none covers must cause no call, and one whose
    /// namespace is not known yet causes none either.
    pub(crate) async fn is_granted(&self, app: &OrgOAuthApp) -> bool {
        let Some(connection) = self.connections.find(&app.spec.connection_ref.name) else { return false };
        let Ok(identity) = Identity::of(app) else { return false };
        let decision = self.judge(app, &identity, &connection, &[]).await;
        decision.is_ok_and(|decision| decision != Decision::NotGranted)
    }

    async fn judge(
        &self,
        app: &OrgOAuthApp,
        Identity { namespace, .. }: &Identity,
        connection: &IamConnection,
        wanted: &[Wanted<'_>],
    ) -> Result<Decision, cluster::Error> {
        let grants = &connection.spec.grants;
        let labels = if grants::ask_for_labels(grants) {
            self.cluster.namespace_labels(namespace).await?
        } else {
            grants::Labels::new()
        };
        let place = Place { namespace, labels: &labels, org: &org_id(app) };
        Ok(grants::check(grants, &place, wanted))
    }
}

/// Whether the connection may be used for all that the resource asks for; `labels` are those of its namespace.
pub(crate) fn access_with(app: &OrgOAuthApp, connection: &IamConnection, labels: &grants::Labels) -> Access {
    let place = Place { namespace: app.namespace_any(), labels, org: &org_id(app) };
    let decision = grants::check(&connection.spec.grants, &place, &grants::wanted(app, connection.spec.api));
    access_by(app, connection, decision)
}

fn access_by(app: &OrgOAuthApp, connection: &IamConnection, decision: Decision) -> Access {
    match decision {
        Decision::Allowed { adoption } => Access::Granted {
            address: ApiAddress::of(connection),
            context: connection.spec.context,
            adoption,
            credential_check_interval: connection.spec.credential_check_interval.get(),
        },
        Decision::NotGranted => Access::Refused(not_granted(app)),
        Decision::NotAllowed(refusal) => Access::Refused(not_allowed(app, &refusal)),
    }
}

/// What is immutable in the spec can only be corrected in a new resource.
fn not_found(connection: &str) -> Blocked {
    let message = format!(
        "there is no IamConnection {connection}; create it, or delete this resource and create it again with another connectionRef"
    );
    Blocked::new(Reason::ConnectionNotFound, message)
}

fn unreadable(connection: &str) -> Blocked {
    let message = format!(
        "IamConnection {connection} exists but cannot be read; ask the platform team to correct the field that its condition Stalled names"
    );
    Blocked::new(Reason::ConnectionNotFound, message)
}

fn not_granted(app: &OrgOAuthApp) -> Blocked {
    let namespace = app.namespace_any();
    let (name, org) = (&app.spec.connection_ref.name, &app.spec.org_id);
    let message = format!(
        "no grant of IamConnection {name} covers namespace {namespace} and organization {org}; ask the platform team to add one to its spec.grants, or delete this resource and create it again with the right orgId"
    );
    Blocked::new(Reason::NotGranted, message)
}

fn not_allowed(app: &OrgOAuthApp, refusal: &Refusal) -> Blocked {
    let name = &app.spec.connection_ref.name;
    let message = format!(
        "IamConnection {name} does not allow {refusal}; ask for less, or ask the platform team to allow more in its spec.grants[].allow"
    );
    Blocked::new(Reason::NotAllowed, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_connection_that_cannot_be_read_is_not_to_be_created() {
        let message = "IamConnection central exists but cannot be read; ask the platform team to correct the field that its condition Stalled names";
        assert_eq!(unreadable("central"), Blocked::new(Reason::ConnectionNotFound, message));
    }

    #[test]
    fn advice_changes_no_immutable_field() {
        let manifest = json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": "billing", "namespace": "team", "uid": "uid-1"},
            "spec": {"orgId": "acme", "connectionRef": {"name": "central"}},
        });
        let app: OrgOAuthApp = serde_json::from_value(manifest).unwrap();
        let again = |with: &str| format!(", or delete this resource and create it again with {with}");
        let create = format!("there is no IamConnection central; create it{}", again("another connectionRef"));
        assert_eq!(not_found("central"), Blocked::new(Reason::ConnectionNotFound, create));
        let grant = "no grant of IamConnection central covers namespace team and organization acme; ask the platform team to add one to its spec.grants";
        let grant = format!("{grant}{}", again("the right orgId"));
        assert_eq!(not_granted(&app), Blocked::new(Reason::NotGranted, grant));
    }
}
