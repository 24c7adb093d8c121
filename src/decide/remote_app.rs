//! Whether the API has what the spec says: changed by the user, or drifted at the API.
//! A list only ever acquits; what it shows otherwise is read before anything is done about it.

use super::model::{is_synced, reconcile_requested};
use super::ownership::holds_claim;
use super::{Blocked, Call, Next, Observed, Remote, Step, creation};
use crate::definition::{self, Fields};
use crate::reason::Reason;
use crate::remote::{RemoteApp, Update};

/// What is to be done until the API has what the spec says.
pub fn step(observed: &Observed, fields: &Fields) -> Next {
    let id = observed.client_id();
    match &observed.remote {
        Remote::AsDefined => Ok(None),
        Remote::Unread if is_synced(&observed.app) && reconcile_requested(&observed.app).is_none() => {
            Ok(Some(Step::Call(Call::FindInList(id))))
        }
        Remote::Unread | Remote::Listed(None) => Ok(Some(Step::Call(Call::Read(id)))),
        Remote::Listed(Some(listed)) if definition::differences(fields, &listed.fields).is_empty() => Ok(None),
        Remote::Listed(Some(_)) => Ok(Some(Step::Call(Call::Read(id)))),
        Remote::Absent if holds_claim(observed) || observed.app.spec.id.is_none() => {
            Ok(Some(creation::create_again(observed, fields)))
        }
        Remote::Absent => Ok(None),
        Remote::Shown(shown) => change(observed, fields, shown),
    }
}

fn change(observed: &Observed, fields: &Fields, shown: &RemoteApp) -> Next {
    let changed = definition::differences(fields, &shown.fields);
    if changed.is_empty() {
        return Ok(None);
    }
    let fixed = definition::cannot_change(&changed);
    if !fixed.is_empty() {
        return Err(cannot_change(&fixed));
    }
    if !observed.updated.is_empty() {
        return Err(not_taken(&changed));
    }
    let Some(address) = observed.address() else { return Ok(None) };
    let fields = definition::update(address.api, fields, &changed);
    let update = Update { context: observed.context(), fields, secret: None };
    Ok(Some(Step::Call(Call::Update(observed.client_id(), update, changed))))
}

/// The fields that the API shows otherwise than the spec.
pub fn drift(observed: &Observed) -> Vec<String> {
    let (Remote::Shown(shown) | Remote::Listed(Some(shown))) = &observed.remote else { return Vec::new() };
    observed.desired.as_ref().map(|fields| definition::differences(fields, &shown.fields)).unwrap_or_default()
}

fn cannot_change(fields: &[String]) -> Blocked {
    let message = format!(
        "the API cannot change spec.{} of an app that exists; put it back, or delete the resource and create it anew",
        fields.join(", spec.")
    );
    Blocked::new(Reason::ImmutableField, message)
}

fn not_taken(fields: &[String]) -> Blocked {
    let message =
        format!("the API accepted the change of spec.{} and still shows it otherwise", fields.join(", spec."));
    Blocked::new(Reason::ChangeNotTaken, message)
}
