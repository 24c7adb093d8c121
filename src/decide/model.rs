//! What is known in a reconcile: the resource, what was read, and how far each thing that it began has come.
//! Facts name their subject, so that none has to be cleared when something else changes.

use super::access::Access;
use super::claims::{fits, recorded_claim};
use super::resource::{client_id, is_provable};
use super::validate::validate;
use crate::claim::{ApiAddress, ClaimKey};
use crate::consumers::{RestartResult, StaleConsumers};
use crate::crd::{Context, OrgOAuthApp, SignedClaim, Workload};
use crate::iam::app_fields::Fields;
use crate::iam::{self, ClientCredentials, ClientId, ClientSecret, Deletion, HeldRoles, RemoteApp, Verification};
use crate::reason::Blocked;
use crate::secret::{OwnedSecret, ProvidedSecret, SecretContents, SecretState};
use k8s_openapi::jiff::Timestamp;

/// What is known of the remote app in this reconcile.
#[derive(Clone, Debug)]
pub enum Remote {
    /// Not asked in this reconcile.
    Unread,
    /// The list of its organization shows it so, or does not show it; the list may be a while old.
    Listed(Option<RemoteApp>),
    /// The API says that there is none.
    Absent,
    /// The API shows it.
    Shown(RemoteApp),
    /// Created in this reconcile from the present spec.
    AsDefined,
}

/// Whether another resource has the id that `spec.id` names.
#[derive(Clone, Debug)]
pub enum IdOwner {
    /// Not looked for in this reconcile.
    Unread,
    /// None has.
    None,
    /// This one has.
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

/// The roles of the app in its organization.
#[derive(Clone, Debug)]
pub enum RoleAssignment {
    /// Not asked in this reconcile.
    Unread,
    /// It was not added to its organization.
    Absent,
    /// The API refused to add it, which it does to a member too.
    AdditionRefused(iam::Error),
    /// It has these.
    Has(HeldRoles),
    /// It was given what the spec says in this reconcile.
    AsDefined,
}

/// How far the creation of the app has come in this reconcile.
#[derive(Clone, Debug)]
pub enum Creation {
    /// The API was not asked to create it.
    NotTried,
    /// The API refused.
    Refused(iam::Error),
    /// The API created it and issued these credentials, which only this reconcile has.
    Issued(ClientCredentials),
    /// The credentials were written to the Secret, or could not be and are given up.
    Stored,
}

/// What this reconcile did about the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimProgress {
    /// Nothing: it is as it was found.
    Unchanged,
    /// It was recorded.
    Recorded(ClaimOrigin),
    /// It was taken back.
    TakenBack,
}

/// How far a pending secret has come in this reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingProgress {
    /// It was found: an earlier reconcile may have sent it.
    Found,
    /// It was staged in this reconcile, so that the API cannot know it.
    Staged,
    /// The API accepted it.
    Accepted,
    /// The API refused it with 409, since another rotation is in progress; perhaps the one that an earlier reconcile began with
    /// it, if it was found.
    Conflict {
        /// Whether it was found.
        was_found: bool,
    },
    /// It was found, and the API refused every request with it, so that it cannot know it.
    Refused,
}

/// Whether a client secret is valid, as far as this reconcile knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity<'a> {
    /// The app can have no token of its own, so nothing can tell.
    NotProvable,
    /// The API was not asked.
    NotAsked,
    /// The API issued a token for it.
    Valid,
    /// The API refused it, in these words.
    Invalid(&'a str),
    /// The API issued no token for another cause, in these words.
    NotKnown(&'a str),
}

/// What this reconcile learned about one client secret.
#[derive(Clone, Debug)]
pub(super) struct SecretFacts {
    pub secret: ClientSecret,
    pub progress: PendingProgress,
    pub verification: Option<Answered>,
}

/// What the API answered to a token request, and when.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub verification: Verification,
    pub at: Timestamp,
}

/// What Kubernetes does with writes of the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretWriteProgress {
    /// Not known.
    Unknown,
    /// It accepts them.
    Accepted,
    /// It accepted one in this reconcile; what still differs then is its own doing.
    Written,
    /// It accepted the last one and left the Secret as it was, as a policy does that sets labels.
    Overridden,
}

/// What the list of the organization says of an app that a read does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListCheck {
    /// It was not asked.
    NotAsked,
    /// The API has no list.
    Unsupported,
    /// It has the app.
    Listed,
    /// It does not have the app.
    NotListed,
}

/// A change that the API accepted, and may not show yet.
#[derive(Clone, Debug, PartialEq)]
pub struct SentChange {
    /// The request fields that the spec stood for.
    pub desired: Fields,
    /// When it was sent.
    pub at: Timestamp,
    /// Whether the API showed it since.
    pub is_shown: bool,
}

/// What a process remembers of a resource between two reconciles. To lose it costs time and nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remembered {
    /// Since when the API does not show the app.
    pub absent_since: Option<Timestamp>,
    /// The change that was sent last.
    pub sent: Option<SentChange>,
    /// When a create was sent that got no answer.
    pub unanswered_create: Option<Timestamp>,
    /// The pending secret, if the API refused every request to set it.
    pub refused_pending: Option<ClientSecret>,
    /// A secret for which the API issues no token, and since when.
    pub refused: Option<(ClientSecret, Timestamp)>,
    /// When stale consumers were last searched, and for which revision of the secret.
    pub consumers_searched: Option<(i64, Timestamp)>,
    /// Whether a deletion was sent.
    pub deletion_sent: bool,
    /// When the API accepted a deletion.
    pub deletion_accepted: Option<Timestamp>,
}

impl Remembered {
    /// Since when the API refuses a secret, if it does.
    pub fn refused_since(&self, secret: &ClientSecret) -> Option<Timestamp> {
        self.refused.as_ref().filter(|(refused, _)| refused == secret).map(|(_, since)| *since)
    }
}

/// Everything that is known in a reconcile; each step that is performed adds to it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The resource.
    pub app: OrgOAuthApp,
    /// What the operator signs claims with.
    pub key: ClaimKey,
    /// When the reconcile began.
    pub now: Timestamp,
    /// A secret that was generated for this reconcile, should it need one.
    pub generated_secret: ClientSecret,
    /// Whether `app` was read or written in this reconcile, and is not from a cache that may lag.
    pub is_uncached: bool,
    /// The connection.
    pub access: Access,
    /// The request fields that the spec stands for, or why it is refused.
    pub desired: Result<Fields, Blocked>,
    /// The claim in status, if the operator signed it for this resource.
    pub recorded_claim: Option<SignedClaim>,
    /// The Secret, once it was read.
    pub secret: Option<SecretState>,
    /// The Secret of the rotation, read together with it.
    pub rotation_secret: Option<SecretState>,
    /// The Secret under the name that an earlier spec gave it, once it was read.
    pub previous_target: Option<SecretState>,
    /// The secret that the user provides, once it was read.
    pub provided: Option<ProvidedSecret>,
    /// Whether an access token is there.
    pub authenticated: bool,
    /// The remote app.
    pub remote: Remote,
    /// Its roles.
    pub roles: RoleAssignment,
    /// Another resource with the same id.
    pub id_owner: IdOwner,
    /// The creation.
    pub creation: Creation,
    /// The claim.
    pub claim: ClaimProgress,
    /// Writes of the Secret.
    pub secret_write: SecretWriteProgress,
    /// The fields that were changed at the API in this reconcile.
    pub updated: Vec<String>,
    /// What was remembered from earlier reconciles, and is remembered for later ones.
    pub remembered: Remembered,
    /// What the list says of an app that a read does not show.
    pub list: ListCheck,
    /// What the API said to the deletion in this reconcile.
    pub deletion: Option<Deletion>,
    /// The pods that use a Secret of the app, once they were looked for.
    pub users: Option<Vec<String>>,
    /// The pods that hold an earlier secret, once they were looked for.
    pub stale_consumers: Option<StaleConsumers>,
    /// What came of restarts in this reconcile.
    pub restarts: Vec<(Workload, RestartResult)>,
    /// Of the few secrets that a reconcile has to do with.
    facts: Vec<SecretFacts>,
}

impl Observed {
    /// The start of a reconcile.
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
            is_uncached: false,
            access,
            secret: None,
            rotation_secret: None,
            previous_target: None,
            provided: None,
            authenticated: false,
            remote: Remote::Unread,
            roles: RoleAssignment::Unread,
            id_owner: IdOwner::Unread,
            creation: Creation::NotTried,
            claim: ClaimProgress::Unchanged,
            secret_write: SecretWriteProgress::Unknown,
            updated: Vec::new(),
            remembered: Remembered::default(),
            list: ListCheck::NotAsked,
            deletion: None,
            users: None,
            stale_consumers: None,
            restarts: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// The client id that the resource has or will have: chosen by the user, or claimed, or derived from the uid.
    pub fn client_id(&self) -> ClientId {
        self.claim_on_app().map_or_else(|| client_id(&self.app), |claim| ClientId(claim.client_id.clone()))
    }

    /// The claim in status, else the one on the Secret.
    pub fn claim_on_app(&self) -> Option<&SignedClaim> {
        self.recorded_claim.as_ref().or_else(|| self.restored_claim())
    }

    /// The claim that the operator left on the Secret for a resource of this namespace and name; the guard of Secrets has
    /// verified it.
    pub fn restored_claim(&self) -> Option<&SignedClaim> {
        let targets = [&self.previous_target, &self.secret].into_iter().flatten();
        let mut claims = targets.filter_map(|target| target.owned()?.claim());
        claims.find(|claim| claim.created && fits(&self.app, claim))
    }

    /// The Secrets that the resource controls.
    pub fn owned_secrets(&self) -> impl Iterator<Item = &OwnedSecret> {
        let secrets = [&self.secret, &self.rotation_secret, &self.previous_target];
        secrets.into_iter().flatten().filter_map(SecretState::owned)
    }

    /// What both Secrets hold; nothing while they were not read.
    pub fn contents(&self) -> SecretContents {
        self.secret.as_ref().unwrap_or(&SecretState::Absent).contents(self.rotation_secret.as_ref())
    }

    /// The secret that the user provides.
    pub fn provided_secret(&self) -> Option<&ClientSecret> {
        match &self.provided {
            Some(ProvidedSecret::Value(secret)) => Some(secret),
            Some(ProvidedSecret::Missing(_)) | None => None,
        }
    }

    /// The kind of organization that calls are about.
    pub fn context(&self) -> Option<Context> {
        match &self.access {
            Access::Granted { context, .. } => self.app.spec.context.or(*context),
            Access::Refused(_) => None,
        }
    }

    /// The API, if it may be used.
    pub fn address(&self) -> Option<&ApiAddress> {
        match &self.access {
            Access::Granted { address, .. } => Some(address),
            Access::Refused(_) => None,
        }
    }

    /// How far a secret has come in this reconcile.
    pub fn progress(&self, secret: &ClientSecret) -> PendingProgress {
        let found = if self.remembered.refused_pending.as_ref() == Some(secret) {
            PendingProgress::Refused
        } else {
            PendingProgress::Found
        };
        self.facts(secret).map_or(found, |facts| facts.progress)
    }

    /// What a token request said of a secret, since the API last changed what it knows of it.
    pub fn validity(&self, secret: &ClientSecret) -> Validity<'_> {
        if !is_provable(&self.app) {
            return Validity::NotProvable;
        }
        match self.answered(secret).map(|answered| &answered.verification) {
            None => Validity::NotAsked,
            Some(Verification::Accepted) => Validity::Valid,
            Some(Verification::Refused(said)) => Validity::Invalid(said),
            Some(Verification::NotKnown(said)) => Validity::NotKnown(said),
        }
    }

    /// When the API answered to the token request that `validity` is about.
    pub fn answered_at(&self, secret: &ClientSecret) -> Option<Timestamp> {
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
