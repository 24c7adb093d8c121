//! Between credentials and the Kubernetes Secret that holds them: the one guard of every read and write of a Secret.
//! Pure: a `SecretWrite` can only be had from a `Target` that the guard found free or ours.

use crate::crd::{FIELD_MANAGER, OWNER_LABEL, OrgOAuthApp};
use crate::remote::{ClientId, ClientSecret, Credentials};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt};
use std::collections::BTreeMap;

const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// The Secret's name, as the guard sees it.
#[derive(Clone, Debug)]
pub enum Target {
    /// No object has the name.
    Free,
    /// The object is controlled by this resource.
    Ours(OurSecret),
    /// The object is somebody else's and is left alone.
    Foreign,
}

/// A Secret that this resource controls.
#[derive(Clone)]
pub struct OurSecret(Box<Secret>);

/// One permitted write of a Secret.
#[derive(Clone)]
pub enum SecretWrite {
    /// Create it; fails if the name was taken meanwhile.
    Create(Secret),
    /// Replace it; fails if it was changed meanwhile, because it carries the `resourceVersion` that was seen.
    Replace(Secret),
}

impl std::fmt::Debug for OurSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OurSecret({})", self.0.name_any())
    }
}

impl std::fmt::Debug for SecretWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create(secret) => write!(f, "Create({})", secret.name_any()),
            Self::Replace(secret) => write!(f, "Replace({})", secret.name_any()),
        }
    }
}

/// The name of the Secret that belongs to a resource.
pub fn secret_name(app: &OrgOAuthApp) -> String {
    app.spec.secret.name.clone().unwrap_or_else(|| app.name_any())
}

/// The guard: says whether the object under the Secret's name may be touched.
pub fn guard(app: &OrgOAuthApp, existing: Option<Secret>) -> Target {
    match existing {
        None => Target::Free,
        Some(secret) if controlled_by(&secret, app) => Target::Ours(OurSecret(Box::new(secret))),
        Some(_) => Target::Foreign,
    }
}

fn controlled_by(secret: &Secret, app: &OrgOAuthApp) -> bool {
    let owners = secret.owner_references();
    app.uid().is_some_and(|uid| owners.iter().any(|owner| owner.controller == Some(true) && owner.uid == uid))
}

impl Target {
    /// The write that publishes credentials, `None` for a foreign object.
    pub fn publish(&self, app: &OrgOAuthApp, credentials: &Credentials) -> Option<SecretWrite> {
        match self {
            Self::Free => Some(SecretWrite::Create(desired(app, credentials, Secret::default()))),
            Self::Ours(OurSecret(secret)) => {
                Some(SecretWrite::Replace(desired(app, credentials, Secret::clone(secret))))
            }
            Self::Foreign => None,
        }
    }
}

impl OurSecret {
    /// The client id that it names, true or edited.
    pub fn client_id(&self, app: &OrgOAuthApp) -> Option<ClientId> {
        self.value(&app.spec.secret.keys.client_id).map(ClientId)
    }

    /// The client secret that it holds.
    pub fn client_secret(&self, app: &OrgOAuthApp) -> Option<ClientSecret> {
        self.value(&app.spec.secret.keys.client_secret).map(ClientSecret::new)
    }

    /// Whether it has data, but neither of the keys that the spec names.
    pub fn holds_other_keys(&self, app: &OrgOAuthApp) -> bool {
        let keys = &app.spec.secret.keys;
        let data = self.0.data.as_ref();
        data.is_some_and(|data| {
            !data.is_empty() && !data.contains_key(&keys.client_id) && !data.contains_key(&keys.client_secret)
        })
    }

    /// Whether it is exactly what publishing these credentials would make it.
    pub fn is_published(&self, app: &OrgOAuthApp, credentials: &Credentials) -> bool {
        desired(app, credentials, Secret::clone(&self.0)) == *self.0
    }

    /// The write that takes off every mark of the operator, so that the Secret outlives its resource.
    pub fn release(&self, app: &OrgOAuthApp) -> SecretWrite {
        let mut secret = Secret::clone(&self.0);
        let uid = app.uid();
        secret.owner_references_mut().retain(|owner| Some(&owner.uid) != uid.as_ref());
        secret.labels_mut().remove(OWNER_LABEL);
        secret.labels_mut().remove(MANAGED_BY_LABEL);
        SecretWrite::Replace(secret)
    }

    fn value(&self, key: &str) -> Option<String> {
        let bytes = self.0.data.as_ref()?.get(key)?;
        String::from_utf8(bytes.0.clone()).ok().filter(|value| !value.is_empty())
    }
}

/// Puts our keys, labels, annotations and owner into a Secret and leaves what others added.
fn desired(app: &OrgOAuthApp, credentials: &Credentials, mut secret: Secret) -> Secret {
    let target = &app.spec.secret;
    secret.metadata.name = Some(secret_name(app));
    secret.metadata.namespace = app.namespace();
    let owner = app.controller_owner_ref(&());
    if !secret.owner_references().iter().any(|present| Some(present) == owner.as_ref()) {
        secret.owner_references_mut().retain(|present| Some(&present.uid) != app.uid().as_ref());
        secret.owner_references_mut().extend(owner);
    }
    let marks = [
        (MANAGED_BY_LABEL.to_string(), FIELD_MANAGER.to_string()),
        (OWNER_LABEL.to_string(), app.uid().unwrap_or_default()),
    ];
    secret.labels_mut().extend(target.labels.clone().into_iter().chain(marks));
    if !target.annotations.is_empty() {
        secret.annotations_mut().extend(target.annotations.clone());
    }
    let mut data =
        BTreeMap::from([(target.keys.client_id.clone(), ByteString(credentials.client_id.0.clone().into_bytes()))]);
    if let Some(value) = &credentials.client_secret {
        data.insert(target.keys.client_secret.clone(), ByteString(value.expose().as_bytes().to_vec()));
    }
    secret.data = Some(data);
    secret.type_ = Some("Opaque".into());
    secret
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn app(secret: Value) -> OrgOAuthApp {
        serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": "billing", "namespace": "team", "uid": "uid-1"},
            "spec": {"orgId": "o", "displayName": "d", "description": "d", "grantTypes": ["client_credentials"],
                     "allowedScopes": {}, "secret": secret},
        }))
        .unwrap()
    }

    fn credentials() -> Credentials {
        Credentials { client_id: ClientId("id-1".into()), client_secret: Some(ClientSecret::new("value-1".into())) }
    }

    fn published(app: &OrgOAuthApp) -> Secret {
        match guard(app, None).publish(app, &credentials()) {
            Some(SecretWrite::Create(secret)) => secret,
            other => panic!("{other:?}"),
        }
    }

    fn ours(app: &OrgOAuthApp, secret: Secret) -> OurSecret {
        match guard(app, Some(secret)) {
            Target::Ours(secret) => secret,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_published_secret_is_ours_and_complete() {
        let app = app(json!({"keys": {"clientId": "ID"}, "labels": {"team": "a"}, "annotations": {"note": "b"}}));
        let secret = published(&app);
        assert_eq!(secret.data.as_ref().unwrap().keys().collect::<Vec<_>>(), ["ID", "client-secret"]);
        assert_eq!(secret.labels()["team"], "a");
        assert_eq!(secret.annotations()["note"], "b");
        let ours = ours(&app, secret);
        assert!(ours.is_published(&app, &credentials()));
        assert_eq!(ours.client_id(&app), Some(ClientId("id-1".into())));
        assert_eq!(ours.client_secret(&app).unwrap().expose(), "value-1");
    }

    #[test]
    fn a_secret_that_we_do_not_control_cannot_be_written() {
        let app = app(json!({}));
        let mut owned_not_controlled = published(&app);
        owned_not_controlled.owner_references_mut()[0].controller = Some(false);
        let mut owned_by_another = published(&app);
        owned_by_another.owner_references_mut()[0].uid = "uid-2".into();
        for foreign in [Secret::default(), owned_not_controlled, owned_by_another] {
            let target = guard(&app, Some(foreign));
            assert!(matches!(target, Target::Foreign));
            assert!(target.publish(&app, &credentials()).is_none());
        }
    }

    #[test]
    fn edits_are_seen_and_what_others_added_stays() {
        let app = app(json!({"labels": {"team": "a"}}));
        let edited = |edit: fn(&mut Secret)| {
            let mut secret = published(&app);
            edit(&mut secret);
            ours(&app, secret).is_published(&app, &credentials())
        };
        assert!(!edited(|s| drop(s.labels_mut().insert("team".into(), "b".into()))));
        assert!(!edited(|s| drop(s.data.as_mut().unwrap().insert("client-id".into(), ByteString(b"x".to_vec())))));
        assert!(!edited(|s| drop(s.data.as_mut().unwrap().insert("extra".into(), ByteString(b"x".to_vec())))));
        assert!(edited(|s| drop(s.labels_mut().insert("other".into(), "b".into()))));
        assert!(edited(|s| drop(s.annotations_mut().insert("other".into(), "b".into()))));
    }

    #[test]
    fn a_released_secret_keeps_its_data_and_loses_our_marks() {
        let app = app(json!({}));
        let SecretWrite::Replace(released) = ours(&app, published(&app)).release(&app) else { panic!("not a replace") };
        assert_eq!(released.data, published(&app).data);
        assert!(released.owner_references().is_empty() && released.labels().is_empty());
    }

    #[test]
    fn nothing_that_holds_a_value_prints_it() {
        let app = app(json!({}));
        let target = guard(&app, Some(published(&app)));
        let write = target.publish(&app, &credentials());
        assert!(!format!("{target:?} {write:?} {:?}", credentials()).contains("value-1"));
    }
}
