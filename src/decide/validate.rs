//! Refuses what can be refused before any call: a connection that may not be used, fields that the API does not have, a Secret
//! that Kubernetes would not store. Also fills the templates of the Secret.

use super::access::Access;
use super::resource::{client_id, is_public, org_id};
use crate::crd::OrgOAuthApp;
use crate::iam::app_fields::Fields;
use crate::iam::flavor::flavor;
use crate::iam::{ClientId, ClientSecret};
use crate::reason::{Blocked, Reason};
use crate::secret::SecretContents;
use crate::template;
use std::collections::BTreeMap;

/// The request fields that the spec stands for, or why it is refused.
pub(super) fn validate(app: &OrgOAuthApp, access: &Access) -> Result<Fields, Blocked> {
    match access {
        Access::Refused(blocked) => Err(blocked.clone()),
        Access::Granted { address, .. } => {
            validate_secret(app, access)?;
            Fields::of(address.api, &app.spec).map_err(|error| Blocked::new(Reason::InvalidSpec, error.to_string()))
        }
    }
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

/// The further keys of the Secret: the templates of the spec, filled, and the token URL.
pub(super) fn fill(
    app: &OrgOAuthApp,
    access: &Access,
    client_id: &ClientId,
    client_secret: Option<&ClientSecret>,
) -> Result<BTreeMap<String, ClientSecret>, Blocked> {
    let token_url = match access {
        Access::Granted { address, .. } => flavor(address.api).token_url(&address.endpoint, &org_id(app)),
        Access::Refused(_) => String::new(),
    };
    fill_with(app, token_url, client_id, client_secret)
}

/// The same with a token URL that is already known.
pub(crate) fn fill_with(
    app: &OrgOAuthApp,
    token_url: String,
    client_id: &ClientId,
    client_secret: Option<&ClientSecret>,
) -> Result<BTreeMap<String, ClientSecret>, Blocked> {
    let org_id = &org_id(app);
    let values = template::Values { client_id, client_secret, org_id, token_url };
    let filled = template::fill(&app.spec.secret.template, &values);
    let mut filled = filled.map_err(|error| Blocked::new(Reason::TemplateInvalid, error.to_string()))?;
    let key = &app.spec.secret.keys.token_url;
    if !key.is_empty() {
        filled.insert(key.clone(), ClientSecret::new(values.token_url));
    }
    Ok(filled)
}
