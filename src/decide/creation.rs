//! The creation of the app: before it, a dry run of the Secret, and a durable secret where the id is chosen; after it, a refusal
//! is reported. Credentials that the API issued are written before anything else is done.

use super::absence;
use super::faults::after_fault;
use super::model::{ClaimOrigin, ClaimProgress, Creation, Observed, PendingProgress, Remote, Validity};
use super::ownership::{holds_claim, is_adopted_without_secret, is_intent};
use super::replacement::replace;
use super::resource::{is_public, is_verifiable};
use super::step::{Call, Next, Step, WriteReason};
use super::time::within_api_lag;
use super::verification::{is_refused_twice, not_verified, verify};
use super::writes::{discard, dry_run_secret, publish_replacing, stage};
use crate::iam::app_fields::Fields;
use crate::iam::{self, ClientSecret, NewApp};
use crate::secret::{PendingSecret, RotationMode, SecretContents};

/// Only this reconcile has the credentials that the API issued, so they are written first.
pub(super) fn publish_issued(observed: &Observed, _: &Fields) -> Next {
    Ok(match &observed.creation {
        Creation::Issued(issued) => {
            let secret = issued.client_secret.clone();
            let contents = observed.contents().publish(&observed.app, &issued.client_id, secret, observed.now);
            Some(Step::WriteSecret(contents, WriteReason::Issued))
        }
        Creation::NotTried | Creation::Refused(_) | Creation::Stored => None,
    })
}

/// Creates the app, or says why it was refused.
pub(super) fn create(observed: &Observed, fields: &Fields) -> Step {
    if let Creation::Refused(fault) = &observed.creation {
        return after_refused_create(observed, fault);
    }
    if let Some(step) = dry_run_secret(observed).or_else(|| stage_before_create(observed, fields)) {
        return step;
    }
    let pending = observed.contents().pending.as_ref().map(|pending| pending.secret.clone());
    let secret = observed.provided_secret().cloned().or(pending);
    let fields = fields.for_create(&observed.app);
    Step::Call(Call::Create(NewApp { id: observed.client_id(), context: observed.context(), fields, secret }))
}

/// An app whose id was claimed before, or whose create was refused, is looked for before it is created.
pub(super) fn may_exist(observed: &Observed) -> bool {
    let is_claimed_now = match observed.claim {
        ClaimProgress::Recorded(ClaimOrigin::New | ClaimOrigin::Adopted) => true,
        ClaimProgress::Recorded(ClaimOrigin::Created | ClaimOrigin::Restored)
        | ClaimProgress::Unchanged
        | ClaimProgress::TakenBack => false,
    };
    let was_claimed = holds_claim(observed) && !is_claimed_now;
    was_claimed || matches!(observed.creation, Creation::Refused(_))
}

/// The app is gone, and the Secret may still hold a credential for it. The new secret is durable before the app is created,
/// since nothing could tell afterwards that the one in the Secret is of the app before.
pub(super) fn create_again(observed: &Observed, fields: &Fields) -> Step {
    let contents = observed.contents();
    if contents.current.is_none() || matches!(observed.creation, Creation::Refused(_)) {
        return create(observed, fields);
    }
    if let Some(step) = absence::confirm(observed) {
        return step;
    }
    if contents.pending.is_some() || observed.provided_secret().is_some() {
        create(observed, fields)
    } else {
        stage(observed, contents, &observed.generated_secret, RotationMode::Create)
    }
}

/// The secret was staged for a create, whose answer may have been lost.
pub(super) fn apply_pending_create(
    observed: &Observed,
    fields: &Fields,
    contents: &SecretContents,
    pending: &PendingSecret,
) -> Option<Step> {
    // The create did not come about; the app that was adopted instead has a secret of its own.
    if contents.current.is_none() && is_adopted_without_secret(observed) {
        return Some(discard(observed, contents));
    }
    match &observed.remote {
        Remote::Absent => Some(create_again(observed, fields)),
        Remote::NotRead | Remote::Listed(_) => {
            // Nothing can have been created with a secret that was staged just now.
            let is_new = observed.progress(&pending.secret) == PendingProgress::NotSent && !may_exist(observed);
            Some(if is_new { create(observed, fields) } else { Step::Call(Call::Read(observed.client_id())) })
        }
        Remote::Shown(_) | Remote::JustCreated => apply_to_existing(observed, fields, contents, pending),
    }
}

/// The app exists, so either the create with this secret took hold and its answer was lost, or the app was never gone.
fn apply_to_existing(
    observed: &Observed,
    fields: &Fields,
    contents: &SecretContents,
    pending: &PendingSecret,
) -> Option<Step> {
    let Some(current) = &contents.current else { return replace(observed, contents, pending, fields) };
    let is_denied = matches!(observed.creation, Creation::Refused(_));
    // The only create with this secret was refused.
    if is_denied && observed.progress(&pending.secret) == PendingProgress::NotSent {
        return Some(discard(observed, contents));
    }
    created_or_never_gone(observed, fields, contents, pending, current)
}

/// Of the pending and the current secret, the one that the API accepts says which it was.
fn created_or_never_gone(
    observed: &Observed,
    fields: &Fields,
    contents: &SecretContents,
    pending: &PendingSecret,
    current: &ClientSecret,
) -> Option<Step> {
    match observed.validity(&pending.secret) {
        Validity::NotVerifiable => replace(observed, contents, pending, fields),
        Validity::NotAsked => Some(verify(observed, &pending.secret)),
        Validity::Valid => Some(publish_replacing(observed, contents, &pending.secret)),
        Validity::NotKnown(api_message) => Some(match observed.validity(current) {
            Validity::NotAsked => verify(observed, current),
            Validity::Valid | Validity::Refused(_) | Validity::NotKnown(_) | Validity::NotVerifiable => {
                not_verified(observed, contents, api_message)
            }
        }),
        Validity::Refused(api_message) => match observed.validity(current) {
            Validity::NotAsked => Some(verify(observed, current)),
            Validity::Valid => Some(discard(observed, contents)),
            Validity::NotKnown(_) | Validity::NotVerifiable => Some(not_verified(observed, contents, api_message)),
            Validity::Refused(_) => {
                let neither_is_valid =
                    !within_api_lag(pending.staged_at, observed.now) && is_refused_twice(observed, current);
                if neither_is_valid {
                    replace(observed, contents, pending, fields)
                } else {
                    Some(not_verified(observed, contents, api_message))
                }
            }
        },
    }
}

/// Under a chosen id the app is created with a secret that is durable before: it tells afterwards whether an app that is there
/// is the one that was created. So is every app of an API that issues no secrets.
fn stage_before_create(observed: &Observed, fields: &Fields) -> Option<Step> {
    let contents = observed.contents();
    let token_can_tell = is_intent(observed) && is_verifiable(&observed.app);
    let is_needed = token_can_tell || !(fields.api_issues_secrets() || is_public(&observed.app));
    (is_needed && contents.pending.is_none() && observed.provided_secret().is_none())
        .then(|| stage(observed, contents, &observed.generated_secret, RotationMode::Create))
}

/// The API refused to create the app. Where it shows none, a chosen id is free for others again, unless it says that the id
/// is taken: then the app may be the one that an earlier create made, and is shown later.
fn after_refused_create(observed: &Observed, fault: &iam::Error) -> Step {
    let is_free = matches!(observed.remote, Remote::Absent) && !matches!(fault, iam::Error::Conflict(_));
    // An earlier create with the pending secret may have taken hold, and be shown later.
    let may_appear = observed.contents().pending.as_ref().is_some_and(|pending| {
        observed.progress(&pending.secret) == PendingProgress::MaybeSent
            && within_api_lag(pending.staged_at, observed.now)
    });
    if is_free && !may_appear && is_intent(observed) {
        Step::Unclaim
    } else {
        Step::Finish(after_fault(&observed.app, explained(observed, fault)))
    }
}

/// What is under the id, where the API answers that it is taken and shows no app.
fn explained(observed: &Observed, fault: &iam::Error) -> iam::Error {
    let (iam::Error::Conflict(api_message), Remote::Absent) = (fault, &observed.remote) else { return fault.clone() };
    let id = observed.client_id();
    let advice = match observed.app.spec.id {
        Some(_) => "; if it stays so, delete this resource and create it again with another id",
        None => "",
    };
    iam::Error::Conflict(format!(
        "{api_message}; the API does not show app {id}: its deletion may still run, or another organization has it{advice}"
    ))
}
