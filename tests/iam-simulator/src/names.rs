//! The fields of an app that all APIs have, under the name that each gives them.
//! What the APIs share works with these; any other field is known to its API alone.

use crate::types::Flavor;

/// The names of one API.
pub(crate) struct Names {
    pub id: &'static str,
    pub display_name: &'static str,
    pub grant_types: &'static str,
    pub public_client: &'static str,
    pub access_token_ttl: &'static str,
    /// The unit of the lifetimes, in seconds.
    pub ttl_unit: u64,
}

const ORGANIZATION_APPS: Names = Names {
    id: "id",
    display_name: "displayName",
    grant_types: "grantTypes",
    public_client: "publicClient",
    access_token_ttl: "accessTokenTTL",
    ttl_unit: 1,
};

/// `[vib-client]`.
const BROKER_CLIENTS: Names = Names {
    id: "client_id",
    display_name: "display_name",
    grant_types: "grant_types",
    public_client: "public_client",
    access_token_ttl: "access_token_ttl",
    ttl_unit: 60,
};

impl Names {
    pub(crate) fn of(flavor: Flavor) -> &'static Self {
        match flavor {
            Flavor::Csp | Flavor::Cpn => &ORGANIZATION_APPS,
            Flavor::Broker => &BROKER_CLIENTS,
        }
    }
}
