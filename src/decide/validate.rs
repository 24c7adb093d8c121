//! What can be refused before any call is: a connection that may not be used, fields that the API does not have, a Secret
//! that Kubernetes would not store. Also fills the templates of the Secret.

use super::model::{client_id, is_public, org_id};
use super::secrets::rotation_conflict;
use super::{Access, Blocked, Observed, Step};
use crate::crd::OrgOAuthApp;
use crate::definition::{self, Fields};
use crate::duration;
use crate::iam::{ClientId, ClientSecret};
use crate::reason::Reason;
use crate::secret::SecretContents;
use crate::template;
use std::collections::BTreeMap;

/// The request fields that the spec stands for, or why it is refused.
pub fn validate(app: &OrgOAuthApp, access: &Access) -> Result<Fields, Blocked> {
    match access {
        Access::Refused(blocked) => Err(blocked.clone()),
        Access::Granted { address, .. } => {
            validate_secret(app, access)?;
            validate_durations(app)?;
            definition::fields(address.api, &app.spec)
                .map_err(|message| Blocked::new(Reason::InvalidSpec, format!("{message}; remove it from spec")))
        }
    }
}

/// The schema admits none that cannot be read; one from before it did is still there.
fn validate_durations(app: &OrgOAuthApp) -> Result<(), Blocked> {
    let rotation = app.spec.rotation.as_ref();
    let fields = rotation.map(|rotation| [("interval", &rotation.interval), ("overlap", &rotation.overlap)]);
    for (field, text) in fields.into_iter().flatten().filter_map(|(field, text)| Some((field, text.as_ref()?))) {
        duration::parse(text)
            .map_err(|said| Blocked::new(Reason::InvalidSpec, format!("spec.rotation.{field}: {said}; correct it")))?;
    }
    Ok(())
}

/// A template that cannot be filled, or fills more than Kubernetes stores, is found before anything is created.
fn validate_secret(app: &OrgOAuthApp, access: &Access) -> Result<(), Blocked> {
    let id = client_id(app);
    let secret = (!is_public(app)).then(SecretContents::longest_secret);
    let extra = fill(app, access, &id, secret.as_ref())?;
    let largest = SecretContents { client_id: Some(id), current: secret, extra, ..SecretContents::default() };
    match largest.size_problem(app) {
        Some(problem) => Err(Blocked::new(Reason::SecretTooLarge, problem)),
        None => Ok(()),
    }
}

/// With the operator's claim, and the keys that `secret.template` adds once there is a credential to fill them with.
pub fn with_template_keys(observed: &Observed, contents: SecretContents) -> Result<SecretContents, Blocked> {
    let has_credential = contents.current.is_some() || is_public(&observed.app);
    let extra = match &contents.client_id {
        Some(id) if has_credential => fill(&observed.app, &observed.access, id, contents.current.as_ref())?,
        Some(_) | None => BTreeMap::new(),
    };
    let claim = super::signed_claim(observed).or_else(|| contents.claim.clone());
    Ok(SecretContents { claim, extra, ..contents })
}

/// A step that writes a Secret, with everything that the Secret holds.
pub fn complete(observed: &Observed, step: Step) -> Result<Step, Blocked> {
    match step {
        Step::WriteSecret(contents, reason) => Ok(Step::WriteSecret(with_template_keys(observed, contents)?, reason)),
        Step::WriteRotation(contents, reason) => {
            rotation_conflict(observed)?;
            let claim = super::signed_claim(observed).or_else(|| contents.claim.clone());
            Ok(Step::WriteRotation(SecretContents { claim, ..contents }, reason))
        }
        Step::TrySecret(contents) => Ok(Step::TrySecret(with_template_keys(observed, contents)?)),
        step => Ok(step),
    }
}

fn fill(
    app: &OrgOAuthApp,
    access: &Access,
    client_id: &ClientId,
    client_secret: Option<&ClientSecret>,
) -> Result<BTreeMap<String, ClientSecret>, Blocked> {
    let org_id = &org_id(app);
    let token_url = match access {
        Access::Granted { address, .. } => template::token_url(address.api, &address.endpoint, org_id),
        Access::Refused(_) => String::new(),
    };
    let values = template::Values { client_id, client_secret, org_id, token_url };
    let filled = template::fill(&app.spec.secret.template, &values);
    let mut filled = filled.map_err(|message| Blocked::new(Reason::TemplateInvalid, message))?;
    let key = &app.spec.secret.keys.token_url;
    if !key.is_empty() {
        filled.insert(key.clone(), ClientSecret::new(values.token_url));
    }
    Ok(filled)
}
