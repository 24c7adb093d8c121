//! What the Secret must hold: a credential that the API accepts, the one before while it is valid, and nothing else.
//! A new secret is durable here before the API hears of it, so whoever finds it there can send it again.

use super::ownership::{holds_claim, is_adopted, is_intent};
use super::{
    Applied, Because, Blocked, Call, Next, Observed, Outcome, Remote, Step, api, context, create, dressed, go_live,
    is_provable, is_public, observes, update,
};
use crate::crd::{AdoptionPolicy, OrgOAuthApp, ROTATE_REQUESTED};
use crate::credentials::{Apply, Brought, Content, Previous, Staged, Target, secret_name};
use crate::definition::{self, Fields};
use crate::duration;
use crate::reason::Reason;
use crate::remote::{ClientSecret, Credentials, Proof, Update};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// The overlap of a rotation where nothing says another one. [csp-struct]
const DEFAULT_OVERLAP: Duration = Duration::from_secs(172_800);
/// Rotations come early by up to this part of their interval, so that apps of one age do not rotate in one second.
const SPREAD: f64 = 0.1;
/// The least time between two rotations, however often they are requested.
const ROTATION_PACE: SignedDuration = SignedDuration::from_secs(60);

/// What is to be done until the Secret holds a credential that is neither due nor requested to be replaced.
pub fn step(seen: &Observed, fields: &Fields) -> Next {
    let content = seen.content();
    if let Some(step) = move_over(seen, &content) {
        return Ok(Some(step));
    }
    let was_for_create = content.next.as_ref().is_some_and(|next| next.apply == Apply::Replace);
    if was_for_create && content.current.is_none() && keeps_unknown_secret(&seen.app) {
        // Staged for a create that did not come about; the app that was adopted instead has a secret of its own.
        return Ok(Some(write(seen, Content { next: None, ..content }, Because::Expired)));
    }
    if let Some(next) = &content.next {
        return apply(seen, &content, next, fields).map(Some);
    }
    if is_complete(seen, &content) {
        return keep(seen, content);
    }
    issue(seen, fields).map(Some)
}

/// Until the former Secret is removed it has the say, since the one under the new name may be older still.
fn move_over(seen: &Observed, content: &Content) -> Option<Step> {
    let Some(Target::Ours(former)) = &seen.former else { return None };
    let moved = Target::Ours(former.clone()).content(&seen.app);
    // The claim and further keys are made again, so they are not compared.
    let (claim, extra) = (content.claim.clone(), content.extra.clone());
    let moved = Content { client_id: Some(seen.client_id()), claim, extra, ..moved };
    if *content == moved || (!is_complete(seen, &moved) && moved.next.is_none()) {
        return Some(Step::RemoveFormer(former.clone()));
    }
    Some(Step::Write(moved, Because::Moved))
}

/// What is said when nothing else is left to do, and the credential is still not a good one.
pub fn last(seen: &Observed, _: &Fields) -> Next {
    let content = seen.content();
    if content.is_tampered(&seen.app) {
        return match requested_rotation_waits(seen) {
            Some(RotationWaits::ForPace) => Ok(Some(paced(&seen.app))),
            Some(RotationWaits::ForPrevious) | None => Err(tampered(&seen.app)),
        };
    }
    if content.current.is_none() && !is_public(&seen.app) {
        return Err(unknown(seen));
    }
    Ok(None)
}

/// The first write after the API handed a credential out.
pub fn publish_handed_out(seen: &Observed, handed_out: &Credentials) -> Step {
    let secret = handed_out.client_secret.clone();
    let content = seen.content().publish(&seen.app, &handed_out.client_id, secret, seen.now);
    Step::Write(content, Because::HandedOut)
}

/// When something in the Secret is to change next.
pub fn wake(seen: &Observed) -> Option<Timestamp> {
    let content = seen.content();
    let expiry = content.previous.as_ref().map(|previous| previous.expires_at);
    let paced = is_requested(&seen.app, &content).then(|| paced_until(seen, &content)).flatten();
    [next_rotation(&seen.app, &content), expiry, paced].into_iter().flatten().min()
}

/// When the secret is due to be rotated; the same for every process that asks.
pub fn next_rotation(app: &OrgOAuthApp, content: &Content) -> Option<Timestamp> {
    let interval = duration::parse(app.spec.rotation.as_ref()?.interval.as_ref()?).ok()?;
    let mut hash = DefaultHasher::new();
    (app.uid(), content.revision).hash(&mut hash);
    let part = SPREAD * (hash.finish() % 1000) as f64 / 1000.0;
    add(content.rotated_at?, interval.mul_f64(1.0 - part))
}

fn add(at: Timestamp, duration: Duration) -> Option<Timestamp> {
    at.checked_add(SignedDuration::try_from(duration).ok()?).ok()
}

fn is_complete(seen: &Observed, content: &Content) -> bool {
    let needs_none = is_public(&seen.app) || (keeps_unknown_secret(&seen.app) && brought(seen).is_none());
    content.current.is_some() || (needs_none && content.client_id.is_some())
}

/// An adopted app has a secret that somebody uses; without leave it is not replaced.
fn keeps_unknown_secret(app: &OrgOAuthApp) -> bool {
    is_adopted(app)
        && match app.spec.adoption_policy {
            AdoptionPolicy::Never | AdoptionPolicy::Adopt => true,
            AdoptionPolicy::AdoptAndRotate => false,
        }
}

/// The secret that the user brings.
pub fn brought(seen: &Observed) -> Option<&ClientSecret> {
    match &seen.brought {
        Some(Brought::Value(secret)) => Some(secret),
        Some(Brought::Missing(_)) | None => None,
    }
}

/// The Secret holds a credential: is it time for another one, and does the Secret say what it should?
fn keep(seen: &Observed, content: Content) -> Next {
    let app = &seen.app;
    if let Some(step) = renew(seen, &content) {
        return Ok(Some(step));
    }
    if content.previous.as_ref().is_some_and(|previous| previous.expires_at <= seen.now) {
        return Ok(Some(write(seen, Content { previous: None, ..content }, Because::Expired)));
    }
    if let Some(step) = verify(seen, &content) {
        return Ok(Some(step));
    }
    let wanted = dressed(seen, Content { client_id: Some(seen.client_id()), ..content })?;
    Ok(match &seen.secret {
        Some(Target::Ours(secret)) if !seen.published_now && !seen.secret_overridden && !secret.is(app, &wanted) => {
            let as_signed = Content { claim: secret.claim().cloned(), ..wanted.clone() };
            let because = if secret.is(app, &as_signed) { Because::Signed } else { Because::PutBack };
            Some(Step::Write(wanted, because))
        }
        Some(Target::Ours(_) | Target::Free | Target::Foreign) | None => None,
    })
}

/// A secret that the user brought anew, or that is due or requested, is staged. While the one before the current is
/// still valid the API may refuse a further one, so that is waited out.
fn renew(seen: &Observed, content: &Content) -> Option<Step> {
    let app = &seen.app;
    let requested = is_requested(app, content);
    let due = next_rotation(app, content).is_some_and(|at| at <= seen.now);
    let (overlaps, paced) = (overlaps(content, seen.now), paced_until(seen, content).is_some());
    if is_public(app) {
        return None;
    }
    let tampered = content.is_tampered(app);
    match brought(seen) {
        // Consumers find nonsense, so there is nothing left to wait for.
        None if requested && overlaps && tampered && !paced => Some(stage(seen, content, &seen.fresh, Apply::Replace)),
        Some(_) | None if overlaps => None,
        Some(secret) if tampered && !requested && content.was_published(app, secret) => {
            Some(write(seen, Content { current: Some(secret.clone()), ..content.clone() }, Because::PutBack))
        }
        Some(_) | None if paced => None,
        Some(secret) if !content.was_published(app, secret) => Some(stage(seen, content, secret, Apply::Rotate)),
        Some(secret) if requested => Some(stage(seen, content, secret, Apply::Replace)),
        Some(_) => None,
        None if requested || due => Some(stage(seen, content, &seen.fresh, Apply::Rotate)),
        None => None,
    }
}

fn is_requested(app: &OrgOAuthApp, content: &Content) -> bool {
    app.annotations().get(ROTATE_REQUESTED).is_some_and(|asked| content.rotate_requested.as_ref() != Some(asked))
}

fn overlaps(content: &Content, now: Timestamp) -> bool {
    content.previous.as_ref().is_some_and(|previous| previous.expires_at > now)
}

/// Until when no rotation may follow the last one. What a tenant edits in the Secret does not bring it forward, since
/// status says too when that was; the first secret is no rotation.
fn paced_until(seen: &Observed, content: &Content) -> Option<Timestamp> {
    let said = seen.app.status.as_ref().and_then(|status| status.rotation.clone()).unwrap_or_default();
    let revision = content.revision.max(said.revision.unwrap_or_default());
    let times = [content.rotated_at, said.rotated_at.map(|at| at.0)];
    // A time that is yet to come is wrong, and says nothing.
    let last = times.into_iter().flatten().filter(|at| *at <= seen.now).max()?;
    last.checked_add(ROTATION_PACE).ok().filter(|until| revision > 1 && *until > seen.now)
}

/// Why a rotation that somebody asked for has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationWaits {
    /// Until the previous secret ends.
    ForPrevious,
    /// Until a minute has passed since the last rotation.
    ForPace,
}

/// Whether somebody asked for a rotation that has to wait, and why.
pub fn requested_rotation_waits(seen: &Observed) -> Option<RotationWaits> {
    let content = seen.content();
    if is_public(&seen.app) || !is_requested(&seen.app, &content) {
        return None;
    }
    // What was edited is replaced without waiting for the previous secret to end.
    match overlaps(&content, seen.now) && !content.is_tampered(&seen.app) {
        true => Some(RotationWaits::ForPrevious),
        false => paced_until(seen, &content).map(|_| RotationWaits::ForPace),
    }
}

/// A value that is not the published one may still be one that the API accepts, such as one pasted from the console.
fn verify(seen: &Observed, content: &Content) -> Option<Step> {
    let app = &seen.app;
    let current = content.current.as_ref().filter(|_| content.is_tampered(app))?;
    let accepted = || {
        let trusted = content.publish(app, &seen.client_id(), Some(current.clone()), seen.now);
        Some(Step::Write(trusted, Because::Proven))
    };
    match &seen.proof {
        None if is_provable(app) => Some(Step::Call(Call::Prove(seen.client_id(), current.clone()))),
        // Nothing says what was published, and nothing can say what the API accepts.
        None if content.checksum.is_none() => accepted(),
        Some(Proof::Accepted) => accepted(),
        Some(Proof::Refused(_)) | None => None,
    }
}

fn stage(seen: &Observed, content: &Content, secret: &ClientSecret, apply: Apply) -> Step {
    let next = Staged { secret: secret.clone(), apply, since: seen.now };
    let content = Content { next: Some(next), ..content.clone() };
    go_live(seen).unwrap_or_else(|| write(seen, content, Because::Staged))
}

fn write(seen: &Observed, content: Content, because: Because) -> Step {
    Step::Write(Content { client_id: Some(seen.client_id()), ..content }, because)
}

/// The staged secret goes to the API, and when that has it, to the consumers.
fn apply(seen: &Observed, content: &Content, next: &Staged, fields: &Fields) -> Result<Step, Blocked> {
    if matches!(seen.remote, Remote::Absent) {
        return Ok(create(seen, fields));
    }
    Ok(match next.apply {
        Apply::Replace => replace(seen, content, next, fields),
        Apply::Rotate => rotate(seen, content, next),
    })
}

fn replace(seen: &Observed, content: &Content, next: &Staged, fields: &Fields) -> Step {
    let (app, id) = (&seen.app, seen.client_id());
    match (seen.applied, api(seen)) {
        (Some(Applied::Taken), _) => {
            Step::Write(content.publish(app, &id, Some(next.secret.clone()), seen.now), Because::Replaced)
        }
        (Some(Applied::Conflict), _) | (None, None) => running(seen),
        (None, Some(api)) => match &seen.remote {
            Remote::Unread | Remote::Listed(_) if definition::update_repeats_shown(api, fields) => {
                Step::Call(Call::Read(id))
            }
            Remote::Unread | Remote::Listed(_) | Remote::Absent | Remote::Shown(_) | Remote::AsDefined => {
                let fields = update(seen, api, fields, &[]);
                let secret = Some(next.secret.clone());
                Step::Call(Call::Replace(id, Update { context: context(seen), fields, secret }))
            }
        },
    }
}

/// Sending it a second time could retire the one that consumers use, so where a token request can tell, it is asked
/// first whether an earlier pass got through.
fn rotate(seen: &Observed, content: &Content, next: &Staged) -> Step {
    let app = &seen.app;
    let prove = || Step::Call(Call::Prove(seen.client_id(), next.secret.clone()));
    let provable = is_provable(app);
    match (seen.applied, &seen.proof) {
        (Some(Applied::Taken), None) if provable => prove(),
        (Some(Applied::Taken), Some(Proof::Refused(said))) => not_proven(said),
        (Some(Applied::Taken), _) => rotated(seen, content, next, seen.now),
        (_, Some(Proof::Accepted)) => rotated(seen, content, next, next.since),
        (None, None) if provable && !seen.staged_now => prove(),
        (None, _) => Step::Call(Call::Rotate(seen.client_id(), next.secret.clone(), overlap(app))),
        // Sent before, and a rotation is under way: that is it, as far as anybody can tell.
        (Some(Applied::Conflict), _) if !provable && !seen.staged_now => rotated(seen, content, next, next.since),
        (Some(Applied::Conflict), _) => running(seen),
    }
}

/// The secret that consumers have used stays beside the new one until the API stops to accept it, at the earliest
/// `since` and the overlap.
fn rotated(seen: &Observed, content: &Content, next: &Staged, since: Timestamp) -> Step {
    let app = &seen.app;
    let good = content.current.clone().filter(|_| !content.is_tampered(app));
    let previous = good.zip(add(since, overlap(app))).map(|(secret, expires_at)| Previous { secret, expires_at });
    let published = content.publish(app, &seen.client_id(), Some(next.secret.clone()), seen.now);
    let previous = previous.filter(|previous| previous.expires_at > seen.now);
    Step::Write(Content { previous, ..published }, Because::Rotated)
}

fn overlap(app: &OrgOAuthApp) -> Duration {
    let said = app.spec.rotation.as_ref().and_then(|rotation| duration::parse(rotation.overlap.as_ref()?).ok());
    let seconds = app.spec.secret_rotation_expiration_in_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    said.or(seconds.map(Duration::from_secs)).unwrap_or(DEFAULT_OVERLAP)
}

/// The Secret holds no credential: create the app, or find the secret of the one that is there.
fn issue(seen: &Observed, fields: &Fields) -> Result<Step, Blocked> {
    let id = seen.client_id();
    let was_there = holds_claim(seen) && !seen.claimed_now;
    match (&seen.remote, &seen.create_refused) {
        (Remote::Unread | Remote::Listed(_), Some(_)) => Ok(Step::Call(Call::Read(id))),
        (Remote::Unread | Remote::Listed(_), None) if was_there => Ok(Step::Call(Call::Read(id))),
        (Remote::Unread | Remote::Listed(_) | Remote::Absent, _) => Ok(create(seen, fields)),
        (Remote::Shown(_) | Remote::AsDefined, _) => secret_of_existing(seen),
    }
}

fn secret_of_existing(seen: &Observed) -> Result<Step, Blocked> {
    let (app, content) = (&seen.app, seen.content());
    match brought(seen) {
        _ if is_public(app) => Ok(write(seen, content, Because::IdOnly)),
        None if keeps_unknown_secret(app) => Ok(write(seen, content, Because::IdOnly)),
        Some(secret) if keeps_unknown_secret(app) => match &seen.proof {
            None if is_provable(app) => Ok(Step::Call(Call::Prove(seen.client_id(), secret.clone()))),
            Some(Proof::Refused(said)) => Err(not_the_apps(seen, said)),
            Some(Proof::Accepted) | None => {
                let published = content.publish(app, &seen.client_id(), Some(secret.clone()), seen.now);
                Ok(Step::Write(published, Because::Proven))
            }
        },
        secret => Ok(stage(seen, &content, secret.unwrap_or(&seen.fresh), Apply::Replace)),
    }
}

/// Under a chosen id the app is created with a secret that is durable before: it tells afterwards whether an app that is there
/// is the one that was created.
pub fn stage_before_create(seen: &Observed) -> Option<Step> {
    let content = seen.content();
    let is_told_by_token = is_intent(seen) && is_provable(&seen.app) && !observes(&seen.app);
    (is_told_by_token && content.next.is_none() && brought(seen).is_none())
        .then(|| stage(seen, &content, &seen.fresh, Apply::Replace))
}

/// The app is gone, and the Secret still holds a credential for it. The new secret is durable before the app is created,
/// since nothing could tell afterwards that the one in the Secret is of the app before.
pub fn create_again(seen: &Observed, fields: &Fields) -> Step {
    let content = seen.content();
    let is_staged = content.current.is_none() || content.next.is_some() || brought(seen).is_some();
    if is_staged || seen.create_refused.is_some() {
        return create(seen, fields);
    }
    stage(seen, &content, &seen.fresh, Apply::Replace)
}

fn running(seen: &Observed) -> Step {
    Step::Finish(Outcome::Waiting {
        reason: Reason::RotationRunning,
        message: format!("the API says that a rotation of app {} is under way; the next one waits", seen.client_id()),
        until: None,
    })
}

fn paced(app: &OrgOAuthApp) -> Step {
    let name = secret_name(app);
    Step::Finish(Outcome::Waiting {
        reason: Reason::RotationRunning,
        message: format!(
            "the client secret in Secret {name} was edited; the requested rotation, which replaces it, waits until a minute has passed since the last one (status.rotation.rotatedAt)"
        ),
        until: None,
    })
}

fn not_proven(said: &str) -> Step {
    Step::Finish(Outcome::Waiting {
        reason: Reason::SecretNotProven,
        message: format!("the API took the new secret and gives no token for it, so the present one stays: {said}"),
        until: None,
    })
}

fn not_the_apps(seen: &Observed, said: &str) -> Blocked {
    let message = format!(
        "the API gives app {} no token for the secret in spec.clientSecretRef: {said}; bring the secret that it has, or set spec.adoptionPolicy to AdoptAndRotate",
        seen.client_id()
    );
    Blocked::new(Reason::SecretRefInvalid, message)
}

fn tampered(app: &OrgOAuthApp) -> Blocked {
    let message = format!(
        "the client secret in Secret {} was edited, and the API does not show what it was; set the annotation {ROTATE_REQUESTED} to a new value to replace it",
        secret_name(app)
    );
    Blocked::new(Reason::SecretTampered, message)
}

fn unknown(seen: &Observed) -> Blocked {
    let message = format!(
        "app {} is adopted and Secret {} holds its id only, since the API does not show its secret; bring it with spec.clientSecretRef, replace it with spec.adoptionPolicy AdoptAndRotate, or rotate it with the annotation {ROTATE_REQUESTED}, which leaves the present one valid for the overlap",
        seen.client_id(),
        secret_name(&seen.app),
    );
    Blocked::new(Reason::SecretUnknown, message)
}
