//! The observed state of a reconcile: the resource, what was read, and the progress of each operation that it began.
//! A fact about a secret is stored with that secret, so that none has to be cleared when something else changes.

use super::access::Access;
use super::claims::{fits, recorded_claim};
use super::resource::{client_id, is_observe_only, is_verifiable};
use super::validate::validate;
use crate::claim::{ApiAddress, ClaimKey};
use crate::consumers::{RestartResult, StaleConsumers};
use crate::crd::{Context, OrgOAuthApp, SignedClaim, Workload};
use crate::iam::app_fields::Fields;
use crate::iam::{self, ClientCredentials, ClientId, ClientSecret, Deletion, HeldRoles, RemoteApp, Verification};
use crate::reason::Blocked;
use crate::secret::{OwnedSecret, PreviousSecret, ProvidedSecret, SecretContents, SecretState};
use k8s_openapi::jiff::Timestamp;

/// What is known of the remote app in this reconcile.
#[derive(Clone, Debug)]
pub enum Remote {
    NotRead,
    /// The app as the list of its organization shows it, or `None` if the list does not; the list may be a while old.
    Listed(Option<RemoteApp>),
    /// The API answered 404 for the app.
    Absent,
    Shown(RemoteApp),
    /// The app was created in this reconcile from the present spec.
    JustCreated,
}

/// Whether another resource has the id that `spec.id` names.
#[derive(Clone, Debug)]
pub enum IdOwner {
    /// The other resources were not searched in this reconcile.
    NotRead,
    None,
    Has(Box<OrgOAuthApp>),
}

/// How an app comes to be a resource's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOrigin {
    /// Its id is free, and it is about to be created.
    New,
    /// It was created under the claim that recorded the intent, as is known now.
    Created,
    /// It exists, and the spec adopts it.
    Adopted,
    /// It was this resource's before a restore.
    Restored,
}

#[derive(Clone, Debug)]
pub enum RoleAssignment {
    NotRead,
    /// The app is not a member of its organization.
    Absent,
    /// The API refused to add the app, as it also does if the app is a member already.
    AdditionRefused(iam::Error),
    Has(HeldRoles),
    /// The app was given the roles of the spec in this reconcile.
    JustAssigned,
}

/// The progress of the creation of the app in this reconcile.
#[derive(Clone, Debug)]
pub enum Creation {
    NotTried,
    Refused(iam::Error),
    /// The API created it and issued these credentials, which only this reconcile has.
    Issued(ClientCredentials),
    /// The credentials were written to the Secret, or could not be and are given up.
    Stored,
}

/// What this reconcile did about the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimProgress {
    Unchanged,
    /// The claim was recorded in status.
    Recorded(ClaimOrigin),
    /// The claim was removed from status.
    TakenBack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PendingProgress {
    /// The secret was pending when the reconcile began: an earlier reconcile may have sent it.
    MaybeSent,
    /// The secret was staged in this reconcile and not sent since, so the API cannot know it.
    NotSent,
    Accepted,
    /// The API answered 409, since another rotation is in progress; that may be the one that an earlier reconcile began with this
    /// secret.
    Conflict {
        /// Whether an earlier reconcile may have sent the secret.
        maybe_sent: bool,
    },
    /// An earlier reconcile sent the secret, and the API refused every request with it.
    RotationRefused,
}

/// Whether the overlap of the last rotation was ended early in this reconcile.
#[derive(Clone, Debug, PartialEq)]
pub enum OverlapEnd {
    /// The API was not asked.
    NotTried,
    /// The API accepts only the current secret. This previous one has ended; that of a later rotation has not.
    Ended(Option<PreviousSecret>),
    /// The API refused, or has no such operation.
    Refused,
    /// The API refused that, and a token for the previous secret: it may have ended before, which a second refusal confirms.
    Doubted,
}

/// Whether a client secret is valid, by a token request of this reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity<'a> {
    /// The app has no `client_credentials` grant, so no token request can tell.
    NotVerifiable,
    /// No token was requested.
    NotAsked,
    /// The API issued a token.
    Valid,
    /// The API refused the secret, with this message. One refusal may be false.
    Refused(&'a str),
    /// The API issued no token for another cause, with this message.
    NotKnown(&'a str),
}

/// What this reconcile learned about one client secret.
#[derive(Clone, Debug)]
pub(super) struct SecretFacts {
    pub(crate) secret: ClientSecret,
    pub(crate) progress: PendingProgress,
    pub(crate) verification: Option<Answered>,
}

/// What the API answered to a token request, and when.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(crate) verification: Verification,
    pub(crate) at: Timestamp,
}

/// Whether Kubernetes accepts writes of the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretWriteProgress {
    /// No write was tried lately.
    Unknown,
    Accepted,
    /// Kubernetes accepted a write in this reconcile; whatever still differs was changed by Kubernetes.
    Written,
    /// Kubernetes accepted the last write and left the Secret as it was, as an admission policy that sets labels does.
    Overridden,
}

/// What the list of the organization says of an app that a read does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListCheck {
    /// The list was not read.
    NotAsked,
    /// The API has no list.
    Unsupported,
    Listed,
    NotListed,
}

/// A change that the API accepted, and may not show yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SentChange {
    /// The request fields that the spec stood for.
    pub(crate) desired: Fields,
    /// When it was sent.
    pub(crate) at: Timestamp,
    /// Whether the API showed it since.
    pub(crate) is_shown: bool,
}

/// What a process remembers of a resource between two reconciles. To lose it costs time and nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remembered {
    pub(crate) absent_since: Option<Timestamp>,
    /// The change that was sent last.
    pub(crate) sent: Option<SentChange>,
    /// When a create was sent that got no answer.
    pub(crate) unanswered_create: Option<Timestamp>,
    /// The pending secret, if the API refused every request to set it and so does not know it.
    pub(crate) pending_not_accepted: Option<ClientSecret>,
    /// A secret that a token request with it was refused, and when that was first. A second refusal confirms the first one.
    pub(crate) first_token_refusal: Option<(ClientSecret, Timestamp)>,
    /// The same of a previous secret.
    pub(crate) previous_token_refusal: Option<(ClientSecret, Timestamp)>,
    /// When stale consumers were last searched, and for which revision of the secret.
    pub(crate) consumers_searched: Option<(i64, Timestamp)>,
    /// For which revision of the secret the API last refused to end an overlap, and when.
    pub(crate) end_refused: Option<(i64, Timestamp)>,
    /// For which revision of the secret a request that ends an overlap was sent last and not refused.
    pub(crate) end_sent: Option<i64>,
    /// When such a request was last given up without an answer.
    pub(crate) unanswered_end: Option<Timestamp>,
    pub(crate) deletion_sent: bool,
    /// When the API accepted a deletion.
    pub(crate) deletion_accepted: Option<Timestamp>,
}

impl Remembered {
    /// When the API first refused a token for a secret, if it has issued none since.
    pub(crate) fn refused_since(&self, secret: &ClientSecret) -> Option<Timestamp> {
        let refusals = [&self.first_token_refusal, &self.previous_token_refusal];
        refusals.into_iter().flatten().find(|(refused, _)| refused == secret).map(|(_, since)| *since)
    }
}

/// Everything that is known in a reconcile; each step that is performed adds to it.
#[derive(Clone, Debug)]
pub struct Observed {
    pub app: OrgOAuthApp,
    pub key: ClaimKey,
    /// When the reconcile began.
    pub now: Timestamp,
    /// A secret that was generated for this reconcile, should it need one.
    pub generated_secret: ClientSecret,
    /// Whether it is only to be found out what would be done to the API.
    pub is_preview: bool,
    /// Whether `app` was read or written in this reconcile, and is not from a cache that may lag.
    pub is_uncached: bool,
    pub access: Access,
    /// The request fields that the spec stands for, or why it is refused.
    pub desired: Result<Fields, Blocked>,
    /// The claim in status, if the operator signed it for this resource.
    pub recorded_claim: Option<SignedClaim>,
    /// The Secret, once it was read.
    secret: Option<SecretState>,
    /// The Secret of the rotation, read together with it.
    rotation_secret: Option<SecretState>,
    /// What both hold.
    contents: SecretContents,
    /// The Secret under the name that an earlier spec gave it, once it was read.
    pub old_name_secret: Option<SecretState>,
    /// The secret that the user provides, once it was read.
    pub provided: Option<ProvidedSecret>,
    /// Whether the connection has an access token.
    pub authenticated: bool,
    pub remote: Remote,
    pub roles: RoleAssignment,
    pub id_owner: IdOwner,
    pub creation: Creation,
    pub claim: ClaimProgress,
    pub secret_write: SecretWriteProgress,
    /// The early end of the overlap.
    pub overlap_end: OverlapEnd,
    /// The fields that were changed at the API in this reconcile.
    pub updated: Vec<String>,
    /// What was remembered from earlier reconciles, and is remembered for later ones.
    pub remembered: Remembered,
    /// What the list says of an app that a read does not show.
    pub list: ListCheck,
    /// The answer of the API to the deletion in this reconcile.
    pub deletion: Option<Deletion>,
    /// The pods that use a Secret of the app, once they were looked for.
    pub pods_using: Option<Vec<String>>,
    /// The pods that hold an earlier secret, once they were looked for.
    pub stale_consumers: Option<StaleConsumers>,
    /// The results of restarts in this reconcile.
    pub restarts: Vec<(Workload, RestartResult)>,
    /// One entry for each secret that the reconcile sent or verified.
    facts: Vec<SecretFacts>,
}

impl Observed {
    pub fn new(
        app: OrgOAuthApp,
        access: Access,
        key: ClaimKey,
        now: Timestamp,
        generated_secret: ClientSecret,
    ) -> Self {
        Self {
            desired: validate(&app, &access),
            recorded_claim: recorded_claim(&app, &key),
            app,
            key,
            now,
            generated_secret,
            is_preview: false,
            is_uncached: false,
            access,
            secret: None,
            rotation_secret: None,
            contents: SecretContents::default(),
            old_name_secret: None,
            provided: None,
            authenticated: false,
            remote: Remote::NotRead,
            roles: RoleAssignment::NotRead,
            id_owner: IdOwner::NotRead,
            creation: Creation::NotTried,
            claim: ClaimProgress::Unchanged,
            secret_write: SecretWriteProgress::Unknown,
            overlap_end: OverlapEnd::NotTried,
            updated: Vec::new(),
            remembered: Remembered::default(),
            list: ListCheck::NotAsked,
            deletion: None,
            pods_using: None,
            stale_consumers: None,
            restarts: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// Whether what would change the API becomes a plan.
    pub(crate) fn is_plan_only(&self) -> bool {
        self.is_preview || is_observe_only(&self.app)
    }

    /// Whether what would be written to Kubernetes is written to memory, while the API is only read.
    pub(super) fn writes_in_memory(&self) -> bool {
        self.is_preview && !is_observe_only(&self.app)
    }

    /// The client id that the resource has or will have: chosen by the user, or claimed, or derived from the uid.
    pub fn client_id(&self) -> ClientId {
        self.claim_on_app().map_or_else(|| client_id(&self.app), |claim| ClientId(claim.client_id.clone()))
    }

    /// The claim in status, else the one on the Secret.
    pub(crate) fn claim_on_app(&self) -> Option<&SignedClaim> {
        self.recorded_claim.as_ref().or_else(|| self.restored_claim())
    }

    /// The claim that the operator left on the Secret for a resource of this namespace and name; the guard of Secrets has
    /// verified it.
    pub(crate) fn restored_claim(&self) -> Option<&SignedClaim> {
        let targets = [&self.old_name_secret, &self.secret].into_iter().flatten();
        let mut claims = targets.filter_map(|target| target.owned()?.claim());
        claims.find(|claim| claim.created && fits(&self.app, claim))
    }

    pub(crate) fn owned_secrets(&self) -> impl Iterator<Item = &OwnedSecret> {
        let secrets = [&self.secret, &self.rotation_secret, &self.old_name_secret];
        secrets.into_iter().flatten().filter_map(SecretState::owned)
    }

    /// The Secret, once it was read.
    pub fn secret(&self) -> Option<&SecretState> {
        self.secret.as_ref()
    }

    /// The Secret of the rotation, once both were read.
    pub fn rotation_secret(&self) -> Option<&SecretState> {
        self.rotation_secret.as_ref()
    }

    /// What both Secrets hold; nothing while they were not read.
    pub fn contents(&self) -> &SecretContents {
        &self.contents
    }

    /// Records the Secret as a read or a write shows it.
    pub fn observe_secret(&mut self, secret: SecretState) {
        self.secret = Some(secret);
        self.read_contents();
    }

    /// Records the Secret of the rotation as a read or a write shows it.
    pub fn observe_rotation_secret(&mut self, secret: SecretState) {
        self.rotation_secret = Some(secret);
        self.read_contents();
    }

    /// Forgets both Secrets, so that they are read again.
    pub fn forget_secrets(&mut self) {
        self.secret = None;
        self.rotation_secret = None;
        self.read_contents();
    }

    fn read_contents(&mut self) {
        let secret = self.secret.as_ref().unwrap_or(&SecretState::Absent);
        self.contents = secret.contents(self.rotation_secret.as_ref());
    }

    pub(crate) fn provided_secret(&self) -> Option<&ClientSecret> {
        match &self.provided {
            Some(ProvidedSecret::Value(secret)) => Some(secret),
            Some(ProvidedSecret::Missing(_)) | None => None,
        }
    }

    /// The kind of organization that calls are about.
    pub(crate) fn context(&self) -> Option<Context> {
        match &self.access {
            Access::Granted { context, .. } => self.app.spec.context.or(*context),
            Access::Refused(_) => None,
        }
    }

    /// The API, if it may be used.
    pub(crate) fn address(&self) -> Option<&ApiAddress> {
        match &self.access {
            Access::Granted { address, .. } => Some(address),
            Access::Refused(_) => None,
        }
    }

    pub(crate) fn progress(&self, secret: &ClientSecret) -> PendingProgress {
        let found = if self.remembered.pending_not_accepted.as_ref() == Some(secret) {
            PendingProgress::RotationRefused
        } else {
            PendingProgress::MaybeSent
        };
        self.facts(secret).map_or(found, |facts| facts.progress)
    }

    /// The answer to the last token request with a secret, unless the secret was sent to the API since.
    pub(crate) fn validity(&self, secret: &ClientSecret) -> Validity<'_> {
        if !is_verifiable(&self.app) {
            return Validity::NotVerifiable;
        }
        match self.answered(secret).map(|answered| &answered.verification) {
            None => Validity::NotAsked,
            Some(Verification::Accepted) => Validity::Valid,
            Some(Verification::Refused(api_message)) => Validity::Refused(api_message),
            Some(Verification::NotKnown(api_message)) => Validity::NotKnown(api_message),
        }
    }

    /// When the API answered the token request that `validity` is about.
    pub(crate) fn answered_at(&self, secret: &ClientSecret) -> Option<Timestamp> {
        self.answered(secret).map(|answered| answered.at)
    }

    fn answered(&self, secret: &ClientSecret) -> Option<&Answered> {
        self.facts(secret)?.verification.as_ref()
    }

    fn facts(&self, secret: &ClientSecret) -> Option<&SecretFacts> {
        self.facts.iter().find(|facts| facts.secret == *secret)
    }

    pub(super) fn replace_facts(&mut self, facts: SecretFacts) {
        self.facts.retain(|known| known.secret != facts.secret);
        self.facts.push(facts);
    }
}
