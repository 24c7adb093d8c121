//! Why a request is not made: it would be in vain, or it would harm pods. Pure.

use super::action::{Action, rotation};
use super::result::{RequestOutcome, RequestResult};
use crate::crd::{ConditionType, OrgOAuthApp};
use crate::decide::is_observe_only;
use kube::ResourceExt;

impl Action {
    /// Why the request is not made, if so.
    pub(super) fn unneeded_or_refused(self, app: &OrgOAuthApp) -> Option<RequestResult> {
        if app.metadata.deletion_timestamp.is_some() {
            return self.refused("the resource is being deleted");
        }
        match self {
            Self::Suspend => app.spec.suspend.then(|| self.unneeded("spec.suspend is true already")),
            Self::Resume => (!app.spec.suspend).then(|| self.unneeded("spec.suspend is false already")),
            Self::Reconcile => self.suspended(app),
            Self::Rotate => self
                .suspended(app)
                .or_else(|| self.without_secret(app))
                .or_else(|| self.provided(app))
                .or_else(|| self.without_app(app)),
            Self::Retire { despite_stale_consumers } => self
                .suspended(app)
                .or_else(|| self.without_secret(app))
                .or_else(|| self.without_previous(app))
                .or_else(|| if despite_stale_consumers { None } else { self.stale(app) }),
        }
    }

    fn refused(self, message: impl Into<String>) -> Option<RequestResult> {
        Some(RequestResult::new(self, RequestOutcome::Refused, message))
    }

    fn unneeded(self, message: &str) -> RequestResult {
        RequestResult::new(self, RequestOutcome::NothingToDo, message)
    }

    fn suspended(self, app: &OrgOAuthApp) -> Option<RequestResult> {
        if !app.spec.suspend {
            return None;
        }
        self.refused(format!("spec.suspend is set; resume it first: resume {}", app.name_any()))
    }

    /// There is none, or none that the operator may change.
    fn without_secret(self, app: &OrgOAuthApp) -> Option<RequestResult> {
        if app.spec.public_client == Some(true) {
            self.refused("it is a public client, which has no client secret (spec.publicClient)")
        } else if is_observe_only(app) {
            self.refused("managementPolicy Observe changes nothing in the API; set spec.managementPolicy to Full first")
        } else {
            None
        }
    }

    /// Its first client secret is a new one anyway.
    fn without_app(self, app: &OrgOAuthApp) -> Option<RequestResult> {
        let status = app.status.as_ref();
        if status.is_some_and(|status| status.client_id.is_some() || status.claim.is_some()) {
            return None;
        }
        let ready = app.condition(ConditionType::Ready);
        let reason = ready.map(|ready| format!(" ({})", ready.reason)).unwrap_or_default();
        self.refused(format!("it has no app yet{reason}; see status {}", app.name_any()))
    }

    fn provided(self, app: &OrgOAuthApp) -> Option<RequestResult> {
        let reference = app.spec.client_secret_ref.as_ref()?;
        self.refused(format!(
            "you provide its client secret (spec.clientSecretRef); to rotate it, change the value of key {} in Secret {}",
            reference.key, reference.name
        ))
    }

    fn without_previous(self, app: &OrgOAuthApp) -> Option<RequestResult> {
        let is_valid = rotation(app).is_some_and(|rotation| rotation.previous_expires_at.is_some());
        (!is_valid).then(|| self.unneeded("no previous client secret is valid"))
    }

    fn stale(self, app: &OrgOAuthApp) -> Option<RequestResult> {
        let rotation = rotation(app)?;
        let names = rotation.stale_consumers.as_ref().filter(|names| !names.is_empty())?;
        let count = rotation.stale_consumer_count.and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        let more = match count.saturating_sub(names.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        self.refused(format!(
            "pods still use the previous client secret: {}{more}; restart them first, or set --despite-stale-consumers to let them fail",
            names.join(", ")
        ))
    }
}
