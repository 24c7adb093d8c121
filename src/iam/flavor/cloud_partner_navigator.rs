//! VMware Cloud Partner Navigator: `/v2` and `/v1` below the endpoint. [cpn-create]
//! Requests are exactly what its documentation shows; deletion, which it does not show, is asked for as Cloud Services has it.

use super::{ApiFlavor, EndRotation, GrantTypes, ListMembers, Memberships};
use crate::crd::GrantType;
use crate::iam::answer::Answer;
use crate::iam::authentication::{Authentication, TokenOrganization};
use crate::iam::request::{
    Body, Page, Request, create_body, overlap_seconds, role_changes, role_names, update_body, url,
};
use crate::iam::{
    ClientId, ClientSecret, ConnectionCredentials, Context, CredentialsKind, Deletion, Error, NewApp, Operation, OrgId,
    Roles, Update,
};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;
use std::time::Duration;

pub(super) struct CloudPartnerNavigator;

/// Where client credentials get a token for an organization.
fn client_token_path(org: &str) -> [&str; 5] {
    ["v1", "authn", "accounts", org, "accesstoken"]
}

impl Authentication for CloudPartnerNavigator {
    /// The token request of a client names one. [cpn-account-token]
    fn token_organization(&self, kind: CredentialsKind) -> TokenOrganization {
        match kind {
            CredentialsKind::ClientCredentials => TokenOrganization::Named,
            CredentialsKind::ApiToken => TokenOrganization::Own,
        }
    }

    fn token_request(&self, org: Option<&OrgId>, credentials: &ConnectionCredentials) -> Request {
        let (path, body): (&[&str], _) = match credentials {
            ConnectionCredentials::ApiToken(token) => {
                (&["v1", "authn", "accesstoken"], json!({"refreshToken": token.expose_secret()}))
            }
            ConnectionCredentials::Client { id, secret } => (
                // A path with an empty segment, as without an organization, is not sent.
                &client_token_path(org.map_or("", |org| &org.0)),
                json!({"clientId": id, "clientSecret": secret.expose_secret()}),
            ),
        };
        Request::new(Operation::GetAccessToken, Method::POST, path).body(Body::Json(body)).response_is_secret()
    }

    /// [cpn-account-token]
    fn token_url(&self, endpoint: &str, org: &OrgId) -> String {
        url(endpoint, &client_token_path(&org.0))
    }

    /// [cpn-reseller]
    fn advice_without_token(&self) -> &'static str {
        "use an IamConnection with an OAuth app of that organization, since one serves its own organization only"
    }

    /// [cpn-guide]
    fn token_header(&self) -> (&'static str, &'static str) {
        ("csp-auth-token", "")
    }
}

impl ApiFlavor for CloudPartnerNavigator {
    fn name(&self) -> &'static str {
        "CloudPartnerNavigator"
    }

    /// [cpn-create]
    fn request_fields(&self) -> &'static [&'static str] {
        &[
            "displayName",
            "description",
            "allowedScopes",
            "accessTokenTTL",
            "ownerOnlySecretRotation",
            "secretRotationExpirationInSeconds",
        ]
    }

    /// [cpn-create]
    fn unsupported_paths(&self) -> &'static [&'static str] {
        &[
            "allowedScopes.organizationScopes.allRoles",
            "allowedScopes.organizationScopes.allPermissions",
            "allowedScopes.organizationScopes.keptInToken",
            "allowedScopes.organizationScopes.permissions",
            "allowedScopes.organizationScopes.roles[].resource",
            "allowedScopes.servicesScopes[].allPermissions",
            "allowedScopes.servicesScopes[].keptInToken",
            "allowedScopes.servicesScopes[].permissions",
            "allowedScopes.servicesScopes[].roles[].resource",
        ]
    }

    /// [cpn-guide]
    fn grant_types(&self) -> GrantTypes {
        GrantTypes::Fixed(&[GrantType::ClientCredentials])
    }

    fn immutable_fields(&self) -> &'static [&'static str] {
        &[]
    }

    fn update_only_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// [cpn-patch]
    fn required_in_update(&self) -> &'static [&'static str] {
        &[]
    }

    fn create(&self, org: &OrgId, app: &NewApp) -> Request {
        Request::new(Operation::CreateApp, Method::POST, &["v2", "orgs", &org.0, "oauth-apps"])
            .context(app.context)
            .body(create_body(app))
            .with_secret(app.secret.as_ref())
    }

    fn read(&self, org: &OrgId, id: &ClientId) -> Request {
        Request::new(Operation::ReadApp, Method::GET, &["v2", "orgs", &org.0, "oauth-apps", &id.0])
    }

    /// The form of its errors is not documented, so only what is clearly not the API's is doubted. (undocumented)
    fn is_from_api(&self, answer: &Answer) -> bool {
        !answer.is_html()
    }

    /// By analogy; no page about it was found. (undocumented)
    fn list(&self, org: &OrgId, page: &Page) -> Request {
        Request::new(Operation::ListApps, Method::GET, &["v2", "orgs", &org.0, "oauth-apps"]).page(page)
    }

    /// A 404 can mean that there is no such operation or no such organization; reading an app decides. (undocumented)
    fn list_unsupported(&self, answer: &Answer) -> bool {
        matches!(answer.status, 404 | 405 | 501)
    }

    /// [cpn-patch]
    fn update(&self, org: &OrgId, id: &ClientId, update: &Update) -> Request {
        Request::new(Operation::UpdateApp, Method::PATCH, &["v2", "orgs", &org.0, "oauth-apps", &id.0])
            .context(update.context)
            .body(update_body(update))
            .with_secret(update.secret.as_ref())
    }

    /// [cpn-secret-post]
    fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> Result<Request, Error> {
        let body =
            json!({"newClientSecret": secret.expose(), "secretExpirationTimeInSeconds": overlap_seconds(overlap)?});
        let path = ["v2", "orgs", &org.0, "oauth-apps", &id.0, "secret"];
        let request = Request::new(Operation::RotateSecret, Method::POST, &path);
        Ok(request.body(Body::Json(body)).with_secret(Some(secret)))
    }

    /// No page about it was found, and nothing depends on it. (undocumented)
    fn end_rotation(&self) -> Option<EndRotation> {
        None
    }

    /// By analogy; no page about it was found. (undocumented)
    fn delete(&self, org: &OrgId, ids: &[ClientId]) -> Request {
        let ids: Vec<&String> = ids.iter().map(|id| &id.0).collect();
        Request::new(Operation::DeleteApp, Method::DELETE, &["v2", "orgs", &org.0, "oauth-apps"])
            .body(Body::Json(json!({"clientIdsToDelete": ids})))
    }

    /// By analogy; no page about it was found. (undocumented)
    fn max_deletions(&self) -> usize {
        15
    }

    /// A 404 can mean that there is no such operation or no such app; a read decides, and follows in either case.
    fn deletion(&self, answer: &Answer) -> Option<Deletion> {
        matches!(answer.status, 404 | 405 | 501).then_some(Deletion::NotOffered)
    }

    fn memberships(&self) -> Option<&dyn Memberships> {
        Some(self)
    }
}

impl Memberships for CloudPartnerNavigator {
    /// [cpn-clients-post, cpn-roles-patch]
    fn unsupported_paths(&self) -> &'static [&'static str] {
        &["roles.organizationRoles[].resource", "roles.serviceRoles[].serviceRoles[].resource"]
    }

    /// [cpn-clients-post]
    fn add(&self, org: &OrgId, id: &ClientId, context: Option<Context>, roles: &Roles) -> Result<Request, Error> {
        let mut body = json!({"ids": [id.0]});
        if !roles.organization_roles.is_empty() {
            body["organizationRoles"] = role_names(&roles.organization_roles)?;
        }
        if !roles.service_roles.is_empty() {
            let services = roles.service_roles.iter().map(|service| {
                let names = role_names(&service.service_roles)?;
                Ok(json!({"serviceDefinitionId": service.service_definition_id, "serviceRoles": names}))
            });
            body["serviceRoles"] = services.collect::<Result<_, Error>>()?;
        }
        let path = ["v2", "orgs", &org.0, "clients"];
        let request = Request::new(Operation::AddAppToOrganization, Method::POST, &path);
        Ok(request.context(context).body(Body::Json(body)))
    }

    /// [cpn-clients-get]
    fn read(&self, org: &OrgId, id: &ClientId) -> Request {
        Request::new(Operation::ReadClient, Method::GET, &["v2", "orgs", &org.0, "clients", &id.0])
    }

    fn list(&self) -> Option<ListMembers> {
        None
    }

    /// [cpn-roles-patch]
    fn change(&self, org: &OrgId, id: &ClientId, add: &Roles, remove: &Roles) -> Result<Request, Error> {
        let path = ["v2", "clients", &id.0, "orgs", &org.0, "roles"];
        let body = Body::Json(role_changes(add, remove, role_names)?);
        Ok(Request::new(Operation::ChangeRoles, Method::PATCH, &path).body(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::Role;

    fn answer(status: u16, body: &str) -> Answer {
        Answer::of(Operation::ReadApp, status, body)
    }

    #[test]
    fn html_404_is_not_treated_as_app_not_found() {
        for body in ["", "{}", r#"{"error":"x"}"#, "no such app"] {
            assert!(CloudPartnerNavigator.is_from_api(&answer(404, body)), "{body}");
        }
        assert!(!CloudPartnerNavigator.is_from_api(&answer(404, "\n<!DOCTYPE html>")));
    }

    #[test]
    fn an_unsupported_deletion_is_not_an_error() {
        for (status, deletion) in [
            (404, Some(Deletion::NotOffered)),
            (405, Some(Deletion::NotOffered)),
            (501, Some(Deletion::NotOffered)),
            (403, None),
            (500, None),
            (200, None),
        ] {
            assert_eq!(CloudPartnerNavigator.deletion(&answer(status, "")), deletion, "{status}");
        }
    }

    #[test]
    fn a_role_with_a_resource_is_rejected() {
        let role = |resource: Option<&str>| Role { name: "org_member".into(), resource: resource.map(str::to_owned) };
        assert_eq!(role_names(&[role(None)]), Ok(json!([{"name": "org_member"}])));
        assert!(matches!(role_names(&[role(None), role(Some("instance:1"))]), Err(Error::Rejected(_))));
    }
}
