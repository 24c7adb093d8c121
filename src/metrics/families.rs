//! The one table of metrics. What `/metrics` registers and what the documentation says are made from it.

use prometheus_client::registry::{Metric, Registry};

/// A metric with all its series.
#[derive(Debug)]
pub struct Family {
    /// Which one it is.
    pub id: Id,
    /// Its name, as a query writes it.
    pub name: &'static str,
    /// What is done with its values.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [Label],
    /// What it says, without a full stop.
    pub help: &'static str,
}

/// A label.
#[derive(Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What it says, and which values it can have.
    pub meaning: &'static str,
}

/// What is done with the values of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until a restart.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts values by size.
    Histogram,
}

/// All metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    /// Passes.
    Reconciles,
    /// How long passes take.
    ReconcileDuration,
    /// Passes waiting or under way.
    QueueDepth,
    /// Calls to the API.
    RemoteCalls,
    /// How long they take.
    RemoteCallDuration,
    /// How long the API asked to wait.
    Throttled,
    /// Requests for an access token.
    TokenRefreshes,
    /// Apps by readiness.
    Apps,
    /// Age of the oldest secret that is rotated.
    RotationAge,
    /// Rotations that are due.
    RotationsOverdue,
    /// Apps with pods that hold a secret which ends soon.
    StaleConsumers,
    /// Drift that was put back.
    DriftCorrected,
    /// Writes to Kubernetes.
    KubernetesWrites,
    /// Whether this process leads.
    Leader,
    /// Whether connections are Ready.
    ConnectionReady,
    /// Objects that cannot be read.
    Unreadable,
    /// Watches of Secrets that are refused.
    SecretWatchesRefused,
    /// Resources that went without their finalizer.
    FinalizersRemoved,
    /// Failures of the operator itself.
    Panics,
}

const CONNECTION: Label = Label { name: "connection", meaning: "the name of the `IamConnection`" };

/// Every metric, in the order in which it is exposed and documented.
pub static FAMILIES: [Family; 19] = [
    Family {
        id: Id::Reconciles,
        name: "oauth_app_operator_reconciles_total",
        kind: Kind::Counter,
        labels: &[
            Label {
                name: "outcome",
                meaning: "`settled`, `observed`, `suspended`, `gone`, `blocked` (a person must change something), `waiting` (it goes on by itself), `failed` (Kubernetes did not do as asked)",
            },
            Label {
                name: "reason",
                meaning: "the reason that the status gives; with `failed`: `Stale`, `Refused` or `Unavailable`",
            },
        ],
        help: "Passes over an OrgOAuthApp that ended",
    },
    Family {
        id: Id::ReconcileDuration,
        name: "oauth_app_operator_reconcile_duration_seconds",
        kind: Kind::Histogram,
        labels: &[],
        help: "How long passes take, without the time that they wait for their turn",
    },
    Family {
        id: Id::QueueDepth,
        name: "oauth_app_operator_queue_depth",
        kind: Kind::Gauge,
        labels: &[],
        help: "Passes that wait for their turn or are under way",
    },
    Family {
        id: Id::RemoteCalls,
        name: "oauth_app_operator_remote_calls_total",
        kind: Kind::Counter,
        labels: &[
            Label {
                name: "operation",
                meaning: "what was tried, in the words of the log: `get access token`, `create app`, `read app`, `list apps`, `update app`, `rotate secret`, `delete app`, `add app to organization`, `read client`, `list clients`, `change roles`",
            },
            Label {
                name: "status",
                meaning: "the HTTP status, or `timeout`, or `error` where no answer came that can be read",
            },
        ],
        help: "Calls to the IAM API",
    },
    Family {
        id: Id::RemoteCallDuration,
        name: "oauth_app_operator_remote_call_duration_seconds",
        kind: Kind::Histogram,
        labels: &[Label { name: "operation", meaning: "as in `oauth_app_operator_remote_calls_total`" }],
        help: "How long calls to the IAM API take, from connecting to the last byte of the answer",
    },
    Family {
        id: Id::Throttled,
        name: "oauth_app_operator_throttled_seconds_total",
        kind: Kind::Counter,
        labels: &[CONNECTION],
        help: "Seconds for which the IAM API asked to wait with a 429, for each organization, counted when it asks",
    },
    Family {
        id: Id::TokenRefreshes,
        name: "oauth_app_operator_token_refreshes_total",
        kind: Kind::Counter,
        labels: &[
            CONNECTION,
            Label {
                name: "result",
                meaning: "`granted`, `refused` (the API refuses the credentials), `failed` (no usable answer)",
            },
        ],
        help: "Requests for an access token",
    },
    Family {
        id: Id::Apps,
        name: "oauth_app_operator_apps",
        kind: Kind::Gauge,
        labels: &[
            Label {
                name: "connection",
                meaning: "the name of the `IamConnection`; empty where there is none of the name that the app gives",
            },
            Label { name: "ready", meaning: "`true`, `false` or `unknown`, as the condition `Ready` says" },
        ],
        help: "OrgOAuthApps by readiness",
    },
    Family {
        id: Id::RotationAge,
        name: "oauth_app_operator_rotation_age_seconds",
        kind: Kind::Gauge,
        labels: &[CONNECTION],
        help: "Age of the oldest client secret of an app with a rotation interval",
    },
    Family {
        id: Id::RotationsOverdue,
        name: "oauth_app_operator_rotations_overdue",
        kind: Kind::Gauge,
        labels: &[CONNECTION],
        help: "Apps whose rotation is due and not done",
    },
    Family {
        id: Id::StaleConsumers,
        name: "oauth_app_operator_apps_with_stale_consumers",
        kind: Kind::Gauge,
        labels: &[CONNECTION],
        help: "Apps of whose overlap a quarter is left at most while pods still hold the previous client secret",
    },
    Family {
        id: Id::DriftCorrected,
        name: "oauth_app_operator_drift_corrected_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Changes that somebody else made to an app at the IAM API and that were put back",
    },
    Family {
        id: Id::KubernetesWrites,
        name: "oauth_app_operator_kubernetes_writes_total",
        kind: Kind::Counter,
        labels: &[
            Label {
                name: "resource",
                meaning: "`orgoauthapps`, `orgoauthapps/status`, `iamconnections/status`, `secrets`, `events`, `deployments`, `statefulsets` or `daemonsets`",
            },
            Label {
                name: "result",
                meaning: "`ok`, `stale` (it changed meanwhile and is looked at again), `refused`, `unavailable`",
            },
        ],
        help: "Writes to Kubernetes",
    },
    Family {
        id: Id::Leader,
        name: "oauth_app_operator_leader",
        kind: Kind::Gauge,
        labels: &[],
        help: "1 while this process is the one that works, else 0",
    },
    Family {
        id: Id::ConnectionReady,
        name: "oauth_app_operator_connection_ready",
        kind: Kind::Gauge,
        labels: &[CONNECTION],
        help: "Whether the IamConnection is Ready: 1, or 0, which it is too while the API does not answer; nothing before it was proven",
    },
    Family {
        id: Id::Unreadable,
        name: "oauth_app_operator_unreadable_objects",
        kind: Kind::Gauge,
        labels: &[Label { name: "resource", meaning: "`orgoauthapps`, `iamconnections` or `namespaces`" }],
        help: "Objects that hold something that the operator cannot read, so that it skips them",
    },
    Family {
        id: Id::SecretWatchesRefused,
        name: "oauth_app_operator_secret_watches_refused",
        kind: Kind::Gauge,
        labels: &[],
        help: "Watches of Secrets for which the operator lacks the right, one for each watched namespace or one for all; a Secret that is deleted or edited there is noticed within the `resyncInterval`",
    },
    Family {
        id: Id::FinalizersRemoved,
        name: "oauth_app_operator_finalizers_removed_total",
        kind: Kind::Counter,
        labels: &[],
        help: "OrgOAuthApps that were deleted after somebody else had removed their finalizer, so that their apps were not deleted",
    },
    Family {
        id: Id::Panics,
        name: "oauth_app_operator_panics_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Reconciles that ended because the operator itself failed, which is a bug",
    },
];

impl Family {
    /// Puts the series of this metric where they are encoded from.
    pub(super) fn register(&self, registry: &mut Registry, metric: impl Metric) {
        // The encoder adds the suffix by itself.
        registry.register(self.name.strip_suffix("_total").unwrap_or(self.name), self.help, metric);
    }
}
