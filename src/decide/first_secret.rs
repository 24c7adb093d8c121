//! The first secret, while the Secret holds no credential: the app is created, or an app that exists gets the provided or a new
//! secret. The secret of an adopted app is not replaced unless the spec says so.

use super::creation;
use super::model::{Observed, Remote, Validity};
use super::ownership::is_adopted_without_secret;
use super::resource::is_public;
use super::step::{Call, Step, WriteReason};
use super::verification::verify;
use super::writes::{publish, stage, write};
use crate::iam::app_fields::Fields;
use crate::reason::{Blocked, Reason};
use crate::secret::RotationMode;

/// The step that leads to a first secret.
pub(super) fn issue(observed: &Observed, fields: &Fields) -> Result<Step, Blocked> {
    match &observed.remote {
        Remote::NotRead | Remote::Listed(_) => Ok(if creation::may_exist(observed) {
            Step::Call(Call::Read(observed.client_id()))
        } else {
            creation::create(observed, fields)
        }),
        Remote::Absent => Ok(creation::create(observed, fields)),
        Remote::Shown(_) | Remote::JustCreated => secret_of_existing(observed),
    }
}

fn secret_of_existing(observed: &Observed) -> Result<Step, Blocked> {
    let (app, contents) = (&observed.app, observed.contents());
    if is_public(app) {
        return Ok(write(observed, contents.clone(), WriteReason::IdOnly));
    }
    if !is_adopted_without_secret(observed) {
        let secret = observed.provided_secret().unwrap_or(&observed.generated_secret);
        return Ok(stage(observed, contents, secret, RotationMode::Replace));
    }
    let Some(secret) = observed.provided_secret() else {
        return Ok(write(observed, contents.clone(), WriteReason::IdOnly));
    };
    match observed.validity(secret) {
        Validity::NotAsked => Ok(verify(observed, secret)),
        Validity::Refused(api_message) | Validity::NotKnown(api_message) => Err(not_the_apps(observed, api_message)),
        Validity::Valid | Validity::NotVerifiable => Ok(publish(observed, contents, secret, WriteReason::Verified)),
    }
}

fn not_the_apps(observed: &Observed, api_message: &str) -> Blocked {
    let message = format!(
        "the API gives app {} no token for the secret in spec.clientSecretRef: {api_message}; provide the secret that it has, or set spec.adoptionPolicy to AdoptAndRotate",
        observed.client_id()
    );
    Blocked::new(Reason::SecretRefInvalid, message)
}
