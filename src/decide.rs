//! The only place with policy: from what was observed to the one next step. Pure; every step is derived anew from
//! what is seen, so a crash between two steps is the same as a restart.

mod credential;
mod deletion;
mod faults;
mod ownership;
mod plan;
mod remote_app;
mod roles;

pub use credential::{RotationWaits, next_rotation, requested_rotation_waits};
pub use deletion::outcome_with_retain_hint;
pub use faults::after_fault;
pub use ownership::{comes_first, has_claim, holds_claim, recorded_claim, signed_claim};
pub use plan::Plan;
pub use remote_app::drift;
pub use roles::may_be_old;

use crate::claim::{ApiAddress, ClaimKey};
use crate::crd::{
    Api, Context, DERIVED_ID, FINALIZER, GrantType, ManagementPolicy, OrgOAuthApp, RECONCILE_REQUESTED, Roles,
};
use crate::credentials::{Brought, Content, OurSecret, Target, secret_name};
use crate::definition::{self, Fields};
use crate::reason::Reason;
use crate::remote::{
    ClientId, ClientSecret, Credentials, Deletion, Fault, HeldRoles, NewApp, OrgId, Proof, RemoteApp, Update,
};
use crate::template;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Whether the resource's connection may be used.
#[derive(Clone, Debug)]
pub enum Access {
    /// It may.
    Granted {
        /// Which API.
        address: ApiAddress,
        /// The connection's `context`, which a resource may override.
        context: Option<Context>,
        /// Whether apps that exist already may be taken over.
        adoption: bool,
    },
    /// It may not.
    Refused(Blocked),
}

/// What a person must change, and what they are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Why.
    pub reason: Reason,
    /// One sentence that names the object, the field and what to do.
    pub message: String,
}

impl Blocked {
    /// The reason with its sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// What is known of the remote app in this pass.
#[derive(Clone, Debug)]
pub enum Remote {
    /// Not asked in this pass.
    Unread,
    /// The list of its organization shows it so, or does not show it; the list may be a while old.
    Listed(Option<RemoteApp>),
    /// The API says that there is none.
    Absent,
    /// The API shows it.
    Shown(RemoteApp),
    /// Created in this pass from the present spec.
    AsDefined,
}

/// Whether another resource has the id that `spec.id` names.
#[derive(Clone, Debug)]
pub enum Rival {
    /// Not looked for in this pass.
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
pub enum Membership {
    /// Not asked in this pass.
    Unread,
    /// It was not added to its organization.
    Absent,
    /// It has these.
    Has(HeldRoles),
    /// It was given what the spec says in this pass.
    AsDefined,
}

/// Everything that is known in a pass; each step that is performed adds to it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The resource.
    pub app: OrgOAuthApp,
    /// What the operator signs claims with.
    pub key: ClaimKey,
    /// When the pass began.
    pub now: Timestamp,
    /// A secret that nobody has seen, should the pass need one.
    pub fresh: ClientSecret,
    /// Whether `app` was read or written in this pass, and is not from a cache that may lag.
    pub live: bool,
    /// The connection.
    pub access: Access,
    /// The Secret, once it was read.
    pub secret: Option<Target>,
    /// The Secret under the name that an earlier spec gave it, once it was read.
    pub former: Option<Target>,
    /// The secret that the user brings, once it was read.
    pub brought: Option<Brought>,
    /// Whether an access token is there.
    pub authenticated: bool,
    /// The remote app.
    pub remote: Remote,
    /// Its roles.
    pub membership: Membership,
    /// Another resource with the same id.
    pub rival: Rival,
    /// Whether the id was claimed in this pass, so that nothing with it can be ours from before.
    pub claimed_now: bool,
    /// What the API said to a create in this pass that it refused.
    pub create_refused: Option<Fault>,
    /// Why the API refused to add the app to its organization, which it does to a member too.
    pub addition_refused: Option<Fault>,
    /// Handed out in this pass and not yet in the Secret.
    pub in_hand: Option<Credentials>,
    /// Whether Kubernetes takes the Secret, as far as is known.
    pub secret_accepted: bool,
    /// Whether Kubernetes took the last write of this Secret and left it as it was, as a policy does that sets labels.
    pub secret_overridden: bool,
    /// Whether the Secret was written in this pass; what still differs then is Kubernetes' doing and is left.
    pub published_now: bool,
    /// Whether a secret was staged in this pass, so that the API cannot know it yet.
    pub staged_now: bool,
    /// What the API said in this pass to the secret that is staged.
    pub applied: Option<Applied>,
    /// What the API said to a token request with the secret that is in question.
    pub proof: Option<Proof>,
    /// The fields that were changed at the API in this pass.
    pub updated: Vec<String>,
    /// What the API said to the deletion in this pass.
    pub deletion: Option<Deletion>,
    /// The pods that use the Secret, once they were looked for.
    pub users: Option<Vec<String>>,
}

/// What the API said to a staged secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It took it.
    Taken,
    /// 409: a rotation is under way.
    Conflict,
}

impl Observed {
    /// The start of a pass.
    pub fn new(app: OrgOAuthApp, access: Access, key: ClaimKey, now: Timestamp, fresh: ClientSecret) -> Self {
        Self {
            app,
            key,
            now,
            fresh,
            live: false,
            access,
            secret: None,
            former: None,
            brought: None,
            authenticated: false,
            remote: Remote::Unread,
            membership: Membership::Unread,
            rival: Rival::Unread,
            claimed_now: false,
            create_refused: None,
            addition_refused: None,
            in_hand: None,
            secret_accepted: false,
            secret_overridden: false,
            published_now: false,
            staged_now: false,
            applied: None,
            proof: None,
            updated: Vec::new(),
            deletion: None,
            users: None,
        }
    }

    /// The client id that the resource has or will have: chosen by the user, or claimed, or derived from the uid.
    pub fn client_id(&self) -> ClientId {
        ownership::claimed_id(self).unwrap_or_else(|| client_id(&self.app))
    }

    /// What the Secret holds; nothing while it was not read.
    pub fn content(&self) -> Content {
        self.secret.as_ref().map(|target| target.content(&self.app)).unwrap_or_default()
    }
}

/// The one next thing to do.
#[derive(Clone, Debug)]
pub enum Step {
    /// Read the Secret.
    ReadSecret,
    /// Read the Secret under the name that an earlier spec gave it.
    ReadFormerSecret(String),
    /// Read the secret that the user brings.
    ReadBroughtSecret,
    /// Read the resource itself, past the cache.
    ReadResource,
    /// Look for pods that use the Secret.
    FindUsers,
    /// Call the API.
    Call(Call),
    /// Look for another resource with the same id.
    FindRival,
    /// Add the finalizer.
    AddFinalizer,
    /// Record in status that the id is about to be used.
    Claim {
        /// The id.
        id: ClientId,
        /// How the app comes to be the resource's.
        origin: ClaimOrigin,
    },
    /// Take that record back.
    Unclaim,
    /// Find out whether Kubernetes would take a Secret that holds this.
    TrySecret(Content),
    /// Make the Secret hold this.
    Write(Content, Because),
    /// Remove a Secret that Kubernetes does not delete with the resource.
    RemoveSecret(OurSecret),
    /// Remove a Secret that was written under an earlier name.
    RemoveFormer(OurSecret),
    /// Take the marks of the operator off the Secret.
    ReleaseSecret(OurSecret),
    /// Let the resource go.
    DropFinalizer,
    /// Nothing more in this pass.
    Finish(Outcome),
}

/// Why the Secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The API handed a credential out.
    HandedOut,
    /// A new secret is about to be sent to the API.
    Staged,
    /// The API has the staged secret, which replaces one that was lost or is not trusted.
    Replaced,
    /// The API has the staged secret beside the one before.
    Rotated,
    /// The secret before the current one is no longer valid.
    Expired,
    /// The spec names another Secret.
    Moved,
    /// The value is not the published one, and the API accepts it.
    Proven,
    /// Only the client id is known.
    IdOnly,
    /// It differs from what it should be.
    PutBack,
    /// Only the claim on it is not the one that the operator signs now.
    Signed,
}

/// One call to the API.
#[derive(Clone, Debug)]
pub enum Call {
    /// Make sure that there is an access token.
    Authenticate,
    /// Read the remote app.
    Read(ClientId),
    /// Look it up in the list of its organization.
    Look(ClientId),
    /// Create the remote app.
    Create(NewApp),
    /// Change the remote app.
    Update(ClientId, Update),
    /// Make the staged secret the only valid one.
    Replace(ClientId, Update),
    /// Make the staged secret valid beside the current one, for so long.
    Rotate(ClientId, ClientSecret, Duration),
    /// Ask for a token with this secret.
    Prove(ClientId, ClientSecret),
    /// Read the roles of the app.
    ReadRoles(ClientId),
    /// Add the app to its organization.
    AddToOrganization(ClientId, Option<Context>, Roles),
    /// Give roles and take roles.
    ChangeRoles {
        /// The app.
        id: ClientId,
        /// The roles that it lacks.
        add: Roles,
        /// The roles that it should not have.
        remove: Roles,
    },
    /// Delete the remote app.
    Delete(ClientId),
}

/// How a pass ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is as the spec says.
    Settled {
        /// When something is to be done again, before the next look for drift.
        wake: Option<Timestamp>,
    },
    /// Nothing was written to the API, because the spec says so; this is what would be.
    Observed(Plan),
    /// The spec says that nothing is to be done.
    Suspended,
    /// The resource is let go.
    Gone,
    /// A person must change something.
    Blocked(Blocked),
    /// It goes on by itself later.
    Waiting {
        /// Why.
        reason: Reason,
        /// One sentence.
        message: String,
        /// Not before this instant.
        until: Option<Instant>,
    },
}

/// A step, or `None` where nothing is to be done.
type Next = Result<Option<Step>, Blocked>;

/// The client id that a resource begins with: chosen by the user, or derived from the uid.
pub fn client_id(app: &OrgOAuthApp) -> ClientId {
    ClientId(app.spec.id.clone().unwrap_or_else(|| format!("{DERIVED_ID}{}", app.uid().unwrap_or_default())))
}

/// The organization of a resource.
pub fn org_id(app: &OrgOAuthApp) -> OrgId {
    OrgId(app.spec.org_id.clone())
}

/// The next step.
pub fn decide(seen: &Observed) -> Step {
    let step = match (&seen.app.metadata.deletion_timestamp, observes(&seen.app)) {
        (Some(_), _) => deletion::step(seen),
        (None, false) => provide(seen),
        (None, true) => plan::observe(seen),
    };
    let step = step.and_then(|step| match step {
        Step::Write(content, because) => Ok(Step::Write(dressed(seen, content)?, because)),
        Step::TrySecret(content) => Ok(Step::TrySecret(dressed(seen, content)?)),
        step => Ok(step),
    });
    step.unwrap_or_else(|blocked| Step::Finish(Outcome::Blocked(blocked)))
}

/// With the operator's claim, and the keys that `secret.template` adds once there is a credential to fill them with.
fn dressed(seen: &Observed, content: Content) -> Result<Content, Blocked> {
    let whole = content.current.is_some() || is_public(&seen.app);
    let extra = match &content.client_id {
        Some(id) if whole => fill(seen, id, content.current.as_ref())?,
        Some(_) | None => BTreeMap::new(),
    };
    let claim = signed_claim(seen).or_else(|| content.claim.clone());
    Ok(Content { claim, extra, ..content })
}

fn fill(
    seen: &Observed,
    client_id: &ClientId,
    client_secret: Option<&ClientSecret>,
) -> Result<BTreeMap<String, ClientSecret>, Blocked> {
    let org_id = &org_id(&seen.app);
    let token_url = match &seen.access {
        Access::Granted { address, .. } => template::token_url(address.api, &address.endpoint, org_id),
        Access::Refused(_) => String::new(),
    };
    let values = template::Values { client_id, client_secret, org_id, token_url };
    let filled = template::fill(&seen.app.spec.secret.template, &values);
    filled.map_err(|message| Blocked::new(Reason::TemplateInvalid, message))
}

/// For a resource that is wanted: the app exists as the spec says, and the Secret holds its credential.
fn provide(seen: &Observed) -> Result<Step, Blocked> {
    if seen.app.spec.suspend {
        return Ok(Step::Finish(Outcome::Suspended));
    }
    let fields = admit(seen)?;
    if let Some(step) = look_at_secrets(seen)? {
        return Ok(step);
    }
    if let Some(credentials) = &seen.in_hand {
        return Ok(credential::publish_handed_out(seen, credentials));
    }
    if let Some(step) = ownership::step(seen)? {
        return Ok(step);
    }
    for part in [credential::step, remote_app::step, roles::step, credential::last] {
        if let Some(step) = part(seen, &fields)? {
            return Ok(step);
        }
    }
    Ok(Step::Finish(Outcome::Settled { wake: credential::wake(seen) }))
}

/// What can be refused before any call is.
fn admit(seen: &Observed) -> Result<Fields, Blocked> {
    match &seen.access {
        Access::Refused(blocked) => Err(blocked.clone()),
        Access::Granted { address, .. } => {
            admit_secret(seen)?;
            definition::fields(address.api, &seen.app.spec)
                .map_err(|message| Blocked::new(Reason::InvalidSpec, format!("{message}; remove it from spec")))
        }
    }
}

/// A template that cannot be filled, or fills more than Kubernetes stores, is found before anything is created.
fn admit_secret(seen: &Observed) -> Result<(), Blocked> {
    let (app, id) = (&seen.app, seen.client_id());
    let secret = (!is_public(app)).then(Content::longest_secret);
    let extra = fill(seen, &id, secret.as_ref())?;
    match Content::largest(&id, secret.as_ref(), extra).size_problem(app) {
        Some(problem) => Err(Blocked::new(Reason::SecretTooLarge, problem)),
        None => Ok(()),
    }
}

/// The Secrets of Kubernetes come before any call, so that a name that is taken costs none.
fn look_at_secrets(seen: &Observed) -> Next {
    let app = &seen.app;
    match &seen.secret {
        Some(Target::Foreign) => return Err(secret_conflict(app)),
        Some(Target::Ours(secret)) if secret.is_being_deleted() => return Ok(Some(secret_being_deleted(app))),
        Some(Target::Ours(_) | Target::Free) | None => {}
    }
    if let Some(step) = read_secrets(seen) {
        return Ok(Some(step));
    }
    match (&app.spec.client_secret_ref, &seen.brought) {
        (Some(_), None) => Ok(Some(Step::ReadBroughtSecret)),
        (Some(_), Some(Brought::Missing(why))) => Err(Blocked::new(Reason::SecretRefInvalid, why.clone())),
        (Some(_), Some(Brought::Value(_))) | (None, _) => Ok(None),
    }
}

/// The Secret, and the one under the name that an earlier spec gave it.
fn read_secrets(seen: &Observed) -> Option<Step> {
    match (&seen.secret, &seen.former, former_name(&seen.app)) {
        (None, _, _) => Some(Step::ReadSecret),
        (Some(_), None, Some(name)) => Some(Step::ReadFormerSecret(name)),
        (Some(_), Some(_), _) | (Some(_), None, None) => None,
    }
}

/// The name under which status says that the credential is, when the spec no longer names it.
fn former_name(app: &OrgOAuthApp) -> Option<String> {
    let name = app.status.as_ref()?.secret_name.clone()?;
    (name != secret_name(app)).then_some(name)
}

/// The finalizer comes before the first call that changes something, and a token before the finalizer, so that a
/// resource whose connection never worked can be deleted without it.
fn attach(seen: &Observed) -> Option<Step> {
    // Who only observes has nothing to clean up.
    if observes(&seen.app) || seen.app.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        None
    } else if seen.authenticated {
        Some(Step::AddFinalizer)
    } else {
        Some(Step::Call(Call::Authenticate))
    }
}

/// A cache that lags could show a resource that is already gone; nothing is created for such a one.
fn go_live(seen: &Observed) -> Option<Step> {
    (!seen.live && !observes(&seen.app)).then_some(Step::ReadResource)
}

fn create(seen: &Observed, fields: &Fields) -> Step {
    if let Some(fault) = &seen.create_refused {
        return refused(seen, fault);
    }
    if let Some(step) = try_secret(seen).or_else(|| credential::stage_before_create(seen)) {
        return step;
    }
    let staged = seen.content().next.map(|next| next.secret);
    let secret = credential::brought(seen).cloned().or(staged);
    let new = NewApp { id: seen.client_id(), context: context(seen), fields: fields.clone(), secret };
    go_live(seen).unwrap_or(Step::Call(Call::Create(new)))
}

/// A Secret that Kubernetes would refuse is found out before the API hears of the app.
fn try_secret(seen: &Observed) -> Option<Step> {
    if seen.secret_accepted || observes(&seen.app) {
        return None;
    }
    let sample = (!is_public(&seen.app)).then(|| seen.fresh.clone());
    Some(Step::TrySecret(seen.content().publish(&seen.app, &seen.client_id(), sample, seen.now)))
}

/// The API refused to create the app. Where it shows none, a chosen id is free for others again.
fn refused(seen: &Observed, fault: &Fault) -> Step {
    match matches!(seen.remote, Remote::Absent) && ownership::is_intent(seen) {
        true => Step::Unclaim,
        false => Step::Finish(after_fault(&seen.app, fault.clone())),
    }
}

fn context(seen: &Observed) -> Option<Context> {
    match &seen.access {
        Access::Granted { context, .. } => seen.app.spec.context.or(*context),
        Access::Refused(_) => None,
    }
}

fn api(seen: &Observed) -> Option<Api> {
    match &seen.access {
        Access::Granted { address, .. } => Some(address.api),
        Access::Refused(_) => None,
    }
}

fn observes(app: &OrgOAuthApp) -> bool {
    app.spec.management_policy == ManagementPolicy::Observe
}

fn is_public(app: &OrgOAuthApp) -> bool {
    app.spec.public_client == Some(true)
}

/// Whether a token request can show that a secret is valid.
fn is_provable(app: &OrgOAuthApp) -> bool {
    app.spec.grant_types.contains(&GrantType::ClientCredentials)
}

/// A value of the request annotation that was not acted upon yet.
pub fn reconcile_requested(app: &OrgOAuthApp) -> Option<&String> {
    let handled = app.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    app.annotations().get(RECONCILE_REQUESTED).filter(|asked| handled != Some(asked))
}

fn secret_conflict(app: &OrgOAuthApp) -> Blocked {
    let name = secret_name(app);
    let message = format!(
        "Secret {name} exists and is not controlled by this resource; remove it or choose another spec.secret.name"
    );
    Blocked::new(Reason::SecretConflict, message)
}

fn secret_being_deleted(app: &OrgOAuthApp) -> Step {
    Step::Finish(Outcome::Waiting {
        reason: Reason::SecretNotWritten,
        message: format!("Secret {} is being deleted and kept by a finalizer; remove its finalizers", secret_name(app)),
        until: None,
    })
}

#[cfg(test)]
mod tests;
