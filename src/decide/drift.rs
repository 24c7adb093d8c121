//! Drift: the fields that the API has otherwise than the spec, and the fields of the request that corrects them.
//! A field that the spec leaves out is no drift, and stays as the API shows it.

use super::model::{Observed, Remote};
use super::resource::is_synced;
use crate::iam::RemoteApp;
use crate::iam::app_fields::{self, Fields, Values};

/// The fields that the API shows otherwise than the spec.
pub(crate) fn drift(observed: &Observed) -> Vec<String> {
    let Ok(fields) = &observed.desired else { return Vec::new() };
    match &observed.remote {
        Remote::Shown(shown) | Remote::Listed(Some(shown)) => differing(observed, fields, shown),
        Remote::JustCreated => left_by_create(observed, fields),
        Remote::NotRead | Remote::Listed(None) | Remote::Absent => Vec::new(),
    }
}

/// The fields that differ. That an organization ceased to exist is no difference once the API has the present spec.
pub(super) fn differing(observed: &Observed, fields: &Fields, shown: &RemoteApp) -> Vec<String> {
    if is_synced(&observed.app) || !observed.updated.is_empty() {
        app_fields::differences(fields.values(), &shown.fields)
    } else {
        app_fields::changes(fields.values(), &shown.fields)
    }
}

/// The fields that a create cannot carry and no update has carried since.
pub(super) fn left_by_create(observed: &Observed, fields: &Fields) -> Vec<String> {
    if observed.updated.is_empty() { fields.left_by_create() } else { Vec::new() }
}

/// The fields of an update. What the API wants and the spec leaves out stays as the API shows it.
pub(super) fn update_fields(observed: &Observed, fields: &Fields, changed: &[String]) -> Values {
    let shown = match &observed.remote {
        Remote::Shown(shown) => Some(&shown.fields),
        Remote::NotRead | Remote::Listed(_) | Remote::Absent | Remote::JustCreated => None,
    };
    fields.for_update(&observed.app, changed, shown)
}
