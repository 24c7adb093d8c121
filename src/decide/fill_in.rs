//! Fills in what every write of a Secret carries, whichever rule decided it: the claim that the operator signs now, and the keys
//! that the templates of the spec fill.

use super::model::Observed;
use super::ownership::signed_claim;
use super::resource::is_public;
use super::secrets::rotation_conflict;
use super::step::Step;
use super::validate::fill;
use crate::reason::Blocked;
use crate::secret::SecretContents;
use std::collections::BTreeMap;

/// With the operator's claim, and the keys that `secret.template` adds once there is a credential to fill them with.
pub(super) fn with_template_keys(observed: &Observed, contents: SecretContents) -> Result<SecretContents, Blocked> {
    let has_credential = contents.current.is_some() || is_public(&observed.app);
    let extra = match &contents.client_id {
        Some(id) if has_credential => fill(&observed.app, &observed.access, id, contents.current.as_ref())?,
        Some(_) | None => BTreeMap::new(),
    };
    let claim = signed_claim(observed).or_else(|| contents.claim.clone());
    Ok(SecretContents { claim, extra, ..contents })
}

/// A step that writes a Secret, with everything that the Secret holds.
pub(super) fn fill_in(observed: &Observed, step: Step) -> Result<Step, Blocked> {
    match step {
        Step::WriteSecret(contents, reason) => Ok(Step::WriteSecret(with_template_keys(observed, contents)?, reason)),
        Step::WriteRotation(contents, reason) => {
            rotation_conflict(observed)?;
            let claim = signed_claim(observed).or_else(|| contents.claim.clone());
            Ok(Step::WriteRotation(SecretContents { claim, ..contents }, reason))
        }
        Step::DryRunSecret(contents) => Ok(Step::DryRunSecret(with_template_keys(observed, contents)?)),
        step => Ok(step),
    }
}
