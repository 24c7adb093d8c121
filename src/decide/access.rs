//! Whether the connection of a resource may be used, and what it grants.
//! It is found out before anything is observed, since without it nothing may be asked of the API.

use crate::claim::ApiAddress;
use crate::crd::Context;
use crate::reason::Blocked;
use std::time::Duration;

/// Whether the resource's connection may be used.
#[derive(Clone, Debug)]
pub enum Access {
    Granted {
        address: ApiAddress,
        /// The connection's `context`, which a resource may override.
        context: Option<Context>,
        /// Whether apps that exist already may be taken over.
        adoption: bool,
        /// How often the secret in a Secret is verified.
        credential_check_interval: Duration,
    },
    Refused(Blocked),
}
