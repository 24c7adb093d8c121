//! Which operation a method and a path mean.
//! Segments are split before they are decoded, so an escaped slash stays inside an id.

use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::types::{Flavor, Operation};

/// The forms in which tokens are asked for (docs/api.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenForm {
    /// `auth/api-tokens/authorize` `[auth-apitok]`.
    CspApiToken,
    /// `auth/api-tokens/details` `[tcsp-token-details]`: no form of a token, and like them for anyone.
    CspApiTokenDetails,
    /// `auth/authorize` `[vmc-org]`.
    CspAuthorize,
    /// `auth/token` `[auth-token]`.
    CspToken,
    /// `v1/authn/accesstoken` `[cpn-accesstoken]`.
    CpnApiToken,
    /// `v1/authn/accounts/{orgId}/accesstoken` `[cpn-account-token]`.
    CpnAccount,
    /// `v2/authn/authorize` `[cpn-v2-authorize]`.
    CpnAuthorize,
    /// `token` of a tenant `[vib-token]`.
    Broker,
}

/// Where a call is going.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub flavor: Option<Flavor>,
    pub operation: Operation,
    pub token: Option<TokenForm>,
    pub org: Option<String>,
    pub client: Option<String>,
    /// Set when the path exists with other methods.
    pub wrong_method: bool,
}

impl Route {
    fn new(flavor: Flavor, operation: Operation, org: &str, client: &str) -> Self {
        let given = |s: &str| (!s.is_empty()).then(|| s.to_string());
        Self {
            flavor: Some(flavor),
            operation,
            token: None,
            org: given(org),
            client: given(client),
            wrong_method: false,
        }
    }

    fn token(flavor: Flavor, form: TokenForm, org: &str) -> Self {
        Self { token: Some(form), ..Self::new(flavor, Operation::Token, org, "") }
    }

    /// Finds the operation; a path that no API has gives [`Operation::Unknown`].
    pub(crate) fn of(method: &Method, path: &str, query: &[(String, String)]) -> Self {
        let segments: Option<Vec<String>> = path
            .strip_prefix('/')
            .unwrap_or_default()
            .split('/')
            .map(|s| percent_decode_str(s).decode_utf8().ok().map(|s| s.into_owned()))
            .collect();
        let segments = segments.unwrap_or_default();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["csp", "gateway", "am", "api", rest @ ..] => csp(method, rest),
            ["cphub", "api", "auth", rest @ ..] => cpn(method, rest),
            ["acs", "t", tenant, rest @ ..] => broker(method, tenant, rest, query),
            _ => Self { flavor: None, ..Self::new(Flavor::Csp, Operation::Unknown, "", "") },
        }
    }

    fn unknown(flavor: Flavor, wrong_method: bool) -> Self {
        Self { wrong_method, ..Self::new(flavor, Operation::Unknown, "", "") }
    }
}

fn csp(method: &Method, path: &[&str]) -> Route {
    use Operation::*;
    let flavor = Flavor::Csp;
    let to = |operation, org, client| Route::new(flavor, operation, org, client);
    match (method.as_str(), path) {
        ("POST", ["orgs", org, "oauth-apps"]) => to(CreateApp, org, ""),
        ("GET", ["orgs", org, "oauth-apps"]) => to(ListApps, org, ""),
        ("DELETE", ["orgs", org, "oauth-apps"]) => to(DeleteApps, org, ""),
        ("POST", ["orgs", org, "oauth-apps", "search"]) => to(SearchApps, org, ""),
        ("GET", ["orgs", org, "oauth-apps", id]) => to(GetApp, org, id),
        ("PATCH", ["orgs", org, "oauth-apps", id]) => to(UpdateApp, org, id),
        ("POST", ["orgs", org, "oauth-apps", id, "secret"]) => to(RotateSecret, org, id),
        ("PUT", ["orgs", org, "oauth-apps", id, "secret"]) => to(RegenerateSecret, org, id),
        ("DELETE", ["orgs", org, "oauth-apps", id, "secret"]) => to(EndOverlap, org, id),
        ("POST", ["orgs", org, "clients"]) => to(AddClients, org, ""),
        ("GET", ["orgs", org, "clients"]) => to(ListClients, org, ""),
        ("DELETE", ["orgs", org, "clients"]) => to(RemoveClients, org, ""),
        ("PATCH", ["clients", id, "orgs", org, "roles"]) => to(PatchClientRoles, org, id),
        ("GET", ["clients", id, "orgs", org, "roles"]) => to(GetClientRoles, org, id),
        ("POST", ["auth", "api-tokens", "authorize"]) => Route::token(flavor, TokenForm::CspApiToken, ""),
        ("POST", ["auth", "api-tokens", "details"]) => {
            Route { token: Some(TokenForm::CspApiTokenDetails), ..to(ApiTokenDetails, "", "") }
        }
        ("POST", ["auth", "authorize"]) => Route::token(flavor, TokenForm::CspAuthorize, ""),
        ("POST", ["auth", "token"]) => Route::token(flavor, TokenForm::CspToken, ""),
        (
            _,
            ["orgs", _, "oauth-apps" | "clients"]
            | ["orgs", _, "oauth-apps", _]
            | ["orgs", _, "oauth-apps", _, "secret"]
            | ["clients", _, "orgs", _, "roles"]
            | ["auth", "api-tokens", "authorize" | "details"]
            | ["auth", "authorize" | "token"],
        ) => Route::unknown(flavor, true),
        _ => Route::unknown(flavor, false),
    }
}

fn cpn(method: &Method, path: &[&str]) -> Route {
    use Operation::*;
    let flavor = Flavor::Cpn;
    let to = |operation, org, client| Route::new(flavor, operation, org, client);
    match (method.as_str(), path) {
        ("POST", ["v2", "orgs", org, "oauth-apps"]) => to(CreateApp, org, ""),
        ("GET", ["v2", "orgs", org, "oauth-apps"]) => to(ListApps, org, ""),
        ("DELETE", ["v2", "orgs", org, "oauth-apps"]) => to(DeleteApps, org, ""),
        ("GET", ["v2", "orgs", org, "oauth-apps", id]) => to(GetApp, org, id),
        ("PATCH", ["v2", "orgs", org, "oauth-apps", id]) => to(UpdateApp, org, id),
        ("POST", ["v2", "orgs", org, "oauth-apps", id, "secret"]) => to(RotateSecret, org, id),
        ("PUT", ["v2", "orgs", org, "oauth-apps", id, "secret"]) => to(RegenerateSecret, org, id),
        ("DELETE", ["v2", "orgs", org, "oauth-apps", id, "secret"]) => to(EndOverlap, org, id),
        ("POST", ["v2", "clients", id, "secret"]) => to(SelfRotate, "", id),
        ("POST", ["v2", "orgs", org, "clients"]) => to(AddClients, org, ""),
        ("GET", ["v2", "orgs", org, "clients", id]) => to(GetClient, org, id),
        ("PATCH", ["v2", "clients", id, "orgs", org, "roles"]) => to(PatchClientRoles, org, id),
        ("GET", ["v1", "orgs", org, "org-roles"]) => to(OrgRoles, org, ""),
        ("POST", ["v1", "authn", "accesstoken"]) => Route::token(flavor, TokenForm::CpnApiToken, ""),
        ("POST", ["v1", "authn", "accounts", org, "accesstoken"]) => Route::token(flavor, TokenForm::CpnAccount, org),
        ("POST", ["v2", "authn", "authorize"]) => Route::token(flavor, TokenForm::CpnAuthorize, ""),
        (
            _,
            ["v2", "orgs", _, "oauth-apps" | "clients"]
            | ["v2", "orgs", _, "oauth-apps" | "clients", _]
            | ["v2", "orgs", _, "oauth-apps", _, "secret"]
            | ["v2", "clients", _, "secret"]
            | ["v2", "clients", _, "orgs", _, "roles"]
            | ["v1", "orgs", _, "org-roles"]
            | ["v1", "authn", "accesstoken"]
            | ["v1", "authn", "accounts", _, "accesstoken"]
            | ["v2", "authn", "authorize"],
        ) => Route::unknown(flavor, true),
        _ => Route::unknown(flavor, false),
    }
}

/// `/acs/t/{tenant}`: one path rotates and ends a rotation, by its query `[vib-rotate]`.
fn broker(method: &Method, tenant: &str, path: &[&str], query: &[(String, String)]) -> Route {
    use Operation::*;
    let flavor = Flavor::Broker;
    let to = |operation, client| Route::new(flavor, operation, tenant, client);
    let retires = query.iter().any(|(name, value)| name == "action" && value == "retire-primary-secret");
    match (method.as_str(), path) {
        ("POST", ["broker", "oauth2-clients"]) => to(CreateApp, ""),
        ("GET", ["broker", "oauth2-clients"]) => to(ListApps, ""),
        // It finds clients by roles, which are not simulated.
        ("POST", ["broker", "oauth2-clients", "search"]) => Route::unknown(flavor, false),
        ("GET", ["broker", "oauth2-clients", id]) => to(GetApp, id),
        ("PATCH", ["broker", "oauth2-clients", id]) => to(UpdateApp, id),
        ("DELETE", ["broker", "oauth2-clients", id]) => to(DeleteApps, id),
        ("POST", ["broker", "oauth2-clients", id]) if retires => to(EndOverlap, id),
        ("POST", ["broker", "oauth2-clients", id]) => to(RotateSecret, id),
        ("POST", ["token"]) => Route::token(flavor, TokenForm::Broker, tenant),
        (_, ["broker", "oauth2-clients"] | ["broker", "oauth2-clients", _] | ["token"]) => Route::unknown(flavor, true),
        _ => Route::unknown(flavor, false),
    }
}
