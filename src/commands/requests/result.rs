//! What came of a request about one app, as a line for people and as an entry of a list for scripts.

use super::action::Action;
use crate::commands::output::{Mood, Report, Text, Words};
use crate::crd::OrgOAuthApp;
use crate::reason::Reason;
use kube::ResourceExt;
use schemars::JsonSchema;
use serde::Serialize;

/// What came of a request about one app.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestResult {
    /// `rotate`, `reconcile`, `suspend`, `resume` or `retire`.
    pub action: &'static str,
    pub namespace: String,
    pub name: String,
    pub outcome: RequestOutcome,
    /// The reason of the condition that says why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_to_do: Option<String>,
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum RequestOutcome {
    /// It would have been made.
    DryRun,
    /// It was made, and not waited for.
    Requested,
    /// The operator has done it.
    Done,
    /// There is nothing to do.
    NothingToDo,
    /// The operator goes on by itself, or has not answered in time.
    Waiting,
    /// Someone has to act before the operator can do it.
    Blocked,
    /// It was not made, since it could not have been done.
    Refused,
    /// The resource was deleted meanwhile.
    Gone,
    /// It could not be made.
    Error,
}

impl RequestOutcome {
    pub(super) fn is_success(self) -> bool {
        match self {
            Self::DryRun | Self::Requested | Self::Done | Self::NothingToDo => true,
            Self::Waiting | Self::Blocked | Self::Refused | Self::Gone | Self::Error => false,
        }
    }

    fn mood(self) -> Mood {
        match self {
            Self::Done => Mood::Good,
            Self::DryRun | Self::Requested | Self::NothingToDo => Mood::Aside,
            Self::Waiting => Mood::Attention,
            Self::Blocked | Self::Refused | Self::Gone | Self::Error => Mood::Bad,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::DryRun => "dry run",
            Self::Requested => "requested",
            Self::Done => "done",
            Self::NothingToDo => "nothing to do",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Refused => "refused",
            Self::Gone => "gone",
            Self::Error => "error",
        }
    }
}

impl RequestResult {
    pub(super) fn new(action: Action, outcome: RequestOutcome, message: impl Into<String>) -> Self {
        Self {
            action: action.verb(),
            namespace: String::new(),
            name: String::new(),
            outcome,
            reason: None,
            message: message.into(),
            what_to_do: None,
        }
    }

    pub(super) fn about(self, app: &OrgOAuthApp) -> Self {
        Self { namespace: app.namespace_any().to_owned(), name: app.name_any(), ..self }
    }

    /// With the reason of a condition, and what the table of reasons says about it.
    pub(super) fn because(self, reason: &str) -> Self {
        let what_to_do = Reason::named(reason).map(|reason| reason.row().remedy.to_owned());
        Self { reason: Some(reason.to_owned()), what_to_do, ..self }
    }
}

impl Report for RequestResult {
    fn text(&self, text: &mut Text) {
        let outcome = self.outcome.mood().of(self.outcome.as_str());
        let reason = self.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let about = Words::from(format!("{}/{}: ", self.namespace, self.name));
        text.line(about + outcome + format!("{reason}: {}", self.message));
        if let Some(remedy) = &self.what_to_do {
            text.line(format!("  what to do: {remedy}"));
        }
    }
}

impl Report for Vec<RequestResult> {
    fn text(&self, text: &mut Text) {
        self.iter().for_each(|result| result.text(text));
    }
}
