//! The Secrets of a resource are read before anything is decided about the app: the one that it names, the one of its rotation,
//! the one under a name that an earlier spec gave it, and the one that the user provides. So a name that is
//! taken is found without a call to the API.

use super::model::Observed;
use super::step::{Next, Step};
use crate::crd::OrgOAuthApp;
use crate::iam::app_fields::Fields;
use crate::outcome::{Outcome, Retry};
use crate::reason::{Blocked, Reason};
use crate::secret::{ProvidedSecret, SecretState, rotation_secret_name, secret_name};
use kube::ResourceExt;

pub(super) fn step(observed: &Observed, _: &Fields) -> Next {
    let app = &observed.app;
    if let Some(SecretState::Foreign { app: controller }) = observed.secret() {
        return Err(secret_conflict(app, controller.as_deref()));
    }
    let kept = [observed.secret(), observed.rotation_secret()].into_iter().flatten().filter_map(SecretState::owned);
    if let Some(deleted) = kept.into_iter().find(|secret| secret.is_being_deleted()) {
        return Ok(Some(secret_being_deleted(&deleted.name())));
    }
    match read(observed) {
        Some(step) => Ok(Some(step)),
        None => provided(observed),
    }
}

fn provided(observed: &Observed) -> Next {
    if observed.app.spec.client_secret_ref.is_none() {
        return Ok(None);
    }
    match &observed.provided {
        None => Ok(Some(Step::ReadProvidedSecret)),
        Some(ProvidedSecret::Missing(error)) => Err(Blocked::new(Reason::SecretRefInvalid, error.to_string())),
        Some(ProvidedSecret::Value(_)) => Ok(None),
    }
}

/// The Secret, and the one under the name that an earlier spec gave it.
pub(super) fn read(observed: &Observed) -> Option<Step> {
    if observed.secret().is_none() {
        return Some(Step::ReadSecrets);
    }
    match observed.old_name_secret {
        None => old_secret_name(&observed.app).map(Step::ReadOldNameSecret),
        Some(_) => None,
    }
}

/// The names of all Secrets that hold a secret of the app.
pub(super) fn names(observed: &Observed) -> Vec<String> {
    let app = &observed.app;
    let rotation = match observed.rotation_secret() {
        Some(SecretState::Foreign { .. }) => None,
        Some(SecretState::Owned(_) | SecretState::Absent) | None => Some(rotation_secret_name(app)),
    };
    [Some(secret_name(app)), rotation, old_secret_name(app)].into_iter().flatten().collect()
}

/// The name under which status reports that the credential is, when the spec no longer names it.
fn old_secret_name(app: &OrgOAuthApp) -> Option<String> {
    let name = app.status.as_ref()?.secret_name.clone()?;
    (name != secret_name(app)).then_some(name)
}

/// The Secret of the rotation is written only if its name is free or it is this resource's.
pub(super) fn rotation_conflict(observed: &Observed) -> Result<(), Blocked> {
    match observed.rotation_secret() {
        Some(SecretState::Foreign { app: controller }) => {
            Err(rotation_secret_conflict(&observed.app, controller.as_deref()))
        }
        Some(SecretState::Owned(_) | SecretState::Absent) | None => Ok(()),
    }
}

/// The Secret may be in use, so the message does not simply advise to remove it.
fn secret_conflict(app: &OrgOAuthApp, controller: Option<&str>) -> Blocked {
    let name = secret_name(app);
    let message = match another(app, controller) {
        Some(other) => format!(
            "Secret {name} exists and is not controlled by this resource but by OrgOAuthApp {other}; choose another spec.secret.name"
        ),
        None => format!(
            "Secret {name} exists and is not controlled by this resource; choose another spec.secret.name, or remove the Secret if nothing uses it"
        ),
    };
    Blocked::new(Reason::SecretConflict, message)
}

/// The controller of a Secret, unless it is an earlier resource of this name.
fn another<'a>(app: &OrgOAuthApp, controller: Option<&'a str>) -> Option<&'a str> {
    controller.filter(|name| *name != app.name_any())
}

/// The name cannot be chosen, so whatever has it must give way.
fn rotation_secret_conflict(app: &OrgOAuthApp, controller: Option<&str>) -> Blocked {
    let name = rotation_secret_name(app);
    let message = match another(app, controller) {
        Some(other) => format!(
            "Secret {name}, which a rotation needs, exists and is not controlled by this resource but by OrgOAuthApp {other}; set another spec.secret.name there, and let its pods use the new name"
        ),
        None => format!(
            "Secret {name}, which a rotation needs, exists and is not controlled by this resource; give it another name, or remove it if nothing uses it"
        ),
    };
    Blocked::new(Reason::SecretConflict, message)
}

fn secret_being_deleted(name: &str) -> Step {
    Step::Finish(Outcome::Waiting {
        reason: Reason::SecretNotWritten,
        message: format!("Secret {name} is being deleted and kept by a finalizer; remove its finalizers"),
        retry: Retry::Backoff,
    })
}
