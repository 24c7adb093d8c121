//! What the API has otherwise than the spec says, and the fields of a request that changes it.
//! What the spec leaves out is no difference, and stays as the API shows it.

use super::model::{Observed, Remote};
use super::resource::is_synced;
use crate::definition::{self, Fields};
use crate::iam::RemoteApp;

/// The fields that the API shows otherwise than the spec.
pub fn drift(observed: &Observed) -> Vec<String> {
    let Ok(fields) = &observed.desired else { return Vec::new() };
    match &observed.remote {
        Remote::Shown(shown) | Remote::Listed(Some(shown)) => differing(observed, fields, shown),
        Remote::AsDefined => left_by_create(observed, fields),
        Remote::Unread | Remote::Listed(None) | Remote::Absent => Vec::new(),
    }
}

/// The fields that differ. That an organization ceased to exist is no difference once the API has the present spec.
pub fn differing(observed: &Observed, fields: &Fields, shown: &RemoteApp) -> Vec<String> {
    match is_synced(&observed.app) || !observed.updated.is_empty() {
        true => definition::differences(fields, &shown.fields),
        false => definition::changes(fields, &shown.fields),
    }
}

/// The fields that a create cannot carry and no update has carried since.
pub fn left_by_create(observed: &Observed, fields: &Fields) -> Vec<String> {
    match observed.updated.is_empty() {
        true => definition::left_by_create(fields),
        false => Vec::new(),
    }
}

/// The fields of an update. What the API wants and the spec leaves out stays as the API shows it.
pub fn update_fields(observed: &Observed, fields: &Fields, changed: &[String]) -> Option<Fields> {
    let shown = match &observed.remote {
        Remote::Shown(shown) => Some(&shown.fields),
        Remote::Unread | Remote::Listed(_) | Remote::Absent | Remote::AsDefined => None,
    };
    Some(definition::update(observed.address()?.api, &observed.app, fields, changed, shown))
}
