//! The labels of the metrics and the values that they can have.
//! All but the name of a connection come from closed sets, so that nobody can make series without end.

use crate::crd::WorkloadKind;
use prometheus_client::encoding::EncodeLabelSet;

/// An enum of which each variant is a label value.
macro_rules! values {
    ($(#[$doc:meta])+ $name:ident { $($(#[$variant_doc:meta])+ $variant:ident = $value:literal,)+ }) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])+ $variant,)+ }

        impl $name {
            /// All values, as the metrics show them.
            pub const VALUES: &[&str] = &[$($value),+];

            /// The value.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $value,)+ }
            }
        }
    };
}

values! {
    /// How a pass ended.
    Ending {
        /// Everything is as the spec says.
        Settled = "settled",
        /// Only looked, as the spec says.
        Observed = "observed",
        /// Nothing done, as the spec says.
        Suspended = "suspended",
        /// The resource is let go.
        Gone = "gone",
        /// A person must change something.
        Blocked = "blocked",
        /// It goes on by itself later.
        Waiting = "waiting",
        /// Kubernetes did not do as asked, or the pass took too long.
        Failed = "failed",
    }
}

values! {
    /// What came of a write to Kubernetes.
    Written {
        /// It was made.
        Ok = "ok",
        /// What was seen was stale; the pass starts again.
        Stale = "stale",
        /// Kubernetes refused it.
        Refused = "refused",
        /// No usable answer.
        Unavailable = "unavailable",
    }
}

values! {
    /// What is written to Kubernetes.
    Resource {
        /// The finalizer of a resource.
        OrgOAuthApps = "orgoauthapps",
        /// The status of a resource.
        OrgOAuthAppsStatus = "orgoauthapps/status",
        /// The status of a connection.
        IamConnectionsStatus = "iamconnections/status",
        /// A Secret.
        Secrets = "secrets",
        /// An Event.
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
    /// What is watched.
    Watched {
        /// The resources.
        OrgOAuthApps = "orgoauthapps",
        /// The connections.
        IamConnections = "iamconnections",
        /// The namespaces.
        Namespaces = "namespaces",
    }
}

values! {
    /// What came of a request for an access token.
    Refresh {
        /// The API gave one.
        Granted = "granted",
        /// It refuses the credentials.
        Refused = "refused",
        /// It asked to wait, or gave no usable answer.
        Failed = "failed",
    }
}

values! {
    /// Whether an app is Ready.
    Readiness {
        /// It is.
        True = "true",
        /// It is not.
        False = "false",
        /// Nobody has looked yet.
        Unknown = "unknown",
    }
}

/// What came of a call to the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// An answer with this HTTP status.
    Status(u16),
    /// No whole answer in time.
    Timeout,
    /// No answer that can be read.
    Error,
}

impl Answered {
    /// The status, or a word for there being none.
    pub fn status(self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::Timeout => "timeout".into(),
            Self::Error => "error".into(),
        }
    }
}

/// A pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfPass {
    pub outcome: &'static str,
    pub reason: &'static str,
}

/// A call to the API and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfCall {
    pub operation: &'static str,
    pub status: String,
}

/// A kind of call to the API.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfOperation {
    pub operation: &'static str,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfConnection {
    pub connection: String,
}

/// A request for an access token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfRefresh {
    pub connection: String,
    pub result: &'static str,
}

/// The apps of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfApps {
    pub connection: String,
    pub ready: &'static str,
}

/// A write to Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfWrite {
    pub resource: &'static str,
    pub result: &'static str,
}

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfWatch {
    pub resource: &'static str,
}
