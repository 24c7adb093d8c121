//! The only place with policy: from what was observed to the one next step. Pure; every step is derived anew from
//! what is seen, so a crash between two steps is the same as a restart.

use crate::crd::{Api, ConditionStatus, ConditionType, Context, DeletionPolicy, FINALIZER, OrgOAuthApp};
use crate::credentials::{OurSecret, Target, secret_name};
use crate::definition::{self, Fields};
use crate::reason::Reason;
use crate::remote::{ClientId, Credentials, Deletion, Fault, NewApp, OrgId, RemoteApp};
use kube::ResourceExt;
use std::time::Instant;

/// Whether the resource's connection may be used.
#[derive(Clone, Debug)]
pub enum Access {
    /// It may.
    Granted {
        /// The kind of API.
        api: Api,
        /// The connection's `context`, which a resource may override.
        context: Option<Context>,
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
    /// This one, as `namespace/name`.
    Has(String),
}

/// Everything that is known in a pass; each step that is performed adds to it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The resource.
    pub app: OrgOAuthApp,
    /// Whether `app` was read or written in this pass, and is not from a cache that may lag.
    pub live: bool,
    /// The connection.
    pub access: Access,
    /// The Secret, once it was read.
    pub secret: Option<Target>,
    /// Whether an access token is there.
    pub authenticated: bool,
    /// The remote app.
    pub remote: Remote,
    /// Another resource with the same id.
    pub rival: Rival,
    /// Whether the id was claimed in this pass, so that nothing with it can be ours from before.
    pub claimed_now: bool,
    /// What the API said to a create in this pass that it refused.
    pub create_refused: Option<Fault>,
    /// Handed out in this pass and not yet in the Secret.
    pub in_hand: Option<Credentials>,
    /// Somebody else wrote the Secret while credentials were in hand, so its value may be the older one.
    pub secret_suspect: bool,
    /// Whether Kubernetes, asked without effect, would store the Secret.
    pub secret_storable: bool,
    /// Whether the Secret was written in this pass; what still differs then is Kubernetes' doing and is left.
    pub published_now: bool,
    /// What the API said to the deletion in this pass.
    pub deletion: Option<Deletion>,
}

impl Observed {
    /// The start of a pass.
    pub fn new(app: OrgOAuthApp, access: Access) -> Self {
        Self {
            app,
            live: false,
            access,
            secret: None,
            authenticated: false,
            remote: Remote::Unread,
            rival: Rival::Unread,
            claimed_now: false,
            create_refused: None,
            in_hand: None,
            secret_suspect: false,
            secret_storable: false,
            published_now: false,
            deletion: None,
        }
    }
}

/// The one next thing to do.
#[derive(Clone, Debug)]
pub enum Step {
    /// Read the Secret.
    ReadSecret,
    /// Read the resource itself, past the cache.
    ReadResource,
    /// Call the API.
    Call(Call),
    /// Look for another resource with the same id.
    FindRival,
    /// Add the finalizer.
    AddFinalizer,
    /// Record in status that the id was found free and is about to be used.
    Claim(ClientId),
    /// Take that record back.
    Unclaim,
    /// Ask Kubernetes whether it would store the Secret.
    TryPublish(ClientId),
    /// Write the credentials into the Secret.
    Publish(Credentials),
    /// Take the marks of the operator off the Secret.
    ReleaseSecret(OurSecret),
    /// Let the resource go.
    DropFinalizer,
    /// Nothing more in this pass.
    Finish(Outcome),
}

/// One call to the API.
#[derive(Clone, Debug)]
pub enum Call {
    /// Make sure that there is an access token.
    Authenticate,
    /// Read the remote app.
    Read(ClientId),
    /// Create the remote app.
    Create(NewApp),
    /// Replace the client secret at once.
    Regenerate(ClientId),
    /// Delete the remote app.
    Delete(ClientId),
}

/// How a pass ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is as the spec says.
    Settled,
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

/// The client id that a resource has or will have: chosen by the user, or derived from the uid.
pub fn client_id(app: &OrgOAuthApp) -> ClientId {
    ClientId(app.spec.id.clone().unwrap_or_else(|| format!("ooa-{}", app.uid().unwrap_or_default())))
}

/// The organization of a resource.
pub fn org_id(app: &OrgOAuthApp) -> OrgId {
    OrgId(app.spec.org_id.clone())
}

/// Whether another resource with the same `spec.id` at the same API comes first: it has claimed the id, or neither
/// has and it is older.
pub fn rival(app: &OrgOAuthApp, other: &OrgOAuthApp) -> bool {
    let id = client_id(app);
    let age = |app: &OrgOAuthApp| (app.creation_timestamp(), app.uid());
    other.uid() != app.uid() && (has_claimed(other, &id) || (!has_claimed(app, &id) && age(other) < age(app)))
}

/// The next step.
pub fn decide(seen: &Observed) -> Step {
    let step = if seen.app.metadata.deletion_timestamp.is_some() { delete(seen) } else { provide(seen) };
    step.unwrap_or_else(|blocked| Step::Finish(Outcome::Blocked(blocked)))
}

/// For a resource that is wanted: the app exists and the Secret holds its credential.
fn provide(seen: &Observed) -> Result<Step, Blocked> {
    let fields = admit(seen)?;
    let Some(target) = &seen.secret else { return Ok(Step::ReadSecret) };
    if matches!(target, Target::Foreign) {
        return Err(secret_conflict(&seen.app));
    }
    if let Some(credentials) = &seen.in_hand {
        return Ok(Step::Publish(credentials.clone()));
    }
    let id = client_id(&seen.app);
    if !is_ours(seen, target, &id) {
        return claim(seen, id);
    }
    if let Some(step) = attach(seen) {
        return Ok(step);
    }
    match published(&seen.app, target, &id).filter(|_| !seen.secret_suspect) {
        Some(credentials) => keep(seen, target, credentials, fields),
        None => match moved(&seen.app, target) {
            Some(field) => Err(change_not_supported(&[field])),
            None => issue(seen, id, fields),
        },
    }
}

/// The credential is there, under the name or key that an earlier spec gave it.
fn moved(app: &OrgOAuthApp, target: &Target) -> Option<String> {
    let status = app.status.as_ref()?;
    let changed = status.observed_generation != app.metadata.generation;
    let renamed = status.secret_name.as_ref().is_some_and(|name| *name != secret_name(app));
    let rekeyed = changed && matches!(target, Target::Ours(secret) if secret.holds_other_keys(app));
    renamed.then(|| "secret.name".into()).or(rekeyed.then(|| "secret.keys".into()))
}

/// What can be refused before any call is.
fn admit(seen: &Observed) -> Result<Fields, Blocked> {
    let unsupported = definition::not_supported(&seen.app.spec);
    if !unsupported.is_empty() {
        let message = format!("this version does not act upon spec.{}; remove it", unsupported.join(", spec."));
        return Err(Blocked::new(Reason::NotSupported, message));
    }
    match &seen.access {
        Access::Refused(blocked) => Err(blocked.clone()),
        Access::Granted { api, .. } => definition::fields(*api, &seen.app.spec)
            .map_err(|message| Blocked::new(Reason::InvalidSpec, format!("{message}; remove it from spec"))),
    }
}

/// An id derived from the uid is ours by itself; a chosen one only once it was claimed or published.
fn is_ours(seen: &Observed, target: &Target, id: &ClientId) -> bool {
    let published = matches!(target, Target::Ours(secret) if secret.client_id(&seen.app).as_ref() == Some(id));
    seen.app.spec.id.is_none() || has_claimed(&seen.app, id) || published
}

/// Whether status records that the id was found free and is used by this resource.
pub fn has_claimed(app: &OrgOAuthApp, id: &ClientId) -> bool {
    app.status.as_ref().and_then(|status| status.client_id.as_ref()) == Some(&id.0)
}

/// Before a chosen id is used, no other resource may have it, the API must say that it is free, and the intent must be
/// durable. The finalizer comes last, so that a resource which never gets the id can be deleted without the API.
fn claim(seen: &Observed, id: ClientId) -> Result<Step, Blocked> {
    match (&seen.rival, &seen.remote) {
        (Rival::Unread, _) => Ok(Step::FindRival),
        (Rival::Has(other), _) => Err(id_conflict(&id, other)),
        (Rival::None, Remote::Unread) => Ok(Step::Call(Call::Read(id))),
        (Rival::None, Remote::Shown(_) | Remote::AsDefined) => Err(id_taken(&id)),
        (Rival::None, Remote::Absent) => Ok(attach(seen).or_else(|| go_live(seen)).unwrap_or(Step::Claim(id))),
    }
}

/// The finalizer comes before the first call that changes something, and a token before the finalizer, so that a
/// resource whose connection never worked can be deleted without it.
fn attach(seen: &Observed) -> Option<Step> {
    if seen.app.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        None
    } else if seen.authenticated {
        Some(Step::AddFinalizer)
    } else {
        Some(Step::Call(Call::Authenticate))
    }
}

/// A cache that lags could show a resource that is already gone; nothing is created for such a one.
fn go_live(seen: &Observed) -> Option<Step> {
    (!seen.live).then_some(Step::ReadResource)
}

/// The credential that the Secret holds: its secret under the app's true id, whatever the id key was edited to.
fn published(app: &OrgOAuthApp, target: &Target, id: &ClientId) -> Option<Credentials> {
    let Target::Ours(secret) = target else { return None };
    let client_secret = secret.client_secret(app);
    let complete = client_secret.is_some() || (is_public(app) && secret.client_id(app).is_some());
    complete.then(|| Credentials { client_id: id.clone(), client_secret })
}

/// The Secret holds a credential: put edits back, and see that the API has what a changed spec says.
fn keep(seen: &Observed, target: &Target, credentials: Credentials, fields: Fields) -> Result<Step, Blocked> {
    if let Target::Ours(secret) = target
        && !seen.published_now
        && !secret.is_published(&seen.app, &credentials)
    {
        return Ok(Step::Publish(credentials));
    }
    if is_synced(&seen.app) {
        return Ok(Step::Finish(Outcome::Settled));
    }
    match &seen.remote {
        Remote::AsDefined => Ok(Step::Finish(Outcome::Settled)),
        Remote::Unread => Ok(Step::Call(Call::Read(credentials.client_id))),
        Remote::Absent => Ok(create(seen, credentials.client_id, fields)),
        Remote::Shown(shown) => match definition::differences(&fields, &shown.fields) {
            same if same.is_empty() => Ok(Step::Finish(Outcome::Settled)),
            changed => Err(change_not_supported(&changed)),
        },
    }
}

/// The Secret holds no credential: create the app, or replace the secret of the one that is there.
fn issue(seen: &Observed, id: ClientId, fields: Fields) -> Result<Step, Blocked> {
    // Kubernetes refused the Secret before: no further client secret is asked for only to be thrown away.
    if !seen.secret_storable && was_refused(&seen.app) {
        return Ok(Step::TryPublish(id));
    }
    let was_there = has_claimed(&seen.app, &id) && !seen.claimed_now;
    match (&seen.remote, &seen.create_refused) {
        (Remote::Unread, None) if was_there => Ok(Step::Call(Call::Read(id))),
        (Remote::Unread, None) | (Remote::Absent, None) => Ok(create(seen, id, fields)),
        (Remote::Unread, Some(_)) => Ok(Step::Call(Call::Read(id))),
        (Remote::Absent, Some(fault)) => Ok(Step::Finish(after_fault(&seen.app, fault.clone()))),
        (Remote::Shown(_), _) if seen.claimed_now => Ok(Step::Unclaim),
        (Remote::Shown(_) | Remote::AsDefined, _) if is_public(&seen.app) => {
            Ok(Step::Publish(Credentials { client_id: id, client_secret: None }))
        }
        (Remote::Shown(_) | Remote::AsDefined, _) => Ok(go_live(seen).unwrap_or(Step::Call(Call::Regenerate(id)))),
    }
}

fn create(seen: &Observed, id: ClientId, fields: Fields) -> Step {
    let context = match &seen.access {
        Access::Granted { context, .. } => seen.app.spec.context.or(*context),
        Access::Refused(_) => None,
    };
    go_live(seen).unwrap_or(Step::Call(Call::Create(NewApp { id, context, fields })))
}

/// For a resource that is being deleted: runs before anything else is resolved.
fn delete(seen: &Observed) -> Result<Step, Blocked> {
    let app = &seen.app;
    if !app.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(Step::Finish(Outcome::Gone));
    }
    let id = client_id(app);
    match app.spec.deletion_policy {
        DeletionPolicy::Retain => Ok(release(seen)),
        DeletionPolicy::Delete if app.spec.id.is_some() && !may_have_created(seen, &id) => Ok(match seen.secret {
            None => Step::ReadSecret,
            Some(_) => Step::DropFinalizer,
        }),
        DeletionPolicy::Delete => match &seen.access {
            Access::Refused(blocked) => Err(let_go_hint(blocked)),
            Access::Granted { .. } => delete_remote(seen, id),
        },
    }
}

fn may_have_created(seen: &Observed, id: &ClientId) -> bool {
    has_claimed(&seen.app, id) || seen.secret.as_ref().is_some_and(|target| is_ours(seen, target, id))
}

/// Whatever the API says to a deletion, the app is gone only when the API no longer shows it.
fn delete_remote(seen: &Observed, id: ClientId) -> Result<Step, Blocked> {
    match (&seen.deletion, &seen.remote) {
        (None, _) => Ok(Step::Call(Call::Delete(id))),
        (Some(_), Remote::Unread) => Ok(Step::Call(Call::Read(id))),
        (Some(_), Remote::Absent) => Ok(Step::DropFinalizer),
        (Some(Deletion::NotOffered), _) => Err(deletion_not_offered(&id)),
        (Some(Deletion::Accepted | Deletion::NotFound | Deletion::Failed), _) => Ok(Step::Finish(Outcome::Waiting {
            reason: Reason::Deleting,
            message: format!("app {id} is being deleted; the API still shows it"),
            until: None,
        })),
    }
}

fn release(seen: &Observed) -> Step {
    match &seen.secret {
        None => Step::ReadSecret,
        Some(Target::Ours(secret)) => Step::ReleaseSecret(secret.clone()),
        Some(Target::Free | Target::Foreign) => Step::DropFinalizer,
    }
}

/// What a call that brought nothing means for the pass.
pub fn after_fault(app: &OrgOAuthApp, fault: Fault) -> Outcome {
    match outcome_of(fault) {
        Outcome::Blocked(blocked) if app.metadata.deletion_timestamp.is_some() => {
            Outcome::Blocked(let_go_hint(&blocked))
        }
        outcome => outcome,
    }
}

fn outcome_of(fault: Fault) -> Outcome {
    let waiting = |reason, message, until| Outcome::Waiting { reason, message, until };
    let blocked = |reason, message: String| Outcome::Blocked(Blocked { reason, message });
    let text = fault.to_string();
    match fault {
        Fault::Unavailable(_) => waiting(Reason::ConnectionUnavailable, text, None),
        Fault::Throttled { until } => waiting(Reason::Throttled, text, Some(until)),
        Fault::Credentials(_) => waiting(Reason::CredentialsUnavailable, text, None),
        Fault::Conflict(_) => waiting(Reason::ApiConflict, text, None),
        Fault::Forbidden(_) => blocked(Reason::Forbidden, text),
        Fault::Rejected(_) => blocked(Reason::Rejected, text),
        Fault::NotFound(_) => blocked(Reason::OrgNotFound, text),
    }
}

fn is_public(app: &OrgOAuthApp) -> bool {
    app.spec.public_client == Some(true)
}

fn was_refused(app: &OrgOAuthApp) -> bool {
    let conditions = app.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|c| c.reason == Reason::SecretNotWritten.as_str())
}

/// Whether status says that the API has the present spec.
fn is_synced(app: &OrgOAuthApp) -> bool {
    let Some(status) = &app.status else { return false };
    status.observed_generation == app.metadata.generation
        && status.conditions.iter().any(|c| {
            c.r#type == ConditionType::Synced
                && c.status == ConditionStatus::True
                && c.observed_generation == app.metadata.generation
        })
}

fn secret_conflict(app: &OrgOAuthApp) -> Blocked {
    let name = secret_name(app);
    let message = format!(
        "Secret {name} exists and is not controlled by this resource; remove it or choose another spec.secret.name"
    );
    Blocked::new(Reason::SecretConflict, message)
}

fn id_conflict(id: &ClientId, other: &str) -> Blocked {
    Blocked::new(Reason::IdConflict, format!("OrgOAuthApp {other} has spec.id {id}; delete one of the two"))
}

/// An app that exists and was not created by this resource is left alone.
fn id_taken(id: &ClientId) -> Blocked {
    let message = format!("an app with spec.id {id} exists that this resource did not create; choose another id");
    Blocked::new(Reason::IdTaken, message)
}

fn change_not_supported(fields: &[String]) -> Blocked {
    let message = format!("this version does not change spec.{} of an app that exists", fields.join(", spec."));
    Blocked::new(Reason::NotSupported, message)
}

fn let_go_hint(blocked: &Blocked) -> Blocked {
    let message = format!("{}; to delete this resource without it, set spec.deletionPolicy to Retain", blocked.message);
    Blocked::new(blocked.reason, message)
}

fn deletion_not_offered(id: &ClientId) -> Blocked {
    let message = format!(
        "the API has no operation to delete app {id}; delete it in the vendor's console, or set spec.deletionPolicy to Retain"
    );
    Blocked::new(Reason::DeletionNotOffered, message)
}

#[cfg(test)]
mod tests;
