//! Whether the API has what the spec says: changed by the user, or drifted at the API.
//! A list only ever acquits; what it shows otherwise is read before anything is done about it.

use super::model::{is_recent, is_synced, lag_end, reconcile_requested};
use super::{Blocked, Call, Next, Observed, Outcome, Remote, Retry, Step, creation};
use crate::definition::{self, Fields};
use crate::iam::{RemoteApp, Update};
use crate::reason::Reason;
use k8s_openapi::jiff::SignedDuration;

/// When a change that the API did not take is sent again. Longer than the longest delay between two reconciles that wait.
const ANOTHER_ATTEMPT: SignedDuration = SignedDuration::from_mins(10);

/// What is to be done until the API has what the spec says.
pub fn step(observed: &Observed, fields: &Fields) -> Next {
    let id = observed.client_id();
    match &observed.remote {
        Remote::AsDefined => after_create(observed, fields),
        Remote::Unread if is_synced(&observed.app) && reconcile_requested(&observed.app).is_none() => {
            Ok(Some(Step::Call(Call::FindInList(id))))
        }
        Remote::Unread | Remote::Listed(None) => Ok(Some(Step::Call(Call::Read(id)))),
        Remote::Listed(Some(listed)) if differing(observed, fields, listed).is_empty() => Ok(None),
        Remote::Listed(Some(_)) => Ok(Some(Step::Call(Call::Read(id)))),
        Remote::Absent => Ok(Some(creation::create_again(observed, fields))),
        Remote::Shown(shown) => change(observed, fields, shown),
    }
}

fn change(observed: &Observed, fields: &Fields, shown: &RemoteApp) -> Next {
    let mut changed = differing(observed, fields, shown);
    changed.extend(taken_back(observed, fields).into_iter().filter(|name| !changed.contains(name)).collect::<Vec<_>>());
    if changed.is_empty() {
        return Ok(None);
    }
    let fixed = definition::cannot_change(&changed);
    if !fixed.is_empty() {
        return Err(cannot_change(&fixed));
    }
    match sent_before(observed, fields) {
        SentBefore::No => Ok(send(observed, fields, changed)),
        SentBefore::MayNotShowYet => Ok(Some(not_yet_shown(observed, &changed))),
        SentBefore::NotTaken => Err(not_taken(&changed)),
    }
}

/// Whether the API accepted these very fields before.
enum SentBefore {
    /// No, or so long ago that it is worth another attempt.
    No,
    /// It may not show them yet.
    MayNotShowYet,
    /// It would show them by now.
    NotTaken,
}

fn sent_before(observed: &Observed, fields: &Fields) -> SentBefore {
    let sent = observed.remembered.sent.as_ref().filter(|sent| sent.desired == *fields && !sent.is_shown);
    let Some(sent) = sent else {
        return SentBefore::No;
    };
    match is_recent(sent.at, observed.now) {
        true => SentBefore::MayNotShowYet,
        false if observed.now.duration_since(sent.at) < ANOTHER_ATTEMPT => SentBefore::NotTaken,
        false => SentBefore::No,
    }
}

/// The fields that were sent otherwise so short a while ago that the API may still show them as they were before.
fn taken_back(observed: &Observed, fields: &Fields) -> Vec<String> {
    let sent = observed.remembered.sent.as_ref().filter(|sent| is_recent(sent.at, observed.now));
    sent.map(|sent| definition::changes(fields, &sent.desired)).unwrap_or_default()
}

/// What a create cannot carry follows in an update.
fn after_create(observed: &Observed, fields: &Fields) -> Next {
    let left = definition::left_by_create(fields);
    Ok(if left.is_empty() || !observed.updated.is_empty() { None } else { send(observed, fields, left) })
}

fn send(observed: &Observed, fields: &Fields, changed: Vec<String>) -> Option<Step> {
    let fields = update_fields(observed, fields, &changed)?;
    let update = Update { context: observed.context(), fields, secret: None };
    Some(Step::Call(Call::Update(observed.client_id(), update, changed)))
}

/// The fields of an update. What the API wants and the spec leaves out stays as the API shows it.
pub fn update_fields(observed: &Observed, fields: &Fields, changed: &[String]) -> Option<Fields> {
    let shown = match &observed.remote {
        Remote::Shown(shown) => Some(&shown.fields),
        Remote::Unread | Remote::Listed(_) | Remote::Absent | Remote::AsDefined => None,
    };
    Some(definition::update(observed.address()?.api, &observed.app, fields, changed, shown))
}

/// The fields that differ. That an organization ceased to exist is no difference once the API has the present spec.
fn differing(observed: &Observed, fields: &Fields, shown: &RemoteApp) -> Vec<String> {
    match is_synced(&observed.app) || !observed.updated.is_empty() {
        true => definition::differences(fields, &shown.fields),
        false => definition::changes(fields, &shown.fields),
    }
}

/// The fields that the API shows otherwise than the spec.
pub fn drift(observed: &Observed) -> Vec<String> {
    let Ok(fields) = &observed.desired else { return Vec::new() };
    match &observed.remote {
        Remote::Shown(shown) | Remote::Listed(Some(shown)) => differing(observed, fields, shown),
        Remote::AsDefined if observed.updated.is_empty() => definition::left_by_create(fields),
        Remote::AsDefined | Remote::Unread | Remote::Listed(None) | Remote::Absent => Vec::new(),
    }
}

fn cannot_change(fields: &[String]) -> Blocked {
    let message = format!(
        "the API cannot change spec.{} of an app that exists; put it back, or delete the resource and create it again",
        fields.join(", spec.")
    );
    Blocked::new(Reason::ImmutableField, message)
}

fn not_yet_shown(observed: &Observed, fields: &[String]) -> Step {
    let sent_at = observed.remembered.sent.as_ref().map(|sent| sent.at);
    let retry = Retry::at_next([sent_at.and_then(lag_end)], observed.now);
    let message = format!("the API accepted the change of spec.{} and does not show it yet", fields.join(", spec."));
    Step::Finish(Outcome::Waiting { reason: Reason::Updating, message, retry })
}

fn not_taken(fields: &[String]) -> Blocked {
    let message =
        format!("the API accepted the change of spec.{} and still shows it otherwise", fields.join(", spec."));
    Blocked::new(Reason::ChangeNotTaken, message)
}
