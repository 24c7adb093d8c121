//! Corrects the app in the API where it differs from the spec, after a change of either.
//! A list can only confirm that nothing changed. Any difference is confirmed with a GET before acting.

use super::creation;
use super::drift::{differing, left_by_create, update_fields};
use super::model::{Observed, Remote};
use super::resource::{is_synced, reconcile_requested};
use super::step::{Call, Next, Step};
use super::time::{lag_end, within_api_lag};
use crate::iam::app_fields::{self, Fields};
use crate::iam::{RemoteApp, Update};
use crate::outcome::{Outcome, Retry};
use crate::reason::{Blocked, Reason};
use k8s_openapi::jiff::SignedDuration;

/// When a change that the API did not take is sent again. Longer than the longest delay between two reconciles that wait.
const ANOTHER_ATTEMPT: SignedDuration = SignedDuration::from_mins(10);

/// What is to be done until the API has what the spec says.
pub(super) fn step(observed: &Observed, fields: &Fields) -> Next {
    let read = || Some(Step::Call(Call::Read(observed.client_id())));
    match &observed.remote {
        Remote::NotRead => Ok(if is_synced(&observed.app) && reconcile_requested(&observed.app).is_none() {
            Some(Step::Call(Call::FindInList(observed.client_id())))
        } else {
            read()
        }),
        Remote::Listed(None) => Ok(read()),
        Remote::Listed(Some(listed)) => Ok(if differing(observed, fields, listed).is_empty() { None } else { read() }),
        Remote::Absent => Ok(Some(creation::create_again(observed, fields))),
        Remote::Shown(shown) => change(observed, fields, shown),
        Remote::JustCreated => Ok(after_create(observed, fields)),
    }
}

fn change(observed: &Observed, fields: &Fields, shown: &RemoteApp) -> Next {
    let mut changed = differing(observed, fields, shown);
    let taken_back = taken_back(observed, fields).into_iter().filter(|name| !changed.contains(name));
    let taken_back: Vec<String> = taken_back.collect();
    changed.extend(taken_back);
    if changed.is_empty() {
        return Ok(None);
    }
    let fixed = fields.immutable(&changed);
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
    let Some(sent) = sent else { return SentBefore::No };
    if within_api_lag(sent.at, observed.now) {
        return SentBefore::MayNotShowYet;
    }
    if observed.now.duration_since(sent.at) < ANOTHER_ATTEMPT { SentBefore::NotTaken } else { SentBefore::No }
}

/// The fields that were sent otherwise so short a while ago that the API may still show them as they were before.
fn taken_back(observed: &Observed, fields: &Fields) -> Vec<String> {
    let sent = observed.remembered.sent.as_ref().filter(|sent| within_api_lag(sent.at, observed.now));
    sent.map(|sent| app_fields::changes(fields.values(), sent.desired.values())).unwrap_or_default()
}

/// What a create cannot carry follows in an update.
fn after_create(observed: &Observed, fields: &Fields) -> Option<Step> {
    let left = left_by_create(observed, fields);
    if left.is_empty() { None } else { send(observed, fields, left) }
}

fn send(observed: &Observed, fields: &Fields, changed: Vec<String>) -> Option<Step> {
    let fields = update_fields(observed, fields, &changed);
    let update = Update { context: observed.context(), fields, secret: None };
    Some(Step::Call(Call::Update(observed.client_id(), update, changed)))
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
