//! Whether a resource may use its connection: found, and granted.
//! Nothing here calls the API.

use super::{Connections, Operator};
use crate::claim::ApiAddress;
use crate::cluster::{Cluster, ClusterFault};
use crate::crd::{IamConnection, OrgOAuthApp};
use crate::decide::{Access, Blocked, org_id};
use crate::grants;
use crate::reason::Reason;
use kube::ResourceExt;
use std::sync::Arc;

impl<C: Cluster, D: Connections> Operator<C, D> {
    pub(super) async fn access(&self, app: &OrgOAuthApp) -> Result<(Access, Option<Arc<IamConnection>>), ClusterFault> {
        let name = &app.spec.connection_ref.name;
        let Some(connection) = self.connections.find(name) else {
            let message = format!("there is no IamConnection {name}; create it or correct spec.connectionRef.name");
            return Ok((Access::Refused(Blocked::new(Reason::ConnectionNotFound, message)), None));
        };
        let granted = self.granted(app, &connection).await?;
        let access = match granted {
            true => Access::Granted { address: address(&connection), context: connection.spec.context },
            false => Access::Refused(not_granted(app)),
        };
        Ok((access, Some(connection)))
    }

    async fn granted(&self, app: &OrgOAuthApp, connection: &IamConnection) -> Result<bool, ClusterFault> {
        let namespace = app.namespace().unwrap_or_default();
        let grants = &connection.spec.grants;
        let labels = match grants::ask_for_labels(grants) {
            true => self.cluster.namespace_labels(&namespace).await?,
            false => grants::Labels::new(),
        };
        Ok(grants::cover(grants, &namespace, &labels, &org_id(app)))
    }
}

fn address(connection: &IamConnection) -> ApiAddress {
    let spec = &connection.spec;
    ApiAddress::new(spec.api, &spec.endpoint, spec.former_endpoints.as_deref().unwrap_or_default())
}

fn not_granted(app: &OrgOAuthApp) -> Blocked {
    let (name, org) = (&app.spec.connection_ref.name, &app.spec.org_id);
    let namespace = app.namespace().unwrap_or_default();
    let message = format!(
        "no grant of IamConnection {name} covers namespace {namespace} and organization {org}; ask the platform team to add one to its spec.grants"
    );
    Blocked::new(Reason::NotGranted, message)
}
