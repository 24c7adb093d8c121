//! What can go wrong while a control plane is provided, started or used.
//! Each message names the program, what happened, and the end of its log where there is one.

use std::process::ExitStatus;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program could be neither found, downloaded nor built; the text says which ways were tried and what to do.
    #[error("{0}")]
    Unavailable(String),
    #[error("cannot {what}: {source}")]
    Io {
        /// The operation, in the infinitive.
        what: String,
        source: std::io::Error,
    },
    /// A program ended although it should run.
    #[error("{process} ended with {status}; the end of its log:\n{log}")]
    Ended {
        process: String,
        status: ExitStatus,
        /// The last lines that it wrote.
        log: String,
    },
    /// A program runs, but did not become ready in time.
    #[error("{process} is not ready after {} s ({reason}); the end of its log:\n{log}", after.as_secs())]
    NotReady {
        process: String,
        /// How long it was waited for.
        after: Duration,
        /// What the last question for its readiness gave.
        reason: String,
        /// The last lines that it wrote.
        log: String,
    },
    #[error("kubectl {arguments}: {message}")]
    Kubectl {
        /// Its arguments, joined by spaces.
        arguments: String,
        /// What it wrote to standard error.
        message: String,
    },
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("the apiserver: {0}")]
    Api(#[from] kube::Error),
    #[error("kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
}

impl Error {
    /// Says what was tried when the standard library failed: `.map_err(Error::io("read x"))`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
