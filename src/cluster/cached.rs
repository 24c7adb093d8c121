//! A resource as the watches keep it: whole if it is small, else an outline of it.
//! What a tenant writes takes memory by the number of its resources, not by their size.

use super::lenient::Kept;
use crate::crd::{
    Condition, OrgOAuthApp, OrgOAuthAppSpec, OrgOAuthAppStatus, RECONCILE_REQUESTED, RETIRE_REQUESTED,
    ROTATE_REQUESTED, Rotation, RotationStatus,
};
use crate::decide::{begins_with_id, client_id};
use crate::iam::ClientId;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::io;

/// A larger resource is kept as an outline; in bytes of JSON, and many short texts take some times as much memory.
const LARGEST_WHOLE: usize = 4 << 10;

/// A resource from a watch.
#[derive(Clone, Debug)]
pub struct CachedApp {
    app: OrgOAuthApp,
    is_whole: bool,
}

impl CachedApp {
    /// The resource, if it is small enough to be kept. What is not kept has to be read from Kubernetes.
    pub(crate) fn whole(&self) -> Option<&OrgOAuthApp> {
        self.is_whole.then_some(&self.app)
    }

    /// The resource without the parts that can be large: metadata, references, policies, claim and
    /// conditions.
    pub(crate) fn outline(&self) -> &OrgOAuthApp {
        &self.app
    }

    /// See `outline`.
    pub(crate) fn into_outline(self) -> OrgOAuthApp {
        self.app
    }

    /// The client ids that its app may have, as far as is known without its Secret: the one that status records, and the
    /// one that it begins with. A tenant may have written either.
    pub(crate) fn client_ids(&self) -> impl Iterator<Item = ClientId> + use<> {
        let recorded = self.app.status.as_ref().and_then(|status| status.client_id.clone());
        recorded.map(ClientId).into_iter().chain([client_id(&self.app)])
    }

    /// Whether this is one of its client ids.
    pub fn has_client_id(&self, id: &str) -> bool {
        let recorded = self.app.status.as_ref().and_then(|status| status.client_id.as_deref());
        recorded == Some(id) || begins_with_id(&self.app, id)
    }
}

impl From<OrgOAuthApp> for CachedApp {
    fn from(app: OrgOAuthApp) -> Self {
        let is_whole = is_small(&app);
        Self { app: if is_whole { app } else { outline(app) }, is_whole }
    }
}

fn is_small(app: &OrgOAuthApp) -> bool {
    serde_json::to_writer(Room(LARGEST_WHOLE), &(&app.spec, &app.status)).is_ok()
}

/// Takes so many bytes, and keeps none.
struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A resource with those parts of its spec and status only that others need, and of which none can be large.
pub(crate) fn outline(app: OrgOAuthApp) -> OrgOAuthApp {
    let spec = OrgOAuthAppSpec {
        connection_ref: app.spec.connection_ref,
        org_id: app.spec.org_id,
        id: app.spec.id,
        rotation: app.spec.rotation.map(|rotation| Rotation { restart: Vec::new(), ..rotation }),
        adoption_policy: app.spec.adoption_policy,
        management_policy: app.spec.management_policy,
        deletion_policy: app.spec.deletion_policy,
        suspend: app.spec.suspend,
        ..OrgOAuthAppSpec::default()
    };
    let annotations = app.metadata.annotations.clone().unwrap_or_default();
    // A value that is not the annotation's says no more than none, and may be large.
    let echoed =
        |handled: Option<String>, annotation| handled.filter(|handled| annotations.get(annotation) == Some(handled));
    let status = app.status.map(|status| OrgOAuthAppStatus {
        observed_generation: status.observed_generation,
        last_handled_reconcile_at: echoed(status.last_handled_reconcile_at, RECONCILE_REQUESTED),
        last_handled_rotate_at: echoed(status.last_handled_rotate_at, ROTATE_REQUESTED),
        last_handled_retire_at: echoed(status.last_handled_retire_at, RETIRE_REQUESTED),
        client_id: status.client_id,
        claim: status.claim,
        adopted: status.adopted,
        secret_name: status.secret_name,
        rotation: status.rotation.map(|rotation| RotationStatus { stale_consumers: None, ..rotation }),
        conditions: status.conditions.into_iter().map(without_message).collect(),
        ..OrgOAuthAppStatus::default()
    });
    OrgOAuthApp { metadata: app.metadata, spec, status }
}

fn without_message(condition: Condition) -> Condition {
    Condition { message: String::new(), ..condition }
}

impl Kept for CachedApp {
    const DROPPED: &'static [&'static str] = OrgOAuthApp::DROPPED;
    const ANNOTATIONS: Option<&'static [&'static str]> = OrgOAuthApp::ANNOTATIONS;
    const MOST_BYTES: usize = OrgOAuthApp::MOST_BYTES;
}

impl<'de> Deserialize<'de> for CachedApp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        OrgOAuthApp::deserialize(deserializer).map(Self::from)
    }
}

impl Resource for CachedApp {
    type DynamicType = <OrgOAuthApp as Resource>::DynamicType;
    type Scope = <OrgOAuthApp as Resource>::Scope;

    fn kind(kind: &Self::DynamicType) -> Cow<'_, str> {
        OrgOAuthApp::kind(kind)
    }

    fn group(kind: &Self::DynamicType) -> Cow<'_, str> {
        OrgOAuthApp::group(kind)
    }

    fn version(kind: &Self::DynamicType) -> Cow<'_, str> {
        OrgOAuthApp::version(kind)
    }

    fn plural(kind: &Self::DynamicType) -> Cow<'_, str> {
        OrgOAuthApp::plural(kind)
    }

    fn meta(&self) -> &ObjectMeta {
        self.app.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.app.meta_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn app(description: usize, status: Value) -> OrgOAuthApp {
        let scopes: Vec<String> = (0..description / 10).map(|n| format!("{n:08}")).collect();
        serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": "a", "namespace": "n", "uid": "u"},
            "spec": {"connectionRef": {"name": "c"}, "orgId": "o", "id": "chosen", "displayName": "a",
                     "description": "x".repeat(description), "grantTypes": ["client_credentials"],
                     "allowedScopes": {"generalScopes": scopes}, "deletionPolicy": "Retain"},
            "status": status,
        }))
        .unwrap()
    }

    fn status_with_message(message: usize) -> Value {
        let condition = json!({"type": "Ready", "status": "True", "reason": "Provisioned",
            "message": "x".repeat(message), "lastTransitionTime": "2026-01-01T00:00:00Z"});
        json!({"clientId": "chosen", "conditions": [condition]})
    }

    #[test]
    fn an_app_may_have_the_recorded_client_id_or_the_one_that_its_resource_begins_with() {
        let ids = |spec: Value, status: Value| {
            let mut app = app(10, status);
            app.spec.id = spec.as_str().map(str::to_owned);
            let cached = CachedApp::from(app);
            let ids: Vec<String> = cached.client_ids().map(|id| id.0).collect();
            assert!(ids.iter().all(|id| cached.has_client_id(id)));
            assert!(["", "u", "ooa-", "ooa-v", "chosen-2"].iter().all(|id| !cached.has_client_id(id)));
            ids
        };
        assert_eq!(ids(Value::Null, Value::Null), ["ooa-u"]);
        assert_eq!(ids(Value::Null, json!({"clientId": "ooa-before"})), ["ooa-before", "ooa-u"]);
        assert_eq!(ids("chosen".into(), json!({"clientId": "other"})), ["other", "chosen"]);
    }

    #[test]
    fn a_small_resource_is_kept_whole() {
        let app = app(1000, status_with_message(100));
        let kept = CachedApp::from(app.clone());
        assert_eq!(kept.whole().map(|app| json!(app)), Some(json!(app)));
    }

    #[test]
    fn of_a_large_one_nothing_large_is_kept_and_what_others_need_of_it_is() {
        let mut echoing = status_with_message(100);
        echoing["lastHandledReconcileAt"] = "x".repeat(5000).into();
        for large in [app(2500, status_with_message(100)), app(10, status_with_message(5000)), app(10, echoing)] {
            let cached = CachedApp::from(large.clone());
            assert!(cached.whole().is_none());
            let outline = cached.outline();
            assert!(serde_json::to_string(outline).unwrap().len() < 800);
            assert_eq!(outline.metadata, large.metadata);
            assert_eq!(
                (&outline.spec.connection_ref, &outline.spec.org_id),
                (&large.spec.connection_ref, &large.spec.org_id)
            );
            assert_eq!((&outline.spec.id, outline.spec.deletion_policy), (&large.spec.id, large.spec.deletion_policy));
            let (kept, status) = (outline.status.as_ref().unwrap(), large.status.as_ref().unwrap());
            assert_eq!((&kept.client_id, kept.conditions[0].status), (&status.client_id, status.conditions[0].status));
        }
    }
}
