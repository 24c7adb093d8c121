//! What the Secret must hold: a credential that the API accepts, the one before while it is valid, and nothing else.
//! A new secret is durable here before the API hears of it, so whoever finds it there can send it again.

use super::ownership::{holds_claim, is_adopted, is_intent};
use super::{
    Applied, Blocked, Call, Next, Observed, Outcome, Remote, Step, WriteReason, api, context, create, is_provable,
    is_public, observes, require_uncached, with_template_keys,
};
use crate::crd::{AdoptionPolicy, OrgOAuthApp, ROTATE_REQUESTED};
use crate::definition::{self, Fields};
use crate::duration;
use crate::reason::Reason;
use crate::remote::{ClientSecret, Credentials, Update, Verification};
use crate::secret::{PendingSecret, Previous, ProvidedSecret, RotationMode, SecretContents, SecretState, secret_name};
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
pub fn step(observed: &Observed, fields: &Fields) -> Next {
    let content = observed.content();
    if let Some(step) = migrate_secret(observed, &content) {
        return Ok(Some(step));
    }
    let was_for_create = content.pending.as_ref().is_some_and(|pending| pending.mode == RotationMode::Replace);
    if was_for_create && content.current.is_none() && keeps_unknown_secret(&observed.app) {
        // PendingSecret for a create that did not come about; the app that was adopted instead has a secret of its own.
        return Ok(Some(write(observed, SecretContents { pending: None, ..content }, WriteReason::Expired)));
    }
    if let Some(pending) = &content.pending {
        return mode(observed, &content, pending, fields).map(Some);
    }
    if is_complete(observed, &content) {
        return keep(observed, content);
    }
    issue(observed, fields).map(Some)
}

/// Until the former Secret is removed it has the say, since the one under the new name may be older still.
fn migrate_secret(observed: &Observed, content: &SecretContents) -> Option<Step> {
    let Some(SecretState::Owned(previous_target)) = &observed.previous_target else { return None };
    let moved = SecretState::Owned(previous_target.clone()).content(&observed.app);
    // The claim and further keys are made again, so they are not compared.
    let (claim, extra) = (content.claim.clone(), content.extra.clone());
    let moved = SecretContents { client_id: Some(observed.client_id()), claim, extra, ..moved };
    if *content == moved || (!is_complete(observed, &moved) && moved.pending.is_none()) {
        return Some(Step::RemovePreviousTarget(previous_target.clone()));
    }
    Some(Step::WriteSecret(moved, WriteReason::Moved))
}

/// What is said when nothing else is left to do, and the credential is still not a good one.
pub fn last(observed: &Observed, _: &Fields) -> Next {
    let content = observed.content();
    if content.is_edited(&observed.app) {
        return match requested_rotation_waits(observed) {
            Some(RotationWaits::ForPace) => Ok(Some(paced(&observed.app))),
            Some(RotationWaits::ForPrevious) | None => Err(edited(&observed.app)),
        };
    }
    if content.current.is_none() && !is_public(&observed.app) {
        return Err(unknown(observed));
    }
    Ok(None)
}

/// The first write after the API handed a credential out.
pub fn publish_handed_out(observed: &Observed, handed_out: &Credentials) -> Step {
    let secret = handed_out.client_secret.clone();
    let content = observed.content().publish(&observed.app, &handed_out.client_id, secret, observed.now);
    Step::WriteSecret(content, WriteReason::HandedOut)
}

/// When something in the Secret is to change next.
pub fn wake(observed: &Observed) -> Option<Timestamp> {
    let content = observed.content();
    let expiry = content.previous.as_ref().map(|previous| previous.expires_at);
    let paced = is_requested(&observed.app, &content).then(|| paced_until(observed, &content)).flatten();
    [next_rotation(&observed.app, &content), expiry, paced].into_iter().flatten().min()
}

/// When the secret is due to be rotated; the same for every process that asks.
pub fn next_rotation(app: &OrgOAuthApp, content: &SecretContents) -> Option<Timestamp> {
    let interval = duration::parse(&app.spec.rotation.as_ref()?.interval).ok()?;
    let mut hash = DefaultHasher::new();
    (app.uid(), content.revision).hash(&mut hash);
    let part = SPREAD * (hash.finish() % 1000) as f64 / 1000.0;
    add(content.rotated_at?, interval.mul_f64(1.0 - part))
}

fn add(at: Timestamp, duration: Duration) -> Option<Timestamp> {
    at.checked_add(SignedDuration::try_from(duration).ok()?).ok()
}

fn is_complete(observed: &Observed, content: &SecretContents) -> bool {
    let needs_none = is_public(&observed.app) || (keeps_unknown_secret(&observed.app) && provided(observed).is_none());
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
pub fn provided(observed: &Observed) -> Option<&ClientSecret> {
    match &observed.provided {
        Some(ProvidedSecret::Value(secret)) => Some(secret),
        Some(ProvidedSecret::Missing(_)) | None => None,
    }
}

/// The Secret holds a credential: is it time for another one, and does the Secret say what it should?
fn keep(observed: &Observed, content: SecretContents) -> Next {
    let app = &observed.app;
    if let Some(step) = renew(observed, &content) {
        return Ok(Some(step));
    }
    if content.previous.as_ref().is_some_and(|previous| previous.expires_at <= observed.now) {
        return Ok(Some(write(observed, SecretContents { previous: None, ..content }, WriteReason::Expired)));
    }
    if let Some(step) = verify(observed, &content) {
        return Ok(Some(step));
    }
    let wanted = with_template_keys(observed, SecretContents { client_id: Some(observed.client_id()), ..content })?;
    Ok(match &observed.secret {
        Some(SecretState::Owned(secret))
            if !observed.published_now && !observed.secret_overridden && !secret.is(app, &wanted) =>
        {
            let as_signed = SecretContents { claim: secret.claim().cloned(), ..wanted.clone() };
            let because = if secret.is(app, &as_signed) { WriteReason::Signed } else { WriteReason::PutBack };
            Some(Step::WriteSecret(wanted, because))
        }
        Some(SecretState::Owned(_) | SecretState::Absent | SecretState::Foreign) | None => None,
    })
}

/// A secret that the user provided anew, or that is due or requested, is staged. While the one before the current is
/// still valid the API may refuse a further one, so that is waited out.
fn renew(observed: &Observed, content: &SecretContents) -> Option<Step> {
    let app = &observed.app;
    let requested = is_requested(app, content);
    let due = next_rotation(app, content).is_some_and(|at| at <= observed.now);
    let (overlaps, paced) = (overlaps(content, observed.now), paced_until(observed, content).is_some());
    if is_public(app) {
        return None;
    }
    let edited = content.is_edited(app);
    match provided(observed) {
        // Consumers find nonsense, so there is nothing left to wait for.
        None if requested && overlaps && edited && !paced => {
            Some(stage(observed, content, &observed.generated_secret, RotationMode::Replace))
        }
        Some(_) | None if overlaps => None,
        Some(secret) if edited && !requested && content.was_published(app, secret) => Some(write(
            observed,
            SecretContents { current: Some(secret.clone()), ..content.clone() },
            WriteReason::PutBack,
        )),
        Some(_) | None if paced => None,
        Some(secret) if !content.was_published(app, secret) => {
            Some(stage(observed, content, secret, RotationMode::Overlap))
        }
        Some(secret) if requested => Some(stage(observed, content, secret, RotationMode::Replace)),
        Some(_) => None,
        None if requested || due => Some(stage(observed, content, &observed.generated_secret, RotationMode::Overlap)),
        None => None,
    }
}

fn is_requested(app: &OrgOAuthApp, content: &SecretContents) -> bool {
    app.annotations().get(ROTATE_REQUESTED).is_some_and(|asked| content.rotate_requested.as_ref() != Some(asked))
}

fn overlaps(content: &SecretContents, now: Timestamp) -> bool {
    content.previous.as_ref().is_some_and(|previous| previous.expires_at > now)
}

/// Until when no rotation may follow the last one. What a tenant edits in the Secret does not bring it forward, since
/// status says too when that was; the first secret is no rotation.
fn paced_until(observed: &Observed, content: &SecretContents) -> Option<Timestamp> {
    let said = observed.app.status.as_ref().and_then(|status| status.rotation.clone()).unwrap_or_default();
    let revision = content.revision.max(said.revision.unwrap_or_default());
    let times = [content.rotated_at, said.rotated_at.map(|at| at.0)];
    // A time that is yet to come is wrong, and says nothing.
    let last = times.into_iter().flatten().filter(|at| *at <= observed.now).max()?;
    last.checked_add(ROTATION_PACE).ok().filter(|until| revision > 1 && *until > observed.now)
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
pub fn requested_rotation_waits(observed: &Observed) -> Option<RotationWaits> {
    let content = observed.content();
    if is_public(&observed.app) || !is_requested(&observed.app, &content) {
        return None;
    }
    // What was edited is replaced without waiting for the previous secret to end.
    match overlaps(&content, observed.now) && !content.is_edited(&observed.app) {
        true => Some(RotationWaits::ForPrevious),
        false => paced_until(observed, &content).map(|_| RotationWaits::ForPace),
    }
}

/// A value that is not the published one may still be one that the API accepts, such as one pasted from the console.
fn verify(observed: &Observed, content: &SecretContents) -> Option<Step> {
    let app = &observed.app;
    let current = content.current.as_ref().filter(|_| content.is_edited(app))?;
    let accepted = || {
        let trusted = content.publish(app, &observed.client_id(), Some(current.clone()), observed.now);
        Some(Step::WriteSecret(trusted, WriteReason::Proven))
    };
    match &observed.verification {
        None if is_provable(app) => Some(Step::Call(Call::VerifySecret(observed.client_id(), current.clone()))),
        // Nothing says what was published, and nothing can say what the API accepts.
        None if content.checksum.is_none() => accepted(),
        Some(Verification::Accepted) => accepted(),
        Some(Verification::Refused(_)) | None => None,
    }
}

fn stage(observed: &Observed, content: &SecretContents, secret: &ClientSecret, mode: RotationMode) -> Step {
    let pending = PendingSecret { secret: secret.clone(), mode, since: observed.now };
    let content = SecretContents { pending: Some(pending), ..content.clone() };
    require_uncached(observed).unwrap_or_else(|| write(observed, content, WriteReason::Staged))
}

fn write(observed: &Observed, content: SecretContents, because: WriteReason) -> Step {
    Step::WriteSecret(SecretContents { client_id: Some(observed.client_id()), ..content }, because)
}

/// The staged secret goes to the API, and when that has it, to the consumers.
fn mode(
    observed: &Observed,
    content: &SecretContents,
    pending: &PendingSecret,
    fields: &Fields,
) -> Result<Step, Blocked> {
    if matches!(observed.remote, Remote::Absent) {
        return Ok(create(observed, fields));
    }
    Ok(match pending.mode {
        RotationMode::Replace => replace(observed, content, pending, fields),
        RotationMode::Overlap => rotate(observed, content, pending),
    })
}

fn replace(observed: &Observed, content: &SecretContents, pending: &PendingSecret, fields: &Fields) -> Step {
    let (app, id) = (&observed.app, observed.client_id());
    match (observed.applied, api(observed)) {
        (Some(Applied::Taken), _) => Step::WriteSecret(
            content.publish(app, &id, Some(pending.secret.clone()), observed.now),
            WriteReason::Replaced,
        ),
        (Some(Applied::Conflict), _) | (None, None) => running(observed),
        (None, Some(api)) => {
            let fields = definition::update(api, fields, &[]);
            Step::Call(Call::Replace(
                id,
                Update { context: context(observed), fields, secret: Some(pending.secret.clone()) },
            ))
        }
    }
}

/// Sending it a second time could retire the one that consumers use, so where a token request can tell, it is asked
/// first whether an earlier pass got through.
fn rotate(observed: &Observed, content: &SecretContents, pending: &PendingSecret) -> Step {
    let app = &observed.app;
    let prove = || Step::Call(Call::VerifySecret(observed.client_id(), pending.secret.clone()));
    let provable = is_provable(app);
    match (observed.applied, &observed.verification) {
        (Some(Applied::Taken), None) if provable => prove(),
        (Some(Applied::Taken), Some(Verification::Refused(said))) => not_proven(said),
        (Some(Applied::Taken), _) => rotated(observed, content, pending, observed.now),
        (_, Some(Verification::Accepted)) => rotated(observed, content, pending, pending.since),
        (None, None) if provable && !observed.staged_now => prove(),
        (None, _) => Step::Call(Call::Rotate(observed.client_id(), pending.secret.clone(), overlap(app))),
        // Sent before, and a rotation is under way: that is it, as far as anybody can tell.
        (Some(Applied::Conflict), _) if !provable && !observed.staged_now => {
            rotated(observed, content, pending, pending.since)
        }
        (Some(Applied::Conflict), _) => running(observed),
    }
}

/// The secret that consumers have used stays beside the new one until the API stops to accept it, at the earliest
/// `since` and the overlap.
fn rotated(observed: &Observed, content: &SecretContents, pending: &PendingSecret, since: Timestamp) -> Step {
    let app = &observed.app;
    let good = content.current.clone().filter(|_| !content.is_edited(app));
    let previous = good.zip(add(since, overlap(app))).map(|(secret, expires_at)| Previous { secret, expires_at });
    let published = content.publish(app, &observed.client_id(), Some(pending.secret.clone()), observed.now);
    let previous = previous.filter(|previous| previous.expires_at > observed.now);
    Step::WriteSecret(SecretContents { previous, ..published }, WriteReason::Rotated)
}

fn overlap(app: &OrgOAuthApp) -> Duration {
    let said = app.spec.rotation.as_ref().and_then(|rotation| duration::parse(&rotation.overlap).ok());
    let seconds = app.spec.secret_rotation_expiration_in_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    said.or(seconds.map(Duration::from_secs)).unwrap_or(DEFAULT_OVERLAP)
}

/// The Secret holds no credential: create the app, or find the secret of the one that is there.
fn issue(observed: &Observed, fields: &Fields) -> Result<Step, Blocked> {
    let id = observed.client_id();
    let was_there = holds_claim(observed) && !observed.claimed_now;
    match (&observed.remote, &observed.create_refused) {
        (Remote::Unread | Remote::Listed(_), Some(_)) => Ok(Step::Call(Call::Read(id))),
        (Remote::Unread | Remote::Listed(_), None) if was_there => Ok(Step::Call(Call::Read(id))),
        (Remote::Unread | Remote::Listed(_) | Remote::Absent, _) => Ok(create(observed, fields)),
        (Remote::Shown(_) | Remote::AsDefined, _) => secret_of_existing(observed),
    }
}

fn secret_of_existing(observed: &Observed) -> Result<Step, Blocked> {
    let (app, content) = (&observed.app, observed.content());
    match provided(observed) {
        _ if is_public(app) => Ok(write(observed, content, WriteReason::IdOnly)),
        None if keeps_unknown_secret(app) => Ok(write(observed, content, WriteReason::IdOnly)),
        Some(secret) if keeps_unknown_secret(app) => match &observed.verification {
            None if is_provable(app) => Ok(Step::Call(Call::VerifySecret(observed.client_id(), secret.clone()))),
            Some(Verification::Refused(said)) => Err(not_the_apps(observed, said)),
            Some(Verification::Accepted) | None => {
                let published = content.publish(app, &observed.client_id(), Some(secret.clone()), observed.now);
                Ok(Step::WriteSecret(published, WriteReason::Proven))
            }
        },
        secret => Ok(stage(observed, &content, secret.unwrap_or(&observed.generated_secret), RotationMode::Replace)),
    }
}

/// Under a chosen id the app is created with a secret that is durable before: it tells afterwards whether an app that is there
/// is the one that was created.
pub fn stage_before_create(observed: &Observed) -> Option<Step> {
    let content = observed.content();
    let is_told_by_token = is_intent(observed) && is_provable(&observed.app) && !observes(&observed.app);
    (is_told_by_token && content.pending.is_none() && provided(observed).is_none())
        .then(|| stage(observed, &content, &observed.generated_secret, RotationMode::Replace))
}

/// The app is gone, and the Secret still holds a credential for it. The new secret is durable before the app is created,
/// since nothing could tell afterwards that the one in the Secret is of the app before.
pub fn create_again(observed: &Observed, fields: &Fields) -> Step {
    let content = observed.content();
    let is_staged = content.current.is_none() || content.pending.is_some() || provided(observed).is_some();
    if is_staged || observed.create_refused.is_some() {
        return create(observed, fields);
    }
    stage(observed, &content, &observed.generated_secret, RotationMode::Replace)
}

fn running(observed: &Observed) -> Step {
    Step::Finish(Outcome::Waiting {
        reason: Reason::RotationRunning,
        message: format!(
            "the API says that a rotation of app {} is under way; the pending one waits",
            observed.client_id()
        ),
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

fn not_the_apps(observed: &Observed, said: &str) -> Blocked {
    let message = format!(
        "the API gives app {} no token for the secret in spec.clientSecretRef: {said}; bring the secret that it has, or set spec.adoptionPolicy to AdoptAndRotate",
        observed.client_id()
    );
    Blocked::new(Reason::SecretRefInvalid, message)
}

fn edited(app: &OrgOAuthApp) -> Blocked {
    let message = format!(
        "the client secret in Secret {} was edited, and the API does not show what it was; set the annotation {ROTATE_REQUESTED} to a new value to replace it",
        secret_name(app)
    );
    Blocked::new(Reason::SecretTampered, message)
}

fn unknown(observed: &Observed) -> Blocked {
    let message = format!(
        "app {} is adopted and Secret {} holds its id only, since the API does not show its secret; bring it with spec.clientSecretRef, replace it with spec.adoptionPolicy AdoptAndRotate, or rotate it with the annotation {ROTATE_REQUESTED}, which leaves the present one valid for the overlap",
        observed.client_id(),
        secret_name(&observed.app),
    );
    Blocked::new(Reason::SecretUnknown, message)
}
