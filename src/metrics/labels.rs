//! The labels of the metrics and the values that they can have.
//! All but the name of a connection come from closed sets, so that the number of series is bounded.

use crate::crd::WorkloadKind;
use prometheus_client::encoding::EncodeLabelSet;

/// An enum of which each variant is a label value.
macro_rules! values {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All values, as the metrics show them.
            #[allow(dead_code, reason = "of some enums only tests need all values")]
            pub(crate) const VALUES: &[&str] = &[$($value),+];

            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $value,)+ }
            }
        }
    };
}

values! {
    /// How a reconciliation ended.
    ReconcileOutcome {
        /// Everything is as the spec says.
        Settled = "settled",
        /// Nothing was changed, as the spec says.
        Observed = "observed",
        /// Nothing was done, as the spec says.
        Suspended = "suspended",
        /// The resource was deleted.
        Gone = "gone",
        /// Someone must act.
        Blocked = "blocked",
        /// The operator retries by itself.
        Waiting = "waiting",
        /// A Kubernetes request failed, or the reconciliation timed out.
        Failed = "failed",
    }
}

values! {
    /// The result of a write to Kubernetes.
    WriteResult {
        Ok = "ok",
        /// A conflict; the reconciliation is retried.
        Stale = "stale",
        Refused = "refused",
        /// No usable response.
        Unavailable = "unavailable",
    }
}

values! {
    /// What is written to Kubernetes.
    Resource {
        /// The finalizer of a resource.
        OrgOAuthApps = "orgoauthapps",
        OrgOAuthAppsStatus = "orgoauthapps/status",
        IamConnectionsStatus = "iamconnections/status",
        Secrets = "secrets",
        Events = "events",
        /// The restart of a Deployment.
        Deployments = "deployments",
        /// The restart of a StatefulSet.
        StatefulSets = "statefulsets",
        /// The restart of a DaemonSet.
        DaemonSets = "daemonsets",
    }
}

impl From<WorkloadKind> for Resource {
    fn from(kind: WorkloadKind) -> Self {
        match kind {
            WorkloadKind::Deployment => Self::Deployments,
            WorkloadKind::StatefulSet => Self::StatefulSets,
            WorkloadKind::DaemonSet => Self::DaemonSets,
        }
    }
}

values! {
    Watched {
        OrgOAuthApps = "orgoauthapps",
        IamConnections = "iamconnections",
        Namespaces = "namespaces",
    }
}

impl From<Watched> for Read {
    fn from(watched: Watched) -> Self {
        match watched {
            Watched::OrgOAuthApps => Self::WatchApps,
            Watched::IamConnections => Self::WatchConnections,
            Watched::Namespaces => Self::WatchNamespaces,
        }
    }
}

/// What is read from Kubernetes. Workloads to restart are missing: that they cannot be read is reported by an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    GetApp,
    ListApps,
    WatchApps,
    WatchConnections,
    WatchNamespaces,
    GetSecret,
    WatchSecrets,
    GetConfigMap,
    ListPods,
}

impl Read {
    pub(super) const ALL: [Self; 9] = [
        Self::GetApp,
        Self::ListApps,
        Self::WatchApps,
        Self::WatchConnections,
        Self::WatchNamespaces,
        Self::GetSecret,
        Self::WatchSecrets,
        Self::GetConfigMap,
        Self::ListPods,
    ];

    pub(super) fn labels(self) -> ReadLabels {
        let (verb, resource) = match self {
            Self::GetApp => ("get", "orgoauthapps"),
            Self::ListApps => ("list", "orgoauthapps"),
            Self::WatchApps => ("watch", "orgoauthapps"),
            Self::WatchConnections => ("watch", "iamconnections"),
            Self::WatchNamespaces => ("watch", "namespaces"),
            Self::GetSecret => ("get", "secrets"),
            Self::WatchSecrets => ("watch", "secrets"),
            Self::GetConfigMap => ("get", "configmaps"),
            Self::ListPods => ("list", "pods"),
        };
        ReadLabels { verb, resource }
    }
}

values! {
    /// A phase of the start of a process.
    Phase {
        /// This replica became the leader.
        Leading = "leading",
        /// All watches have provided their first list.
        Synced = "synced",
        /// The first reconciliation ended.
        FirstReconcile = "first_reconcile",
    }
}

values! {
    /// How an app is managed.
    Mode {
        Full = "full",
        Observe = "observe",
        Suspended = "suspended",
    }
}

values! {
    /// The result of a request for an access token.
    Refresh {
        Granted = "granted",
        /// The API refused the credentials.
        Refused = "refused",
        /// The API asked to wait, or gave no usable response.
        Failed = "failed",
    }
}

values! {
    /// Whether an app is Ready.
    Readiness {
        True = "true",
        False = "false",
        Unknown = "unknown",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallResult {
    /// A response with this HTTP status.
    Status(u16),
    Timeout,
    /// No readable response.
    Error,
}

impl CallResult {
    /// The status, or a word for there being none.
    pub(crate) fn status(self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::Timeout => "timeout".into(),
            Self::Error => "error".into(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReconcileLabels {
    pub(crate) outcome: &'static str,
    pub(crate) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CallLabels {
    pub(crate) operation: &'static str,
    pub(crate) status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OperationLabels {
    pub(crate) operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ConnectionLabels {
    pub(crate) connection: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RefreshLabels {
    pub(crate) connection: String,
    pub(crate) result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AppLabels {
    pub(crate) connection: String,
    pub(crate) ready: &'static str,
    pub(crate) mode: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ConnectionStateLabels {
    pub(crate) connection: String,
    pub(crate) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BuildLabels {
    pub(crate) version: &'static str,
    pub(crate) commit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PhaseLabels {
    pub(crate) phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReadLabels {
    pub(crate) verb: &'static str,
    pub(crate) resource: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct WriteLabels {
    pub(crate) resource: &'static str,
    pub(crate) result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct WatchLabels {
    pub(crate) resource: &'static str,
}
