//! The two Kubernetes Secrets of an app, and the guard that every read and write of them passes.
//! Pure: a `SecretWrite` can only be had from a `SecretState` that the guard found free or ours.

mod contents;
mod generate;

pub use contents::SecretContents;
pub(crate) use contents::{PendingSecret, PreviousSecret, RotationMode, label_selector};
pub(crate) use generate::client_secret;

use crate::claim::ClaimKey;
use crate::crd::{KeyRef, OrgOAuthApp, SignedClaim, USE_LABEL};
use crate::iam::ClientSecret;
use crate::secret_value::{self, InvalidValue};
use crate::text::clean;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

/// The longest name of a resource, in bytes.
const MAX_NAME: usize = 253;
/// What the name of a resource has appended in that of the Secret of its rotation.
pub(crate) const ROTATION_SUFFIX: &str = "-rotation";

/// The Secret's name, as the guard sees it.
#[derive(Clone, Debug)]
pub enum SecretState {
    /// No object has the name.
    Absent,
    /// The object is controlled by this resource.
    Owned(OwnedSecret),
    /// The object belongs to others and is left alone.
    Foreign {
        /// The `OrgOAuthApp` that its owner references name as its controller.
        app: Option<String>,
    },
}

/// A Secret that this resource controls, and what it holds. The operator's claim is in it if it is there and verifies.
#[derive(Clone, PartialEq)]
pub struct OwnedSecret {
    secret: Box<Secret>,
    contents: Box<SecretContents>,
}

/// One permitted write of a Secret.
#[derive(Clone)]
pub enum SecretWrite {
    /// Create it; fails if the name was taken meanwhile.
    Create(Secret),
    /// Replace it; fails if it was changed meanwhile, because it carries the `resourceVersion` that was observed.
    Replace(Secret),
    /// Delete the immutable one that was observed, and create the other one under its name.
    Recreate {
        /// What is deleted; fails if it was changed meanwhile.
        old: Box<Secret>,
        /// What is created.
        new: Box<Secret>,
    },
    /// Delete it; fails if it was changed meanwhile.
    Delete(Secret),
}

impl std::fmt::Debug for OwnedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OwnedSecret({})", self.name())
    }
}

impl std::fmt::Debug for SecretWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create(secret) => write!(f, "Create({})", secret.name_any()),
            Self::Replace(secret) => write!(f, "Replace({})", secret.name_any()),
            Self::Recreate { old, .. } => write!(f, "Recreate({})", old.name_any()),
            Self::Delete(secret) => write!(f, "Delete({})", secret.name_any()),
        }
    }
}

pub fn secret_name(app: &OrgOAuthApp) -> String {
    app.spec.secret.name.clone().unwrap_or_else(|| app.name_any())
}

/// The name of the Secret that holds the pending and the previous client secret while there are any.
pub fn rotation_secret_name(app: &OrgOAuthApp) -> String {
    format!("{}{ROTATION_SUFFIX}", app.name_any())
}

/// The guard: says whether the object under the Secret's name may be touched. It may if the resource controls it, or if
/// the operator's claim on it says that it was written for a resource of this namespace and name, and no other object
/// controls it.
pub fn guard(app: &OrgOAuthApp, key: &ClaimKey, existing: Option<Secret>) -> SecretState {
    let Some(secret) = existing else { return SecretState::Absent };
    let claim = contents::claim(&secret).filter(|claim| key.verifies(app, claim));
    let (uid, claimed) = (app.uid(), claim.as_ref().map(|claim| &claim.uid));
    let controller = controller(&secret.metadata);
    let ours = match controller {
        Some(controller) => Some(&controller.uid) == uid.as_ref() || Some(&controller.uid) == claimed,
        None => claim.is_some(),
    };
    if ours {
        SecretState::Owned(OwnedSecret::read(app, secret, claim))
    } else {
        SecretState::Foreign { app: controller.and_then(name_of_app) }
    }
}

/// The secret that a user provides with `clientSecretRef`.
#[derive(Clone, Debug)]
pub enum ProvidedSecret {
    Value(ClientSecret),
    /// Why there is none.
    Missing(ProvidedSecretError),
}

/// Why `clientSecretRef` provides no client secret.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProvidedSecretError {
    /// The Secret may not be read.
    #[error("{0}, or correct spec.clientSecretRef.name")]
    Unreadable(#[from] OptInError),
    /// The Secret lacks the key.
    #[error("Secret {} has no key {}; add it or correct spec.clientSecretRef.key", .0.name, .0.key)]
    MissingKey(KeyRef),
    /// The value is no client secret.
    #[error("key {} of Secret {} {}: put a client secret there", .0.key, .0.name, .1)]
    InvalidValue(KeyRef, #[source] InvalidValue),
}

/// Why a Secret of a user may not be read; `0` is its name in messages.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OptInError {
    /// It does not exist.
    #[error("there is no {0}: create it, with the label {USE_LABEL}: \"true\"")]
    Missing(String),
    /// Its owner did not opt in.
    #[error("{0} lacks the label {USE_LABEL}: \"true\", by which its owner lets the operator read it: add it")]
    NotLabeled(String),
}

/// The guard of a Secret that a user provides: it is read only if its owner opted in. `object` is its name in messages.
pub fn require_opt_in(object: &str, existing: Option<Secret>) -> Result<Secret, OptInError> {
    let secret = existing.ok_or_else(|| OptInError::Missing(object.to_owned()))?;
    match secret.labels().get(USE_LABEL).map(String::as_str) {
        Some("true") => Ok(secret),
        Some(_) | None => Err(OptInError::NotLabeled(object.to_owned())),
    }
}

/// The secret that `clientSecretRef` names.
pub fn provided(reference: &KeyRef, existing: Option<Secret>) -> ProvidedSecret {
    match read_provided(reference, existing) {
        Ok(secret) => ProvidedSecret::Value(secret),
        Err(error) => ProvidedSecret::Missing(error),
    }
}

fn read_provided(reference: &KeyRef, existing: Option<Secret>) -> Result<ClientSecret, ProvidedSecretError> {
    let secret = require_opt_in(&format!("Secret {}", reference.name), existing)?;
    let Some(value) = secret.data.as_ref().and_then(|data| data.get(&reference.key)) else {
        return Err(ProvidedSecretError::MissingKey(reference.clone()));
    };
    match secret_value::read(&value.0, secret_value::CREDENTIAL) {
        Ok(value) => Ok(ClientSecret::new(value.to_owned())),
        Err(source) => Err(ProvidedSecretError::InvalidValue(reference.clone(), source)),
    }
}

/// The owner that controls an object, of which Kubernetes allows one.
pub(crate) fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// An owner reference names an object of the same namespace, so no tenant learns of another one.
fn name_of_app(owner: &OwnerReference) -> Option<String> {
    let is_app = owner.kind == OrgOAuthApp::kind(&())
        && owner.api_version.split_once('/').is_some_and(|(group, _)| group == OrgOAuthApp::group(&()));
    is_app.then(|| clean(&owner.name, MAX_NAME))
}

impl SecretWrite {
    /// What the Secret holds once it is written as it stands here.
    pub(crate) fn contents(&self, app: &OrgOAuthApp) -> SecretContents {
        match self {
            Self::Create(secret) | Self::Replace(secret) => SecretContents::read(app, secret),
            Self::Recreate { new, .. } => SecretContents::read(app, new),
            Self::Delete(_) => SecretContents::default(),
        }
    }
}

impl SecretState {
    pub(crate) fn owned(&self) -> Option<&OwnedSecret> {
        match self {
            Self::Owned(secret) => Some(secret),
            Self::Absent | Self::Foreign { .. } => None,
        }
    }

    /// The write that makes the Secret hold this, `None` for a foreign object.
    pub fn write(&self, app: &OrgOAuthApp, content: &SecretContents) -> Option<SecretWrite> {
        match self {
            Self::Absent => Some(SecretWrite::Create(content.render(app, Secret::default()))),
            Self::Owned(secret) => Some(secret.replace(|secret| content.render(app, secret))),
            Self::Foreign { .. } => None,
        }
    }

    /// The write that makes it hold what a rotation needs, `None` for a foreign object; it is not there while that is nothing.
    pub(crate) fn write_rotation(&self, app: &OrgOAuthApp, content: &SecretContents) -> Option<SecretWrite> {
        match (self, content.rotation_is_empty()) {
            (Self::Absent, false) => Some(SecretWrite::Create(content.render_rotation(app, Secret::default()))),
            (Self::Owned(secret), false) => Some(secret.replace(|secret| content.render_rotation(app, secret))),
            (Self::Owned(secret), true) => Some(secret.remove()),
            (Self::Absent, true) | (Self::Foreign { .. }, _) => None,
        }
    }

    /// What the Secret of consumers holds, and the Secret of the rotation beside it; nothing where they are free or foreign.
    pub(crate) fn contents(&self, rotation: Option<&Self>) -> SecretContents {
        let published = self.owned().map(OwnedSecret::contents).unwrap_or_default();
        match rotation.and_then(Self::owned) {
            Some(OwnedSecret { contents, .. }) => {
                SecretContents { pending: contents.pending.clone(), previous: contents.previous.clone(), ..published }
            }
            None => published,
        }
    }
}

impl OwnedSecret {
    fn read(app: &OrgOAuthApp, secret: Secret, claim: Option<SignedClaim>) -> Self {
        let contents = SecretContents { claim, ..SecretContents::read(app, &secret).with_rotation(app, &secret) };
        Self { secret: Box::new(secret), contents: Box::new(contents) }
    }

    /// What it holds for consumers.
    pub(crate) fn contents(&self) -> SecretContents {
        SecretContents { pending: None, previous: None, ..SecretContents::clone(&self.contents) }
    }

    /// Kubernetes does not allow a change of the data of an immutable Secret.
    fn replace(&self, render: impl FnOnce(Secret) -> Secret) -> SecretWrite {
        let new = render(Secret::clone(&self.secret));
        if self.is_immutable() && new.data != self.secret.data {
            SecretWrite::Recreate { old: self.secret.clone(), new: Box::new(contents::as_new(new)) }
        } else {
            SecretWrite::Replace(new)
        }
    }

    /// Whether it is exactly what writing this would make it.
    pub(crate) fn matches(&self, app: &OrgOAuthApp, content: &SecretContents) -> bool {
        content.render(app, Secret::clone(&self.secret)) == *self.secret
    }

    /// Whether it is being deleted and something keeps it, so that it can be neither kept true nor created again.
    pub(crate) fn is_being_deleted(&self) -> bool {
        self.secret.metadata.deletion_timestamp.is_some()
    }

    /// Whether it was made immutable, so that its data cannot be changed.
    pub(crate) fn is_immutable(&self) -> bool {
        self.secret.immutable == Some(true)
    }

    /// Whether Kubernetes deletes it with its resource.
    pub(crate) fn is_collected(&self, app: &OrgOAuthApp) -> bool {
        controller(&self.secret.metadata).is_some_and(|controller| Some(&controller.uid) == app.uid().as_ref())
    }

    pub(crate) fn claim(&self) -> Option<&SignedClaim> {
        self.contents.claim.as_ref()
    }

    pub(crate) fn name(&self) -> String {
        self.secret.name_any()
    }

    /// Tells it from a namesake of before.
    pub(crate) fn uid(&self) -> Option<String> {
        self.secret.uid()
    }

    /// Changes with every change of the Secret.
    pub(crate) fn version(&self) -> Option<String> {
        self.secret.resource_version()
    }

    /// The write that removes all metadata of the operator, so that the Secret outlives its resource.
    pub(crate) fn release(&self, app: &OrgOAuthApp) -> SecretWrite {
        let mut secret = Secret::clone(&self.secret);
        contents::disown(app, &mut secret);
        contents::strip_operator_metadata(&mut secret);
        SecretWrite::Replace(secret)
    }

    pub(crate) fn remove(&self) -> SecretWrite {
        SecretWrite::Delete(Secret::clone(&self.secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::ClientId;
    use k8s_openapi::ByteString;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
    use k8s_openapi::jiff::Timestamp;
    use kube::Resource;
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

    fn content(app: &OrgOAuthApp) -> SecretContents {
        content_of(app, "value-1")
    }

    fn content_of(app: &OrgOAuthApp, value: &str) -> SecretContents {
        let secret = Some(ClientSecret::new(value.into()));
        SecretContents::default().publish(app, &ClientId("id-1".into()), secret, Timestamp::UNIX_EPOCH)
    }

    fn key() -> ClaimKey {
        ClaimKey::new(&[1; 32], []).unwrap()
    }

    fn published(app: &OrgOAuthApp) -> Secret {
        match guard(app, &key(), None).write(app, &content(app)) {
            Some(SecretWrite::Create(secret)) => secret,
            other => panic!("{other:?}"),
        }
    }

    fn ours(app: &OrgOAuthApp, secret: Secret) -> OwnedSecret {
        match guard(app, &key(), Some(secret)) {
            SecretState::Owned(secret) => secret,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let app = app(json!({"keys": {"clientId": "ID"}, "labels": {"team": "a"}, "annotations": {"note": "b"}}));
        let pending = PendingSecret {
            secret: ClientSecret::new("n".into()),
            mode: RotationMode::Overlap,
            base_revision: 1,
            staged_at: Timestamp::UNIX_EPOCH,
            accepted_at: Some(Timestamp::UNIX_EPOCH),
        };
        let previous =
            PreviousSecret { secret: Some(ClientSecret::new("p".into())), expires_at: Timestamp::UNIX_EPOCH };
        let full = SecretContents { pending: Some(pending), previous: Some(previous), ..content(&app) };
        let created = |write| match write {
            Some(SecretWrite::Create(secret)) => secret,
            other => panic!("{other:?}"),
        };
        let secret = created(SecretState::Absent.write(&app, &full));
        let keys = |secret: &Secret| secret.data.as_ref().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&secret), ["ID", "client-secret"]);
        assert_eq!((secret.labels()["team"].as_str(), secret.annotations()["note"].as_str()), ("a", "b"));
        let target = guard(&app, &key(), Some(secret.clone()));
        let rotation = created(SecretState::Absent.write_rotation(&app, &full));
        assert_eq!((rotation.name_any().as_str(), rotation.labels().get("team")), ("billing-rotation", None));
        assert_eq!(keys(&rotation), ["client-id", "pending", "previous"]);
        let rotation = guard(&app, &key(), Some(rotation));
        assert_eq!(target.contents(Some(&rotation)), full);
        let empty = SecretContents { pending: None, previous: None, ..full.clone() };
        assert!(matches!(rotation.write_rotation(&app, &empty), Some(SecretWrite::Delete(_))));
        assert!(SecretState::Absent.write_rotation(&app, &empty).is_none());
        assert!(SecretState::Foreign { app: None }.write_rotation(&app, &full).is_none());
        assert!(ours(&app, secret).matches(&app, &full) && !full.is_edited(&app));
    }

    #[test]
    fn a_previous_secret_that_is_not_known_leaves_its_time_only() {
        let app = app(json!({}));
        let previous = PreviousSecret { secret: None, expires_at: Timestamp::UNIX_EPOCH };
        let contents = SecretContents { previous: Some(previous), ..content(&app) };
        let write = SecretState::Absent.write_rotation(&app, &contents);
        let Some(SecretWrite::Create(rotation)) = write else { panic!("{write:?}") };
        assert_eq!(rotation.data.as_ref().unwrap().keys().collect::<Vec<_>>(), ["client-id"]);
        assert_eq!(rotation.annotations()["oauth-apps.dev/previous-expires-at"], "1970-01-01T00:00:00Z");
        let target = guard(&app, &key(), Some(published(&app)));
        let read = target.contents(Some(&guard(&app, &key(), Some(rotation))));
        assert_eq!(read, contents);
    }

    #[test]
    fn under_new_keys_the_credential_is_found_and_moved() {
        let (old, new) = (app(json!({})), app(json!({"keys": {"clientId": "ID", "clientSecret": "KEY"}})));
        let target = guard(&new, &key(), Some(published(&old)));
        assert_eq!(target.contents(None), content(&old));
        let Some(SecretWrite::Replace(moved)) = target.write(&new, &target.contents(None)) else {
            panic!("not a replace")
        };
        assert_eq!(moved.data.unwrap().keys().collect::<Vec<_>>(), ["ID", "KEY"]);
        let back = guard(&old, &key(), Some(published(&new)));
        assert_eq!(back.contents(None), content(&old));
    }

    #[test]
    fn a_write_says_what_the_secret_holds_afterwards() {
        let app = app(json!({}));
        let next = content_of(&app, "value-2");
        let there = ours(&app, published(&app));
        let immutable = ours(&app, Secret { immutable: Some(true), ..published(&app) });
        for target in [SecretState::Absent, SecretState::Owned(there.clone()), SecretState::Owned(immutable)] {
            assert_eq!(target.write(&app, &next).unwrap().contents(&app), next, "{target:?}");
        }
        assert_eq!(there.remove().contents(&app), SecretContents::default());
    }

    #[test]
    fn an_immutable_secret_is_created_again_with_everything_that_others_gave_it() {
        let app = app(json!({"labels": {"team": "a"}}));
        let mut immutable = Secret { immutable: Some(true), ..published(&app) };
        immutable.metadata.finalizers = Some(vec!["backup.example.com/keep".into()]);
        immutable.metadata.resource_version = Some("7".into());
        let other = content_of(&app, "value-2");
        let write = guard(&app, &key(), Some(immutable.clone())).write(&app, &other);
        let Some(SecretWrite::Recreate { old, new }) = write else { panic!("{write:?}") };
        assert_eq!(*old, immutable);
        let whole = SecretState::Absent.write(&app, &other);
        let Some(SecretWrite::Create(mut whole)) = whole else { panic!("{whole:?}") };
        whole.metadata.finalizers = immutable.metadata.finalizers;
        assert_eq!(*new, whole);
    }

    #[test]
    fn the_selector_finds_the_secrets_that_were_written() {
        let app = app(json!({}));
        let selector = label_selector();
        let (managed, owned) = selector.split_once(',').unwrap();
        let (name, value) = managed.split_once('=').unwrap();
        let labels = published(&app).metadata.labels.unwrap();
        assert_eq!((labels[name].as_str(), labels[owned].as_str()), (value, "uid-1"));
    }

    #[test]
    fn a_secret_without_a_client_secret_has_no_revision() {
        let app = app(json!({}));
        let id_only = SecretContents::default().publish(&app, &ClientId("id-1".into()), None, Timestamp::UNIX_EPOCH);
        let Some(SecretWrite::Create(secret)) = SecretState::Absent.write(&app, &id_only) else {
            panic!("not created")
        };
        assert_eq!(secret.annotations().keys().collect::<Vec<_>>(), ["oauth-apps.dev/keys"]);
    }

    #[test]
    fn another_version_of_the_operator_takes_no_published_value_for_an_edited_one() {
        assert_eq!(published(&app(json!({}))).annotations()["oauth-apps.dev/checksum"], "847b60a5");
    }

    #[test]
    fn a_secret_that_we_do_not_control_cannot_be_written() {
        let app = app(json!({}));
        let mut owned_not_controlled = published(&app);
        owned_not_controlled.owner_references_mut()[0].controller = Some(false);
        let mut owned_by_another = published(&app);
        owned_by_another.owner_references_mut()[0].uid = "uid-2".into();
        for foreign in [Secret::default(), owned_not_controlled, owned_by_another] {
            let target = guard(&app, &key(), Some(foreign));
            assert!(matches!(target, SecretState::Foreign { .. }));
            assert!(target.write(&app, &content(&app)).is_none());
            assert_eq!(target.contents(None), SecretContents::default());
        }
    }

    #[test]
    fn a_secret_of_another_resource_is_named_by_the_app_that_controls_it() {
        let app = app(json!({}));
        let controlled_by = |kind: &str, api_version: &str, name: &str| {
            let mut secret = published(&app);
            let owner = &mut secret.owner_references_mut()[0];
            owner.uid = "uid-2".into();
            owner.kind = kind.into();
            owner.api_version = api_version.into();
            owner.name = name.into();
            match guard(&app, &key(), Some(secret)) {
                SecretState::Foreign { app } => app,
                other => panic!("{other:?}"),
            }
        };
        let version = OrgOAuthApp::api_version(&());
        assert_eq!(controlled_by("OrgOAuthApp", &version, "other").as_deref(), Some("other"));
        assert_eq!(controlled_by("OrgOAuthApp", &version, "a\n\u{202e}b").as_deref(), Some("a b"));
        assert_eq!(controlled_by("OrgOAuthApp", "example.com/v1", "other"), None);
        assert_eq!(controlled_by("Certificate", &version, "other"), None);
    }

    #[test]
    fn edits_are_seen_and_what_others_added_stays() {
        let app = app(json!({"labels": {"team": "a"}}));
        let is_whole = |edit: fn(&mut Secret)| {
            let mut secret = published(&app);
            edit(&mut secret);
            ours(&app, secret).matches(&app, &content(&app))
        };
        assert!(!is_whole(|s| drop(s.labels_mut().insert("team".into(), "b".into()))));
        assert!(!is_whole(|s| drop(s.annotations_mut().remove("oauth-apps.dev/revision"))));
        assert!(!is_whole(|s| drop(s.data.as_mut().unwrap().insert("client-id".into(), ByteString(b"x".to_vec())))));
        assert!(!is_whole(|s| drop(s.data.as_mut().unwrap().insert("extra".into(), ByteString(b"x".to_vec())))));
        assert!(is_whole(|s| drop(s.labels_mut().insert("other".into(), "b".into()))));
        assert!(is_whole(|s| drop(s.annotations_mut().insert("other".into(), "b".into()))));
    }

    #[test]
    fn the_resource_owns_its_secret_once_and_beside_others() {
        let app = app(json!({}));
        let mut secret = published(&app);
        let other = OwnerReference { uid: "uid-2".into(), controller: None, ..secret.owner_references()[0].clone() };
        secret.owner_references_mut().insert(0, other);
        secret.owner_references_mut()[1].block_owner_deletion = Some(true);
        let Some(SecretWrite::Replace(secret)) = guard(&app, &key(), Some(secret)).write(&app, &content(&app)) else {
            panic!("not a replace")
        };
        let uids: Vec<_> = secret.owner_references().iter().map(|owner| owner.uid.as_str()).collect();
        assert_eq!(uids, ["uid-2", "uid-1"]);
        assert_eq!(secret.owner_references()[1], app.controller_owner_ref(&()).unwrap());
        let again = guard(&app, &key(), Some(secret.clone())).write(&app, &content(&app));
        assert!(matches!(again, Some(SecretWrite::Replace(again)) if again == secret));
    }

    #[test]
    fn an_edited_value_is_told_from_the_published_one() {
        let app = app(json!({}));
        let mut secret = published(&app);
        secret.data.as_mut().unwrap().insert("client-secret".into(), ByteString(b"edited".to_vec()));
        let content = guard(&app, &key(), Some(secret)).contents(None);
        assert!(content.is_edited(&app) && content.was_published(&app, &ClientSecret::new("value-1".into())));
    }

    #[test]
    fn an_edited_value_that_cannot_be_a_credential_is_never_sent() {
        let app = app(json!({}));
        let edited = |value: &[u8]| {
            let mut secret = published(&app);
            for key in ["client-secret", "pending", "previous"] {
                secret.data.as_mut().unwrap().insert(key.into(), ByteString(value.to_vec()));
            }
            let secret = guard(&app, &key(), Some(secret));
            secret.contents(Some(&secret))
        };
        for value in [&b""[..], &[b'x'; 1025], b"a\0b", &[0xff]] {
            let content = edited(value);
            assert_eq!((content.current, content.pending, content.previous), (None, None, None), "{value:?}");
        }
        let content = edited(b"value-1\n");
        assert!(!content.is_edited(&app), "a line break that an editor left is put right");
    }

    #[test]
    fn a_released_secret_keeps_its_data_and_loses_our_marks() {
        let app = app(json!({}));
        let SecretWrite::Replace(released) = ours(&app, published(&app)).release(&app) else { panic!("not a replace") };
        assert_eq!(released.data, published(&app).data);
        assert!(
            released.owner_references().is_empty() && released.labels().is_empty() && released.annotations().is_empty()
        );
    }

    #[test]
    fn a_provided_secret_needs_the_opt_in_of_its_owner() {
        let reference = KeyRef { name: "mine".into(), key: "value".into() };
        let handed = |label: &str, value: &[u8]| {
            let mut secret = Secret::default();
            secret.labels_mut().insert(USE_LABEL.into(), label.into());
            secret.data = Some([("value".to_owned(), ByteString(value.to_vec()))].into());
            provided(&reference, Some(secret))
        };
        assert!(matches!(handed("true", b"x"), ProvidedSecret::Value(_)));
        let why = |provided| match provided {
            ProvidedSecret::Missing(error) => error.to_string(),
            ProvidedSecret::Value(_) => panic!("it was read"),
        };
        assert!(why(handed("false", b"x")).contains("lacks the label"));
        for (value, said) in [(&b""[..], "is empty"), (&[0xff], "is not UTF-8 text"), (b"a\tb", "holds a control")] {
            let why = why(handed("true", value));
            assert!(why.starts_with(&format!("key value of Secret mine {said}")), "{why}");
        }
        assert!(why(handed("true", &[b'x'; 1025])).contains("key value of Secret mine is longer than 1 KiB"));
        assert!(matches!(handed("true", b"x\n"), ProvidedSecret::Value(value) if value.expose() == "x"));
        assert!(why(provided(&reference, None)).contains("there is no Secret mine"));
    }

    #[test]
    fn nothing_that_holds_a_value_prints_it() {
        let app = app(json!({}));
        let target = guard(&app, &key(), Some(published(&app)));
        let write = target.write(&app, &content(&app));
        assert_eq!(format!("{target:?} {write:?}"), "Owned(OwnedSecret(billing)) Some(Replace(billing))");
        assert!(!format!("{:?}", content(&app)).contains("value-1"));
    }
}
