//! Which operation a method and a path mean.
//! Segments are split before they are decoded, so an escaped slash stays inside an id.

use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::types::{Flavour, Operation};

/// The forms in which tokens are asked for (docs/api.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenForm {
    /// `auth/api-tokens/authorize` `[auth-apitok]`.
    CspApiToken,
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
}

/// Where a call is going.
#[derive(Clone, Debug)]
pub struct Route {
    pub flavour: Option<Flavour>,
    pub operation: Operation,
    pub token: Option<TokenForm>,
    pub org: Option<String>,
    pub client: Option<String>,
    /// Set when the path exists with other methods.
    pub wrong_method: bool,
}

impl Route {
    fn new(flavour: Flavour, operation: Operation, org: &str, client: &str) -> Self {
        let given = |s: &str| (!s.is_empty()).then(|| s.to_string());
        Self {
            flavour: Some(flavour),
            operation,
            token: None,
            org: given(org),
            client: given(client),
            wrong_method: false,
        }
    }

    fn token(flavour: Flavour, form: TokenForm, org: &str) -> Self {
        Self { token: Some(form), ..Self::new(flavour, Operation::Token, org, "") }
    }

    /// Finds the operation; a path that neither API has gives [`Operation::Unknown`].
    pub fn of(method: &Method, path: &str) -> Self {
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
            _ => Self { flavour: None, ..Self::new(Flavour::Csp, Operation::Unknown, "", "") },
        }
    }

    fn unknown(flavour: Flavour, wrong_method: bool) -> Self {
        Self { wrong_method, ..Self::new(flavour, Operation::Unknown, "", "") }
    }
}

fn csp(method: &Method, path: &[&str]) -> Route {
    use Operation::*;
    let flavour = Flavour::Csp;
    let to = |operation, org, client| Route::new(flavour, operation, org, client);
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
        ("POST", ["auth", "api-tokens", "authorize"]) => Route::token(flavour, TokenForm::CspApiToken, ""),
        ("POST", ["auth", "authorize"]) => Route::token(flavour, TokenForm::CspAuthorize, ""),
        ("POST", ["auth", "token"]) => Route::token(flavour, TokenForm::CspToken, ""),
        (
            _,
            ["orgs", _, "oauth-apps" | "clients"]
            | ["orgs", _, "oauth-apps", _]
            | ["orgs", _, "oauth-apps", _, "secret"]
            | ["clients", _, "orgs", _, "roles"]
            | ["auth", "api-tokens", "authorize"]
            | ["auth", "authorize" | "token"],
        ) => Route::unknown(flavour, true),
        _ => Route::unknown(flavour, false),
    }
}

fn cpn(method: &Method, path: &[&str]) -> Route {
    use Operation::*;
    let flavour = Flavour::Cpn;
    let to = |operation, org, client| Route::new(flavour, operation, org, client);
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
        ("POST", ["v1", "authn", "accesstoken"]) => Route::token(flavour, TokenForm::CpnApiToken, ""),
        ("POST", ["v1", "authn", "accounts", org, "accesstoken"]) => Route::token(flavour, TokenForm::CpnAccount, org),
        ("POST", ["v2", "authn", "authorize"]) => Route::token(flavour, TokenForm::CpnAuthorize, ""),
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
        ) => Route::unknown(flavour, true),
        _ => Route::unknown(flavour, false),
    }
}
