//! The one table of metrics. `/metrics` exposes its rows and `docs/metrics.md` describes them.

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::registry::{Metric, Registry};
use std::fmt;

/// A metric with all its series.
#[derive(Debug)]
pub struct Family {
    pub(crate) source: Source,
    /// Its name, as a query writes it.
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [Label],
    /// Its help text, without a full stop.
    pub help: &'static str,
}

#[derive(Debug)]
pub struct Label {
    pub name: &'static str,
    /// What it means, and which values it can have.
    pub meaning: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Where the values of a metric come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Recorded(Recorded),
    Computed(Computed),
}

/// The metrics that are recorded as things happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    Reconciles,
    ReconcileDuration,
    QueueDepth,
    RemoteCalls,
    RemoteCallDuration,
    Throttled,
    TokenRefreshes,
    DriftCorrected,
    KubernetesWrites,
    KubernetesReadErrors,
    Leader,
    BuildInfo,
    ProcessStartTime,
    StartupTime,
    Unreadable,
    SecretWatchesRefused,
    FinalizersRemoved,
    Panics,
}

/// The metrics that are computed from the watched resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Computed {
    Apps,
    OldestClientSecretAge,
    RotationsOverdue,
    StaleConsumers,
    ConnectionReady,
    CredentialsExpiration,
}

const CONNECTION: Label = Label { name: "connection", meaning: "the name of the `IamConnection`" };

/// Every metric, in the order in which it is exposed and documented.
pub static FAMILIES: [Family; 24] = [
    Family {
        source: Source::Recorded(Recorded::Reconciles),
        name: "oauth_app_operator_reconciles_total",
        kind: Kind::Counter,
        labels: &[
            Label {
                name: "outcome",
                meaning: "`settled`, `observed`, `suspended`, `gone`, `blocked` (someone must act), `waiting` (it is retried), `failed` (a Kubernetes request failed)",
            },
            Label {
                name: "reason",
                meaning: "the reason in status; with `failed`: `Stale`, `Refused` or `Unavailable`",
            },
        ],
        help: "Number of OrgOAuthApp reconciliations",
    },
    Family {
        source: Source::Recorded(Recorded::ReconcileDuration),
        name: "oauth_app_operator_reconcile_duration_seconds",
        kind: Kind::Histogram,
        labels: &[],
        help: "Duration of OrgOAuthApp reconciliations, without the time in the queue",
    },
    Family {
        source: Source::Recorded(Recorded::QueueDepth),
        name: "oauth_app_operator_queue_depth",
        kind: Kind::Gauge,
        labels: &[],
        help: "Number of OrgOAuthApp reconciliations that are queued or running",
    },
    Family {
        source: Source::Recorded(Recorded::RemoteCalls),
        name: "oauth_app_operator_remote_calls_total",
        kind: Kind::Counter,
        labels: &[
            Label {
                name: "operation",
                meaning: "`get_access_token`, `read_token_details`, `create_app`, `read_app`, `list_apps`, `update_app`, `rotate_secret`, `end_rotation`, `delete_app`, `add_app_to_organization`, `read_client`, `list_clients`, `change_roles`",
            },
            Label { name: "status", meaning: "the HTTP status, or `timeout`, or `error` without a readable response" },
        ],
        help: "Number of requests to the IAM API",
    },
    Family {
        source: Source::Recorded(Recorded::RemoteCallDuration),
        name: "oauth_app_operator_remote_call_duration_seconds",
        kind: Kind::Histogram,
        labels: &[Label { name: "operation", meaning: "as in `oauth_app_operator_remote_calls_total`" }],
        help: "Duration of requests to the IAM API, from connecting to the last byte of the response",
    },
    Family {
        source: Source::Recorded(Recorded::Throttled),
        name: "oauth_app_operator_throttled_seconds_total",
        kind: Kind::Counter,
        labels: &[CONNECTION],
        help: "Seconds that the IAM API asked to wait with a 429, summed over the organizations, added when it asks",
    },
    Family {
        source: Source::Recorded(Recorded::TokenRefreshes),
        name: "oauth_app_operator_token_refreshes_total",
        kind: Kind::Counter,
        labels: &[
            CONNECTION,
            Label {
                name: "result",
                meaning: "`granted`, `refused` (the API refuses the credentials), `failed` (no usable response)",
            },
        ],
        help: "Number of requests for an access token",
    },
    Family {
        source: Source::Computed(Computed::Apps),
        name: "oauth_app_operator_apps",
        kind: Kind::Gauge,
        labels: &[
            Label {
                name: "connection",
                meaning: "the name of the `IamConnection`; empty if the app refers to one that does not exist",
            },
            Label { name: "ready", meaning: "the status of the condition `Ready`: `true`, `false` or `unknown`" },
            Label {
                name: "mode",
                meaning: "`full`, or `observe` (`managementPolicy: Observe`) or `suspended` (`spec.suspend`) unless the app is being deleted",
            },
        ],
        help: "Number of OrgOAuthApps by readiness",
    },
    Family {
        source: Source::Computed(Computed::OldestClientSecretAge),
        name: "oauth_app_operator_oldest_client_secret_age_seconds",
        kind: Kind::Gauge,
        labels: &[CONNECTION],
        help: "Age of the oldest client secret of the apps that have a rotation interval",
    },
    Family {
        source: Source::Computed(Computed::RotationsOverdue),
        name: "oauth_app_operator_rotations_overdue",
        kind: Kind::Gauge,
        labels: &[CONNECTION],
        help: "Number of apps whose rotation is overdue, without those that are suspended or only observed",
    },
    Family {
        source: Source::Computed(Computed::StaleConsumers),
        name: "oauth_app_operator_apps_with_stale_consumers",
        kind: Kind::Gauge,
        labels: &[CONNECTION],
        help: "Number of apps in the last quarter of their overlap while pods still hold the previous client secret, without those that are suspended or only observed",
    },
    Family {
        source: Source::Recorded(Recorded::DriftCorrected),
        name: "oauth_app_operator_drift_corrected_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Number of external changes to apps in the IAM API that were reverted",
    },
    Family {
        source: Source::Recorded(Recorded::KubernetesWrites),
        name: "oauth_app_operator_kubernetes_writes_total",
        kind: Kind::Counter,
        labels: &[
            Label {
                name: "resource",
                meaning: "`orgoauthapps`, `orgoauthapps/status`, `iamconnections/status`, `secrets`, `events`, `deployments`, `statefulsets` or `daemonsets`",
            },
            Label { name: "result", meaning: "`ok`, `stale` (a conflict, which is retried), `refused`, `unavailable`" },
        ],
        help: "Number of write requests to Kubernetes",
    },
    Family {
        source: Source::Recorded(Recorded::KubernetesReadErrors),
        name: "oauth_app_operator_kubernetes_read_errors_total",
        kind: Kind::Counter,
        labels: &[
            Label { name: "verb", meaning: "`get`, `list` or `watch`" },
            Label {
                name: "resource",
                meaning: "`orgoauthapps`, `iamconnections`, `namespaces`, `secrets`, `configmaps` or `pods`",
            },
        ],
        help: "Number of reads and watches of Kubernetes that failed; a failed watch is restarted",
    },
    Family {
        source: Source::Recorded(Recorded::Leader),
        name: "oauth_app_operator_leader",
        kind: Kind::Gauge,
        labels: &[],
        help: "1 if this replica is the leader, otherwise 0",
    },
    Family {
        source: Source::Recorded(Recorded::BuildInfo),
        name: "oauth_app_operator_build_info",
        kind: Kind::Gauge,
        labels: &[
            Label { name: "version", meaning: "the version of the operator" },
            Label { name: "commit", meaning: "the commit that it was built from, or `not known`" },
        ],
        help: "1, with the version of this replica in the labels",
    },
    Family {
        source: Source::Recorded(Recorded::ProcessStartTime),
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "Unix time of the start of this process",
    },
    Family {
        source: Source::Recorded(Recorded::StartupTime),
        name: "oauth_app_operator_startup_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &[Label {
            name: "phase",
            meaning: "`leading` (this replica became the leader), `synced` (all watches provided their first list), `first_reconcile` (the first reconciliation ended)",
        }],
        help: "Unix time at which this process reached a phase of its start",
    },
    Family {
        source: Source::Computed(Computed::ConnectionReady),
        name: "oauth_app_operator_connection_ready",
        kind: Kind::Gauge,
        labels: &[
            CONNECTION,
            Label { name: "reason", meaning: "the reason of the condition `Ready`, see [reasons.md](reasons.md)" },
        ],
        help: "1 if the IamConnection is Ready, otherwise 0, also while the API does not respond; absent while it is not known",
    },
    Family {
        source: Source::Computed(Computed::CredentialsExpiration),
        name: "oauth_app_operator_connection_credentials_expiration_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &[CONNECTION],
        help: "Unix time at which the credentials of the IamConnection expire; absent if that is not known",
    },
    Family {
        source: Source::Recorded(Recorded::Unreadable),
        name: "oauth_app_operator_unreadable_objects",
        kind: Kind::Gauge,
        labels: &[Label { name: "resource", meaning: "`orgoauthapps`, `iamconnections` or `namespaces`" }],
        help: "Number of objects that the operator cannot parse and therefore skips",
    },
    Family {
        source: Source::Recorded(Recorded::SecretWatchesRefused),
        name: "oauth_app_operator_secret_watches_refused",
        kind: Kind::Gauge,
        labels: &[],
        help: "Number of watches of Secrets that are forbidden, one for each watched namespace or one for all; a Secret that is deleted or edited there is noticed within the `resyncInterval`",
    },
    Family {
        source: Source::Recorded(Recorded::FinalizersRemoved),
        name: "oauth_app_operator_finalizers_removed_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Number of OrgOAuthApps that were deleted after someone else removed their finalizer, so that their apps were not deleted",
    },
    Family {
        source: Source::Recorded(Recorded::Panics),
        name: "oauth_app_operator_panics_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Number of reconciliations that panicked, which is a bug",
    },
];

impl Family {
    /// Registers the series of this metric.
    pub(super) fn register(&self, registry: &mut Registry, metric: impl Metric) {
        registry.register(self.exposed_name(), self.help, metric);
    }

    /// Writes the series of this metric, if it has any.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>, metric: &impl EncodeMetric) -> fmt::Result {
        if metric.is_empty() {
            return Ok(());
        }
        let help = format!("{}.", self.help);
        metric.encode(encoder.encode_descriptor(self.exposed_name(), &help, None, metric.metric_type())?)
    }

    /// The encoder adds the suffix by itself.
    fn exposed_name(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }
}
