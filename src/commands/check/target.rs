//! An API to check, from an `IamConnection` or from the command line, and what its token request shows: whether the credentials are
//! accepted, for which organization, with which roles and until when.

use super::network;
use super::rows::Rows;
use crate::commands::CommandError;
use crate::commands::endpoint::DirectEndpoint;
use crate::commands::live::Live;
use crate::connections::{CheckResult, ConnectionHealth, Connections, Expiry};
use crate::crd::{Api, Context, CredentialSource, EXPIRES_AT, IamConnection};
use crate::iam::flavor::flavor;
use crate::iam::http::HttpIam;
use crate::iam::{self, ConnectionCredentials, Iam, OrgId, TokenClaims, token_expiry};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use url::Url;

/// Credentials that end sooner are a warning, in days.
const SOON: i64 = 30;
const DAY: i64 = 24 * 60 * 60;
const ANOTHER_ORG: &str =
    "name the organization of the credentials with --org, or use credentials of that organization";

/// An API whose credentials are accepted.
pub(super) struct Target {
    pub(super) api: Api,
    pub(super) iam: HttpIam,
    pub(super) org: OrgId,
    pub(super) context: Option<Context>,
}

/// Checks a connection up to its token. `namespace` is that of a tenant, for connections to which each namespace brings credentials.
pub(super) async fn check_connection(
    live: &Live,
    connection: &IamConnection,
    org: Option<OrgId>,
    namespace: Option<&str>,
    rows: &mut Rows,
) -> Option<Target> {
    rows.group(format!("IamConnection {}", connection.name_any()));
    let spec = &connection.spec;
    let iam = live.open(connection, namespace.unwrap_or_default()).await;
    match &iam {
        Ok(_) => rows.ok("settings", format!("{} at {}", flavor(spec.api).name(), spec.endpoint)),
        Err(error) => rows.failed("settings", error.to_string(), "correct the IamConnection or what it names"),
    }
    let iam = iam.ok();
    match spec.endpoint.parse::<Url>() {
        Ok(url) => network::check(&url, iam.as_deref(), "spec.caBundle", rows).await,
        Err(error) => rows.failed("endpoint", error.to_string(), "correct spec.endpoint"),
    }
    let iam = HttpIam::clone(&*iam?);
    rows.begin("token");
    let accepted = match (spec.credentials.source, namespace) {
        (CredentialSource::Operator, _) => {
            let result = live.connections.check(connection, org.as_ref()).await;
            report_token(&result, org.as_ref(), rows)
        }
        (CredentialSource::Tenant, Some(namespace)) => report_tenant_token(&iam, org.as_ref(), namespace, rows).await,
        (CredentialSource::Tenant, None) => {
            rows.skipped("token", "each namespace has credentials of its own; name one with --namespace");
            false
        }
    };
    finish(accepted, org, rows, |org| Target { api: spec.api, iam, org, context: spec.context })
}

/// Checks an API that is named on the command line, up to its token.
pub(super) async fn check_direct(direct: &DirectEndpoint, org: Option<OrgId>, rows: &mut Rows) -> Option<Target> {
    rows.group(format!("{} at {}", flavor(direct.api).name(), direct.url));
    network::check(&direct.url, Some(&direct.iam), "the file of --ca-file", rows).await;
    rows.begin("token");
    let answer = direct.iam.check(org.as_ref(), &direct.credentials).await;
    let expiry = match &direct.credentials {
        ConnectionCredentials::ApiToken(token) => {
            token_expiry(token).map_or(Expiry::NotKnown, |at| Expiry::At { what: "the API token".into(), at })
        }
        ConnectionCredentials::Client { .. } => Expiry::NotKnown,
    };
    let health =
        answer.map_or(ConnectionHealth::NotAsked, |answer| health(answer, "the file or variable of the command line"));
    let accepted = report_token(&CheckResult { health, expiry }, org.as_ref(), rows);
    let (api, iam) = (direct.api, direct.iam.clone());
    finish(accepted, org, rows, |org| Target { api, iam, org, context: None })
}

fn finish(accepted: bool, org: Option<OrgId>, rows: &mut Rows, target: impl FnOnce(OrgId) -> Target) -> Option<Target> {
    match org {
        Some(org) if accepted => Some(target(org)),
        Some(_) => {
            rows.skipped("API", "not asked, since there is no token");
            None
        }
        None => {
            rows.skipped("API", "not asked; name an organization with --org");
            None
        }
    }
}

/// Credentials of a namespace, whose token shows nothing but that it is issued.
async fn report_tenant_token(iam: &HttpIam, org: Option<&OrgId>, namespace: &str, rows: &mut Rows) -> bool {
    let Some(org) = org else {
        rows.skipped("token", "name an organization with --org");
        return false;
    };
    match iam.authenticate(org).await {
        Ok(()) => {
            rows.ok("token", format!("issued for organization {org} with the credentials of namespace {namespace}"));
            true
        }
        Err(error) => {
            rows.failed("token", error.to_string(), what_to_do(&error));
            false
        }
    }
}

/// Whether the credentials are accepted.
fn report_token(result: &CheckResult, org: Option<&OrgId>, rows: &mut Rows) -> bool {
    let accepted = match &result.health {
        ConnectionHealth::Accepted(claims) => {
            rows.ok("token", "issued for these credentials");
            report_claims(claims, org, rows)
        }
        ConnectionHealth::Wrong(blocked) => {
            rows.failed(
                "token",
                &blocked.message,
                "see the message; kubectl oauth-app explain CredentialsUnavailable has more",
            );
            false
        }
        ConnectionHealth::Unreachable(message) => {
            rows.failed("token", message, "see the rows above; if all of them are ok, ask those who run the API");
            false
        }
        ConnectionHealth::Delayed(message) => {
            rows.warning("token", message, "run the check again in a minute");
            false
        }
        ConnectionHealth::Undecided(message) => {
            rows.failed("token", message, ANOTHER_ORG);
            false
        }
        ConnectionHealth::NotAsked => {
            rows.skipped("token", "the token request names an organization; name one with --org");
            false
        }
        ConnectionHealth::ByEachNamespace => {
            rows.skipped("token", "each namespace has credentials of its own; name one with --namespace");
            false
        }
    };
    report_expiry(&result.expiry, rows);
    accepted
}

/// Whether the token is for the organization.
fn report_claims(claims: &TokenClaims, org: Option<&OrgId>, rows: &mut Rows) -> bool {
    let for_org = org.and_then(|org| claims.is_for(org));
    match (&claims.organization, for_org, org) {
        (Some(own), Some(false), Some(org)) => {
            // Client credentials of an app in several organizations get a token for each.
            rows.ok("organization", format!("the credentials belong to {own}; a token for {org} is requested by name"));
        }
        (Some(own), ..) => rows.ok("organization", format!("the token is for {own}")),
        (None, ..) => rows.ok("organization", "the token does not say for which it is"),
    }
    match claims.roles.as_deref() {
        None => rows.ok("roles", "the token does not say which it has"),
        Some(roles) if claims.suffices() => rows.ok("roles", roles.join(", ")),
        Some(roles) => {
            let found = if roles.is_empty() { "none".to_owned() } else { roles.join(", ") };
            rows.warning("roles", found, "give the credentials the role developer, org_admin or org_owner");
        }
    }
    true
}

fn report_expiry(expiry: &Expiry, rows: &mut Rows) {
    match expiry {
        Expiry::NotKnown => {
            rows.skipped("expiry", format!("not known; the annotation {EXPIRES_AT} of their Secret can name it"))
        }
        Expiry::NotRead => rows.skipped("expiry", "not known: the API does not answer"),
        Expiry::Unreadable(message) => rows.warning("expiry", message, "correct the annotation"),
        Expiry::At { what, at } => {
            let days = (at.as_second() - Timestamp::now().as_second()).div_euclid(DAY);
            let found = format!("{what} expires at {at}");
            match days {
                ..0 => rows.failed("expiry", found, "replace the credentials"),
                0..SOON => rows.warning("expiry", found, "replace the credentials before"),
                _ => rows.ok("expiry", found),
            }
        }
    }
}

/// What the answer to a token request means, as the operator understands it.
fn health(answer: Result<TokenClaims, iam::Error>, place: &str) -> ConnectionHealth {
    crate::connections::watched::health_of_answer(answer, place)
}

/// What to do about a failed call.
pub(super) fn what_to_do(error: &iam::Error) -> &'static str {
    match error {
        iam::Error::Unavailable(_) => "see the rows above; if all of them are ok, ask those who run the API",
        iam::Error::Throttled { .. } => "run the check again in a minute",
        iam::Error::Credentials(_) => "replace the credentials",
        iam::Error::WrongOrganization(_) => ANOTHER_ORG,
        iam::Error::Forbidden(_) => "give the credentials the role that the message names, in that organization",
        iam::Error::NotFound(_) | iam::Error::Conflict(_) | iam::Error::Rejected(_) => {
            "see the message; docs/api.md has what the operator assumes"
        }
    }
}

/// Errors of the command itself, where a connection that is named cannot be read.
pub(super) fn absent(name: &str) -> CommandError {
    CommandError::message(format!("IamConnection {name} does not exist; list them: kubectl get iamc"))
}
