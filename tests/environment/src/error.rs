//! What can go wrong in a test environment.

use std::io;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    ControlPlane(#[from] control_plane::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("not so after {after:?}: {what}\n{report}")]
    TimedOut {
        /// The condition.
        what: String,
        /// How long it was waited for.
        after: Duration,
        /// What helps to understand it.
        report: String,
    },
    #[error("the operator has ended; the end of its log:\n{log}")]
    Ended {
        /// The last lines that it wrote.
        log: String,
    },
    /// The Deployment is not there, or not what ships.
    #[error("Deployment {0} cannot be run")]
    Deployment(&'static str),
}
