//! The contents of the two Secrets of an app: one holds the current client secret, for consumers, the other, of the rotation, the
//! pending and the previous one. Annotations record their times and the keys of the credential.

use crate::crd::{
    CLAIM, DeletionPolicy, FIELD_MANAGER, OWNER_LABEL, OrgOAuthApp, ROTATE_REQUESTED, SecretKeys, SignedClaim,
};
use crate::iam::{ClientId, ClientSecret};
use crate::secret_value;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt};
use std::collections::BTreeMap;
use std::hash::Hasher;

const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// How the pending secret is to become valid, and since when it is pending.
const PENDING: &str = "oauth-apps.dev/next";
/// Counts the secrets that were published.
const REVISION: &str = "oauth-apps.dev/revision";
/// When the current secret was published.
const ROTATED_AT: &str = "oauth-apps.dev/rotated-at";
/// The keys of the Secret that holds what a rotation needs.
const PENDING_KEY: &str = "pending";
const PREVIOUS_KEY: &str = "previous";
const ROTATION_CLIENT_ID_KEY: &str = "client-id";
/// Until when the previous secret is valid.
const PREVIOUS_EXPIRES_AT: &str = "oauth-apps.dev/previous-expires-at";
/// Tells an edited secret from the one that was published.
const CHECKSUM: &str = "oauth-apps.dev/checksum";
/// The keys under which the credential stands, which may be those of an earlier spec.
const KEYS: &str = "oauth-apps.dev/keys";
const ANNOTATIONS: [&str; 8] =
    [PENDING, REVISION, ROTATED_AT, PREVIOUS_EXPIRES_AT, CHECKSUM, KEYS, ROTATE_REQUESTED, CLAIM];

/// More secrets than anybody publishes.
const MOST_REVISIONS: i64 = 1 << 53;
/// What Kubernetes stores of a Secret at most: bytes of its values. (`MaxSecretSize` of core/v1)
const MOST_DATA: usize = 1 << 20;
/// And bytes of its annotations, with their names. (`TotalAnnotationSizeLimitB` of apimachinery)
const MOST_ANNOTATIONS: usize = 256 << 10;

/// How a pending secret becomes valid in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RotationMode {
    /// Beside the current one, which stays valid for a while. Stored as "rotate".
    Overlap,
    /// Instead of the current one, which no consumer has or should have.
    Replace,
    /// With the create of the app.
    Create,
    /// Not known, since the annotation that says it was removed.
    Unknown,
}

/// A secret that is durable here, and about to become valid at the API.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingSecret {
    pub(crate) secret: ClientSecret,
    pub(crate) mode: RotationMode,
    /// The revision that was published when it was staged. Once another one is published, the pending secret is obsolete.
    pub(crate) base_revision: i64,
    /// When it was staged, always before it is sent; a second time before it is sent again where a token can tell that it has to be.
    pub(crate) staged_at: Timestamp,
    /// When the API accepted it, if that is known.
    pub(crate) accepted_at: Option<Timestamp>,
}

/// The secret before the current one.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviousSecret {
    /// Its value; none for the secret of an adopted app, or of one whose Secret was edited.
    pub(crate) secret: Option<ClientSecret>,
    /// When the API stops to accept it.
    pub(crate) expires_at: Timestamp,
}

/// What both Secrets hold. A write of the one that consumers use ignores `pending` and `previous`; a write of the one of the
/// rotation takes only these two, the client id and the claim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SecretContents {
    pub client_id: Option<ClientId>,
    /// The secret that consumers use; none for a public client.
    pub current: Option<ClientSecret>,
    /// The secret that is about to replace it.
    pub pending: Option<PendingSecret>,
    /// The secret before it, while it is valid.
    pub previous: Option<PreviousSecret>,
    /// Counts the secrets that were published.
    pub revision: i64,
    /// When the current one was published.
    pub rotated_at: Option<Timestamp>,
    /// The request to rotate that was fulfilled last.
    pub rotate_requested: Option<String>,
    /// Of the published secret. It differs from that of `current` if somebody edited the value.
    pub checksum: Option<String>,
    /// The operator's claim on the app; when it was read, one that verifies.
    pub claim: Option<SignedClaim>,
    /// Further keys, as the templates of the spec fill them; they hold secrets too. They are filled for each write, and never
    /// read.
    pub extra: BTreeMap<String, ClientSecret>,
}

impl SecretContents {
    /// The previous secret, where it is known.
    pub(crate) fn previous_secret(&self) -> Option<&ClientSecret> {
        self.previous.as_ref()?.secret.as_ref()
    }

    /// Reads the Secret that consumers use. What an edit took away is read from status instead.
    pub(super) fn read(app: &OrgOAuthApp, secret: &Secret) -> Self {
        let annotation = |name: &str| secret.annotations().get(name).cloned();
        let time = |name: &str| annotation(name)?.parse::<Timestamp>().ok();
        let recorded = app.status.as_ref().and_then(|status| status.rotation.clone()).unwrap_or_default();
        let keys = recorded_keys(secret, app);
        Self {
            client_id: value(secret, &keys.client_id).map(ClientId),
            current: value(secret, &keys.client_secret).map(ClientSecret::new),
            pending: None,
            previous: None,
            revision: annotation(REVISION).and_then(|n| revision(&n)).or(recorded.revision).unwrap_or_default(),
            rotated_at: time(ROTATED_AT).or(recorded.rotated_at.map(|at| at.0)),
            rotate_requested: annotation(ROTATE_REQUESTED),
            checksum: annotation(CHECKSUM),
            claim: None,
            extra: BTreeMap::new(),
        }
    }

    /// The same with what the Secret of the rotation holds.
    pub(super) fn with_rotation(self, app: &OrgOAuthApp, secret: &Secret) -> Self {
        Self {
            pending: PendingSecret::read(secret, value(secret, PENDING_KEY).map(ClientSecret::new)),
            previous: PreviousSecret::read(app, secret),
            ..self
        }
    }

    /// Whether the Secret of the rotation holds nothing, and is not there.
    pub(crate) fn rotation_is_empty(&self) -> bool {
        self.pending.is_none() && self.previous.is_none()
    }

    /// Whether the value that consumers use is not the one that was published.
    pub(crate) fn is_edited(&self, app: &OrgOAuthApp) -> bool {
        self.current.as_ref().is_some_and(|current| self.checksum.as_ref() != Some(&checksum(app, current)))
    }

    /// Whether this is the secret that was published last, whatever consumers find now.
    pub(crate) fn was_published(&self, app: &OrgOAuthApp, secret: &ClientSecret) -> bool {
        self.checksum.as_ref() == Some(&checksum(app, secret))
    }

    /// The same with this as the secret that consumers use from now on. Nothing is pending or previous in the result; the
    /// Secret of the rotation keeps both until it is written too.
    pub fn publish(&self, app: &OrgOAuthApp, id: &ClientId, secret: Option<ClientSecret>, now: Timestamp) -> Self {
        Self {
            client_id: Some(id.clone()),
            checksum: secret.as_ref().map(|secret| checksum(app, secret)),
            rotated_at: secret.as_ref().map(|_| now),
            revision: self.revision.saturating_add(i64::from(secret.is_some())),
            rotate_requested: app.annotations().get(ROTATE_REQUESTED).cloned(),
            current: secret,
            pending: None,
            previous: None,
            claim: self.claim.clone(),
            extra: BTreeMap::new(),
        }
    }

    /// How the pending secret becomes valid.
    pub(crate) fn pending_mode(&self) -> Option<RotationMode> {
        self.pending.as_ref().map(|pending| pending.mode)
    }

    /// A client secret that is as long as any can be, also where a template encodes it.
    pub(crate) fn longest_secret() -> ClientSecret {
        ClientSecret::new("\"".repeat(secret_value::CREDENTIAL))
    }

    /// Why Kubernetes would not store a Secret that holds this, as one sentence.
    pub(crate) fn size_problem(&self, app: &OrgOAuthApp) -> Option<String> {
        let secret = self.render(app, Secret::default());
        let data: usize = secret.data.iter().flatten().map(|(_, value)| value.0.len()).sum();
        let annotations: usize = secret.annotations().iter().map(|(name, value)| name.len() + value.len()).sum();
        let (what, size, limit, field) = if data > MOST_DATA {
            ("data", data, MOST_DATA, "template")
        } else if annotations > MOST_ANNOTATIONS {
            ("annotations", annotations, MOST_ANNOTATIONS, "annotations")
        } else {
            return None;
        };
        let name = secret.name_any();
        Some(format!(
            "Secret {name} could come to {size} bytes of {what}, of which Kubernetes stores {limit} at most; shorten spec.secret.{field}"
        ))
    }

    /// Puts data, labels, annotations and owner into the Secret that consumers use, and leaves what others added to its metadata.
    pub(super) fn render(&self, app: &OrgOAuthApp, mut secret: Secret) -> Secret {
        let target = &app.spec.secret;
        secret.labels_mut().extend(target.labels.clone());
        let annotations = self.annotations(&target.keys);
        set_owner(app, &mut secret);
        let mut secret = rendered(app, super::secret_name(app), secret, target.annotations.clone(), annotations);
        let text = |secret: &ClientSecret| secret.expose().to_owned();
        let values = [
            (target.keys.client_id.clone(), self.client_id.as_ref().map(|id| id.0.clone())),
            (target.keys.client_secret.clone(), self.current.as_ref().map(text)),
        ];
        let extra = self.extra.iter().map(|(key, value)| (key.clone(), Some(text(value))));
        secret.data = Some(data(extra.chain(values)));
        secret
    }

    /// The same for the Secret of the rotation, which no consumer needs.
    pub(super) fn render_rotation(&self, app: &OrgOAuthApp, mut secret: Secret) -> Secret {
        let (pending, previous) = (self.pending.as_ref(), self.previous.as_ref());
        let annotations = [
            (PENDING, pending.map(PendingSecret::annotation)),
            (PREVIOUS_EXPIRES_AT, previous.map(|previous| previous.expires_at.to_string())),
            (CLAIM, self.claim_annotation()),
        ];
        let name = super::rotation_secret_name(app);
        // What proves that a create was this resource's must not go before the deletion has asked.
        match self.pending_mode() {
            Some(RotationMode::Create) => disown(app, &mut secret),
            Some(RotationMode::Overlap | RotationMode::Replace | RotationMode::Unknown) | None => {
                set_owner(app, &mut secret)
            }
        }
        let mut secret = rendered(app, name, secret, BTreeMap::new(), annotations);
        let values = [
            (ROTATION_CLIENT_ID_KEY, self.client_id.as_ref().map(|id| id.0.clone())),
            (PENDING_KEY, pending.map(|pending| pending.secret.expose().to_owned())),
            (PREVIOUS_KEY, previous.and_then(|previous| Some(previous.secret.as_ref()?.expose().to_owned()))),
        ];
        secret.data = Some(data(values.into_iter().map(|(key, value)| (key.to_owned(), value))));
        secret
    }

    fn annotations(&self, keys: &SecretKeys) -> [(&'static str, Option<String>); 6] {
        [
            (KEYS, Some(format!("{},{}", keys.client_id, keys.client_secret))),
            (REVISION, (self.revision > 0).then(|| self.revision.to_string())),
            (ROTATED_AT, self.rotated_at.map(|at| at.to_string())),
            (CHECKSUM, self.checksum.clone()),
            (ROTATE_REQUESTED, self.rotate_requested.clone()),
            (CLAIM, self.claim_annotation()),
        ]
    }

    fn claim_annotation(&self) -> Option<String> {
        self.claim.as_ref().and_then(|claim| serde_json::to_string(claim).ok())
    }
}

/// A Secret of this name with our marks and these annotations; what others added to its metadata stays.
fn rendered(
    app: &OrgOAuthApp,
    name: String,
    mut secret: Secret,
    theirs: BTreeMap<String, String>,
    ours: impl IntoIterator<Item = (&'static str, Option<String>)>,
) -> Secret {
    if secret.metadata.name.is_none() {
        secret.metadata.name = Some(name);
        secret.metadata.namespace = app.namespace();
    }
    let marks = [(MANAGED_BY_LABEL, FIELD_MANAGER.to_owned()), (OWNER_LABEL, app.uid_any().to_owned())];
    secret.labels_mut().extend(marks.map(|(name, value)| (name.to_owned(), value)));
    let annotations = secret.annotations_mut();
    annotations.retain(|name, _| !ANNOTATIONS.contains(&name.as_str()));
    annotations.extend(theirs);
    annotations.extend(ours.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    secret.type_ = secret.type_.or(Some("Opaque".into()));
    secret
}

fn data(values: impl IntoIterator<Item = (String, Option<String>)>) -> BTreeMap<String, ByteString> {
    values.into_iter().filter_map(|(key, value)| Some((key, ByteString(value?.into_bytes())))).collect()
}

/// Selects the Secrets that the operator wrote for a resource, and whatever else bears their labels.
pub(crate) fn label_selector() -> String {
    format!("{MANAGED_BY_LABEL}={FIELD_MANAGER},{OWNER_LABEL}")
}

/// Takes off every label and annotation that makes a Secret the operator's.
pub(super) fn strip_operator_metadata(secret: &mut Secret) {
    secret.labels_mut().retain(|name, _| name != OWNER_LABEL && name != MANAGED_BY_LABEL);
    secret.annotations_mut().retain(|name, _| !ANNOTATIONS.contains(&name.as_str()));
}

/// The claim that the Secret carries, which anybody may have written there.
pub(super) fn claim(secret: &Secret) -> Option<SignedClaim> {
    serde_json::from_str(secret.annotations().get(CLAIM)?).ok()
}

/// Kubernetes deletes the Secret with its resource, unless that is to be decided when the resource is deleted: the
/// garbage collector may come first, and it does in a foreground deletion.
fn set_owner(app: &OrgOAuthApp, secret: &mut Secret) {
    let owner = match app.spec.deletion_policy {
        DeletionPolicy::Delete => app.controller_owner_ref(&()),
        DeletionPolicy::Retain | DeletionPolicy::DeleteWhenUnused => None,
    };
    if owner.as_ref().is_some_and(|owner| secret.owner_references().contains(owner)) {
        return;
    }
    disown(app, secret);
    if let Some(owner) = owner {
        secret.owner_references_mut().push(owner);
    }
}

/// Takes off the owner, also as it was before a restore.
pub(super) fn disown(app: &OrgOAuthApp, secret: &mut Secret) {
    let owners = [app.uid(), claim(secret).map(|claim| claim.uid)];
    if let Some(references) = &mut secret.metadata.owner_references {
        references.retain(|present| !owners.iter().flatten().any(|uid| *uid == present.uid));
    }
}

/// The same as an object that is still to be created.
pub(super) fn as_new(mut secret: Secret) -> Secret {
    let ObjectMeta { name, namespace, labels, annotations, owner_references, finalizers, .. } = secret.metadata;
    secret.metadata =
        ObjectMeta { name, namespace, labels, annotations, owner_references, finalizers, ..ObjectMeta::default() };
    Secret { immutable: None, ..secret }
}

/// The keys under which the credential was written, which an earlier spec may have named.
fn recorded_keys(secret: &Secret, app: &OrgOAuthApp) -> SecretKeys {
    let recorded = secret.annotations().get(KEYS).and_then(|keys| keys.split_once(','));
    recorded.map_or_else(
        || app.spec.secret.keys.clone(),
        |(id, secret)| SecretKeys { client_id: id.into(), client_secret: secret.into(), ..SecretKeys::default() },
    )
}

impl PendingSecret {
    /// Mode, the revision that it follows, time of staging, and time of acceptance if that is known.
    fn annotation(&self) -> String {
        let mode = match self.mode {
            RotationMode::Overlap => "rotate",
            RotationMode::Replace => "replace",
            RotationMode::Create => "create",
            RotationMode::Unknown => "unknown",
        };
        let accepted = self.accepted_at.map(|at| format!(" {at}")).unwrap_or_default();
        format!("{mode} {} {}{accepted}", self.base_revision, self.staged_at)
    }

    fn read(secret: &Secret, value: Option<ClientSecret>) -> Option<Self> {
        let mut parts = secret.annotations().get(PENDING).map(String::as_str).unwrap_or_default().split(' ');
        let mode = match parts.next() {
            Some("rotate") => RotationMode::Overlap,
            Some("create") => RotationMode::Create,
            Some("replace") => RotationMode::Replace,
            Some(_) | None => RotationMode::Unknown,
        };
        let base_revision = parts.next().and_then(revision).unwrap_or_default();
        let mut time = || parts.next().and_then(|time| time.parse().ok());
        let staged_at = time().unwrap_or(Timestamp::UNIX_EPOCH);
        Some(Self { secret: value?, mode, base_revision, staged_at, accepted_at: time() })
    }
}

impl PreviousSecret {
    /// Where an edit removed the time, status has it for a secret that is there.
    fn read(app: &OrgOAuthApp, secret: &Secret) -> Option<Self> {
        let annotated = secret.annotations().get(PREVIOUS_EXPIRES_AT).and_then(|at| at.parse().ok());
        let recorded = || app.status.as_ref()?.rotation.as_ref()?.previous_expires_at.as_ref().map(|at| at.0);
        match (value(secret, PREVIOUS_KEY).map(ClientSecret::new), annotated) {
            (secret, Some(expires_at)) => Some(Self { secret, expires_at }),
            (Some(secret), None) => recorded().map(|expires_at| Self { secret: Some(secret), expires_at }),
            (None, None) => None,
        }
    }
}

/// A number that leaves room to count on.
fn revision(text: &str) -> Option<i64> {
    text.parse().ok().filter(|revision| (0..=MOST_REVISIONS).contains(revision))
}

/// A value that cannot be a credential is treated as missing, and never sent.
fn value(secret: &Secret, key: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(key)?;
    secret_value::read(&bytes.0, secret_value::CREDENTIAL).ok().map(str::to_owned)
}

/// Finds edits, and is no defence against somebody who can read the Secret anyway. It is too short to tell a value by, and
/// the same after a restore.
fn checksum(app: &OrgOAuthApp, secret: &ClientSecret) -> String {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    for part in [app.namespace_any(), &app.name_any(), secret.expose()] {
        hash.write(part.as_bytes());
        // No text in UTF-8 has this byte.
        hash.write(&[0xff]);
    }
    format!("{:08x}", (hash.finish() >> 32) ^ (hash.finish() & 0xffff_ffff))
}

/// FNV-1a, whose result is the same in every version of the operator, as the standard library's need not be.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
