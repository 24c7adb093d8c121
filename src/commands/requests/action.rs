//! What is requested, why a request would be in vain, and what the status of a resource says about it.
//! Pure: the same resource gives the same result.

use super::result::{RequestOutcome, RequestResult};
use crate::crd::{
    Condition, ConditionStatus, ConditionType, OrgOAuthApp, OrgOAuthAppStatus, RECONCILE_REQUESTED, RETIRE_REQUESTED,
    ROTATE_REQUESTED, RotationStatus,
};
use crate::decide::RotationWaits;
use crate::reason::Reason;
use crate::status::rotation_waits;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Rotate,
    Reconcile,
    Suspend,
    Resume,
    Retire { despite_stale_consumers: bool },
}

/// A request; its value is unlike that of any other one, so that the operator can say that it has seen it.
pub(super) struct Asked {
    pub(super) action: Action,
    pub(super) value: String,
}

impl Action {
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Rotate => "rotate",
            Self::Reconcile => "reconcile",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Retire { .. } => "retire",
        }
    }

    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Rotate => "a rotation of the client secret",
            Self::Reconcile => "a reconciliation",
            Self::Suspend => "spec.suspend is true",
            Self::Resume => "spec.suspend is false",
            Self::Retire { .. } => "the end of the overlap, so that only the current client secret is valid",
        }
    }

    /// Whether many at once can do harm.
    pub(super) const fn needs_confirmation(self) -> bool {
        match self {
            Self::Rotate | Self::Suspend | Self::Resume | Self::Retire { .. } => true,
            Self::Reconcile => false,
        }
    }

    pub(super) const fn changes_spec(self) -> bool {
        match self {
            Self::Suspend | Self::Resume => true,
            Self::Rotate | Self::Reconcile | Self::Retire { .. } => false,
        }
    }
}

fn status(app: &OrgOAuthApp) -> OrgOAuthAppStatus {
    app.status.clone().unwrap_or_default()
}

pub(super) fn rotation(app: &OrgOAuthApp) -> Option<&RotationStatus> {
    app.status.as_ref()?.rotation.as_ref()
}

fn is(app: &OrgOAuthApp, kind: ConditionType) -> Option<&Condition> {
    app.condition(kind).filter(|condition| condition.status == ConditionStatus::True)
}

impl Asked {
    /// The uid keeps the request from a namesake that was created meanwhile. A reconciliation is requested with the rotation and
    /// with the end of an overlap, so that status shows when the operator has seen the request and cannot fulfill it.
    pub(super) fn patch(&self, app: &OrgOAuthApp) -> Value {
        let annotations = match self.action {
            Action::Rotate => json!({ROTATE_REQUESTED: self.value, RECONCILE_REQUESTED: self.value}),
            Action::Reconcile => json!({RECONCILE_REQUESTED: self.value}),
            Action::Retire { .. } => json!({RETIRE_REQUESTED: self.value, RECONCILE_REQUESTED: self.value}),
            Action::Suspend | Action::Resume => {
                let suspend = self.action == Action::Suspend;
                return json!({"metadata": {"uid": app.uid()}, "spec": {"suspend": suspend}});
            }
        };
        json!({"metadata": {"uid": app.uid(), "annotations": annotations}})
    }

    /// What came of the request, once it is known. `before` is the resource with the request; a rotation that will wait for longer
    /// than until `ends` is not waited for.
    pub(super) fn result(&self, before: &OrgOAuthApp, app: &OrgOAuthApp, ends: Timestamp) -> Option<RequestResult> {
        if app.metadata.deletion_timestamp.is_some() {
            return Some(self.gone().about(app));
        }
        let result = match self.action {
            Action::Rotate => self.rotated(app).or_else(|| self.waits_for_long(app, ends)),
            Action::Reconcile => self.reconciled(app),
            Action::Retire { .. } => self.retired(app),
            Action::Suspend => self.suspended(before, app),
            Action::Resume => self.resumed(before, app),
        };
        result.or_else(|| self.blocked(before, app)).map(|result| result.about(app))
    }

    fn is_value(&self, handled: Option<&String>) -> bool {
        handled == Some(&self.value)
    }

    fn done(&self, message: impl Into<String>) -> Option<RequestResult> {
        Some(RequestResult::new(self.action, RequestOutcome::Done, message))
    }

    pub(super) fn gone(&self) -> RequestResult {
        RequestResult::new(self.action, RequestOutcome::Gone, "the resource was deleted meanwhile")
    }

    fn rotated(&self, app: &OrgOAuthApp) -> Option<RequestResult> {
        let status = app.status.as_ref()?;
        if !self.is_value(status.last_handled_rotate_at.as_ref()) {
            return None;
        }
        let rotation = status.rotation.clone().unwrap_or_default();
        let revision = rotation.revision.map(|revision| format!("; revision {revision}")).unwrap_or_default();
        let previous = match rotation.previous_expires_at {
            Some(at) => format!("; the previous client secret is valid until {}", at.0),
            None => "; no earlier client secret is valid".into(),
        };
        self.done(format!("rotated{revision}{previous}"))
    }

    fn waits_for_long(&self, app: &OrgOAuthApp, ends: Timestamp) -> Option<RequestResult> {
        if !self.is_seen(app) {
            return None;
        }
        let (cause, sentence) = rotation_waits(app)?;
        let until = rotation(app).and_then(|rotation| rotation.previous_expires_at.as_ref())?.0;
        let is_long = cause == RotationWaits::Previous && until > ends;
        is_long.then(|| RequestResult::new(self.action, RequestOutcome::Waiting, sentence))
    }

    fn reconciled(&self, app: &OrgOAuthApp) -> Option<RequestResult> {
        let ready = is(app, ConditionType::Ready).filter(|_| self.is_seen(app))?;
        self.done(ready.message.clone())
    }

    fn retired(&self, app: &OrgOAuthApp) -> Option<RequestResult> {
        let status = app.status.as_ref()?;
        if !self.is_value(status.last_handled_retire_at.as_ref()) {
            return None;
        }
        match rotation(app).and_then(|rotation| rotation.previous_expires_at.as_ref()) {
            None => self.done("only the current client secret is valid"),
            Some(at) => {
                let message =
                    format!("the API did not end the overlap; the previous client secret is valid until {}", at.0);
                let result = RequestResult::new(self.action, RequestOutcome::Blocked, message);
                Some(result.because(Reason::PreviousNotRetired.as_str()))
            }
        }
    }

    fn suspended(&self, before: &OrgOAuthApp, app: &OrgOAuthApp) -> Option<RequestResult> {
        if !app.spec.suspend {
            return Some(self.reverted("false"));
        }
        let ready = app.condition(ConditionType::Ready).filter(|_| is_observed(before, app))?;
        (ready.reason == Reason::Suspended.as_str()).then(|| self.done("suspended")).flatten()
    }

    fn resumed(&self, before: &OrgOAuthApp, app: &OrgOAuthApp) -> Option<RequestResult> {
        if app.spec.suspend {
            return Some(self.reverted("true"));
        }
        let ready = is(app, ConditionType::Ready).filter(|_| is_observed(before, app))?;
        self.done(format!("resumed; {}", ready.message))
    }

    /// By a tool, most likely.
    fn reverted(&self, value: &str) -> RequestResult {
        let message =
            format!("spec.suspend was set to {value} again; change it at its source, such as the Git repository");
        RequestResult::new(self.action, RequestOutcome::Blocked, message)
    }

    /// Whether the operator has reconciled the resource with the request.
    fn is_seen(&self, app: &OrgOAuthApp) -> bool {
        self.is_value(status(app).last_handled_reconcile_at.as_ref())
    }

    fn blocked(&self, before: &OrgOAuthApp, app: &OrgOAuthApp) -> Option<RequestResult> {
        let is_seen = if self.action.changes_spec() { is_observed(before, app) } else { self.is_seen(app) };
        let stalled = is(app, ConditionType::Stalled).filter(|_| is_seen)?;
        let result = RequestResult::new(self.action, RequestOutcome::Blocked, stalled.message.clone());
        Some(result.because(&stalled.reason))
    }

    /// What the operator waits for before it can do it, in its words.
    pub(super) fn waits_for(&self, app: &OrgOAuthApp) -> Option<String> {
        let waits = rotation_waits(app).filter(|_| self.action == Action::Rotate && self.is_seen(app));
        let reconciling = || is(app, ConditionType::Reconciling);
        waits.map(|(_, sentence)| sentence.to_owned()).or_else(|| Some(reconciling()?.message.clone()))
    }

    /// The time is over: what the resource waits for, if that is known.
    pub(super) fn overdue(&self, app: &OrgOAuthApp, timeout: &str) -> RequestResult {
        let waiting = |message: String| RequestResult::new(self.action, RequestOutcome::Waiting, message);
        let result = match (rotation_waits(app), is(app, ConditionType::Reconciling)) {
            (Some((_, sentence)), _) if self.action == Action::Rotate => waiting(sentence.to_owned()),
            (_, Some(reconciling)) => {
                waiting(format!("not done within {timeout}: {}", reconciling.message)).because(&reconciling.reason)
            }
            (_, None) => waiting(format!(
                "the operator did not do it within {timeout}; check that it runs and watches this namespace"
            )),
        };
        result.about(app)
    }
}

/// Whether status is about the spec that the request made, or a later one.
fn is_observed(before: &OrgOAuthApp, app: &OrgOAuthApp) -> bool {
    status(app).observed_generation >= before.metadata.generation
}

#[cfg(test)]
mod tests;
