//! VMware Cloud Services: `/csp/gateway/am/api` below the endpoint. [csp-create]
//! Requests are exactly what its documentation shows.

use super::{ApiFlavor, EndRotation, GrantTypes, ListMembers, Memberships};
use crate::crd::GrantType;
use crate::iam::answer::Answer;
use crate::iam::authentication::{Authentication, TokenOrganization};
use crate::iam::request::{Body, Page, Request, create_body, overlap_seconds, role_changes, update_body, url};
use crate::iam::{
    ClientId, ClientSecret, ConnectionCredentials, Context, CredentialsKind, Deletion, Error, NewApp, Operation, OrgId,
    Roles, Update,
};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;
use std::time::Duration;

pub(super) struct CloudServices;

/// What every path begins with.
const PREFIX: [&str; 4] = ["csp", "gateway", "am", "api"];
/// Where an API token gets an access token, behind the prefix.
const API_TOKEN_PATH: [&str; 3] = ["auth", "api-tokens", "authorize"];
/// Where the details of an API token are.
const API_TOKEN_DETAILS_PATH: [&str; 3] = ["auth", "api-tokens", "details"];
/// Where client credentials get one.
const CLIENT_TOKEN_PATH: [&str; 2] = ["auth", "authorize"];

fn request(operation: Operation, method: Method, path: &[&str]) -> Request {
    Request::new(operation, method, &[&PREFIX, path].concat())
}

impl Authentication for CloudServices {
    /// Without the name of one, the token is for the organization that owns the app. [auth-token]
    fn token_organization(&self, _: CredentialsKind) -> TokenOrganization {
        TokenOrganization::Own
    }

    fn token_request(&self, org: Option<&OrgId>, credentials: &ConnectionCredentials) -> Request {
        let (path, fields, basic): (&[&str], _, _) = match credentials {
            ConnectionCredentials::ApiToken(token) => {
                (&API_TOKEN_PATH, vec![("api_token", token.expose_secret().to_owned())], None)
            }
            ConnectionCredentials::Client { id, secret } => {
                let mut fields = vec![("grant_type", "client_credentials".to_owned())];
                fields.extend(org.map(|org| ("orgId", org.0.clone())));
                (&CLIENT_TOKEN_PATH, fields, Some((id.clone(), secret.clone())))
            }
        };
        request(Operation::GetAccessToken, Method::POST, path).body(Body::Form { fields, basic }).response_is_secret()
    }

    /// Clients of Omnissa Connect, which is a fork, send an API token in this form. [auth-apitok, omnissa-connect]
    fn older_token_request(&self, credentials: &ConnectionCredentials) -> Option<Request> {
        let token = match credentials {
            ConnectionCredentials::ApiToken(token) => token.expose_secret().to_owned(),
            ConnectionCredentials::Client { .. } => return None,
        };
        let fields = vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token)];
        let request = request(Operation::GetAccessToken, Method::POST, &API_TOKEN_PATH);
        Some(request.body(Body::Form { fields, basic: None }).response_is_secret())
    }

    /// Needs no access token. [tcsp-token-details]
    fn expiry_request(&self, credentials: &ConnectionCredentials) -> Option<Request> {
        let token = match credentials {
            ConnectionCredentials::ApiToken(token) => token.expose_secret(),
            ConnectionCredentials::Client { .. } => return None,
        };
        let request = request(Operation::ReadTokenDetails, Method::POST, &API_TOKEN_DETAILS_PATH);
        Some(request.body(Body::Json(json!({ "tokenValue": token }))).response_is_secret())
    }

    /// [vmc-org]
    fn token_url(&self, endpoint: &str, _: &OrgId) -> String {
        url(endpoint, &[&PREFIX[..], &CLIENT_TOKEN_PATH].concat())
    }

    /// [csp-index]
    fn advice_without_token(&self) -> &'static str {
        "add the OAuth app of clientCredentials to that organization with the role developer"
    }

    /// [csp-security, kb-437409]
    fn token_header(&self) -> (&'static str, &'static str) {
        ("authorization", "Bearer ")
    }
}

impl ApiFlavor for CloudServices {
    fn name(&self) -> &'static str {
        "CloudServices"
    }

    /// [csp-struct, csp-upd-struct]
    fn request_fields(&self) -> &'static [&'static str] {
        &[
            "displayName",
            "description",
            "grantTypes",
            "allowedScopes",
            "accessTokenTTL",
            "refreshTokenTTL",
            "redirectUris",
            "postLogoutRedirectUris",
            "allowOpenRedirectUris",
            "publicClient",
            "forcePkce",
            "allowedOrgs",
            "maxCharactersInAccessToken",
            "maxGroupsInIdToken",
            "ownerOnlySecretRotation",
            "secretRotationExpirationInSeconds",
            "serviceDefinitionId",
            "additionalAttributeMasks",
            "allowedActorsAudienceExchange",
            "allowedActorsClientDelegate",
            "crossOrgAccessClaimsSupported",
            "isHidden",
            "groupDomainAppendedInIDToken",
            "useCspIssuerUrl",
        ]
    }

    fn unsupported_paths(&self) -> &'static [&'static str] {
        &["context"]
    }

    /// [csp-struct]
    fn grant_types(&self) -> GrantTypes {
        GrantTypes::AnyOf(&[
            GrantType::AuthorizationCode,
            GrantType::RefreshToken,
            GrantType::ClientCredentials,
            GrantType::ClientDelegate,
            GrantType::AudienceExchange,
            GrantType::ContextSwitch,
        ])
    }

    /// [csp-upd-struct]
    fn immutable_fields(&self) -> &'static [&'static str] {
        &["publicClient", "allowOpenRedirectUris"]
    }

    /// [csp-upd-struct]
    fn update_only_fields(&self) -> &'static [&'static str] {
        &["groupDomainAppendedInIDToken", "useCspIssuerUrl"]
    }

    /// [csp-upd-struct]
    fn required_in_update(&self) -> &'static [&'static str] {
        &["displayName", "description", "grantTypes"]
    }

    /// [csp-resp]
    fn informative_fields(&self) -> &'static [&'static str] {
        &["organizationId", "immutable", "createdBy", "lastUpdatedBy"]
    }

    /// [csp-create, csp-struct]
    fn documented_defaults(&self) -> &'static [(&'static str, u32)] {
        &[("accessTokenTTL", 600), ("refreshTokenTTL", 7_776_000), ("secretRotationExpirationInSeconds", 172_800)]
    }

    fn create(&self, org: &OrgId, app: &NewApp) -> Request {
        request(Operation::CreateApp, Method::POST, &["orgs", &org.0, "oauth-apps"])
            .body(create_body(app))
            .with_secret(app.secret.as_ref())
    }

    fn read(&self, org: &OrgId, id: &ClientId) -> Request {
        request(Operation::ReadApp, Method::GET, &["orgs", &org.0, "oauth-apps", &id.0])
    }

    /// Its errors are JSON; anything else comes from something in between, which knows nothing of apps. [tcsp-authn]
    fn is_from_api(&self, answer: &Answer) -> bool {
        answer.is_json_object()
    }

    /// [csp-list]
    fn list(&self, org: &OrgId, page: &Page) -> Request {
        request(Operation::ListApps, Method::GET, &["orgs", &org.0, "oauth-apps"]).page(page)
    }

    /// It is documented, so a 404 is about the organization. [csp-list]
    fn list_unsupported(&self, answer: &Answer) -> bool {
        matches!(answer.status, 405 | 501)
    }

    /// [csp-patch]
    fn update(&self, org: &OrgId, id: &ClientId, update: &Update) -> Request {
        request(Operation::UpdateApp, Method::PATCH, &["orgs", &org.0, "oauth-apps", &id.0])
            .body(update_body(update))
            .with_secret(update.secret.as_ref())
    }

    /// [csp-secret-post]
    fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> Result<Request, Error> {
        let body =
            json!({"newClientSecret": secret.expose(), "secretRotationExpirationInSeconds": overlap_seconds(overlap)?});
        let path = ["orgs", &org.0, "oauth-apps", &id.0, "secret"];
        let request = request(Operation::RotateSecret, Method::POST, &path);
        Ok(request.body(Body::Json(body)).with_secret(Some(secret)))
    }

    /// [csp-secret-del]
    fn end_rotation(&self) -> Option<EndRotation> {
        Some(|org, id| {
            request(Operation::EndRotation, Method::DELETE, &["orgs", &org.0, "oauth-apps", &id.0, "secret"])
        })
    }

    /// On the collection, with the ids in the body. [csp-delete]
    fn delete(&self, org: &OrgId, ids: &[ClientId]) -> Request {
        let ids: Vec<&String> = ids.iter().map(|id| &id.0).collect();
        request(Operation::DeleteApp, Method::DELETE, &["orgs", &org.0, "oauth-apps"])
            .body(Body::Json(json!({"clientIdsToDelete": ids})))
    }

    /// [csp-delete]
    fn max_deletions(&self) -> usize {
        15
    }

    /// A known client of the API also treats this message as absence. [csp-delete]
    fn deletion(&self, answer: &Answer) -> Option<Deletion> {
        let says_not_found =
            || answer.message().is_some_and(|message| message.to_ascii_lowercase().contains("not found"));
        match answer.status {
            404 => Some(Deletion::NotFound),
            400 if says_not_found() => Some(Deletion::NotFound),
            _ => None,
        }
    }

    fn memberships(&self) -> Option<&dyn Memberships> {
        Some(self)
    }
}

impl Memberships for CloudServices {
    fn unsupported_paths(&self) -> &'static [&'static str] {
        &[]
    }

    /// [csp-clients]
    fn add(&self, org: &OrgId, id: &ClientId, _: Option<Context>, roles: &Roles) -> Result<Request, Error> {
        let mut body = json!({"ids": [id.0]});
        if !roles.organization_roles.is_empty() {
            body["organizationRoles"] = json!(roles.organization_roles);
        }
        if !roles.service_roles.is_empty() {
            body["serviceRoles"] = json!(roles.service_roles);
        }
        let path = ["orgs", &org.0, "clients"];
        Ok(request(Operation::AddAppToOrganization, Method::POST, &path).body(Body::Json(body)))
    }

    /// Seen in a client; whether the API has it is found out by asking. [py-csptools]
    fn read(&self, org: &OrgId, id: &ClientId) -> Request {
        request(Operation::ReadClient, Method::GET, &["clients", &id.0, "orgs", &org.0, "roles"])
    }

    /// [csp-clients]
    fn list(&self) -> Option<ListMembers> {
        Some(|org, page| request(Operation::ListClients, Method::GET, &["orgs", &org.0, "clients"]).page(page))
    }

    /// A role can be one on a resource. [py-csptools, py-perf]
    fn change(&self, org: &OrgId, id: &ClientId, add: &Roles, remove: &Roles) -> Result<Request, Error> {
        let body = Body::Json(role_changes(add, remove, |roles| Ok(json!(roles)))?);
        Ok(request(Operation::ChangeRoles, Method::PATCH, &["clients", &id.0, "orgs", &org.0, "roles"]).body(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer::of(Operation::ReadApp, status, body)
    }

    #[test]
    fn only_a_404_in_json_is_treated_as_app_not_found() {
        assert!(CloudServices.is_from_api(&answer(404, r#"{"message":"no such app","statusCode":404}"#)));
        for body in ["", "404 page not found", "default backend - 404", "<html></html>", "[]", "null"] {
            assert!(!CloudServices.is_from_api(&answer(404, body)), "{body}");
        }
    }

    #[test]
    fn deleting_an_absent_app_is_not_an_error() {
        let deletion = |status, body| CloudServices.deletion(&answer(status, body));
        assert_eq!(deletion(404, "{}"), Some(Deletion::NotFound));
        assert_eq!(deletion(400, r#"{"message":"Client was Not Found"}"#), Some(Deletion::NotFound));
        assert_eq!(deletion(400, r#"{"message":"too many ids"}"#), None);
        assert_eq!(deletion(500, r#"{"message":"not found"}"#), None);
        assert_eq!(deletion(200, "{}"), None);
    }
}
