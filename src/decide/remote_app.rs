//! Whether the API has what the spec says: changed by the user, or drifted at the API.
//! A list only ever acquits; what it shows otherwise is read before anything is done about it.

use super::ownership::holds_claim;
use super::{
    Blocked, Call, Next, Observed, Remote, Step, api, context, credential, go_live, reconcile_requested, update,
};
use crate::crd::{ConditionStatus, ConditionType, OrgOAuthApp};
use crate::definition::{self, Fields};
use crate::reason::Reason;
use crate::remote::{RemoteApp, Update};

/// What is to be done until the API has what the spec says.
pub fn step(seen: &Observed, fields: &Fields) -> Next {
    let id = seen.client_id();
    match &seen.remote {
        Remote::AsDefined => after_create(seen, fields),
        Remote::Unread if is_synced(&seen.app) && reconcile_requested(&seen.app).is_none() => {
            Ok(Some(Step::Call(Call::Look(id))))
        }
        Remote::Unread | Remote::Listed(None) => Ok(Some(Step::Call(Call::Read(id)))),
        Remote::Listed(Some(listed)) if differing(seen, fields, listed).is_empty() => Ok(None),
        Remote::Listed(Some(_)) => Ok(Some(Step::Call(Call::Read(id)))),
        Remote::Absent if holds_claim(seen) || seen.app.spec.id.is_none() => {
            Ok(Some(credential::create_again(seen, fields)))
        }
        Remote::Absent => Ok(None),
        Remote::Shown(shown) => change(seen, fields, shown),
    }
}

fn change(seen: &Observed, fields: &Fields, shown: &RemoteApp) -> Next {
    let changed = differing(seen, fields, shown);
    if changed.is_empty() {
        return Ok(None);
    }
    let fixed = definition::cannot_change(&changed);
    if !fixed.is_empty() {
        return Err(cannot_change(&fixed));
    }
    if !seen.updated.is_empty() {
        return Err(not_taken(&changed));
    }
    Ok(send(seen, fields, &changed))
}

/// What a create cannot carry follows in an update.
fn after_create(seen: &Observed, fields: &Fields) -> Next {
    let left = definition::left_by_create(fields);
    Ok(if left.is_empty() || !seen.updated.is_empty() { None } else { send(seen, fields, &left) })
}

fn send(seen: &Observed, fields: &Fields, changed: &[String]) -> Option<Step> {
    let update = Update { context: context(seen), fields: update(seen, api(seen)?, fields, changed), secret: None };
    Some(go_live(seen).unwrap_or(Step::Call(Call::Update(seen.client_id(), update))))
}

/// The fields that differ. That an organization ceased to exist is no difference once the API has the present spec.
fn differing(seen: &Observed, fields: &Fields, shown: &RemoteApp) -> Vec<String> {
    match is_synced(&seen.app) || !seen.updated.is_empty() {
        true => definition::differences(fields, &shown.fields),
        false => definition::changes(fields, &shown.fields),
    }
}

/// Whether status says that the API has the present spec.
pub fn is_synced(app: &OrgOAuthApp) -> bool {
    let generation = app.metadata.generation;
    let synced = app.condition(ConditionType::Synced);
    app.status.as_ref().is_some_and(|status| status.observed_generation == generation)
        && synced.is_some_and(|c| c.status == ConditionStatus::True && c.observed_generation == generation)
}

/// The fields that the API shows otherwise than the spec.
pub fn drift(seen: &Observed) -> Vec<String> {
    let fields = api(seen).and_then(|api| definition::fields(api, &seen.app.spec).ok()).unwrap_or_default();
    match &seen.remote {
        Remote::Shown(shown) | Remote::Listed(Some(shown)) => differing(seen, &fields, shown),
        Remote::AsDefined if seen.updated.is_empty() => definition::left_by_create(&fields),
        Remote::AsDefined | Remote::Unread | Remote::Listed(None) | Remote::Absent => Vec::new(),
    }
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
