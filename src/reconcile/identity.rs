//! Which resource a reconcile is about. The API server gives every resource a namespace, a name and a uid, so this is found out
//! once, where the reconcile begins.

use crate::cluster;
use crate::crd::OrgOAuthApp;

/// Namespace, name and uid of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Identity {
    /// # Errors
    /// When the resource lacks one of them, as none does that the API server stored.
    pub(super) fn of(app: &OrgOAuthApp) -> Result<Self, cluster::Error> {
        let metadata = &app.metadata;
        match (&metadata.namespace, &metadata.name, &metadata.uid) {
            (Some(namespace), Some(name), Some(uid)) => {
                Ok(Self { namespace: namespace.clone(), name: name.clone(), uid: uid.clone() })
            }
            (None, _, _) | (_, None, _) | (_, _, None) => {
                Err(cluster::Error::Unavailable("the resource has no namespace, name or uid".into()))
            }
        }
    }
}
